//! A machine that runs out of descriptors is a finding, not a crash. Alone in its process, because the limit is the process's.

use std::net::TcpListener;
use std::time::Duration;

use maul_engine::engine::Engine;
use maul_engine::operation::ErrorClass;
use maul_engine::status::Counter;
use rustix::process::{setrlimit, Resource, Rlimit};
use serde_json::json;

/// Room for the poller and a few connections.
const DESCRIPTORS_LEFT: u64 = 12;

#[test]
fn without_descriptors_operations_fail_and_are_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Nobody accepts: the kernel connects, no answer comes, and every operation holds its connection.
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let allowed = Some(open + DESCRIPTORS_LEFT);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: allowed,
            maximum: allowed,
        },
    )
    .unwrap();

    let plan = json!({
        "version": 3, "run": 1, "seed": 1, "epoch": 1, "shards": 1, "pin": null,
        "endpoints": [{"name": "one", "url": url, "ca_pem": null, "server_name": null, "address": null}],
        "s3": {"bucket": "b", "prefix": "p/", "region": "us-east-1", "access_key": null, "secret_key": null, "session_token": null, "payload": "unsigned", "addressing": "path", "checksum": null, "encryption": null},
        "keyspace": {"objects": 1, "choice": {"kind": "uniform"}, "region": "base", "start": 0, "ephemeral_start": 0, "ephemeral_lane": {"index": 0, "count": 1},
                     "delete_from": "ephemeral", "fixed_key": "k"},
        "sizes": {"kind": "fixed", "bytes": 1}, "mix": [{"op": "head", "weight": 1.0}], "multipart": null, "list": {"max_keys": 1, "delimiter": null, "pages": 1},
        "arrivals": {"mode": "open", "profile": [{"kind": "constant", "rate": 400.0, "seconds": 0.5}], "share": {"first": 0, "width": 1, "wheel": 1}, "process": "even"},
        "tenant": 0, "range_bytes": 1000, "multi_delete_keys": 10, "retention_s": 60, "slowest": 0,
        "connections": {"requests_each": null, "resumption": 1.0}, "slow": null,
        "timeouts": {"connect_ms": 400, "request_ms": 400},
        "limits": {"rate_per_s": 1e6, "bytes_per_s": 1e9, "in_flight": 64, "requests": 100_000, "bytes": 1_000_000, "seconds": 5.0, "connections": 64},
        "lease_ms": null, "verify": false, "record_operations": false, "late_ms": 5.0
    });
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start(None).unwrap();
    assert!(engine.join(Duration::from_secs(10)));
    let status = engine.status();
    assert_eq!(status.stop_reason, "completed");
    assert_eq!(status.counters.get(Counter::Offered), 200);
    assert_eq!(
        status.counters.get(Counter::Completed) + status.counters.get(Counter::Dropped),
        200
    );
    assert!(
        status.counters.errors[ErrorClass::Exhausted.slot()] > 10,
        "{status:?}"
    );
    let text = &status
        .examples
        .iter()
        .find(|(class, _)| *class == ErrorClass::Exhausted)
        .unwrap()
        .1;
    assert!(
        text.contains("Too many open files") && text.contains("ulimit -n"),
        "{text}"
    );
    assert_eq!(
        status.counters.get(Counter::DescriptorsExhausted),
        status.counters.errors[ErrorClass::Exhausted.slot()]
    );
}
