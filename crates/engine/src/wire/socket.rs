//! Sockets: opened without waiting, read without waiting.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, sockopt, AddressFamily, SocketFlags, SocketType};

use super::Failure;

/// How long the kernel itself goes on sending what nobody acknowledges, milliseconds. The shard's own deadlines come
/// first; these hold where it cannot look any more: a process that was stopped or killed, a socket that was closed.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// SYNs: no longer than the plan waits for a connection, whatever `net.ipv4.tcp_syn_retries` says.
    pub connect_ms: u32,
    /// On a connection that stands: the request timeout. A shorter one would end operations that a customer would
    /// still wait for (a server that stops reading counts, too).
    pub request_ms: u32,
}

/// What is left of it for the goodbye on a connection that timed out: to a target that does not even acknowledge, it
/// would go out again and again.
const FAREWELL_MS: u32 = 1000;

/// Begins to connect.
pub fn connect(
    address: SocketAddr,
    receive_buffer: Option<usize>,
    patience: Patience,
) -> Result<OwnedFd, Failure> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket =
        net::socket_with(family, SocketType::STREAM, flags, None).map_err(Failure::connecting)?;
    sockopt::set_tcp_nodelay(&socket, true).map_err(Failure::connecting)?;
    // Before connecting: the window that the server sees is agreed then.
    if let Some(bytes) = receive_buffer {
        sockopt::set_socket_recv_buffer_size(&socket, bytes).map_err(Failure::connecting)?;
    }
    sockopt::set_tcp_user_timeout(&socket, patience.connect_ms).map_err(Failure::connecting)?;
    match net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(Failure::connecting(errno)),
    }
    Ok(socket)
}

/// The connection stands: from now on the kernel waits as long for acknowledgements as a request may take.
pub fn stands(socket: &OwnedFd, patience: Patience) -> Result<(), Failure> {
    sockopt::set_tcp_user_timeout(socket, patience.request_ms).map_err(Failure::broken)
}

/// Nobody answered on it: its goodbye is not worth many packets.
pub fn hurry(socket: &OwnedFd) {
    // A socket that broke meanwhile sends none.
    let _ = sockopt::set_tcp_user_timeout(socket, FAREWELL_MS);
}

/// Closing it from now on throws away what was not sent, and sends one RST instead of FIN and all that. False: there is
/// no peer, so closing it sends nothing at all.
pub fn will_reset(socket: &OwnedFd) -> bool {
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
    net::getpeername(socket).is_ok()
}

/// None: nothing there yet. Zero bytes: the end.
pub fn read(socket: &OwnedFd, room: &mut [u8]) -> Result<Option<usize>, Failure> {
    loop {
        match rustix::io::read(socket, &mut *room) {
            Ok(count) => return Ok(Some(count)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(Failure::broken(errno)),
        }
    }
}
