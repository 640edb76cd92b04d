//! Sockets: opened without waiting, read without waiting.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{self, sockopt, AddressFamily, SocketFlags, SocketType};

use super::Failure;

/// Begins to connect.
pub fn connect(address: SocketAddr, receive_buffer: Option<usize>) -> Result<OwnedFd, Failure> {
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
    match net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(Failure::connecting(errno)),
    }
    Ok(socket)
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
