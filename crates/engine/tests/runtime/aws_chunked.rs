//! A server's view of a request, written from the specification and from nothing of the engine: is it signed by the one
//! secret, is its body framed and signed as it says, does its checksum fit? Slow and plain on purpose.

use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};

/// Checks one request; gives its body without framing, or what is wrong.
pub fn check(head: &str, body: &[u8], secret: &str) -> Result<Vec<u8>, String> {
    let request = Parsed::of(head);
    let given = match request.query.get("X-Amz-Signature") {
        Some(given) => given.clone(),
        None => {
            let authorization = request.header("authorization")?;
            let (_, signature) = authorization
                .split_once("Signature=")
                .ok_or("no signature")?;
            signature.to_owned()
        }
    };
    let stamp = request.signing("x-amz-date", "X-Amz-Date")?;
    let scope = request.scope()?;
    let key = scope
        .split('/')
        .fold(format!("AWS4{secret}").into_bytes(), |key, text| {
            mac(&key, text.as_bytes())
        });
    let canonical = hex(&sha256(request.canonical()?.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{canonical}");
    same("signature", &hex(&mac(&key, to_sign.as_bytes())), &given)?;

    let word = request
        .headers
        .get("x-amz-content-sha256")
        .map_or("UNSIGNED-PAYLOAD", String::as_str);
    let mut trailer = None;
    let data = match word.strip_prefix("STREAMING-") {
        None => {
            if word != "UNSIGNED-PAYLOAD" {
                same("payload", word, &hex(&sha256(body)))?;
            }
            body.to_vec()
        }
        Some(mode) => {
            same(
                "encoding",
                "aws-chunked",
                request.header("content-encoding")?,
            )?;
            let sign = |previous: &str, algorithm: &str, last: &str| {
                let text = format!("{algorithm}\n{stamp}\n{scope}\n{previous}\n{last}");
                hex(&mac(&key, text.as_bytes()))
            };
            let (data, found) = unframe(mode, body, given, &sign)?;
            trailer = found;
            let announced = request.header("x-amz-decoded-content-length")?;
            same("decoded length", announced, &data.len().to_string())?;
            data
        }
    };
    let announced = request.headers.get("x-amz-trailer").map(String::as_str);
    let named = trailer.as_ref().map(|(name, _)| name.as_str());
    if announced != named {
        return Err(format!("trailer {announced:?} announced, {named:?} came"));
    }
    let in_header = request
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-amz-checksum-"))
        // what a reader wants told says nothing about a body of its own
        .filter(|(name, _)| *name != "x-amz-checksum-mode")
        .filter(|(name, _)| !name.ends_with("-algorithm") && !name.ends_with("-type"))
        .map(|(name, value)| (name.clone(), value.clone()));
    for (name, value) in in_header.chain(trailer) {
        same(&name, &checksum(&name, &data)?, &value)?;
    }
    Ok(data)
}

/// Name and value.
type Trailer = (String, String);
type Sign<'a> = dyn Fn(&str, &str, &str) -> String + 'a;

/// Takes the frames off a body: gives its data and its trailer.
fn unframe(
    mode: &str,
    body: &[u8],
    seed: String,
    sign: &Sign<'_>,
) -> Result<(Vec<u8>, Option<Trailer>), String> {
    let (signed, trailing) = match mode {
        "AWS4-HMAC-SHA256-PAYLOAD" => (true, false),
        "AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => (true, true),
        "UNSIGNED-PAYLOAD-TRAILER" => (false, true),
        _ => return Err(format!("mode {mode}")),
    };
    let (mut rest, mut data, mut previous) = (body, Vec::new(), seed);
    loop {
        let line = take_line(&mut rest)?;
        let (size, signature) = match line.split_once(";chunk-signature=") {
            Some((size, signature)) if signed => (size, signature),
            None if !signed => (line, ""),
            _ => return Err(format!("chunk line {line}")),
        };
        let size = usize::from_str_radix(size, 16).map_err(|error| error.to_string())?;
        let chunk = rest.get(..size).ok_or("a short chunk")?;
        if signed {
            let last = format!("{}\n{}", hex(&sha256(b"")), hex(&sha256(chunk)));
            previous = sign(&previous, "AWS4-HMAC-SHA256-PAYLOAD", &last);
            same("chunk signature", &previous, signature)?;
        }
        if size == 0 {
            break;
        }
        // all but the last have at least 8 KiB
        if data.len() % 8192 != 0 {
            return Err("a small chunk that is not the last".into());
        }
        data.extend_from_slice(chunk);
        rest = &rest[size..];
        same("line end", "", take_line(&mut rest)?)?;
    }
    let mut trailer = None;
    if trailing {
        let line = take_line(&mut rest)?;
        let (name, value) = line.split_once(':').ok_or("no trailer")?;
        trailer = Some((name.to_owned(), value.to_owned()));
        if signed {
            let lines = hex(&sha256(format!("{line}\n").as_bytes()));
            let expected = sign(&previous, "AWS4-HMAC-SHA256-TRAILER", &lines);
            let line = take_line(&mut rest)?;
            let given = line.strip_prefix("x-amz-trailer-signature:");
            same("trailer signature", &expected, given.unwrap_or("none"))?;
        }
    }
    same("end", "", take_line(&mut rest)?)?;
    match rest.len() {
        0 => Ok((data, trailer)),
        left => Err(format!("{left} bytes behind the end")),
    }
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, String> {
    let end = rest
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .ok_or("no line")?;
    let line = std::str::from_utf8(&rest[..end]).map_err(|error| error.to_string())?;
    *rest = &rest[end + 2..];
    Ok(line)
}

fn same(what: &str, expected: &str, found: &str) -> Result<(), String> {
    match expected == found {
        true => Ok(()),
        false => Err(format!("{what}: expected {expected}, found {found}")),
    }
}

struct Parsed {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

impl Parsed {
    fn of(head: &str) -> Self {
        let (first, rest) = head.split_once("\r\n").unwrap();
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: pairs
                .map(|pair| pair.split_once('=').unwrap())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            headers: rest
                .split("\r\n")
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
        }
    }

    fn header(&self, name: &str) -> Result<&str, String> {
        self.headers
            .get(name)
            .map(String::as_str)
            .ok_or(format!("no {name}"))
    }

    fn signing(&self, header: &str, parameter: &str) -> Result<String, String> {
        match self.query.get(parameter) {
            Some(value) => Ok(value.replace("%2F", "/").replace("%3B", ";")),
            None => self.header(header).map(str::to_owned),
        }
    }

    /// `Name=value` of the authorization header, or the query parameter.
    fn part(&self, name: &str) -> Result<String, String> {
        let all = self.signing("authorization", &format!("X-Amz-{name}"))?;
        let value = match all.split_once(&format!("{name}=")) {
            Some((_, rest)) => rest.split(',').next().unwrap_or_default(),
            None => &all,
        };
        Ok(value.to_owned())
    }

    fn scope(&self) -> Result<String, String> {
        let credential = self.part("Credential")?;
        let (_, scope) = credential.split_once('/').ok_or("no scope")?;
        Ok(scope.to_owned())
    }

    fn canonical(&self) -> Result<String, String> {
        let names = self.part("SignedHeaders")?;
        // everything that S3 acts upon must be signed
        for name in self.headers.keys() {
            let matters = name == "host" || name.starts_with("x-amz-");
            if matters && !names.split(';').any(|signed| signed == name) {
                return Err(format!("{name} is not signed"));
            }
        }
        let mut text = format!("{}\n{}\n", self.method, self.path);
        let pairs = self
            .query
            .iter()
            .filter(|(name, _)| *name != "X-Amz-Signature");
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        text += &pairs.join("&");
        for name in names.split(';') {
            text += &format!("\n{name}:{}", self.header(name)?.trim());
        }
        let payload = self.headers.get("x-amz-content-sha256");
        let payload = payload.map_or("UNSIGNED-PAYLOAD", String::as_str);
        text += &format!("\n\n{names}\n{payload}");
        Ok(text)
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `x-amz-checksum-…` must say of data.
pub fn checksum(header: &str, data: &[u8]) -> Result<String, String> {
    let bytes = match header.trim_start_matches("x-amz-checksum-") {
        "crc32" => crc(data, 0xEDB8_8320, 32).to_be_bytes()[4..].to_vec(),
        "crc32c" => crc(data, 0x82F6_3B78, 32).to_be_bytes()[4..].to_vec(),
        "crc64nvme" => crc(data, 0x9A6C_9329_AC4B_C9B5, 64).to_be_bytes().to_vec(),
        "sha1" => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data)
            .as_ref()
            .to_vec(),
        "sha256" => sha256(data),
        other => return Err(format!("checksum {other}")),
    };
    Ok(base64(&bytes))
}

/// Bit by bit; the polynomial is reflected.
fn crc(data: &[u8], polynomial: u64, width: u32) -> u64 {
    let ones = u64::MAX >> (64 - width);
    let mut crc = ones;
    for byte in data {
        crc ^= u64::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ polynomial
            } else {
                crc >> 1
            };
        }
    }
    crc ^ ones
}

fn base64(bytes: &[u8]) -> String {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut text: String = bits
        .as_bytes()
        .chunks(6)
        .map(|six| {
            let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
            let place = usize::from_str_radix(&six, 2).unwrap();
            digits.as_bytes()[place] as char
        })
        .collect();
    while text.len() % 4 > 0 {
        text.push('=');
    }
    text
}
