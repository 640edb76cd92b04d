//! What the pure parts cost: `cargo run --release --package maul-engine --example pure_parts`.
//! Each figure is CPU time, the best of twenty rounds, on one core.

use maul_engine::body::{fill, sha256_hex, BodyId, Verifier};
use maul_engine::hist::Histogram;
use maul_engine::keyspace::{Ephemeral, KeyChooser};
use maul_engine::mix::Mix;
use maul_engine::operation::{ErrorClass, Key, Op, OperationRecord, Outcome};
use maul_engine::plan::{KeyChoice, Lane, Plan, Segment, Share, Wave};
use maul_engine::schedule::Arrivals;
use maul_engine::sigv4::{Request, Signer, UNSIGNED_PAYLOAD};
use maul_engine::sizes::Sizes;
use maul_engine::tally::Tally;
use maul_engine::wire::request::{Ask, BodyRange, Encoder, Outgoing, Payload, Resource, Role};
use maul_engine::wire::Source;
use rustix::time::{clock_gettime, ClockId};
use serde_json::json;
use std::hint::black_box;

/// CPU time of this thread, nanoseconds: what others do on the machine counts less than with the clock on the wall.
fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// CPU nanoseconds for one of `times` calls, best of twenty rounds of a quarter of them.
fn measure(times: u64, mut call: impl FnMut(u64)) -> f64 {
    let times = times.div_ceil(4);
    let round = |call: &mut dyn FnMut(u64)| {
        let start = cpu_ns();
        (0..times).for_each(call);
        (cpu_ns() - start) / times as f64
    };
    (0..20)
        .map(|_| round(&mut call))
        .fold(f64::INFINITY, f64::min)
}

fn bodies(size: usize) {
    let mut body = vec![0; size];
    let id = |version| BodyId {
        run: 1,
        key: 2,
        version,
        size: size as u64,
    };
    let times = ((256 << 20) / size as u64).max(1);
    let ns = measure(times, |version| {
        fill(&id(version), 0, black_box(&mut body));
    });
    println!("fill    {size:>9} B  {:6.2} GB/s", size as f64 / ns);
    fill(&id(7), 0, &mut body);
    for portion in [usize::MAX, 16 << 10, 1400] {
        let ns = measure(times, |_| {
            let mut verifier = Verifier::new(1, 2);
            body.chunks(portion)
                .for_each(|part| verifier.feed(black_box(part)));
            assert_eq!(verifier.finish().class, ErrorClass::None);
        });
        let portion = portion.min(size);
        println!(
            "verify  {size:>9} B  {:6.2} GB/s in portions of {portion}",
            size as f64 / ns
        );
    }
    let ns = measure(times.div_ceil(8), |version| {
        black_box(sha256_hex(&id(version), 0, size as u64));
    });
    println!("sha256  {size:>9} B  {:6.2} GB/s", size as f64 / ns);
}

fn signatures() {
    let mut signer = Signer::new("AKIAIOSFODNN7EXAMPLE", "secret", "us-east-1", "s3");
    let mut lines = Vec::new();
    let (mut path, prefix) = (Vec::new(), b"/bench/maul/20261122-214512-3fa09c/");
    let ns = measure(200_000, |number| {
        path.clear();
        Key(number).write_name(prefix, &mut path);
        lines.clear();
        let request = Request {
            method: "PUT",
            path: &path,
            query: b"",
            host: "127.64.0.1:8443",
            headers: &[],
            payload: UNSIGNED_PAYLOAD,
            unix_s: 1_795_384_564 + number / 10_000,
        };
        signer.sign(black_box(&request), &mut lines);
        black_box(&lines);
    });
    println!("sign    {ns:8.0} ns");
}

/// A whole PUT, from its parts to the bytes for the socket: head, signature, body, frames, checksum.
fn requests(bytes: u64) {
    let document = include_str!("../tests/vectors/plan.json");
    let Ok(document) = serde_json::from_str::<serde_json::Value>(document) else {
        return;
    };
    let none = serde_json::Value::Null;
    let sum = |algorithm: &str, place: &str| json!({"algorithm": algorithm, "in": place});
    for (payload, checksum) in [
        ("unsigned", none.clone()),
        ("unsigned", sum("crc32c", "header")),
        ("signed", none.clone()),
        ("signed", sum("crc32c", "header")),
        ("unsigned-trailer", sum("crc32c", "trailer")),
        ("unsigned-trailer", sum("crc64nvme", "trailer")),
        ("unsigned-trailer", sum("sha1", "trailer")),
        ("unsigned-trailer", sum("sha256", "trailer")),
        ("chunked", none),
        ("chunked", sum("crc32c", "trailer")),
        ("chunked", sum("sha256", "trailer")),
    ] {
        let mut document = document.clone();
        document["s3"]["payload"] = json!(payload);
        document["s3"]["checksum"] = checksum.clone();
        let Ok(plan) = Plan::parse(&document.to_string()) else {
            return;
        };
        let mut encoder = Encoder::new(&plan);
        let (mut out, mut room) = (Outgoing::default(), vec![0; 64 << 10]);
        let ns = measure((25 << 20) / (bytes + 8192), |number| {
            put(&mut encoder, &mut out, number, bytes);
            while !out.is_spent() {
                black_box(out.fill(&mut room));
            }
        });
        let checksum = checksum["algorithm"].as_str().unwrap_or("no checksum");
        println!("put     {bytes:>9} B  {ns:8.0} ns, {payload}, {checksum}");
    }
}

fn put(encoder: &mut Encoder, out: &mut Outgoing, number: u64, bytes: u64) {
    let id = BodyId {
        run: 1,
        key: number,
        version: number,
        size: bytes,
    };
    let (start, end) = (0, bytes);
    let mut ask = Ask {
        method: "PUT",
        endpoint: 0,
        role: Role::Put,
        resource: Resource::Object(Key(number)),
        query: &mut [],
        headers: &[],
        presigned: false,
        payload: Payload::Blocks(BodyRange { id, start, end }),
        closes: false,
        unix_s: 1_795_384_564 + number / 10_000,
    };
    encoder.encode(black_box(&mut ask), out);
}

fn tallies() {
    let mut tally = Tally::new();
    let operation = |number: u64| {
        let due_ns = 1_795_384_564_000_000_000 + number * 10_000;
        let service_ns = 200_000 + (number.wrapping_mul(2_654_435_761) >> 8) % 5_000_000;
        OperationRecord {
            due_ns,
            start_ns: due_ns + 2_000 + number % 1_000,
            connected_ns: 0,
            secured_ns: 0,
            sent_ns: 0,
            first_byte_ns: due_ns + service_ns / 2,
            end_ns: due_ns + service_ns,
            key: number,
            version: 1,
            bytes: 4096,
            status: 200,
            op: Op::ALL[number as usize % 4],
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
    };
    let ns = measure(1_000_000, |number| {
        tally.record(black_box(&operation(number)), number);
        if number % 100_000 == 0 {
            let rows = tally.drain();
            tally.give_back(rows);
        }
    });
    println!("tally   {ns:8.0} ns a record (4 histograms)");
    let row = tally.drain().remove(0);
    let ns = measure(200, |_| drop(black_box(row.to_v2())));
    let bytes: usize = row.to_v2().iter().map(|encoded| encoded.hdr.len()).sum();
    println!("to_v2   {:8.1} us a row, {bytes} bytes", ns / 1e3);
    let (mut sum, encoded) = (Histogram::new(), row.to_v2());
    let ns = measure(2_000, |_| {
        if let Ok(one) = Histogram::from_v2(&encoded[0].hdr) {
            sum.merge(&one);
        }
    });
    println!("merge   {:8.1} us a histogram, decoding included", ns / 1e3);
}

fn choices() {
    let plan = include_str!("../tests/vectors/plan.json");
    let Ok(mut plan) = Plan::parse(plan) else {
        return;
    };
    let times = 1_000_000;
    let profile = [Segment {
        from: 1.0,
        to: 1e6,
        seconds: 10.0,
        wave: None,
    }];
    let arrivals = Arrivals::new(&profile);
    let mut stripe = arrivals.stripe(Share::WHOLE, 0, 1);
    let ns = measure(times, |_| {
        black_box(stripe.next());
    });
    println!("due     {ns:8.1} ns, ramp");
    let wave = Wave {
        amplitude: 1e6,
        period_s: 1.0,
    };
    let wavy = Arrivals::new(&[Segment {
        from: 1e6,
        to: 1e6,
        seconds: 10.0,
        wave: Some(wave),
    }]);
    let share = Share::WHOLE;
    let mut stripe = wavy.stripe(share, 0, 1);
    let ns = measure(times, |_| {
        black_box(stripe.next());
    });
    println!("due     {ns:8.1} ns, sine down to 0");
    let mut poisson = arrivals.poisson(7, share, 0, 1);
    let ns = measure(times, |_| {
        black_box(poisson.next());
    });
    println!("due     {ns:8.1} ns, ramp, Poisson");
    let (mix, sizes) = (Mix::new(&plan), Sizes::new(&plan.sizes, 7));
    let ns = measure(times, |number| {
        black_box(mix.op(number));
    });
    println!("op      {ns:8.1} ns");
    let ns = measure(times, |number| {
        black_box(sizes.of(Key(number), 1));
    });
    println!("size    {ns:8.1} ns, lognormal");
    let zipf = KeyChoice::Zipf { exponent: 0.99 };
    let hot_set = KeyChoice::HotSet {
        keys: 0.1,
        traffic: 0.9,
        moves_every_s: Some(1.0),
    };
    for choice in [KeyChoice::Uniform, KeyChoice::Sequential, zipf, hot_set] {
        plan.keyspace.choice = choice;
        plan.keyspace.objects = 1_000_000_000_000;
        let keys = KeyChooser::new(&plan.keyspace, 7);
        let ns = measure(times, |number| {
            black_box(keys.key(number, 0));
        });
        println!("key     {ns:8.1} ns, {choice:?} of 10^12");
    }
    let mut ephemeral = Ephemeral::new(0, Lane::ALONE, 0, 1);
    for _ in 0..1_000_000 {
        let key = ephemeral.create().expect("the window is larger");
        ephemeral.created(key, true);
    }
    for choice in [KeyChoice::Latest { exponent: 0.99 }, KeyChoice::Churn] {
        plan.keyspace.choice = choice;
        let keys = KeyChooser::new(&plan.keyspace, 7);
        let ns = measure(times, |number| {
            black_box(keys.living(number, &ephemeral));
        });
        println!("key     {ns:8.1} ns, {choice:?} of 10^6 living");
    }
}

fn main() {
    for size in [4 << 10, 64 << 10, 8 << 20] {
        bodies(size);
    }
    signatures();
    for bytes in [0, 4 << 10, 1 << 20] {
        requests(bytes);
    }
    tallies();
    choices();
}
