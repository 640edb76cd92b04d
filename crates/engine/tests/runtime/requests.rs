//! The engine against a server that checks every signature, frame and checksum.

use std::sync::{Arc, Mutex};

use maul_engine::operation::{ErrorClass as C, Outcome as O};
use serde_json::{json, Value};

use crate::aws_chunked;
use crate::mini_s3::MiniS3;
use crate::plans::{plan, run, With};
use crate::server::{Peer, Request, Server};
use crate::tls::{trusting, Authority};

/// What a server saw.
#[derive(Default)]
struct Notes {
    problems: Vec<String>,
    /// Checksums of parts.
    sums: Vec<String>,
    /// Bodies that complete uploads.
    completions: Vec<String>,
}

/// Serves one connection of a store that refuses whatever is not signed, framed and summed as it says; `flip`: a byte
/// of every long body is damaged on its way.
fn strict(
    s3: &MiniS3,
    notes: &Arc<Mutex<Notes>>,
    flip: Option<usize>,
) -> impl Fn(&mut Peer) + Send + Sync + 'static {
    let (store, notes) = (s3.0.clone(), notes.clone());
    move |peer| {
        while let Some(mut request) = peer.request() {
            if let Some(byte) = flip.and_then(|place| request.body.get_mut(place)) {
                *byte ^= 1;
            }
            match aws_chunked::check(&request.head, &request.body, "secret") {
                Ok(data) => request.body = data,
                Err(problem) => {
                    notes.lock().unwrap().problems.push(problem);
                    peer.answer(400, "", b"<Error><Code>BadDigest</Code></Error>");
                    continue;
                }
            }
            note_upload(&request, &mut notes.lock().unwrap());
            let (status, headers, body) = store.lock().unwrap().answer(&request);
            peer.answer(status, &headers, &body);
        }
    }
}

fn note_upload(request: &Request, notes: &mut Notes) {
    if request.parameter("uploadId").is_none() {
        return;
    }
    let algorithm = request.header("x-amz-sdk-checksum-algorithm");
    match (request.method.as_str(), algorithm) {
        ("PUT", Some(name)) => {
            let header = format!("x-amz-checksum-{}", name.to_ascii_lowercase());
            let sum = aws_chunked::checksum(&header, &request.body).unwrap();
            let sum = format!("<Checksum{name}>{sum}</Checksum{name}>");
            notes.sums.push(sum);
        }
        ("POST", _) => {
            let text = String::from_utf8(request.body.clone()).unwrap();
            notes.completions.push(text);
        }
        _ => {}
    }
}

fn with_s3(mut plan: Value, s3: &Value) -> Value {
    for (key, value) in s3.as_object().unwrap() {
        plan["s3"][key] = value.clone();
    }
    plan
}

#[test]
fn what_is_written_in_any_mode_is_read_back_whole() {
    let (s3, notes) = (MiniS3::default(), Arc::default());
    let server = Server::plain(strict(&s3, &notes, None));
    for mode in [
        json!({"payload": "signed", "checksum": {"algorithm": "sha256", "in": "header"}}),
        json!({"payload": "unsigned", "checksum": {"algorithm": "crc64nvme", "in": "header"}}),
        json!({"payload": "chunked"}),
        json!({"payload": "chunked", "checksum": {"algorithm": "crc32c", "in": "trailer"}}),
        json!({"payload": "chunked", "checksum": {"algorithm": "sha1", "in": "header"}}),
        json!({"payload": "unsigned-trailer", "checksum": {"algorithm": "crc32", "in": "trailer"}}),
        json!({"encryption": "sse-s3"}),
    ] {
        for bytes in [0u64, 1, 4_096, 65_535, 65_536, 65_537, 300_000] {
            for op in ["put", "get"] {
                let plan =
                    with_s3(plan(&server.url(), op, 10), &mode).with("/sizes/bytes", json!(bytes));
                let ended = run(&plan);
                let found = notes.lock().unwrap().problems.clone();
                assert_eq!(
                    ended.only(),
                    (O::Ok, C::None),
                    "{mode} {op} {bytes} {found:?}"
                );
                // of a body, its own bytes are counted, not its frames
                assert!(ended.records.iter().all(|record| record.bytes == bytes));
            }
        }
    }
}

#[test]
fn parts_of_uploads_are_framed_and_summed_too_and_the_end_repeats_their_sums() {
    for mode in [
        json!({"payload": "chunked", "checksum": {"algorithm": "crc32c", "in": "trailer"}}),
        json!({"payload": "unsigned-trailer", "checksum": {"algorithm": "sha1", "in": "trailer"}}),
        json!({"payload": "signed", "checksum": {"algorithm": "sha256", "in": "header"}}),
    ] {
        let (s3, notes) = (MiniS3::default(), Arc::default());
        let server = Server::plain(strict(&s3, &notes, None));
        let plan = with_s3(plan(&server.url(), "multipart", 4), &mode)
            .with("/multipart/part_bytes", json!(70_000));
        let ended = run(&plan);
        let notes = notes.lock().unwrap();
        assert_eq!(ended.only(), (O::Ok, C::None), "{:?}", notes.problems);
        assert_eq!((notes.completions.len(), notes.sums.len()), (4, 12));
        for (text, sums) in notes.completions.iter().zip(notes.sums.chunks(3)) {
            let places: Vec<_> = sums.iter().map(|sum| text.find(sum)).collect();
            assert!(
                places.is_sorted() && places[0].is_some(),
                "{sums:?} in {text}"
            );
        }
    }
}

#[test]
fn a_store_that_finds_another_checksum_says_so() {
    let (s3, notes) = (MiniS3::default(), Arc::default());
    let server = Server::plain(strict(&s3, &notes, Some(60_000)));
    let mode =
        json!({"payload": "unsigned-trailer", "checksum": {"algorithm": "crc32", "in": "trailer"}});
    let plan = with_s3(plan(&server.url(), "put", 1), &mode).with("/sizes/bytes", json!(70_000));
    let ended = run(&plan);
    assert_eq!((ended.only().0, ended.records[0].status), (O::Fail, 400));
    let found = notes.lock().unwrap().problems.clone();
    assert!(found[0].starts_with("x-amz-checksum-crc32"), "{found:?}");
}

/// As a client does that is told `https://bucket.s3.example`: the certificate must be good for that name.
#[test]
fn the_bucket_before_the_host_is_whom_the_certificate_names() {
    let authority = Authority::new("ours");
    for (names, result) in [
        (&["*.s3.example"][..], (O::Ok, C::None)),
        (&["s3.example"][..], (O::Fail, C::TlsFailed)),
    ] {
        let config = Arc::new(authority.server(names, false));
        let (hosts, seen) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(Mutex::new(Vec::new())),
        );
        let (noted, noted_paths) = (hosts.clone(), seen.clone());
        let server = Server::tls(config, move |peer| {
            while let Some(request) = peer.request() {
                let checked = aws_chunked::check(&request.head, &request.body, "secret");
                let host = request.header("host").unwrap().to_owned();
                noted.lock().unwrap().push(host);
                noted_paths
                    .lock()
                    .unwrap()
                    .push((request.path, checked.is_ok()));
                peer.answer(200, "", b"");
            }
        });
        let port = server.address.port();
        let plan = trusting(
            plan(&format!("https://s3.example:{port}"), "put", 1),
            &authority,
        )
        .with("/endpoints/0/address", json!("127.0.0.1"))
        .with("/s3/addressing", json!("virtual"))
        .with("/s3/encryption", json!("sse-c"));
        let ended = run(&plan);
        assert_eq!(ended.only(), result, "{:?}", ended.status.examples);
        if result.0 == O::Ok {
            assert_eq!(
                *hosts.lock().unwrap(),
                [format!("bucket.s3.example:{port}")]
            );
            let (path, good) = seen.lock().unwrap()[0].clone();
            assert!(good && path.starts_with("/maul/run/"), "{path}");
        }
    }
}
