//! What is sent, byte for byte as other implementations send it (`vectors/requests.json`).

use maul_engine::plan::ChecksumAlgorithm;
use maul_engine::sigv4::{encode_path, write_query, Request, Signer, UNSIGNED_PAYLOAD};
use maul_engine::wire::outgoing::chunked_length;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/requests.json")).unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn pairs<'a>(value: &'a Value, field: &str) -> Vec<(&'a str, &'a str)> {
    let list = value[field].as_array().unwrap().iter();
    list.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect()
}

fn headers(case: &Value) -> Vec<(&str, &[u8])> {
    let list = pairs(case, "headers").into_iter();
    list.map(|(name, value)| (name, value.as_bytes())).collect()
}

fn signer(document: &Value) -> Signer {
    let (access, secret) = (text(document, "access_key"), text(document, "secret_key"));
    Signer::new(access, secret, text(document, "region"), "s3")
}

fn hex_sha256(bytes: &[u8]) -> [u8; 64] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let text: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    text.into_bytes().try_into().unwrap()
}

#[test]
fn chunks_are_signed_as_published() {
    let document = vectors();
    for case in document["chains"].as_array().unwrap() {
        let trailer = case["trailer"].as_array();
        let payload = match trailer {
            None => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Some(_) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        };
        let mut headers: Vec<(&str, &[u8])> = vec![
            ("x-amz-storage-class", b"REDUCED_REDUNDANCY"),
            ("content-encoding", b"aws-chunked"),
            ("x-amz-decoded-content-length", b"66560"),
        ];
        match trailer {
            None => headers.push(("content-length", b"66824")),
            Some(_) => headers.push(("x-amz-trailer", b"x-amz-checksum-crc32c")),
        }
        let request = Request {
            method: "PUT",
            path: b"/examplebucket/chunkObject.txt",
            query: b"",
            host: "s3.amazonaws.com",
            headers: &headers,
            payload,
            unix_s: document["unix_s"].as_u64().unwrap(),
        };
        let mut signer = signer(&document);
        let seed = signer.sign(&request, &mut Vec::new());
        assert_eq!(String::from_utf8_lossy(&seed), text(case, "seed"));
        let mut chain = signer.chain(seed);
        // what is signed meanwhile changes nothing
        let later = Request {
            unix_s: 1_900_000_000,
            ..request
        };
        signer.sign(&later, &mut Vec::new());
        for chunk in case["chunks"].as_array().unwrap() {
            let data = vec![b'a'; chunk[0].as_u64().unwrap() as usize];
            let signature = chain.chunk(&hex_sha256(&data));
            assert_eq!(
                String::from_utf8_lossy(&signature),
                chunk[1].as_str().unwrap()
            );
        }
        if let Some(trailer) = trailer {
            let lines = trailer[0].as_str().unwrap().as_bytes();
            let signature = chain.trailer(&hex_sha256(lines));
            assert_eq!(
                String::from_utf8_lossy(&signature),
                trailer[1].as_str().unwrap()
            );
        }
    }
}

#[test]
fn presigned_queries_are_those_of_botocore() {
    let document = vectors();
    for case in document["presigned"].as_array().unwrap() {
        let headers = headers(case);
        let (mut path, mut query, mut out) = (Vec::new(), Vec::new(), Vec::new());
        encode_path(text(case, "path").as_bytes(), &mut path);
        write_query(&mut pairs(case, "query"), &mut query);
        let request = Request {
            method: text(case, "method"),
            path: &path,
            query: &query,
            host: text(case, "host"),
            headers: &headers,
            payload: UNSIGNED_PAYLOAD,
            unix_s: document["unix_s"].as_u64().unwrap(),
        };
        let expires_s = case["expires_s"].as_u64().unwrap() as u32;
        let mut signer = signer(&document);
        if let Some(token) = case["session_token"].as_str() {
            signer = signer.with_session_token(token);
        }
        signer.presign(&request, expires_s, &mut out);
        let found = String::from_utf8(out).unwrap();
        let signature = format!("&X-Amz-Signature={}", text(case, "signature"));
        assert!(
            found.ends_with(&signature),
            "{}: {found}",
            text(case, "name")
        );
    }
}

#[test]
fn temporary_credentials_are_sent_and_signed_as_by_botocore() {
    let document = vectors();
    let token = text(&document, "session_token");
    let cases = document["temporary"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let headers = headers(case);
        let mut path = Vec::new();
        encode_path(text(case, "path").as_bytes(), &mut path);
        let request = Request {
            method: text(case, "method"),
            path: &path,
            query: b"",
            host: text(case, "host"),
            headers: &headers,
            payload: text(case, "payload"),
            unix_s: document["unix_s"].as_u64().unwrap(),
        };
        let mut signer = signer(&document).with_session_token(token);
        // twice: the token is still there the second time
        for _ in 0..2 {
            let mut lines = Vec::new();
            signer.sign(&request, &mut lines);
            let lines = String::from_utf8(lines).unwrap();
            assert!(
                lines.starts_with(&format!("x-amz-security-token: {token}\r\nx-amz-date: ")),
                "{lines}"
            );
            let signed = format!("\r\nauthorization: {}\r\n", text(case, "authorization"));
            assert!(lines.ends_with(&signed), "{lines}");
        }
    }
}

#[test]
fn chunked_bodies_are_as_long_as_those_of_botocore() {
    let document = vectors();
    let cases = document["framed"].as_array().unwrap();
    assert_eq!(cases.len(), 30);
    for case in cases {
        let algorithm = match text(case, "algorithm") {
            "crc32" => ChecksumAlgorithm::Crc32,
            "sha1" => ChecksumAlgorithm::Sha1,
            _ => ChecksumAlgorithm::Sha256,
        };
        let length = case["length"].as_u64().unwrap();
        let framed = chunked_length(length, false, Some(algorithm));
        assert_eq!(framed, case["framed"].as_u64().unwrap(), "{case}");
    }
    // Content-Length of the published example
    assert_eq!(chunked_length(66_560, true, None), 66_824);
}
