//! What answering needs about a card, without its holder.

use std::fmt;

use jiff::civil::Date;
use schemas::digest::Sha256;
use schemas::encoding::{base64url, from_base64url};
use serde::{Deserialize, Serialize};

use crate::application::Award;
use crate::redact::redact;

/// What a card shows: 16 random bytes, as 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pseudonym([u8; 16]);
redact!(Pseudonym);

/// The text is not a pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a card's pseudonym is 22 characters of base64url; read the card again")]
pub struct NotAPseudonym;

impl Pseudonym {
    /// Takes 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Under what the card's status is kept: a hash, so that a stolen store shows no pseudonyms.
    #[must_use]
    pub fn status_id(self) -> String {
        Sha256::of_parts(&[b"koprik-card-status/1", &self.0]).to_string()
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

impl TryFrom<String> for Pseudonym {
    type Error = NotAPseudonym;

    fn try_from(text: String) -> Result<Self, NotAPseudonym> {
        let bytes = from_base64url(&text).ok_or(NotAPseudonym)?;
        bytes.try_into().map(Self).map_err(|_| NotAPseudonym)
    }
}

impl From<Pseudonym> for String {
    fn from(pseudonym: Pseudonym) -> Self {
        pseudonym.to_string()
    }
}

/// What can be asked about a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Has a disability group.
    Disability,
    /// Goes to school.
    Pupil,
    /// Studies.
    Student,
    /// Is a veteran.
    Veteran,
    /// Belongs to a family in the Social Register.
    RegisteredFamily,
}

impl Question {
    /// All questions.
    pub const ALL: [Self; 5] =
        [Self::Disability, Self::Pupil, Self::Student, Self::Veteran, Self::RegisteredFamily];

    /// Whether the register's own decisions answer it; the others are data of other agencies.
    #[must_use]
    pub fn is_decided_here(self) -> bool {
        self == Self::RegisteredFamily
    }
}

/// A question that is answered yes from one day to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    /// To which question.
    pub question: Question,
    /// First day.
    pub from: Date,
    /// Last day; open-ended when absent.
    pub to: Option<Date>,
}

impl Entitlement {
    /// What an award entitles to; `None` when it was stopped before its first month.
    #[must_use]
    pub fn of_award(Award { from, until }: Award) -> Option<Self> {
        let (first, last) = (from.first_day(), until.previous().last_day());
        let question = Question::RegisteredFamily;
        (from < until).then_some(Self { question, from: first, to: Some(last) })
    }
}

/// What answering needs, without the holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardStatus {
    /// [`Pseudonym::status_id`].
    pub id: String,
    /// Whether it is neither blocked nor replaced.
    pub usable: bool,
    /// The last day on which it is valid.
    pub valid_to: Date,
    /// What it entitles to.
    pub entitlements: Vec<Entitlement>,
}

impl CardStatus {
    /// Whether the holder is entitled on `day`.
    #[must_use]
    pub fn entitles(&self, question: Question, day: Date) -> bool {
        let runs = |entitlement: &Entitlement| {
            entitlement.from <= day && entitlement.to.is_none_or(|to| day <= to)
        };
        let mut asked = self.entitlements.iter().filter(|given| given.question == question);
        self.usable && day <= self.valid_to && asked.any(runs)
    }
}
