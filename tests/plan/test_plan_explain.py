"""A plan in words: the whole text, as a person reads it before anything is sent."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

from maul import plan

TEXT = """\
small on site place, seed 1, plan HASH
  target     https://127.0.0.1:8443/maul-test, every key under maul/20261122-214512-3fa09c/
  signed     region us-east-1, credentials from /etc/maul/keys.json
  clients    get 60 %, put 30 %, delete 9 %, multipart 1 %
  objects    100, 4 KiB each, keys uniform
  generator  1 shard on 4 cores; at most 128 connections, 128 requests in flight; timeouts 3.0 s connect, 5.0 s request
  ceiling    not known: this machine is not calibrated, so no rate is refused; maul calibrate would tell

phases
  fill       prepare: about 500 ms, 100 operations, 448.8 KiB sent, 48.83 KiB received, through vip
               put 100 objects of base, 8 at once
  rise       load: 6.0 s, 140 operations, 14.23 MiB sent, 406.4 KiB received, through vip
               3 levels of 2.0 s at 10, 20, 40 per second, whatever the target does
               ends early when a level answered less than 90% well
  calm       load: 20.0 s, 1,000 operations, 101.7 MiB sent, 2.835 MiB received, through vip
               50/s, whatever the target does
               fault kill: process.kill on v2 (volume) after 5.0 s, healed 5.0 s later
  audit      audit: about 1.1 s, 618 operations, 301.8 KiB sent, 62.69 MiB received, through s3-2, s3-1
               get 100 objects of base through s3-2, 16 at once
               get at most 206 objects of ephemeral through s3-2, 16 at once
               get 3 objects of multipart through s3-2, 16 at once
               get 100 objects of base through s3-1, 16 at once
               get at most 206 objects of ephemeral through s3-1, 16 at once
               get 3 objects of multipart through s3-1, 16 at once
  tidy       clean-up: about 580 ms, 309 operations, 150.9 KiB sent, 150.9 KiB received, through vip
               delete 100 objects of base, 16 at once
               delete at most 206 objects of ephemeral, 16 at once
               delete 3 objects of multipart, 16 at once

judged by
  available  less than 0.1% of all operations not answered well, in calm
  quick      p99.9 of get below 250 ms, in rise
  checks     objectives, limit-found, durability, reads-true, conditions-kept, faults-proven, healed, map-true, links-kept, traffic-kept, generator-honest, cleaned

ceilings (kept by the plan, by the engine and by the guard)
  requests   2,202 planned of 500,000
  bytes      182.9 MiB planned of 18.63 GiB
  time       about 28.2 s of 10 min
  speed      2,000/s, 190.7 MiB/s, 256 requests in flight
  errors     the run stops above 60% over 10.0 s
  disk       the run stops with less than 256 MiB left for its record
  silence    traffic that suddenly stops is only told of, nothing is done (mitigation.act: watch)"""


def test_the_whole_text(planned):
    made = planned()
    assert "\n".join(plan.explain(made)).replace(made.hash[:12], "HASH") == TEXT


def test_other_shapes_have_words_too(planned):
    made = planned(
        ("size: 4KiB", "size: {lognormal: {median: 4KiB, sigma: 1, max: 1MiB}}\n  keys: {zipf: 0.99}"),
        ("rate: 50/s, for: 20s", "ramp: {from: 2000, to: 100, over: 20s}"),
        ("{achieved_below: 0.9}", "{achieved_below: 0.9, levels: 2}"),
        ("{get: 60, put: 30, delete: 9, multipart: 1}", "{get: 6, put: 3}"),
        ("hold: 5s", "hold: 5s, beyond_redundancy: true"),
        ("bucket: maul-test", "bucket: maul-test, credentials: {access_key_env: AK, secret_key_env: SK}"),
        ("objects: 100", "objects: 110000"),
        ("faults:\n", "limits: {duration: 2m}\nfaults:\n"),
    )
    text = "\n".join(plan.explain(made))
    for words in (
        "lognormal around 4 KiB (sigma 1), at most 1 MiB, keys zipf 0.99",
        "falling from 2,000/s to 100/s, whatever the target does",
        "ends early when 2 levels in a row answered less than 90% well",
        "healed 5.0 s later, even beyond the redundancy",
        "credentials from $AK and $SK",
        "to note\n",
    ):
        assert words in text
    weighted = "size: {weighted: [{size: 1KiB, weight: 3}, {size: 2KiB, weight: 1}, {size: 9KiB, weight: 0}]}"
    assert "objects    100, 1 KiB 75 %, 2 KiB 25 %, keys" in "\n".join(plan.explain(planned(("size: 4KiB", weighted))))
    uniform = planned(
        ("size: 4KiB", "size: {uniform: [1KiB, 2KiB]}"), ("maul-test", "maul-test, credentials: anonymous")
    )
    assert "1 KiB to 2 KiB, evenly" in "\n".join(plan.explain(uniform))
    assert "unsigned requests" in "\n".join(plan.explain(uniform))


def test_a_plan_without_load_has_words(planned):
    text = "  - {name: rise, kind: load, steps: {from: 10, to: 40, count: 3, each: 2s}, until: {achieved_below: 0.9}}\n"
    made = planned(
        (text, ""), ("  - {name: calm, kind: load, rate: 50/s, for: 20s}\n", ""),
        ("faults:\n  - {name: kill, fault: process.kill, role: volume, pick: 2, phase: calm, after: 5s, hold: 5s}\n", ""),
        ("objectives:\n  - {name: available, phases: [calm], errors_below: 0.1%}\n"
         "  - {name: quick, phases: [rise], op: get, percentile: 99.9, latency_below: 250ms}\n", ""),
    )  # fmt: skip
    assert not any("clients" in line for line in plan.explain(made))
    assert made.shards == 1
