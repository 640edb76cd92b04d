//! Bodies that are not what was written.

use maul_engine::operation::{ErrorClass as C, Outcome as O};
use serde_json::json;

use crate::mini_s3::MiniS3;
use crate::plans::{plan, run, With};
use crate::server::Server;

/// Writes ten objects of 10 000 bytes, lets the test tamper, reads them back.
fn after(change: impl FnOnce(&mut std::collections::BTreeMap<String, Vec<u8>>)) -> Vec<(O, C)> {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let put = plan(&server.url(), "put", 10).with("/sizes/bytes", json!(10_000));
    assert_eq!(run(&put).only(), (O::Ok, C::None));
    s3.tamper(change);
    let get = plan(&server.url(), "get", 10).with("/sizes/bytes", json!(10_000));
    let ended = run(&get);
    ended.records.iter().map(|record| record.result()).collect()
}

fn name(index: u64) -> String {
    format!("maul/run/b{index:012x}")
}

#[test]
fn what_was_written_is_read() {
    assert!(after(|_| {})
        .iter()
        .all(|result| *result == (O::Ok, C::None)));
}

#[test]
fn damage_is_named() {
    let results = after(|objects| {
        objects.get_mut(&name(1)).unwrap()[5000] ^= 1;
        objects.get_mut(&name(2)).unwrap().truncate(8192);
        objects.insert(name(3), objects[&name(4)].clone());
        objects.insert(name(5), b"hello".repeat(2000));
        objects.insert(name(6), Vec::new());
        objects.remove(&name(7));
        objects.get_mut(&name(8)).unwrap()[8192..].fill(0);
    });
    let classes: Vec<C> = results.iter().map(|result| result.1).collect();
    let expected = [
        C::None,
        C::Corrupt,
        C::Truncated,
        C::Foreign,
        C::None,
        C::NotOurs,
        C::Truncated,
        C::NoSuchKey,
        C::Corrupt,
        C::None,
    ];
    assert_eq!(classes, expected);
}

#[test]
fn blocks_of_two_versions_are_torn() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let put = |epoch: u64| {
        plan(&server.url(), "put", 1)
            .with("/sizes/bytes", json!(8192))
            .with("/epoch", json!(epoch))
    };
    run(&put(1));
    let old = s3.0.lock().unwrap().objects[&name(0)].clone();
    run(&put(2));
    s3.tamper(|objects| objects.get_mut(&name(0)).unwrap()[4096..].copy_from_slice(&old[4096..]));
    let ended = run(&plan(&server.url(), "get", 1).with("/sizes/bytes", json!(8192)));
    assert_eq!(ended.only(), (O::Fail, C::Torn));
    assert!(!ended.example(C::Torn).is_empty());
}

#[test]
fn a_body_cut_off_by_a_proxy_that_recounts_is_truncated() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    run(&plan(&server.url(), "put", 1));
    let body = s3.0.lock().unwrap().objects[&name(0)].clone();
    // Without framing the end of the connection is the end of the body: only the body itself can tell.
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.extend(&body[..2000]);
    let ended = run(&plan(&Server::answering_once(answer).url(), "get", 1));
    assert_eq!(ended.only(), (O::Fail, C::Truncated));
    let mut whole = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    whole.extend(&body);
    let ended = run(&plan(&Server::answering_once(whole).url(), "get", 1));
    assert_eq!(ended.only(), (O::Ok, C::None));
}
