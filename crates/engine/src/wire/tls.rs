//! TLS by rustls (aws-lc-rs), without buffers of its own: records are decrypted and encrypted in ours.

use std::fmt;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};

use super::buffer::Buffer;
use super::{Cause, Failure};
use crate::operation::ErrorClass;
use crate::plan::{Endpoint, S3};

/// Plain text that is encrypted at once: three full records and their framing fit a buffer.
pub const PLAIN_BYTES_MAX: usize = 3 * 16 * 1024;
/// Room that the flights of a handshake need.
const FLIGHT_BYTES: usize = 16 * 1024;

/// Whom to trust, and who should answer.
#[derive(Clone, Debug)]
pub struct Settings {
    roots: Arc<RootCertStore>,
    server_name: ServerName<'static>,
}

impl Settings {
    /// Reads the certificates of an endpoint; without any, the public roots are trusted.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn of(endpoint: &Endpoint, s3: &S3) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        match &endpoint.ca_pem {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let added =
                        certificate
                            .map_err(|error| error.to_string())
                            .and_then(|certificate| {
                                roots.add(certificate).map_err(|error| error.to_string())
                            });
                    added.map_err(|error| {
                        format!(
                            "endpoint {}: a CA certificate cannot be read: {error}",
                            endpoint.name
                        )
                    })?;
                }
                if roots.is_empty() {
                    return Err(format!(
                        "endpoint {}: there is no certificate in its CA file",
                        endpoint.name
                    ));
                }
            }
        }
        let name = endpoint.server_name.as_ref().unwrap_or(&endpoint.host);
        let name = s3.name_before(name.clone());
        let server_name = ServerName::try_from(name.clone()).map_err(|_| {
            format!(
                "endpoint {}: {name} is neither a host name nor an address",
                endpoint.name
            )
        })?;
        Ok(Self {
            roots: Arc::new(roots),
            server_name,
        })
    }

    /// Two configurations with a session store of their own: for connections that may not resume a session, and for
    /// those that may. `keeps`: some connection may.
    pub fn client_configs(&self, keeps: bool) -> [Arc<ClientConfig>; 2] {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs offers TLS 1.2 and 1.3")
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A session resumes only under the very verifier that it began with: they are copies of one configuration.
        super::sessions::resumptions(keeps).map(|resumption| {
            let mut config = config.clone();
            config.resumption = resumption;
            Arc::new(config)
        })
    }
}

/// Where a session stands after the bytes at hand were used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pumped {
    /// The handshake waits for the server.
    Handshaking,
    /// Data may flow.
    Open,
    /// The server said goodbye.
    Closed,
}

/// One TLS session.
pub struct Session {
    tls: UnbufferedClientConnection,
    closed: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

fn failed(error: rustls::Error) -> Failure {
    Failure {
        class: ErrorClass::TlsFailed,
        cause: Cause::Tls(error),
    }
}

fn no_room() -> Failure {
    Failure::text(
        ErrorClass::TlsFailed,
        "a TLS flight does not fit its buffer",
    )
}

impl Session {
    /// A session that has not begun its handshake.
    ///
    /// # Errors
    /// When the configuration cannot serve.
    pub fn new(config: &Arc<ClientConfig>, settings: &Settings) -> Result<Self, Failure> {
        let tls = UnbufferedClientConnection::new(config.clone(), settings.server_name.clone())
            .map_err(failed)?;
        Ok(Self { tls, closed: false })
    }

    /// The handshake resumed an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Uses up the records in `incoming`: gives plain text to `sink`, appends answers of the protocol to `out`.
    ///
    /// # Errors
    /// When the handshake or a record failed; an alert for the server may be in `out`.
    pub fn pump(
        &mut self,
        incoming: &mut Buffer,
        out: &mut Buffer,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Pumped, Failure> {
        loop {
            let UnbufferedStatus {
                mut discard, state, ..
            } = self.tls.process_tls_records(incoming.filled_mut());
            let reached = match state.map_err(failed)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(failed)?;
                        discard += record.discard;
                        sink(record.payload);
                    }
                    None
                }
                ConnectionState::EncodeTlsData(mut flight) => {
                    match flight.encode(out.spare_mut(FLIGHT_BYTES)) {
                        Ok(written) => out.advance(written),
                        Err(EncodeError::InsufficientSize(_)) => return Err(no_room()),
                        Err(EncodeError::AlreadyEncoded) => {}
                    }
                    None
                }
                // The flight lies in `out`, which the connection writes before anything else.
                ConnectionState::TransmitTlsData(flight) => {
                    flight.done();
                    None
                }
                ConnectionState::PeerClosed => {
                    self.closed = true;
                    None
                }
                ConnectionState::BlockedHandshake => Some(Pumped::Handshaking),
                ConnectionState::WriteTraffic(_) if self.closed => Some(Pumped::Closed),
                ConnectionState::WriteTraffic(_) => Some(Pumped::Open),
                _ => Some(Pumped::Closed),
            };
            incoming.consume(discard);
            if let Some(pumped) = reached {
                return Ok(pumped);
            }
        }
    }

    /// Appends the records of `plain` (at most [`PLAIN_BYTES_MAX`]) to `out`.
    ///
    /// # Errors
    /// When the session cannot carry data (any more).
    pub fn encrypt(
        &mut self,
        incoming: &mut Buffer,
        plain: &[u8],
        out: &mut Buffer,
    ) -> Result<(), Failure> {
        self.on_traffic(incoming, out, |traffic, out| {
            match traffic.encrypt(plain, out) {
                Ok(written) => Ok(written),
                Err(EncryptError::InsufficientSize(_)) => Err(no_room()),
                Err(EncryptError::EncryptExhausted) => Err(failed(rustls::Error::EncryptError)),
            }
        })
    }

    fn on_traffic(
        &mut self,
        incoming: &mut Buffer,
        out: &mut Buffer,
        act: impl FnOnce(
            &mut WriteTraffic<'_, ClientConnectionData>,
            &mut [u8],
        ) -> Result<usize, Failure>,
    ) -> Result<(), Failure> {
        loop {
            let UnbufferedStatus { discard, state, .. } =
                self.tls.process_tls_records(incoming.filled_mut());
            match state.map_err(failed)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let written = act(&mut traffic, out.spare_mut(super::buffer::BUFFER_BYTES))?;
                    out.advance(written);
                    incoming.consume(discard);
                    return Ok(());
                }
                ConnectionState::EncodeTlsData(mut flight) => {
                    let written = flight
                        .encode(out.spare_mut(FLIGHT_BYTES))
                        .map_err(|_| no_room())?;
                    out.advance(written);
                }
                ConnectionState::TransmitTlsData(flight) => flight.done(),
                _ => {
                    return Err(Failure::text(
                        ErrorClass::Reset,
                        "the server closed the TLS session",
                    ))
                }
            }
            incoming.consume(discard);
        }
    }
}
