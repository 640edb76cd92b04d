"""Vantage points: from where else, beside the load itself, the target is looked at."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from maul.campaign.part import Part
from maul.campaign.quantities import Name, Seconds
from maul.site.model_network import exporter_url

Listen = Annotated[str, Field(pattern=r"^[0-9a-zA-Z.:\[\]-]+:[0-9]{1,5}$", max_length=260)]


class Lookout(Part):
    """Somebody who asks an endpoint about once per second, whatever the load does."""

    name: Name
    role: Literal["external", "control", "inside"]
    """`external`: from outside, another prefix than the generators'. `control`: another public address of the same
    balancers, in another prefix, without load. `inside`: from within the cluster, to the balancers' private address."""
    endpoint: Name
    """Which endpoint of the site is asked."""
    source: Name | None = Field(default=None, alias="from")
    """The host of the site that asks, over SSH or from the lab's namespace; None: the conductor itself."""
    prometheus: Annotated[str, AfterValidator(exporter_url)] | None = Field(default=None, max_length=2000)
    """Instead: the URL of a Prometheus that scrapes a blackbox exporter …"""
    selector: str | None = Field(default=None, min_length=1, max_length=1000, pattern=r'^\w+\s*(=|!=|=~|!~)\s*"')
    """… and the labels of its `probe_success` there."""
    every_s: Seconds = Field(default=1.0, ge=1.0, le=60.0, alias="every")
    """How often."""

    @model_validator(mode="after")
    def _one_way(self) -> "Lookout":
        if (self.prometheus is None) != (self.selector is None):
            raise ValueError("prometheus and selector go together")
        if self.prometheus is not None and self.source is not None:
            raise ValueError("either a host asks (from), or Prometheus is asked")
        return self


class BalancerCounters(Part):
    """Where the counters of one balancer are read; each is optional."""

    service: Name
    """The balancer among the services; its `metrics` and `admin` are read as ever."""
    host: bool = False
    """Read its machine's own counters (sockets, connection tracking, nftables), over SSH or from the lab's network."""
    table: str | None = Field(default=None, pattern=r"^(ip|ip6|inet|netdev) [A-Za-z0-9_]{1,64}$")
    """The nftables table with the named counters `vip_in`, `vip_syn`, `vip_out`: see `docs/concepts/mitigation.md`."""


class Feed(Part):
    """Where the network says that it drops, limits or diverts somebody."""

    name: Name
    kind: Literal["webhook", "syslog", "prometheus"]
    listen: Listen | None = None
    """Of a webhook (HTTP POST) or of syslog (UDP): the address and port that the conductor listens on."""
    url: Annotated[str, AfterValidator(exporter_url)] | None = Field(default=None, max_length=2000)
    query: str | None = Field(default=None, min_length=1, max_length=1000)
    """Of Prometheus: gives a series while somebody is dropped; its label `prefix` or `address` says who."""

    @model_validator(mode="after")
    def _complete(self) -> "Feed":
        if self.kind == "prometheus":
            if self.url is None or self.query is None or self.listen is not None:
                raise ValueError("a feed from Prometheus has url and query, and nothing else")
        elif self.listen is None or self.url is not None or self.query is not None:
            raise ValueError(f"a feed by {self.kind} has listen, and nothing else")
        return self


class Vantages(Part):
    """All of them. None is needed; each makes the verdict surer when traffic suddenly stops."""

    lookouts: tuple[Lookout, ...] = Field(default=(), max_length=32)
    balancers: tuple[BalancerCounters, ...] = Field(default=(), max_length=32)
    feeds: tuple[Feed, ...] = Field(default=(), max_length=8)
