//! The household profile: the case, the family, what is absent and the assessment, as canonical
//! JSON (RFC 8785) with its SHA-256. Same inputs, same bytes.

use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::assessment::{Assessment, assess_family};
use crate::case::Case;
use crate::composition::{Family, compose};
use crate::redact::redact;
use crate::rules::{RuleError, Rules};
use crate::source::{Absence, Answer, SourceName};

/// The name of this form of profile.
pub const FORMAT: &str = "koprik-profile/1";

/// How an answer is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsentAs {
    /// The source gave no answer.
    Unavailable,
    /// The question was refused.
    Forbidden,
}

/// A source whose answer about a person is absent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbsentSource {
    /// The source.
    pub source: SourceName,
    /// Whom it was asked about.
    pub subject: Pinfl,
    /// How it is absent.
    pub outcome: AbsentAs,
    /// Why.
    pub reason: Absence,
}

/// A household profile.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// [`FORMAT`].
    pub format: String,
    /// The parent identifier that all calls for this profile carried as `X-Road-Issue`.
    pub id: String,
    /// When it was assembled, milliseconds since the Unix epoch.
    pub assembled_at: UnixMillis,
    /// The application and every answer with its provenance.
    pub case: Case,
    /// Who belongs to the family.
    pub family: Family,
    /// Absent sources by person.
    pub absent: Vec<AbsentSource>,
    /// The assessment under the rules of the day of the application.
    pub assessment: Assessment,
}
redact!(AbsentSource, Profile);

/// A profile as it is kept and sent: canonical JSON and its SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedProfile {
    bytes: Vec<u8>,
    hash: Sha256,
}
redact!(SealedProfile);

/// The profile could not be written as canonical JSON; a fault of this program.
#[derive(Debug, thiserror::Error)]
#[error("register: the profile cannot be written as canonical JSON; report this as a defect")]
pub struct NotCanonical(#[source] serde_json::Error);

impl Profile {
    /// Assembles the profile of a case.
    ///
    /// # Errors
    /// [`RuleError::NoFigure`] when the rules have no figure for the day of the application.
    pub fn assemble(
        id: String,
        assembled_at: UnixMillis,
        case: Case,
        rules: &Rules,
    ) -> Result<Self, RuleError> {
        let family = compose(&case);
        let assessment = assess_family(&case, &family, rules)?;
        let absent = case.answers.iter().filter_map(absent_source).collect();
        let format = FORMAT.to_owned();
        Ok(Self { format, id, assembled_at, case, family, absent, assessment })
    }

    /// Weighs the same answers under another rule version; under the same version it is a replay.
    ///
    /// # Errors
    /// [`RuleError::NoFigure`] when those rules have no figure for the day of the application.
    pub fn simulate(&self, rules: &Rules) -> Result<Assessment, RuleError> {
        assess_family(&self.case, &compose(&self.case), rules)
    }

    /// The canonical JSON with its hash.
    ///
    /// # Errors
    /// [`NotCanonical`] never in practice: every part has a JSON form.
    pub fn seal(&self) -> Result<SealedProfile, NotCanonical> {
        let bytes = serde_json_canonicalizer::to_vec(self).map_err(NotCanonical)?;
        let hash = Sha256::of(&bytes);
        Ok(SealedProfile { bytes, hash })
    }
}

impl SealedProfile {
    /// The canonical JSON.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the canonical JSON.
    #[must_use]
    pub fn hash(&self) -> Sha256 {
        self.hash
    }
}

fn absent_source((subject, source, answer): (Pinfl, &SourceName, &Answer)) -> Option<AbsentSource> {
    let reason = answer.absence()?.clone();
    let outcome = if answer.is_forbidden() { AbsentAs::Forbidden } else { AbsentAs::Unavailable };
    Some(AbsentSource { source: source.clone(), subject, outcome, reason })
}
