//! A running shard allocates nothing per request over plain HTTP: a few allocations per second are for the books.
#![allow(unsafe_code)] // the only way to count: a global allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use maul_engine::engine::Engine;
use maul_engine::status::Counter;
use serde_json::json;

const THREADS: usize = 1 << 16;

/// Allocations by thread number, modulo a number larger than the threads of a test machine.
static ALLOCATIONS: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];

struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let thread = rustix::thread::gettid().as_raw_nonzero().get() as usize;
        ALLOCATIONS[thread % THREADS].fetch_add(1, Relaxed);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        System.dealloc(pointer, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn shard_thread() -> Option<usize> {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .find_map(|task| {
            let task = task.ok()?;
            let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
            name.starts_with("maul-shard")
                .then(|| task.file_name().to_str()?.parse().ok())?
        })
}

#[test]
fn nothing_is_allocated_per_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let (mut stream, mut bytes) = (stream.unwrap(), [0; 65_536]);
                let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n".to_vec();
                answer.resize(answer.len() + 4096, 7);
                while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let plan = json!({
        "version": 2, "run": 1, "seed": 1, "epoch": 1, "shards": 1, "pin": null,
        "endpoints": [{"name": "one", "url": url, "ca_pem": null, "server_name": null, "address": null}],
        "s3": {"bucket": "b", "prefix": "p/", "region": "us-east-1", "access_key": "key", "secret_key": "secret", "payload": "unsigned", "addressing": "path", "checksum": null, "encryption": null},
        "keyspace": {"objects": 1000, "choice": {"kind": "uniform"}, "region": "base", "start": 0, "ephemeral_start": 0,
                     "delete_from": "ephemeral", "fixed_key": null},
        "sizes": {"kind": "fixed", "bytes": 4096}, "mix": [{"op": "get", "weight": 1.0}], "multipart": null, "list": {"max_keys": 1, "delimiter": null, "pages": 1},
        "arrivals": {"mode": "closed", "concurrency": 4, "seconds": 10.0, "requests": null, "think": null},
        "tenant": 0, "range_bytes": 1000, "multi_delete_keys": 10, "retention_s": 60, "slowest": 0,
        "connections": {"requests_each": null, "resumption": 1.0}, "slow": null,
        "timeouts": {"connect_ms": 4000, "request_ms": 4000},
        "limits": {"rate_per_s": 1e6, "bytes_per_s": 1e12, "in_flight": 64, "requests": 100_000_000, "bytes": 1_000_000_000_000u64,
                   "seconds": 15.0, "connections": 64},
        "lease_ms": null, "verify": false, "record_operations": false, "late_ms": 5.0
    });
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start().unwrap();
    let mut marks = Vec::new();
    // The first mark lies behind the growth of all buffers.
    for _ in 0..2 {
        assert!(!engine.join(Duration::from_millis(300)));
        let thread = shard_thread().expect("the shard runs");
        let completed = engine.status().counters.get(Counter::Ok);
        marks.push((ALLOCATIONS[thread % THREADS].load(Relaxed), completed));
    }
    engine.abort();
    assert!(engine.join(Duration::from_secs(5)));
    let (allocations, requests) = (marks[1].0 - marks[0].0, marks[1].1 - marks[0].1);
    assert!(requests > 500, "{requests}");
    assert!(
        allocations * 20 < requests,
        "{allocations} allocations for {requests} requests"
    );
}
