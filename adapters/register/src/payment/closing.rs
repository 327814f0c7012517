//! Closing a month: the entitlements of the month and what rolls over become lines, and the bank is
//! asked about their accounts.

use std::collections::{BTreeMap, BTreeSet};

use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::money::Soum;
use crate::month::Month;
use crate::payment::due::{Families, MonthDue};
use crate::payment::line::{
    AccountNumber, BenefitCode, Branch, Claim, FamilyId, Ground, Line, LineId, LineState,
};
use crate::payment::message::{AccountCheck, Message};
use crate::payment::office::{Document, MonthState, Office};
use crate::payment::party::Commit;
use crate::payment::{LINES_PER_MESSAGE_MAX_COUNT, LINES_PER_MONTH_MAX_COUNT};
use crate::redact::redact;

/// What a family is to be paid for the month.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    /// The family.
    pub family: FamilyId,
    /// The benefit.
    pub benefit: BenefitCode,
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
}

redact!(Entitlement);

/// Why a month is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// This month or a later one is closed.
    #[error("the register has closed month {0} already; a month is closed once and in order")]
    Closed(Month),
    /// Two entitlements of a family to one benefit.
    #[error("the entitlements name one family and benefit twice; leave one of the two out")]
    Twice,
    /// Nothing to pay.
    #[error(
        "no family is to be paid for this month; see the applications, their decisions and accounts"
    )]
    Nothing,
    /// Too many lines, or a sum above what JSON keeps exactly.
    #[error(
        "the month has more lines than 2000000 or a sum above 2^53 - 1 soum; check the amounts"
    )]
    TooMuch,
    /// An amount of nothing.
    #[error("an entitlement has an amount of 0 soum; leave it out")]
    Zero,
}

impl Line {
    /// Whether the line is to stand in the next statement: once, so not when it did already.
    #[must_use]
    pub fn rolls_over(&self) -> bool {
        let open = matches!(
            self.state,
            LineState::Uncollected { rolled_over_to: None }
                | LineState::Held { rolled_over_to: None, .. }
        );
        open && self.rolled_over_from.is_none()
    }
}

impl Office {
    /// Closes a month: one line for each entitlement and each line that rolls over. A line that
    /// rolls over takes the account that its recipient has now.
    ///
    /// # Errors
    /// [`CloseError`].
    pub fn close(
        &self,
        month: Month,
        due: impl Into<MonthDue>,
    ) -> Result<Commit<Document>, CloseError> {
        let MonthDue { entitlements, families } = due.into();
        if let Some((&last, _)) = self.months.last_key_value().filter(|(last, _)| **last >= month) {
            return Err(CloseError::Closed(last));
        }
        check(&entitlements)?;
        let accounts: BTreeMap<Pinfl, AccountNumber> =
            entitlements.iter().map(|due| (due.recipient, due.account.clone())).collect();
        let mut lines: Vec<Line> =
            entitlements.into_iter().map(|due| line_for(month, due)).collect();
        lines.extend(self.rolling_over(&accounts));
        let sum = lines.iter().try_fold(0_u64, |sum, l| sum.checked_add(l.amount_soum.amount()));
        let sum = sum.and_then(Soum::new).ok_or(CloseError::TooMuch)?;
        if lines.len() > LINES_PER_MONTH_MAX_COUNT {
            return Err(CloseError::TooMuch);
        }
        if sum == Soum::default() {
            return Err(CloseError::Nothing);
        }
        for (line, place) in lines.iter_mut().zip(1..) {
            line.id = LineId::at(month, place);
        }
        Ok(self.closed(month, lines, families))
    }

    /// The lines of earlier months that stand in this one again. The dead are left out.
    fn rolling_over<'a>(
        &'a self,
        accounts: &'a BTreeMap<Pinfl, AccountNumber>,
    ) -> impl Iterator<Item = Line> + 'a {
        let waiting = self.to_roll_over.iter().filter_map(|id| self.lines.get(id));
        waiting.filter(|line| !self.deaths.contains(&line.recipient)).map(|line| Line {
            rolled_over_from: Some(line.id.clone()),
            account: accounts.get(&line.recipient).unwrap_or(&line.account).clone(),
            state: LineState::Checking,
            ..line.clone()
        })
    }

    fn closed(&self, month: Month, lines: Vec<Line>, families: Families) -> Commit<Document> {
        let checks = lines.chunks(LINES_PER_MESSAGE_MAX_COUNT).zip(1..).map(|(lines, part)| {
            Message::AccountCheck(AccountCheck {
                month,
                part,
                recipients: lines.iter().map(|line| line.recipient).collect(),
                accounts: lines.iter().map(|line| line.account.clone()).collect(),
            })
        });
        let messages: Vec<Message> = checks.collect();
        let mut documents = vec![Document::Month(MonthState {
            month,
            checks_open_count: messages.len(),
            statement: None,
            financed: false,
            families,
        })];
        for line in &lines {
            let origin = line.rolled_over_from.as_ref().and_then(|id| self.lines.get(id));
            documents.extend(origin.map(|origin| Document::Line(rolled_over(origin, &line.id))));
        }
        documents.extend(lines.into_iter().map(Document::Line));
        Commit { documents, messages, answered: None }
    }
}

fn check(entitlements: &[Entitlement]) -> Result<(), CloseError> {
    let mut seen = BTreeSet::new();
    for due in entitlements {
        if due.amount_soum == Soum::default() {
            return Err(CloseError::Zero);
        }
        if !seen.insert((&due.family, &due.benefit)) {
            return Err(CloseError::Twice);
        }
    }
    Ok(())
}

/// The line of an entitlement; its identifier is given when all lines are known.
fn line_for(month: Month, due: Entitlement) -> Line {
    Line {
        id: LineId::at(month, 0),
        claim: Claim { family: due.family, benefit: due.benefit, month },
        rolled_over_from: None,
        recipient: due.recipient,
        account: due.account,
        amount_soum: due.amount_soum,
        ground: due.ground,
        branch: due.branch,
        state: LineState::Checking,
    }
}

/// The earlier line, which now stands in a later month.
fn rolled_over(origin: &Line, to: &LineId) -> Line {
    let rolled_over_to = Some(to.clone());
    let state = match &origin.state {
        LineState::Held { account, .. } => LineState::Held { account: *account, rolled_over_to },
        _ => LineState::Uncollected { rolled_over_to },
    };
    Line { state, ..origin.clone() }
}
