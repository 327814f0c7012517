//! The timestamp authority over HTTP: tokens for queries, and what it does not take.

use std::path::Path;

use pki::authority::{Authority, Validity};
use pki::timestamp::{TimestampQuery, TrustedAuthority, read_reply, verify};
use schemas::digest::Sha256;

use super::*;
use crate::{RunningTimestampAuthority, TimestampAuthorityConfig, start_timestamp_authority};

const QUERY: &str = "application/timestamp-query";

fn config(folder: &Path, algorithm: Algorithm) -> TimestampAuthorityConfig {
    let validity = Validity { from: NOW, days: 9 };
    let issuer = Authority::ephemeral("UZ test authority", validity).unwrap();
    let key = generate(algorithm, &folder.join("key")).unwrap();
    let certificate = issuer.issue_timestamping("UZ stamps", key.public_key(), validity).unwrap();
    fs::write(folder.join("pem"), certificate.to_pem()).unwrap();
    let text =
        "listen = \"127.0.0.1:0\"\ncertificate = \"pem\"\nkey = \"key\"\npolicy = \"1.2.3\"\n";
    fs::write(folder.join("toml"), text).unwrap();
    TimestampAuthorityConfig::load(&folder.join("toml")).unwrap()
}

async fn ask(authority: &RunningTimestampAuthority, kind: &str, body: Vec<u8>) -> Answer {
    let request = Request::post(format!("http://{}/", authority.address));
    send(request.header(CONTENT_TYPE, kind).body(Full::from(body)).unwrap()).await
}

#[tokio::test]
async fn query_is_answered_with_a_token_and_other_requests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), Algorithm::EcdsaP256);
    let clock = Clock::manual(NOW);
    let authority = start_timestamp_authority(config, clock).await.unwrap();
    let query = TimestampQuery::new(Sha256::of(b"checkpoint")).unwrap();
    let answer = ask(&authority, QUERY, query.to_der().unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let name = "stamps".to_owned();
    let trusted = [TrustedAuthority { name, certificate: authority.certificate.clone() }];
    let token = read_reply(&answer.body).unwrap();
    assert_eq!(verify(&token, query.asked(), &trusted).unwrap().time, NOW);
    // A bad query has a reply too, which says what is wrong (RFC 3161 §2.4.2).
    let refused = ask(&authority, QUERY, b"?".to_vec()).await;
    assert_eq!(refused.status, StatusCode::OK);
    assert!(read_reply(&refused.body).is_err());
    let long = ask(&authority, QUERY, vec![0x30; 8_192]).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    let other = ask(&authority, "text/plain", query.to_der().unwrap()).await;
    assert_eq!(other.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let get = |path: &str| {
        let address = format!("http://{}{path}", authority.address);
        send(Request::get(address).body(Full::default()).unwrap())
    };
    assert_eq!(get("/").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(get("/health").await.status, StatusCode::OK);
    authority.stop().await;
}

#[tokio::test]
async fn key_that_openssl_would_not_verify_in_a_token_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), Algorithm::Ed25519);
    let refused = start_timestamp_authority(config, Clock::manual(NOW)).await.unwrap_err();
    assert!(refused.to_string().contains("ECDSA P-256"), "{refused}");
}
