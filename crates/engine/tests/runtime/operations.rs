//! Every operation against a small S3 in memory, verified by bytes.

use std::collections::HashSet;

use maul_engine::operation::{ErrorClass as C, Op, Outcome as O, FLAG_SAME_REQUEST};
use serde_json::{json, Value};

use crate::mini_s3::MiniS3;
use crate::plans::{plan, run, Ended, Record, With};
use crate::server::Server;

fn mix(entries: &[(&str, f64)]) -> Value {
    entries
        .iter()
        .map(|(op, weight)| json!({"op": op, "weight": weight}))
        .collect()
}

fn multipart(parts: u32, parallel: u32) -> Value {
    json!({"parts": parts, "part_bytes": 8192, "objects": 4, "parallel": parallel})
}

/// Fills ten base keys, then runs a mix of operations one after the other.
fn filled_and_run(s3: &MiniS3, entries: &[(&str, f64)], requests: u64) -> Ended {
    let server = Server::plain(s3.script());
    run(&plan(&server.url(), "put", 10).with("/sizes/bytes", json!(20_000)));
    let plan = plan(&server.url(), "get", requests)
        .with("/mix", mix(entries))
        .with("/epoch", json!(2))
        .with("/multipart", multipart(3, 2))
        .with("/sizes/bytes", json!(20_000))
        .with("/multi_delete_keys", json!(3))
        .with("/list/max_keys", json!(4));
    run(&plan)
}

fn of(ended: &Ended, op: Op) -> Vec<&Record> {
    ended
        .records
        .iter()
        .filter(|record| record.op == op)
        .collect()
}

fn all_ok(ended: &Ended) {
    assert_eq!(
        ended.only(),
        (O::Ok, C::None),
        "{:?}",
        ended.status.examples
    );
}

#[test]
fn ranges_are_verified_wherever_they_begin() {
    let s3 = MiniS3::default();
    let ended = filled_and_run(&s3, &[("get_range", 1.0)], 200);
    all_ok(&ended);
    for record in &ended.records {
        assert_eq!(
            (record.status, record.bytes, record.version >> 48),
            (206, 1000, 1)
        );
    }
    // and whatever is not as it was written is found
    let server = Server::plain(s3.script());
    s3.tamper(|objects| {
        for body in objects.values_mut() {
            (0..body.len()).step_by(900).for_each(|at| body[at] ^= 4);
        }
    });
    let plan = plan(&server.url(), "get_range", 50).with("/sizes/bytes", json!(20_000));
    let ended = run(&plan);
    assert!(ended.records.iter().all(|record| record.outcome == O::Fail));
    assert!(
        ended.count(O::Fail, C::Corrupt) > 40,
        "{:?}",
        ended.status.examples
    );
}

#[test]
fn parts_are_read_by_their_number() {
    let s3 = MiniS3::default();
    let ended = filled_and_run(&s3, &[("multipart", 1.0), ("get_part", 3.0)], 100);
    all_ok(&ended);
    let parts = of(&ended, Op::GetPart);
    assert!(parts.len() > 50);
    for record in parts {
        assert_eq!(
            (record.status, record.bytes, record.key >> 56),
            (206, 8192, 2)
        );
        assert!(record.version > 0);
    }
}

#[test]
fn many_keys_go_in_one_request_and_have_a_row_each() {
    let s3 = MiniS3::default();
    let ended = filled_and_run(&s3, &[("put", 6.0), ("multi_delete", 1.0)], 300);
    all_ok(&ended);
    let rows = of(&ended, Op::MultiDelete);
    let first = |record: &&&Record| record.flags & FLAG_SAME_REQUEST == 0;
    let requests = s3.count(|line| line.starts_with("POST /bucket?delete"));
    assert_eq!(rows.iter().filter(first).count(), requests);
    assert!(
        rows.len() > requests * 2,
        "{} rows of {requests} requests",
        rows.len()
    );
    assert!(rows.iter().all(|record| record.item < 3));
    let keys: HashSet<u64> = rows.iter().map(|record| record.key).collect();
    assert_eq!(keys.len(), rows.len(), "none twice");
    let created = of(&ended, Op::Put);
    let created = created
        .iter()
        .filter(|record| record.key >> 56 == 1)
        .count();
    let left = s3
        .keys()
        .iter()
        .filter(|key| key.starts_with("maul/run/e"))
        .count();
    assert_eq!(left, created - rows.len());
}

#[test]
fn deleting_the_base_in_one_request_after_the_other_passes_over_it() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    run(&plan(&server.url(), "put", 10));
    let plan = plan(&server.url(), "multi_delete", 4)
        .with("/keyspace/delete_from", json!("base"))
        .with("/multi_delete_keys", json!(3));
    let ended = run(&plan);
    all_ok(&ended);
    assert_eq!((ended.records.len(), s3.keys().len()), (10, 0));
}

#[test]
fn listings_follow_their_pages() {
    for (op, name) in [
        (Op::List, "list"),
        (Op::ListV1, "list_v1"),
        (Op::ListVersions, "list_versions"),
    ] {
        let s3 = MiniS3::default();
        let server = Server::plain(s3.script());
        run(&plan(&server.url(), "put", 10));
        for (pages, exchanges) in [(1, 1), (2, 2), (9, 3)] {
            let plan = plan(&server.url(), name, 1).with(
                "/list",
                json!({"max_keys": 4, "delimiter": "/", "pages": pages}),
            );
            let ended = run(&plan);
            all_ok(&ended);
            let record = &ended.records[0];
            // behind the first of ten keys come nine: pages of four, four and one
            assert_eq!((record.op, record.exchanges), (op, exchanges), "{pages}");
            assert!(record.bytes > 100 * u64::from(exchanges));
        }
    }
}

#[test]
fn the_ceiling_of_requests_holds_for_pages_too() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    run(&plan(&server.url(), "put", 10));
    let before = s3.count(|_| true);
    let plan = plan(&server.url(), "list", 9)
        .with(
            "/list",
            json!({"max_keys": 1, "delimiter": null, "pages": 100}),
        )
        .with("/limits/requests", json!(5));
    let ended = run(&plan);
    assert_eq!(ended.status.stop_reason, "limit:requests");
    assert_eq!(s3.count(|_| true) - before, 5);
}

#[test]
fn parts_go_side_by_side_over_several_connections() {
    let s3 = MiniS3::default();
    let script = s3.script();
    let server = Server::plain(move |peer| {
        script(peer);
    });
    let plan = plan(&server.url(), "multipart", 6).with("/multipart", multipart(9, 4));
    let ended = run(&plan);
    all_ok(&ended);
    assert!(
        (2..=4).contains(&server.connections()),
        "{}",
        server.connections()
    );
    for record in &ended.records {
        assert_eq!((record.bytes, record.exchanges), (9 * 8192, 11));
        assert!(record.first_byte_ns > 0 && record.first_byte_ns < record.end_ns);
    }
    assert!(s3.0.lock().unwrap().uploads.is_empty());
    let read = run(&crate::plans::plan(&server.url(), "get", 4)
        .with("/multipart", multipart(9, 4))
        .with("/keyspace/region", json!("multipart"))
        .with("/keyspace/objects", json!(4)));
    all_ok(&read);
    assert!(read.records.iter().all(|record| record.bytes == 9 * 8192));
}

#[test]
fn many_uploads_share_few_places() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let plan = plan(&server.url(), "multipart", 30)
        .with("/multipart", multipart(5, 100))
        .with("/arrivals/concurrency", json!(3))
        .with("/limits/in_flight", json!(4))
        .with("/limits/connections", json!(4));
    let ended = run(&plan);
    all_ok(&ended);
    assert!(server.connections() <= 4);
    assert!(ended.records.iter().all(|record| record.exchanges == 7));
}

#[test]
fn an_upload_given_up_leaves_nothing() {
    let s3 = MiniS3::default();
    let ended = filled_and_run(&s3, &[("multipart_abort", 1.0)], 10);
    all_ok(&ended);
    assert!(ended.records.iter().all(|record| record.exchanges == 4));
    assert!(s3.0.lock().unwrap().uploads.is_empty());
    assert_eq!(s3.keys().len(), 10);
    assert_eq!(
        s3.count(|line| line.starts_with("GET") && line.contains("uploadId")),
        10
    );
}

#[test]
fn copies_carry_the_blocks_of_their_originals() {
    let s3 = MiniS3::default();
    let ended = filled_and_run(&s3, &[("copy", 1.0), ("multipart_copy", 1.0)], 40);
    all_ok(&ended);
    assert!(ended.records.iter().all(|record| record.key >> 56 == 3));
    assert_eq!(
        s3.keys()
            .iter()
            .filter(|key| key.starts_with("maul/run/c"))
            .count(),
        10
    );
    let server = Server::plain(s3.script());
    let read = run(&plan(&server.url(), "get", 10)
        .with("/keyspace/region", json!("copy"))
        .with("/sizes/bytes", json!(20_000)));
    all_ok(&read);
    assert!(read
        .records
        .iter()
        .all(|record| record.version >> 48 == 1 && record.bytes == 20_000));
}

#[test]
fn conditions_are_heeded_and_what_is_declined_is_as_it_should_be() {
    let s3 = MiniS3::default();
    let entries = [
        ("put_if_none_match", 2.0),
        ("put_if_match", 2.0),
        ("get_if_match", 2.0),
        ("get_if_none_match", 2.0),
        ("get", 1.0),
    ];
    let ended = filled_and_run(&s3, &entries, 400);
    all_ok(&ended);
    let statuses = |op| -> Vec<(u16, bool, u64)> {
        let mut seen: Vec<_> = of(&ended, op)
            .iter()
            .map(|record| (record.status, record.version > 0, record.bytes))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(
        statuses(Op::PutIfNoneMatch),
        [(200, true, 20_000), (412, false, 0)]
    );
    assert_eq!(statuses(Op::PutIfMatch), [(200, true, 20_000)]);
    assert_eq!(statuses(Op::GetIfMatch), [(200, true, 20_000)]);
    assert_eq!(statuses(Op::GetIfNoneMatch), [(304, false, 0)]);
}

#[test]
fn versions_are_read_and_deleted_by_their_ids() {
    let s3 = MiniS3::versioned();
    let entries = [("put", 4.0), ("get_version", 3.0), ("delete_version", 2.0)];
    let ended = filled_and_run(&s3, &entries, 400);
    all_ok(&ended);
    let deleted = of(&ended, Op::DeleteVersion);
    assert!(deleted.len() > 40 && of(&ended, Op::GetVersion).len() > 80);
    let store = s3.0.lock().unwrap();
    for record in deleted {
        let name = format!("maul/run/e{:012x}", record.key & ((1 << 48) - 1));
        assert!(!store.objects.contains_key(&name), "{name} is gone");
        assert!(store.versions[&name].is_empty(), "without a marker");
    }
}

#[test]
fn without_versions_the_plain_operation_is_done_and_named() {
    let s3 = MiniS3::default();
    let entries = [("put", 4.0), ("get_version", 3.0), ("delete_version", 2.0)];
    let ended = filled_and_run(&s3, &entries, 200);
    all_ok(&ended);
    let ops: HashSet<Op> = ended.records.iter().map(|record| record.op).collect();
    assert_eq!(ops, HashSet::from([Op::Put, Op::Get, Op::Delete]));
}

#[test]
fn tags_come_back_and_retention_lies_ahead() {
    let s3 = MiniS3::default();
    let entries = [
        ("put_tags", 1.0),
        ("get_tags", 3.0),
        ("put", 1.0),
        ("put_retention", 1.0),
    ];
    let ended = filled_and_run(&s3, &entries, 300);
    all_ok(&ended);
    let read = of(&ended, Op::GetTags);
    assert!(
        read.iter().filter(|record| record.version > 0).count() > 50,
        "tags came back"
    );
    assert!(!s3.0.lock().unwrap().retentions.is_empty());
}

#[test]
fn tags_that_do_not_come_back_are_missed() {
    let s3 = MiniS3::default();
    let script = s3.clone();
    let server = Server::plain(move |peer| {
        while let Some(request) = peer.request() {
            let mut store = script.0.lock().unwrap();
            let (status, headers, body) = store.answer(&request);
            store.tags.clear();
            peer.answer(status, &headers, &body);
        }
    });
    run(&plan(&server.url(), "put", 10));
    let plan = plan(&server.url(), "get", 200)
        .with(
            "/mix",
            mix(&[
                ("put_tags", 1.0),
                ("get_tags", 2.0),
                ("get", 1.0),
                ("get_if_match", 1.0),
            ]),
        )
        .with("/epoch", json!(2));
    let ended = run(&plan);
    assert!(ended.count(O::Fail, C::Protocol) > 10);
    assert!(of(&ended, Op::PutTags)
        .iter()
        .all(|record| record.outcome == O::Ok));
}

#[test]
fn presigned_requests_do_as_the_signed_ones() {
    let s3 = MiniS3::default();
    let ended = filled_and_run(&s3, &[("presigned_get", 1.0), ("presigned_put", 1.0)], 60);
    all_ok(&ended);
    assert!(of(&ended, Op::PresignedGet)
        .iter()
        .all(|record| record.bytes == 20_000));
    assert!(s3.count(|line| line.contains("X-Amz-Signature=")) == 60);
}

#[test]
fn an_aborted_put_is_given_up_in_the_middle() {
    let s3 = MiniS3::default();
    let ended = filled_and_run(&s3, &[("aborted_put", 1.0)], 5);
    assert_eq!(ended.only(), (O::Fail, C::GivenUp));
    assert!(ended
        .records
        .iter()
        .all(|record| record.key >> 56 == 1 && record.version > 0));
    assert_eq!(s3.keys().len(), 10, "no object came of it");
    assert_eq!(s3.count(|_| true), 10, "no request was whole");
}

#[test]
fn deleted_keys_stay_deleted() {
    let s3 = MiniS3::default();
    let entries = [("put", 2.0), ("delete", 1.0), ("get_deleted", 2.0)];
    let ended = filled_and_run(&s3, &entries, 300);
    all_ok(&ended);
    let reads = of(&ended, Op::GetDeleted);
    assert!(reads.len() > 80);
    assert!(reads
        .iter()
        .all(|record| (record.status, record.bytes) == (404, 0)));
}

#[test]
fn every_operation_goes_in_one_mix_over_two_shards() {
    let s3 = MiniS3::versioned();
    let server = Server::plain(s3.script());
    run(&plan(&server.url(), "put", 10));
    let entries: Vec<(&str, f64)> = Op::ALL
        .iter()
        .map(|op| match op {
            Op::Put => ("put", 40.0),
            Op::MultiDelete => ("multi_delete", 2.0),
            _ => (op.name(), 4.0),
        })
        .collect();
    let entries: Value = entries
        .iter()
        .map(|(op, weight)| json!({"op": op.to_lowercase(), "weight": weight}))
        .collect();
    let plan = plan(&server.url(), "get", 3000)
        .with("/mix", entries)
        .with("/epoch", json!(2))
        .with("/shards", json!(2))
        .with("/multipart", multipart(3, 2))
        .with("/multi_delete_keys", json!(3))
        .with("/arrivals/concurrency", json!(8));
    let ended = run(&plan);
    let ops: HashSet<Op> = ended.records.iter().map(|record| record.op).collect();
    assert_eq!(ops.len(), Op::COUNT, "{ops:?}");
    for record in &ended.records {
        let expected = if record.op == Op::AbortedPut {
            (O::Fail, C::GivenUp)
        } else {
            (O::Ok, C::None)
        };
        assert_eq!(
            record.result(),
            expected,
            "{record:?} {:?}",
            ended.status.examples
        );
    }
    assert!(s3.0.lock().unwrap().uploads.is_empty());
}

#[test]
fn a_range_of_a_fixed_key_lies_within_it() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    s3.tamper(|objects| {
        objects.insert("some/thing".to_owned(), vec![7; 30_000]);
    });
    let plan = plan(&server.url(), "get_range", 30)
        .with("/keyspace/fixed_key", json!("some/thing"))
        .with("/verify", json!(false));
    let ended = run(&plan);
    all_ok(&ended);
    assert!(ended.records.iter().all(|record| record.bytes == 1000));
}
