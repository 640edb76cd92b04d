//! maul's own engine against the server: every operation, both schemes, every body verified.

use std::time::Duration;

use maul_engine::engine::Engine;
use maul_engine::status::Counter;
use maul_null_server::{Certificate, NullServer, Settings};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{json, Value};

use crate::{settings, RUN};

fn certificate() -> (Certificate, String) {
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let certificate = Certificate(key.serialize_pem() + &own.pem());
    (certificate, own.pem())
}

fn plan(server: &NullServer, ca_pem: Option<&str>, op: &str, size: u64) -> Value {
    json!({
        "version": 3, "run": RUN, "seed": 5, "epoch": 1, "shards": 2, "pin": null,
        "endpoints": [{"name": "null", "url": server.url(), "ca_pem": ca_pem, "server_name": null, "address": null}],
        "s3": {"bucket": format!("null-{size}"), "prefix": "maul/run/", "region": "us-east-1",
               "access_key": "AKID", "secret_key": "secret", "session_token": null, "payload": "unsigned", "addressing": "path", "checksum": null, "encryption": null},
        "keyspace": {"objects": 20, "choice": {"kind": "sequential"}, "region": "base", "start": 0, "ephemeral_start": 0, "ephemeral_lane": {"index": 0, "count": 1},
                     "delete_from": if op == "delete" { "base" } else { "ephemeral" }, "fixed_key": null},
        "sizes": {"kind": "fixed", "bytes": size},
        "mix": [{"op": op, "weight": 1.0}],
        "multipart": if op == "multipart" { json!({"parts": 3, "part_bytes": 8192, "objects": 4, "parallel": 1}) } else { Value::Null },
        "list": {"max_keys": 100, "delimiter": null, "pages": 1},
        "tenant": 0, "range_bytes": 1000, "multi_delete_keys": 10, "retention_s": 60, "slowest": 0,
        "connections": {"requests_each": null, "resumption": 1.0}, "slow": null,
        "arrivals": {"mode": "closed", "concurrency": 8, "seconds": 10.0, "requests": 200, "think": null},
        "timeouts": {"connect_ms": 2000, "request_ms": 5000},
        "limits": {"rate_per_s": 1e6, "bytes_per_s": 1e12, "in_flight": 64, "requests": 1_000_000,
                   "bytes": 1_000_000_000_000u64, "seconds": 15.0, "connections": 64},
        "lease_ms": null, "verify": true, "record_operations": false, "late_ms": 5.0
    })
}

#[test]
fn every_operation_of_the_engine_is_ok_on_http_and_https() {
    let (certificate, ca_pem) = certificate();
    let plain = NullServer::start(&settings()).unwrap();
    let encrypted = NullServer::start(&Settings {
        certificate: Some(certificate),
        ..settings()
    })
    .unwrap();
    for (server, ca_pem) in [(&plain, None), (&encrypted, Some(ca_pem.as_str()))] {
        for (op, size) in [
            ("get", 4096),
            ("get", 1 << 20),
            ("put", 4096),
            ("put", 1 << 20),
            ("head", 4096),
            ("delete", 4096),
            ("list", 4096),
            ("multipart", 4096),
        ] {
            let engine = Engine::new(&plan(server, ca_pem, op, size).to_string()).unwrap();
            engine.start(None).unwrap();
            assert!(engine.join(Duration::from_secs(20)));
            let status = engine.status();
            let ok = status.counters.get(Counter::Ok);
            assert_eq!(
                ok,
                200,
                "{} {op} {size}: {:?}",
                server.url(),
                status.examples
            );
        }
    }
    assert!(plain.totals().requests >= 1600);
}
