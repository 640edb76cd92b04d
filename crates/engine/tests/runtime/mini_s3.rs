//! S3 in memory: enough of it for round trips. A test may tamper with what is stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::server::{Peer, Request};

/// What is stored, and what was asked.
#[derive(Default)]
pub struct Store {
    pub objects: BTreeMap<String, Vec<u8>>,
    pub uploads: HashMap<String, BTreeMap<u32, Vec<u8>>>,
    pub requests: Vec<String>,
}

/// A shared store.
#[derive(Clone, Default)]
pub struct MiniS3(pub Arc<Mutex<Store>>);

impl MiniS3 {
    /// Serves one connection.
    pub fn script(&self) -> impl Fn(&mut Peer) + Send + Sync + 'static {
        let store = self.0.clone();
        move |peer| {
            while let Some(request) = peer.request() {
                let (status, headers, body) = store.lock().unwrap().answer(&request);
                if request.method == "HEAD" {
                    peer.send(
                        format!(
                            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
                            body.len()
                        )
                        .as_bytes(),
                    );
                } else {
                    peer.answer(status, &headers, &body);
                }
            }
        }
    }

    pub fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().cloned().collect()
    }

    pub fn tamper(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        change(&mut self.0.lock().unwrap().objects);
    }
}

fn error(status: u16, code: &str) -> (u16, String, Vec<u8>) {
    (
        status,
        String::new(),
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>").into_bytes(),
    )
}

impl Store {
    pub fn answer(&mut self, request: &Request) -> (u16, String, Vec<u8>) {
        self.requests.push(format!(
            "{} {}?{}",
            request.method, request.path, request.query
        ));
        if !request.head.contains("AWS4-HMAC-SHA256 Credential=AKID/") {
            return error(403, "AccessDenied");
        }
        let etag = |body: &[u8]| format!("ETag: \"{:08x}\"\r\n", crc_fast::crc32_iscsi(body));
        let key = request.path.trim_start_matches("/bucket/").to_owned();
        let upload = request.parameter("uploadId").map(str::to_owned);
        match (request.method.as_str(), upload) {
            ("PUT", Some(id)) => {
                let Some(parts) = self.uploads.get_mut(&id) else {
                    return error(404, "NoSuchUpload");
                };
                let number = request.parameter("partNumber").unwrap().parse().unwrap();
                parts.insert(number, request.body.clone());
                (200, etag(&request.body), Vec::new())
            }
            ("POST", Some(id)) => {
                let Some(parts) = self.uploads.remove(&id) else {
                    return error(404, "NoSuchUpload");
                };
                let text = String::from_utf8(request.body.clone()).unwrap();
                for (number, part) in &parts {
                    let named = format!(
                        "<PartNumber>{number}</PartNumber><ETag>\"{:08x}\"<",
                        crc_fast::crc32_iscsi(part)
                    );
                    assert!(text.contains(&named), "{text}");
                }
                self.objects
                    .insert(key, parts.into_values().flatten().collect());
                (
                    200,
                    String::new(),
                    b"<CompleteMultipartUploadResult/>".to_vec(),
                )
            }
            ("POST", None) => {
                let id = format!("up{}", self.requests.len());
                self.uploads.insert(id.clone(), BTreeMap::new());
                (
                    200,
                    String::new(),
                    format!("<R><UploadId>{id}</UploadId></R>").into_bytes(),
                )
            }
            ("DELETE", Some(id)) => {
                self.uploads.remove(&id);
                (204, String::new(), Vec::new())
            }
            ("PUT", None) => {
                let tag = etag(&request.body);
                self.objects.insert(key, request.body.clone());
                (200, tag, Vec::new())
            }
            ("DELETE", None) => match self.objects.remove(&key) {
                Some(_) => (204, String::new(), Vec::new()),
                None => error(404, "NoSuchKey"),
            },
            ("GET", None) if request.path == "/bucket" => {
                let names: String = self
                    .objects
                    .keys()
                    .map(|key| format!("<Key>{key}</Key>"))
                    .collect();
                (
                    200,
                    String::new(),
                    format!("<ListBucketResult>{names}</ListBucketResult>").into_bytes(),
                )
            }
            _ => match self.objects.get(&key) {
                Some(body) => (200, etag(body), body.clone()),
                None => error(404, "NoSuchKey"),
            },
        }
    }
}
