//! Three parties with their disks, and a bag of packets under way between them.

use std::collections::BTreeSet;

use payments::bank::{Bank, BankLineState, Opening};
use payments::treasury::Treasury;
use register::money::Soum;
use register::month::Month;
use register::payment::closing::Entitlement;
use register::payment::line::{AccountNumber, Claim, LineState};
use register::payment::message::{Answer, Message, MessageId, Role};
use register::payment::office::Office;
use register::payment::party::{Commit, Ledger, Party};
use schemas::pinfl::{Pinfl, Sex};

use crate::disk::{Disk, Memory};
use crate::invariants;

/// People, each the recipient of one family: enough for a statement of two parts.
pub(crate) const PEOPLE_COUNT: usize = 104;
/// What the treasury begins with.
pub(crate) const FUND_SOUM: u64 = 1_000_000_000_000;
/// Rounds in which a healed network has to bring everything to its end.
const ROUNDS_MAX_COUNT: usize = 200;
/// Months that one run closes at most.
const MONTHS_MAX_COUNT: usize = 4;

/// Where a party is killed within a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    None,
    BeforeCommit,
    AfterCommit,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Close(Crash),
    Finance(Crash),
    Execute(Crash),
    EndMonth(Crash),
    Death(usize),
    CloseAccount(usize),
    OpenAccount(usize),
    /// A party sends one of the messages that it has not had an answer to.
    Send(usize, usize),
    /// Any packet arrives, so packets overtake each other.
    Deliver(usize, Crash),
    /// The same, and it will arrive again.
    DeliverAndKeep(usize, Crash),
    Lose(usize),
    Restart(usize),
}

#[derive(Clone)]
pub(crate) enum Packet {
    Question(Message),
    Reply(Role, MessageId, Answer),
}

/// A party and its disk; what is not on the disk is gone after a crash.
pub(crate) struct Kept<P: Party> {
    pub(crate) ledger: Ledger<P>,
    disk: Box<dyn Disk<P>>,
}

impl<P: Party> Kept<P> {
    fn new(disk: impl Disk<P> + 'static) -> Self {
        Self { ledger: Ledger::default(), disk: Box::new(disk) }
    }

    /// Commits; says whether the party lives on to answer.
    fn commit(&mut self, commit: Commit<P::Document>, crash: Crash) -> bool {
        if crash == Crash::BeforeCommit {
            self.restart();
            return false;
        }
        // As a desk does.
        if !commit.is_empty() {
            self.disk.commit(&commit);
            self.ledger.apply(commit);
        }
        if crash == Crash::AfterCommit {
            self.restart();
            return false;
        }
        true
    }

    fn restart(&mut self) {
        self.ledger = Ledger::default();
        self.ledger.apply(self.disk.read_after_crash());
    }

    fn receive(&mut self, message: &Message, crash: Crash) -> Option<Answer> {
        let (commit, answer) = self.ledger.receive(message).ok()?;
        self.commit(commit, crash).then_some(answer)
    }

    fn answered(&mut self, id: &MessageId, answer: &Answer, crash: Crash) {
        if let Ok(commit) = self.ledger.answered(id, answer) {
            self.commit(commit, crash);
        }
    }
}

pub(crate) struct World {
    pub(crate) register: Kept<Office>,
    pub(crate) treasury: Kept<Treasury>,
    pub(crate) bank: Kept<Bank>,
    pub(crate) packets: Vec<Packet>,
    pub(crate) closed: Vec<Month>,
    /// Claims whose recipient's death was recorded before they were released.
    pub(crate) never: BTreeSet<Claim>,
}

pub(crate) fn person(nth: usize) -> Pinfl {
    let born = "1985-05-15".parse().unwrap();
    Pinfl::compose(Sex::Male, born, 100, u16::try_from(nth).unwrap()).unwrap()
}

pub(crate) fn account(nth: usize) -> AccountNumber {
    format!("226180009000{nth:08}").parse().unwrap()
}

pub(crate) fn entitlements(dead: impl Fn(usize) -> bool) -> Vec<Entitlement> {
    let living = (0..PEOPLE_COUNT).filter(|nth| !dead(*nth));
    let entitlement = |nth: usize| Entitlement {
        family: format!("family-{nth}").parse().unwrap(),
        benefit: "child-benefit".parse().unwrap(),
        recipient: person(nth),
        account: account(nth),
        amount_soum: Soum::new(275_000 + u64::try_from(nth).unwrap()).unwrap(),
        ground: format!("decision-{nth}").parse().unwrap(),
        branch: "00394".parse().unwrap(),
    };
    living.map(entitlement).collect()
}

fn month(nth: usize) -> Month {
    format!("2026-{:02}", nth + 3).parse().unwrap()
}

impl World {
    /// A world whose disks are maps.
    pub(crate) fn new() -> Self {
        Self::with(Memory::default())
    }

    /// A world whose register keeps its books on `disk`.
    pub(crate) fn with(disk: impl Disk<Office> + 'static) -> Self {
        let mut treasury = Kept::<Treasury>::new(Memory::default());
        let fund = treasury.ledger.party().fill(Soum::new(FUND_SOUM).unwrap()).unwrap();
        treasury.commit(fund, Crash::None);
        let mut world = Self {
            register: Kept::new(disk),
            treasury,
            bank: Kept::new(Memory::default()),
            packets: Vec::new(),
            closed: Vec::new(),
            never: BTreeSet::new(),
        };
        for nth in 0..PEOPLE_COUNT {
            world.set_account(nth, Opening::Open);
        }
        world
    }

    fn set_account(&mut self, nth: usize, opening: Opening) {
        let commit = self.bank.ledger.party().set_account(account(nth), person(nth), opening);
        self.bank.commit(commit, Crash::None);
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match *step {
            Step::Close(crash) if self.closed.len() < MONTHS_MAX_COUNT => self.close(crash),
            Step::Close(_) => {}
            Step::Finance(crash) => self.finance(crash),
            Step::Execute(crash) => self.execute(crash),
            Step::EndMonth(crash) => self.end_month(crash),
            Step::Death(nth) => self.death(nth),
            Step::CloseAccount(nth) => self.set_account(nth, Opening::Closed),
            Step::OpenAccount(nth) => self.set_account(nth, Opening::Open),
            Step::Send(party, nth) => self.send(party, nth),
            Step::Deliver(nth, crash) => {
                if let Some(nth) = nth.checked_rem(self.packets.len()) {
                    let packet = self.packets.swap_remove(nth);
                    self.deliver(&packet, crash);
                }
            }
            Step::DeliverAndKeep(nth, crash) => {
                if let Some(nth) = nth.checked_rem(self.packets.len()) {
                    let packet = self.packets[nth].clone();
                    self.deliver(&packet, crash);
                }
            }
            Step::Lose(nth) => {
                if let Some(nth) = nth.checked_rem(self.packets.len()) {
                    self.packets.swap_remove(nth);
                }
            }
            Step::Restart(0) => self.register.restart(),
            Step::Restart(1) => self.treasury.restart(),
            Step::Restart(_) => self.bank.restart(),
        }
    }

    fn close(&mut self, crash: Crash) {
        let month = month(self.closed.len());
        let dead = |nth: usize| self.register.ledger.party().has_died(person(nth));
        let due = entitlements(dead);
        let commit = self.register.ledger.party().close(month, due).unwrap();
        self.register.commit(commit, crash);
        if crash != Crash::BeforeCommit {
            self.closed.push(month);
        }
    }

    fn finance(&mut self, crash: Crash) {
        for month in self.closed.clone() {
            if let Ok(commit) = self.treasury.ledger.party().finance(month) {
                self.treasury.commit(commit, crash);
            }
        }
    }

    fn execute(&mut self, crash: Crash) {
        for month in self.closed.clone() {
            let commit = self.bank.ledger.party().execute(month);
            self.bank.commit(commit, crash);
        }
    }

    fn end_month(&mut self, crash: Crash) {
        let open = |month: &Month| {
            self.bank.ledger.party().months().all(|kept| kept.month != *month || !kept.ended)
        };
        let Some(month) = self.closed.iter().copied().find(open) else { return };
        if let Ok(commit) = self.bank.ledger.party().end_month(month) {
            self.bank.commit(commit, crash);
        }
    }

    fn death(&mut self, nth: usize) {
        let register = self.register.ledger.party();
        let lines = self.closed.iter().flat_map(|month| register.lines(*month));
        let lines: Vec<_> = lines.filter(|line| line.recipient == person(nth)).collect();
        let under_way: BTreeSet<&Claim> = lines
            .iter()
            .filter(|line| matches!(line.state, LineState::Released | LineState::Paid))
            .map(|line| &line.claim)
            .collect();
        let claims = lines.iter().map(|line| &line.claim);
        let never = claims.filter(|claim| !under_way.contains(claim)).cloned();
        self.never.extend(never.collect::<Vec<_>>());
        let commit = register.record_death(person(nth));
        self.register.commit(commit, Crash::None);
    }

    fn send(&mut self, party: usize, nth: usize) {
        let outgoing = match party {
            0 => self.register.ledger.outgoing(),
            1 => self.treasury.ledger.outgoing(),
            _ => self.bank.ledger.outgoing(),
        };
        if let Some(nth) = nth.checked_rem(outgoing.len()) {
            self.packets.push(Packet::Question(outgoing.values().nth(nth).unwrap().clone()));
        }
    }

    fn deliver(&mut self, packet: &Packet, crash: Crash) {
        match packet {
            Packet::Question(message) => {
                let (from, answer) = match message.to() {
                    Role::Register => (sender(message), self.register.receive(message, crash)),
                    Role::Treasury => (sender(message), self.treasury.receive(message, crash)),
                    Role::Bank => (sender(message), self.bank.receive(message, crash)),
                };
                let reply = answer.map(|answer| Packet::Reply(from, message.id(), answer));
                self.packets.extend(reply);
            }
            Packet::Reply(Role::Register, id, answer) => self.register.answered(id, answer, crash),
            Packet::Reply(Role::Treasury, id, answer) => self.treasury.answered(id, answer, crash),
            Packet::Reply(Role::Bank, id, answer) => self.bank.answered(id, answer, crash),
        }
    }

    /// The network is well and nobody crashes any more: every month is paid and ended, then what
    /// rolls over is paid too. `stale`: what was under way before arrives first.
    pub(crate) fn heal(&mut self, stale: bool) -> Result<(), String> {
        if !stale {
            self.packets.clear();
        }
        if self.closed.is_empty() {
            self.close(Crash::None);
        }
        self.settle_all()?;
        // One month more, in which all that was left over stands again.
        self.close_whatever_is_left();
        self.settle_all()?;
        invariants::at_the_end(self)
    }

    fn close_whatever_is_left(&mut self) {
        let month = month(self.closed.len());
        if let Ok(commit) = self.register.ledger.party().close(month, Vec::new()) {
            self.register.commit(commit, Crash::None);
            self.closed.push(month);
        }
    }

    fn settle_all(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS_MAX_COUNT {
            let before = self.outgoing_count();
            for party in 0..3 {
                for nth in 0..before {
                    self.send(party, nth);
                }
            }
            while !self.packets.is_empty() {
                let packet = self.packets.remove(0);
                self.deliver(&packet, Crash::None);
                invariants::hold(self)?;
            }
            self.finance(Crash::None);
            let waited = self.outgoing_count();
            self.execute(Crash::None);
            if waited == 0 && self.outgoing_count() == 0 {
                // Nothing is left to pay: the months can be ended.
                let ended = self.bank.ledger.party().months().all(|kept| kept.ended);
                self.end_month(Crash::None);
                if ended && self.outgoing_count() == 0 {
                    return Ok(());
                }
            }
        }
        Err(format!("{} messages are never answered", self.outgoing_count()))
    }

    fn outgoing_count(&self) -> usize {
        self.register.ledger.outgoing().len()
            + self.treasury.ledger.outgoing().len()
            + self.bank.ledger.outgoing().len()
    }
}

fn sender(message: &Message) -> Role {
    match message {
        Message::AccountCheck(_) | Message::StatementPart(_) | Message::PaymentOrder(_) => {
            Role::Register
        }
        Message::Financing(_) | Message::OrderFinanced(_) => Role::Treasury,
        Message::ReleaseRequest(_) | Message::Confirmations(_) | Message::Settlement(_) => {
            Role::Bank
        }
    }
}

/// Which ends of a line a run has seen.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// Before the network was healed.
    paid_under_way: bool,
    paid: bool,
    blocked: bool,
    not_paid_once: bool,
    rolled_over: bool,
}

impl Reached {
    pub(crate) fn note_payments_under_way(&mut self, world: &World) {
        let mut lines = world.bank.ledger.party().lines();
        self.paid_under_way |= lines.any(|line| line.state == BankLineState::Paid);
    }

    pub(crate) fn note(&mut self, world: &World) {
        for month in &world.closed {
            for line in world.register.ledger.party().lines(*month) {
                self.paid |= line.state == LineState::Paid;
                self.blocked |= line.state == LineState::Blocked;
                self.not_paid_once |=
                    matches!(line.state, LineState::Uncollected { .. } | LineState::Held { .. });
                self.rolled_over |= line.rolled_over_from.is_some();
            }
        }
    }

    pub(crate) fn some_paid(&self) -> bool {
        self.paid
    }

    pub(crate) fn all(&self) -> bool {
        let paid = self.paid_under_way && self.paid;
        paid && self.blocked && self.not_paid_once && self.rolled_over
    }
}
