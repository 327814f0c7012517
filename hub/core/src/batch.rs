//! Batch signatures: one Ed25519 signature for all messages that wait, each with its own path.
//!
//! The hub signs the root of an RFC 6962 Merkle tree whose leaves are the signature bases; a message carries the
//! signature and the path from its base to the root. A message that is alone is a tree of one leaf, signed at
//! once. A verifier checks a root once and then only hashes for the other messages under it. The byte form
//! stands, with vectors, in `hub/docs/batch-signatures.md`.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use pki::trust::{BadSignature, PublicKey};
use schemas::digest::Sha256;
use schemas::tlog::merkle::{self, node_hash};

/// The value of the signature parameter `alg`.
pub const ALGORITHM: &str = "ed25519-merkle-batch";
/// Messages under one root; a path has at most eight hashes.
pub const BATCH_MAX_COUNT: usize = 256;
/// What a key signs begins so, which no signature base does.
const CONTEXT: &[u8] = b"koprik-batch/1\n";
const SIGNATURE_BYTES: usize = 64;
/// Roots remembered as verified; at 16 messages a root this is 65 000 messages.
const ROOTS_MAX_COUNT: usize = 4_096;

/// What the key signs: a context, the number of messages (so that a path has one reading), the root.
fn signed_text(count: u16, root: &Sha256) -> Vec<u8> {
    [CONTEXT, &count.to_be_bytes(), root.as_bytes()].concat()
}

/// The tree over the messages that wait, between hashing and signing.
#[derive(Debug)]
pub struct Batch {
    /// Leaves first; a level's last hash without a sibling moves up as it is.
    levels: Vec<Vec<Sha256>>,
}

impl Batch {
    /// A batch of the messages with these leaf hashes; those of the signature bases. At most [`BATCH_MAX_COUNT`] are taken.
    #[must_use]
    pub fn new(mut leaves: Vec<Sha256>) -> Self {
        leaves.truncate(BATCH_MAX_COUNT);
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let parents = level.chunks(2).map(|pair| match pair {
                [left, right] => node_hash(left, right),
                alone => alone.first().copied().unwrap_or_else(merkle::empty_root),
            });
            let parents = parents.collect();
            levels.push(parents);
        }
        Self { levels }
    }

    /// What the key signs for this batch.
    #[must_use]
    pub fn to_sign(&self) -> Vec<u8> {
        // Safe because: a batch has at most 256 messages.
        let count = self.levels.first().and_then(|leaves| u16::try_from(leaves.len()).ok());
        signed_text(count.unwrap_or(u16::MAX), &self.root())
    }

    fn root(&self) -> Sha256 {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or_else(merkle::empty_root)
    }

    /// The signatures of all messages, in the order of the leaves.
    #[must_use]
    pub fn signatures(&self, root_signature: &[u8; SIGNATURE_BYTES]) -> Vec<Vec<u8>> {
        let count = self.levels.first().map_or(0, Vec::len);
        (0..count).map(|index| self.signature(index, count, root_signature)).collect()
    }

    fn signature(&self, index: usize, count: usize, root_signature: &[u8]) -> Vec<u8> {
        let mut bytes = root_signature.to_vec();
        for number in [index, count] {
            // Safe because: a batch has at most 256 messages.
            bytes.extend(u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes());
        }
        for (height, level) in self.levels.iter().enumerate() {
            if let Some(sibling) = level.get((index >> height) ^ 1).filter(|_| level.len() > 1) {
                bytes.extend(sibling.as_bytes());
            }
        }
        bytes
    }
}

/// Roots whose signatures have been verified, so that each is verified once.
#[derive(Debug, Default)]
pub struct VerifiedRoots(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    known: HashSet<Sha256>,
    oldest_first: VecDeque<Sha256>,
}

impl VerifiedRoots {
    fn knows(&self, name: &Sha256) -> bool {
        self.0.lock().unwrap_or_else(|lock| lock.into_inner()).known.contains(name)
    }

    fn remember(&self, name: Sha256) {
        let mut seen = self.0.lock().unwrap_or_else(|lock| lock.into_inner());
        if seen.known.insert(name) {
            seen.oldest_first.push_back(name);
        }
        if seen.oldest_first.len() > ROOTS_MAX_COUNT
            && let Some(oldest) = seen.oldest_first.pop_front()
        {
            seen.known.remove(&oldest);
        }
    }
}

/// Verifies a batch signature over the signature base with this leaf hash.
///
/// # Errors
/// [`BadSignature`] when its form is wrong, the path does not fit, or the root is not signed by the key.
pub fn verify(
    key: &PublicKey,
    leaf: Sha256,
    signature: &[u8],
    roots: &VerifiedRoots,
) -> Result<(), BadSignature> {
    let (root_signature, rest) = signature.split_at_checked(SIGNATURE_BYTES).ok_or(BadSignature)?;
    let ([index, count], path) = read_position(rest).ok_or(BadSignature)?;
    let (hashes, odd) = path.as_chunks::<32>();
    if !odd.is_empty() || usize::from(count) > BATCH_MAX_COUNT {
        return Err(BadSignature);
    }
    let proof: Vec<Sha256> = hashes.iter().map(|hash| Sha256(*hash)).collect();
    let root = merkle::root_through(&leaf, u64::from(index), u64::from(count), &proof)
        .map_err(|_| BadSignature)?;
    let text = signed_text(count, &root);
    let name = Sha256::of_parts(&[key.raw(), &text, root_signature]);
    if roots.knows(&name) {
        return Ok(());
    }
    key.verify(&text, root_signature)?;
    roots.remember(name);
    Ok(())
}

fn read_position(bytes: &[u8]) -> Option<([u16; 2], &[u8])> {
    let (index, rest) = bytes.split_first_chunk::<2>()?;
    let (count, path) = rest.split_first_chunk::<2>()?;
    Some(([u16::from_be_bytes(*index), u16::from_be_bytes(*count)], path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki::signer::SigningKey;
    use pki::trust::Algorithm;

    use crate::signature::Base;

    fn signed(bases: &[Base]) -> (SigningKey, Vec<Vec<u8>>) {
        let key = SigningKey::ephemeral(Algorithm::Ed25519).unwrap();
        let batch = Batch::new(bases.iter().map(Base::leaf).collect());
        let signature = key.sign(&batch.to_sign()).unwrap().try_into().unwrap();
        let signatures = batch.signatures(&signature);
        (key, signatures)
    }

    fn bases(count: usize) -> Vec<Base> {
        (0..count).map(|nth| Base::new(format!("\"@method\": GET {nth}"))).collect()
    }

    #[test]
    fn every_message_of_every_batch_size_verifies_under_the_tree_of_rfc_6962() {
        for count in (1..=33).chain([255, 256]) {
            let bases = bases(count);
            let (key, signatures) = signed(&bases);
            let leaves: Vec<Sha256> = bases.iter().map(Base::leaf).collect();
            assert_eq!(Batch::new(leaves.clone()).root(), merkle::root_of(&leaves), "{count}");
            let roots = VerifiedRoots::default();
            assert_eq!(signatures.len(), count);
            for (base, signature) in bases.iter().zip(&signatures) {
                assert_eq!(verify(key.public_key(), base.leaf(), signature, &roots), Ok(()));
            }
        }
    }

    /// The vectors of `hub/docs/batch-signatures.md`: the key of RFC 8032 §7.1 test 1, three messages.
    #[test]
    fn vectors_of_the_document_are_what_this_code_makes() {
        let document = include_str!("../../docs/batch-signatures.md");
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let pkcs8 = format!("302e020100300506032b657004220420{seed}");
        let key = SigningKey::from_pkcs8(&schemas::encoding::from_hex(&pkcs8).unwrap()).unwrap();
        let bases = bases(3);
        let batch = Batch::new(bases.iter().map(Base::leaf).collect());
        let signature = key.sign(&batch.to_sign()).unwrap().try_into().unwrap();
        let hex = schemas::encoding::hex;
        assert!(
            document.contains(&format!("`{}`", hex(&batch.to_sign()))),
            "{}",
            hex(&batch.to_sign())
        );
        for (base, signature) in bases.iter().zip(batch.signatures(&signature)) {
            let row = format!("| `{}` | `{}` |", &**base, hex(&signature));
            assert!(document.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_changed_byte_another_message_or_another_key_is_refused() {
        let bases = bases(5);
        let (key, signatures) = signed(&bases);
        let (other_key, _) = signed(&bases);
        let roots = VerifiedRoots::default();
        let good = &signatures[3];
        assert_eq!(verify(key.public_key(), bases[3].leaf(), good, &roots), Ok(()));
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            let refused = verify(key.public_key(), bases[3].leaf(), &changed, &roots);
            assert_eq!(refused, Err(BadSignature), "byte {at}");
        }
        assert!(verify(key.public_key(), bases[2].leaf(), good, &roots).is_err());
        assert!(verify(other_key.public_key(), bases[3].leaf(), good, &roots).is_err());
        for short in 0..good.len() {
            let cut = &good[..short];
            assert!(verify(key.public_key(), bases[3].leaf(), cut, &roots).is_err());
        }
    }

    #[test]
    fn remembered_roots_are_bounded() {
        let roots = VerifiedRoots::default();
        for nth in 0..ROOTS_MAX_COUNT + 10 {
            roots.remember(Sha256::of(&nth.to_be_bytes()));
        }
        assert_eq!(roots.0.lock().unwrap().known.len(), ROOTS_MAX_COUNT);
        assert!(!roots.knows(&Sha256::of(&0_usize.to_be_bytes())));
    }
}
