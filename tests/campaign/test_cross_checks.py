"""What no single key can know: one breach per rule, its place, its words. And the rule's own negative: soundness."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import pytest
from campaign_texts import SOUND, with_line

from maul import campaign
from maul.campaign.cross_checks import CROSS_CHECKS
from maul.campaign.model import Campaign
from maul.campaign.yaml_source import parse_text
from maul.core.errors import CampaignError

CALM = "  - {name: calm, kind: load, rate: 50/s, for: 20s}\n"
FILL = "  - {name: fill, kind: prepare}\n"
KILL = "  - {name: kill, fault: process.kill, role: volume, phase: calm, after: 5s, hold: 5s}\n"
GOOD = "  - {name: available, phases: [calm], errors_below: 0.1%}\n"

LIMITS = "limits: {requests: 10000}"

BREACHES = [
    # workload
    ("{get: 3, put: 2, delete: 1}", "{get: 0}",
     "c.yaml:7:8: workload.mix: every weight is 0, so nothing would be sent; give an operation a weight"),
    ("delete: 1", "delete: 2.5", "c.yaml:7:33: workload.mix.delete: deletes (2.5) outweigh puts (2): only objects that "
     "this run created are deleted; lower delete or raise put"),
    ("size: 4KiB", "size: {uniform: [2KiB, 1KiB]}", "c.yaml:6:19: workload.size.uniform: the smallest size (2 KiB) is above "
     "the largest (1 KiB); swap them"),
    ("size: 4KiB", "size: {lognormal: {median: 2KiB, sigma: 1, max: 1KiB}}",
     "c.yaml:6:51: workload.size.lognormal.max: the cut (1 KiB) is below the median (2 KiB); raise max"),
    ("size: 4KiB", "size: {lognormal: {median: 0, sigma: 1, max: 1KiB}}",
     "c.yaml:6:30: workload.size.lognormal.median: the median must be more than 0"),
    ("size: 4KiB", "size: {weighted: [{size: 1KiB, weight: 0}]}",
     "c.yaml:6:20: workload.size.weighted: every weight is 0; give a size a weight"),
    ("size: 4KiB", "size: 4KiB\n  multipart: {parts: 2, part_size: 1MiB}", "c.yaml:7:36: workload.multipart.part_size: a part "
     "of 1 MiB is refused by S3; give at least 5 MiB, or one part"),
    ("size: 4KiB", "size: 4KiB\n  multipart: {parts: 1, part_size: 0}",
     "c.yaml:7:36: workload.multipart.part_size: an upload needs at least one byte"),
    # phases
    (FILL, FILL * 2, 'c.yaml:11:12: phases[1].name: "fill" is already the name of phases[0]; rename one'),
    (", rate: 50/s, for: 20s", "", "c.yaml:11:5: phases[1]: give exactly one profile: rate and for, or ramp, steps, spike, sine, closed or trace"),
    ("for: 20s}", "for: 20s, ramp: {from: 1, to: 2, over: 20s}}",
     "c.yaml:11:5: phases[1]: give exactly one profile: rate and for, or ramp, steps, spike, sine, closed or trace"),
    ("rate: 50/s, ", "", 'c.yaml:11:35: phases[1].for: "for" needs "rate" beside it; add it'),
    (", for: 20s}", "}", 'c.yaml:11:36: phases[1].rate: "rate" needs "for" beside it; add it'),
    ("for: 20s}", "for: 20s, until: {achieved_below: 0.9}}",
     'c.yaml:11:59: phases[1].until: "until" judges levels and needs "steps"; drop it or use steps'),
    ("rate: 50/s, for: 20s", "steps: {from: 9, to: 5, count: 5, each: 4s}",
     "c.yaml:11:44: phases[1].steps.from: steps rise: from (9/s) is above to (5/s); swap them"),
    ("rate: 50/s, for: 20s", "steps: {from: 5, to: 9, count: 1, each: 20s}",
     "c.yaml:11:61: phases[1].steps.count: one step cannot go from one rate to another; use 2 or more"),
    ("rate: 50/s, for: 20s", "steps: {from: 5, to: 9, count: 2, each: 20s}, until: {achieved_below: 1, levels: 3}",
     "c.yaml:11:111: phases[1].until.levels: 3 levels in a row cannot give way when there are 2"),
    (FILL, "", 'c.yaml:10:5: phases[0]: "calm" would get objects of an empty key space: no prepare phase comes before; '
     "add a phase of kind prepare before it"),
    (FILL, FILL + "  - {name: early, kind: clean-up}\n", 'c.yaml:12:5: phases[2]: "calm" would get objects of an empty key '
     "space: a clean-up emptied it; add a phase of kind prepare before it"),
    (FILL, "  - {name: first, kind: audit}\n" + FILL,
     'c.yaml:10:5: phases[0]: "first" has nothing to audit: nothing was written before it; move it'),
    # load and limits
    ("{in_flight: 64}", "{shards: 200, in_flight: 64}", "c.yaml:8:16: load.shards: 200 shards need as many connections and "
     "requests in flight; give from 1 to 64"),
    ("{in_flight: 64}", "{in_flight: 512}", "c.yaml:8:19: load.in_flight: 512 in flight exceed limits.in_flight (256); lower "
     "one or raise the other"),
    ("limits: {requests", "limits: {rate: 40/s, requests", "c.yaml:11:36: phases[1].rate: peaks at 50/s, above limits.rate "
     "(40/s); lower one or raise the other"),
    ("kind: prepare", "kind: prepare, concurrency: 200", "c.yaml:10:46: phases[0].concurrency: 200 requests in flight exceed "
     "the smaller of load.connections (128) and limits.in_flight (256); lower it"),
    # faults
    (KILL, KILL + KILL.replace("after: 5s", "after: 12s"),
     'c.yaml:16:12: faults[1].name: "kill" is already the name of faults[0]; rename one'),
    ("role: volume", "role: volume, service: v-1", "c.yaml:15:5: faults[0]: say what to hurt: either role (with pick), or "
     "service"),
    ("role: volume, ", "", "c.yaml:15:5: faults[0]: say what to hurt: either role (with pick), or service"),
    ("phase: calm", "phase: clam", 'c.yaml:15:60: faults[0].phase: no phase is named "clam" (did you mean "calm"?)'),
    ("phase: calm", "phase: fill", 'c.yaml:15:60: faults[0].phase: "fill" is of kind prepare and has no fixed length; use a '
     "phase of kind load or warm-up"),
    ("hold: 5s", "hold: 16s", "c.yaml:15:83: faults[0].hold: ends 21.0 s into a phase of 20.0 s (after 5.0 s + hold 16.0 s); "
     "shorten it or lengthen the phase"),
    (KILL, KILL + KILL.replace("name: kill", "name: again").replace("after: 5s", "after: 9s"),
     'c.yaml:16:74: faults[1].after: hurts what faults[0] "kill" is still hurting; let one end first'),
    # objectives
    (GOOD, GOOD * 2, 'c.yaml:18:12: objectives[1].name: "available" is already the name of objectives[0]; rename one'),
    ("phases: [calm]", "phases: [clam]", 'c.yaml:17:32: objectives[0].phases[0]: no phase is named "clam" '
     '(did you mean "calm"?)'),
    ("phases: [calm]", "phases: [audit]",
     'c.yaml:17:32: objectives[0].phases[0]: "audit" is of kind audit; objectives are asked of load and warm-up'),
    ("phases: [calm]", "phases: [calm, calm]", 'c.yaml:17:38: objectives[0].phases[1]: "calm" stands here twice; drop one'),
    ("errors_below: 0.1%", "errors_below: 0.1%, op: list", 'c.yaml:17:63: objectives[0].op: "list" has no weight in '
     "workload.mix, so this would never be answered; give it a weight or drop op"),
    # the search of a limit
    (LIMITS, "limit: {requests: {from: 50/s, to: 50/s}}",
     "c.yaml:18:26: limit.requests.from: from (50/s) is not below to (50/s); lower one or raise the other"),
    (LIMITS, "limit: {connections: {from: 50/s, to: 5/s}}",
     "c.yaml:18:29: limit.connections.from: from (50/s) is not below to (5/s); lower one or raise the other"),
    (LIMITS, "limit: {bytes: {from: 2MiB/s, to: 1MiB/s}}",
     "c.yaml:18:23: limit.bytes.from: from (2 MiB/s) is not below to (1 MiB/s); lower one or raise the other"),
    (LIMITS, "limit: {axes: [bytes, bytes]}", 'c.yaml:18:23: limit.axes[1]: "bytes" stands here twice; drop one'),
    (LIMITS, "limit: {confirm: 3s}", "c.yaml:18:18: limit.confirm: confirm (3 s) is shorter than trial (4 s); raise it"),
    (LIMITS, "limit: {bytes: {mix: {get: 0}}}",
     "c.yaml:18:22: limit.bytes.mix: every weight is 0, so nothing would be sent; give get or put one"),
    (LIMITS, "limit: {requests: {objectives: [availible]}}",
     'c.yaml:18:33: limit.requests.objectives[0]: no objective is named "availible" (did you mean "available"?)'),
    # operations, requests, profiles, tenants
    ('{get: 3, put: 2, delete: 1}', '{get: 3, put: 2, multi_delete: 0.05}',
     'c.yaml:7:39: workload.mix.multi_delete: deletes (multi_delete 0.05 × 100 keys = 5) outweigh puts (2): only objects that this run created are deleted; lower multi_delete or raise put'),
    ('{get: 3, put: 2, delete: 1}', '{get: 3, put: 2, get_deleted: 1}',
     'c.yaml:7:38: workload.mix.get_deleted: reads what this run deleted, and nothing is deleted; give delete a weight, or drop it'),
    ('{get: 3, put: 2, delete: 1}', '{get: 3, put: 2, get_part: 1}',
     'c.yaml:7:35: workload.mix.get_part: reads parts of multipart uploads, and there are none; give multipart a weight, or drop it'),
    ('{get: 3, put: 2, delete: 1}', '{put: 2, copy: 1, put_retention: 1, get_version: 1}',
     'c.yaml:7:41: workload.mix.put_retention: needs a bucket with object lock; set object_lock: true in target, or drop it\nc.yaml:7:57: workload.mix.get_version: needs a bucket with versions; set versioning: true in target, or drop it'),
    ('size: 4KiB', 'size: 4KiB\n  keys: {hot_set: {keys: 0.5%, traffic: 90%}}',
     'c.yaml:7:26: workload.keys.hot_set.keys: 0.005 × 100 objects = 0.5 keys, less than one; raise it, or objects'),
    ('size: 4KiB\n  mix: {get: 3, put: 2, delete: 1}', 'size: 4KiB\n  keys: churn\n  mix: {get: 3, put: 2}',
     'c.yaml:7:9: workload.keys: asks for objects that puts create beside the base ones, and they do so only to feed deletes: there are none; give delete a weight, or choose other keys'),
    ('size: 4KiB', 'size: 4KiB\n  multipart: {parts: 2, parallel: 3}',
     'c.yaml:7:35: workload.multipart.parallel: 3 parts at once, and an upload has 2; lower it'),
    ('size: 4KiB', 'size: 4KiB\n  slow: {readers: 10%, read_rate: 100B/s}',
     'c.yaml:7:35: workload.slow.read_rate: slow readers need 4 KiB / 100 B/s = 41.0 s for an average object, and load.request_timeout is 5.0 s: each would time out; raise one of them, or make objects smaller'),
    ('size: 4KiB', 'size: 4KiB\n  slow: {read_rate: 100B/s}',
     'c.yaml:7:9: workload.slow: nobody is slow; give readers or writers, such as 1%'),
    ('load: {in_flight: 64}\n', 'load: {in_flight: 64}\nrequests: {payload: unsigned-trailer}\n',
     'c.yaml:9:21: requests.payload: unsigned-trailer carries a checksum behind the body; add checksum'),
    ('load: {in_flight: 64}\n', 'load: {in_flight: 64}\nrequests: {payload: signed, checksum: {algorithm: crc32c, in: trailer}}\n',
     'c.yaml:9:63: requests.checksum.in: only chunked bodies have a trailer, and payload is signed; use payload chunked or unsigned-trailer, or put it in the header'),
    ('rate: 50/s, for: 20s', 'spike: {base: 10, peak: 40, at: 10s, for: 15s, total: 20s}',
     'c.yaml:11:84: phases[1].spike.total: the peak ends after 25.0 s (at 10.0 s + for 15.0 s), and the phase lasts 20.0 s; raise it'),
    ('rate: 50/s, for: 20s', 'spike: {base: 10, peak: 5, at: 5s, for: 5s, total: 20s}',
     'c.yaml:11:54: phases[1].spike.peak: a peak of 5/s does not rise above the base (10/s); raise it'),
    ('rate: 50/s, for: 20s', 'sine: {mean: 10, amplitude: 20, period: 5s, for: 20s}',
     'c.yaml:11:58: phases[1].sine.amplitude: swings by 20/s around 10/s, which is below 0; lower it'),
    ('rate: 50/s, for: 20s', 'sine: {mean: 1500, amplitude: 1000, period: 5s, for: 20s}',
     'c.yaml:11:60: phases[1].sine.amplitude: peaks at 2500/s, above limits.rate (2000/s); lower one or raise the other'),
    ('rate: 50/s, for: 20s', 'closed: {clients: 4, for: 20s}, arrivals: poisson',
     'c.yaml:11:72: phases[1].arrivals: "arrivals" shapes a rate, and "closed" has none; drop it'),
    ('rate: 50/s, for: 20s', 'closed: {clients: 400, for: 20s}',
     'c.yaml:11:48: phases[1].closed.clients: 400 clients exceed the smaller of load.connections (128) and limits.in_flight (256); lower it'),
    ('load: {in_flight: 64}\n', 'load: {in_flight: 64}\ntenants: [{name: gold}, {name: gold}]\n',
     'c.yaml:9:32: tenants[1].name: "gold" is already the name of tenants[0]; rename one'),
    ('load: {in_flight: 64}\n', 'load: {in_flight: 1}\ntenants: [{name: gold}, {name: iron}]\n',
     'c.yaml:9:10: tenants: 2 tenants, and the load has 1 connections and requests in flight for them; raise them'),
    ('load: {in_flight: 64}\n', 'load: {in_flight: 64}\ntenants: [{name: gold, rates: {clam: 5}}, {name: iron, rates: {audit: 5}}]\n',
     'c.yaml:9:32: tenants[0].rates.clam: no phase is named "clam" (did you mean "calm"?)\nc.yaml:9:64: tenants[1].rates.audit: "audit" is of kind audit; rates are for load and warm-up'),
    ('load: {in_flight: 64}\n', 'load: {in_flight: 64}\ntenants: [{name: gold, rates: {calm: 5}}, {name: iron, rates: {calm: 5}}]\n',
     'c.yaml:12:5: phases[1]: every tenant has a rate of its own in "calm", so nobody follows its profile; drop the rate of at least one'),
    ('load: {in_flight: 64}\n', 'load: {in_flight: 64}\ntenants: [{name: gold, rates: {calm: 5000}}, {name: iron}]\n',
     'c.yaml:12:36: phases[1].rate: peaks at 50/s + 5000/s of gold = 5050/s, above limits.rate (2000/s); lower one or raise the other'),
    ('load: {in_flight: 64}\n', 'load: {in_flight: 64}\ntenants: [{name: gold, versioning: true}, {name: iron}]\n',
     'c.yaml:9:43: tenants[1].versioning: shares bucket "maul-test" with tenant gold, which wants versioning true; say the same, or give it a bucket of its own'),
    ('load: {in_flight: 64}\n', 'load: {in_flight: 64}\ntenants: [{name: gold}, {name: iron, workload: {objects: 1, size: 1, mix: {get: 0}}}]\n',
     'c.yaml:9:75: tenants[1].workload.mix: every weight is 0, so nothing would be sent; give an operation a weight'),
    ('errors_below: 0.1%', 'errors_below: 0.1%, tenant: gold',
     'c.yaml:17:67: objectives[0].tenant: no tenant is named "gold" (the campaign has no tenants; drop it)'),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), BREACHES)
def test_a_breach_is_told_alone_with_its_place(old, new, message):
    with pytest.raises(CampaignError) as caught:
        campaign.parse(with_line(old, new), "c.yaml")
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("delete: 1", "delete: 2"),
        ("size: 4KiB", "size: {uniform: [1KiB, 1KiB]}"),
        ("size: 4KiB", "size: 0"),
        ("size: 4KiB", "size: 4KiB\n  multipart: {parts: 1, part_size: 1MiB}"),
        ("size: 4KiB", "size: {weighted: [{size: 1KiB, weight: 0}, {size: 2KiB, weight: 0.1}]}"),
        ("hold: 5s", "hold: 15s"),
        ("rate: 50/s, for: 20s", "steps: {from: 5, to: 5, count: 1, each: 20s}"),
        ("rate: 50/s, for: 20s", "ramp: {from: 50, to: 5, over: 20s}"),
        (KILL, KILL + KILL.replace("name: kill", "name: again").replace("after: 5s", "after: 10s")),
        (KILL, KILL + KILL.replace("name: kill", "name: other").replace("volume", "volume, pick: 2")),
        ("{get: 3, put: 2, delete: 1}", "{put: 1, list: 1}"),
        ("limits: {requests", "limits: {rate: 50/s, requests"),
        ("kind: prepare", "kind: prepare, concurrency: 128"),
    ],
)
def test_the_very_edge_is_allowed(old, new):
    campaign.parse(with_line(old, new), "c.yaml")


def test_without_reads_nothing_must_be_prepared():
    text = with_line("{get: 3, put: 2, delete: 1}", "{put: 1}").replace(FILL, "")
    assert [phase.name for phase in campaign.parse(text).phases] == ["calm", "audit", "tidy"]


def test_every_rule_has_a_breach():
    """A rule without a test that it can speak is no rule."""
    spoken = set()
    for old, new, _ in BREACHES:
        source = with_line(old, new)
        sections = dict(campaign.parse(SOUND)) | _sections(source)
        spoken |= {check for check, needs in CROSS_CHECKS if list(check(*(sections[need] for need in needs)))}
    assert spoken == {check for check, _ in CROSS_CHECKS}


def _sections(text):
    return dict(Campaign.model_validate(parse_text(text, "c.yaml").data))
