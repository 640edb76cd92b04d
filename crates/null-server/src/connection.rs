//! One client: requests in, answers out, in order.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use maul_engine::wire::poller::Interest;
use rustls::ServerConfig;

use crate::answer::Answerer;
use crate::incoming::Incoming;
use crate::outgoing::Outgoing;
use crate::request::{self, Bad, Request};
use crate::transport::{Got, Transport};

/// Bytes that a client may send ahead of the answers it has not read, bytes. Beyond that it is closed.
const AHEAD_BYTES_MAX: usize = 256 * 1024;
/// Memory for incoming bytes that a connection keeps while it is idle.
const IDLE_BYTES_MAX: usize = 4096;

/// Scratch memory of a thread.
#[derive(Debug)]
pub struct Rooms {
    incoming: Vec<u8>,
    plain: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            incoming: vec![0; 64 * 1024],
            plain: vec![0; 16 * 1024],
            outgoing: vec![0; 64 * 1024],
        }
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// It does.
    On,
    /// It is over.
    Over,
}

/// One client.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    dialogue: Dialogue,
    /// What the poller was told.
    pub interest: Interest,
}

/// What has been said, and what is still to be said.
#[derive(Debug, Default)]
struct Dialogue {
    /// Bytes that could not be used yet.
    waiting: Vec<u8>,
    /// A request whose body is not whole.
    request: Option<Request>,
    out: Outgoing,
    /// Nothing more is answered.
    last: bool,
}

impl Connection {
    /// A client that was just accepted.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn new(tcp: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        Ok(Self {
            transport: Transport::new(tcp, tls)?,
            dialogue: Dialogue::default(),
            interest: Interest::Read,
        })
    }

    /// The socket, for the poller.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        self.transport.socket()
    }

    /// What the poller should watch for.
    #[must_use]
    pub fn wanted(&self) -> Interest {
        if self.dialogue.out.is_empty() && !self.transport.wants_write() {
            Interest::Read
        } else {
            Interest::ReadWrite
        }
    }

    /// Does what the socket is ready for.
    pub fn serve(&mut self, readable: bool, rooms: &mut Rooms, answerer: &mut Answerer) -> Going {
        let came = if readable {
            self.read(rooms, answerer)
        } else {
            Ok(Got::Blocked)
        };
        let went = self.write(rooms, answerer);
        match (came, went) {
            (Ok(Got::End) | Err(_), _) | (_, Err(_)) => Going::Over,
            _ if self.dialogue.last && self.wanted() == Interest::Read => Going::Over,
            _ => Going::On,
        }
    }

    fn read(&mut self, rooms: &mut Rooms, answerer: &mut Answerer) -> io::Result<Got> {
        let dialogue = &mut self.dialogue;
        self.transport
            .read(&mut rooms.incoming, &mut rooms.plain, &mut |bytes| {
                dialogue.hear(bytes, answerer)
            })
    }

    /// Sends, and takes up what waited behind the answer that is gone.
    fn write(&mut self, rooms: &mut Rooms, answerer: &mut Answerer) -> io::Result<()> {
        loop {
            self.transport
                .write(&mut self.dialogue.out, &mut rooms.outgoing)?;
            let stuck = !self.dialogue.out.is_empty();
            let before = self.dialogue.waiting.len();
            if stuck || before == 0 {
                return Ok(());
            }
            self.dialogue.hear(&[], answerer)?;
            if self.dialogue.waiting.len() == before && self.dialogue.out.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Dialogue {
    fn hear(&mut self, bytes: &[u8], answerer: &mut Answerer) -> io::Result<()> {
        if self.waiting.is_empty() {
            let used = self.advance(bytes, answerer);
            self.waiting.extend_from_slice(&bytes[used..]);
        } else {
            self.waiting.extend_from_slice(bytes);
            let mut waiting = std::mem::take(&mut self.waiting);
            let used = self.advance(&waiting, answerer);
            waiting.drain(..used);
            if waiting.is_empty() && waiting.capacity() > IDLE_BYTES_MAX {
                waiting = Vec::new();
            }
            self.waiting = waiting;
        }
        if self.waiting.len() > AHEAD_BYTES_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    /// Uses what can be used of `bytes` and says how much that was. One answer at a time: what comes behind waits
    /// until it is gone.
    fn advance(&mut self, bytes: &[u8], answerer: &mut Answerer) -> usize {
        let mut used = 0;
        loop {
            if self.last {
                return bytes.len();
            }
            if let Some(mut request) = self.request.take() {
                let Ok(taken) = request.body.take(&bytes[used..]) else {
                    self.refuse(Bad::Syntax, answerer);
                    continue;
                };
                used += taken;
                if request.body != Incoming::None {
                    self.request = Some(request);
                    return used;
                }
                answerer.answer(&request, &mut self.out);
                self.last = request.close;
            }
            if !self.out.is_empty() {
                return used;
            }
            match request::parse(&bytes[used..]) {
                Ok(None) => return used,
                Ok(Some((request, length))) => {
                    used += length;
                    if request.expects && request.body != Incoming::None {
                        self.out
                            .head()
                            .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                    self.request = Some(request);
                }
                Err(bad) => self.refuse(bad, answerer),
            }
        }
    }

    fn refuse(&mut self, bad: Bad, answerer: &mut Answerer) {
        answerer.refuse(bad, &mut self.out);
        self.last = true;
    }
}
