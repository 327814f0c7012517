//! The bank's side of the payments: it pays a line when statement, money and release are there, and
//! no line twice.
//!
//! The accounts kept here stand for the bank's core system.

mod document;
mod paying;

use std::collections::{BTreeMap, BTreeSet};

use register::money::Soum;
use register::month::Month;
use register::payment::LINES_PER_MESSAGE_MAX_COUNT;
use register::payment::line::{AccountNumber, LineId};
use register::payment::message::{
    AccountCheck, AccountState, Answer, Financing, Message, Role, StatementPart,
};
use register::payment::party::{Commit, Party, Refusal};
use schemas::digest::Sha256;
use schemas::pinfl::Pinfl;

pub use document::{
    Account, BankLine, BankLineState, BankMonth, Beneficiary, Document, FunctionalId, Opening, Part,
};
pub use paying::EndError;

/// The bank as a party of the payments.
#[derive(Clone, Debug, Default)]
pub struct Bank {
    accounts: BTreeMap<AccountNumber, Account>,
    beneficiaries: BTreeMap<FunctionalId, Beneficiary>,
    months: BTreeMap<Month, BankMonth>,
    parts: BTreeMap<(Month, usize), Sha256>,
    lines: BTreeMap<LineId, BankLine>,
    /// Lines that wait to be paid.
    listed: BTreeSet<LineId>,
}

type Changes = Commit<Document>;

impl Bank {
    /// The accounts.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The months that there is a statement or money for.
    pub fn months(&self) -> impl Iterator<Item = &BankMonth> {
        self.months.values()
    }

    /// The lines of all statements.
    pub fn lines(&self) -> impl Iterator<Item = &BankLine> {
        self.lines.values()
    }

    /// Opens or closes an account, keeping its balance.
    #[must_use]
    pub fn set_account(&self, number: AccountNumber, owner: Pinfl, opening: Opening) -> Changes {
        let kept = self.accounts.get(&number);
        let balance_soum = kept.map(|account| account.balance_soum).unwrap_or_default();
        let account = Account { number, owner, opening, balance_soum };
        Changes { documents: vec![Document::Account(account)], ..Changes::default() }
    }

    /// What there is to say about an account of a person.
    #[must_use]
    pub fn account_state(&self, number: &AccountNumber, owner: Pinfl) -> AccountState {
        match self.accounts.get(number) {
            None => AccountState::Unknown,
            Some(account) if account.owner != owner => AccountState::OfAnotherPerson,
            Some(account) if account.opening == Opening::Closed => AccountState::Closed,
            Some(_) => AccountState::Open,
        }
    }

    /// Whether there is an account with this number.
    #[must_use]
    pub fn has_account(&self, number: &AccountNumber) -> bool {
        self.accounts.contains_key(number)
    }

    /// The account under which GovStack's callers know a payee.
    #[must_use]
    pub fn beneficiary(&self, payee: &FunctionalId) -> Option<&Beneficiary> {
        self.beneficiaries.get(payee)
    }

    /// Keeps beneficiaries in place of earlier ones.
    #[must_use]
    pub fn keep_beneficiaries(beneficiaries: Vec<Beneficiary>) -> Changes {
        let documents = beneficiaries.into_iter().map(Document::Beneficiary).collect();
        Changes { documents, ..Changes::default() }
    }

    /// Whether a payee is registered and the account can be credited.
    #[must_use]
    pub fn can_credit(&self, payee: &FunctionalId) -> bool {
        let kept = self.beneficiaries.get(payee);
        let account = kept.and_then(|kept| self.accounts.get(&kept.account));
        account.is_some_and(|account| account.opening == Opening::Open)
    }

    fn check(&self, check: &AccountCheck) -> Result<(Changes, Answer), Refusal> {
        fits(check.recipients.len(), check.accounts.len())?;
        let asked = check.accounts.iter().zip(&check.recipients);
        let states = asked.map(|(number, owner)| self.account_state(number, *owner)).collect();
        Ok((Changes::default(), Answer::Accounts { states }))
    }

    fn month(&self, month: Month) -> BankMonth {
        self.months.get(&month).cloned().unwrap_or_else(|| BankMonth::new(month))
    }

    fn list(&self, part: &StatementPart) -> Result<(Changes, Answer), Refusal> {
        fits(part.recipients.len(), part.lines.len())?;
        let statement = &part.statement;
        let place = (statement.month, part.part);
        let digest = digest(part)?;
        match self.parts.get(&place) {
            Some(kept) if *kept == digest => return Ok((Changes::default(), Answer::Taken)),
            Some(_) => return Err(Refusal::Contradicts),
            None => {}
        }
        let mut kept = self.month(statement.month);
        let same = kept.statement.as_ref().is_none_or(|earlier| earlier == statement);
        let known = part.lines.iter().any(|line| self.lines.contains_key(&line.line));
        if !same || known || !(1..=statement.parts_count).contains(&part.part) {
            return Err(Refusal::Contradicts);
        }
        let lines: BTreeMap<&LineId, BankLine> = part
            .lines
            .iter()
            .zip(&part.recipients)
            .map(|(line, recipient)| {
                (&line.line, BankLine::listed(statement.month, line, *recipient))
            })
            .collect();
        if lines.len() != part.lines.len() {
            return Err(Refusal::Contradicts);
        }
        let sum = lines.values().try_fold(kept.listed_soum.amount(), |sum, line| {
            sum.checked_add(line.amount_soum.amount())
        });
        kept.listed_soum = sum.and_then(Soum::new).ok_or(Refusal::Contradicts)?;
        kept.listed_count = kept.listed_count.saturating_add(lines.len());
        kept.parts_count = kept.parts_count.saturating_add(1);
        kept.statement = Some(statement.clone());
        let part = Part { month: statement.month, part: part.part, digest };
        let mut documents = vec![Document::Month(kept), Document::Part(part)];
        documents.extend(lines.into_values().map(Document::Line));
        Ok((Changes { documents, ..Changes::default() }, Answer::Taken))
    }

    fn finance(&self, financing: &Financing) -> Result<(Changes, Answer), Refusal> {
        let mut kept = self.month(financing.month);
        match kept.financed_soum {
            Some(sum) if sum == financing.total_soum => {
                return Ok((Changes::default(), Answer::Taken));
            }
            Some(_) => return Err(Refusal::Contradicts),
            None => kept.financed_soum = Some(financing.total_soum),
        }
        let documents = vec![Document::Month(kept)];
        Ok((Changes { documents, ..Changes::default() }, Answer::Taken))
    }
}

impl Party for Bank {
    type Document = Document;
    const ROLE: Role = Role::Bank;

    fn key(document: &Document) -> String {
        match document {
            Document::Account(account) => format!("account/{}", account.number.as_str()),
            Document::Beneficiary(kept) => format!("beneficiary/{}", kept.payee.as_str()),
            Document::Month(kept) => format!("month/{}", kept.month),
            Document::Part(part) => format!("part/{}/{}", part.month, part.part),
            Document::Line(line) => format!("line/{}", line.id),
        }
    }

    fn put(&mut self, document: Document) {
        match document {
            Document::Account(account) => {
                self.accounts.insert(account.number.clone(), account);
            }
            Document::Beneficiary(kept) => {
                self.beneficiaries.insert(kept.payee.clone(), kept);
            }
            Document::Month(kept) => {
                self.months.insert(kept.month, kept);
            }
            Document::Part(part) => {
                self.parts.insert((part.month, part.part), part.digest);
            }
            Document::Line(line) => {
                if line.state == BankLineState::Listed {
                    self.listed.insert(line.id.clone());
                } else {
                    self.listed.remove(&line.id);
                }
                self.lines.insert(line.id.clone(), line);
            }
        }
    }

    fn receive(&self, message: &Message) -> Result<(Changes, Answer), Refusal> {
        match message {
            Message::AccountCheck(check) => self.check(check),
            Message::StatementPart(part) => self.list(part),
            Message::Financing(financing) => self.finance(financing),
            _ => Err(Refusal::NotForMe),
        }
    }

    fn answered(&self, message: &Message, answer: &Answer) -> Result<Changes, Refusal> {
        match (message, answer) {
            (Message::ReleaseRequest(request), Answer::Releases { releases }) => {
                self.pay(request, releases)
            }
            (Message::Confirmations(_) | Message::Settlement(_), Answer::Taken) => {
                Ok(Changes::default())
            }
            _ => Err(Refusal::NotForMe),
        }
    }
}

/// Two lists of the same length, neither empty nor longer than a message may be.
fn fits(one: usize, other: usize) -> Result<(), Refusal> {
    let good = one == other && (1..=LINES_PER_MESSAGE_MAX_COUNT).contains(&one);
    if good { Ok(()) } else { Err(Refusal::Shape) }
}

fn digest(part: &StatementPart) -> Result<Sha256, Refusal> {
    let bytes = serde_json::to_vec(part).map_err(|_| Refusal::Shape)?;
    Ok(Sha256::of(&bytes))
}
