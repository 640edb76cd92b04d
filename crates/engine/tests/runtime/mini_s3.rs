//! S3 in memory: enough of it for round trips of every operation. A test may tamper with what is stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::server::{Peer, Request};

/// What is stored, and what was asked.
#[derive(Default)]
pub struct Store {
    /// The present object of each key.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// Every version of each key, oldest first; None is a delete marker. Only when `versioned`.
    pub versions: BTreeMap<String, Vec<Version>>,
    pub versioned: bool,
    pub uploads: HashMap<String, BTreeMap<u32, Vec<u8>>>,
    /// Sizes of the parts of objects that were uploaded in parts.
    pub parts: HashMap<String, Vec<usize>>,
    pub tags: HashMap<String, Vec<u8>>,
    pub retentions: HashMap<String, String>,
    pub requests: Vec<String>,
    counter: u64,
}

/// Its id and its body.
pub type Version = (String, Option<Vec<u8>>);
type Reply = (u16, String, Vec<u8>);

/// A shared store.
#[derive(Clone, Default)]
pub struct MiniS3(pub Arc<Mutex<Store>>);

impl MiniS3 {
    /// One that keeps every version.
    pub fn versioned() -> Self {
        let s3 = Self::default();
        s3.0.lock().unwrap().versioned = true;
        s3
    }

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

    /// How many requests of this beginning (`PUT /bucket/…`) came.
    pub fn count(&self, wanted: impl Fn(&str) -> bool) -> usize {
        let store = self.0.lock().unwrap();
        store.requests.iter().filter(|line| wanted(line)).count()
    }
}

fn error(status: u16, code: &str) -> Reply {
    (
        status,
        String::new(),
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>").into_bytes(),
    )
}

fn xml(body: String) -> Reply {
    (
        200,
        String::new(),
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}").into_bytes(),
    )
}

fn etag(body: &[u8]) -> String {
    format!("\"{:08x}\"", crc_fast::crc32_iscsi(body))
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex: Vec<u8> = bytes.by_ref().take(2).collect();
            out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

/// The texts of all elements of a name.
fn elements(text: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open)
        .skip(1)
        .map(|rest| rest.split(&close).next().unwrap().to_owned())
        .collect()
}

impl Store {
    pub fn answer(&mut self, request: &Request) -> Reply {
        self.requests.push(format!(
            "{} {}?{}",
            request.method, request.path, request.query
        ));
        let signed = request.head.contains("AWS4-HMAC-SHA256 Credential=AKID/")
            || request.parameter("X-Amz-Signature").is_some();
        if !signed {
            return error(403, "AccessDenied");
        }
        let parameter = |name: &str| request.parameter(name).map(decode);
        let has = |name: &str| request.parameter(name).is_some();
        if request.path == "/bucket" {
            return match request.method.as_str() {
                "POST" if has("delete") => self.delete_many(request),
                _ => self.list(request),
            };
        }
        let key = request.path.trim_start_matches("/bucket/").to_owned();
        if let Some(id) = parameter("uploadId") {
            return self.upload(request, key, &id);
        }
        match request.method.as_str() {
            "POST" if has("uploads") => {
                self.counter += 1;
                let id = format!("up/{}", self.counter);
                self.uploads.insert(id.clone(), BTreeMap::new());
                xml(format!("<R><UploadId>{id}</UploadId></R>"))
            }
            "PUT" if has("tagging") => self.set_tags(request, key),
            "GET" if has("tagging") => {
                if !self.objects.contains_key(&key) {
                    return error(404, "NoSuchKey");
                }
                let none = b"<Tagging><TagSet></TagSet></Tagging>".to_vec();
                let tags = self.tags.get(&key).cloned().unwrap_or(none);
                (200, String::new(), tags)
            }
            "PUT" if has("retention") => {
                let text = String::from_utf8(request.body.clone()).unwrap();
                assert_eq!(elements(&text, "Mode"), ["GOVERNANCE"]);
                let until = elements(&text, "RetainUntilDate").remove(0);
                self.retentions.insert(key, until);
                (200, String::new(), Vec::new())
            }
            "PUT" => self.put(request, key),
            "DELETE" => self.delete(key, parameter("versionId")),
            _ => self.get(request, &key),
        }
    }

    /// Stores an object; gives the header of its version.
    fn store(&mut self, key: String, body: Vec<u8>) -> String {
        let mut headers = format!("ETag: {}\r\n", etag(&body));
        self.counter += 1;
        if self.versioned {
            let id = format!("v{}", self.counter);
            headers += &format!("x-amz-version-id: {id}\r\n");
            let versions = self.versions.entry(key.clone()).or_default();
            versions.push((id, Some(body.clone())));
        }
        self.tags.remove(&key);
        self.parts.remove(&key);
        self.objects.insert(key, body);
        headers
    }

    fn put(&mut self, request: &Request, key: String) -> Reply {
        let present = self.objects.get(&key).map(|body| etag(body));
        if request.header("if-none-match") == Some("*") && present.is_some() {
            return error(412, "PreconditionFailed");
        }
        if let Some(wanted) = request.header("if-match") {
            match present {
                None => return error(404, "NoSuchKey"),
                Some(present) if present != wanted => return error(412, "PreconditionFailed"),
                Some(_) => {}
            }
        }
        let Some(source) = request.header("x-amz-copy-source") else {
            return (200, self.store(key, request.body.clone()), Vec::new());
        };
        let source = decode(source).trim_start_matches("/bucket/").to_owned();
        let Some(body) = self.objects.get(&source).cloned() else {
            return error(404, "NoSuchKey");
        };
        let tag = etag(&body);
        self.store(key, body);
        xml(format!(
            "<CopyObjectResult><ETag>{tag}</ETag></CopyObjectResult>"
        ))
    }

    fn get(&mut self, request: &Request, key: &str) -> Reply {
        let found = match request.parameter("versionId") {
            None => self.objects.get(key).cloned(),
            Some(id) => self.versions.get(key).and_then(|versions| {
                let (_, body) = versions.iter().find(|(other, _)| other == id)?;
                body.clone()
            }),
        };
        let Some(body) = found else {
            return error(404, "NoSuchKey");
        };
        let tag = etag(&body);
        let mut headers = format!("ETag: {tag}\r\nx-amz-request-id: r1\r\n");
        if let Some((id, _)) = self.versions.get(key).and_then(|versions| versions.last()) {
            let id = request.parameter("versionId").unwrap_or(id);
            headers += &format!("x-amz-version-id: {id}\r\n");
        }
        if request.header("if-none-match") == Some(&tag) {
            return (304, headers, Vec::new());
        }
        if request
            .header("if-match")
            .is_some_and(|wanted| wanted != tag)
        {
            return error(412, "PreconditionFailed");
        }
        let range = if let Some(value) = request.header("range") {
            let (first, last) = value["bytes=".len()..].split_once('-').unwrap();
            Some((
                first.parse::<usize>().unwrap(),
                last.parse::<usize>().unwrap() + 1,
            ))
        } else if let Some(number) = request.parameter("partNumber") {
            let number: usize = number.parse().unwrap();
            let sizes = self.parts.get(key).cloned().unwrap_or(vec![body.len()]);
            let start = sizes[..number - 1].iter().sum::<usize>();
            Some((start, start + sizes[number - 1]))
        } else {
            None
        };
        let Some((start, end)) = range else {
            return (200, headers, body);
        };
        if start >= body.len() {
            return error(416, "InvalidRange");
        }
        let end = end.min(body.len());
        headers += &format!(
            "Content-Range: bytes {start}-{}/{}\r\n",
            end - 1,
            body.len()
        );
        (206, headers, body[start..end].to_vec())
    }

    fn delete(&mut self, key: String, version: Option<String>) -> Reply {
        if let Some(id) = version {
            let Some(versions) = self.versions.get_mut(&key) else {
                return error(404, "NoSuchVersion");
            };
            versions.retain(|(other, _)| *other != id);
            match versions.last().and_then(|(_, body)| body.clone()) {
                Some(body) => self.objects.insert(key, body),
                None => self.objects.remove(&key),
            };
            return (204, String::new(), Vec::new());
        }
        let found = self.objects.remove(&key).is_some();
        self.tags.remove(&key);
        if self.versioned {
            self.counter += 1;
            let marker = (format!("v{}", self.counter), None);
            self.versions.entry(key).or_default().push(marker);
        } else if !found {
            return error(404, "NoSuchKey");
        }
        (204, String::new(), Vec::new())
    }

    fn delete_many(&mut self, request: &Request) -> Reply {
        if request.header("content-md5").is_none() {
            return error(400, "InvalidRequest");
        }
        let text = String::from_utf8(request.body.clone()).unwrap();
        let mut body = "<DeleteResult>".to_owned();
        for key in elements(&text, "Key") {
            let (status, ..) = self.delete(key.clone(), None);
            assert_eq!(status, 204, "{key} was there");
            body += &format!("<Deleted><Key>{key}</Key></Deleted>");
        }
        xml(body + "</DeleteResult>")
    }

    fn set_tags(&mut self, request: &Request, key: String) -> Reply {
        if !self.objects.contains_key(&key) {
            return error(404, "NoSuchKey");
        }
        self.tags.insert(key, request.body.clone());
        (200, String::new(), Vec::new())
    }

    fn upload(&mut self, request: &Request, key: String, id: &str) -> Reply {
        let source = request.header("x-amz-copy-source").map(decode);
        let copied = source.and_then(|source| {
            self.objects
                .get(source.trim_start_matches("/bucket/"))
                .cloned()
        });
        let Some(parts) = self.uploads.get_mut(id) else {
            return error(404, "NoSuchUpload");
        };
        match request.method.as_str() {
            "PUT" => {
                let number = request.parameter("partNumber").unwrap().parse().unwrap();
                let is_copy = request.header("x-amz-copy-source").is_some();
                let body = match copied {
                    Some(body) => body,
                    None if is_copy => return error(404, "NoSuchKey"),
                    None => request.body.clone(),
                };
                let tag = etag(&body);
                parts.insert(number, body);
                if is_copy {
                    let quoted = tag.replace('"', "&quot;");
                    return xml(format!(
                        "<CopyPartResult><ETag>{quoted}</ETag></CopyPartResult>"
                    ));
                }
                (200, format!("ETag: {tag}\r\n"), Vec::new())
            }
            "GET" => {
                let list: String = parts
                    .keys()
                    .map(|number| format!("<Part><PartNumber>{number}</PartNumber></Part>"))
                    .collect();
                xml(format!("<ListPartsResult>{list}</ListPartsResult>"))
            }
            "POST" => {
                let text = String::from_utf8(request.body.clone()).unwrap();
                // what follows is the checksum of the part, which is checked elsewhere
                let named = elements(&text, "Part").into_iter().map(|part| {
                    let (whole, _) = part.split_once("<Checksum").unwrap_or((&part, ""));
                    whole.to_owned()
                });
                let named: Vec<String> = named.collect();
                let expected: Vec<String> = parts
                    .iter()
                    .map(|(number, part)| {
                        let tag = etag(part);
                        format!("<PartNumber>{number}</PartNumber><ETag>{tag}</ETag>")
                    })
                    .collect();
                assert_eq!(named, expected);
                let parts = self.uploads.remove(id).unwrap();
                let sizes = parts.values().map(Vec::len).collect();
                self.store(key.clone(), parts.into_values().flatten().collect());
                self.parts.insert(key, sizes);
                xml("<CompleteMultipartUploadResult/>".to_owned())
            }
            _ => {
                self.uploads.remove(id);
                (204, String::new(), Vec::new())
            }
        }
    }

    fn list(&mut self, request: &Request) -> Reply {
        let parameter = |name: &str| request.parameter(name).map(decode).unwrap_or_default();
        let prefix = parameter("prefix");
        let max: usize = parameter("max-keys").parse().unwrap();
        let versions = request.parameter("versions").is_some();
        let v2 = parameter("list-type") == "2";
        // A token is not the name it stands for.
        let behind = match request.parameter("continuation-token").map(decode) {
            Some(token) => token.strip_prefix("token&").unwrap().to_owned(),
            None if v2 => parameter("start-after"),
            None if versions => parameter("key-marker"),
            None => parameter("marker"),
        };
        let names: Vec<&String> = self
            .objects
            .keys()
            .filter(|key| key.starts_with(&prefix) && **key > behind)
            .collect();
        let truncated = names.len() > max;
        let page = &names[..names.len().min(max)];
        let listed: String = page
            .iter()
            .map(|key| format!("<Contents><Key>{key}</Key></Contents>"))
            .collect();
        let last = page.last().map_or("", |key| key.as_str());
        let next = match (truncated, versions, v2) {
            (false, ..) => String::new(),
            (_, true, _) => format!(
                "<NextKeyMarker>{last}</NextKeyMarker><NextVersionIdMarker>x</NextVersionIdMarker>"
            ),
            (_, _, true) => {
                format!("<NextContinuationToken>token&amp;{last}</NextContinuationToken>")
            }
            // The first version names no marker without a delimiter.
            _ => String::new(),
        };
        let root = if versions {
            "ListVersionsResult"
        } else {
            "ListBucketResult"
        };
        xml(format!(
            "<{root}><Prefix>{prefix}</Prefix>{listed}<IsTruncated>{truncated}</IsTruncated>{next}</{root}>"
        ))
    }
}
