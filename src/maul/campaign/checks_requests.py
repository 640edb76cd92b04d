"""Cross-checks of how requests are made: what the bucket, the credentials and the clock must allow."""

from collections.abc import Iterator, Sequence

from maul.campaign.model_limits import Load
from maul.campaign.model_mix import OF_VERSIONS
from maul.campaign.model_phases import Phase, TimedPhase
from maul.campaign.model_requests import Requests, Slow
from maul.campaign.model_target import Target
from maul.campaign.model_tenants import Tenant
from maul.campaign.model_workload import Workload, mean_size_bytes
from maul.campaign.parties import Party, parties_of
from maul.campaign.problems import Problem
from maul.campaign.yaml_source import KeyPath
from maul.core.units import show_duration, show_size


def requests_are_possible(
    workload: Workload, requests: Requests, target: Target, tenants: Sequence[Tenant]
) -> Iterator[Problem]:
    """Payload, checksum and signature fit together; the bucket can do what the mix asks for."""
    for party in parties_of(workload, requests, target, tenants):
        yield from _requests(party)
        yield from _signed(party)
        yield from _bucket(party)


def _requests(party: Party) -> Iterator[Problem]:
    made, path = party.requests, party.requests_path
    if made.payload == "unsigned-trailer" and made.checksum is None:
        yield Problem((*path, "payload"), "unsigned-trailer carries a checksum behind the body; add checksum")
    if made.checksum and made.checksum.place == "trailer" and made.payload not in {"chunked", "unsigned-trailer"}:
        yield Problem(
            (*path, "checksum", "in"),
            f"only chunked bodies have a trailer, and payload is {made.payload}; use payload chunked or "
            "unsigned-trailer, or put it in the header",
        )
    if made.addressing == "virtual" and "." in party.bucket:
        yield Problem(
            (*path, "addressing"),
            f'virtual puts bucket "{party.bucket}" before the host, where its dots break certificates; '
            "use a bucket without dots, or path",
        )


def _signed(party: Party) -> Iterator[Problem]:
    if party.credentials != "anonymous":
        return
    mix = party.workload.mix.by_op()
    if party.requests.payload != "unsigned":
        says = f"{party.requests.payload} needs a signature, and requests are anonymous; use unsigned"
        yield Problem((*party.requests_path, "payload"), says)
    for op in ("presigned_get", "presigned_put"):
        if op in mix:
            says = "a presigned URL carries a signature, and requests are anonymous; drop it, or give credentials"
            yield Problem((*party.workload_path, "mix", op), says)


def _bucket(party: Party) -> Iterator[Problem]:
    mix = party.workload.mix.by_op()
    versioned = [op for op in OF_VERSIONS if op in mix]
    where = "target" if not party.path else f"tenant {party.name} or target"
    if versioned and not party.versioning:
        yield Problem(
            (*party.workload_path, "mix", versioned[0]),
            f"{'needs' if len(versioned) == 1 else ' and '.join(versioned) + ' need'} a bucket with versions; set "
            f"versioning: true in {where}, or drop {'it' if len(versioned) == 1 else 'them'}",
        )
    if "put_retention" in mix and not party.object_lock:
        yield Problem(
            (*party.workload_path, "mix", "put_retention"),
            f"needs a bucket with object lock; set object_lock: true in {where}, or drop it",
        )


def slow_clients_can_finish(workload: Workload, phases: Sequence[Phase], load: Load) -> Iterator[Problem]:
    """A client that is slower than the request timeout allows would always be given up: that tests the timeout."""
    places: list[tuple[KeyPath, Slow | None]] = [(("workload", "slow"), workload.slow)]
    places += [
        (("phases", index, "slow"), phase.slow) for index, phase in enumerate(phases) if isinstance(phase, TimedPhase)
    ]
    mix, size = workload.mix.by_op(), mean_size_bytes(workload.size)
    for path, slow in places:
        if slow is None:
            continue
        sides = (
            ("readers", "read_rate", slow.readers, slow.read_rate_bytes_per_s, any("get" in op for op in mix)),
            ("writers", "write_rate", slow.writers, slow.write_rate_bytes_per_s, any("put" in op for op in mix)),
        )
        for who, key, part, rate, wanted in sides:
            if part and wanted and size / rate > load.request_timeout_s:
                yield Problem(
                    (*path, key),
                    f"slow {who} need {show_size(size)} / {show_size(rate)}/s = {show_duration(size / rate)} for an "
                    f"average object, and load.request_timeout is {show_duration(load.request_timeout_s)}: each would "
                    "time out; raise one of them, or make objects smaller",
                )
        if not slow.readers and not slow.writers:
            yield Problem(path, "nobody is slow; give readers or writers, such as 1%")
