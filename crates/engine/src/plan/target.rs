//! Where requests go and as whom: endpoints, bucket, prefix, credentials.

use super::read::Object;
use super::{
    Addressing, Checksum, ChecksumAlgorithm, Credentials, Encryption, Endpoint, PayloadMode, S3,
};

/// Object keys end at 1024 bytes (S3); letter and digits take the rest.
const PREFIX_BYTES_MAX: usize = 1000;

pub(super) fn endpoint(mut object: Object<'_>) -> Endpoint {
    let (name, url) = (object.text("name"), object.text("url"));
    let (tls, host, port) = split_url(&url).unwrap_or_else(|| {
        // an empty text was noted already
        if !url.is_empty() {
            object.problem(
                "url",
                "is no endpoint",
                "give http:// or https://, a host and perhaps a port, nothing behind",
            );
        }
        (false, String::new(), 0)
    });
    let (ca_pem, server_name) = (
        object.lines_or_null("ca_pem"),
        object.text_or_null("server_name"),
    );
    let address = object.text_or_null("address");
    let parsed = address.as_ref().and_then(|text| text.parse().ok());
    if address.is_some() && parsed.is_none() {
        object.problem(
            "address",
            "is no IP address",
            "give one, or null to resolve the host",
        );
    }
    object.refuse_unknown();
    Endpoint {
        name,
        url,
        tls,
        host,
        port,
        address: parsed,
        ca_pem,
        server_name,
    }
}

/// (TLS?, host without brackets, port) of `http[s]://host[:port][/]`.
fn split_url(url: &str) -> Option<(bool, String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some(""))?,
            )
        }
        None => match authority.split_once(':') {
            Some((_, "")) => return None,
            Some(both) => both,
            None => (authority, ""),
        },
    };
    let port = if port.is_empty() {
        Some(if tls { 443 } else { 80 })
    } else {
        decimal(port)
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    let port = port.filter(|port| *port > 0)?;
    (!host.is_empty() && host.bytes().all(allowed)).then(|| (tls, host.to_owned(), port))
}

/// `str::parse` would take a plus sign.
fn decimal(digits: &str) -> Option<u16> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

pub(super) fn s3(mut object: Object<'_>) -> S3 {
    let bucket = object.text_or_null("bucket").unwrap_or_default();
    let (prefix, region) = (object.text("prefix"), object.text("region"));
    let keys = (
        object.text_or_null("access_key"),
        object.text_or_null("secret_key"),
    );
    let session_token = object.text_or_null("session_token");
    let payload = object.word(
        "payload",
        &[
            ("unsigned", PayloadMode::Unsigned),
            ("signed", PayloadMode::Signed),
            ("chunked", PayloadMode::Chunked),
            ("unsigned-trailer", PayloadMode::UnsignedTrailer),
        ],
    );
    let addressing = object.word(
        "addressing",
        &[("path", Addressing::Path), ("virtual", Addressing::Virtual)],
    );
    let checksum = object.object_or_null("checksum").map(checksum);
    let encryption = match object.text_or_null("encryption").as_deref() {
        None => Encryption::None,
        Some("sse-s3") => Encryption::SseS3,
        Some("sse-c") => Encryption::SseC,
        Some(_) => {
            object.problem(
                "encryption",
                "is unknown",
                "give \"sse-s3\", \"sse-c\" or null",
            );
            Encryption::None
        }
    };
    object.refuse_unknown();
    let in_bucket = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    // empty texts were noted already
    if bucket.len() > 255 || !bucket.bytes().all(in_bucket) || bucket.starts_with('.') {
        object.problem(
            "bucket",
            "is no bucket name",
            "use letters, digits, '.', '-' and '_'",
        );
    }
    if !prefix.is_empty()
        && (prefix.len() < 2 || !prefix.ends_with('/') || prefix.len() > PREFIX_BYTES_MAX)
    {
        let remedy = format!(
            "give 2 to {PREFIX_BYTES_MAX} bytes that end in '/', such as \"maul/<run id>/\""
        );
        object.problem(
            "prefix",
            "would not keep the run's objects apart from others",
            remedy,
        );
    }
    if !region.bytes().all(in_bucket) {
        object.problem(
            "region",
            "is no region name",
            "give the target's region, such as \"us-east-1\"",
        );
    }
    if session_token.is_some() && keys.0.is_none() {
        object.problem(
            "session_token",
            "is given without the keys that it belongs to",
            "give access_key and secret_key, too, or null",
        );
    }
    let credentials = match keys {
        (Some(access_key), Some(secret_key)) => Some(Credentials {
            access_key,
            secret_key,
            session_token,
        }),
        (None, None) => None,
        _ => {
            object.problem(
                "access_key",
                "and secret_key are not both given",
                "give both, or null for both",
            );
            None
        }
    };
    S3 {
        bucket,
        prefix,
        region,
        credentials,
        payload,
        addressing,
        checksum,
        encryption,
    }
}

fn checksum(mut object: Object<'_>) -> Checksum {
    let checksum = Checksum {
        algorithm: object.word(
            "algorithm",
            &[
                ("crc32", ChecksumAlgorithm::Crc32),
                ("crc32c", ChecksumAlgorithm::Crc32c),
                ("crc64nvme", ChecksumAlgorithm::Crc64Nvme),
                ("sha1", ChecksumAlgorithm::Sha1),
                ("sha256", ChecksumAlgorithm::Sha256),
            ],
        ),
        in_trailer: object.word("in", &[("header", false), ("trailer", true)]),
    };
    object.refuse_unknown();
    checksum
}
