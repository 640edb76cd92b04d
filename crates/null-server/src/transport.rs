//! Bytes from and to a socket, in TLS or not.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::outgoing::Outgoing;

/// Plain text that TLS may hold before it must be written, bytes.
const PLAIN_BYTES_MAX: usize = 64 * 1024;
/// Turns of writing before another connection has its turn.
const TURNS_MAX: usize = 16;

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// Something may have been given to the sink.
    Bytes,
    /// Nothing is there.
    Blocked,
    /// The peer is gone.
    End,
}

/// One socket.
pub struct Transport {
    tcp: TcpStream,
    tls: Option<Box<ServerConnection>>,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Transport {
    /// A socket that does not block; TLS when there is a configuration.
    ///
    /// # Errors
    /// When the configuration cannot serve.
    pub fn new(tcp: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        let tls = tls
            .map(|config| ServerConnection::new(config.clone()).map_err(broken))
            .transpose()?
            .map(|mut session| {
                session.set_buffer_limit(Some(PLAIN_BYTES_MAX));
                Box::new(session)
            });
        Ok(Self { tcp, tls })
    }

    /// The socket, for the poller.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.tcp
    }

    /// True when TLS has something to say.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Reads once from the socket; what it means goes to `sink` in portions. Both rooms are scratch.
    ///
    /// # Errors
    /// When the socket or TLS broke; an alert for the peer may wait to be written.
    pub fn read(
        &mut self,
        room: &mut [u8],
        plain: &mut [u8],
        sink: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Got> {
        let count = match self.tcp.read(room) {
            Ok(0) => return Ok(Got::End),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Got::Blocked),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Got::Blocked),
            Err(error) => return Err(error),
        };
        let Some(tls) = &mut self.tls else {
            sink(&room[..count])?;
            return Ok(Got::Bytes);
        };
        let mut rest = &room[..count];
        while !rest.is_empty() {
            if tls.read_tls(&mut rest)? == 0 {
                return Ok(Got::End);
            }
            tls.process_new_packets().map_err(broken)?;
            loop {
                match tls.reader().read(plain) {
                    Ok(0) => return Ok(Got::End),
                    Ok(count) => sink(&plain[..count])?,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Got::Bytes)
    }

    /// Sends what waits, until there is nothing, the socket is full, or others have waited long enough.
    ///
    /// # Errors
    /// When the socket or TLS broke.
    pub fn write(&mut self, out: &mut Outgoing, room: &mut [u8]) -> io::Result<()> {
        for _ in 0..TURNS_MAX {
            let more = match &mut self.tls {
                None if out.is_empty() => return Ok(()),
                None => write_plain(&mut self.tcp, out, room)?,
                Some(tls) => write_tls(tls, &mut self.tcp, out, room)?,
            };
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// One turn; false when there is no more to do now.
fn write_plain(tcp: &mut TcpStream, out: &mut Outgoing, room: &mut [u8]) -> io::Result<bool> {
    let (head, body) = out.pieces(room);
    let written = if body.is_empty() {
        tcp.write(head)
    } else if head.is_empty() {
        tcp.write(body)
    } else {
        tcp.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])
    };
    match written {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(count) => {
            out.sent(count);
            Ok(!out.is_empty())
        }
        Err(error) => stop_if_blocked(error),
    }
}

fn write_tls(
    tls: &mut ServerConnection,
    tcp: &mut TcpStream,
    out: &mut Outgoing,
    room: &mut [u8],
) -> io::Result<bool> {
    if !tls.is_handshaking() && !tls.wants_write() && !out.is_empty() {
        let (head, body) = out.pieces(room);
        let count = tls
            .writer()
            .write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
        out.sent(count);
    }
    while tls.wants_write() {
        match tls.write_tls(tcp) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) => return stop_if_blocked(error),
        }
    }
    Ok(!tls.is_handshaking() && !out.is_empty())
}

fn stop_if_blocked(error: io::Error) -> io::Result<bool> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(false),
        _ => Err(error),
    }
}
