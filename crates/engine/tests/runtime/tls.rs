//! HTTPS: who is trusted, and that everything works through it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use maul_engine::operation::{ErrorClass as C, Outcome as O, FLAG_RESUMED};
use maul_engine::status::Counter;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{json, Value};

use crate::mini_s3::MiniS3;
use crate::plans::{plan, run, With};
use crate::server::Server;

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
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
    pub fn server(&self, names: &[&str], expired: bool) -> rustls::ServerConfig {
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

pub fn trusting(plan: Value, authority: &Authority) -> Value {
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

/// A server of one version of TLS, that answers one request for each connection and counts its handshakes: full, resumed.
fn counting(
    authority: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
) -> (Server, Arc<[AtomicUsize; 2]>) {
    let base = authority.server(&["127.0.0.1"], false);
    let mut config = rustls::ServerConfig::builder_with_provider(base.crypto_provider().clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(base.cert_resolver.clone());
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(4096);
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let counted = counts.clone();
    let server = Server::tls(Arc::new(config), move |peer| {
        if peer.request().is_some() {
            let resumed = peer.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            counted[usize::from(resumed)].fetch_add(1, Ordering::SeqCst);
            peer.answer(200, "Connection: close\r\n", b"");
        }
    });
    (server, counts)
}

#[test]
fn sessions_resume_as_often_as_asked_in_both_versions() {
    const CONNECTIONS: u64 = 120;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (ratio, least, most) in [(0.0, 0, 0), (0.5, 40, 80), (1.0, 119, 119)] {
            let authority = Authority::new("ours");
            let (server, counts) = counting(&authority, version);
            let plan = trusting(plan(&server.tls_url(), "put", CONNECTIONS), &authority).with(
                "/connections",
                json!({"requests_each": 1, "resumption": ratio}),
            );
            let ended = run(&plan);
            assert_eq!(
                (ended.only(), ended.records.len() as u64),
                ((O::Ok, C::None), CONNECTIONS),
                "{:?}",
                ended.status.examples
            );
            let flagged = ended
                .records
                .iter()
                .filter(|record| record.flags & FLAG_RESUMED > 0);
            let flagged = flagged.count();
            let [full, resumed] = [0, 1].map(|kind| counts[kind].load(Ordering::SeqCst));
            assert_eq!(
                (flagged, ended.get(Counter::Resumed), full),
                (resumed, resumed as u64, CONNECTIONS as usize - resumed),
                "the server saw the same"
            );
            assert!(
                (least..=most).contains(&resumed),
                "{version:?} {ratio}: {resumed}"
            );
        }
    }
}

#[test]
fn resumption_is_the_same_choice_again() {
    let authority = Authority::new("ours");
    let which = || {
        let (server, _) = counting(&authority, &rustls::version::TLS13);
        let plan = trusting(plan(&server.tls_url(), "put", 60), &authority).with(
            "/connections",
            json!({"requests_each": 1, "resumption": 0.3}),
        );
        let records = run(&plan).records;
        records
            .iter()
            .map(|record| record.flags)
            .collect::<Vec<_>>()
    };
    assert_eq!(which(), which());
}
