//! What the bank keeps.

use std::fmt;

use register::money::Soum;
use register::month::Month;
use register::payment::line::{AccountNumber, LineId};
use register::payment::message::{Statement, StatementLine};
use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

/// One document of the bank.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// An account.
    Account(Account),
    /// A payee as GovStack's callers know it.
    Beneficiary(Beneficiary),
    /// A month.
    Month(BankMonth),
    /// A part of a statement that has come.
    Part(Part),
    /// A line.
    Line(BankLine),
}

/// An account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its number.
    pub number: AccountNumber,
    /// Whose it is.
    pub owner: Pinfl,
    /// Whether it can be credited.
    pub opening: Opening,
    /// What was credited.
    pub balance_soum: Soum,
}

/// PayeeFunctionalID of GovStack: 20 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionalId(String);

impl FunctionalId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FunctionalId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let good = text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(Self(text)) } else { Err("a PayeeFunctionalID has 20 printable characters") }
    }
}

impl From<FunctionalId> for String {
    fn from(id: FunctionalId) -> Self {
        id.0
    }
}

/// A payee as GovStack's callers know it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beneficiary {
    /// The payee.
    pub payee: FunctionalId,
    /// The account to credit.
    pub account: AccountNumber,
}

/// Whether an account can be credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opening {
    /// It can.
    Open,
    /// It cannot.
    Closed,
}

/// A month at the bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankMonth {
    /// The month.
    pub month: Month,
    /// The statement as a whole, once a part has come.
    pub statement: Option<Statement>,
    /// Parts that have come.
    pub parts_count: usize,
    /// Lines that have come.
    pub listed_count: usize,
    /// Their sum.
    pub listed_soum: Soum,
    /// What the treasury has sent.
    pub financed_soum: Option<Soum>,
    /// Release requests made.
    pub releases_count: usize,
    /// Confirmations made.
    pub confirmations_count: usize,
    /// Sum of the lines that are paid.
    pub paid_soum: Soum,
    /// Whether the month is over: nothing is paid any more.
    pub ended: bool,
}

/// A part of a statement that has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The month.
    pub month: Month,
    /// The number of the part.
    pub part: usize,
    /// Of its JSON, to know it again.
    pub digest: Sha256,
}

/// A line at the bank.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankLine {
    /// The line.
    pub id: LineId,
    /// The month of its statement.
    pub month: Month,
    /// Who is paid.
    pub recipient: Pinfl,
    /// Where.
    pub account: AccountNumber,
    /// How much.
    pub amount_soum: Soum,
    /// How far it is.
    pub state: BankLineState,
}

/// How far a line is at the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BankLineState {
    /// In the statement.
    Listed,
    /// The register is asked for the release.
    Asked,
    /// Credited.
    Paid,
    /// The register did not release it.
    Blocked,
    /// Not paid within the month.
    Uncollected,
}

macro_rules! redact {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(personal data)"))
            }
        }
    )*};
}
redact!(Account, BankLine, Beneficiary, FunctionalId);

impl BankMonth {
    /// A month of which nothing is known.
    #[must_use]
    pub fn new(month: Month) -> Self {
        Self {
            month,
            statement: None,
            parts_count: 0,
            listed_count: 0,
            listed_soum: Soum::default(),
            financed_soum: None,
            releases_count: 0,
            confirmations_count: 0,
            paid_soum: Soum::default(),
            ended: false,
        }
    }

    /// Whether lines may be paid: the statement is whole, agrees with itself, and its sum is here.
    #[must_use]
    pub fn is_payable(&self) -> bool {
        self.statement.as_ref().is_some_and(|statement| {
            !self.ended
                && self.parts_count == statement.parts_count
                && self.listed_count == statement.lines_count
                && self.listed_soum == statement.total_soum
                && self.financed_soum == Some(statement.total_soum)
        })
    }
}

impl BankLine {
    /// A line as it comes in a statement.
    #[must_use]
    pub fn listed(month: Month, line: &StatementLine, recipient: Pinfl) -> Self {
        Self {
            id: line.line.clone(),
            month,
            recipient,
            account: line.account.clone(),
            amount_soum: line.amount_soum,
            state: BankLineState::Listed,
        }
    }
}
