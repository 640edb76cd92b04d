"""A small site and a small campaign to plan for."""

RUN_ID = "20261122-214512-3fa09c"

SITE = """\
version: 1
name: place
kind: lab
racks: [r1, r2]
hosts:
  - {name: h1, address: 127.0.1.1, rack: r1}
  - {name: h2, address: 127.0.2.1, rack: r2}
services:
  - {name: v1, role: volume, host: h1}
  - {name: v2, role: volume, host: h2}
  - {name: g1, role: gateway, host: h1}
  - {name: g2, role: gateway, host: h2}
endpoints:
  - {name: vip, kind: balancer, url: "https://127.0.0.1:8443", ca: /etc/maul/ca.pem, serves: [g1, g2]}
  - {name: s3-1, kind: gateway, url: "http://127.0.1.1:8333", serves: [g1]}
  - {name: s3-2, kind: gateway, url: "http://127.0.2.1:8333", serves: [g2]}
credentials: {file: /etc/maul/keys.json}
redundancy: {copies: 2, survives: 1}
consistency: {profile: eventual, list_lag_ms: 1000, restart_gap_ms: 3000}
"""

CAMPAIGN = """\
version: 1
name: small
target: {endpoints: [vip], bucket: maul-test}
workload:
  objects: 100
  size: 4KiB
  mix: {get: 60, put: 30, delete: 9, multipart: 1}
  multipart: {parts: 2, part_size: 5MiB, objects: 3}
phases:
  - {name: fill, kind: prepare, concurrency: 8}
  - {name: rise, kind: load, steps: {from: 10, to: 40, count: 3, each: 2s}, until: {achieved_below: 0.9}}
  - {name: calm, kind: load, rate: 50/s, for: 20s}
  - {name: audit, kind: audit, through: [s3-2, s3-1], list: true}
  - {name: tidy, kind: clean-up}
faults:
  - {name: kill, fault: process.kill, role: volume, pick: 2, phase: calm, after: 5s, hold: 5s}
objectives:
  - {name: available, phases: [calm], errors_below: 0.1%}
  - {name: quick, phases: [rise], op: get, percentile: 99.9, latency_below: 250ms}
"""
