//! The register's side of the payments: from the closed month to what became of every line.

use std::collections::{BTreeMap, BTreeSet};

use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::money::Soum;
use crate::month::Month;
use crate::payment::LINES_PER_MESSAGE_MAX_COUNT;
use crate::payment::due::Families;
use crate::payment::line::{Line, LineId, LineState};
use crate::payment::message::{
    AccountCheck, AccountState, Answer, Confirmation, Confirmations, Financing, Message, Outcome,
    PaymentOrder, Release, ReleaseRequest, Role, Statement, StatementLine, StatementPart,
};
use crate::payment::party::{Commit, Party, Refusal};

/// The register as a party of the payments.
#[derive(Clone, Debug, Default)]
pub struct Office {
    pub(crate) months: BTreeMap<Month, MonthState>,
    pub(crate) lines: BTreeMap<LineId, Line>,
    pub(crate) deaths: BTreeSet<Pinfl>,
    /// Lines of earlier months that are still to roll over.
    pub(crate) to_roll_over: BTreeSet<LineId>,
    /// The lines of each recipient.
    of_recipient: BTreeMap<Pinfl, BTreeSet<LineId>>,
}

/// A closed month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonthState {
    /// The month.
    pub month: Month,
    /// Account checks that are not answered.
    pub checks_open_count: usize,
    /// The statement, once the accounts are checked.
    pub statement: Option<Statement>,
    /// Whether the treasury has financed the order.
    pub financed: bool,
    /// Who is paid by which decisions, and who is not, when the month was closed.
    pub families: Families,
}

/// What the register keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// A closed month.
    Month(MonthState),
    /// A line.
    Line(Line),
    /// A person who has died.
    Death(Pinfl),
}

/// What became of a month, in sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Whether the treasury has financed the order.
    pub financed: bool,
    /// Sum of the statement; `None` while accounts are checked.
    pub statement_soum: Option<Soum>,
    /// Lines and sums by state: `checking`, `checked`, `held`, `listed`, `released`, `paid`,
    /// `uncollected`, `blocked`.
    pub states: BTreeMap<String, StateSum>,
    /// Lines that came from earlier months.
    pub rolled_over_count: usize,
    /// Who is paid by which decisions, and who is not, when the month was closed.
    pub families: Families,
}

/// Lines in one state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSum {
    /// How many.
    pub lines_count: usize,
    /// Their sum.
    pub sum_soum: u64,
}

type Changes = Commit<Document>;

impl Office {
    /// The closed months.
    pub fn months(&self) -> impl Iterator<Item = &MonthState> {
        self.months.values()
    }

    /// A closed month.
    #[must_use]
    pub fn month(&self, month: Month) -> Option<&MonthState> {
        self.months.get(&month)
    }

    /// The lines of a month, in their order.
    pub fn lines(&self, month: Month) -> impl Iterator<Item = &Line> {
        let (first, last) = LineId::bounds(month);
        self.lines.range(first..=last).map(|(_, line)| line)
    }

    /// The lines that pay a person, each with its state as in [`Summary::states`], newest first.
    pub fn paid_to(&self, person: Pinfl) -> impl Iterator<Item = (&Line, &'static str)> {
        let ids = self.of_recipient.get(&person).into_iter().flatten().rev();
        ids.filter_map(|id| self.lines.get(id)).map(|line| (line, line.state.word()))
    }

    /// Whether the person's death is recorded.
    #[must_use]
    pub fn has_died(&self, person: Pinfl) -> bool {
        self.deaths.contains(&person)
    }

    /// Records a death: what is not released is not paid any more. Does nothing when it is known.
    #[must_use]
    pub fn record_death(&self, person: Pinfl) -> Changes {
        let known = self.deaths.contains(&person);
        let documents = if known { Vec::new() } else { vec![Document::Death(person)] };
        Changes { documents, ..Changes::default() }
    }

    /// What became of a month; `None` when it is not closed. Cost: one look at each line.
    #[must_use]
    pub fn summary(&self, month: Month) -> Option<Summary> {
        let kept = self.months.get(&month)?;
        let mut summary = Summary {
            financed: kept.financed,
            statement_soum: kept.statement.as_ref().map(|statement| statement.total_soum),
            families: kept.families.clone(),
            ..Summary::default()
        };
        for line in self.lines(month) {
            let state = summary.states.entry(line.state.word().to_owned()).or_default();
            state.lines_count += 1;
            state.sum_soum = state.sum_soum.saturating_add(line.amount_soum.amount());
            summary.rolled_over_count += usize::from(line.rolled_over_from.is_some());
        }
        Some(summary)
    }

    /// The statement and the order, once every account of the month is checked.
    fn list(&self, kept: &MonthState, mut lines: Vec<Line>) -> Changes {
        for line in &mut lines {
            if line.state == LineState::Checked {
                let dead = self.deaths.contains(&line.recipient);
                line.state = if dead { LineState::Blocked } else { LineState::Listed };
            }
        }
        let listed: Vec<&Line> = lines.iter().filter(|l| l.state == LineState::Listed).collect();
        let sum = listed.iter().map(|line| line.amount_soum.amount()).sum();
        let statement = Statement {
            month: kept.month,
            parts_count: listed.chunks(LINES_PER_MESSAGE_MAX_COUNT).len(),
            lines_count: listed.len(),
            // Safe because: closing has refused a month whose lines sum up to more.
            total_soum: Soum::new(sum).unwrap_or_default(),
        };
        let mut messages: Vec<Message> = listed
            .chunks(LINES_PER_MESSAGE_MAX_COUNT)
            .zip(1..)
            .map(|(lines, part)| Message::StatementPart(part_of(&statement, part, lines)))
            .collect();
        if !listed.is_empty() {
            messages.push(Message::PaymentOrder(PaymentOrder {
                month: kept.month,
                lines_count: statement.lines_count,
                total_soum: statement.total_soum,
            }));
        }
        let kept = MonthState { statement: Some(statement), checks_open_count: 0, ..kept.clone() };
        let mut documents = vec![Document::Month(kept)];
        documents.extend(lines.into_iter().map(Document::Line));
        Changes { documents, messages, answered: None }
    }

    fn accounts_checked(
        &self,
        check: &AccountCheck,
        states: &[AccountState],
    ) -> Result<Changes, Refusal> {
        let kept = self.months.get(&check.month).ok_or(Refusal::Contradicts)?;
        if states.len() != check.accounts.len() {
            return Err(Refusal::Shape);
        }
        let skipped = check.part.saturating_sub(1).saturating_mul(LINES_PER_MESSAGE_MAX_COUNT);
        let asked = self.lines(check.month).skip(skipped).zip(states);
        let checked = asked.map(|(line, account)| {
            let state = match account {
                AccountState::Open => LineState::Checked,
                _ => LineState::Held { account: *account, rolled_over_to: None },
            };
            (line.id.clone(), Line { state, ..line.clone() })
        });
        let checked: BTreeMap<LineId, Line> = checked.collect();
        if kept.checks_open_count > 1 {
            let checks_open_count = kept.checks_open_count - 1;
            let kept = MonthState { checks_open_count, ..kept.clone() };
            let mut documents = vec![Document::Month(kept)];
            documents.extend(checked.into_values().map(Document::Line));
            return Ok(Changes { documents, ..Changes::default() });
        }
        let lines = self.lines(check.month);
        let lines = lines.map(|line| checked.get(&line.id).unwrap_or(line).clone()).collect();
        Ok(self.list(kept, lines))
    }

    fn financed(&self, financing: &Financing) -> Result<(Changes, Answer), Refusal> {
        let kept = self.months.get(&financing.month).ok_or(Refusal::Contradicts)?;
        let statement = kept.statement.as_ref().ok_or(Refusal::Contradicts)?;
        if statement.total_soum != financing.total_soum {
            return Err(Refusal::Contradicts);
        }
        let mut changes = Changes::default();
        if !kept.financed {
            let kept = MonthState { financed: true, ..kept.clone() };
            changes.documents.push(Document::Month(kept));
        }
        Ok((changes, Answer::Taken))
    }

    fn release(&self, request: &ReleaseRequest) -> Result<(Changes, Answer), Refusal> {
        let kept = self.months.get(&request.month).ok_or(Refusal::Contradicts)?;
        if !kept.financed {
            return Err(Refusal::TooEarly);
        }
        let mut changes = Changes::default();
        let mut releases = Vec::with_capacity(request.lines.len());
        for id in &request.lines {
            let line = self.listed(request.month, id)?;
            let dead = self.deaths.contains(&line.recipient);
            let (state, release) = match &line.state {
                LineState::Listed if dead => (LineState::Blocked, Release::Blocked),
                LineState::Listed => (LineState::Released, Release::Released),
                // The first answer may not have arrived: the latest word is the better one, and
                // the bank says which it heard first.
                LineState::Released if !dead => (LineState::Released, Release::Released),
                // The bank has decided already, and takes no notice of this answer.
                state => (state.clone(), Release::Blocked),
            };
            if state != line.state {
                changes.documents.push(Document::Line(Line { state, ..line.clone() }));
            }
            releases.push(release);
        }
        Ok((changes, Answer::Releases { releases }))
    }

    fn confirm(&self, said: &Confirmations) -> Result<(Changes, Answer), Refusal> {
        let mut changes = Changes::default();
        for Confirmation { line, outcome } in &said.lines {
            let line = self.listed(said.month, line)?;
            let state = self.after(line, *outcome)?;
            if state != line.state {
                changes.documents.push(Document::Line(Line { state, ..line.clone() }));
            }
        }
        Ok((changes, Answer::Taken))
    }

    /// A line's state after a confirmation.
    fn after(&self, line: &Line, outcome: Outcome) -> Result<LineState, Refusal> {
        let dead = self.deaths.contains(&line.recipient);
        match (&line.state, outcome) {
            (LineState::Released | LineState::Paid, Outcome::Paid) => Ok(LineState::Paid),
            (LineState::Released, Outcome::Blocked) if dead => Ok(LineState::Blocked),
            // Blocked here, and the month was over at the bank before it heard so.
            (LineState::Blocked, Outcome::Blocked | Outcome::Uncollected) => Ok(LineState::Blocked),
            (LineState::Listed | LineState::Released, Outcome::Uncollected) => {
                Ok(LineState::Uncollected { rolled_over_to: None })
            }
            (state @ LineState::Uncollected { .. }, Outcome::Uncollected) => Ok(state.clone()),
            _ => Err(Refusal::Contradicts),
        }
    }

    /// A line that is in the statement of `month`.
    fn listed(&self, month: Month, id: &LineId) -> Result<&Line, Refusal> {
        let (first, last) = LineId::bounds(month);
        let in_month = (&first..=&last).contains(&id);
        self.lines.get(id).filter(|_| in_month).ok_or(Refusal::Contradicts)
    }
}

impl Party for Office {
    type Document = Document;
    const ROLE: Role = Role::Register;

    fn key(document: &Document) -> String {
        match document {
            Document::Month(kept) => format!("month/{}", kept.month),
            Document::Line(line) => format!("line/{}", line.id),
            Document::Death(person) => format!("death/{}", digest(*person)),
        }
    }

    fn put(&mut self, document: Document) {
        match document {
            Document::Month(kept) => {
                self.months.insert(kept.month, kept);
            }
            Document::Line(line) => {
                if line.rolls_over() {
                    self.to_roll_over.insert(line.id.clone());
                } else {
                    self.to_roll_over.remove(&line.id);
                }
                self.of_recipient.entry(line.recipient).or_default().insert(line.id.clone());
                self.lines.insert(line.id.clone(), line);
            }
            Document::Death(person) => {
                self.deaths.insert(person);
            }
        }
    }

    fn receive(&self, message: &Message) -> Result<(Changes, Answer), Refusal> {
        match message {
            Message::OrderFinanced(financing) => self.financed(financing),
            Message::ReleaseRequest(request) => self.release(request),
            Message::Confirmations(said) => self.confirm(said),
            _ => Err(Refusal::NotForMe),
        }
    }

    fn answered(&self, message: &Message, answer: &Answer) -> Result<Changes, Refusal> {
        match (message, answer) {
            (Message::AccountCheck(check), Answer::Accounts { states }) => {
                self.accounts_checked(check, states)
            }
            (Message::StatementPart(_) | Message::PaymentOrder(_), Answer::Taken) => {
                Ok(Changes::default())
            }
            _ => Err(Refusal::NotForMe),
        }
    }
}

/// A person in a key: not the number itself.
fn digest(person: Pinfl) -> schemas::digest::Sha256 {
    schemas::digest::Sha256::of(person.as_str().as_bytes())
}

fn part_of(statement: &Statement, part: usize, lines: &[&Line]) -> StatementPart {
    StatementPart {
        statement: statement.clone(),
        part,
        recipients: lines.iter().map(|line| line.recipient).collect(),
        lines: lines.iter().map(|line| StatementLine::from(*line)).collect(),
    }
}
