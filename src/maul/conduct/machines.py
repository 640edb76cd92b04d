"""The machines of a site, opened: a lab's namespaces, this machine itself, or over SSH."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from maul.core.addresses import is_loopback
from maul.core.errors import MachineError
from maul.hosts.holders import HOLDERS, living_holders
from maul.hosts.host import Host
from maul.hosts.local import LocalHost
from maul.hosts.namespace import NamespaceHost
from maul.hosts.ssh import SshAddress, SshHost
from maul.site import Site


@contextlib.contextmanager
def machines(site: Site, site_path: Path, names: Iterable[str]) -> Iterator[Mapping[str, Host]]:
    """The hosts of these names while the block runs, by name. `site_path`: a lab's lies beside its state.

    A host of a lab with a network is its namespace; one whose address is loopback is this machine; any other is
    reached over SSH, which connects when it is first used. MachineError for one that is none of these.
    """
    wired = site.kind == "lab" and site.network is not None
    held = {one.name: one for one in living_holders(LocalHost(), site_path.resolve().parent / HOLDERS)} if wired else {}
    found: dict[str, Host] = {}
    with contextlib.ExitStack() as closing:
        for name in dict.fromkeys(names):
            host = site.host(name)
            if name in held:
                found[name] = NamespaceHost(name, held[name].process)
            elif wired:
                raise MachineError(f"host {name} of the lab is gone", site.where("hosts"), "bring the lab up anew")
            elif is_loopback(host.address):
                found[name] = LocalHost()
            elif host.ssh is not None:
                address = SshAddress(host.ssh.address or host.address, host.ssh.port, host.ssh.user)
                found[name] = closing.enter_context(SshHost(address))
            else:
                cure = "give it `ssh`, or do not ask for its counters (vantage.balancers.host)"
                raise MachineError(f"nobody said how {name} is reached", site.where("hosts"), cure)
        yield found
