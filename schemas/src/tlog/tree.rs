//! Roots and proofs of a tree whose complete subtrees can be looked up: RFC 6962 §2.1.
//!
//! A *node* `(level, index)` is the root of the complete subtree over the leaves
//! `index << level .. (index + 1) << level`. A lookup is asked for complete nodes only, so any
//! store of tiles can answer it. Cost: logarithmic in the size, in lookups and hashes.

use super::merkle::{empty_root, node_hash};
use crate::digest::Sha256;

/// A run of leaves, `start` inclusive, `end` exclusive.
#[derive(Clone, Copy)]
struct Leaves {
    start: u64,
    end: u64,
}

impl Leaves {
    fn count(self) -> u64 {
        self.end - self.start
    }

    /// Splits at the largest power of two below the number of leaves (RFC 6962 §2.1).
    fn split(self) -> (Self, Self) {
        // Safe because: it is called with two leaves at least.
        let middle = self.start + (1 << (self.count() - 1).ilog2());
        (Self { end: middle, ..self }, Self { start: middle, ..self })
    }
}

/// The root of the tree of `size`.
///
/// # Errors
/// Those of the lookup.
pub fn root<E>(size: u64, node: impl Fn(u32, u64) -> Result<Sha256, E>) -> Result<Sha256, E> {
    match size {
        0 => Ok(empty_root()),
        end => hash_of(Leaves { start: 0, end }, &node),
    }
}

/// The inclusion proof of the leaf at `index` in the tree of `size`, from the leaf's sibling up
/// (RFC 6962 §2.1.1). Empty when `index` is not in the tree.
///
/// # Errors
/// Those of the lookup.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    node: impl Fn(u32, u64) -> Result<Sha256, E>,
) -> Result<Vec<Sha256>, E> {
    let mut proof = Vec::new();
    if index >= size {
        return Ok(proof);
    }
    let mut within = Leaves { start: 0, end: size };
    while within.count() > 1 {
        let (left, right) = within.split();
        let sibling;
        (within, sibling) = if index < left.end { (left, right) } else { (right, left) };
        proof.push(hash_of(sibling, &node)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `new` extends the tree of `old` (RFC 6962 §2.1.2). Empty when the
/// sizes are equal, when `old` is 0, or when it is larger.
///
/// # Errors
/// Those of the lookup.
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    node: impl Fn(u32, u64) -> Result<Sha256, E>,
) -> Result<Vec<Sha256>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let mut within = Leaves { start: 0, end: new };
    while within.end != old {
        let (left, right) = within.split();
        let sibling;
        (within, sibling) = if old <= left.end { (left, right) } else { (right, left) };
        proof.push(hash_of(sibling, &node)?);
    }
    // The old tree itself is known to the verifier; a part of it is not.
    if within.start != 0 {
        proof.push(hash_of(within, &node)?);
    }
    proof.reverse();
    Ok(proof)
}

fn hash_of<E>(leaves: Leaves, node: &impl Fn(u32, u64) -> Result<Sha256, E>) -> Result<Sha256, E> {
    if leaves.count().is_power_of_two() {
        // Safe because: every run comes from splitting a run that starts at 0, and a left part is
        // a power of two not smaller than what is right of it, so the start is a multiple.
        let level = leaves.count().ilog2();
        return node(level, leaves.start >> level);
    }
    let (left, right) = leaves.split();
    Ok(node_hash(&hash_of(left, node)?, &hash_of(right, node)?))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::merkle::{
        Extension, leaf_hash, root_of, verify_consistency, verify_inclusion,
    };
    use super::*;

    fn leaves(count: u8) -> Vec<Sha256> {
        (0..count).map(|n| leaf_hash(&[n])).collect()
    }

    fn lookup(leaves: &[Sha256]) -> impl Fn(u32, u64) -> Result<Sha256, Infallible> {
        move |level, index| {
            let start = usize::try_from(index << level).unwrap();
            Ok(root_of(&leaves[start..start + (1 << level)]))
        }
    }

    #[test]
    fn every_inclusion_proof_of_small_trees_verifies_for_its_leaf_only() {
        for size in 1..=70_u8 {
            let leaves = leaves(size);
            let root = root(u64::from(size), lookup(&leaves)).unwrap();
            assert_eq!(root, root_of(&leaves));
            for index in 0..size {
                let (at, total) = (u64::from(index), u64::from(size));
                let proof = inclusion_proof(at, total, lookup(&leaves)).unwrap();
                let leaf = &leaves[usize::from(index)];
                assert_eq!(verify_inclusion(leaf, at, total, &proof, &root), Ok(()));
                let other = leaf_hash(b"other");
                assert!(verify_inclusion(&other, at, total, &proof, &root).is_err());
            }
        }
    }

    #[test]
    fn every_consistency_proof_of_small_trees_verifies_for_its_roots_only() {
        let leaves = leaves(70);
        for new in 1..=70_usize {
            for old in 1..=new {
                let [old_size, new_size] = [old, new].map(|size| u64::try_from(size).unwrap());
                let (old_root, new_root) = (&root_of(&leaves[..old]), &root_of(&leaves[..new]));
                let proof = consistency_proof(old_size, new_size, lookup(&leaves)).unwrap();
                let states = Extension { old_size, old_root, new_size, new_root };
                assert_eq!(verify_consistency(states, &proof), Ok(()), "{old} to {new}");
                let forked = Extension { old_root: &leaf_hash(b"fork"), ..states };
                assert!(verify_consistency(forked, &proof).is_err(), "{old} to {new}");
            }
        }
    }
}
