//! What is sent, read back by a server's side that was written from the specification. What other implementations make
//! of it is in `request_vectors.rs`.

#[path = "runtime/aws_chunked.rs"]
mod aws_chunked;

use maul_engine::body::{fill, BodyId};
use maul_engine::operation::{Key, Region};
use maul_engine::plan::Plan;
use maul_engine::wire::outgoing::CHUNK_BYTES;
use maul_engine::wire::request::{Ask, BodyRange, Encoder, Outgoing, Payload, Resource, Role};
use maul_engine::wire::Source;
use proptest::prelude::*;
use serde_json::{json, Value};

#[test]
fn a_session_token_goes_with_every_request_of_a_plan() {
    let plan = plan(&json!({"session_token": "t/k+n"}));
    for presigned in [false, true] {
        let mut query = [];
        let mut ask = ask(Role::Read, Payload::None, &mut query);
        ask.presigned = presigned;
        let (head, _) = sent(&mut Encoder::new(&plan), &mut ask, 4096);
        let line = head.contains("\r\nx-amz-security-token: t/k+n\r\n");
        let parameter = head.contains("&X-Amz-Security-Token=t%2Fk%2Bn&X-Amz-SignedHeaders=");
        assert_eq!((line, parameter), (!presigned, presigned), "{head}");
        assert_eq!(
            head.contains(
                "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
            ),
            !presigned,
            "{head}"
        );
    }
}

fn plan(s3: &Value) -> Plan {
    let mut plan: Value = serde_json::from_str(include_str!("vectors/plan.json")).unwrap();
    plan["endpoints"] = json!([{"name": "a", "url": "https://s3.example:8443", "ca_pem": null,
                                "server_name": null, "address": "127.0.0.1"}]);
    for (key, value) in s3.as_object().unwrap() {
        plan["s3"][key] = value.clone();
    }
    plan["s3"]["access_key"] = json!("AKID");
    plan["s3"]["secret_key"] = json!("secret");
    plan["s3"]["bucket"] = json!("bench");
    Plan::parse(&plan.to_string()).unwrap()
}

const ID: BodyId = BodyId {
    run: 7,
    key: 9,
    version: 3,
    size: 1 << 20,
};

fn ask<'a, 'q>(
    role: Role,
    payload: Payload<'a>,
    query: &'q mut [(&'a str, &'a str)],
) -> Ask<'a, 'q> {
    let method = match role {
        Role::Read => "GET",
        Role::Create => "POST",
        _ => "PUT",
    };
    Ask {
        method,
        endpoint: 0,
        role,
        resource: Resource::Object(Key::new(Region::Base, 9)),
        query,
        headers: &[],
        presigned: false,
        payload,
        closes: false,
        unix_s: 1_800_000_000,
    }
}

/// Everything that is sent, taken in rooms of one size.
fn sent(encoder: &mut Encoder, ask: &mut Ask<'_, '_>, room: usize) -> (String, Vec<u8>) {
    let (mut out, mut bytes, mut room) = (Outgoing::default(), Vec::new(), vec![0; room]);
    encoder.encode(ask, &mut out);
    while !out.is_spent() {
        let filled = out.fill(&mut room);
        assert!(filled > 0, "it goes on");
        bytes.extend_from_slice(&room[..filled]);
    }
    assert_eq!(out.fill(&mut room), 0);
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    let body = bytes.split_off(end);
    (String::from_utf8(bytes).unwrap(), body)
}

fn announced(head: &str) -> usize {
    let (_, rest) = head.split_once("content-length: ").unwrap();
    rest.split_once("\r\n").unwrap().0.parse().unwrap()
}

/// Every way to send a body: (payload, checksum).
fn modes() -> Vec<Value> {
    let mut modes = Vec::new();
    for payload in ["unsigned", "signed", "chunked", "unsigned-trailer"] {
        for algorithm in ["", "crc32", "crc32c", "crc64nvme", "sha1", "sha256"] {
            for place in ["header", "trailer"] {
                let chunked = payload == "chunked" || payload == "unsigned-trailer";
                let checksum = match algorithm {
                    "" if place == "trailer" => continue,
                    "" => Value::Null,
                    _ => json!({"algorithm": algorithm, "in": place}),
                };
                let possible = match payload {
                    "unsigned-trailer" => !checksum.is_null() && place == "trailer",
                    _ => place == "header" || chunked,
                };
                if possible {
                    modes.push(json!({"payload": payload, "checksum": checksum}));
                }
            }
        }
    }
    modes
}

fn read_back(encoder: &mut Encoder, start: u64, end: u64, room: usize) -> Result<(), String> {
    let id = BodyId { size: end, ..ID };
    let range = Payload::Blocks(BodyRange { id, start, end });
    let (head, body) = sent(encoder, &mut ask(Role::Put, range, &mut []), room);
    assert_eq!(announced(&head), body.len(), "{head}");
    let mut expected = vec![0; (end - start) as usize];
    fill(&id, start, &mut expected);
    let found = aws_chunked::check(&head, &body, "secret")?;
    assert!(found == expected, "{start}..{end} in rooms of {room}");
    Ok(())
}

#[test]
fn every_mode_is_what_a_server_reads() {
    let modes = modes();
    assert_eq!(modes.len(), 6 + 6 + 11 + 5);
    for mode in modes {
        let mut encoder = Encoder::new(&plan(&mode));
        let chunk = CHUNK_BYTES;
        for length in [
            0,
            1,
            4_096,
            8_192,
            8_193,
            chunk - 1,
            chunk,
            chunk + 1,
            2 * chunk + 70,
        ] {
            for room in [48 * 1024, 64 * 1024] {
                read_back(&mut encoder, 0, length, room)
                    .unwrap_or_else(|error| panic!("{mode} {length}: {error}"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Any range of a body, in rooms of any size, in any chunked mode.
    #[test]
    fn any_range_in_any_room_is_what_a_server_reads(
        start in 0u64..10_000, length in 0u64..200_000, room in 300usize..140_000, mode in 0usize..3,
    ) {
        let mode = [
            json!({"payload": "chunked", "checksum": null}),
            json!({"payload": "chunked", "checksum": {"algorithm": "crc64nvme", "in": "trailer"}}),
            json!({"payload": "unsigned-trailer", "checksum": {"algorithm": "sha1", "in": "trailer"}}),
        ][mode].clone();
        let mut encoder = Encoder::new(&plan(&mode));
        read_back(&mut encoder, start, start + length, room).unwrap();
    }
}

/// The server's side must not accept what is wrong, or the tests above say nothing.
#[test]
fn one_wrong_byte_is_noticed() {
    for mode in modes() {
        let mut encoder = Encoder::new(&plan(&mode));
        let range = Payload::Blocks(BodyRange {
            id: ID,
            start: 0,
            end: 70_000,
        });
        let (head, body) = sent(&mut encoder, &mut ask(Role::Put, range, &mut []), 65_536);
        aws_chunked::check(&head, &body, "secret").unwrap();
        assert!(aws_chunked::check(&head, &body, "other").is_err(), "{mode}");
        assert!(aws_chunked::check(&head.replace("PUT", "POST"), &body, "secret").is_err());
        if mode["payload"] == "unsigned" && mode["checksum"].is_null() {
            continue;
        }
        for place in [0, 200, 66_000, body.len() - 30, body.len() - 1] {
            let mut wrong = body.clone();
            wrong[place] ^= 1;
            assert!(
                aws_chunked::check(&head, &wrong, "secret").is_err(),
                "{mode} at {place}"
            );
        }
    }
}

#[test]
fn presigned_requests_say_nothing_about_the_body() {
    let mode = json!({"payload": "chunked", "checksum": {"algorithm": "crc32c", "in": "trailer"}, "encryption": "sse-c"});
    let mut encoder = Encoder::new(&plan(&mode));
    let range = Payload::Blocks(BodyRange {
        id: ID,
        start: 0,
        end: 5_000,
    });
    let mut query = [("versionId", "a/b")];
    let mut ask = ask(Role::Put, range, &mut query);
    ask.presigned = true;
    let (head, body) = sent(&mut encoder, &mut ask, 65_536);
    assert_eq!((announced(&head), body.len()), (5_000, 5_000));
    assert!(
        head.starts_with("PUT /bench/") && head.contains("&X-Amz-Expires=300&"),
        "{head}"
    );
    for absent in [
        "authorization",
        "checksum",
        "chunked",
        "x-amz-date",
        "content-sha256",
    ] {
        assert!(!head.contains(absent), "{absent}: {head}");
    }
    assert!(head.contains("\r\nx-amz-server-side-encryption-customer-key: "));
    aws_chunked::check(&head, &body, "secret").unwrap();
}

#[test]
fn further_headers_are_sent_and_signed() {
    let mut encoder = Encoder::new(&plan(&json!({})));
    let mut ask = ask(Role::Copy, Payload::None, &mut []);
    ask.headers = &[
        ("x-amz-copy-source", b"/bench/maul/r/b0"),
        ("if-none-match", b"*"),
        ("range", b"bytes=0-9"),
    ];
    let (head, _) = sent(&mut encoder, &mut ask, 65_536);
    let names =
        "SignedHeaders=host;if-none-match;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date,";
    assert!(head.contains(names), "{head}");
    assert!(head.contains("\r\nif-none-match: *\r\n"), "{head}");
    aws_chunked::check(&head, b"", "secret").unwrap();
}

fn names_of(encryption: &str, role: Role) -> Vec<String> {
    let mut encoder = Encoder::new(&plan(&json!({"encryption": encryption})));
    let (head, _) = sent(&mut encoder, &mut ask(role, Payload::None, &mut []), 65_536);
    aws_chunked::check(&head, b"", "secret").unwrap();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.contains("encryption"))
        .collect()
}

#[test]
fn encryption_is_asked_for_where_s3_wants_it() {
    use Role::{Copy, CopyPart, Create, Other, Part, Put, Read};
    let roles = [Put, Create, Part, Copy, CopyPart, Read, Other];
    let counts = |kind| roles.map(|role| names_of(kind, role).len());
    assert_eq!(counts("sse-s3"), [1, 1, 0, 1, 0, 0, 0]);
    assert_eq!(counts("sse-c"), [3, 3, 3, 6, 6, 3, 0]);
    let copy = names_of("sse-c", Copy).join(" ");
    assert!(
        copy.contains("x-amz-copy-source-server-side-encryption-customer-key-md5"),
        "{copy}"
    );
}

#[test]
fn the_key_of_a_run_is_its_own_and_its_md5_fits() {
    let key = |run: u64| {
        let mut plan = plan(&json!({"encryption": "sse-c"}));
        plan.run = run;
        let mut encoder = Encoder::new(&plan);
        let (head, _) = sent(
            &mut encoder,
            &mut ask(Role::Read, Payload::None, &mut []),
            65_536,
        );
        let value = |name: &str| {
            let (_, rest) = head.split_once(&format!("customer-{name}: ")).unwrap();
            rest.split_once("\r\n").unwrap().0.to_owned()
        };
        (value("key"), value("key-md5"))
    };
    assert_ne!(key(1), key(2));
    // SHA-256 of "maul sse-c key of run " and eight bytes, little endian; made with Python's hashlib
    assert_eq!(key(1).0, "6MUKo/Yphy2ThHW2TbN/c4O19GiB1QEaaLZROZGPccs=");
    assert_eq!(key(1).1, "Wzhul+zCvmOic9JA4ujXaA==");
}

#[test]
fn a_create_names_the_checksum_of_its_parts() {
    for (algorithm, name, kind) in [
        ("crc64nvme", "CRC64NVME", "FULL_OBJECT"),
        ("sha1", "SHA1", "COMPOSITE"),
    ] {
        let mode = json!({"checksum": {"algorithm": algorithm, "in": "header"}});
        let mut encoder = Encoder::new(&plan(&mode));
        let (head, _) = sent(
            &mut encoder,
            &mut ask(Role::Create, Payload::Bytes(b""), &mut [("uploads", "")]),
            65_536,
        );
        let expected =
            format!("\r\nx-amz-checksum-algorithm: {name}\r\nx-amz-checksum-type: {kind}\r\n");
        assert!(head.contains(&expected), "{head}");
        aws_chunked::check(&head, b"", "secret").unwrap();
    }
}

#[test]
fn a_bucket_can_stand_before_the_host() {
    let mut encoder = Encoder::new(&plan(&json!({"addressing": "virtual"})));
    let (head, _) = sent(
        &mut encoder,
        &mut ask(Role::Read, Payload::None, &mut []),
        65_536,
    );
    assert!(
        head.contains("\r\nhost: bench.s3.example:8443\r\n"),
        "{head}"
    );
    assert!(!head.lines().next().unwrap().contains("bench"), "{head}");
    aws_chunked::check(&head, b"", "secret").unwrap();
    let mut list = ask(Role::Other, Payload::None, &mut []);
    list.resource = Resource::Bucket;
    list.method = "GET";
    let (head, _) = sent(&mut encoder, &mut list, 65_536);
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
}
