//! Every operation against a small S3 in memory.

use std::collections::HashSet;

use maul_engine::operation::{ErrorClass as C, Op, Outcome as O};
use maul_engine::status::Counter;
use serde_json::json;

use crate::mini_s3::MiniS3;
use crate::plans::{plan, run, With};
use crate::server::Server;

#[test]
fn versions_written_are_the_versions_read() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let sizes = json!({"kind": "weighted", "buckets": [{"bytes": 100, "weight": 1.0}, {"bytes": 4096, "weight": 1.0},
                                                         {"bytes": 70_000, "weight": 1.0}, {"bytes": 1_000_001, "weight": 1.0}]});
    let put = run(&plan(&server.url(), "put", 10).with("/sizes", sizes.clone()));
    let get = run(&plan(&server.url(), "get", 10).with("/sizes", sizes));
    assert_eq!(
        (put.only(), get.only()),
        ((O::Ok, C::None), (O::Ok, C::None))
    );
    assert!(
        put.records
            .iter()
            .map(|record| record.bytes)
            .collect::<HashSet<_>>()
            .len()
            > 1
    );
    for (written, read) in put.records.iter().zip(&get.records) {
        assert_eq!(
            (written.key, written.version, written.bytes),
            (read.key, read.version, read.bytes)
        );
        assert_eq!((written.status, read.status), (200, 200));
    }
    let body: u64 = put.records.iter().map(|record| record.bytes).sum();
    assert!(put.get(Counter::BytesSent) > body && get.get(Counter::BytesReceived) > body);
}

#[test]
fn signed_payloads_carry_the_digest_of_the_body() {
    let server = Server::plain(|peer| {
        while let Some(request) = peer.request() {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &request.body);
            let hex: String = digest
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let status = if request.header("x-amz-content-sha256") == Some(&hex) {
                200
            } else {
                400
            };
            peer.answer(status, "", b"");
        }
    });
    for bytes in [0, 10, 4096, 200_000] {
        let plan = plan(&server.url(), "put", 2)
            .with("/s3/payload", json!("signed"))
            .with("/sizes/bytes", json!(bytes));
        assert_eq!(run(&plan).only(), (O::Ok, C::None), "{bytes}");
    }
}

#[test]
fn an_object_larger_than_any_buffer_streams_both_ways() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let bytes = 40 << 20;
    for op in ["put", "get"] {
        let plan = plan(&server.url(), op, 1)
            .with("/sizes/bytes", json!(bytes))
            .with("/timeouts/request_ms", json!(10_000));
        let ended = run(&plan);
        assert_eq!(
            (ended.only(), ended.records[0].bytes),
            ((O::Ok, C::None), bytes)
        );
    }
}

#[test]
fn a_multipart_upload_is_one_operation() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let ended = run(&plan(&server.url(), "multipart", 6));
    assert_eq!(
        ended.only(),
        (O::Ok, C::None),
        "{:?}",
        ended.status.examples
    );
    assert_eq!((s3.keys().len(), server.connections()), (4, 1));
    assert!(s3.keys().iter().all(|key| key.starts_with("maul/run/m")));
    assert!(s3.0.lock().unwrap().uploads.is_empty());
    assert!(ended
        .records
        .iter()
        .all(|record| record.bytes == 3 * 8192 && record.key >> 56 == 2));
    // The parts make one body that verifies as a whole.
    let get = plan(&server.url(), "multipart", 4)
        .with("/mix/0/op", json!("get"))
        .with("/keyspace/region", json!("multipart"))
        .with("/keyspace/objects", json!(4));
    let read = run(&get);
    assert_eq!(read.only(), (O::Ok, C::None), "{:?}", read.status.examples);
    assert!(read.records.iter().all(|record| record.bytes == 3 * 8192));
}

#[test]
fn a_failed_part_aborts_the_upload_and_nothing_took_effect() {
    let s3 = MiniS3::default();
    let script = s3.script();
    let requests = s3.clone();
    let server = Server::plain(move |peer| {
        // The third request of the connection is the second part.
        for number in 0.. {
            let Some(request) = peer.request() else {
                return;
            };
            requests
                .0
                .lock()
                .unwrap()
                .requests
                .push(format!("{} {}", request.method, request.query));
            match (number, request.method.as_str()) {
                (0, _) => peer.answer(200, "", b"<UploadId>u</UploadId>"),
                (1, _) => peer.answer(200, "ETag: \"e\"\r\n", b""),
                (2, _) => peer.answer(500, "", b"<Error><Code>InternalError</Code></Error>"),
                _ => {
                    peer.answer(204, "", b"");
                    return;
                }
            }
        }
    });
    drop(script);
    let ended = run(&plan(&server.url(), "multipart", 1));
    assert_eq!(
        ended.only(),
        (O::Fail, C::InternalError),
        "without completion there is no object"
    );
    let seen = s3.0.lock().unwrap().requests.clone();
    assert_eq!(
        seen.last().map(String::as_str),
        Some("DELETE uploadId=u"),
        "{seen:?}"
    );
}

#[test]
fn an_error_in_the_ok_of_a_completion_is_unknown() {
    let server = Server::plain(|peer| {
        while let Some(request) = peer.request() {
            match (request.method.as_str(), request.parameter("uploadId")) {
                ("POST", None) => peer.answer(200, "", b"<UploadId>u</UploadId>"),
                ("PUT", _) => peer.answer(200, "ETag: \"e\"\r\n", b""),
                ("POST", _) => {
                    peer.answer(200, "", b"\n\n <Error><Code>InternalError</Code></Error>")
                }
                _ => peer.answer(204, "", b""),
            }
        }
    });
    let ended = run(&plan(&server.url(), "multipart", 2));
    assert_eq!(ended.only(), (O::Unknown, C::ErrorInOk));
}

#[test]
fn an_upload_goes_on_when_the_server_closes_after_every_answer() {
    let s3 = MiniS3::default();
    let store = s3.clone();
    let server = Server::plain(move |peer| {
        let Some(request) = peer.request() else {
            return;
        };
        let inner = store.0.lock().unwrap().answer(&request);
        peer.answer(
            inner.0,
            &format!("{}Connection: close\r\n", inner.1),
            &inner.2,
        );
    });
    let ended = run(&plan(&server.url(), "multipart", 2));
    assert_eq!((ended.only(), server.connections()), ((O::Ok, C::None), 10));
}

#[test]
fn a_mix_creates_and_deletes_only_what_it_created() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    run(&plan(&server.url(), "put", 10));
    let mix = json!([{"op": "get", "weight": 30.0}, {"op": "put", "weight": 30.0}, {"op": "delete", "weight": 20.0},
                     {"op": "head", "weight": 10.0}, {"op": "list", "weight": 10.0}]);
    let plan = plan(&server.url(), "put", 400)
        .with("/mix", mix)
        .with("/epoch", json!(2))
        .with("/arrivals/concurrency", json!(4))
        .with("/shards", json!(2));
    let ended = run(&plan);
    assert_eq!(
        ended.only(),
        (O::Ok, C::None),
        "{:?}",
        ended.status.examples
    );
    let ops: HashSet<Op> = ended.records.iter().map(|record| record.op).collect();
    assert_eq!(ops.len(), 5);
    let created: HashSet<u64> = ended
        .records
        .iter()
        .filter(|record| record.op == Op::Put && record.key >> 56 == 1)
        .map(|record| record.key)
        .collect();
    let deleted: Vec<u64> = ended
        .records
        .iter()
        .filter(|record| record.op == Op::Delete)
        .map(|record| record.key)
        .collect();
    assert!(deleted.len() > 30 && deleted.iter().all(|key| created.contains(key)));
    assert_eq!(
        deleted.iter().collect::<HashSet<_>>().len(),
        deleted.len(),
        "none twice"
    );
    let left = s3
        .keys()
        .iter()
        .filter(|key| key.starts_with("maul/run/e"))
        .count();
    assert_eq!(left, created.len() - deleted.len());
    assert_eq!(
        s3.keys()
            .iter()
            .filter(|key| key.starts_with("maul/run/b"))
            .count(),
        10,
        "the base is untouched"
    );
    assert!(ended.get(Counter::EphemeralNext) >= created.len() as u64);
}

#[test]
fn a_fixed_key_is_read_as_it_is() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    s3.tamper(|objects| {
        objects.insert("some/thing%20else".to_owned(), vec![7; 300]);
    });
    for op in ["get", "head"] {
        let plan = plan(&server.url(), op, 3)
            .with("/keyspace/fixed_key", json!("some/thing else"))
            .with("/verify", json!(false));
        let ended = run(&plan);
        assert_eq!(ended.only(), (O::Ok, C::None));
        assert_eq!(ended.records[0].bytes, if op == "get" { 300 } else { 0 });
    }
}

#[test]
fn deleting_the_base_passes_over_it() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    run(&plan(&server.url(), "put", 10));
    assert_eq!(
        run(&plan(&server.url(), "delete", 10)).only(),
        (O::Ok, C::None)
    );
    assert!(s3.keys().is_empty());
}
