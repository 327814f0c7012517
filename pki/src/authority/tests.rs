//! Certificates read back by x509-parser and by OpenSSL.

use std::process::Command;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::trust::CertificateError;

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);

fn days(days: u32) -> Validity {
    Validity { from: NOW, days }
}

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::ephemeral(algorithm).unwrap()
}

fn member() -> MemberId {
    "UZ/GOV/TAX".parse().unwrap()
}

#[test]
fn authority_is_loaded_as_it_was_made_and_its_certificates_verify() {
    let folder = tempfile::tempdir().unwrap();
    let (key_file, certificate) = (folder.path().join("ca.key"), folder.path().join("ca.pem"));
    let files = AuthorityFiles { key: &key_file, certificate: &certificate };
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let made = Authority::create("UZ test authority", files, algorithm, days(365)).unwrap();
        let loaded = Authority::load(files).unwrap();
        assert_eq!(loaded.certificate(), made.certificate());
        let subject = key(Algorithm::Ed25519);
        let issued = loaded.issue_signing(&member(), subject.public_key(), days(30)).unwrap();
        assert_eq!(issued.issued_by(made.certificate()), Ok(()));
        assert_eq!(issued.public_key(), Ok(subject.public_key()));
        assert_eq!(issued.common_name(), Some("UZ/GOV/TAX"));
        fs::remove_file(&key_file).unwrap();
    }
    let other = Authority::create("Another", files, Algorithm::EcdsaP256, days(365)).unwrap();
    fs::write(&certificate, authority().certificate().to_pem()).unwrap();
    assert!(matches!(Authority::load(files), Err(AuthorityError::Mismatch)));
    drop(other);
}

fn authority() -> Authority {
    Authority::ephemeral("UZ test authority", days(365)).unwrap()
}

#[test]
fn issued_certificates_have_the_usages_of_their_kind() {
    let authority = authority();
    let public = key(Algorithm::EcdsaP256);
    let public = public.public_key();
    let server: ServerId = "UZ/GOV/TAX/hub1".parse().unwrap();
    let client: ClientId = "UZ/GOV/TAX/desk".parse().unwrap();
    let authentication =
        authority.issue_authentication(&server, public, &["localhost", "127.0.0.1"], days(7));
    let signing = authority.issue_signing(&member(), public, days(7)).unwrap();
    let edge = authority.issue_client(&client, public, days(7)).unwrap();
    // (serverAuth, clientAuth, digitalSignature, nonRepudiation)
    for (certificate, expected) in [
        (authentication.unwrap(), (true, true, true, false)),
        (signing, (false, false, true, true)),
        (edge, (false, true, true, false)),
    ] {
        let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
        let extended = parsed.extended_key_usage().unwrap().map(|found| found.value);
        let usage = parsed.key_usage().unwrap().unwrap().value;
        let found = (
            extended.is_some_and(|extended| extended.server_auth),
            extended.is_some_and(|extended| extended.client_auth),
            usage.digital_signature(),
            usage.non_repudiation(),
        );
        assert_eq!(found, expected, "{}", certificate.subject());
        assert!(!parsed.is_ca());
        assert!((1..=20).contains(&parsed.raw_serial().len()));
        assert_eq!(certificate.allows_signing(), Ok(()));
    }
    assert!(authority.certificate().allows_signing().is_err());
}

#[test]
fn serial_numbers_differ_for_one_subject_and_key() {
    let authority = authority();
    let public = key(Algorithm::Ed25519);
    let issue = || authority.issue_signing(&member(), public.public_key(), days(7)).unwrap();
    assert_ne!(issue().fingerprint(), issue().fingerprint());
}

#[test]
fn validity_is_that_asked_for_to_the_second() {
    let public = key(Algorithm::Ed25519);
    let issued = authority().issue_signing(&member(), public.public_key(), days(7)).unwrap();
    let end = NOW.plus(Duration::from_secs(7 * 24 * 60 * 60));
    assert_eq!((issued.not_before(), issued.not_after()), (NOW.minus(BACKDATED), end));
    assert_eq!(issued.valid_at(NOW), Ok(()));
    assert_eq!(issued.valid_at(end), Ok(()));
    let late = issued.valid_at(end.plus(Duration::from_secs(1)));
    assert!(matches!(late, Err(CertificateError::Expired { .. })));
    let early = issued.valid_at(NOW.minus(BACKDATED + Duration::from_secs(1)));
    assert!(matches!(early, Err(CertificateError::NotYetValid { .. })));
}

#[test]
fn certificate_of_another_authority_or_of_no_authority_is_refused() {
    let (own, public) = (authority(), key(Algorithm::Ed25519));
    let issued = own.issue_signing(&member(), public.public_key(), days(7)).unwrap();
    // Same name, another key.
    let bad = issued.issued_by(authority().certificate());
    assert!(matches!(bad, Err(CertificateError::BadSignature(_))));
    let stranger = Authority::ephemeral("Stranger", days(7)).unwrap();
    let other = issued.issued_by(stranger.certificate());
    assert!(matches!(other, Err(CertificateError::OtherIssuer { .. })));
    // A member's certificate that poses as an authority: signed by its key, named as issuer.
    let member_key = key(Algorithm::EcdsaP256);
    let member_certificate =
        own.issue_signing(&member(), member_key.public_key(), days(7)).unwrap();
    let der = member_certificate.der().to_vec().into();
    let issuer = Issuer::from_ca_cert_der(&der, member_key).unwrap();
    let params = end_entity("UZ/GOV/FAKE", days(7)).unwrap();
    let forged = params.signed_by(public.public_key(), &issuer).unwrap();
    let forged = Certificate::parse(forged.der()).unwrap().issued_by(&member_certificate);
    assert!(matches!(forged, Err(CertificateError::NotAnAuthority(_))));
}

#[test]
fn every_changed_byte_of_what_is_signed_and_of_the_signature_is_refused() {
    let (own, public) = (authority(), key(Algorithm::Ed25519));
    let issued = own.issue_signing(&member(), public.public_key(), days(7)).unwrap();
    // What stands between the two, the algorithm's name, is not signed (RFC 5280 §4.1.1.2); the
    // fingerprint covers it.
    let (_, parsed) = X509Certificate::from_der(issued.der()).unwrap();
    let signed = parsed.tbs_certificate.as_ref().len() + 4;
    let signature = issued.der().len() - parsed.signature_value.data.len() - 3;
    for at in (0..signed).chain(signature..issued.der().len()) {
        let mut changed = issued.der().to_vec();
        changed[at] ^= 0x01;
        let taken = Certificate::parse(&changed).and_then(|read| read.issued_by(own.certificate()));
        assert!(taken.is_err(), "byte {at}");
    }
}

#[test]
fn long_identifier_stands_as_its_digest_in_the_common_name() {
    let long: MemberId = format!("UZ/GOV/{}", "x".repeat(100)).parse().unwrap();
    let public = key(Algorithm::Ed25519);
    let issued = authority().issue_signing(&long, public.public_key(), days(7)).unwrap();
    let digest = Sha256::of(long.as_str().as_bytes()).to_string();
    assert_eq!(issued.common_name(), Some(digest.as_str()));
}

#[test]
fn openssl_verifies_the_chain_and_reads_the_usages() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    let public = key(Algorithm::EcdsaP256);
    let server: ServerId = "UZ/GOV/TAX/hub1".parse().unwrap();
    let issued = authority
        .issue_authentication(&server, public.public_key(), &["localhost"], days(7))
        .unwrap();
    let (ca, leaf) = (folder.path().join("ca.pem"), folder.path().join("leaf.pem"));
    fs::write(&ca, authority.certificate().to_pem()).unwrap();
    fs::write(&leaf, issued.to_pem()).unwrap();
    let verify = |purpose: &str| {
        let mut command = Command::new("openssl");
        command.args(["verify", "-x509_strict", "-attime", "1780000000", "-purpose", purpose]);
        command.arg("-CAfile").arg(&ca).arg(&leaf).output().unwrap()
    };
    for purpose in ["sslserver", "sslclient"] {
        let output = verify(purpose);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&leaf).output();
    let text = String::from_utf8(text.unwrap().stdout).unwrap();
    for expected in ["CN = UZ/GOV/TAX/hub1", "Digital Signature", "DNS:localhost", "CA:FALSE"] {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }
}
