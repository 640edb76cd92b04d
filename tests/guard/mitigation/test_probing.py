"""Whom to ask: few, of several racks, the silent ones first; and cheap with a thousand generators."""

import time
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from respond_world import TERMS, UNKNOWN, World, dead, good, sentinel

from maul.core.vantage import Reach, Vantage
from maul.guard.mitigation.actions import Freeze
from maul.guard.mitigation.probing import GENERATORS_MAX, generators
from maul.guard.mitigation.respond_terms import Asker

IDLE = st.lists(
    st.tuples(st.text("abcdef", min_size=1, max_size=2), st.sampled_from("xyz")),
    unique_by=lambda one: one[0],
    max_size=12,
).map(lambda found: [Asker(Vantage.IDLE, who, "vip", rack) for who, rack in found])


@settings(max_examples=60, deadline=None)
@given(IDLE, st.data())
def test_few_of_several_racks_and_of_both_kinds(idle, data):
    names = [one.who for one in idle]
    silent = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    chosen = generators(replace(TERMS, askers=tuple(idle)), silent)
    assert len(chosen) == len({one.who for one in chosen}) <= GENERATORS_MAX
    assert len(chosen) >= min(len(idle), 2)
    racks = {one.rack for one in idle}
    assert len({one.rack for one in chosen}) >= min(len(racks), 2)
    if silent:
        assert chosen[0].who in silent
    if 0 < len(silent) < len(names):
        assert {one.who in silent for one in chosen} == {True, False}


def test_a_thousand_generators_cost_little():
    names = [f"g{number}" for number in range(1000)]
    askers = tuple(Asker(Vantage.IDLE, name, "vip", f"r{number % 40}") for number, name in enumerate(names))
    world = World(terms=replace(TERMS, askers=askers))
    fine, lost = dict.fromkeys(names, good(50.0)), dict.fromkeys(names, dead(50.0))
    world.run(10, generators=fine)
    began = time.process_time()
    for second in range(3):
        world.tick(lost, [sentinel(name, 10 + second, Reach.TIMEOUT) for name in names], UNKNOWN)
    world.run(17, diagnosis=UNKNOWN)
    spent_s = time.process_time() - began
    assert world.of(Freeze)
    assert spent_s < 2.0, "twenty seconds of a thousand generators in a tenth of a core"
