//! Whether two applications are about one family: one application per family and month.
//!
//! Duplicates are detected on the set of members and not on the applicant: either spouse may
//! apply, and a child claimed by two families is in both sets.

use std::collections::BTreeSet;

use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;

use super::{Family, Role};
use crate::month::Month;
use crate::redact::redact;

/// The key of a family's application of a month: equal for equal sets of members. It is a plain
/// hash of PINFLs, which can be guessed, so it stays inside the register like the PINFLs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FamilyKey(Sha256);

/// What two families have in common.
#[derive(Clone, PartialEq, Eq)]
pub enum Overlap {
    /// Nobody.
    Apart,
    /// These members, but not all: the second application is refused and shows both.
    Shares(BTreeSet<Pinfl>),
    /// Everybody: a second application of one family.
    Same,
}
redact!(FamilyKey, Overlap);

impl FamilyKey {
    /// The key as a digest, to be kept and compared.
    #[must_use]
    pub fn digest(self) -> Sha256 {
        self.0
    }
}

impl Family {
    /// Everyone who belongs or may belong.
    #[must_use]
    pub fn member_set(&self) -> BTreeSet<Pinfl> {
        self.members.iter().map(|member| member.pinfl).collect()
    }

    /// The key of this family's application in `month`.
    #[must_use]
    pub fn key(&self, month: Month) -> FamilyKey {
        let mut text = format!("koprik-family/1\n{month}\n");
        for pinfl in self.member_set() {
            text.push_str(pinfl.as_str());
            text.push('\n');
        }
        FamilyKey(Sha256::of(text.as_bytes()))
    }

    /// Whom this family and another both claim.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> Overlap {
        let (ours, theirs) = (self.member_set(), other.member_set());
        let both: BTreeSet<Pinfl> = ours.intersection(&theirs).copied().collect();
        match both.len() {
            0 => Overlap::Apart,
            count if count == ours.len() && count == theirs.len() => Overlap::Same,
            _ => Overlap::Shares(both),
        }
    }

    /// The children that this family and another both claim.
    #[must_use]
    pub fn children_of_both(&self, other: &Self) -> BTreeSet<Pinfl> {
        let theirs = other.member_set();
        let children = self.members.iter().filter(|member| member.role == Role::Child);
        children.map(|member| member.pinfl).filter(|child| theirs.contains(child)).collect()
    }
}
