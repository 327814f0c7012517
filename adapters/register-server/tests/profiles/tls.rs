//! https to the hub with a client certificate.

use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use register_server::{RegisterConfig, start};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::fake_hub::{Hub, clock, config, post, read_profile};
use crate::sample::{FATHER, Sample};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let (certificate, key) = issue(authority, "localhost");
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Serves the fake hub over TLS until dropped; its port.
async fn serve(hub: &Arc<Hub>, acceptor: TlsAcceptor, tasks: &mut JoinSet<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = hub.router();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, router) = (acceptor.clone(), router.clone());
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = TowerToHyperService::new(router);
                let server = Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    port
}

/// Starts a register whose certificate `client` issued, and counts the members it finds.
async fn members_found(folder: &Path, hub: &Authority, client: &Authority) -> usize {
    let (certificate, key) = issue(client, "register");
    std::fs::write(folder.join("ca.pem"), hub.pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    let mut tasks = JoinSet::new();
    let fake = Hub::new(Sample::worked_example(), &[]);
    let port = serve(&fake, acceptor(hub), &mut tasks).await;
    let file = |name: &str| folder.join(name).display().to_string();
    let tls = format!(
        "tls = {{ authorities_file = '{}', certificate_file = '{}', key_file = '{}' }}",
        file("ca.pem"),
        file("cert.pem"),
        file("key.pem")
    );
    let config = config(&format!("https://localhost:{port}"), &tls);
    let register = start(RegisterConfig::parse(&config).unwrap(), clock()).await.unwrap();
    let (_, text) = post(register.address, &format!("{{\"pinfl\":\"{FATHER}\"}}")).await;
    let answered = read_profile(&text).case.answers.subjects().len();
    assert_eq!(answered == 1, fake.calls.lock().unwrap().is_empty());
    answered
}

#[tokio::test]
async fn register_calls_its_hub_with_its_client_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    assert_eq!(members_found(folder.path(), &authority, &authority).await, 5);
}

#[tokio::test]
async fn register_with_a_foreign_client_certificate_gets_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(members_found(folder.path(), &authority(), &authority()).await, 1);
}
