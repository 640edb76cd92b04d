//! Operations that are kept with their request ids.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use maul_engine::engine::Engine;
use maul_engine::exhibits::{Exhibit, Reason};
use maul_engine::operation::{ErrorClass as C, Key, Region};
use serde_json::{json, Value};

use crate::mini_s3::MiniS3;
use crate::plans::{finish, plan, run, With};
use crate::server::Server;

fn exhibits_of(plan: &Value) -> Vec<Exhibit> {
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start(None).unwrap();
    finish(&engine);
    let exhibits = engine.take_exhibits();
    assert!(engine.take_exhibits().is_empty(), "each comes once");
    exhibits
}

#[test]
fn the_slowest_are_kept_with_their_request_ids() {
    let seen = AtomicUsize::new(0);
    let server = Server::plain(move |peer| {
        while peer.request().is_some() {
            let number = seen.fetch_add(1, Ordering::SeqCst);
            if [7, 13].contains(&number) {
                std::thread::sleep(Duration::from_millis(60 + 10 * number as u64));
            }
            peer.answer(200, &format!("x-amz-request-id: id-{number}\r\n"), b"");
        }
    });
    let plan = plan(&server.url(), "head", 20).with("/slowest", json!(2));
    let exhibits = exhibits_of(&plan);
    let told: Vec<_> = exhibits
        .iter()
        .map(|exhibit| {
            (
                exhibit.reason,
                exhibit.request_id.as_str(),
                exhibit.record.status,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Reason::Slowest, "id-13", 200),
            (Reason::Slowest, "id-7", 200)
        ]
    );
}

#[test]
fn a_broken_body_is_shown_with_key_offset_expected_and_found() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let sized = |op: &str| plan(&server.url(), op, 10).with("/sizes/bytes", json!(20_000));
    run(&sized("put"));
    s3.tamper(|objects| {
        let body = objects.get_mut("maul/run/b000000000003").unwrap();
        body.copy_within(8192..12_288, 4096);
    });
    let exhibits = exhibits_of(&sized("get"));
    let [exhibit] = &exhibits[..] else {
        panic!("{exhibits:?}")
    };
    assert_eq!(exhibit.record.error_class, C::Swapped);
    assert_eq!(exhibit.record.key, Key::new(Region::Base, 3).0);
    let evidence = exhibit.evidence.as_ref().unwrap();
    assert_eq!(
        (
            evidence.offset,
            evidence.expected.as_str(),
            evidence.found.as_str()
        ),
        (4096, "the block of byte 4096", "that of byte 8192")
    );
    assert_eq!(exhibit.says, evidence.to_string());
}

#[test]
fn refusals_are_shown_with_what_the_target_said_up_to_a_bound() {
    let body =
        "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>later</Message></Error>";
    let server = Server::answering(format!(
        "HTTP/1.1 503 X\r\nx-amz-request-id: r9\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let exhibits = exhibits_of(&plan(&server.url(), "put", 50));
    assert_eq!(exhibits.len(), 20);
    for exhibit in exhibits {
        assert_eq!(
            (
                exhibit.reason,
                exhibit.record.error_class,
                exhibit.request_id.as_str()
            ),
            (Reason::Error, C::SlowDown, "r9")
        );
        assert!(exhibit.says.contains("<Message>later"), "{}", exhibit.says);
    }
}
