//! Signatures of other implementations, reproduced. Where each comes from is said in
//! `vectors/sigv4.json`.

use aws_lc_rs::digest;
use maul_engine::sigv4::{encode_path, write_query, Request, Signer};
use serde_json::Value;

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} of {case}"))
}

fn pairs<'a>(case: &'a Value, field: &str) -> Vec<(&'a str, &'a str)> {
    let members = case[field].as_array().unwrap();
    members
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn signs_like_others() {
    let document: Value = serde_json::from_str(include_str!("vectors/sigv4.json")).unwrap();
    let cases = document["cases"].as_array().unwrap();
    assert!(cases.len() >= 33);
    for case in cases {
        let name = text(case, "name");
        let (mut path, mut query) = (Vec::new(), Vec::new());
        encode_path(text(case, "path").as_bytes(), &mut path);
        write_query(&mut pairs(case, "query"), &mut query);
        let headers: Vec<(String, &str)> = pairs(case, "headers")
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let request = Request {
            method: text(case, "method"),
            path: &path,
            query: &query,
            host: text(case, "host"),
            headers: &headers,
            payload: text(case, "payload"),
            unix_s: case["unix_s"].as_u64().unwrap(),
        };
        let mut signer = Signer::new(
            text(case, "access_key"),
            text(case, "secret_key"),
            text(case, "region"),
            text(case, "service"),
        );
        // twice, because the second time everything is kept from the first
        for _ in 0..2 {
            let mut lines = b"before\r\n".to_vec();
            signer.sign(&request, &mut lines);
            let canonical = String::from_utf8_lossy(signer.canonical_request()).into_owned();
            let hash = digest::digest(&digest::SHA256, signer.canonical_request());
            assert_eq!(
                hex(hash.as_ref()),
                text(case, "canonical_sha256"),
                "{name}:\n{canonical}"
            );
            let lines = String::from_utf8(lines).unwrap();
            let signature = format!(", Signature={}\r\n", text(case, "signature"));
            assert!(lines.ends_with(&signature), "{name}: {lines}");
            assert!(
                lines.starts_with("before\r\nx-amz-date: 20"),
                "{name}: {lines}"
            );
        }
    }
}
