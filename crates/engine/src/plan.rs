//! The engine plan: everything one engine instance will do, as Python writes it (JSON).
//!
//! Every field is explicit; unknown keys are refused; [`Plan::parse`] reports all problems at once,
//! each with the place and what to write instead. That is why the JSON is read by hand here: serde
//! stops at the first problem.

mod document;
mod pace;
mod read;
mod target;
mod workload;

pub(crate) use workload::PUT_BYTES_MAX;

use crate::operation::{Op, Region};
use crate::trace::Trace;
use std::fmt;
use std::sync::Arc;

/// What one engine instance will do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The run's number: what every block of every body carries.
    pub run: u64,
    /// Seed of every choice: operation, key, size.
    pub seed: u64,
    /// Top 16 bits of every version written; one per engine instance of a run, from 1.
    pub epoch: u16,
    /// Index of the tenant that this instance plays; goes into every record.
    pub tenant: u8,
    /// Threads, 1 to 256.
    pub shards: u16,
    /// The CPU of each shard, or None to let the kernel choose.
    pub pin: Option<Vec<usize>>,
    /// Where requests go, at most 256.
    pub endpoints: Vec<Endpoint>,
    /// Bucket, prefix and credentials.
    pub s3: S3,
    /// Which keys are acted upon.
    pub keyspace: Keyspace,
    /// How large written objects are.
    pub sizes: SizeSpec,
    /// Which operations, and how often.
    pub mix: Vec<MixEntry>,
    /// Shape of multipart uploads; present when the mix has them.
    pub multipart: Option<Multipart>,
    /// Shape of listings.
    pub list: Listing,
    /// Bytes that a GET_RANGE asks for.
    pub range_bytes: u64,
    /// Keys of one MULTI_DELETE, 1 to 1000.
    pub multi_delete_keys: u32,
    /// How long PUT_RETENTION keeps an object (mode GOVERNANCE), seconds.
    pub retention_s: u64,
    /// When operations are due.
    pub arrivals: ArrivalSpec,
    /// How connections are used.
    pub connections: Connections,
    /// Clients that are slow on purpose.
    pub slow: Option<Slow>,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Hard ceilings of this instance.
    pub limits: Limits,
    /// Without a renewal for so long the engine stops by itself, milliseconds, at most 5000. None only where every
    /// endpoint is on the loopback interface.
    pub lease_ms: Option<u64>,
    /// Whether bodies that are read are checked.
    pub verify: bool,
    /// Whether single operations are kept besides the histograms.
    pub record_operations: bool,
    /// An operation that starts later than this after its due time counts as late, milliseconds.
    pub late_ms: f64,
    /// How many of the slowest operations are kept with their request ids, for each shard and kind of operation.
    pub slowest: u32,
}

/// One place to send requests to; `url` is taken apart already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in records.
    pub name: String,
    /// As it was written.
    pub url: String,
    /// `https`.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Where to connect to; None: resolve `host`. Whoever checked an address says so here, lest the name mean
    /// another one later.
    pub address: Option<std::net::IpAddr>,
    /// Certificates to trust, PEM; None: the public roots.
    pub ca_pem: Option<String>,
    /// Name to verify the certificate against; None: `host`.
    pub server_name: Option<String>,
}

impl Endpoint {
    /// The `Host` header: with the port unless it is the scheme's own.
    #[must_use]
    pub fn host_header(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let own_port = if self.tls { 443 } else { 80 };
        if self.port == own_port {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

/// Access key and secret key. `Debug` hides the secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Public half.
    pub access_key: String,
    /// Secret half.
    pub secret_key: String,
    /// Of temporary credentials: goes with every request.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("secret_key", &"***")
            .field("session_token", &self.session_token.as_ref().map(|_| "***"))
            .finish()
    }
}

/// Whether and how SigV4 covers the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadMode {
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// SHA-256 of the body, known before the first byte.
    Signed,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: chunks, each with its signature (with a trailing checksum: `…-TRAILER`).
    Chunked,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks without signatures, and a trailing checksum.
    UnsignedTrailer,
}

/// Checksums of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// A checksum that goes with every written body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Which.
    pub algorithm: ChecksumAlgorithm,
    /// Behind the body, in a trailer, instead of before it, in a header.
    pub in_trailer: bool,
}

/// How the bucket is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// `https://host/bucket/key`.
    Path,
    /// `https://bucket.host/key`: the `Host` header and the server name carry the bucket; the connection goes to
    /// the endpoint all the same.
    Virtual,
}

/// Encryption at rest that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// None.
    None,
    /// With the server's keys: `x-amz-server-side-encryption: AES256`.
    SseS3,
    /// With a key of ours, made from the run's number; goes with every read, too. HTTPS only.
    SseC,
}

/// Bucket, prefix and credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// The bucket; empty (null in the plan) only with a fixed key, which then is the whole path.
    pub bucket: String,
    /// What every object key of the run begins with; ends in `/`.
    pub prefix: String,
    /// SigV4 region.
    pub region: String,
    /// None: anonymous requests.
    pub credentials: Option<Credentials>,
    /// Whether SigV4 covers the body.
    pub payload: PayloadMode,
    /// How the bucket is named.
    pub addressing: Addressing,
    /// What checksum goes with written bodies.
    pub checksum: Option<Checksum>,
    /// What encryption is asked for.
    pub encryption: Encryption,
}

impl S3 {
    /// A host (and port) as requests name it: with the bucket before it, where addressing is virtual.
    #[must_use]
    pub fn name_before(&self, host: String) -> String {
        match self.addressing {
            Addressing::Path => host,
            Addressing::Virtual => format!("{}.{host}", self.bucket),
        }
    }
}

/// How an index in `[0, objects)` is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyChoice {
    /// All alike.
    Uniform,
    /// Rank k with probability proportional to k^-exponent; hot keys are spread over the region.
    Zipf {
        /// Above 0; 0.99 is what YCSB uses.
        exponent: f64,
    },
    /// One after the other, wrapping around.
    Sequential,
    /// A part of the keys draws a part of the traffic, and moves on.
    HotSet {
        /// Part of the keys that is hot, in (0, 1].
        keys: f64,
        /// Part of the traffic that goes there, in [0, 1].
        traffic: f64,
        /// The hot set moves to other keys after so long, seconds; None: never.
        moves_every_s: Option<f64>,
    },
    /// The newest ephemeral keys of the shard, rank k with probability proportional to k^-exponent; base keys while
    /// there are none.
    Latest {
        /// Above 0.
        exponent: f64,
    },
    /// Any living ephemeral key of the shard; base keys while there are none. Never one that this engine deleted.
    Churn,
}

/// Which keys a DELETE takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteFrom {
    /// The oldest acknowledged ephemeral key of the shard.
    Ephemeral,
    /// The keys of `[start, start + objects)` of the plan's region, one after the other.
    Base,
}

/// Which keys are acted upon.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyspace {
    /// Keys in the range `[start, start + objects)`.
    pub objects: u64,
    /// How one of them is chosen.
    pub choice: KeyChoice,
    /// The region that the range lies in.
    pub region: Region,
    /// First index of the range.
    pub start: u64,
    /// First index that this instance may create in the ephemeral region.
    pub ephemeral_start: u64,
    /// Of the engines that create keys from there on, and number the operations of closed loops, side by side.
    pub ephemeral_lane: Lane,
    /// Which keys a DELETE takes.
    pub delete_from: DeleteFrom,
    /// Hit this one existing object, as it is; the whole key, without the prefix in front.
    pub fixed_key: Option<String>,
}

/// How large written objects are, bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum SizeSpec {
    /// All alike.
    Fixed {
        /// Size.
        bytes: u64,
    },
    /// Evenly from `min` to `max`, both included.
    Uniform {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// exp(normal), cut off at `max` and at one byte.
    Lognormal {
        /// Half of the objects are smaller.
        median: f64,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
        /// Largest.
        max: u64,
    },
    /// One of a few.
    Weighted {
        /// (bytes, weight); the weights need not add up to anything.
        buckets: Vec<(u64, f64)>,
    },
}

/// How often an operation is asked for, relative to the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixEntry {
    /// What.
    pub op: Op,
    /// How often; 0 is never.
    pub weight: f64,
}

/// Shape of multipart uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multipart {
    /// Parts of an upload, 1 to 10 000.
    pub parts: u32,
    /// Bytes of each part. (S3 refuses less than 5 MiB for all but the last.)
    pub part_bytes: u64,
    /// Keys, used in turn.
    pub objects: u64,
    /// Parts of one upload under way at once.
    pub parallel: u32,
}

/// Shape of listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// `max-keys`, 1 to 1000.
    pub max_keys: u32,
    /// Groups keys by what lies before it; None: no groups.
    pub delimiter: Option<String>,
    /// Pages that one listing follows, at most.
    pub pages: u32,
}

/// How connections are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connections {
    /// A connection is closed after so many requests; None: as long as the server keeps it.
    pub requests_each: Option<u64>,
    /// Part of the new TLS connections that may resume an earlier session, in [0, 1].
    pub resumption: f64,
}

/// Clients that are slow on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// Part of the reads whose client takes its answer slowly, in [0, 1].
    pub readers: f64,
    /// How slowly, bytes per second.
    pub read_bytes_per_s: u64,
    /// Part of the writes whose client sends its body slowly, in [0, 1].
    pub writers: f64,
    /// How slowly, bytes per second.
    pub write_bytes_per_s: u64,
}

/// How arrivals lie in time around the profile's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Evenly.
    Even,
    /// As many independent clients make them: a Poisson process of that rate. How many come is
    /// random: the profile's integral on average, give or take its square root.
    Poisson,
}

/// How long a client of a closed loop thinks before its next operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Think {
    /// On average, milliseconds.
    pub mean_ms: f64,
    /// Exponentially distributed instead of always alike.
    pub exponential: bool,
}

/// When operations are due.
#[derive(Clone, Debug, PartialEq)]
pub enum ArrivalSpec {
    /// By the clock, whatever the target does.
    Open {
        /// One after the other.
        profile: Vec<Segment>,
        /// How they lie around the profile.
        process: Process,
        /// This instance's part of the arrivals.
        share: Share,
    },
    /// Always as many as `concurrency` at once, over all shards.
    Closed {
        /// Operations in flight.
        concurrency: u64,
        /// How long.
        seconds: f64,
        /// End after so many.
        requests: Option<u64>,
        /// Pause before each operation of a place but its first.
        think: Option<Think>,
    },
    /// By the rows of a trace, which is handed over beside the plan. They say which operation (the
    /// mix must name it; its weight is of no account), on which key and how large.
    Trace {
        /// Until the last of them, or longer.
        seconds: f64,
        /// This instance's part of the arrivals.
        share: Share,
        /// Its rows.
        trace: Arc<Trace>,
    },
}

/// A stretch of the load profile: the rate goes evenly from `from` to `to` (arrivals per second), and a wave may lie
/// on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Rate at the beginning, per second.
    pub from: f64,
    /// Rate at the end, per second; equal to `from` for a constant rate.
    pub to: f64,
    /// Length.
    pub seconds: f64,
    /// A sine wave on top, from its middle upwards.
    pub wave: Option<Wave>,
}

/// A sine wave: rate(t) = base(t) + amplitude * sin(2 pi t / period).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wave {
    /// Per second; at most the base rate.
    pub amplitude: f64,
    /// Length of one wave, seconds.
    pub period_s: f64,
}

/// A part of the arrivals: the places `[first, first + width)` of a wheel, on which arrival k stands at place
/// (k · [`stride`](crate::schedule::stride)) mod `wheel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The first place.
    pub first: u64,
    /// How many places.
    pub width: u64,
    /// Places of the wheel, at most 65 536.
    pub wheel: u64,
}

impl Share {
    /// All arrivals.
    pub const WHOLE: Self = Self {
        first: 0,
        width: 1,
        wheel: 1,
    };

    /// Nobody else has any.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.width == self.wheel
    }
}

/// Lane `index` of `count`: what engines that run side by side must never do alike goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Which.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

impl Lane {
    /// The only one.
    pub const ALONE: Self = Self { index: 0, count: 1 };
}

/// How long to wait, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For TCP and TLS together.
    pub connect_ms: u64,
    /// From the send to the end of the answer; also the longest that an arrival waits for a
    /// connection.
    pub request_ms: u64,
}

/// Hard ceilings of this instance. The first two delay, `in_flight` and `connections` bound, the
/// others stop the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Requests per second.
    pub rate_per_s: f64,
    /// Body bytes per second, both ways together.
    pub bytes_per_s: f64,
    /// Requests at once.
    pub in_flight: u64,
    /// Requests in all.
    pub requests: u64,
    /// Body bytes in all.
    pub bytes: u64,
    /// Length of the run.
    pub seconds: f64,
    /// Connections at once.
    pub connections: u64,
}

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}; {remedy}")]
pub struct Problem {
    /// Where, as a JSON path: `$.limits.rate_per_s`.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Everything that is wrong with a plan; the text has one line for each problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine plan has {} problem(s):\n{}", .problems.len(), lines(.problems))]
pub struct PlanError {
    /// Never empty.
    pub problems: Vec<Problem>,
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("  {problem}"))
        .collect::<Vec<_>>()
        .join("\n")
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// [`PlanError`] with every problem that could be found.
    pub fn parse(json: &str) -> Result<Self, PlanError> {
        document::parse(json, None)
    }

    /// The same with the packed rows of a [`Trace`], for arrivals of that mode.
    ///
    /// # Errors
    /// [`PlanError`] with every problem that could be found.
    pub fn parse_with_trace(json: &str, trace: Option<&[u8]>) -> Result<Self, PlanError> {
        document::parse(json, trace)
    }

    /// The weight of all keys that are deleted, relative to the mix: a MULTI_DELETE counts for all of its keys.
    #[must_use]
    pub fn deletes(&self) -> f64 {
        self.weight(Op::Delete)
            + self.weight(Op::DeleteVersion)
            + self.weight(Op::MultiDelete) * f64::from(self.multi_delete_keys)
    }

    /// The weight of all keys that may be made anew, to be deleted later: PUTs as often as deletes need them,
    /// PUT_IF_NONE_MATCH every other time.
    #[must_use]
    pub fn creates(&self) -> f64 {
        self.weight(Op::Put) + self.weight(Op::PresignedPut) + self.weight(Op::PutIfNoneMatch) / 2.0
    }

    /// The weight of an operation in the mix; 0 when it is not in it.
    #[must_use]
    pub fn weight(&self, op: Op) -> f64 {
        self.mix
            .iter()
            .filter(|entry| entry.op == op)
            .map(|entry| entry.weight)
            .sum()
    }
}

#[cfg(test)]
impl Plan {
    /// A small plan for the tests of other modules.
    pub(crate) fn example() -> Self {
        Self::parse(&tests::good().to_string()).expect("a test of its own reads it")
    }
}

#[cfg(test)]
pub(crate) fn example_json() -> serde_json::Value {
    tests::good()
}

#[cfg(test)]
mod tests;
