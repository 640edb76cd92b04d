//! The server: an acceptor that deals connections out in turn, and one thread per core that serves them.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use maul_engine::clock::NS_PER_S;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::net::sockopt::{set_socket_reuseaddr, socket_incoming_cpu};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use rustix::thread::{sched_setaffinity, set_current_timer_slack, CpuSet};
use rustix::time::{clock_gettime, ClockId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::ServerConfig;

use crate::answer::Answerer;
use crate::worker::{Desk, Orders, Worker};

/// Threads of a server, at most.
pub const THREADS_MAX: usize = 256;
/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 4096;
/// How often the acceptor looks whether it shall stop.
const ACCEPT_TURN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
/// Rest of the acceptor when there is no descriptor left.
const EXHAUSTED_REST: Duration = Duration::from_millis(10);
/// Descriptors that are not connections.
const DESCRIPTORS_SPARE: u64 = 64;

/// A certificate chain (the server's own first) and its private key, in one PEM text.
#[derive(Clone)]
pub struct Certificate(pub String);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(***)")
    }
}

/// What a server shall be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads, 1 to [`THREADS_MAX`].
    pub threads: usize,
    /// The processor of each thread, in turn; empty: the kernel chooses.
    pub pin: Vec<usize>,
    /// The run that all bodies say they belong to.
    pub run: u64,
    /// Size of an object where the bucket's name says none, bytes.
    pub object_bytes: u64,
    /// Connections at once; more are closed as they come.
    pub connections_max: u64,
    /// HTTPS with this certificate; None: HTTP.
    pub certificate: Option<Certificate>,
}

/// What a server has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Requests answered.
    pub requests: u64,
    /// Connections open.
    pub connections: u64,
    /// Processor time of all threads; up to a twentieth of a second old.
    pub cpu_seconds: f64,
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct NullServer {
    address: SocketAddr,
    tls: bool,
    orders: Arc<Orders>,
    desks: Vec<Arc<Desk>>,
    threads: Vec<JoinHandle<()>>,
}

impl NullServer {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// A sentence for people: bad settings, a certificate that cannot be read, no descriptors.
    pub fn start(settings: &Settings) -> Result<Self, String> {
        if !(1..=THREADS_MAX).contains(&settings.threads) {
            return Err(format!(
                "a null server has 1 to {THREADS_MAX} threads, not {}",
                settings.threads
            ));
        }
        let tls = settings.certificate.as_ref().map(tls_config).transpose()?;
        let no_room = |error: io::Error| format!("the null server cannot start: {error}");
        raise_descriptors(settings.connections_max.saturating_add(DESCRIPTORS_SPARE));
        let (listener, address) = listen().map_err(no_room)?;
        let mut server = Self {
            address,
            tls: tls.is_some(),
            orders: Arc::default(),
            desks: Vec::new(),
            threads: Vec::new(),
        };
        for index in 0..settings.threads {
            server.hire(index, settings, tls.clone()).map_err(no_room)?;
        }
        let acceptor = Acceptor {
            listener,
            orders: server.orders.clone(),
            desks: server.desks.clone(),
            pin: settings.pin.clone(),
            connections_max: settings.connections_max,
        };
        let accept = move || acceptor.run();
        server
            .threads
            .push(spawn("null-accept", accept).map_err(no_room)?);
        Ok(server)
    }

    fn hire(
        &mut self,
        index: usize,
        settings: &Settings,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<()> {
        let desk = Arc::new(Desk::new()?);
        let answerer = Answerer::new(settings.run, settings.object_bytes, index);
        let (pin, orders, its_desk) = (settings.pin.clone(), self.orders.clone(), desk.clone());
        let serve = move || {
            settle(&pin, index);
            let worker = Worker::new(its_desk, orders.clone(), tls, answerer);
            if worker.and_then(Worker::run).is_err() {
                // A server with a dead thread would be a slow one: better none.
                orders.stop.store(true, Relaxed);
            }
        };
        self.threads.push(spawn(&format!("null-{index}"), serve)?);
        self.desks.push(desk);
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As engine plans name it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What it has done so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.desks
            .iter()
            .fold(Totals::default(), |sum, desk| Totals {
                requests: sum.requests + desk.requests.load(Relaxed),
                connections: sum.connections + desk.connections.load(Relaxed),
                cpu_seconds: sum.cpu_seconds + desk.cpu_ns.load(Relaxed) as f64 / NS_PER_S as f64,
            })
    }

    /// Does nothing at all for `length`, beginning `after` from now: no answer, no reading. It replaces an earlier one.
    pub fn stall(&self, after: Duration, length: Duration) {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let from_ns = now_ns().saturating_add(ns(after));
        // The end first: a thread that looks in between sees no stall that is longer than either.
        self.orders.stall_until_ns.store(0, Relaxed);
        self.orders.stall_from_ns.store(from_ns, Relaxed);
        self.orders
            .stall_until_ns
            .store(from_ns.saturating_add(ns(length)), Relaxed);
    }

    /// Closes everything and waits for the threads.
    pub fn stop(&mut self) {
        self.orders.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Monotonic time, nanoseconds.
pub(crate) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    (time.tv_sec as u64)
        .wrapping_mul(NS_PER_S)
        .wrapping_add(time.tv_nsec as u64)
}

struct Acceptor {
    listener: TcpListener,
    orders: Arc<Orders>,
    desks: Vec<Arc<Desk>>,
    pin: Vec<usize>,
    connections_max: u64,
}

impl Acceptor {
    fn run(self) {
        let mut turn = 0;
        while !self.orders.stop.load(Relaxed) {
            let mut watched = [PollFd::new(&self.listener, PollFlags::IN)];
            if !matches!(poll(&mut watched, Some(&ACCEPT_TURN)), Ok(1..)) {
                continue;
            }
            loop {
                match self.listener.accept() {
                    Ok((tcp, _)) => {
                        self.deal(tcp, turn);
                        turn += 1;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        std::thread::sleep(EXHAUSTED_REST);
                        break;
                    }
                }
            }
        }
    }

    fn deal(&self, tcp: TcpStream, turn: usize) {
        let open: u64 = self
            .desks
            .iter()
            .map(|desk| desk.connections.load(Relaxed))
            .sum();
        let usable = tcp
            .set_nonblocking(true)
            .and_then(|()| tcp.set_nodelay(true));
        if open < self.connections_max && usable.is_ok() {
            self.desks[self.nearest(&tcp).unwrap_or(turn % self.desks.len())].give(tcp);
        }
    }

    /// The thread on the processor that the connection's packets come in on, as servers that scale steer them
    /// (socket(7), SO_INCOMING_CPU): between two processors a request costs wake-ups that are not the client's.
    fn nearest(&self, tcp: &TcpStream) -> Option<usize> {
        let processor = socket_incoming_cpu(tcp).ok()? as usize;
        let place = self.pin.iter().position(|pinned| *pinned == processor)?;
        (place < self.desks.len()).then_some(place)
    }
}

fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
}

fn settle(pin: &[usize], index: usize) {
    // So that a stall ends when it shall.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    if !pin.is_empty() {
        let mut set = CpuSet::new();
        set.set(pin[index % pin.len()]);
        let _ = sched_setaffinity(None, &set);
    }
}

/// Client and server of a bench share a process, so ours come on top of what is there.
fn raise_descriptors(more: u64) {
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(open + more, |most| most.min(open + more));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

fn tls_config(certificate: &Certificate) -> Result<Arc<ServerConfig>, String> {
    let unreadable =
        |error: rustls::pki_types::pem::Error| format!("the certificate cannot be read: {error}");
    let chain = CertificateDer::pem_slice_iter(certificate.0.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(certificate.0.as_bytes()).map_err(unreadable)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| format!("the certificate cannot be used: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Tickets hold the session themselves: any thread can resume it, and no store is shared.
    config.ticketer =
        rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
    Ok(Arc::new(config))
}
