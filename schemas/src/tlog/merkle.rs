//! Merkle tree hashing and the verification of proofs: RFC 6962 §2.1, with the verification
//! steps of RFC 9162 §2.1.3.2 and §2.1.4.2. Making proofs stands in [`super::tree`].

use crate::digest::Sha256;

/// A proof does not prove what it was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not in a tree of this size.
    #[error("log proof: the tree has {size} records, so it cannot hold index {index}")]
    NotInTree {
        /// The index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The old tree is larger than the new one, or empty.
    #[error("log proof: a tree of {new} records cannot extend one of {old}")]
    NotAnExtension {
        /// The old size.
        old: u64,
        /// The new size.
        new: u64,
    },
    /// The proof has too few or too many hashes for these sizes.
    #[error("log proof: it has not as many hashes as this size needs; ask for the proof again")]
    WrongLength,
    /// The hashes lead to another root.
    #[error("log proof: its hashes lead to another root than the checkpoint's: it proves nothing")]
    RootMismatch,
}

/// The hash of a leaf, RFC 6962 §2.1: SHA-256 of 0x00 and the leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Sha256 {
    Sha256::of_parts(&[&[0x00], leaf])
}

/// The hash of an inner node, RFC 6962 §2.1: SHA-256 of 0x01, left and right.
#[must_use]
pub fn node_hash(left: &Sha256, right: &Sha256) -> Sha256 {
    Sha256::of_parts(&[&[0x01], left.as_bytes(), right.as_bytes()])
}

/// The root of the empty tree: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Sha256 {
    Sha256::of(b"")
}

/// The root of a tree over these leaf hashes, RFC 6962 §2.1. Linear in their number.
#[must_use]
pub fn root_of(leaf_hashes: &[Sha256]) -> Sha256 {
    match leaf_hashes {
        [] => empty_root(),
        [only] => *only,
        many => {
            // The largest power of two below the number of leaves; there are at least two.
            let split = (many.len().next_power_of_two()) / 2;
            let (left, right) = many.split_at(split);
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// Checks that the leaf with this hash is at `index` of the tree of `size` with this root.
/// `proof` runs from the leaf's sibling up (RFC 6962 §2.1.1).
///
/// # Errors
/// When it does not prove that; the steps are those of RFC 9162 §2.1.3.2.
pub fn verify_inclusion(
    leaf: &Sha256,
    index: u64,
    size: u64,
    proof: &[Sha256],
    root: &Sha256,
) -> Result<(), ProofError> {
    finish(0, root_through(leaf, index, size, proof)? == *root)
}

/// The root of the tree of `size` to which `proof` leads from the leaf at `index`.
///
/// # Errors
/// When the leaf is not in a tree of that size, or the proof has another length than its place asks for.
pub fn root_through(
    leaf: &Sha256,
    index: u64,
    size: u64,
    proof: &[Sha256],
) -> Result<Sha256, ProofError> {
    if index >= size {
        return Err(ProofError::NotInTree { index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node % 2 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node.is_multiple_of(2) && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    finish(last, true).map(|()| hash)
}

/// Two states of a log: sizes and roots.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'a> {
    /// The earlier size, at least 1.
    pub old_size: u64,
    /// The earlier root.
    pub old_root: &'a Sha256,
    /// The later size.
    pub new_size: u64,
    /// The later root.
    pub new_root: &'a Sha256,
}

/// Checks that the later tree holds the earlier one unchanged as its beginning.
///
/// # Errors
/// When the proof (RFC 6962 §2.1.2) does not show that; the steps are those of RFC 9162 §2.1.4.2.
pub fn verify_consistency(states: Extension<'_>, proof: &[Sha256]) -> Result<(), ProofError> {
    let (old_root, new_root) = roots_through(states, proof)?;
    finish(0, old_root == *states.old_root && new_root == *states.new_root)
}

/// The roots to which a consistency proof leads: of the earlier tree, then of the later one. A proof
/// that leads to the later root shows what the earlier one was, whatever `states` says of it; but where
/// the earlier size is a power of two, the proof leaves that root out and takes it from `states`.
///
/// # Errors
/// When the sizes are not those of an extension, or the proof has another length than they ask for.
pub fn roots_through(
    states: Extension<'_>,
    proof: &[Sha256],
) -> Result<(Sha256, Sha256), ProofError> {
    let Extension { old_size, old_root, new_size, new_root } = states;
    if old_size == 0 || old_size > new_size {
        return Err(ProofError::NotAnExtension { old: old_size, new: new_size });
    }
    if old_size == new_size {
        return match (proof, old_root == new_root) {
            ([], true) => Ok((*old_root, *new_root)),
            ([], false) => Err(ProofError::RootMismatch),
            _ => Err(ProofError::WrongLength),
        };
    }
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node % 2 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // A whole old tree is its own first hash, which RFC 6962 leaves out of the proof.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(ProofError::WrongLength)?
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node % 2 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node.is_multiple_of(2) && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    finish(last, true).map(|()| (old_hash, new_hash))
}

fn finish(levels_left: u64, roots_match: bool) -> Result<(), ProofError> {
    match (levels_left, roots_match) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::RootMismatch),
        _ => Err(ProofError::WrongLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::from_hex;

    /// Leaves and roots of the Certificate Transparency reference tests for RFC 6962.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn hashes() -> Vec<Sha256> {
        LEAVES.iter().map(|leaf| leaf_hash(&from_hex(leaf).unwrap())).collect()
    }

    #[test]
    fn roots_are_those_of_rfc_6962() {
        assert_eq!(
            empty_root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (count, root) in (1..).zip(ROOTS) {
            assert_eq!(root_of(&hashes()[..count]).to_string(), root, "{count} leaves");
        }
    }

    #[test]
    fn inclusion_by_hand_in_a_tree_of_three() {
        let [a, b, c] = [hashes()[0], hashes()[1], hashes()[2]];
        let root = root_of(&[a, b, c]);
        let ab = node_hash(&a, &b);
        assert_eq!(verify_inclusion(&a, 0, 3, &[b, c], &root), Ok(()));
        assert_eq!(verify_inclusion(&c, 2, 3, &[ab], &root), Ok(()));
        assert_eq!(verify_inclusion(&c, 1, 3, &[ab], &root), Err(ProofError::WrongLength));
        assert_eq!(verify_inclusion(&b, 0, 3, &[b, c], &root), Err(ProofError::RootMismatch));
        assert_eq!(verify_inclusion(&c, 2, 3, &[ab, ab], &root), Err(ProofError::WrongLength));
        let beyond = verify_inclusion(&c, 3, 3, &[ab], &root);
        assert_eq!(beyond, Err(ProofError::NotInTree { index: 3, size: 3 }));
    }

    #[test]
    fn consistency_by_hand_from_two_to_three() {
        let [a, b, c] = [hashes()[0], hashes()[1], hashes()[2]];
        let (old_root, new_root) = (&root_of(&[a, b]), &root_of(&[a, b, c]));
        let states = Extension { old_size: 2, old_root, new_size: 3, new_root };
        assert_eq!(verify_consistency(states, &[c]), Ok(()));
        assert_eq!(verify_consistency(states, &[b]), Err(ProofError::RootMismatch));
        assert_eq!(verify_consistency(states, &[]), Err(ProofError::WrongLength));
        let other = Extension { old_root: new_root, ..states };
        assert_eq!(verify_consistency(other, &[c]), Err(ProofError::RootMismatch));
        let shrunk = Extension { old_size: 4, ..states };
        assert_eq!(
            verify_consistency(shrunk, &[c]),
            Err(ProofError::NotAnExtension { old: 4, new: 3 })
        );
    }
}
