//! What the parties say to each other. A message has one receiver and one answer.
//!
//! A message's identifier follows from what it is about, so that a message that is made again after
//! a crash is the same message. People stand in a list of their own beside the lines, where the
//! contract finds the subjects of the call.

use std::fmt;

use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::money::Soum;
use crate::month::Month;
use crate::payment::line::{AccountNumber, Branch, Ground, Line, LineId};
use crate::redact::redact;

/// A party of the payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The social register.
    Register,
    /// The treasury.
    Treasury,
    /// The bank.
    Bank,
}

/// Identifier of a message, the same whenever it is made again; no personal data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Message {
    /// Are these accounts good? Register to bank, before the statement.
    AccountCheck(AccountCheck),
    /// A part of the statement. Register to bank.
    StatementPart(StatementPart),
    /// The sum to be financed. Register to treasury.
    PaymentOrder(PaymentOrder),
    /// The money of an order. Treasury to bank.
    Financing(Financing),
    /// The order is financed. Treasury to register.
    OrderFinanced(Financing),
    /// May these lines be paid now? Bank to register.
    ReleaseRequest(ReleaseRequest),
    /// What became of lines. Bank to register.
    Confirmations(Confirmations),
    /// The month is over: what was paid, what goes back. Bank to treasury.
    Settlement(Settlement),
}

/// Are these accounts good?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountCheck {
    /// The month.
    pub month: Month,
    /// Number of this check in the month, from 1.
    pub part: usize,
    /// Whose accounts they should be, in the order of `accounts`.
    pub recipients: Vec<Pinfl>,
    /// The accounts.
    pub accounts: Vec<AccountNumber>,
}

/// A part of a statement. All parts say the same of the whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementPart {
    /// The whole.
    pub statement: Statement,
    /// Number of this part, from 1.
    pub part: usize,
    /// Who is paid, in the order of `lines`.
    pub recipients: Vec<Pinfl>,
    /// The lines.
    pub lines: Vec<StatementLine>,
}

/// A statement as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The month.
    pub month: Month,
    /// Parts that it comes in.
    pub parts_count: usize,
    /// Lines of all parts.
    pub lines_count: usize,
    /// Sum of all lines.
    pub total_soum: Soum,
}

/// A line of a statement.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementLine {
    /// The line.
    pub line: LineId,
    /// The account to credit.
    pub account: AccountNumber,
    /// How much.
    pub amount_soum: Soum,
    /// The decision.
    pub ground: Ground,
    /// The branch.
    pub branch: Branch,
}

redact!(AccountCheck, StatementPart, StatementLine);

impl From<&Line> for StatementLine {
    fn from(line: &Line) -> Self {
        Self {
            line: line.id.clone(),
            account: line.account.clone(),
            amount_soum: line.amount_soum,
            ground: line.ground.clone(),
            branch: line.branch.clone(),
        }
    }
}

/// The sum to be financed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentOrder {
    /// The month.
    pub month: Month,
    /// Lines of the statement.
    pub lines_count: usize,
    /// Sum of the statement.
    pub total_soum: Soum,
}

/// The money of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Financing {
    /// The month of the order.
    pub month: Month,
    /// The sum.
    pub total_soum: Soum,
}

/// May these lines be paid now?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The month.
    pub month: Month,
    /// Number of this request in the month, from 1.
    pub number: usize,
    /// The lines.
    pub lines: Vec<LineId>,
}

/// What became of lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmations {
    /// The month.
    pub month: Month,
    /// Number of these confirmations in the month, from 1.
    pub number: usize,
    /// The lines.
    pub lines: Vec<Confirmation>,
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The line.
    pub line: LineId,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Credited to the account.
    Paid,
    /// Not paid: the register did not release it.
    Blocked,
    /// Not paid within the month.
    Uncollected,
}

/// The month is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The month.
    pub month: Month,
    /// Sum of the lines that were paid.
    pub paid_soum: Soum,
    /// The rest of the financed sum, which goes back.
    pub returned_soum: Soum,
}

/// The answer to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// The message is kept.
    Taken,
    /// To an [`AccountCheck`], in its order.
    Accounts {
        /// One state for each account.
        states: Vec<AccountState>,
    },
    /// To a [`ReleaseRequest`], in its order.
    Releases {
        /// One for each line.
        releases: Vec<Release>,
    },
}

/// What the bank says about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountState {
    /// It exists, is the person's and can be credited.
    Open,
    /// There is none with this number.
    Unknown,
    /// It is somebody else's.
    OfAnotherPerson,
    /// It cannot be credited.
    Closed,
}

/// Whether a line may be paid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// It may.
    Released,
    /// It may not, and never.
    Blocked,
}

impl Message {
    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> MessageId {
        let month = self.month();
        MessageId(match self {
            Self::AccountCheck(check) => format!("{month}-accounts-{}", check.part),
            Self::StatementPart(part) => format!("{month}-statement-{}", part.part),
            Self::PaymentOrder(_) => format!("{month}-order"),
            Self::Financing(_) => format!("{month}-financing"),
            Self::OrderFinanced(_) => format!("{month}-financed"),
            Self::ReleaseRequest(request) => format!("{month}-release-{}", request.number),
            Self::Confirmations(said) => format!("{month}-confirmations-{}", said.number),
            Self::Settlement(_) => format!("{month}-settlement"),
        })
    }

    /// The month that it is about.
    #[must_use]
    pub fn month(&self) -> Month {
        match self {
            Self::AccountCheck(check) => check.month,
            Self::StatementPart(part) => part.statement.month,
            Self::PaymentOrder(order) => order.month,
            Self::Financing(financing) | Self::OrderFinanced(financing) => financing.month,
            Self::ReleaseRequest(request) => request.month,
            Self::Confirmations(said) => said.month,
            Self::Settlement(settlement) => settlement.month,
        }
    }

    /// Who receives it.
    #[must_use]
    pub fn to(&self) -> Role {
        match self {
            Self::AccountCheck(_) | Self::StatementPart(_) | Self::Financing(_) => Role::Bank,
            Self::PaymentOrder(_) | Self::Settlement(_) => Role::Treasury,
            Self::OrderFinanced(_) | Self::ReleaseRequest(_) | Self::Confirmations(_) => {
                Role::Register
            }
        }
    }

    /// Path of the endpoint that takes it, below the receiver's service.
    #[must_use]
    pub fn path(&self) -> &'static str {
        match self {
            Self::AccountCheck(_) => "/account-checks",
            Self::StatementPart(_) => "/statements",
            Self::PaymentOrder(_) => "/payment-orders",
            Self::Financing(_) => "/financings",
            Self::OrderFinanced(_) => "/financed-orders",
            Self::ReleaseRequest(_) => "/releases",
            Self::Confirmations(_) => "/confirmations",
            Self::Settlement(_) => "/settlements",
        }
    }
}
