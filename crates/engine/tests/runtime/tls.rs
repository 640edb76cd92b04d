//! HTTPS: who is trusted, and that everything works through it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use maul_engine::operation::{ErrorClass as C, Outcome as O};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{json, Value};

use crate::mini_s3::MiniS3;
use crate::plans::{open_loop, plan, run, With};
use crate::server::Server;

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server configuration with a certificate for these names; `expired`: since 2021.
    fn server(&self, names: &[&str], expired: bool) -> rustls::ServerConfig {
        let mut params = CertificateParams::new(
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
    }
}

fn trusting(plan: Value, authority: &Authority) -> Value {
    plan.with("/endpoints/0/ca_pem", json!(authority.pem()))
}

fn serving(config: rustls::ServerConfig) -> (Server, MiniS3) {
    let s3 = MiniS3::default();
    (Server::tls(Arc::new(config), s3.script()), s3)
}

#[test]
fn round_trips_small_and_large() {
    let authority = Authority::new("ours");
    let (server, _) = serving(authority.server(&["127.0.0.1"], false));
    for bytes in [100u64, 4096, 60_000, 3 << 20] {
        for op in ["put", "get"] {
            let plan = trusting(plan(&server.tls_url(), op, 10), &authority)
                .with("/sizes/bytes", json!(bytes));
            let ended = run(&plan);
            assert_eq!(
                ended.only(),
                (O::Ok, C::None),
                "{op} {bytes} {:?}",
                ended.status.examples
            );
            assert!(ended.records.iter().all(|record| record.bytes == bytes));
        }
    }
}

#[test]
fn both_versions_of_tls_work_and_multipart_does_too() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let authority = Authority::new("ours");
        let base = authority.server(&["127.0.0.1"], false);
        let mut config =
            rustls::ServerConfig::builder_with_provider(base.crypto_provider().clone())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(base.cert_resolver.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (server, s3) = serving(config);
        let ended = run(&trusting(
            plan(&server.tls_url(), "multipart", 4),
            &authority,
        ));
        assert_eq!(
            (ended.only(), s3.keys().len()),
            ((O::Ok, C::None), 4),
            "{version:?} {:?}",
            ended.status.examples
        );
    }
}

#[test]
fn strangers_the_expired_and_the_misnamed_are_not_trusted() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for (authority, names, expired, word) in [
        (&theirs, ["127.0.0.1"], false, "UnknownIssuer"),
        (&ours, ["127.0.0.1"], true, "xpired"),
        (&ours, ["example.com"], false, "not valid for name"),
    ] {
        let (server, _) = serving(authority.server(&names, expired));
        let ended = run(&trusting(plan(&server.tls_url(), "put", 2), &ours));
        assert_eq!(
            ended.only(),
            (O::Fail, C::TlsFailed),
            "a write over a connection that never stood has failed"
        );
        assert!(
            ended.example(C::TlsFailed).contains(word),
            "{}",
            ended.example(C::TlsFailed)
        );
    }
}

#[test]
fn the_name_to_verify_can_be_given() {
    let authority = Authority::new("ours");
    let (server, _) = serving(authority.server(&["s3.example.com"], false));
    let plan = trusting(plan(&server.tls_url(), "put", 2), &authority)
        .with("/endpoints/0/server_name", json!("s3.example.com"));
    assert_eq!(run(&plan).only(), (O::Ok, C::None));
}

#[test]
fn the_public_roots_do_not_know_our_authority() {
    let (server, _) = serving(Authority::new("ours").server(&["127.0.0.1"], false));
    assert_eq!(
        run(&plan(&server.tls_url(), "get", 1)).only(),
        (O::Fail, C::TlsFailed)
    );
}

#[test]
fn a_server_without_tls_fails_the_handshake_and_a_silent_one_times_out() {
    let authority = Authority::new("ours");
    let plain = Server::answering(&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..]);
    let chatty =
        Server::plain(|peer| peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
    let closing = Server::plain(|_| {});
    let silent = Server::plain(|peer| peer.wait_for_close());
    for (server, class) in [
        (&plain, C::ConnectTimeout),
        (&chatty, C::TlsFailed),
        (&closing, C::TlsFailed),
        (&silent, C::ConnectTimeout),
    ] {
        let plan = trusting(plan(&server.tls_url(), "put", 1), &authority)
            .with("/timeouts/connect_ms", json!(200));
        assert_eq!(run(&plan).only(), (O::Fail, class));
    }
}

#[test]
fn sessions_resume() {
    let authority = Authority::new("ours");
    let config = Arc::new(authority.server(&["127.0.0.1"], false));
    let storer = Arc::new(Counting {
        inner: config.session_storage.clone(),
        taken: AtomicUsize::new(0),
    });
    let mut config = Arc::into_inner(config).unwrap();
    config.session_storage = storer.clone();
    // One answer for each connection.
    let server = Server::tls(Arc::new(config), |peer| {
        if peer.request().is_some() {
            peer.answer(200, "Connection: close\r\n", b"");
        }
    });
    let plan = trusting(plan(&server.tls_url(), "put", 1), &authority)
        .with("/arrivals", open_loop(50.0, 0.4));
    let ended = run(&plan);
    assert_eq!(
        (ended.records.len(), ended.only()),
        (20, (O::Ok, C::None)),
        "{:?}",
        ended.status.examples
    );
    assert_eq!(server.connections(), 20);
    assert!(
        storer.taken.load(Ordering::SeqCst) >= 15,
        "sessions are resumed"
    );
}

/// Counts the sessions that were resumed.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn rustls::server::StoresServerSessions>,
    taken: AtomicUsize,
}

impl rustls::server::StoresServerSessions for Counting {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.inner.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let taken = self.inner.take(key);
        self.taken
            .fetch_add(usize::from(taken.is_some()), Ordering::SeqCst);
        taken
    }

    fn can_cache(&self) -> bool {
        self.inner.can_cache()
    }
}
