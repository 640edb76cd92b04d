"""What only the run can tell: epochs, ephemeral keys, what is left of the ceilings. And secrets, which come last."""

import json
from dataclasses import dataclass

import pytest

from maul import plan
from maul.core.errors import InternalError
from maul.plan import RuntimeState, engine_plan_for, with_secrets
from maul.plan.runtime import EPOCH_MAX


def status(**numbers):
    """The last status of an engine."""
    zero = {"ephemeral_next": 0, "started": 0, "bytes_sent": 0, "bytes_received": 0, "elapsed_s": 0.0}
    return {**zero, **numbers}


@dataclass(frozen=True)
class Keys:
    access_key: str = "AKID"
    secret_key: str = "s3cr3t"
    session_token: str | None = None


def walk(made, state=None, **numbers):
    """Every engine of a plan, each ending with the same status."""
    state = state or RuntimeState()
    for phase in made.phases:
        for one in phase.passes:
            engine = engine_plan_for(made, phase, one, state)
            yield phase, one, engine
            if engine is not None:
                state = state.after(one, status(**numbers))


def test_every_engine_has_an_epoch_of_its_own(planned):
    epochs = [engine.epoch for _, _, engine in walk(planned(), ephemeral_next=5)]
    assert epochs == list(range(1, len(epochs) + 1))


def test_later_phases_begin_where_earlier_ones_ended(planned):
    made = planned()
    state = RuntimeState().after(made.phase("rise").passes[0], status(ephemeral_next=17, started=140))
    calm = made.phase("calm")
    engine = engine_plan_for(made, calm, calm.passes[0], state)
    assert engine.keyspace.ephemeral_start == 17
    later = state.after(calm.passes[0], status(ephemeral_next=3))
    assert later.ephemeral_next == {0: 17}


def test_sweeps_of_the_ephemeral_region_cover_what_was_made_and_no_more(planned):
    engines = {one.label: engine for phase, one, engine in walk(planned(), RuntimeState(ephemeral_next={0: 41}))}
    for label in ("ephemeral", "ephemeral through s3-1"):
        assert engines[label].keyspace.objects == 41
        assert engines[label].arrivals.requests == 41
    assert engines["base"].keyspace.objects == 100


def test_without_ephemeral_keys_their_sweeps_are_left_out(planned):
    skipped = {one.label for _, one, engine in walk(planned()) if engine is None}
    assert skipped == {"ephemeral", "ephemeral through s3-1", "ephemeral through s3-2"}


def test_ceilings_are_what_is_left(planned):
    made = planned()
    calm = made.phase("calm")
    used = RuntimeState(requests_used=400_000, bytes_used=15_000_000_000, seconds_used=590.0)
    limits = engine_plan_for(made, calm, calm.passes[0], used).limits
    assert (limits.requests, limits.bytes, limits.seconds) == (100_000, 5_000_000_000, 10.0)
    gone = RuntimeState(requests_used=10**9, bytes_used=10**12, seconds_used=1e6)
    limits = engine_plan_for(made, calm, calm.passes[0], gone).limits
    assert (limits.requests, limits.bytes, limits.seconds) == (1, 1, 1.0)


def test_a_closed_loop_ends_with_the_time_that_is_left(planned):
    made = planned()
    audit = made.phase("audit")
    engine = engine_plan_for(made, audit, audit.passes[0], RuntimeState(seconds_used=570.0))
    assert engine.arrivals.seconds == engine.limits.seconds == 30.0


def test_a_clean_up_is_allowed_what_it_needs_even_when_nothing_is_left(planned):
    made = planned()
    tidy = made.phase("tidy")
    gone = RuntimeState(ephemeral_next={0: 20_000}, requests_used=10**9, bytes_used=10**12, seconds_used=1e6)
    for one, objects in zip(tidy.passes, (100, 20_000, 3), strict=True):
        engine = engine_plan_for(made, tidy, one, gone)
        assert objects <= engine.limits.requests <= objects + 1000
        assert engine.limits.bytes >= objects
        assert 60.0 <= engine.limits.seconds < 600.0
        assert engine.arrivals.seconds == engine.limits.seconds


def test_a_paced_engine_has_time_to_drain(planned):
    limits = planned().phase("calm").passes[0].engine.limits
    assert limits.seconds == 20.0 + 5.0 + 5.0


def test_uploads_count_as_their_requests(planned):
    calm = planned().phase("calm").passes[0]
    state = RuntimeState(requests_used=10).after(
        calm, status(started=1000, bytes_sent=3, bytes_received=4, elapsed_s=20.5)
    )
    assert (state.requests_used, state.bytes_used, state.seconds_used) == (10 + 1030, 7, 20.5)


def test_epochs_run_out_loudly(planned):
    made = planned()
    fill = made.phase("fill")
    with pytest.raises(InternalError, match="at most 65535 engines"):
        engine_plan_for(made, fill, fill.passes[0], RuntimeState(epochs_used=EPOCH_MAX))


def test_secrets_are_only_in_what_the_door_is_handed(planned):
    made = planned()
    engine = made.phase("calm").passes[0].engine
    handed = with_secrets(engine, Keys(), {"vip": "PEM"})
    assert handed["s3"]["access_key"] == "AKID"
    assert handed["s3"]["secret_key"] == "s3cr3t"
    assert handed["endpoints"][0]["ca_pem"] == "PEM"
    for text in (repr(made), str(engine), plan.to_json(made), "\n".join(plan.explain(made)), repr(handed["keyspace"])):
        assert "s3cr3t" not in text
        assert "AKID" not in text


def test_handing_over_changes_nothing_in_the_plan(planned):
    made = planned()
    before = made.hash
    handed = with_secrets(made.phase("calm").passes[0].engine, Keys(), {})
    handed["mix"].clear()
    assert made.hash == before
    assert made.phase("calm").passes[0].engine.s3.secret_key is None


def test_without_credentials_requests_are_anonymous(planned):
    handed = with_secrets(planned().phase("calm").passes[0].engine, None, {})
    assert handed["s3"]["access_key"] is None
    assert handed["endpoints"][0]["ca_pem"] is None


KEYS = {
    "": "arrivals connections endpoints epoch keyspace late_ms lease_ms limits list mix multi_delete_keys multipart "
    "pin range_bytes record_operations retention_s run s3 seed shards sizes slow slowest tenant timeouts verify "
    "version",
    "s3": "access_key addressing bucket checksum encryption payload prefix region secret_key session_token",
    "keyspace": "choice delete_from ephemeral_lane ephemeral_start fixed_key objects region start",
    "limits": "bytes bytes_per_s connections in_flight rate_per_s requests seconds",
    "timeouts": "connect_ms request_ms",
    "list": "delimiter max_keys pages",
}


def test_the_engine_is_given_exactly_its_keys(planned):
    for _, _, engine in walk(planned(), RuntimeState(ephemeral_next={0: 1})):
        handed = json.loads(json.dumps(with_secrets(engine, None, {})))
        for section, keys in KEYS.items():
            assert sorted(handed[section] if section else handed) == keys.split()


ENGINE = pytest.importorskip("maul._engine", reason="the engine is not built")


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("size: 4KiB", "size: {uniform: [0, 64KiB]}")],
        [("size: 4KiB", "size: {lognormal: {median: 16KiB, sigma: 1, max: 1MiB}}")],
        [("size: 4KiB", "size: {weighted: [{size: 4KiB, weight: 8}, {size: 1MiB, weight: 1}]}")],
        [("size: 4KiB", "size: 4KiB\n  keys: {zipf: 0.99}")],
        [("size: 4KiB", "size: 4KiB\n  keys: sequential")],
        [("rate: 50/s, for: 20s", "ramp: {from: 1, to: 99, over: 20s}")],
        [("[vip]", "[s3-1, s3-2]")],
    ],
)
def test_the_engine_itself_accepts_every_engine_plan(planned, changes):
    """Only read, never started: the engine refuses unknown keys and impossible values with ValueError."""
    for _, _, engine in walk(planned(*changes), RuntimeState(ephemeral_next={0: 9})):
        ENGINE.Engine(json.dumps(with_secrets(engine, None, {})))
