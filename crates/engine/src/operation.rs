//! Operation: one customer-visible S3 attempt, and the numbers that name it.
//!
//! The numbers of the enums and the layout of [`OperationRecord`] are those of
//! `src/maul/core/operation.py`; a test on the Python side holds the two against each other.

/// Declares a `#[repr(u8)]` enum together with its table of numbers and names, so that the two
/// cannot drift apart.
macro_rules! numbered {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $enum { $($(#[$doc])* $variant = $number,)+ }

        impl $enum {
            /// Every member, in the order of its numbers.
            pub const ALL: &'static [$enum] = &[$($enum::$variant),+];
            /// How many members there are.
            pub const COUNT: usize = Self::ALL.len();
            /// (number, name) of every member; the names are those of the Python enum.
            pub const NAMES: &'static [(u8, &'static str)] = &[$(($number, $name)),+];

            /// The name in Python, in capitals.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($enum::$variant => $name),+ }
            }

            /// The member with this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some($enum::$variant),)+ _ => None }
            }

            /// The number that goes into records.
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8
            }
        }
    };
}

numbered! {
    /// The operation asked for.
    Op {
        /// PutObject.
        Put = 0, "PUT";
        /// GetObject.
        Get = 1, "GET";
        /// HeadObject.
        Head = 2, "HEAD";
        /// DeleteObject.
        Delete = 3, "DELETE";
        /// ListObjectsV2.
        List = 4, "LIST";
        /// A whole multipart upload: create, parts, complete.
        Multipart = 5, "MULTIPART";
        /// GetObject with a `Range`.
        GetRange = 6, "GET_RANGE";
        /// GetObject of one part of a multipart object, by `partNumber`.
        GetPart = 7, "GET_PART";
        /// DeleteObjects: several keys in one request.
        MultiDelete = 8, "MULTI_DELETE";
        /// ListObjects, the first version of the listing.
        ListV1 = 9, "LIST_V1";
        /// ListObjectVersions.
        ListVersions = 10, "LIST_VERSIONS";
        /// A multipart upload that is given up: create, one part, list parts, abort.
        MultipartAbort = 11, "MULTIPART_ABORT";
        /// CopyObject.
        Copy = 12, "COPY";
        /// A multipart upload whose part is copied: create, UploadPartCopy, complete.
        MultipartCopy = 13, "MULTIPART_COPY";
        /// PutObject with `If-None-Match: *`: creates, or is declined.
        PutIfNoneMatch = 14, "PUT_IF_NONE_MATCH";
        /// PutObject with `If-Match`: replaces what was last written, or is declined.
        PutIfMatch = 15, "PUT_IF_MATCH";
        /// GetObject with `If-Match`.
        GetIfMatch = 16, "GET_IF_MATCH";
        /// GetObject with `If-None-Match`: the cheap answer is 304.
        GetIfNoneMatch = 17, "GET_IF_NONE_MATCH";
        /// GetObject of one version.
        GetVersion = 18, "GET_VERSION";
        /// DeleteObject of one version.
        DeleteVersion = 19, "DELETE_VERSION";
        /// PutObjectTagging.
        PutTags = 20, "PUT_TAGS";
        /// GetObjectTagging.
        GetTags = 21, "GET_TAGS";
        /// PutObjectRetention.
        PutRetention = 22, "PUT_RETENTION";
        /// GetObject, signed in the query.
        PresignedGet = 23, "PRESIGNED_GET";
        /// PutObject, signed in the query.
        PresignedPut = 24, "PRESIGNED_PUT";
        /// PutObject that the client gives up half way.
        AbortedPut = 25, "ABORTED_PUT";
        /// GetObject of a key that was deleted: 404 is right, an object is not.
        GetDeleted = 26, "GET_DELETED";
    }
}

numbered! {
    /// Did it take effect? A timed-out PUT is `Unknown`.
    Outcome {
        /// It took effect.
        Ok = 0, "OK";
        /// It did not take effect.
        Fail = 1, "FAIL";
        /// Nobody knows.
        Unknown = 2, "UNKNOWN";
        /// It was due and never sent.
        Dropped = 3, "DROPPED";
    }
}

numbered! {
    /// Why an operation was not OK, in words that a storage team uses.
    ErrorClass {
        /// Nothing wrong.
        None = 0, "NONE";
        /// 503 SlowDown or ServiceUnavailable.
        SlowDown = 1, "SLOW_DOWN";
        /// 429.
        Throttled = 2, "THROTTLED";
        /// 500.
        InternalError = 3, "INTERNAL_ERROR";
        /// 502, 504 or a 503 that is no S3 answer (a balancer without backends).
        GatewayError = 4, "GATEWAY_ERROR";
        /// 404 NoSuchKey.
        NoSuchKey = 5, "NO_SUCH_KEY";
        /// 404 NoSuchBucket.
        NoSuchBucket = 6, "NO_SUCH_BUCKET";
        /// 403 AccessDenied.
        AccessDenied = 7, "ACCESS_DENIED";
        /// 403 SignatureDoesNotMatch.
        BadSignature = 8, "BAD_SIGNATURE";
        /// 403 InvalidAccessKeyId.
        UnknownAccessKey = 9, "UNKNOWN_ACCESS_KEY";
        /// 403 RequestTimeTooSkewed.
        ClockSkew = 10, "CLOCK_SKEW";
        /// AuthorizationHeaderMalformed, PermanentRedirect.
        WrongRegion = 11, "WRONG_REGION";
        /// Any other 3xx.
        Redirect = 12, "REDIRECT";
        /// Any other 4xx.
        OtherClientError = 13, "OTHER_CLIENT_ERROR";
        /// Any other 5xx.
        OtherServerError = 14, "OTHER_SERVER_ERROR";
        /// Status 200 with an `<Error>` body.
        ErrorInOk = 15, "ERROR_IN_OK";
        /// 412 that was not to be expected.
        PreconditionFailed = 16, "PRECONDITION_FAILED";
        /// 304 that was not to be expected.
        NotModified = 17, "NOT_MODIFIED";
        /// 400 RequestTimeout: the server gave up on a slow client.
        RequestTimeout = 18, "REQUEST_TIMEOUT";
        /// 416.
        InvalidRange = 19, "INVALID_RANGE";
        /// 501 NotImplemented.
        NotImplemented = 20, "NOT_IMPLEMENTED";
        /// BadDigest, InvalidDigest, XAmzContentSHA256Mismatch: the server read other bytes than we sent.
        ChecksumRefused = 21, "CHECKSUM_REFUSED";
        /// Connection refused.
        ConnectRefused = 32, "CONNECT_REFUSED";
        /// No answer to the connection attempt in time.
        ConnectTimeout = 33, "CONNECT_TIMEOUT";
        /// Unreachable, no route.
        ConnectFailed = 34, "CONNECT_FAILED";
        /// The TLS handshake or a TLS record failed.
        TlsFailed = 35, "TLS_FAILED";
        /// Closed or reset before the answer was whole.
        Reset = 36, "RESET";
        /// The request was sent and not answered in time.
        Timeout = 37, "TIMEOUT";
        /// Not HTTP/1.1, or not what was asked.
        Protocol = 38, "PROTOCOL";
        /// Fewer bytes than the object's own header says.
        Truncated = 64, "TRUNCATED";
        /// A block's checksum or content does not match.
        Corrupt = 65, "CORRUPT";
        /// Blocks of more than one version.
        Torn = 66, "TORN";
        /// Another run's or another key's bytes.
        Foreign = 67, "FOREIGN";
        /// No maul body at all.
        NotOurs = 68, "NOT_OURS";
        /// An older version than the one acknowledged before the read began.
        Stale = 69, "STALE";
        /// The object's own blocks at each other's places.
        Swapped = 70, "SWAPPED";
        /// A condition was not heeded: it wrote, or answered, what it should have declined.
        ConditionIgnored = 71, "CONDITION_IGNORED";
        /// A checksum header of the answer does not fit its body.
        ChecksumMismatch = 72, "CHECKSUM_MISMATCH";
        /// A deleted object was there.
        Resurrected = 73, "RESURRECTED";
        /// The run was stopped while it was in flight.
        Stopped = 96, "STOPPED";
        /// Dropped: it would have waited longer than the request timeout.
        Backlog = 97, "BACKLOG";
        /// The client gave up on purpose (ABORTED_PUT): no error of the target.
        GivenUp = 98, "GIVEN_UP";
        /// This machine had no port or descriptor left to connect: no error of the target.
        Exhausted = 99, "EXHAUSTED";
    }
}

numbered! {
    /// The part of the key space that a key lies in.
    Region {
        /// Filled once, overwritten and read.
        Base = 0, "BASE";
        /// Created and deleted.
        Ephemeral = 1, "EPHEMERAL";
        /// Written by multipart uploads.
        Multipart = 2, "MULTIPART";
        /// Written by copies: key `i` is a copy of base key `i`, and carries its blocks.
        Copy = 3, "COPY";
    }
}

impl Op {
    /// It only looks: whatever its answer, nothing changed. (Of the uploads, the one that is given up makes no object.)
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(
            self,
            Op::Get
                | Op::Head
                | Op::List
                | Op::GetRange
                | Op::GetPart
                | Op::ListV1
                | Op::ListVersions
                | Op::GetIfMatch
                | Op::GetIfNoneMatch
                | Op::GetVersion
                | Op::GetTags
                | Op::PresignedGet
                | Op::GetDeleted
                | Op::MultipartAbort
        )
    }

    /// It writes an object with a version of its own; COPY and MULTIPART_COPY carry on one that exists.
    #[must_use]
    pub const fn makes_version(self) -> bool {
        matches!(
            self,
            Op::Put
                | Op::Multipart
                | Op::MultipartAbort
                | Op::PutIfNoneMatch
                | Op::PutIfMatch
                | Op::PresignedPut
                | Op::AbortedPut
        )
    }

    /// It is one request with an object as its body.
    #[must_use]
    pub const fn is_put(self) -> bool {
        matches!(
            self,
            Op::Put | Op::PutIfNoneMatch | Op::PutIfMatch | Op::PresignedPut | Op::AbortedPut
        )
    }

    /// It asks for the bytes of an object, or of a part of one.
    #[must_use]
    pub const fn is_get(self) -> bool {
        matches!(
            self,
            Op::Get
                | Op::GetRange
                | Op::GetPart
                | Op::GetIfMatch
                | Op::GetIfNoneMatch
                | Op::GetVersion
                | Op::PresignedGet
                | Op::GetDeleted
        )
    }

    /// It goes through a multipart upload.
    #[must_use]
    pub const fn is_upload(self) -> bool {
        matches!(self, Op::Multipart | Op::MultipartAbort | Op::MultipartCopy)
    }

    /// It lists the bucket.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(self, Op::List | Op::ListV1 | Op::ListVersions)
    }
}

impl ErrorClass {
    /// Its place in [`ErrorClass::ALL`]: a dense index for arrays of counts.
    #[must_use]
    pub const fn slot(self) -> usize {
        let number = self as usize;
        match number {
            0..=21 => number,
            32..=38 => number - 32 + 22,
            64..=73 => number - 64 + 29,
            _ => number - 96 + 39,
        }
    }
}

impl Region {
    /// The letter that stands for the region in object keys.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Region::Base => b'b',
            Region::Ephemeral => b'e',
            Region::Multipart => b'm',
            Region::Copy => b'c',
        }
    }
}

/// Bits below the region in a key number.
pub const REGION_SHIFT: u32 = 56;
/// One past the highest index of a key: what twelve hexadecimal digits can name.
pub const INDEX_END: u64 = 1 << 48;

/// A key number: `region << 56 | index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u64);

impl Key {
    /// The key of an index; bits of the index above [`REGION_SHIFT`] are cut off.
    #[must_use]
    pub const fn new(region: Region, index: u64) -> Self {
        Self((region as u64) << REGION_SHIFT | index & ((1 << REGION_SHIFT) - 1))
    }

    /// The region, or None when the number was not made by [`Key::new`].
    #[must_use]
    pub const fn region(self) -> Option<Region> {
        Region::from_number((self.0 >> REGION_SHIFT) as u8)
    }

    /// The index inside the region.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0 & ((1 << REGION_SHIFT) - 1)
    }

    /// The key of a name that [`Self::write_name`] wrote.
    #[must_use]
    pub fn read_name(prefix: &[u8], name: &[u8]) -> Option<Self> {
        let (letter, digits) = name.strip_prefix(prefix)?.split_first()?;
        let region = Region::ALL
            .iter()
            .find(|region| region.letter() == *letter)?;
        let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if !(12..=14).contains(&digits.len()) || !digits.iter().all(lower) {
            return None;
        }
        let index = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        Some(Self::new(*region, index))
    }

    /// Appends the object key: prefix, region letter (`x` for an unknown region), at least 12
    /// hexadecimal digits.
    ///
    /// ```
    /// use maul_engine::operation::{Key, Region};
    /// let mut name = Vec::new();
    /// Key::new(Region::Ephemeral, 255).write_name(b"maul/r1/", &mut name);
    /// assert_eq!(name, b"maul/r1/e0000000000ff");
    /// ```
    pub fn write_name(self, prefix: &[u8], out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        out.extend_from_slice(prefix);
        out.push(self.region().map_or(b'x', Region::letter));
        let index = self.index();
        let significant = (64 - index.leading_zeros()).div_ceil(4);
        for digit in (0..significant.max(12)).rev() {
            out.push(DIGITS[(index >> (digit * 4) & 15) as usize]);
        }
    }
}

/// Bit of [`OperationRecord::flags`]: the operation was the first on its connection.
pub const FLAG_NEW_CONNECTION: u8 = 1;

/// Bit of [`OperationRecord::flags`]: its TLS session was resumed (with [`FLAG_NEW_CONNECTION`]).
pub const FLAG_RESUMED: u8 = 2;
/// Bit of [`OperationRecord::flags`]: one more key of the request that is recorded before it; counts no operation.
pub const FLAG_SAME_REQUEST: u8 = 4;
/// Bit of [`OperationRecord::flags`]: the client was slow on purpose.
pub const FLAG_SLOW_CLIENT: u8 = 8;

/// One operation as it is recorded. Times are Unix nanoseconds, 0 where the moment never came. Of an operation of
/// several exchanges, the times between `start_ns` and `first_byte_ns` are those of its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct OperationRecord {
    /// When the schedule wanted it (closed loop: when it was sent).
    pub due_ns: u64,
    /// When it was begun: its first byte was handed to the connection, or the connection was begun.
    pub start_ns: u64,
    /// When TCP was connected; only with [`FLAG_NEW_CONNECTION`].
    pub connected_ns: u64,
    /// When TLS was agreed; only with [`FLAG_NEW_CONNECTION`] and TLS.
    pub secured_ns: u64,
    /// When the last byte of the request was handed to the kernel.
    pub sent_ns: u64,
    /// When the first byte of the answer came.
    pub first_byte_ns: u64,
    /// When it was over, whatever the outcome.
    pub end_ns: u64,
    /// Key number, see [`Key`].
    pub key: u64,
    /// Version written (PUT, MULTIPART) or seen (GET); 0 where none.
    pub version: u64,
    /// Bytes of body, sent or received.
    pub bytes: u64,
    /// HTTP status, 0 where none came.
    pub status: u16,
    /// What was asked.
    pub op: Op,
    /// Whether it took effect.
    pub outcome: Outcome,
    /// Why not.
    pub error_class: ErrorClass,
    /// Index into the plan's endpoints.
    pub endpoint: u8,
    /// The shard that sent it.
    pub shard: u8,
    /// See [`FLAG_NEW_CONNECTION`] and its neighbours.
    pub flags: u8,
    /// The plan's tenant.
    pub tenant: u8,
    /// HTTP requests that it took so far, at most 255.
    pub exchanges: u8,
    /// Place of the key in its request, see [`FLAG_SAME_REQUEST`].
    pub item: u16,
    /// Which request of its connection this was, counted from 1; 0 when it never got one.
    pub nth_on_connection: u32,
}

/// Bytes of one packed record: the item size of `OPERATION_DTYPE`.
pub const OPERATION_RECORD_BYTES: usize = 96;
const _: () = assert!(std::mem::size_of::<OperationRecord>() == OPERATION_RECORD_BYTES);

impl OperationRecord {
    /// The record as `OPERATION_DTYPE` lays it out, little endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; OPERATION_RECORD_BYTES] {
        let mut bytes = [0; OPERATION_RECORD_BYTES];
        let words = [
            self.due_ns,
            self.start_ns,
            self.connected_ns,
            self.secured_ns,
            self.sent_ns,
            self.first_byte_ns,
            self.end_ns,
            self.key,
            self.version,
            self.bytes,
        ];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[80..82].copy_from_slice(&self.status.to_le_bytes());
        let small = [
            self.op.number(),
            self.outcome.number(),
            self.error_class.number(),
            self.endpoint,
            self.shard,
            self.flags,
            self.tenant,
            self.exchanges,
        ];
        bytes[82..90].copy_from_slice(&small);
        bytes[90..92].copy_from_slice(&self.item.to_le_bytes());
        bytes[92..].copy_from_slice(&self.nth_on_connection.to_le_bytes());
        bytes
    }

    /// Appends [`Self::to_bytes`].
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for (place, class) in ErrorClass::ALL.iter().enumerate() {
            assert_eq!(class.slot(), place);
            assert_eq!(ErrorClass::from_number(class.number()), Some(*class));
            assert_eq!(ErrorClass::NAMES[place], (class.number(), class.name()));
        }
        assert_eq!(ErrorClass::COUNT, 43);
        assert_eq!(ErrorClass::from_number(22), None);
        assert_eq!(Op::NAMES.len(), 27);
        assert_eq!(Outcome::NAMES[3], (3, "DROPPED"));
    }

    #[test]
    fn key_keeps_region_and_index() {
        for region in Region::ALL {
            let key = Key::new(*region, INDEX_END - 1);
            assert_eq!((key.region(), key.index()), (Some(*region), INDEX_END - 1));
        }
        assert_eq!(Key(9 << REGION_SHIFT).region(), None);
        assert_eq!(
            Key::new(Region::Base, u64::MAX).region(),
            Some(Region::Base)
        );
    }

    #[test]
    fn key_name_grows_beyond_twelve_digits_like_python_does() {
        let mut name = Vec::new();
        Key::new(Region::Base, 1 << 48).write_name(b"", &mut name);
        assert_eq!(name, b"b1000000000000");
        assert_eq!(
            Key::read_name(b"", &name),
            Some(Key::new(Region::Base, 1 << 48))
        );
        name.clear();
        Key::new(Region::Multipart, 0).write_name(b"p/", &mut name);
        assert_eq!(name, b"p/m000000000000");
        assert_eq!(
            Key::read_name(b"p/", &name),
            Some(Key::new(Region::Multipart, 0))
        );
        for stranger in [
            "p/m00000000000",
            "p/z000000000000",
            "q/m000000000000",
            "p/",
            "p/m00000000000G",
        ] {
            assert_eq!(
                Key::read_name(b"p/", stranger.as_bytes()),
                None,
                "{stranger}"
            );
        }
    }

    #[test]
    fn record_lays_out_like_the_dtype() {
        let record = OperationRecord {
            due_ns: 1,
            start_ns: 2,
            connected_ns: 3,
            secured_ns: 4,
            sent_ns: 5,
            first_byte_ns: 6,
            end_ns: 7,
            key: 8,
            version: 9,
            bytes: 0x0102_0304_0506_0708,
            status: 503,
            op: Op::List,
            outcome: Outcome::Dropped,
            error_class: ErrorClass::Backlog,
            endpoint: 7,
            shard: 8,
            flags: 9,
            tenant: 10,
            exchanges: 11,
            item: 0x0c0d,
            nth_on_connection: 0x0e0f_1011,
        };
        let mut bytes = Vec::new();
        record.write_to(&mut bytes);
        assert_eq!(bytes.len(), OPERATION_RECORD_BYTES);
        let words: Vec<_> = bytes[..72].chunks(8).map(|word| word[0]).collect();
        assert_eq!(words, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(&bytes[72..80], &[8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(&bytes[80..90], &[0xf7, 0x01, 4, 3, 97, 7, 8, 9, 10, 11]);
        assert_eq!(&bytes[90..], &[0x0d, 0x0c, 0x11, 0x10, 0x0f, 0x0e]);
    }
}
