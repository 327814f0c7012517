//! Queries, replies and tokens between this module and OpenSSL, both ways, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use schemas::clock::UnixMillis;
use schemas::digest::Sha256;

use super::*;
use crate::authority::{Authority, Validity};
use crate::signer::SigningKey;
use crate::trust::{Algorithm, Certificate, CertificateError};

const NOW: UnixMillis = UnixMillis(1_780_000_000_250);
/// RFC 5612: the enterprise number that stands for examples.
const POLICY: &str = "1.3.6.1.4.1.32473.1";
const DATA: &[u8] = b"a checkpoint\n";

fn days(days: u32) -> Validity {
    Validity { from: NOW, days }
}

fn issuer() -> Authority {
    Authority::ephemeral("UZ test authority", days(365)).unwrap()
}

/// An authority with its issuer, whose certificate is what one trusts.
fn authority() -> (TimestampAuthority, Authority) {
    let issuer = issuer();
    let key = SigningKey::ephemeral(Algorithm::EcdsaP256).unwrap();
    let certificate = issuer.issue_timestamping("UZ stamps", key.public_key(), days(90)).unwrap();
    (TimestampAuthority::new(certificate, key, POLICY).unwrap(), issuer)
}

fn trusted(certificate: &Certificate) -> [TrustedAuthority; 1] {
    [TrustedAuthority { name: "stamps".to_owned(), certificate: certificate.clone() }]
}

fn token(authority: &TimestampAuthority, query: &TimestampQuery, at: UnixMillis) -> Vec<u8> {
    read_reply(&authority.answer(&query.to_der().unwrap(), at).unwrap()).unwrap()
}

#[test]
fn token_verifies_under_its_certificate_and_under_the_issuers() {
    let (authority, issuer) = authority();
    let query = TimestampQuery::new(Sha256::of(DATA)).unwrap();
    let token = token(&authority, &query, NOW);
    for certificate in [authority.certificate(), issuer.certificate()] {
        let verified = verify(&token, query.asked(), &trusted(certificate)).unwrap();
        assert_eq!((verified.time, verified.authority.as_str()), (NOW, "stamps"));
    }
    let offline = Asked { nonce: None, ..query.asked() };
    assert!(verify(&token, offline, &trusted(issuer.certificate())).is_ok());
}

#[test]
fn each_fault_of_a_token_is_refused_with_its_own_reason() {
    let (authority, issuer) = authority();
    let query = TimestampQuery::new(Sha256::of(DATA)).unwrap();
    let good = token(&authority, &query, NOW);
    let listed = trusted(issuer.certificate());
    let refused = |token: &[u8], asked: Asked<'_>| verify(token, asked, &listed).unwrap_err();
    let other = Sha256::of(b"another checkpoint\n");
    assert_eq!(
        refused(&good, Asked { imprint: &other, ..query.asked() }),
        TokenRefusal::OtherImprint
    );
    assert_eq!(
        refused(&good, Asked { nonce: Some(&[0x41]), ..query.asked() }),
        TokenRefusal::OtherNonce
    );
    let late = NOW.plus(std::time::Duration::from_secs(91 * 86_400));
    let expired = refused(&token(&authority, &query, late), query.asked());
    assert!(matches!(expired, TokenRefusal::Certificate(CertificateError::Expired { .. })));
    let early = NOW.minus(std::time::Duration::from_secs(86_400));
    assert!(matches!(
        refused(&token(&authority, &query, early), query.asked()),
        TokenRefusal::Certificate(CertificateError::NotYetValid { .. })
    ));
    let stranger = super::tests::authority().0;
    assert!(matches!(
        refused(&token(&stranger, &query, NOW), query.asked()),
        TokenRefusal::UnknownAuthority(_)
    ));
    assert!(matches!(verify(&good, query.asked(), &[]), Err(TokenRefusal::UnknownAuthority(_))));
}

#[test]
fn certificate_for_another_use_makes_no_timestamps() {
    let issuer = issuer();
    let key = || SigningKey::ephemeral(Algorithm::EcdsaP256).unwrap();
    let signing = key();
    let member = "UZ/GOV/TAX".parse().unwrap();
    let certificate = issuer.issue_signing(&member, signing.public_key(), days(9)).unwrap();
    let made = TimestampAuthority::new(certificate.clone(), signing, POLICY);
    assert!(matches!(
        made,
        Err(TimestampAuthorityError::Certificate(CertificateError::NotForTimestamps(_)))
    ));
    let other = issuer.issue_timestamping("UZ stamps", key().public_key(), days(9)).unwrap();
    let made = TimestampAuthority::new(other.clone(), key(), POLICY);
    assert!(matches!(made, Err(TimestampAuthorityError::Mismatch)));
    let ed = SigningKey::ephemeral(Algorithm::Ed25519).unwrap();
    let of_ed = issuer.issue_timestamping("UZ stamps", ed.public_key(), days(9)).unwrap();
    let made = TimestampAuthority::new(of_ed, ed, POLICY);
    assert!(matches!(made, Err(TimestampAuthorityError::Mismatch)));
    let made = TimestampAuthority::new(other, key(), "no policy");
    assert!(matches!(made, Err(TimestampAuthorityError::Policy(_))));
}

#[test]
fn queries_that_are_not_answered_say_why() {
    let (authority, _) = authority();
    let query = TimestampQuery::new(Sha256::of(DATA)).unwrap();
    let der = query.to_der().unwrap();
    assert_eq!(TimestampQuery::parse(&der), Ok(query));
    // The version, and the last byte of SHA-256's identifier: SHA-384.
    let at = |needle: &[u8]| der.windows(needle.len()).position(|bytes| bytes == needle).unwrap();
    let mut version = der.clone();
    version[at(&[2, 1, 1]) + 2] = 2;
    let mut algorithm = der.clone();
    algorithm[at(&[3, 4, 2, 1]) + 3] = 2;
    let long = [&der[..], &[0; 5_000]].concat();
    for (query, expected, bit) in [
        (&version[..], QueryRefusal::Form, 5),
        (&algorithm[..], QueryRefusal::Algorithm, 0),
        (&der[..der.len() - 1], QueryRefusal::Form, 5),
        (&long[..], QueryRefusal::Form, 5),
        (&b""[..], QueryRefusal::Form, 5),
    ] {
        let (refusal, reply) = authority.answer(query, NOW).unwrap_err();
        assert_eq!(refusal, expected);
        let read = read_reply(&reply);
        assert_eq!(read, Err(ReplyError::Refused { status: 2, failure: vec![bit] }));
    }
    for bad in [&b""[..], b"\x30\x00", b"<html>", &[0x30; 70_000]] {
        assert!(!matches!(read_reply(bad), Ok(_) | Err(ReplyError::Refused { .. })));
    }
}

/// Every single-bit change, every shorter token, and a byte more.
fn no_change_goes_unseen(token: &[u8], asked: Asked<'_>, listed: &[TrustedAuthority]) {
    assert!(verify(token, asked, listed).is_ok());
    for at in 0..token.len() {
        for bit in 0..8 {
            let mut changed = token.to_vec();
            changed[at] ^= 1 << bit;
            assert!(verify(&changed, asked, listed).is_err(), "bit {bit} of byte {at}");
        }
        assert!(verify(&token[..at], asked, listed).is_err(), "cut at {at}");
    }
    assert!(verify(&[token, &[0]].concat(), asked, listed).is_err());
}

#[test]
fn no_bit_of_our_token_can_change_unseen() {
    let (authority, issuer) = authority();
    let query = TimestampQuery::new(Sha256::of(DATA)).unwrap();
    let token = token(&authority, &query, NOW);
    no_change_goes_unseen(&token, query.asked(), &trusted(issuer.certificate()));
}

/// Runs OpenSSL in a folder; whether it succeeded, and all it said.
fn openssl(folder: &Path, line: &str) -> (bool, String) {
    let output = Command::new("openssl").current_dir(folder).args(line.split(' ')).output();
    let output = output.expect("openssl is missing; install it: apt-get install openssl");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[track_caller]
fn succeeds(folder: &Path, line: &str) {
    let (succeeded, said) = openssl(folder, line);
    assert!(succeeded, "openssl {line}: {said}");
}

#[test]
fn openssl_verifies_what_our_authority_answers_to_its_query() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, issuer) = authority();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("data"), DATA).unwrap();
    fs::write(file("other"), b"other").unwrap();
    fs::write(file("ca.pem"), issuer.certificate().to_pem()).unwrap();
    fs::write(file("tsa.pem"), authority.certificate().to_pem()).unwrap();
    let check = format!("-CAfile ca.pem -attime {}", NOW.seconds());
    for (asked, beside) in
        [("-cert", ""), ("-cert -no_nonce", ""), ("-no_nonce", " -untrusted tsa.pem")]
    {
        succeeds(folder.path(), &format!("ts -query -data data -sha256 {asked} -out q.tsq"));
        let reply = authority.answer(&fs::read(file("q.tsq")).unwrap(), NOW).unwrap();
        fs::write(file("r.tsr"), reply).unwrap();
        for given in ["-queryfile q.tsq", "-data data"] {
            succeeds(folder.path(), &format!("ts -verify {given} -in r.tsr {check}{beside}"));
        }
        let other =
            openssl(folder.path(), &format!("ts -verify -data other -in r.tsr {check}{beside}"));
        assert!(!other.0, "{}", other.1);
        let text = openssl(folder.path(), "ts -reply -in r.tsr -text").1;
        assert!(text.contains("Status: Granted.") && text.contains(POLICY), "{text}");
        assert!(text.contains("May 28 20:26:40.25 2026 GMT"), "{text}");
    }
    succeeds(folder.path(), "ts -query -data data -sha256 -tspolicy 1.2.3 -out q.tsq");
    let (refusal, _) = authority.answer(&fs::read(file("q.tsq")).unwrap(), NOW).unwrap_err();
    assert_eq!(refusal, QueryRefusal::Policy);
    succeeds(folder.path(), "ts -query -data data -sha512 -out q.tsq");
    let (_, reply) = authority.answer(&fs::read(file("q.tsq")).unwrap(), NOW).unwrap_err();
    fs::write(file("r.tsr"), reply).unwrap();
    let text = openssl(folder.path(), "ts -reply -in r.tsr -text").1;
    assert!(text.contains("Status: Rejected.") && text.contains("unrecognized"), "{text}");
}

/// An authority of OpenSSL: a folder with key, certificate and its issuer's.
struct OpenSslAuthority(tempfile::TempDir);

impl OpenSslAuthority {
    fn new(key: &str, signer_digest: &str, identifier: &str, extended: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[req]\ndistinguished_name=name\n[name]\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
             keyUsage=keyCertSign\n[tsa_cert]\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage={extended}\n[tsa]\ndefault_tsa=tsa1\n[tsa1]\nserial=serial\n\
             crypto_device=builtin\ndefault_policy={POLICY}\ndigests=sha256\n\
             accuracy=secs:1,millisecs:500,microsecs:1\ntsa_name=yes\n\
             signer_digest={signer_digest}\ness_cert_id_alg={identifier}\n"
        );
        fs::write(folder.path().join("tsa.cnf"), config).unwrap();
        for line in [
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key".to_owned(),
            "req -x509 -config tsa.cnf -extensions ca -key ca.key -subj /CN=ca -days 9 -out ca.pem"
                .to_owned(),
            format!("genpkey {key} -out tsa.key"),
            "req -new -config tsa.cnf -key tsa.key -subj /CN=tsa -out tsa.csr".to_owned(),
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile tsa.cnf \
             -extensions tsa_cert -out tsa.pem"
                .to_owned(),
        ] {
            succeeds(folder.path(), &line);
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn certificate(&self, name: &str) -> Certificate {
        Certificate::from_pem(&fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    /// The token in answer to a query, if OpenSSL gives one.
    fn token(&self, query: &TimestampQuery, more: &str) -> Option<Vec<u8>> {
        fs::write(self.path("q.tsq"), query.to_der().unwrap()).unwrap();
        let line = format!(
            "ts -reply -config tsa.cnf -queryfile q.tsq -signer tsa.pem -inkey tsa.key -out r.tsr{more}"
        );
        let (succeeded, said) = openssl(self.0.path(), &line);
        println!("{said}");
        succeeded.then(|| read_reply(&fs::read(self.path("r.tsr")).unwrap()).unwrap())
    }
}

const TIMESTAMPS: &str = "critical,timeStamping";
const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

#[test]
fn tokens_of_openssls_authority_verify() {
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    let p384 = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
    for (key, digest) in [(P256, "sha256"), (p384, "sha384"), (rsa, "sha256"), (rsa, "sha512")] {
        let authority = OpenSslAuthority::new(key, digest, "sha256", TIMESTAMPS);
        let query = TimestampQuery::new(Sha256::of(DATA)).unwrap();
        let token = authority.token(&query, "").unwrap();
        for listed in ["tsa.pem", "ca.pem"] {
            let listed = trusted(&authority.certificate(listed));
            let verified = verify(&token, query.asked(), &listed).unwrap();
            // Whole seconds, and the inaccuracy that the authority states, rounded up.
            assert_eq!(verified.time.0 % 1_000, 501);
        }
        let other = Asked { imprint: &Sha256::of(b"other"), nonce: None };
        let listed = trusted(&authority.certificate("tsa.pem"));
        assert_eq!(verify(&token, other, &listed), Err(TokenRefusal::OtherImprint));
    }
}

#[test]
fn no_bit_of_openssls_token_with_a_chain_can_change_unseen() {
    let authority = OpenSslAuthority::new(P256, "sha256", "sha256", TIMESTAMPS);
    let query = TimestampQuery::new(Sha256::of(DATA)).unwrap();
    let token = authority.token(&query, " -chain ca.pem").unwrap();
    no_change_goes_unseen(&token, query.asked(), &trusted(&authority.certificate("ca.pem")));
}

#[test]
fn tokens_with_sha_1_or_with_an_unfit_certificate_are_refused() {
    let query = TimestampQuery::new(Sha256::of(DATA)).unwrap();
    let sha1 = OpenSslAuthority::new(P256, "sha256", "sha1", TIMESTAMPS);
    let token = sha1.token(&query, "").unwrap();
    let refused = verify(&token, query.asked(), &trusted(&sha1.certificate("tsa.pem")));
    assert!(matches!(refused, Err(TokenRefusal::Attributes(_))), "{refused:?}");
    // OpenSSL's own authority asks for a fit certificate, so CMS makes the token.
    let unfit = OpenSslAuthority::new(P256, "sha256", "sha256", "critical,serverAuth");
    assert!(unfit.token(&query, "").is_none());
    let fit = OpenSslAuthority::new(P256, "sha256", "sha256", TIMESTAMPS);
    let token = fit.token(&query, "").unwrap();
    let content = openssl_content(&fit, &token);
    fs::write(unfit.path("info"), content).unwrap();
    succeeds(
        unfit.0.path(),
        "cms -sign -in info -binary -nodetach -econtent_type 1.2.840.113549.1.9.16.1.4 -cades \
         -signer tsa.pem -inkey tsa.key -md sha256 -outform DER -out token",
    );
    let token = fs::read(unfit.path("token")).unwrap();
    let refused = verify(&token, query.asked(), &trusted(&unfit.certificate("tsa.pem")));
    assert!(
        matches!(refused, Err(TokenRefusal::Certificate(CertificateError::NotForTimestamps(_)))),
        "{refused:?}"
    );
}

/// The TSTInfo inside a token, taken out by OpenSSL.
fn openssl_content(authority: &OpenSslAuthority, token: &[u8]) -> Vec<u8> {
    fs::write(authority.path("token"), token).unwrap();
    succeeds(authority.0.path(), "cms -verify -noverify -inform DER -in token -binary -out info");
    fs::read(authority.path("info")).unwrap()
}
