//! A past decision recomputed from its stored profile, and a change of rules tried on many.
//!
//! A replay takes the case and its answers alone, composes the family, weighs it under the rules
//! whose digest the decision names, and compares the bytes. A simulation weighs the same case under
//! other rules and says who gains and who loses.

use std::collections::BTreeMap;

use schemas::digest::Sha256;
use serde::Serialize;

use crate::decision::Decision;
use crate::money::{Number, Soum};
use crate::profile::{NotCanonical, Profile};
use crate::rules::{RuleError, Rulebook, Rules};

/// Why a stored profile cannot be recomputed.
#[derive(Debug, thiserror::Error)]
pub enum NoReplay {
    /// The bytes are no profile of this release.
    #[error("register: not a profile of this release ({0}); take the file that was stored")]
    Unreadable(#[from] serde_json::Error),
    /// The rules that it names are unknown.
    #[error(
        "register: the decision follows rules {id} with digest {digest}, which are not here; give \
         the rule file of that time"
    )]
    RulesUnknown {
        /// Identifier of the rules.
        id: String,
        /// Their digest.
        digest: Sha256,
    },
    /// The rules have no figure for the day.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The profile has no canonical form.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Every byte is the same.
    Same {
        /// SHA-256 of the profile.
        hash: Sha256,
    },
    /// The stored bytes are others than the recomputed ones.
    Differs {
        /// SHA-256 of the stored bytes.
        stored: Sha256,
        /// SHA-256 of the recomputed profile.
        recomputed: Sha256,
        /// The parts that differ, such as `assessment` or `family`; `spelling` when the JSON is not
        /// canonical.
        parts: Vec<&'static str>,
    },
}

/// Recomputes the profile in `stored` and compares the bytes.
///
/// # Errors
/// [`NoReplay`] when the bytes are no profile, or its rules are not in `rulebook`.
pub fn replay(stored: &[u8], rulebook: &Rulebook) -> Result<Replay, NoReplay> {
    let profile: Profile = serde_json::from_slice(stored)?;
    let version = &profile.assessment.rules;
    let rules = rulebook
        .by_digest(version.digest)
        .ok_or_else(|| NoReplay::RulesUnknown { id: version.id.clone(), digest: version.digest })?;
    let (id, at, case) = (profile.id.clone(), profile.assembled_at, profile.case.clone());
    let again = Profile::assemble(id, at, case, rules)?;
    let sealed = again.seal()?;
    if sealed.bytes() == stored {
        return Ok(Replay::Same { hash: sealed.hash() });
    }
    let compared = [
        ("format", profile.format == again.format),
        ("family", profile.family == again.family),
        ("absent", profile.absent == again.absent),
        ("assessment", profile.assessment == again.assessment),
    ];
    let mut parts: Vec<&str> =
        compared.into_iter().filter(|(_, same)| !same).map(|(part, _)| part).collect();
    if parts.is_empty() {
        parts.push("spelling");
    }
    Ok(Replay::Differs { stored: Sha256::of(stored), recomputed: sealed.hash(), parts })
}

/// What a change of rules means for one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// More a month, or an award instead of a refusal.
    Gains,
    /// Less a month, or a refusal instead of an award.
    Loses,
    /// The same amount a month.
    Unchanged,
    /// Pending under one of the two: nothing is known.
    Open,
}

/// One family under both rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The profile's identifier.
    pub profile: String,
    /// What the change means.
    pub effect: Effect,
    /// Category, or `refused`, or `pending`, under the rules of the decision.
    pub before: String,
    /// The same under the other rules.
    pub after: String,
    /// Benefit a month under the rules of the decision.
    pub before_soum: Soum,
    /// Benefit a month under the other rules.
    pub after_soum: Soum,
}

/// A change of rules tried on many profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Simulation {
    /// Every family, in the order given.
    pub families: Vec<Outcome>,
    /// Families by effect.
    pub effects: BTreeMap<Effect, u64>,
    /// Families by what they were and what they would be.
    pub moves: BTreeMap<String, u64>,
    /// Sum of the benefits of a month before.
    pub before_soum: SumOfBenefits,
    /// Sum of the benefits of a month after.
    pub after_soum: SumOfBenefits,
}

/// A sum of benefits in soum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SumOfBenefits(pub Number);

impl Default for SumOfBenefits {
    fn default() -> Self {
        Self(Number(0))
    }
}

impl SumOfBenefits {
    fn add(&mut self, amount: Soum) {
        self.0.0 = self.0.0.saturating_add(amount.amount().into());
    }
}

impl Simulation {
    /// Weighs one more profile under `rules`, on the day and by the answers of its own decision.
    ///
    /// # Errors
    /// [`RuleError::NoFigure`] when those rules have no figure for the day of the application.
    pub fn add(&mut self, profile: &Profile, rules: &Rules) -> Result<(), RuleError> {
        let after = profile.simulate(rules)?;
        let (before_name, before_soum) = terms(&profile.assessment.decision);
        let (after_name, after_soum) = terms(&after.decision);
        let effect = match (before_name, after_name) {
            (PENDING, _) | (_, PENDING) => Effect::Open,
            _ if after_soum > before_soum => Effect::Gains,
            _ if after_soum < before_soum => Effect::Loses,
            _ => Effect::Unchanged,
        };
        self.before_soum.add(before_soum);
        self.after_soum.add(after_soum);
        *self.effects.entry(effect).or_default() += 1;
        *self.moves.entry(format!("{before_name} → {after_name}")).or_default() += 1;
        self.families.push(Outcome {
            profile: profile.id.clone(),
            effect,
            before: before_name.to_owned(),
            after: after_name.to_owned(),
            before_soum,
            after_soum,
        });
        Ok(())
    }
}

const PENDING: &str = "pending";

fn terms(decision: &Decision) -> (&str, Soum) {
    match decision {
        Decision::Eligible(entitlement) => (&entitlement.category, entitlement.monthly_soum),
        Decision::NotEligible { .. } => ("refused", Soum::default()),
        Decision::Pending { .. } => (PENDING, Soum::default()),
    }
}
