//! The wire: bytes to and from the endpoints of a plan. Everything above speaks to [`Wire`] and [`Connection`] only, so
//! that another wire (kernel TLS, io_uring, HTTP/2) can take its place.

pub mod buffer;
pub mod conn;
pub mod encryption;
mod farewell;
pub mod http1;
pub mod outgoing;
pub mod poller;
pub mod request;
pub mod sessions;
mod socket;
pub mod source;
pub mod throttle;
pub mod tls;

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;

use crate::clock::Clock;
use crate::operation::ErrorClass;
use crate::plan::{Endpoint, Timeouts, S3};
use buffer::Pool;
pub use conn::{Connection, Received, Sent};
pub use poller::{Poller, Ready};
pub use sessions::Chance;
use socket::Patience;
pub use source::{Cut, Source};
pub use throttle::{Pace, Throttle};

/// What went wrong with a connection; the text is made only when somebody asks for it.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The kernel said so.
    Os(Errno),
    /// TLS said so.
    Tls(rustls::Error),
    /// We say so.
    Text(&'static str),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(errno) => {
                write!(f, "{}", io::Error::from(*errno))?;
                f.write_str(Lack::of(*errno).map_or("", Lack::advice))
            }
            Self::Tls(error) => write!(f, "{error}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What this machine has run out of: the limit of the generator, not of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No local port is free for this target.
    Ports,
    /// No file descriptor is free.
    Descriptors,
}

impl Lack {
    /// What an error of the kernel says about it.
    #[must_use]
    pub fn of(errno: Errno) -> Option<Self> {
        match errno {
            Errno::ADDRNOTAVAIL => Some(Self::Ports),
            Errno::MFILE | Errno::NFILE => Some(Self::Descriptors),
            _ => None,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Ports => {
                ": EADDRNOTAVAIL, the generator has no local port left for this target (closed connections keep theirs \
                 for a minute); widen net.ipv4.ip_local_port_range, name more endpoints, or open fewer connections"
            }
            Self::Descriptors => {
                ": the generator may not open more files; raise its limit (ulimit -n), or lower limits.connections"
            }
        }
    }
}

/// The end of a connection that was needed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How it counts.
    pub class: ErrorClass,
    /// Why.
    pub cause: Cause,
}

impl Failure {
    /// What this machine lacked, if that is the reason.
    #[must_use]
    pub fn lack(&self) -> Option<Lack> {
        match self.cause {
            Cause::Os(errno) => Lack::of(errno),
            _ => None,
        }
    }

    pub(crate) fn text(class: ErrorClass, text: &'static str) -> Self {
        Self {
            class,
            cause: Cause::Text(text),
        }
    }

    /// While connecting.
    pub(crate) fn connecting(errno: Errno) -> Self {
        let class = match errno {
            Errno::CONNREFUSED => ErrorClass::ConnectRefused,
            Errno::TIMEDOUT => ErrorClass::ConnectTimeout,
            // No port, no descriptor (of the process, of the machine), no memory for a socket.
            Errno::ADDRNOTAVAIL | Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
                ErrorClass::Exhausted
            }
            _ => ErrorClass::ConnectFailed,
        };
        Self {
            class,
            cause: Cause::Os(errno),
        }
    }

    /// On a connection that stood.
    pub(crate) fn broken(errno: Errno) -> Self {
        let class = match errno {
            // The kernel gave up on acknowledgements; an ICMP message that came meanwhile only says why.
            Errno::TIMEDOUT | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN => {
                ErrorClass::Timeout
            }
            _ => ErrorClass::Reset,
        };
        Self {
            class,
            cause: Cause::Os(errno),
        }
    }
}

/// An endpoint as the wire needs it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its addresses, taken in turn; one, when the plan says where to connect to.
    pub addresses: Vec<SocketAddr>,
    /// Trust and name, when it speaks TLS.
    pub tls: Option<tls::Settings>,
}

impl Target {
    /// Resolves the name and reads the certificates of an endpoint.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn of(endpoint: &Endpoint, s3: &S3) -> Result<Self, String> {
        let addresses: Vec<SocketAddr> = match endpoint.address {
            Some(address) => vec![SocketAddr::new(address, endpoint.port)],
            None => (endpoint.host.as_str(), endpoint.port)
                .to_socket_addrs()
                .map_err(|error| {
                    format!(
                        "endpoint {}: cannot resolve {}: {error}",
                        endpoint.name, endpoint.host
                    )
                })?
                .collect(),
        };
        if addresses.is_empty() {
            return Err(format!(
                "endpoint {}: {} has no address",
                endpoint.name, endpoint.host
            ));
        }
        let tls = match endpoint.tls {
            true => Some(tls::Settings::of(endpoint, s3)?),
            false => None,
        };
        Ok(Self { addresses, tls })
    }
}

/// The sockets of one shard.
#[derive(Debug)]
pub struct Wire {
    /// Readiness.
    pub poller: Poller,
    pool: Pool,
    /// Plain text on its way to or from TLS, or bytes just read.
    scratch: Vec<u8>,
    clock: Clock,
    targets: Arc<[Target]>,
    /// Of every TLS target: for connections that may not resume a session, and for those that may. Sessions stay
    /// within the shard, so that no lock is shared.
    tls: Vec<Option<[Arc<rustls::ClientConfig>; 2]>>,
    chance: Chance,
    turn: usize,
    patience: Patience,
    /// Sockets that are to be reset, see [`Wire::reset`].
    falling: Vec<OwnedFd>,
}

impl Wire {
    /// The wire of one shard.
    ///
    /// # Errors
    /// When the kernel gives no poller.
    pub fn new(
        targets: Arc<[Target]>,
        chance: Chance,
        clock: Clock,
        timeouts: Timeouts,
    ) -> io::Result<Self> {
        let whole = |ms: u64| u32::try_from(ms).unwrap_or(u32::MAX);
        let tls = targets
            .iter()
            .map(|target| {
                let settings = target.tls.as_ref()?;
                Some(settings.client_configs(chance.exists()))
            })
            .collect();
        let scratch = vec![0; buffer::BUFFER_BYTES];
        Ok(Self {
            poller: Poller::new()?,
            pool: Pool::default(),
            scratch,
            clock,
            targets,
            tls,
            chance,
            turn: 0,
            patience: Patience {
                connect_ms: whole(timeouts.connect_ms),
                request_ms: whole(timeouts.request_ms),
            },
            falling: Vec::new(),
        })
    }

    /// Begins to connect to an endpoint, for a client of this pace; readiness comes under `token`.
    ///
    /// # Errors
    /// When it failed at once.
    pub fn open(
        &mut self,
        endpoint: usize,
        token: u64,
        pace: Option<Pace>,
    ) -> Result<Connection, Failure> {
        let target = &self.targets[endpoint];
        self.turn = self.turn.wrapping_add(1);
        let address = target.addresses[self.turn % target.addresses.len()];
        let session = match (&target.tls, &self.tls[endpoint]) {
            (Some(settings), Some(configs)) => {
                let config = &configs[usize::from(self.chance.draw())];
                Some(tls::Session::new(config, settings)?)
            }
            _ => None,
        };
        let receive_buffer = pace.and_then(Pace::receive_buffer_bytes);
        Connection::open(
            &self.poller,
            address,
            session,
            token,
            receive_buffer,
            self.patience,
        )
    }

    /// Takes the buffers of a connection back and closes it.
    pub fn close(&mut self, connection: Connection) {
        connection.close(&mut self.pool);
    }

    /// Takes the buffers of a connection back and throws away what it had not sent. One that is not connected yet is
    /// gone at once, without a packet; any other is reset by [`Wire::fall_silent`].
    pub fn reset(&mut self, connection: Connection) {
        self.falling.extend(connection.abandon(&mut self.pool));
    }

    /// Resets what was given to [`Wire::reset`], in its order, paced; one shard of so many does so. Takes a second at
    /// most.
    pub fn fall_silent(&mut self, shards: u64) {
        farewell::reset_all(std::mem::take(&mut self.falling), shards);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_told_from_what_the_target_does() {
        for (errno, lack, word) in [
            (Errno::ADDRNOTAVAIL, Some(Lack::Ports), "EADDRNOTAVAIL"),
            (Errno::MFILE, Some(Lack::Descriptors), "ulimit -n"),
            (Errno::NFILE, Some(Lack::Descriptors), "ulimit -n"),
            (Errno::NETUNREACH, None, "unreachable"),
        ] {
            let failure = Failure::connecting(errno);
            let class = lack.map_or(ErrorClass::ConnectFailed, |_| ErrorClass::Exhausted);
            assert_eq!(failure.class, class);
            assert_eq!(failure.lack(), lack);
            let text = failure.cause.to_string();
            assert!(text.contains(word), "{text}");
        }
        assert_eq!(Failure::connecting(Errno::CONNREFUSED).lack(), None);
        let ours = Failure::text(ErrorClass::TlsFailed, "ours");
        assert_eq!(ours.lack(), None);
    }
}
