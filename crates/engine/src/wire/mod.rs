//! The wire: bytes to and from the endpoints of a plan. Everything above speaks to [`Wire`] and [`Connection`] only, so
//! that another wire (kernel TLS, io_uring, HTTP/2) can take its place.

pub mod buffer;
pub mod conn;
pub mod http1;
pub mod poller;
pub mod request;
pub mod tls;

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use rustix::io::Errno;

use crate::operation::ErrorClass;
use crate::plan::Endpoint;
use buffer::Pool;
pub use conn::{Connection, Received, Sent, Source};
pub use poller::{Poller, Ready};

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
            Self::Os(errno) => write!(f, "{}", io::Error::from(*errno)),
            Self::Tls(error) => write!(f, "{error}"),
            Self::Text(text) => f.write_str(text),
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
            _ => ErrorClass::ConnectFailed,
        };
        Self {
            class,
            cause: Cause::Os(errno),
        }
    }

    /// On a connection that stood.
    pub(crate) fn broken(errno: Errno) -> Self {
        Self {
            class: ErrorClass::Reset,
            cause: Cause::Os(errno),
        }
    }
}

/// An endpoint as the wire needs it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its addresses, taken in turn.
    pub addresses: Vec<SocketAddr>,
    /// Trust and name, when it speaks TLS.
    pub tls: Option<tls::Settings>,
}

impl Target {
    /// Resolves the name and reads the certificates of an endpoint.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn of(endpoint: &Endpoint) -> Result<Self, String> {
        let addresses: Vec<SocketAddr> = (endpoint.host.as_str(), endpoint.port)
            .to_socket_addrs()
            .map_err(|error| {
                format!(
                    "endpoint {}: cannot resolve {}: {error}",
                    endpoint.name, endpoint.host
                )
            })?
            .collect();
        if addresses.is_empty() {
            return Err(format!(
                "endpoint {}: {} has no address",
                endpoint.name, endpoint.host
            ));
        }
        let tls = match endpoint.tls {
            true => Some(tls::Settings::of(endpoint)?),
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
    targets: Arc<[Target]>,
    /// One per TLS target, so that sessions resume within the shard and no lock is shared.
    tls: Vec<Option<Arc<rustls::ClientConfig>>>,
    turn: usize,
}

impl Wire {
    /// The wire of one shard.
    ///
    /// # Errors
    /// When the kernel gives no poller.
    pub fn new(targets: Arc<[Target]>) -> io::Result<Self> {
        let tls = targets
            .iter()
            .map(|target| target.tls.as_ref().map(tls::Settings::client_config))
            .collect();
        let scratch = vec![0; buffer::BUFFER_BYTES];
        Ok(Self {
            poller: Poller::new()?,
            pool: Pool::default(),
            scratch,
            targets,
            tls,
            turn: 0,
        })
    }

    /// Begins to connect to an endpoint; readiness comes under `token`.
    ///
    /// # Errors
    /// When it failed at once.
    pub fn open(&mut self, endpoint: usize, token: u64) -> Result<Connection, Failure> {
        let target = &self.targets[endpoint];
        self.turn = self.turn.wrapping_add(1);
        let address = target.addresses[self.turn % target.addresses.len()];
        let session = match (&target.tls, &self.tls[endpoint]) {
            (Some(settings), Some(config)) => Some(tls::Session::new(config, settings)?),
            _ => None,
        };
        Connection::open(&self.poller, address, session, token)
    }

    /// Takes the buffers of a connection back and closes it.
    pub fn close(&mut self, connection: Connection) {
        connection.close(&mut self.pool);
    }
}
