"""The audit's second look: only what seemed wrong, after the lag that the site declares, a bounded number of times."""

import numpy as np
import pytest
from conduct_stage import RUN, T0_NS, FakeS3, events_of, everywhere, make_plan, make_stage, script

from maul.conduct.audit import SECOND_LOOKS_MAX, look_again_and_list
from maul.conduct.listings import parse_listings
from maul.core.clock import FakeClock
from maul.core.errors import TargetError
from maul.core.event import EventKind
from maul.core.operation import ErrorClass, Op, Outcome, key_name
from maul.core.summary import Ending
from maul.load import FakeGenerator
from maul.record import RunReader
from maul.s3.errors import aws

KEYS = np.arange(100)
SECOND = 10**9


class Auditing:
    """A run after the first reads of its audit, of which some were wrong; later reads say what the test wants."""

    def __init__(self, tmp_path, wrong, answers=lambda engine: None, **plan):
        self.clock = FakeClock(T0_NS)
        self.engines, self.answers = [], answers
        self.s3 = FakeS3({key_name(f"maul/{RUN}/", int(key)) for key in KEYS})
        plan = make_plan(**{"list_lag_ms": 1000, "restart_gap_ms": 3000, **plan})
        self.stage = make_stage(tmp_path, plan, everywhere(self.s3), self.clock, self.generator)
        self.record("fill", Op.PUT, KEYS)
        for endpoint in (0, 1):
            self.record("audit", Op.GET, KEYS, wrong=wrong, endpoint=endpoint)

    def record(self, phase, op, keys, wrong=(), **fields):
        made = script(len(keys), op=op, key=keys, version=keys + 1, **fields)
        for name in ("due_ns", "start_ns", "end_ns"):
            made[name] += np.uint64(self.clock.now_ns())
        for row in np.flatnonzero(np.isin(keys, wrong)):
            made["outcome"][row], made["error_class"][row], made["version"][row] = 1, ErrorClass.NO_SUCH_KEY, 0
        self.stage.writer.operations(phase, made)
        self.clock.wait(2.0)

    def generator(self, engine):
        self.engines.append(engine)
        keys = np.arange(engine["keyspace"]["objects"]) + engine["keyspace"]["start"]
        made = script(len(keys), op=Op.GET, key=keys, version=keys + 1)
        wrong = self.answers(engine)
        if wrong is not None:
            made["outcome"], made["error_class"], made["version"] = Outcome.FAIL, wrong, 0
        return FakeGenerator(made, self.clock)

    def look(self):
        look_again_and_list(self.stage, self.stage.plan.phase("audit"))
        self.stage.writer.close()
        return RunReader.open(self.stage.writer.path)


def test_where_all_was_right_nobody_looks_again(tmp_path):
    audit = Auditing(tmp_path, wrong=())
    before = audit.clock.now_ns()
    audit.look()
    assert audit.engines == [] and audit.clock.now_ns() == before


def test_only_what_seemed_wrong_is_read_again_through_every_gateway_after_the_lag(tmp_path):
    audit = Auditing(tmp_path, wrong=(7, 8, 9, 40))
    before = audit.clock.now_ns()
    run = audit.look()
    spaces = [(engine["keyspace"]["start"], engine["keyspace"]["objects"]) for engine in audit.engines]
    assert spaces == [(7, 3), (7, 3), (40, 1), (40, 1)]
    assert [engine["endpoints"][0]["name"] for engine in audit.engines] == ["gateway-r1-1", "gateway-r2-1"] * 2
    assert len({engine["epoch"] for engine in audit.engines}) == 4, "every engine has versions of its own"
    assert all(engine["arrivals"]["requests"] == engine["keyspace"]["objects"] for engine in audit.engines)
    assert (audit.clock.now_ns() - before) / SECOND >= 3.0, "the longer of the two lags"
    again = [row for row in run.operations().to_pylist() if row["phase"] == "audit"][200:]
    assert {row["endpoint"] for row in again} == {0, 1} and len(again) == 8
    (note,) = events_of(run, EventKind.NOTE)
    assert "4 objects looked wrong; look 2 after 3.5 s" in note["says"]


def test_what_stays_wrong_is_looked_at_so_many_times_and_no_more(tmp_path):
    audit = Auditing(tmp_path, wrong=(7,), answers=lambda engine: ErrorClass.NO_SUCH_KEY)
    audit.look()
    assert len(audit.engines) == SECOND_LOOKS_MAX * 2


def test_the_ceiling_of_a_second_look_does_not_end_the_run(tmp_path):
    audit = Auditing(tmp_path, wrong=tuple(range(0, 100, 2)))
    audit.look()
    assert not audit.stage.stopped
    for engine in audit.engines:
        assert engine["limits"]["requests"] > engine["keyspace"]["objects"]


def test_a_stop_while_waiting_ends_it(tmp_path):
    audit = Auditing(tmp_path, wrong=(7,))
    waited = audit.clock.wait

    def wait(seconds, stop=None):
        if stop is not None:
            audit.stage.stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)
        return waited(seconds, stop)

    audit.clock.wait = wait
    run = audit.look()
    assert audit.engines == [] and not run.has("listings.json")


@pytest.mark.parametrize("listing", [True, False])
def test_every_gateway_is_listed_if_that_was_asked_for(tmp_path, listing):
    audit = Auditing(tmp_path, wrong=())
    phases = tuple(
        one.model_copy(update={"listing": listing}) if one.kind == "audit" else one for one in audit.stage.plan.phases
    )
    audit.stage.plan = audit.stage.plan.model_copy(update={"phases": phases})
    run = audit.look()
    assert run.has("listings.json") is listing
    if listing:
        found = parse_listings(run.text("listings.json"))
        assert [(one.through, len(one.names), one.complete) for one in found] == [
            ("gateway-r1-1", 100, True),
            ("gateway-r2-1", 100, True),
        ]


def test_a_gateway_that_does_not_list_is_an_error_of_the_target(tmp_path):
    audit = Auditing(tmp_path, wrong=())

    def refuse(**given):
        raise aws.EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    audit.s3.list_objects_v2 = refuse
    phases = tuple(
        one.model_copy(update={"listing": True}) if one.kind == "audit" else one for one in audit.stage.plan.phases
    )
    audit.stage.plan = audit.stage.plan.model_copy(update={"phases": phases})
    with pytest.raises(TargetError):
        audit.look()
    audit.stage.writer.close()
