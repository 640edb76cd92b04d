//! Readiness of sockets: epoll, level triggered.
//!
//! An exact pacer cannot sleep in milliseconds, which is all that `epoll_wait` knows on kernels before 5.11. Where the
//! moment counts, `ppoll` waits for the epoll instance itself: nanoseconds, at one more system call when something came.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{epoll, poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::clock::NS_PER_S;

/// Events taken per wait.
const EVENTS_MAX: usize = 512;

/// What a connection wants to hear of. Reading is nearly always wanted: an idle connection that the server closes must
/// be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Only that it broke: the bytes stay in the socket, and the server feels it.
    Break,
    /// Bytes to read, or the end.
    Read,
    /// Also room to write (or the outcome of a connect).
    ReadWrite,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Self::Break => epoll::EventFlags::empty(),
            Self::Read => epoll::EventFlags::IN,
            Self::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        }
    }
}

/// One ready socket.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The token given at registration.
    pub token: u64,
    /// Something to read, or the end, or an error to fetch.
    pub readable: bool,
    /// Room to write, or an error to fetch.
    pub writable: bool,
    /// It broke: what came before may still be read.
    pub broken: bool,
}

/// The poll loop of one shard.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("epoll", &self.epoll)
            .finish_non_exhaustive()
    }
}

impl Poller {
    /// A new epoll instance.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// Watches a socket. Closing the socket ends the watch.
    pub fn add(&self, socket: BorrowedFd<'_>, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::add(
            &self.epoll,
            socket,
            epoll::EventData::new_u64(token),
            interest.flags(),
        )
    }

    /// Changes what is watched for.
    pub fn modify(
        &self,
        socket: BorrowedFd<'_>,
        token: u64,
        interest: Interest,
    ) -> Result<(), Errno> {
        epoll::modify(
            &self.epoll,
            socket,
            epoll::EventData::new_u64(token),
            interest.flags(),
        )
    }

    /// Waits up to `timeout_ns` and returns how many sockets are ready. Unless `exact`, it may take a millisecond more.
    pub fn wait(&mut self, timeout_ns: u64, exact: bool) -> io::Result<usize> {
        self.events.clear();
        let mut timeout = timespec(timeout_ns);
        if exact && timeout_ns > 0 {
            let mut epoll = [PollFd::new(&self.epoll, PollFlags::IN)];
            match poll(&mut epoll, Some(&timeout)) {
                Ok(0) | Err(Errno::INTR) => return Ok(0),
                Ok(_) => timeout = timespec(0),
                Err(error) => return Err(error.into()),
            }
        }
        let room = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, room, Some(&timeout)) {
            Ok(_) => Ok(self.events.len()),
            Err(Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The `index`-th ready socket of the last wait.
    pub fn ready(&self, index: usize) -> Ready {
        let event = self.events[index];
        let flags = event.flags;
        let broken = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
        Ready {
            token: event.data.u64(),
            readable: broken || flags.contains(epoll::EventFlags::IN),
            writable: broken || flags.contains(epoll::EventFlags::OUT),
            broken,
        }
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec {
        tv_sec: (ns / NS_PER_S) as i64,
        tv_nsec: (ns % NS_PER_S) as i64,
    }
}
