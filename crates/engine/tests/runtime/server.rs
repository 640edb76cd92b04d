//! A server whose every connection follows a script, over plain TCP or TLS.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// No script waits longer than this for bytes.
const PATIENCE: Duration = Duration::from_secs(10);

trait Duplex: Read + Write + Send {
    fn handshake_kind(&self) -> Option<rustls::HandshakeKind> {
        None
    }
}

impl Duplex for TcpStream {}

impl Duplex for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn handshake_kind(&self) -> Option<rustls::HandshakeKind> {
        self.conn.handshake_kind()
    }
}

/// One request as it came in.
#[derive(Debug, Default, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then_some(value)
        })
    }
}

/// The server's side of one connection.
pub struct Peer {
    stream: Box<dyn Duplex>,
    tcp: TcpStream,
    buffered: Vec<u8>,
}

impl Peer {
    fn more(&mut self) -> Option<()> {
        let mut bytes = [0; 16 * 1024];
        let count = self
            .stream
            .read(&mut bytes)
            .ok()
            .filter(|count| *count > 0)?;
        self.buffered.extend_from_slice(&bytes[..count]);
        Some(())
    }

    /// The next request head; None at the end of the connection.
    pub fn head(&mut self) -> Option<Request> {
        let end = loop {
            if let Some(end) = self
                .buffered
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break end + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8(self.buffered.drain(..end).collect()).ok()?;
        let mut words = head.split_ascii_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        Some(Request {
            method,
            path,
            query,
            head,
            body: Vec::new(),
        })
    }

    /// The next request with its body.
    pub fn request(&mut self) -> Option<Request> {
        let mut request = self.head()?;
        let length = request
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        request.body = self.body(length)?;
        Some(request)
    }

    /// Of a TLS connection: whether it resumed an earlier session.
    pub fn handshake_kind(&self) -> Option<rustls::HandshakeKind> {
        self.stream.handshake_kind()
    }

    /// Sends bytes; the client may be gone.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self
            .stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush());
    }

    /// Sends an answer with a Content-Length.
    pub fn answer(&mut self, status: u16, headers: &str, body: &[u8]) {
        let mut bytes = format!(
            "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        self.send(&bytes);
    }

    /// Waits until the client closes or gives up.
    pub fn wait_for_close(&mut self) {
        while self.more().is_some() {
            self.buffered.clear();
        }
    }

    /// Small buffers in the kernel, so that a slow other side is felt.
    pub fn small_buffers(&mut self, bytes: usize) {
        rustix::net::sockopt::set_socket_recv_buffer_size(&self.tcp, bytes).unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&self.tcp, bytes).unwrap();
    }

    /// The body behind a head that was read.
    pub fn body(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffered.len() < length {
            self.more()?;
        }
        Some(self.buffered.drain(..length).collect())
    }

    /// Closes with a reset instead of a goodbye.
    pub fn reset(&mut self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.tcp, Some(Duration::ZERO));
    }
}

/// Runs until dropped.
pub struct Server {
    pub address: SocketAddr,
    pub accepted: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    open: Arc<Mutex<HashMap<usize, TcpStream>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// A plain server; every connection runs `script`.
    pub fn plain(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::start(None, script)
    }

    /// A TLS server.
    pub fn tls(
        config: Arc<rustls::ServerConfig>,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(config), script)
    }

    /// Answers every request with these bytes, as they are.
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::plain(move |peer| {
            while peer.request().is_some() {
                peer.send(&bytes);
            }
        })
    }

    /// Answers the first request of every connection with these bytes, then closes.
    pub fn answering_once(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::plain(move |peer| {
            if peer.request().is_some() {
                peer.send(&bytes);
            }
        })
    }

    fn start(
        tls: Option<Arc<rustls::ServerConfig>>,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, accepted) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let open = Arc::new(Mutex::new(HashMap::new()));
        let script = Arc::new(script);
        let acceptor = {
            let (stop, accepted, open) = (stop.clone(), accepted.clone(), open.clone());
            thread::spawn(move || {
                let mut workers = Vec::new();
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(tcp) = stream else { continue };
                    let number = accepted.fetch_add(1, Ordering::SeqCst);
                    open.lock()
                        .unwrap()
                        .insert(number, tcp.try_clone().unwrap());
                    let (script, tls, open) = (script.clone(), tls.clone(), open.clone());
                    workers.push(thread::spawn(move || {
                        serve(tcp, tls, &*script);
                        // Only the last of its handles really closes a socket.
                        open.lock().unwrap().remove(&number);
                    }));
                }
                for worker in workers {
                    let _ = worker.join();
                }
            })
        };
        Self {
            address,
            accepted,
            stop,
            open,
            acceptor: Some(acceptor),
        }
    }

    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn tls_url(&self) -> String {
        format!("https://{}", self.address)
    }
}

fn serve(
    tcp: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    script: &(dyn Fn(&mut Peer) + Send + Sync),
) {
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_write_timeout(Some(PATIENCE)).unwrap();
    let stream: Box<dyn Duplex> = match tls {
        None => Box::new(tcp.try_clone().unwrap()),
        Some(config) => {
            let connection = rustls::ServerConnection::new(config).unwrap();
            Box::new(rustls::StreamOwned::new(
                connection,
                tcp.try_clone().unwrap(),
            ))
        }
    };
    let mut peer = Peer {
        stream,
        tcp,
        buffered: Vec::new(),
    };
    script(&mut peer);
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        for stream in self.open.lock().unwrap().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// An address of this machine where nobody listens.
pub fn dead_url() -> io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(format!("http://{}", listener.local_addr()?))
}
