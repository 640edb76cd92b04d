//! One connection: a non-blocking socket, perhaps with TLS on it, and the bytes that could not be passed on yet.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{self, sockopt};

use super::buffer::{Buffer, Pool, BUFFER_BYTES};
use super::poller::{Interest, Poller};
use super::socket::{self, Patience};
use super::source::Source;
use super::throttle::{Pace, Throttle};
use super::tls::{Pumped, Session, PLAIN_BYTES_MAX};
use super::{Failure, Wire};
use crate::operation::ErrorClass;

/// Portions read or written per readiness, so that one fast connection cannot starve the others.
const PORTIONS_PER_TURN: usize = 4;

/// Where sending stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Every byte was handed to the kernel.
    All,
    /// The socket is full: go on when it is writable.
    Part,
}

/// Where receiving stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// More may come.
    Open,
    /// The server closed its side.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Handshaking,
    Open,
}

/// One connection to an endpoint.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    session: Option<Box<Session>>,
    stage: Stage,
    interest: Interest,
    token: u64,
    throttle: Option<Throttle>,
    holds_back: bool,
    out: Option<Buffer>,
    incoming: Option<Buffer>,
    /// Bytes handed to the kernel.
    pub bytes_sent: u64,
    /// Bytes taken from the kernel.
    pub bytes_received: u64,
    /// Requests begun on it.
    pub requests: u32,
    /// When TCP was connected, Unix nanoseconds; 0 before.
    pub connected_ns: u64,
    /// When TLS was agreed, Unix nanoseconds; 0 before, and without TLS.
    pub secured_ns: u64,
}

impl Connection {
    pub(super) fn open(
        poller: &Poller,
        address: SocketAddr,
        session: Option<Session>,
        token: u64,
        receive_buffer: Option<usize>,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let socket = socket::connect(address, receive_buffer, patience)?;
        poller
            .add(socket.as_fd(), token, Interest::ReadWrite)
            .map_err(Failure::connecting)?;
        Ok(Self {
            socket,
            session: session.map(Box::new),
            stage: Stage::Connecting,
            interest: Interest::ReadWrite,
            token,
            throttle: None,
            holds_back: false,
            out: None,
            incoming: None,
            bytes_sent: 0,
            bytes_received: 0,
            requests: 0,
            connected_ns: 0,
            secured_ns: 0,
        })
    }

    /// Its TLS session is the continuation of an earlier one.
    pub fn is_resumed(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.is_resumed())
    }

    /// Its client is slow from now on, or as fast as it can.
    pub fn set_pace(&mut self, pace: Option<Pace>, now_ns: u64) {
        self.throttle = pace.map(|pace| Throttle::new(pace, now_ns));
    }

    /// Bytes that the client may read now (`reads`), or write.
    fn allowance(&mut self, reads: bool, wire: &Wire) -> usize {
        match &mut self.throttle {
            Some(throttle) if throttle.reads() == reads => throttle.allowance(wire.clock.now_ns()),
            _ => usize::MAX,
        }
    }

    /// Its slow client had used up what it may move when it last tried: nobody but us holds things up.
    pub fn holds_back(&self) -> bool {
        self.holds_back
    }

    /// True when requests may be sent.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Goes on connecting after readiness; true when requests may be sent from now on.
    ///
    /// # Errors
    /// When it failed.
    pub fn establish(&mut self, wire: &mut Wire) -> Result<bool, Failure> {
        if self.stage == Stage::Connecting {
            sockopt::socket_error(&self.socket)
                .and_then(|outcome| outcome)
                .map_err(Failure::connecting)?;
            // Without an error it stands, unless the readiness was spurious: then there is no peer yet.
            match net::getpeername(&self.socket) {
                Ok(_) => {}
                Err(Errno::NOTCONN) => return Ok(false),
                Err(errno) => return Err(Failure::connecting(errno)),
            }
            self.connected_ns = wire.clock.now_ns();
            socket::stands(&self.socket, wire.patience).map_err(|failure| Failure {
                class: ErrorClass::ConnectFailed,
                ..failure
            })?;
            self.stage = if self.session.is_some() {
                Stage::Handshaking
            } else {
                Stage::Open
            };
        }
        if self.stage == Stage::Handshaking {
            if !self.shake_hands(wire)? {
                return Ok(false);
            }
            self.secured_ns = wire.clock.now_ns();
        }
        self.want(&wire.poller, Interest::Read)?;
        Ok(true)
    }

    fn shake_hands(&mut self, wire: &mut Wire) -> Result<bool, Failure> {
        let ended = match self.receive(wire, &mut |_| {}) {
            Ok(received) => received == Received::End,
            Err(failure) if failure.class == ErrorClass::Reset => {
                return Err(Failure {
                    class: ErrorClass::TlsFailed,
                    cause: failure.cause,
                })
            }
            Err(failure) => return Err(failure),
        };
        if self.stage == Stage::Open {
            return Ok(true);
        }
        if ended {
            return Err(Failure::text(
                ErrorClass::TlsFailed,
                "the server closed the connection during the TLS handshake",
            ));
        }
        Ok(false)
    }

    /// Sends as much of `source` as the socket takes; asks for writability when that is not all.
    ///
    /// # Errors
    /// When the connection broke. What the server had said before may still be received.
    pub fn send(&mut self, wire: &mut Wire, source: &mut impl Source) -> Result<Sent, Failure> {
        for _ in 0..PORTIONS_PER_TURN {
            if !self.flush(wire)? {
                return Ok(Sent::Part);
            }
            if source.is_spent() {
                self.want(&wire.poller, Interest::Read)?;
                return Ok(Sent::All);
            }
            self.load(wire, source)?;
        }
        if self.flush(wire)? && source.is_spent() {
            self.want(&wire.poller, Interest::Read)?;
            return Ok(Sent::All);
        }
        self.want(&wire.poller, Interest::ReadWrite)?;
        Ok(Sent::Part)
    }

    /// Takes the next portion of the source into the empty out buffer, encrypted if need be.
    fn load(&mut self, wire: &mut Wire, source: &mut impl Source) -> Result<(), Failure> {
        let out = self.out.get_or_insert_with(|| wire.pool.take());
        match &mut self.session {
            None => {
                let filled = source.fill(out.spare_mut(BUFFER_BYTES));
                out.advance(filled);
            }
            Some(session) => {
                let filled = source.fill(&mut wire.scratch[..PLAIN_BYTES_MAX]);
                let incoming = self.incoming.get_or_insert_with(|| wire.pool.take());
                session.encrypt(incoming, &wire.scratch[..filled], out)?;
                wire.pool.give_if_empty(&mut self.incoming);
            }
        }
        Ok(())
    }

    /// Writes what waits; true when nothing waits any more.
    fn flush(&mut self, wire: &mut Wire) -> Result<bool, Failure> {
        self.holds_back = false;
        let mut left = self.allowance(false, wire);
        let Some(out) = &mut self.out else {
            return Ok(true);
        };
        while !out.is_empty() {
            let portion = &out.filled()[..out.filled().len().min(left)];
            if portion.is_empty() {
                self.holds_back = true;
                self.want(&wire.poller, Interest::Read)?;
                return Ok(false);
            }
            match net::send(&self.socket, portion, net::SendFlags::NOSIGNAL) {
                Ok(count) => {
                    out.consume(count);
                    self.bytes_sent += count as u64;
                    if let Some(throttle) = self.throttle.as_mut().filter(|slow| !slow.reads()) {
                        throttle.spend(count);
                        left -= count;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.want(&wire.poller, Interest::ReadWrite)?;
                    return Ok(false);
                }
                Err(errno) => return Err(Failure::broken(errno)),
            }
        }
        wire.pool.give_if_empty(&mut self.out);
        Ok(true)
    }

    /// Takes what has come and gives its plain text to `sink`.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn receive(
        &mut self,
        wire: &mut Wire,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Received, Failure> {
        let allowed = self.allowance(true, wire);
        let before = self.bytes_received;
        let received = match self.session {
            Some(_) => self.receive_tls(wire, allowed, sink),
            None => self.receive_plain(wire, allowed, sink),
        };
        if let Some(throttle) = self.throttle.as_mut().filter(|slow| slow.reads()) {
            let moved = (self.bytes_received - before) as usize;
            throttle.spend(moved);
            self.holds_back = moved >= allowed;
            match (self.interest, self.holds_back) {
                (Interest::Read, true) => self.want(&wire.poller, Interest::Break)?,
                (Interest::Break, false) => self.want(&wire.poller, Interest::Read)?,
                _ => {}
            }
        }
        received
    }

    fn receive_plain(
        &mut self,
        wire: &mut Wire,
        mut allowed: usize,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Received, Failure> {
        for _ in 0..PORTIONS_PER_TURN {
            let asked = wire.scratch.len().min(allowed);
            if asked == 0 {
                break;
            }
            let count = match socket::read(&self.socket, &mut wire.scratch[..asked])? {
                Some(0) => return Ok(Received::End),
                Some(count) => count,
                None => return Ok(Received::Open),
            };
            self.bytes_received += count as u64;
            sink(&wire.scratch[..count]);
            // A short read emptied the socket; asking again would only cost a system call.
            if count < asked {
                break;
            }
            allowed -= count;
        }
        Ok(Received::Open)
    }

    /// Throws away what still comes on a connection that is done with; true when the server has closed it.
    pub fn is_gone(&mut self, wire: &mut Wire) -> bool {
        for _ in 0..PORTIONS_PER_TURN {
            match socket::read(&self.socket, &mut wire.scratch) {
                Ok(None) => return false,
                Ok(Some(0)) | Err(_) => return true,
                Ok(Some(count)) => self.bytes_received += count as u64,
            }
        }
        false
    }

    fn receive_tls(
        &mut self,
        wire: &mut Wire,
        allowed: usize,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Received, Failure> {
        let mut incoming = self.incoming.take().unwrap_or_else(|| wire.pool.take());
        let received = self.receive_records(wire, &mut incoming, allowed, sink);
        if incoming.is_empty() {
            wire.pool.give(incoming);
        } else {
            self.incoming = Some(incoming);
        }
        received
    }

    fn receive_records(
        &mut self,
        wire: &mut Wire,
        incoming: &mut Buffer,
        mut allowed: usize,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Received, Failure> {
        for _ in 0..PORTIONS_PER_TURN {
            // Before the first flight of the handshake there is nothing to read, but something to say.
            let room = incoming.spare_mut(BUFFER_BYTES);
            let asked = room.len().min(allowed);
            if asked == 0 {
                break;
            }
            let count = socket::read(&self.socket, &mut room[..asked])?;
            incoming.advance(count.unwrap_or(0));
            self.bytes_received += count.unwrap_or(0) as u64;
            let pumped = self.pump(wire, incoming, sink)?;
            match (pumped, count) {
                (Pumped::Closed, _) | (_, Some(0)) => return Ok(Received::End),
                (_, Some(count)) if count == asked => allowed -= count,
                _ => return Ok(Received::Open),
            }
        }
        Ok(Received::Open)
    }

    fn pump(
        &mut self,
        wire: &mut Wire,
        incoming: &mut Buffer,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Pumped, Failure> {
        let Some(session) = &mut self.session else {
            return Ok(Pumped::Open);
        };
        let out = self.out.get_or_insert_with(|| wire.pool.take());
        let pumped = session.pump(incoming, out, sink);
        let flushed = self.flush(wire);
        let pumped = pumped?;
        flushed?;
        if pumped == Pumped::Open && self.stage == Stage::Handshaking {
            self.stage = Stage::Open;
        }
        Ok(pumped)
    }

    fn want(&mut self, poller: &Poller, interest: Interest) -> Result<(), Failure> {
        if self.interest != interest {
            poller
                .modify(self.socket.as_fd(), self.token, interest)
                .map_err(Failure::broken)?;
            self.interest = interest;
        }
        Ok(())
    }

    /// It timed out: the goodbye that follows is given up soon.
    pub fn hurry(&self) {
        socket::hurry(&self.socket);
    }

    /// Gives its buffers back, and its socket if a reset must go to a peer.
    pub(super) fn abandon(mut self, pool: &mut Pool) -> Option<OwnedFd> {
        self.give_buffers(pool);
        socket::will_reset(&self.socket).then_some(self.socket)
    }

    pub(super) fn close(mut self, pool: &mut Pool) {
        self.give_buffers(pool);
    }

    fn give_buffers(&mut self, pool: &mut Pool) {
        for buffer in [self.out.take(), self.incoming.take()]
            .into_iter()
            .flatten()
        {
            pool.give(buffer);
        }
    }
}
