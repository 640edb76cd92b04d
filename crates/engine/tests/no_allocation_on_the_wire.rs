//! A running shard allocates nothing per request over plain HTTP: a few allocations per second are for the books.
#![allow(unsafe_code)] // the only way to count: a global allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
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

/// Answers every request as an S3 server would, but without remembering anything.
fn serve(mut stream: TcpStream) {
    let (mut bytes, mut filled) = (vec![0; 1 << 20], 0);
    loop {
        let end = loop {
            let head = bytes[..filled]
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = head {
                break end + 4;
            }
            match stream.read(&mut bytes[filled..]) {
                Ok(count) if count > 0 => filled += count,
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().to_owned())
        };
        let length: usize = field("content-length:").map_or(0, |text| text.parse().unwrap());
        while filled < end + length {
            match stream.read(&mut bytes[filled..]) {
                Ok(count) if count > 0 => filled += count,
                _ => return,
            }
        }
        filled = 0;
        let answer = answer(&head, field("range:").as_deref(), &bytes[end..end + length]);
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn answer(head: &str, range: Option<&str>, body: &[u8]) -> Vec<u8> {
    let line = head.lines().next().unwrap();
    let page = |root: &str| format!("<{root}><IsTruncated>false</IsTruncated></{root}>");
    let (status, more, text) = if let Some(range) = range {
        let range = range.strip_prefix("bytes=").unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let length = last.parse::<usize>().unwrap() + 1 - first.parse::<usize>().unwrap();
        let more = format!("content-range: bytes {range}/4096\r\n");
        (206, more, "x".repeat(length))
    } else {
        let text = if line.contains("versions=") {
            page("ListVersionsResult")
        } else if line.contains("max-keys=") {
            page("ListBucketResult")
        } else if line.starts_with("get") && line.contains("tagging=") {
            "<Tagging><TagSet/></Tagging>".to_owned()
        } else if line.contains("?delete=") {
            let keys = String::from_utf8_lossy(body);
            let keys = keys.replace("Object>", "Deleted>");
            keys.replace("<Delete ", "<DeleteResult ")
                .replace("</Delete>", "</DeleteResult>")
        } else if head.contains("x-amz-copy-source") {
            "<CopyObjectResult/>".to_owned()
        } else if line.starts_with("get") {
            "x".repeat(4096)
        } else {
            String::new()
        };
        (200, String::new(), text)
    };
    let length = text.len();
    format!(
        "HTTP/1.1 {status} X\r\nETag: \"e\"\r\nx-amz-version-id: v1\r\n{more}Content-Length: {length}\r\n\r\n{text}"
    )
    .into_bytes()
}

#[test]
fn nothing_is_allocated_per_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    nothing_is_allocated(&url, &json!([{"op": "get", "weight": 1.0}]));
    let several = [
        "get",
        "head",
        "delete",
        "list",
        "get_range",
        "multi_delete",
        "list_v1",
        "list_versions",
        "copy",
        "put_if_none_match",
        "put_if_match",
        "get_if_match",
        "get_if_none_match",
        "get_version",
        "delete_version",
        "put_tags",
        "get_tags",
        "put_retention",
        "presigned_get",
        "presigned_put",
        "get_deleted",
    ];
    let mut mix: Vec<_> = several
        .iter()
        .map(|op| json!({"op": op, "weight": 1.0}))
        .collect();
    mix.push(json!({"op": "put", "weight": 12.0}));
    nothing_is_allocated(&url, &json!(mix));
}

fn nothing_is_allocated(url: &str, mix: &serde_json::Value) {
    let plan = json!({
        "version": 3, "run": 1, "seed": 1, "epoch": 1, "shards": 1, "pin": null,
        "endpoints": [{"name": "one", "url": url, "ca_pem": null, "server_name": null, "address": null}],
        "s3": {"bucket": "b", "prefix": "p/", "region": "us-east-1", "access_key": "key", "secret_key": "secret", "session_token": null, "payload": "unsigned", "addressing": "path", "checksum": null, "encryption": null},
        "keyspace": {"objects": 1000, "choice": {"kind": "uniform"}, "region": "base", "start": 0, "ephemeral_start": 0, "ephemeral_lane": {"index": 0, "count": 1},
                     "delete_from": "ephemeral", "fixed_key": null},
        "sizes": {"kind": "fixed", "bytes": 4096}, "mix": mix, "multipart": null, "list": {"max_keys": 1, "delimiter": null, "pages": 1},
        "arrivals": {"mode": "closed", "concurrency": 4, "seconds": 10.0, "requests": null, "think": null},
        "tenant": 0, "range_bytes": 1000, "multi_delete_keys": 10, "retention_s": 60, "slowest": 0,
        "connections": {"requests_each": null, "resumption": 1.0}, "slow": null,
        "timeouts": {"connect_ms": 4000, "request_ms": 4000},
        "limits": {"rate_per_s": 1e6, "bytes_per_s": 1e12, "in_flight": 64, "requests": 100_000_000, "bytes": 1_000_000_000_000u64,
                   "seconds": 15.0, "connections": 64},
        "lease_ms": null, "verify": false, "record_operations": false, "late_ms": 5.0
    });
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start(None).unwrap();
    let mut marks = Vec::new();
    // The first mark lies behind the growth of all buffers.
    for _ in 0..8 {
        assert!(!engine.join(Duration::from_millis(220)));
        let thread = shard_thread().expect("the shard runs");
        let completed = engine.status().counters.get(Counter::Ok);
        marks.push((ALLOCATIONS[thread % THREADS].load(Relaxed), completed));
    }
    engine.abort();
    assert!(engine.join(Duration::from_secs(5)));
    // Every second begins with new books for each kind of operation. What a request allocates, it would in every window.
    let windows = marks
        .windows(2)
        .map(|two| (two[1].0 - two[0].0, two[1].1 - two[0].1));
    let (allocations, requests) = windows
        .filter(|(_, requests)| *requests > 300)
        .min()
        .expect("a window with requests");
    assert!(
        allocations * 100 < requests,
        "{allocations} allocations for {requests} requests"
    );
}
