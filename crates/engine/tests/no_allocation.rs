//! The pure parts allocate nothing per request once their buffers have grown.
//! (What the C library behind the digests does is not counted.)
#![allow(unsafe_code)] // the only way to count: a global allocator

use maul_engine::body::{fill, BodyId, Verifier};
use maul_engine::keyspace::{Ephemeral, KeyChooser};
use maul_engine::mix::Mix;
use maul_engine::operation::{ErrorClass, Key, Op, OperationRecord, Outcome, Region};
use maul_engine::plan::{KeyChoice, Keyspace, Lane, Plan, Segment, Share, Wave};
use maul_engine::schedule::{Arrivals, Poisson, Stripe};
use maul_engine::sigv4::{Request, Signer, UNSIGNED_PAYLOAD};
use maul_engine::sizes::Sizes;
use maul_engine::tally::Tally;
use maul_engine::wire::request::{Ask, BodyRange, Encoder, Outgoing, Payload, Resource, Role};
use maul_engine::wire::Source;
use serde_json::{json, Value};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        System.dealloc(pointer, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread during `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// Every way to choose a time and a key.
struct Models {
    even: Stripe,
    poisson: Poisson,
    choices: Vec<KeyChooser>,
    ephemeral: Ephemeral,
}

impl Models {
    fn new() -> Self {
        let plan = Plan::parse(include_str!("vectors/plan.json")).unwrap();
        let wave = Wave {
            amplitude: 1e6,
            period_s: 0.01,
        };
        let profile = [Segment {
            from: 1e6,
            to: 1e6,
            seconds: 1.0,
            wave: Some(wave),
        }];
        let share = Share {
            first: 100,
            width: 700,
            wheel: 1000,
        };
        let arrivals = Arrivals::new(&profile);
        let hot_set = KeyChoice::HotSet {
            keys: 0.1,
            traffic: 0.9,
            moves_every_s: Some(0.001),
        };
        let choices = [
            KeyChoice::Uniform,
            KeyChoice::Zipf { exponent: 0.99 },
            KeyChoice::Sequential,
            hot_set,
            KeyChoice::Latest { exponent: 0.99 },
            KeyChoice::Churn,
        ];
        let chooser = |choice: &KeyChoice| {
            let objects = 1_000_000_000;
            let keyspace = Keyspace {
                choice: *choice,
                objects,
                ..plan.keyspace.clone()
            };
            KeyChooser::new(&keyspace, plan.seed)
        };
        Self {
            even: arrivals.stripe(share, 0, 1),
            poisson: arrivals.poisson(plan.seed, share, 0, 1),
            choices: choices.iter().map(chooser).collect(),
            ephemeral: Ephemeral::new(0, Lane::ALONE, 0, 1),
        }
    }

    fn one_arrival(&mut self) {
        let (even, scattered) = (self.even.next().unwrap(), self.poisson.next().unwrap());
        let made = self.ephemeral.create().unwrap();
        self.ephemeral.created(made, true);
        for choice in &self.choices {
            assert!(choice.key(even.number, even.due_ns).index() < 1_000_000_000);
            if let Some(key) = choice.living(scattered.number, &self.ephemeral) {
                assert!(self.ephemeral.begin_read(key));
                self.ephemeral.end_read(key);
            }
        }
        if even.number % 3 == 0 {
            self.ephemeral.take_oldest().unwrap();
        }
    }
}

#[test]
fn no_load_model_allocates_for_an_arrival() {
    let mut models = Models::new();
    assert_eq!(
        allocations(|| (0..2_000).for_each(|_| models.one_arrival())),
        0
    );
}

fn operation(number: u64) -> OperationRecord {
    let due_ns = (1_000 + number / 100) * 1_000_000_000;
    OperationRecord {
        due_ns,
        start_ns: due_ns + 1_000,
        connected_ns: 0,
        secured_ns: 0,
        sent_ns: 0,
        first_byte_ns: due_ns + 500_000,
        end_ns: due_ns + 1_000_000 + number % 100 * 1_000,
        key: number,
        version: 0,
        bytes: 4096,
        status: 200,
        op: if number % 2 == 0 { Op::Get } else { Op::Put },
        outcome: Outcome::Ok,
        error_class: ErrorClass::None,
        endpoint: 0,
        shard: 0,
        flags: 0,
        tenant: 0,
        exchanges: 1,
        item: 0,
        nth_on_connection: 1,
    }
}

/// One of everything that a request needs.
struct Parts {
    stripe: std::iter::Peekable<Stripe>,
    mix: Mix,
    keys: KeyChooser,
    ephemeral: Ephemeral,
    sizes: Sizes,
    signer: Signer,
    tally: Tally,
    name: Vec<u8>,
    lines: Vec<u8>,
    records: Vec<u8>,
    body: Vec<u8>,
}

impl Parts {
    fn new() -> Self {
        let plan = Plan::parse(include_str!("vectors/plan.json")).unwrap();
        let profile = [Segment {
            from: 1e6,
            to: 1e6,
            seconds: 1.0,
            wave: None,
        }];
        let share = Share::WHOLE;
        Self {
            stripe: Arrivals::new(&profile).stripe(share, 0, 1).peekable(),
            mix: Mix::new(&plan),
            keys: KeyChooser::new(&plan.keyspace, plan.seed),
            ephemeral: Ephemeral::new(0, Lane::ALONE, 0, 1),
            sizes: Sizes::new(&plan.sizes, plan.seed),
            signer: Signer::new("AK", "secret", "us-east-1", "s3").with_session_token("token"),
            tally: Tally::new(),
            name: Vec::new(),
            lines: Vec::new(),
            records: Vec::with_capacity(1 << 20),
            body: vec![0; 64 << 10],
        }
    }

    fn one_request(&mut self) {
        let arrival = self.stripe.next().unwrap();
        let number = arrival.number;
        let (_, _) = (self.mix.op(number), self.mix.makes_new_key(number));
        let created = self.ephemeral.create().unwrap();
        self.ephemeral.created(created, true);
        let _ = self.ephemeral.take_oldest();
        let key = self.keys.key(number, 0);
        let size = self.sizes.of(key, 1).min(self.body.len() as u64);
        self.name.clear();
        key.write_name(b"/bench/maul/r1/", &mut self.name);
        self.lines.clear();
        let request = Request {
            method: "PUT",
            path: &self.name,
            query: b"",
            host: "127.64.0.1:8443",
            headers: &[],
            payload: UNSIGNED_PAYLOAD,
            unix_s: 1_800_000_000 + number / 10,
        };
        self.signer.sign(&request, &mut self.lines);
        let id = BodyId {
            run: 1,
            key: key.0,
            version: 1,
            size,
        };
        let body = &mut self.body[..size as usize];
        fill(&id, 0, body);
        let mut verifier = Verifier::new(1, key.0).content_length(size);
        body.chunks(5000).for_each(|part| verifier.feed(part));
        assert_eq!(verifier.finish().class, ErrorClass::None);
        self.tally.record(&operation(number), 0);
        operation(number).write_to(&mut self.records);
    }
}

#[test]
fn a_request_allocates_nothing() {
    let mut parts = Parts::new();
    (0..1_000).for_each(|_| parts.one_request());
    // a few seconds of rows go round: moved out, encoded, given back
    let rows = parts.tally.drain();
    parts.tally.give_back(rows);
    let counted = allocations(|| (0..1_000).for_each(|_| parts.one_request()));
    assert_eq!(counted, 0);
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) > 0);
}

/// Encodes a PUT of a key and takes everything that is sent.
fn one_put(encoder: &mut Encoder, out: &mut Outgoing, room: &mut [u8], number: u64, size: u64) {
    let (key, mut query) = (Key::new(Region::Base, number), [("partNumber", "1")]);
    let id = BodyId {
        run: 1,
        key: key.0,
        version: 1,
        size,
    };
    let mut ask = Ask {
        method: "PUT",
        endpoint: 0,
        role: Role::Put,
        resource: Resource::Object(key),
        query: &mut query,
        headers: &[("if-none-match", b"*")],
        presigned: number % 10 == 0,
        payload: Payload::Blocks(BodyRange {
            id,
            start: 0,
            end: size,
        }),
        closes: false,
        unix_s: 1_800_000_000 + number / 10,
    };
    encoder.encode(&mut ask, out);
    while !out.is_spent() {
        out.fill(room);
    }
}

#[test]
fn no_way_to_send_a_body_allocates() {
    for (payload, place) in [
        ("unsigned", "header"),
        ("signed", "header"),
        ("chunked", "trailer"),
        ("unsigned-trailer", "trailer"),
    ] {
        for algorithm in ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] {
            let mut text: Value = serde_json::from_str(include_str!("vectors/plan.json")).unwrap();
            text["s3"]["encryption"] = json!("sse-c");
            text["s3"]["payload"] = json!(payload);
            text["s3"]["checksum"] = json!({"algorithm": algorithm, "in": place});
            let plan = Plan::parse(&text.to_string()).unwrap();
            let mut encoder = Encoder::new(&plan);
            let (mut out, mut room) = (Outgoing::default(), vec![0; 64 << 10]);
            let mut puts = |numbers: std::ops::Range<u64>| {
                for number in numbers {
                    let size = [0, 100, 4_096, 70_000][number as usize % 4];
                    one_put(&mut encoder, &mut out, &mut room, number, size);
                }
            };
            puts(0..20);
            let counted = allocations(|| puts(20..60));
            assert_eq!(counted, 0, "{payload} {algorithm}");
        }
    }
}
