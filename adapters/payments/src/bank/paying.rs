//! Asking for releases, paying, and ending a month.

use std::collections::BTreeMap;

use register::money::Soum;
use register::month::Month;
use register::payment::LINES_PER_MESSAGE_MAX_COUNT;
use register::payment::line::{AccountNumber, LineId};
use register::payment::message::{
    AccountState, Confirmation, Confirmations, Message, Outcome, Release, ReleaseRequest,
    Settlement,
};
use register::payment::party::Refusal;

use super::{Account, Bank, BankLine, BankLineState, BankMonth, Changes, Document};

/// Why a month is not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// Statement or money is missing.
    #[error(
        "the bank does not have the whole statement of month {0} or its money; wait for register \
         and treasury"
    )]
    NotPayable(Month),
}

impl Bank {
    /// Begins to pay: asks the register to release up to 100 lines whose accounts can be credited.
    #[must_use]
    pub fn execute(&self, month: Month) -> Changes {
        let Some(kept) = self.months.get(&month).filter(|kept| kept.is_payable()) else {
            return Changes::default();
        };
        let (first, last) = LineId::bounds(month);
        let lines: Vec<&BankLine> = self
            .listed
            .range(first..=last)
            .filter_map(|id| self.lines.get(id))
            .filter(|line| self.can_be_credited(line))
            .take(LINES_PER_MESSAGE_MAX_COUNT)
            .collect();
        if lines.is_empty() {
            return Changes::default();
        }
        let number = kept.releases_count.saturating_add(1);
        let request = ReleaseRequest {
            month,
            number,
            lines: lines.iter().map(|line| line.id.clone()).collect(),
        };
        let mut documents =
            vec![Document::Month(BankMonth { releases_count: number, ..kept.clone() })];
        documents.extend(lines.into_iter().map(|line| in_state(line, BankLineState::Asked)));
        Changes { documents, messages: vec![Message::ReleaseRequest(request)], answered: None }
    }

    /// Ends a month: what is not paid is not collected, and its money goes back. Does nothing when
    /// the month is ended.
    ///
    /// # Errors
    /// [`EndError`].
    pub fn end_month(&self, month: Month) -> Result<Changes, EndError> {
        let mut kept = self.months.get(&month).cloned().ok_or(EndError::NotPayable(month))?;
        if kept.ended {
            return Ok(Changes::default());
        }
        let (true, Some(financed)) = (kept.is_payable(), kept.financed_soum) else {
            return Err(EndError::NotPayable(month));
        };
        let (first, last) = LineId::bounds(month);
        let open = |state| matches!(state, BankLineState::Listed | BankLineState::Asked);
        let month_lines = self.lines.range(first..=last).map(|(_, line)| line);
        let unpaid: Vec<&BankLine> = month_lines.filter(|line| open(line.state)).collect();
        let mut changes = Changes::default();
        for lines in unpaid.chunks(LINES_PER_MESSAGE_MAX_COUNT) {
            let outcomes = lines.iter().map(|line| (line.id.clone(), Outcome::Uncollected));
            changes.messages.push(confirm(&mut kept, outcomes.collect()));
        }
        kept.ended = true;
        let rest = financed.amount().saturating_sub(kept.paid_soum.amount());
        changes.messages.push(Message::Settlement(Settlement {
            month,
            paid_soum: kept.paid_soum,
            // Safe because: less than a sum that is one.
            returned_soum: Soum::new(rest).unwrap_or_default(),
        }));
        changes.documents.push(Document::Month(kept));
        let uncollected = unpaid.into_iter().map(|l| in_state(l, BankLineState::Uncollected));
        changes.documents.extend(uncollected);
        Ok(changes)
    }

    /// Pays what the register has released, in the commit that takes its answer.
    pub(super) fn pay(
        &self,
        request: &ReleaseRequest,
        releases: &[Release],
    ) -> Result<Changes, Refusal> {
        let mut kept = self.months.get(&request.month).cloned().ok_or(Refusal::Contradicts)?;
        if releases.len() != request.lines.len() {
            return Err(Refusal::Shape);
        }
        let mut credited: BTreeMap<AccountNumber, Account> = BTreeMap::new();
        let mut changes = Changes::default();
        let mut outcomes = Vec::new();
        for (id, release) in request.lines.iter().zip(releases) {
            let Some(line) = self.lines.get(id) else { return Err(Refusal::Contradicts) };
            // The month may have ended while the answer was under way.
            if line.state != BankLineState::Asked {
                continue;
            }
            let state = match release {
                Release::Blocked => BankLineState::Blocked,
                Release::Released if self.can_be_credited(line) => BankLineState::Paid,
                Release::Released => BankLineState::Listed,
            };
            changes.documents.push(in_state(line, state));
            match state {
                BankLineState::Paid => {
                    self.credit(line, &mut credited)?;
                    kept.paid_soum = plus(kept.paid_soum, line.amount_soum)?;
                    outcomes.push((id.clone(), Outcome::Paid));
                }
                BankLineState::Blocked => outcomes.push((id.clone(), Outcome::Blocked)),
                _ => {}
            }
        }
        if !outcomes.is_empty() {
            changes.messages.push(confirm(&mut kept, outcomes));
        }
        changes.documents.push(Document::Month(kept));
        changes.documents.extend(credited.into_values().map(Document::Account));
        Ok(changes)
    }

    fn can_be_credited(&self, line: &BankLine) -> bool {
        self.account_state(&line.account, line.recipient) == AccountState::Open
    }

    fn credit(
        &self,
        line: &BankLine,
        credited: &mut BTreeMap<AccountNumber, Account>,
    ) -> Result<(), Refusal> {
        let before = credited.get(&line.account).or_else(|| self.accounts.get(&line.account));
        let mut account = before.cloned().ok_or(Refusal::Contradicts)?;
        account.balance_soum = plus(account.balance_soum, line.amount_soum)?;
        credited.insert(line.account.clone(), account);
        Ok(())
    }
}

fn plus(one: Soum, other: Soum) -> Result<Soum, Refusal> {
    let sum = one.amount().checked_add(other.amount()).and_then(Soum::new);
    sum.ok_or(Refusal::Contradicts)
}

fn in_state(line: &BankLine, state: BankLineState) -> Document {
    Document::Line(BankLine { state, ..line.clone() })
}

/// The next confirmations of the month.
fn confirm(kept: &mut BankMonth, outcomes: Vec<(LineId, Outcome)>) -> Message {
    kept.confirmations_count = kept.confirmations_count.saturating_add(1);
    let lines = outcomes.into_iter().map(|(line, outcome)| Confirmation { line, outcome });
    Message::Confirmations(Confirmations {
        month: kept.month,
        number: kept.confirmations_count,
        lines: lines.collect(),
    })
}
