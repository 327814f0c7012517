//! Records as a provider's hub makes them: two for each exchange, with their sealed evidence.
//!
//! Every record is a function of its number, so that a search can ask for what is there. Names, grant and legal
//! basis are those of the synthetic federation. Nobody in here exists.

use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use hub_messagelog::Entry;
use hub_messagelog::vault::{Class, Vault};
use ring::hmac;
use schemas::clock::UnixMillis;
use schemas::digest::{Pseudonym, Sha256};
use schemas::record::{Kind, Record, Side};

use super::arguments::Evidence;

/// 2 March 2026.
const START: UnixMillis = UnixMillis(1_772_446_500_000);
/// From one exchange to the next, milliseconds: 25 exchanges a second.
const EXCHANGE_MS: u64 = 40;
/// From a request's record to its answer's, milliseconds.
const ANSWER_MS: u64 = 8;
/// People that are asked about.
const PEOPLE: u64 = 2_000_000;
/// Sealed pieces of evidence that are made; records share them, the disk cannot tell.
const SEALED_COUNT: usize = 64;
/// Evidence before it is sealed, without bodies, bytes, as a hub keeps it (`hub_core::signature::kept`) of messages
/// that are signed alone: a request with query, `X-Road-Id` and `X-Road-Issue`, and its answer. In a batch of 2^n each
/// signature has 4 + 32 n bytes more; 25 exchanges a second make none.
const EVIDENCE_BYTES: [usize; 2] = [205, 227];

/// Makes records by their number.
pub struct Maker {
    prototype: Record,
    people: hmac::Key,
    /// Each with its hash.
    sealed: [Vec<(Bytes, Sha256)>; 2],
}

impl Maker {
    /// Seals the evidence, if records have it, with keys in `keys`.
    ///
    /// # Errors
    /// When the vault cannot make its keys.
    pub fn new(keys: &Path, evidence: Evidence) -> anyhow::Result<Self> {
        let vault = Vault::open(keys)?;
        let seal = |bytes: usize| -> anyhow::Result<Vec<(Bytes, Sha256)>> {
            let class = Class::default();
            let sealed = || match evidence {
                Evidence::Kept => vault.seal(&class, START.year(), b"", &[&vec![0; bytes]]),
                Evidence::LeftOut => Ok(Vec::new()),
            };
            let hashed = |sealed: Vec<u8>| (Bytes::from(sealed.clone()), Sha256::of(&sealed));
            (0..SEALED_COUNT).map(|_| Ok(hashed(sealed()?))).collect()
        };
        let [request, answer] = EVIDENCE_BYTES;
        let sealed = [seal(request)?, seal(answer)?];
        let people = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        Ok(Self { prototype: prototype(), people, sealed })
    }

    /// The record with this number and its evidence.
    ///
    /// # Errors
    /// Never, while evidence was sealed for both kinds.
    pub fn entry(&self, number: u64) -> anyhow::Result<Entry> {
        let exchange = number / 2;
        let mut record = self.prototype.clone();
        record.exchange = Some(exchange_id(exchange));
        record.subjects = vec![self.subject(exchange)];
        record.time = time(number);
        record.duration_us = Some(2_000 + random(number, 0) % 8_000);
        record.signed = Some(digest(number, 1));
        let [requests, answers] = &self.sealed;
        let kept = if number.is_multiple_of(2) {
            requests
        } else {
            record.kind = Kind::Answer;
            record = record.leaving_to_request();
            record.set_body(&digest(number, 4), 1_024);
            record.status = Some(200);
            answers
        };
        let place = usize::try_from(number)? % SEALED_COUNT;
        let (attachment, hash) = kept.get(place).context("no evidence was sealed")?.clone();
        record.evidence = Some(hash);
        Ok(Entry { leaf: record.to_leaf().into(), attachment })
    }

    /// Whom an exchange is about.
    #[must_use]
    pub fn subject(&self, exchange: u64) -> Pseudonym {
        let person = random(exchange, 5) % PEOPLE;
        Pseudonym::of(&person.to_string(), &self.people)
    }
}

/// When the record with this number was made.
#[must_use]
pub fn time(number: u64) -> UnixMillis {
    UnixMillis(START.0 + number / 2 * EXCHANGE_MS + number % 2 * ANSWER_MS)
}

/// The id of an exchange, a UUID of version 4.
#[must_use]
pub fn exchange_id(exchange: u64) -> String {
    let (high, low) = (random(exchange, 6), random(exchange, 7));
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    let (d, e) = ((low >> 52) & 0xfff, low & 0xffff_ffff_ffff);
    format!("{a:08x}-{b:04x}-4{c:03x}-a{d:03x}-{e:012x}")
}

/// A number that looks random: the finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable
/// pseudorandom number generators, 2014).
#[must_use]
pub fn random(number: u64, salt: u64) -> u64 {
    let mut z = (number ^ (salt << 56)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn digest(number: u64, salt: u64) -> Sha256 {
    let mut bytes = [0; 32];
    for (word, chunk) in (0..).zip(bytes.as_chunks_mut::<8>().0) {
        *chunk = random(random(number, salt), word).to_le_bytes();
    }
    Sha256(bytes)
}

fn prototype() -> Record {
    let mut record = Record::new(Kind::Request, Side::Provider, START, "ok");
    record.set_body(&Sha256::of(b""), 0);
    record.client = Some("UZ/GOV/NASP/register".to_owned());
    record.configuration = Some(1);
    record.endpoint = Some("GET /persons/{pinfl}/income".to_owned());
    record.grant = Some("tax-register-1".to_owned());
    let basis = "Cabinet of Ministers resolution 35 of 29 January 2026";
    record.legal_basis = Some(basis.to_owned());
    record.peer = Some("UZ/GOV/NASP/hub-1".to_owned());
    record.purpose = Some("social-assessment".to_owned());
    record.service = Some("UZ/GOV/TAX/tax/tax".to_owned());
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_canonical_and_as_large_as_those_of_a_hub() {
        let dir = tempfile::tempdir().unwrap();
        let maker = Maker::new(dir.path(), Evidence::Kept).unwrap();
        let [request, answer] = [0, 1].map(|number| maker.entry(number).unwrap());
        for entry in [&request, &answer] {
            assert!(Record::from_leaf(&entry.leaf).is_ok());
        }
        // Measured on the hubs of a demo federation, where callers left `X-Road-Id` out.
        assert!((620..660).contains(&request.leaf.len()), "{}", request.leaf.len());
        assert!((460..500).contains(&answer.leaf.len()), "{}", answer.leaf.len());
        assert_eq!(request.attachment.len(), EVIDENCE_BYTES[0] + 33);
    }

    #[test]
    fn an_exchange_has_two_records_and_an_id_of_its_own() {
        assert_eq!(exchange_id(5).len(), 36);
        assert_ne!(exchange_id(5), exchange_id(6));
        assert!(time(4) < time(5) && time(5) < time(6));
    }
}
