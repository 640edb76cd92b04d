//! One thread: its connections, its poll loop, its counters.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use maul_engine::clock::{thread_cpu_ns, NS_PER_MS};
use maul_engine::wire::poller::{Interest, Poller, Ready};
use rustix::event::{eventfd, EventfdFlags};
use rustls::ServerConfig;

use crate::answer::Answerer;
use crate::connection::{Connection, Going, Rooms};
use crate::server::now_ns;

/// Longest sleep of a thread: how soon it sees that it shall stop.
const TURN_NS: u64 = 50 * NS_PER_MS;
/// Where new connections are announced.
const INBOX: u64 = u64::MAX;
/// Time between two looks at the thread's own clock, which is a system call.
const LOOK_NS: u64 = 20 * NS_PER_MS;

/// What all threads look at. It is written when something begins or ends, never per request.
#[derive(Debug, Default)]
pub struct Orders {
    /// Stop.
    pub stop: AtomicBool,
    /// From when to when nothing is read, written or answered; monotonic nanoseconds.
    pub stall_from_ns: AtomicU64,
    /// See `stall_from_ns`.
    pub stall_until_ns: AtomicU64,
}

/// The way into a thread, and what it tells about itself. On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub struct Desk {
    inbox: Mutex<VecDeque<TcpStream>>,
    bell: OwnedFd,
    /// Requests answered.
    pub requests: AtomicU64,
    /// Connections open, those in the inbox included.
    pub connections: AtomicU64,
    /// Processor time used, nanoseconds.
    pub cpu_ns: AtomicU64,
}

impl Desk {
    /// An empty desk.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            inbox: Mutex::default(),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
        })
    }

    /// Hands a connection over.
    pub fn give(&self, tcp: TcpStream) {
        self.connections.fetch_add(1, Relaxed);
        self.inbox
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push_back(tcp);
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    fn take(&self) -> VecDeque<TcpStream> {
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        std::mem::take(
            &mut *self
                .inbox
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }
}

/// One thread.
pub struct Worker {
    desk: Arc<Desk>,
    orders: Arc<Orders>,
    tls: Option<Arc<ServerConfig>>,
    poller: Poller,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    rooms: Rooms,
    answerer: Answerer,
}

impl Worker {
    /// A thread that has not begun.
    pub fn new(
        desk: Arc<Desk>,
        orders: Arc<Orders>,
        tls: Option<Arc<ServerConfig>>,
        answerer: Answerer,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(desk.bell.as_fd(), INBOX, Interest::Read)?;
        Ok(Self {
            desk,
            orders,
            tls,
            poller,
            connections: Vec::new(),
            free: Vec::new(),
            rooms: Rooms::default(),
            answerer,
        })
    }

    /// Serves until it shall stop.
    pub fn run(mut self) -> io::Result<()> {
        let mut looked_ns = 0;
        while !self.orders.stop.load(Relaxed) {
            let count = self.poller.wait(TURN_NS, false)?;
            let now_ns = self.stall();
            for index in 0..count {
                let ready = self.poller.ready(index);
                if ready.token == INBOX {
                    self.welcome();
                } else {
                    self.serve(ready);
                }
            }
            self.desk.requests.store(self.answerer.answered(), Relaxed);
            if now_ns >= looked_ns + LOOK_NS {
                looked_ns = now_ns;
                self.desk.cpu_ns.store(thread_cpu_ns(), Relaxed);
            }
        }
        self.desk.cpu_ns.store(thread_cpu_ns(), Relaxed);
        Ok(())
    }

    /// Does nothing while it is told to; the time after that.
    fn stall(&self) -> u64 {
        loop {
            let now_ns = now_ns();
            let until_ns = self.orders.stall_until_ns.load(Relaxed);
            let inside = self.orders.stall_from_ns.load(Relaxed) <= now_ns && now_ns < until_ns;
            if !inside || self.orders.stop.load(Relaxed) {
                return now_ns;
            }
            std::thread::sleep(Duration::from_nanos((until_ns - now_ns).min(TURN_NS)));
        }
    }

    fn welcome(&mut self) {
        for tcp in self.desk.take() {
            let place = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let opened = Connection::new(tcp, self.tls.as_ref()).and_then(|connection| {
                let socket = connection.socket().as_fd();
                self.poller.add(socket, place as u64, Interest::Read)?;
                Ok(connection)
            });
            match opened {
                Ok(connection) => self.connections[place] = Some(connection),
                Err(_) => self.farewell(place),
            }
        }
    }

    fn serve(&mut self, ready: Ready) {
        let place = ready.token as usize;
        // It may be gone since the poller saw it.
        let Some(connection) = self.connections.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let mut going = connection.serve(ready.readable, &mut self.rooms, &mut self.answerer);
        let wanted = connection.wanted();
        if going == Going::On && wanted != connection.interest {
            connection.interest = wanted;
            let socket = connection.socket().as_fd();
            if self.poller.modify(socket, ready.token, wanted).is_err() {
                going = Going::Over;
            }
        }
        if going == Going::Over {
            self.farewell(place);
        }
    }

    fn farewell(&mut self, place: usize) {
        self.connections[place] = None;
        self.free.push(place);
        self.desk.connections.fetch_sub(1, Relaxed);
    }
}
