"""Building a plan: who sends what, in the engine's words, and everything that speaks against it."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import pytest

from maul import plan
from maul.core.errors import CampaignError
from maul.core.ids import run_number
from maul.plan import Overrides, Plan


def message_of(planned, *changes, **more):
    with pytest.raises(CampaignError) as caught:
        planned(*changes, **more)
    return caught.value.message


def test_who_and_where(planned):
    made = planned()
    assert (made.campaign, made.site, made.target) == ("small", "place", "https://127.0.0.1:8443/maul-test")
    assert made.run == run_number(made.run_id)
    assert made.prefix == f"maul/{made.run_id}/"
    assert (made.region, made.consistency, made.list_lag_ms, made.restart_gap_ms) == (
        "us-east-1",
        "eventual",
        1000,
        3000,
    )
    assert made.tenants[0].credentials.kind == "file"
    assert [endpoint.name for endpoint in made.endpoints] == ["vip", "s3-1", "s3-2"]
    assert made.phase("calm").endpoints == ("vip",)
    assert made.endpoint("vip").ca == "/etc/maul/ca.pem"


def test_the_passes_of_each_phase(planned):
    passes = {
        phase.name: [(one.label, one.endpoint_offset, one.engine.endpoints[0].name) for one in phase.passes]
        for phase in planned().phases
    }
    assert passes == {
        "fill": [("base", 0, "vip")],
        "rise": [("load", 0, "vip")],
        "calm": [("load", 0, "vip")],
        "audit": [
            ("base through s3-2", 0, "s3-2"),
            ("ephemeral through s3-2", 0, "s3-2"),
            ("multipart through s3-2", 0, "s3-2"),
            ("base through s3-1", 1, "s3-1"),
            ("ephemeral through s3-1", 1, "s3-1"),
            ("multipart through s3-1", 1, "s3-1"),
        ],
        "tidy": [("base", 0, "vip"), ("ephemeral", 0, "vip"), ("multipart", 0, "vip")],
    }


def test_an_audit_that_names_no_endpoint_reads_through_every_gateway(planned):
    made = planned((", through: [s3-2, s3-1]", ""))
    assert made.phase("audit").endpoints == ("s3-1", "s3-2")


def test_regions_that_nobody_writes_are_not_swept(planned):
    made = planned(("{get: 60, put: 30, delete: 9, multipart: 1}", "{get: 60, put: 30}"))
    assert [one.label for one in made.phase("tidy").passes] == ["base"]


def test_a_prepare_puts_every_object_once(planned):
    engine = planned().phase("fill").passes[0].engine
    assert [(entry.op, entry.weight) for entry in engine.mix] == [("put", 1.0)]
    assert (engine.keyspace.objects, engine.keyspace.choice.kind, engine.keyspace.region) == (100, "sequential", "base")
    assert (engine.arrivals.mode, engine.arrivals.concurrency, engine.arrivals.requests) == ("closed", 8, 100)
    assert engine.multipart is None


def test_a_clean_up_deletes_by_range_and_an_audit_verifies(planned):
    made = planned()
    for one in made.phase("tidy").passes:
        assert one.engine.keyspace.delete_from == "base"
        assert [entry.op for entry in one.engine.mix] == ["delete"]
    for one in made.phase("audit").passes:
        assert one.engine.verify
        assert [entry.op for entry in one.engine.mix] == ["get"]


def test_steps_are_constants_and_levels(planned):
    phase = planned().phase("rise")
    profile = phase.passes[0].engine.arrivals.profile
    assert [(segment.kind, segment.rate, segment.seconds) for segment in profile] == [
        ("constant", 10.0, 2.0), ("constant", 20.0, 2.0), ("constant", 40.0, 2.0),
    ]  # fmt: skip
    assert [(level.start_s, level.end_s, level.rate_per_s) for level in phase.levels] == [
        (0.0, 2.0, 10.0), (2.0, 4.0, 20.0), (4.0, 6.0, 40.0),
    ]  # fmt: skip
    assert phase.expected.operations == 140
    assert (phase.until.achieved_below, phase.until.levels) == (0.9, 1)


def test_a_ramp_is_one_segment(planned):
    phase = planned(("rate: 50/s, for: 20s", "ramp: {from: 10, to: 30, over: 20s}")).phase("calm")
    (segment,) = phase.passes[0].engine.arrivals.profile
    assert segment.model_dump(by_alias=True) == {"kind": "ramp", "from": 10.0, "to": 30.0, "seconds": 20.0}
    assert phase.expected.operations == 400
    assert phase.levels == ()


def test_what_is_expected_is_counted_by_hand(planned):
    calm = planned().phase("calm").expected
    assert calm.operations == 1000
    assert calm.requests == 990 + 10 * 4  # an upload of two parts is four requests
    assert calm.bytes_sent == 300 * 4096 + 10 * 2 * 5 * 2**20 + calm.requests * 500
    assert calm.bytes_received == 600 * 4096 + calm.requests * 500
    tidy = planned().phase("tidy").expected
    assert tidy.operations == 100 + (2 * 140 * 9 + 2 * 1000 * 9) // 100 + 1 + 3  # one is rounding, phase by phase


def test_every_engine_has_random_choices_of_its_own(planned):
    seeds = [one.engine.seed for phase in planned().phases for one in phase.passes]
    assert len(set(seeds)) == len(seeds)


def test_faults_find_their_service_and_their_moment(planned):
    (fault,) = planned().faults
    assert (fault.service, fault.role, fault.after_s, fault.hold_s) == ("v2", "volume", 5.0, 5.0)
    made = planned()
    assert fault.at_s == pytest.approx(made.phase("fill").seconds + made.phase("rise").seconds + 5.0)
    assert made.faults_of("calm") == (fault,)
    assert made.faults_of("rise") == ()
    by_name = planned(("role: volume, pick: 2", "service: g1"))
    assert (by_name.faults[0].service, by_name.faults[0].role) == ("g1", "gateway")


def test_objectives_are_in_milliseconds(planned):
    available, quick = planned().objectives
    assert (available.errors_below, available.latency_below_ms) == (0.001, None)
    assert (quick.op, quick.percentile, quick.latency_below_ms) == ("get", 99.9, 250.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("[vip]", "[vpi]")], 'c.yaml:3:22: target.endpoints[0]: site place has no endpoint "vpi" (did you mean "vip"?)'),
        ([("[vip]", "[vip, vip]")], 'c.yaml:3:27: target.endpoints[1]: "vip" stands here twice; drop one'),
        ([("[s3-2, s3-1]", "[s3-2, s3-9]")],
         'c.yaml:13:48: phases[3].through[1]: site place has no endpoint "s3-9" (did you mean "s3-2"?)'),
        ([("pick: 2", "pick: 3")], "c.yaml:16:59: faults[0].pick: site place has 2 of role volume: pick 1 to 2"),
        ([("role: volume, pick: 2", "role: filer")],
         "c.yaml:16:45: faults[0].role: site place has no filer service to hurt"),
        ([("role: volume, pick: 2", "service: v9")],
         'c.yaml:16:48: faults[0].service: site place has no service "v9" (known: g1, g2, v1, v2)'),
        ([("objectives:", "  - {name: too, fault: process.stop, service: v2, phase: calm, after: 9s, hold: 1s}\nobjectives:")],
         'c.yaml:17:71: faults[1].after: hurts v2, which "kill" is still hurting; let one end first'),
    ],
)  # fmt: skip
def test_what_the_site_does_not_have_is_refused(planned, changes, message):
    assert message_of(planned, *changes) == message


@pytest.mark.parametrize("kind", ["control", "private"])
def test_what_is_only_looked_at_is_never_loaded(planned, place, kind):
    door = place.endpoints[0]
    object.__setattr__(door, "kind", kind)
    assert message_of(planned) == (
        f'c.yaml:3:22: target.endpoints[0]: "vip" is a {kind} endpoint of the site, which is only looked at; name another'
    )


def test_unknown_faults_are_refused_when_faults_are_known(planned):
    assert message_of(planned, fault_kinds=["process.stop", "process.kil"]) == (
        'c.yaml:16:25: faults[0].fault: "process.kill" is not understood (did you mean "process.kil"?)'
    )
    assert planned(fault_kinds=["process.kill"]).faults


def test_overrides_are_checked_like_the_file(planned):
    made = planned(overrides=Overrides(seed=7, shards=3, bucket="maul-other", endpoints=("s3-1", "s3-2")))
    assert (made.seed, made.shards, made.tenants[0].bucket) == (7, 3, "maul-other")
    assert made.target == "http://127.0.1.1:8333/maul-other, http://127.0.2.1:8333/maul-other"
    assert [endpoint.name for endpoint in made.phase("calm").passes[0].engine.endpoints] == ["s3-1", "s3-2"]
    assert "a bucket name has 3 to 63" in message_of(planned, overrides=Overrides(bucket="A"))
    assert "load.shards: 200 shards" in message_of(planned, overrides=Overrides(shards=200))


def test_credentials_of_three_kinds(planned, place, intent):
    wish = "bucket: maul-test, credentials: {access_key_env: AK, secret_key_env: SK}"
    named = planned(("bucket: maul-test", wish)).tenants[0].credentials
    assert (named.kind, named.access_key_env, named.secret_key_env) == ("environment", "AK", "SK")
    assert (
        planned(("bucket: maul-test", "bucket: maul-test, credentials: anonymous")).tenants[0].credentials.kind
        == "anonymous"
    )
    bare = place.model_copy(update={"credentials": None})
    made = plan.build(intent, bare, "r1", 2)
    assert made.tenants[0].credentials.kind == "anonymous"
    assert "site place names no credentials: requests are anonymous" in made.notes


def test_notes_say_what_may_not_be_meant(planned):
    assert planned().notes == ()
    made = planned(
        ("  - {name: audit, kind: audit, through: [s3-2, s3-1], list: true}\n  - {name: tidy, kind: clean-up}\n", ""),
        ("phases: [rise], op: get", "phases: [calm], op: get"),
        ("phase: calm, after: 5s, hold: 5s", "phase: rise, after: 1s, hold: 1s"),
        ("objects: 100", "objects: 200000"),
    )
    assert [note.split(":")[0].split(",")[0] for note in made.notes] == [
        "there is no audit phase",
        "there is no clean-up phase",
        "no objective names rise",
        "rise may end early",
        "the run may take about 17 min 6 s",
    ]
    assert "the audit reads through a balancer only" in planned(("[s3-2, s3-1]", "[vip]")).notes[0]


def test_a_plan_survives_its_file(planned):
    made = planned()
    again = Plan.model_validate_json(plan.to_json(made))
    assert again == made
    assert again.hash == made.hash


def test_the_hash_knows_what_is_sent_and_not_who_sends_it(place, intent, planned):
    base = plan.build(intent, place, "r1", 4)
    assert plan.build(intent, place, "r2", 4).hash == base.hash
    moved = place.model_copy(
        update={
            "endpoints": tuple(door.model_copy(update={"ca": "/elsewhere/ca.pem"}) for door in place.endpoints),
            "credentials": place.credentials.model_copy(update={"file": "/elsewhere/keys.json"}),
        }
    )
    assert plan.build(intent, moved, "r1", 4).hash == base.hash
    others = [
        planned(("rate: 50/s", "rate: 51/s")), planned(("size: 4KiB", "size: 5KiB")), planned(("hold: 5s", "hold: 6s")),
        planned(("99.9", "99")), planned(overrides=Overrides(seed=2)),
    ]  # fmt: skip
    assert len({base.hash, *(other.hash for other in others)}) == 6
