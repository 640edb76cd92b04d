//! Servers that answer operations wrongly, each in its own way.

use maul_engine::operation::{ErrorClass as C, Op, Outcome as O};
use serde_json::json;

use crate::mini_s3::MiniS3;
use crate::plans::{plan, run, Ended, With};
use crate::server::{Request, Server};

/// A server that changes the honest answers.
fn lying(
    s3: &MiniS3,
    lie: impl Fn(&Request, &mut (u16, String, Vec<u8>)) + Send + Sync + 'static,
) -> Server {
    let s3 = s3.clone();
    Server::plain(move |peer| {
        while let Some(request) = peer.request() {
            let mut reply = s3.0.lock().unwrap().answer(&request);
            lie(&request, &mut reply);
            peer.answer(reply.0, &reply.1, &reply.2);
        }
    })
}

fn filled(s3: &MiniS3) {
    let server = Server::plain(s3.script());
    run(&plan(&server.url(), "put", 10).with("/sizes/bytes", json!(20_000)));
}

fn one(server: &Server, op: &str) -> Ended {
    run(&plan(&server.url(), op, 5)
        .with("/epoch", json!(2))
        .with("/sizes/bytes", json!(20_000)))
}

#[test]
fn another_range_than_asked_for_is_no_answer() {
    let s3 = MiniS3::default();
    filled(&s3);
    for (from, to) in [
        ("bytes ", "bytes 9"),
        ("/20000", "/20001"),
        ("Content-Range", "X"),
    ] {
        let server = lying(&s3, move |_, (_, headers, _)| {
            *headers = headers.replace(from, to);
        });
        let (outcome, class) = one(&server, "get_range").only();
        assert_eq!(outcome, O::Fail);
        assert!(
            [C::Protocol, C::Corrupt].contains(&class),
            "{to}: {class:?}"
        );
    }
    let whole = lying(&s3, |_, (status, ..)| *status = 200);
    assert_eq!(one(&whole, "get_range").only(), (O::Fail, C::Protocol));
    let shifted = lying(&s3, |_, (_, _, body)| body.rotate_left(1));
    assert_eq!(one(&shifted, "get_range").records[0].outcome, O::Fail);
}

#[test]
fn listings_that_never_end_are_left() {
    let page = |token: &str| {
        format!("<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken></ListBucketResult>")
    };
    let same = Server::plain(move |peer| {
        while peer.request().is_some() {
            peer.answer(200, "", page("same").as_bytes());
        }
    });
    let list = json!({"max_keys": 4, "delimiter": null, "pages": 50});
    let plan_of = |server: &Server| plan(&server.url(), "list", 1).with("/list", list.clone());
    let ended = run(&plan_of(&same));
    assert_eq!(
        (ended.only(), ended.records[0].exchanges),
        ((O::Fail, C::Protocol), 2)
    );
    // one that always has another token is followed as far as was asked
    let number = std::sync::atomic::AtomicU64::new(0);
    let endless = Server::plain(move |peer| {
        while peer.request().is_some() {
            let token = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            peer.answer(200, "", page(&token.to_string()).as_bytes());
        }
    });
    let ended = run(&plan_of(&endless));
    assert_eq!(
        (ended.only(), ended.records[0].exchanges),
        ((O::Ok, C::None), 50)
    );
}

#[test]
fn keys_that_the_answer_does_not_name_may_be_gone_or_not() {
    let s3 = MiniS3::default();
    let server = lying(&s3, |request, (_, _, body)| {
        if request.parameter("delete").is_some() {
            let text = String::from_utf8(body.clone()).unwrap();
            let first = text.find("</Deleted>").unwrap() + "</Deleted>".len();
            let error = "<Error><Key>maul/run/e000000000001</Key><Code>AccessDenied</Code></Error>";
            *body = format!("{}{error}</DeleteResult>", &text[..first]).into_bytes();
        }
    });
    let mix = json!([{"op": "put", "weight": 4.0}, {"op": "multi_delete", "weight": 1.0}]);
    let plan = plan(&server.url(), "put", 60)
        .with("/mix", mix)
        .with("/multi_delete_keys", json!(4));
    let ended = run(&plan);
    let rows: Vec<_> = ended
        .records
        .iter()
        .filter(|record| record.op == Op::MultiDelete)
        .collect();
    assert!(rows.iter().any(|row| row.result() == (O::Ok, C::None)));
    assert!(rows
        .iter()
        .any(|row| row.result() == (O::Unknown, C::Protocol)));
    assert_eq!(
        rows.iter()
            .filter(|row| row.result() == (O::Fail, C::AccessDenied))
            .count(),
        1
    );
}

#[test]
fn conditions_that_are_not_heeded_are_told() {
    let s3 = MiniS3::default();
    filled(&s3);
    // writes and reads as if there were no conditions
    let store = s3.clone();
    let server = Server::plain(move |peer| {
        while let Some(mut request) = peer.request() {
            request.head = request.head.replace("if-none-match", "x-ignored");
            let reply = store.0.lock().unwrap().answer(&request);
            peer.answer(reply.0, &reply.1, &reply.2);
        }
    });
    let mix = json!([{"op": "get", "weight": 1.0}, {"op": "put_if_none_match", "weight": 1.0},
                     {"op": "get_if_none_match", "weight": 1.0}]);
    let plan = plan(&server.url(), "get", 200)
        .with("/mix", mix)
        .with("/epoch", json!(2))
        .with("/sizes/bytes", json!(20_000));
    let ended = run(&plan);
    let results = |op, outcome| {
        ended
            .records
            .iter()
            .filter(|record| record.op == op && record.result() == (outcome, C::ConditionIgnored))
            .count()
    };
    assert!(results(Op::PutIfNoneMatch, O::Unknown) > 20);
    assert!(results(Op::GetIfNoneMatch, O::Fail) > 40);
    assert_eq!(ended.count(O::Fail, C::PreconditionFailed), 0);
}

#[test]
fn the_past_is_found_by_the_shard_that_overwrote_it() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    // one key: written twice by this engine, then put back to the first
    let store = s3.clone();
    let puts = std::sync::atomic::AtomicUsize::new(0);
    let first = std::sync::Mutex::new(Vec::new());
    let liar = Server::plain(move |peer| {
        while let Some(request) = peer.request() {
            let mut reply = store.0.lock().unwrap().answer(&request);
            if request.method == "PUT" {
                if puts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                    *first.lock().unwrap() = request.body.clone();
                }
            } else if puts.load(std::sync::atomic::Ordering::SeqCst) > 1 {
                reply = (200, String::new(), first.lock().unwrap().clone());
            }
            peer.answer(reply.0, &reply.1, &reply.2);
        }
    });
    drop(server);
    let mix = json!([{"op": "put", "weight": 1.0}, {"op": "get", "weight": 1.0}]);
    let plan = plan(&liar.url(), "put", 60)
        .with("/mix", mix)
        .with("/keyspace/objects", json!(1));
    let ended = run(&plan);
    assert!(
        ended.count(O::Fail, C::Stale) > 15,
        "{:?}",
        ended.status.examples
    );
    assert!(!ended.example(C::Stale).is_empty());
    let stale = ended.records.iter().find(|record| record.class == C::Stale);
    assert!(
        stale.unwrap().version > 0,
        "the record says which version was seen"
    );
}

#[test]
fn another_version_than_the_one_named_is_corrupt() {
    let s3 = MiniS3::versioned();
    filled(&s3);
    let store = s3.clone();
    let server = Server::plain(move |peer| {
        while let Some(mut request) = peer.request() {
            // always the newest
            if request.parameter("versionId").is_some() {
                request.query.clear();
            }
            let reply = store.0.lock().unwrap().answer(&request);
            peer.answer(reply.0, &reply.1, &reply.2);
        }
    });
    let mix = json!([{"op": "get", "weight": 1.0}, {"op": "get_version", "weight": 1.0}]);
    let warm = plan(&server.url(), "get", 30)
        .with("/mix", mix)
        .with("/sizes/bytes", json!(20_000));
    assert_eq!(
        run(&warm).only(),
        (O::Ok, C::None),
        "the newest is the one named"
    );
    let mix = json!([{"op": "put", "weight": 2.0}, {"op": "get_version", "weight": 1.0}]);
    let two = plan(&server.url(), "get", 200)
        .with("/mix", mix)
        .with("/shards", json!(2))
        .with("/keyspace/choice/kind", json!("uniform"))
        .with("/epoch", json!(2))
        .with("/arrivals/concurrency", json!(2))
        .with("/sizes/bytes", json!(20_000));
    let ended = run(&two);
    assert!(
        ended.count(O::Fail, C::Corrupt) > 0,
        "{:?}",
        ended.status.examples
    );
}

#[test]
fn deleted_objects_that_come_back_are_told() {
    let s3 = MiniS3::default();
    filled(&s3);
    let any =
        s3.0.lock()
            .unwrap()
            .objects
            .values()
            .next()
            .unwrap()
            .clone();
    let server = lying(&s3, move |_, reply| {
        if reply.0 == 404 {
            *reply = (200, String::new(), any.clone());
        }
    });
    let mix = json!([{"op": "put", "weight": 1.0}, {"op": "delete", "weight": 1.0}, {"op": "get_deleted", "weight": 1.0}]);
    let ended = run(&plan(&server.url(), "put", 60)
        .with("/mix", mix)
        .with("/epoch", json!(2))
        .with("/sizes/bytes", json!(20_000)));
    assert!(ended.count(O::Fail, C::Resurrected) > 5);
}

#[test]
fn uploads_survive_liars() {
    type Lie = fn(&Request, &mut (u16, String, Vec<u8>));
    let lies: [(&str, &str, Lie, (O, C)); 6] = [
        (
            "no id",
            "multipart",
            |_, reply| reply.2.retain(|byte| *byte != b'U'),
            (O::Fail, C::Protocol),
        ),
        (
            "no etag",
            "multipart",
            |request, reply| {
                if request.method == "PUT" {
                    reply.1.clear()
                }
            },
            (O::Fail, C::Protocol),
        ),
        (
            "error in ok",
            "multipart",
            |request, reply| {
                if request.method == "POST" && request.parameter("uploadId").is_some() {
                    reply.2 = b"   \n<Error><Code>InternalError</Code></Error>".to_vec();
                }
            },
            (O::Unknown, C::ErrorInOk),
        ),
        (
            "parts not listed",
            "multipart_abort",
            |request, reply| {
                if request.method == "GET" {
                    reply.2 = b"<ListPartsResult></ListPartsResult>".to_vec()
                }
            },
            (O::Fail, C::Protocol),
        ),
        (
            "busy copy",
            "multipart_copy",
            |request, reply| {
                if request.method == "PUT" {
                    reply.2 = b"<Error><Code>SlowDown</Code></Error>".to_vec()
                }
            },
            (O::Fail, C::ErrorInOk),
        ),
        (
            "error in copy",
            "copy",
            |request, reply| {
                if request.method == "PUT" {
                    reply.2 = b"<Error><Code>InternalError</Code></Error>".to_vec()
                }
            },
            (O::Unknown, C::ErrorInOk),
        ),
    ];
    for (what, op, lie, expected) in lies {
        let s3 = MiniS3::default();
        filled(&s3);
        let server = lying(&s3, lie);
        let ended = one(&server, op);
        assert_eq!(ended.only(), expected, "{what}");
        if what != "no id" {
            assert!(
                s3.0.lock().unwrap().uploads.is_empty(),
                "{what}: cleared away"
            );
        }
    }
}

#[test]
fn a_part_that_fails_among_others_is_recorded_once_and_cleared_away() {
    let s3 = MiniS3::default();
    let server = lying(&s3, |request, reply| {
        if request.parameter("partNumber") == Some("3") {
            *reply = (
                503,
                String::new(),
                b"<Error><Code>SlowDown</Code></Error>".to_vec(),
            );
        }
    });
    let ended = run(&plan(&server.url(), "multipart", 10)
        .with("/arrivals/concurrency", json!(3))
        .with(
            "/multipart",
            json!({"parts": 8, "part_bytes": 8192, "objects": 4, "parallel": 4}),
        ));
    assert_eq!(
        (ended.only(), ended.records.len()),
        ((O::Fail, C::SlowDown), 10)
    );
    let store = s3.0.lock().unwrap();
    assert!(store.uploads.is_empty() && store.objects.is_empty());
}

#[test]
fn a_connection_that_dies_under_a_part_is_cleared_away_over_another() {
    let s3 = MiniS3::default();
    let store = s3.clone();
    let server = Server::plain(move |peer| {
        while let Some(request) = peer.request() {
            if request.parameter("partNumber") == Some("2") {
                return peer.reset();
            }
            let reply = store.0.lock().unwrap().answer(&request);
            peer.answer(reply.0, &reply.1, &reply.2);
        }
    });
    for parallel in [1, 3] {
        let ended = run(&plan(&server.url(), "multipart", 4).with(
            "/multipart",
            json!({"parts": 6, "part_bytes": 8192, "objects": 4, "parallel": parallel}),
        ));
        assert_eq!(ended.only(), (O::Fail, C::Reset));
        assert!(
            s3.0.lock().unwrap().uploads.is_empty(),
            "{parallel} at once"
        );
    }
}

#[test]
fn refusals_of_conditions_that_nobody_asked_for_are_errors() {
    for (status, class) in [
        (412, C::PreconditionFailed),
        (304, C::NotModified),
        (416, C::InvalidRange),
        (501, C::NotImplemented),
    ] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        let server = Server::answering(answer);
        assert_eq!(one(&server, "get").only(), (O::Fail, class), "{status}");
    }
    for (code, class) in [
        ("RequestTimeout", C::RequestTimeout),
        ("BadDigest", C::ChecksumRefused),
        ("XAmzContentSHA256Mismatch", C::ChecksumRefused),
        ("InvalidDigest", C::ChecksumRefused),
    ] {
        let body = format!("<Error><Code>{code}</Code></Error>");
        let length = body.len();
        let server = Server::answering(format!(
            "HTTP/1.1 400 X\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(one(&server, "put").only(), (O::Fail, class), "{code}");
    }
}

#[test]
fn a_checksum_header_that_is_anothers_is_told() {
    for (header, algorithm) in [
        ("x-amz-checksum-crc32c", "crc32c"),
        ("x-amz-checksum-crc32", "crc32"),
    ] {
        let result = |value: Option<&str>| {
            let s3 = MiniS3::default();
            filled(&s3);
            let value = value.map(str::to_owned);
            let server = lying(&s3, move |request, (_, headers, body)| {
                assert_eq!(request.header("x-amz-checksum-mode"), Some("ENABLED"));
                let crc = match algorithm {
                    "crc32" => crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body),
                    _ => crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, body),
                };
                let right = maul_engine::body::checksum::Sum::of(&crc.to_be_bytes()[4..]);
                let right = std::str::from_utf8(right.as_bytes()).unwrap().to_owned();
                let value = value.clone().unwrap_or(right);
                *headers += &format!("{header}: {value}\r\n");
            });
            let get = plan(&server.url(), "get", 5)
                .with("/epoch", json!(2))
                .with("/sizes/bytes", json!(20_000))
                .with(
                    "/s3/checksum",
                    json!({"algorithm": algorithm, "in": "header"}),
                );
            run(&get).only()
        };
        assert_eq!(result(None), (O::Ok, C::None), "{algorithm}");
        assert_eq!(result(Some("AAAAAA==")), (O::Fail, C::ChecksumMismatch));
        assert_eq!(result(Some("AAAAAA==-3")), (O::Ok, C::None), "of parts");
    }
}
