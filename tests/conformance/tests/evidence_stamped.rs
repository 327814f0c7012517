//! Timestamps in evidence before both judges: damaged, moved and foreign tokens, tokens of a forger
//! with the authority's key, and those of OpenSSL's authority.

use std::fs;
use std::process::Command;
use std::time::Duration;

use conformance::programs::{asked, run};
use federation::stamps;
use hub_core::evidence;
use pki::authority::{Authority, Validity};
use pki::timestamp::read_reply;
use pki::trust::Certificate;
use schemas::configuration::TimestampAuthority;
use schemas::encoding::{base64, from_base64};
use schemas::evidence::EvidenceFile;
use tempfile::TempDir;

use crate::evidence_by_python::Court;
use crate::evidence_forged::{Change, Forge, Parts, at, judge};
use crate::exchanges::Exchanges;

fn text(file: &EvidenceFile) -> Vec<u8> {
    evidence::to_text(file).into_bytes()
}

/// A file with another token.
fn with(file: &EvidenceFile, token: &[u8]) -> Vec<u8> {
    text(&EvidenceFile { timestamp: Some(base64(token)), ..file.clone() })
}

/// Brings a token with one bit changed in every byte that is a multiple of `stride`, cut and lengthened;
/// in the long form with each bit of each byte changed, and cut everywhere.
fn bring_damages(court: &mut Court, name: &str, file: &EvidenceFile, stride: usize) {
    let token = from_base64(file.timestamp.as_deref().unwrap()).unwrap();
    let long = asked("KOPRIK_DAMAGES").unwrap().is_some();
    for at in (0..token.len()).step_by(if long { 1 } else { stride }) {
        for bit in (0..8).filter(|bit| long || *bit == (at + at / 8) % 8) {
            let mut changed = token.clone();
            changed[at] ^= 1 << bit;
            court.bring(format!("{name}, bit {bit} of {at}"), with(file, &changed), Some(false));
        }
    }
    for end in (0..token.len()).step_by(if long { 1 } else { 37 }) {
        court.bring(format!("{name}, cut at {end}"), with(file, &token[..end]), Some(false));
    }
    let longer = [&token[..], &[0]].concat();
    court.bring(format!("{name}, longer"), with(file, &longer), Some(false));
}

#[tokio::test]
async fn damaged_and_moved_timestamps_are_refused_by_both() {
    let exchanges = Exchanges::carried().await;
    let own = exchanges.read("consumer's");
    let mut court = Court::new(exchanges.anchor());
    court.bring("a file as it was given".to_owned(), text(&own), Some(true));
    let elsewhere = exchanges.read("provider's");
    let moved = EvidenceFile { timestamp: elsewhere.timestamp, ..own.clone() };
    court.bring("the other log's timestamp".to_owned(), text(&moved), Some(false));
    bring_damages(&mut court, "our token", &own, 1);
    let tally = court.judge();
    println!("{tally:?}");
    assert_eq!(tally["verified"], 1);
    assert_eq!(tally.len(), 2, "every other is refused at its timestamp: {tally:?}");
    assert!(tally["timestamp"] > 500, "{tally:?}");
}

#[tokio::test]
async fn timestamp_of_another_federations_authority_is_refused_by_both() {
    let (own, other) = tokio::join!(Exchanges::carried(), Exchanges::carried());
    let mut court = Court::new(own.anchor());
    for (file, theirs) in [("consumer's", "consumer's"), ("provider's", "provider's")] {
        let timestamp = other.read(theirs).timestamp;
        let foreign = EvidenceFile { timestamp, ..own.read(file) };
        court.bring(format!("{file} with a foreign timestamp"), text(&foreign), Some(false));
    }
    court.judge();
}

/// The moment of the first record, so many days later.
fn days_after(parts: &Parts, days: i32) -> schemas::clock::UnixMillis {
    let offset = Duration::from_secs(86_400) * days.unsigned_abs();
    if days < 0 { at(parts).minus(offset) } else { at(parts).plus(offset) }
}

fn listed(parts: &mut Parts) -> &mut Vec<TimestampAuthority> {
    &mut parts.configuration.content.timestamp_authorities
}

/// A certificate that neither stamps nor issued the authority's, in the authority's place.
fn stranger(parts: &mut Parts) -> Vec<u8> {
    let validity = Validity { from: at(parts), days: 9 };
    Authority::ephemeral("Stranger", validity).unwrap().certificate().der().to_vec()
}

const STAMPED: &[(&str, bool, Change)] = &[
    ("stamped at once", true, |parts| parts.stamped = Some(at(parts))),
    ("not stamped", true, |parts| parts.stamped = None),
    ("stamped and cosigned", true, |parts| {
        parts.stamped = Some(at(parts));
        parts.cosigners = vec![(1, 1), (2, 1)];
    }),
    ("stamped before the records were made", true, |parts| {
        parts.stamped = Some(at(parts).minus(Duration::from_secs(60)));
    }),
    ("stamped at a part of a second", true, |parts| {
        parts.stamped = Some(at(parts).plus(Duration::from_millis(120)));
    }),
    ("stamped in the last days of the certificate", true, |parts| {
        parts.stamped = Some(days_after(parts, 89));
    }),
    ("stamped after the certificate had expired", false, |parts| {
        parts.stamped = Some(days_after(parts, 90));
    }),
    ("stamped before the certificate was valid", false, |parts| {
        parts.stamped = Some(days_after(parts, -1));
    }),
    ("by an authority that is not listed", false, |parts| {
        parts.stamped = Some(at(parts));
        listed(parts).clear();
    }),
    ("by one that its issuer stands for", true, |parts| {
        parts.stamped = Some(at(parts));
        let issuer = parts.configuration.content.authorities[0].certificate.clone();
        listed(parts)[0].certificate = issuer;
    }),
    ("by one that a stranger stands for", false, |parts| {
        parts.stamped = Some(at(parts));
        listed(parts)[0].certificate = stranger(parts);
    }),
    ("by one that is listed after a stranger", true, |parts| {
        parts.stamped = Some(at(parts));
        let mut first = listed(parts)[0].clone();
        first.name = "first".to_owned();
        first.certificate = stranger(parts);
        listed(parts).insert(0, first);
    }),
    ("by one that a member's certificate stands for", false, |parts| {
        parts.stamped = Some(at(parts));
        let members = &parts.configuration.content.members;
        let certificate = members[0].signing_certificates[0].certificate.clone();
        listed(parts)[0].certificate = certificate;
    }),
    ("by one that is listed twice", false, |parts| {
        parts.stamped = Some(at(parts));
        let again = listed(parts)[0].clone();
        listed(parts).push(again);
    }),
    ("not stamped, with an authority twice", false, |parts| {
        let again = listed(parts)[0].clone();
        listed(parts).push(again);
    }),
];

#[tokio::test]
async fn tokens_that_are_right_and_do_not_count_are_judged_alike() {
    judge(STAMPED, &Exchanges::carried().await);
}

/// A timestamp authority of OpenSSL: a folder with its key, its certificate and its issuer's.
struct OpenSsl(TempDir);

const ACCURATE: &str = "accuracy=secs:1,millisecs:500,microsecs:1\ntsa_name=yes\nordering=yes";

impl OpenSsl {
    /// `key` as `openssl genpkey` takes it; the rest as in its configuration file.
    fn new(key: &str, digest: &str, identifier: &str, usage: &str) -> Self {
        let own = Self(tempfile::tempdir().unwrap());
        let config = format!(
            "[req]\ndistinguished_name=name\n[name]\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
             keyUsage=keyCertSign\n[own]\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage={usage}\n[tsa]\ndefault_tsa=one\n[one]\nserial=serial\n\
             default_policy=1.3.6.1.4.1.32473.1\ndigests=sha256\n{ACCURATE}\n\
             signer_digest={digest}\ness_cert_id_alg={identifier}\n"
        );
        own.write("tsa.cnf", config.as_bytes());
        for line in [
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key",
            "req -x509 -config tsa.cnf -extensions ca -key ca.key -subj /CN=ca -days 9 -out ca.pem",
            &format!("genpkey {key} -out own.key"),
            "req -new -config tsa.cnf -key own.key -subj /CN=own -out own.csr",
            "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 \
             -extfile tsa.cnf -extensions own -out own.pem",
        ] {
            own.run(line);
        }
        own
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }

    fn run(&self, line: &str) {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path()).args(line.split(' '));
        let said = run(&mut command)
            .unwrap_or_else(|missing| panic!("{missing:#}; install it: apt-get install openssl"));
        assert_eq!(said.code, Some(0), "openssl {line}: {}", said.text);
    }

    /// The token over `data` in DER.
    fn token(&self, data: &str, more: &str) -> Vec<u8> {
        self.write("data", data.as_bytes());
        self.run("ts -query -data data -sha256 -cert -out query");
        self.run(&format!(
            "ts -reply -config tsa.cnf -queryfile query -signer own.pem -inkey own.key -out reply{more}"
        ));
        read_reply(&self.read("reply")).unwrap()
    }

    /// The signature of this authority over what another one's token says, made as CMS: `openssl ts`
    /// itself takes only a certificate that is fit for it.
    fn sign_again(&self, token: &[u8], certificates: &str) -> Vec<u8> {
        self.write("token", token);
        self.run("cms -verify -noverify -inform DER -in token -binary -out info");
        self.run(&format!(
            "cms -sign -in info -binary -nodetach -econtent_type 1.2.840.113549.1.9.16.1.4 -cades \
             -signer own.pem -inkey own.key -md sha256 -outform DER -out again{certificates}"
        ));
        self.read("again")
    }

    /// How a configuration lists the certificate in a file.
    fn listed(&self, file: &str) -> TimestampAuthority {
        let certificate = Certificate::from_pem(&String::from_utf8(self.read(file)).unwrap());
        stamps::listed("OpenSSL", "127.0.0.1:318".parse().unwrap(), &certificate.unwrap())
    }
}

const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
const SHORT_RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:1024";
const STAMPS: &str = "critical,timeStamping";

/// Key, digest of the signature, digest of the certificate's identifier, extended key usage; whether its
/// tokens count.
const AUTHORITIES: [(&str, &str, &str, &str, bool); 7] = [
    (P256, "sha256", "sha256", STAMPS, true),
    (P384, "sha384", "sha512", STAMPS, true),
    (RSA, "sha256", "sha256", STAMPS, true),
    (RSA, "sha512", "sha384", STAMPS, true),
    (P256, "sha512", "sha256", STAMPS, false),
    (P256, "sha256", "sha1", STAMPS, false),
    (SHORT_RSA, "sha256", "sha256", STAMPS, false),
];

#[tokio::test]
async fn tokens_of_openssls_authority_are_judged_alike() {
    let exchanges = Exchanges::carried().await;
    let forge = Forge::new(&exchanges);
    let mut court = Court::new(exchanges.anchor());
    for (key, digest, identifier, usage, good) in AUTHORITIES {
        let authority = OpenSsl::new(key, digest, identifier, usage);
        for (listed, more) in [("own.pem", ""), ("ca.pem", ""), ("ca.pem", " -chain ca.pem")] {
            let file = forge.remake(&exchanges.read("consumer's"), |parts| {
                parts.configuration.content.timestamp_authorities = vec![authority.listed(listed)];
            });
            let token = authority.token(&forge.to_stamp(&file), more);
            let name = format!("{key} {digest} {identifier}, {listed} is listed{more}");
            court.bring(name.clone(), with(&file, &token), Some(good));
            if (key, identifier, listed, more) == (RSA, "sha256", "ca.pem", " -chain ca.pem") {
                let timestamp = Some(base64(&token));
                bring_damages(&mut court, &name, &EvidenceFile { timestamp, ..file }, 4);
            }
        }
    }
    println!("{:?}", court.judge());
}

#[tokio::test]
async fn tokens_with_an_unfit_or_stray_certificate_are_judged_alike() {
    let exchanges = Exchanges::carried().await;
    let forge = Forge::new(&exchanges);
    let mut court = Court::new(exchanges.anchor());
    let fit = OpenSsl::new(P256, "sha256", "sha256", STAMPS);
    let stray = |name: &str| format!(" -certfile {}", fit.0.path().join(name).display());
    let (rooted, stray) = (stray("ca.pem"), stray("own.pem"));
    for (usage, more, good) in [
        (STAMPS, "", true),
        (STAMPS, " -certfile ca.pem", true),
        (STAMPS, &*rooted, true),
        (STAMPS, &*stray, false),
        ("critical,serverAuth", "", false),
        ("timeStamping", "", false),
        ("critical,timeStamping,serverAuth", "", false),
    ] {
        let authority = OpenSsl::new(P256, "sha256", "sha256", usage);
        let file = forge.remake(&exchanges.read("consumer's"), |parts| {
            parts.configuration.content.timestamp_authorities = vec![authority.listed("own.pem")];
        });
        let token = authority.sign_again(&fit.token(&forge.to_stamp(&file), ""), more);
        court.bring(format!("{usage}{more}"), with(&file, &token), Some(good));
    }
    println!("{:?}", court.judge());
}
