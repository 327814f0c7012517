//! A line of the pay list: one family, one benefit, one month of entitlement.

use std::fmt;
use std::str::FromStr;

use schemas::pinfl::Pinfl;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::money::Soum;
use crate::month::Month;
use crate::payment::message::AccountState;
use crate::redact::redact;

/// Bytes of a family's identifier, a benefit's code, a ground or a branch.
const CODE_MAX_BYTES: usize = 64;

/// The text is not what the payments understand. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0}; correct it and send again")]
pub struct Malformed(&'static str);

/// A text with one grammar: parse, display, serde.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $good:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let good: fn(&str) -> bool = $good;
                if good(text) { Ok(Self(text.to_owned())) } else { Err(Malformed($what)) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

fn is_code(text: &str) -> bool {
    (1..=CODE_MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn has_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

text!(
    /// A family of the register, by its identifier there.
    FamilyId, "a family's identifier (1 to 64 printable characters)", is_code
);
text!(
    /// The code of a benefit.
    BenefitCode, "a benefit's code (1 to 64 printable characters)", is_code
);
text!(
    /// On what a line is paid: the identifier of the decision.
    Ground, "a ground (1 to 64 printable characters)", is_code
);
text!(
    /// The branch of the bank.
    Branch, "a branch (1 to 64 printable characters)", is_code
);
text!(
    /// A bank account, 20 digits.
    AccountNumber, "an account number (20 digits)", |text| has_digits(text, 20)
);
text!(
    /// A line, 16 digits: year, month and place in the month's list; sorted by month.
    LineId, "a line's identifier (16 digits)", |text| has_digits(text, 16)
);

redact!(AccountNumber, FamilyId);

macro_rules! shown {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
shown!(BenefitCode, Ground, Branch, LineId);

impl LineId {
    /// The line at `place` of the statement for `month`.
    #[must_use]
    pub fn at(month: Month, place: usize) -> Self {
        let year_and_month = month.to_string().replace('-', "");
        Self(format!("{year_and_month}{place:010}"))
    }

    /// The line before and the line after all lines of `month`.
    #[must_use]
    pub fn bounds(month: Month) -> (Self, Self) {
        let year_and_month = month.to_string().replace('-', "");
        (Self(format!("{year_and_month}0000000000")), Self(format!("{year_and_month}9999999999")))
    }
}

/// What is paid at most once: a family's benefit for a month of entitlement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The family.
    pub family: FamilyId,
    /// The benefit.
    pub benefit: BenefitCode,
    /// The month of entitlement; a line that rolled over stands in the statement of a later month.
    pub month: Month,
}

/// A line of the register's pay list.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The line.
    pub id: LineId,
    /// What it pays.
    pub claim: Claim,
    /// The line of an earlier month that was not collected and stands here again.
    pub rolled_over_from: Option<LineId>,
    /// Who is paid.
    pub recipient: Pinfl,
    /// Where.
    pub account: AccountNumber,
    /// How much.
    pub amount_soum: Soum,
    /// The decision.
    pub ground: Ground,
    /// The bank's branch.
    pub branch: Branch,
    /// How far it is.
    pub state: LineState,
}

redact!(Line);

/// How far a line is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", deny_unknown_fields)]
pub enum LineState {
    /// The bank is asked about the account.
    Checking,
    /// The account is good; the statement waits for the other lines.
    Checked,
    /// The account is not good, so the line is not in the statement; it stands in the next once.
    Held {
        /// What the bank says.
        account: AccountState,
        /// The line of a later month that stands for it.
        rolled_over_to: Option<LineId>,
    },
    /// In the statement.
    Listed,
    /// The bank may pay.
    Released,
    /// Paid.
    Paid,
    /// Not collected within the month; it stands in the next once.
    Uncollected {
        /// The line of a later month that stands for it.
        rolled_over_to: Option<LineId>,
    },
    /// Not paid and not rolled over: the recipient has died.
    Blocked,
}

impl LineState {
    /// Whether nothing more comes for the line in its month.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::Paid | Self::Uncollected { .. } | Self::Blocked)
    }

    /// The state's word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Checked => "checked",
            Self::Held { .. } => "held",
            Self::Listed => "listed",
            Self::Released => "released",
            Self::Paid => "paid",
            Self::Uncollected { .. } => "uncollected",
            Self::Blocked => "blocked",
        }
    }

    /// Whether the line is or was in a statement.
    #[must_use]
    pub fn was_listed(&self) -> bool {
        matches!(self, Self::Listed | Self::Released | Self::Paid | Self::Uncollected { .. })
    }
}
