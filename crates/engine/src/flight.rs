//! An operation under way: a state machine over one or several exchanges of request and answer. Pure; the shard acts.

pub mod deletions;
mod judge;
pub mod listing;
pub mod tags;
pub mod upload;

use crate::answer::Answer;
use crate::memory::{Begun, Known};
use crate::operation::{
    ErrorClass, Key, Op, Region, FLAG_NEW_CONNECTION, FLAG_RESUMED, FLAG_SLOW_CLIENT,
};
use crate::wire::http1::Parser;
use crate::wire::request::Outgoing;
use crate::wire::Pace;
pub use judge::after_answer;
use upload::NO_UPLOAD;

/// Which exchange of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The only one, or the first page of a listing.
    Single,
    /// A further page of a listing, counted from 1.
    Page(u32),
    /// Begins a multipart upload.
    Create,
    /// Sends (or copies) a part, counted from zero.
    Part(u32),
    /// Asks for the parts that the server has.
    ListParts,
    /// Makes the object of its parts.
    Complete,
    /// Gives the upload up, as the operation wants it.
    GiveUp,
    /// Clears away after an upload that failed; the operation is over and recorded by then.
    Abort,
}

/// An arrival that came due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number in the whole run.
    pub number: u64,
    /// When it was due, Unix nanoseconds.
    pub due_ns: u64,
    /// When the shard noticed: what came between is the generator's own doing.
    pub noticed_ns: u64,
    /// What it asks for.
    pub op: Op,
}

/// The facts of an operation, decided when it starts.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    /// What is done (a DELETE that finds no key becomes a PUT).
    pub op: Op,
    /// On which key; 0 for a fixed key and for LIST.
    pub key: Key,
    /// Which version is written; 0 for none.
    pub version: u64,
    /// Bytes of the whole object that is written.
    pub size: u64,
    /// The key was made for this PUT and may be deleted later.
    pub creates: bool,
    /// The key is an ephemeral one that must not be deleted before this read is over.
    pub reads_living: bool,
    /// When it was due.
    pub due_ns: u64,
    /// When the shard noticed that.
    pub noticed_ns: u64,
    /// When it was sent, or began to connect.
    pub start_ns: u64,
    /// When TCP was connected, if it began a connection.
    pub connected_ns: u64,
    /// When TLS was agreed, if it began a connection.
    pub secured_ns: u64,
    /// When the last byte of its (first) request was handed to the kernel; 0 before.
    pub sent_ns: u64,
    /// When the first byte of its (first) answer came; 0 before.
    pub first_byte_ns: u64,
    /// It is the first operation of its connection.
    pub on_new_connection: bool,
    /// Its client is slow on purpose.
    pub slow: Option<Pace>,
    /// Its connection is closed when so many bytes of its body were handed to the kernel, fewer than it has.
    pub give_up_at: Option<u64>,
    /// The TLS session of that connection was resumed.
    pub resumed: bool,
    /// Which request of its connection its first one was, counted from 1; 0 before.
    pub nth_on_connection: u32,
    /// Requests so far.
    pub exchanges: u8,
    /// Which exchange is under way.
    pub step: Step,
    /// Bytes that the connection had sent when the present exchange began.
    pub sent_before: u64,
    /// Body bytes of the answers to its earlier exchanges.
    pub received: u64,
    /// The bytes `[start, end)` that are asked for, where not the whole object is.
    pub range: (u64, u64),
    /// What a condition or a version id is made of.
    pub known: Known,
    /// The newest version (GET) or setting of tags (GET_TAGS) that it must not fall behind; 0: none.
    pub floor: u64,
    /// How the shard's memory counts it, when it writes.
    pub begun: Begun,
    /// Its upload, or [`NO_UPLOAD`].
    pub upload: u32,
}

impl Flight {
    /// Nothing.
    pub const NONE: Self = Self {
        op: Op::Get,
        key: Key(0),
        version: 0,
        size: 0,
        creates: false,
        reads_living: false,
        due_ns: 0,
        noticed_ns: 0,
        start_ns: 0,
        connected_ns: 0,
        secured_ns: 0,
        sent_ns: 0,
        first_byte_ns: 0,
        on_new_connection: false,
        slow: None,
        give_up_at: None,
        resumed: false,
        nth_on_connection: 0,
        exchanges: 0,
        step: Step::Single,
        sent_before: 0,
        received: 0,
        range: (0, 0),
        known: Known::NONE,
        floor: 0,
        begun: Begun::NOT,
        upload: NO_UPLOAD,
    };

    /// The key that a copy is made of.
    pub fn source(&self) -> Key {
        Key::new(Region::Base, self.key.index())
    }

    /// The flags of its record.
    pub fn flags(&self) -> u8 {
        [
            (self.on_new_connection, FLAG_NEW_CONNECTION),
            (self.resumed, FLAG_RESUMED),
            (self.slow.is_some(), FLAG_SLOW_CLIENT),
        ]
        .iter()
        .map(|(holds, flag)| u8::from(*holds) * flag)
        .sum()
    }

    /// Whether the present exchange can make the operation take effect: of an upload, only its completion.
    pub fn may_take_effect(&self) -> bool {
        matches!(self.step, Step::Single | Step::Complete)
    }
}

/// The key whose blocks the object of a key carries: that of a copy is its original's.
pub fn body_key(key: Key) -> Key {
    match key.region() {
        Some(Region::Copy) => Key::new(Region::Base, key.index()),
        _ => key,
    }
}

/// Everything about the exchange under way; its memory is used again and again.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The request.
    pub outgoing: Outgoing,
    /// Bytes of it that may go before the client gives up; all of them, when it does not.
    pub may_send: u64,
    /// All of it was handed to the kernel.
    pub sent_all: bool,
    /// Framing of the answer.
    pub parser: Parser,
    /// The answer.
    pub answer: Answer,
}

/// What to do after a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The operation is over.
    Finish(ErrorClass),
    /// Send the request of this step.
    Send(Step),
    /// The upload stands, or a part of it arrived: see what is to be done next.
    GoOn,
    /// The upload failed: the operation is over, and what it leaves behind must be cleared away.
    Fail(ErrorClass),
    /// The clearing away is done; it is no operation.
    Nothing,
}
