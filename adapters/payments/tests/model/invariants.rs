//! What always holds, looked at from outside over the state of all three parties.

use std::collections::{BTreeMap, BTreeSet};

use payments::bank::{BankLine, BankLineState};
use payments::treasury::Progress;
use register::month::Month;
use register::payment::line::{Claim, Line, LineId, LineState};

use crate::world::{FUND_SOUM, World};

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// All invariants.
pub(crate) fn hold(world: &World) -> Result<(), String> {
    sums_agree(world)?;
    nothing_is_paid_before_its_order_is_financed(world)?;
    a_claim_is_paid_at_most_once_and_accounts_hold_what_was_paid(world)?;
    a_line_rolls_over_at_most_once(world)?;
    a_death_before_the_release_blocks(world)?;
    no_money_appears_or_is_lost(world)?;
    the_register_believes_nothing_that_the_bank_did_not_do(world)
}

fn register_lines(world: &World) -> BTreeMap<LineId, Line> {
    let register = world.register.ledger.party();
    let lines = world.closed.iter().flat_map(|month| register.lines(*month));
    lines.map(|line| (line.id.clone(), line.clone())).collect()
}

fn bank_lines(world: &World, month: Month) -> impl Iterator<Item = &BankLine> {
    world.bank.ledger.party().lines().filter(move |line| line.month == month)
}

/// Σ statement lines = order = financed sum.
fn sums_agree(world: &World) -> Result<(), String> {
    let register = world.register.ledger.party();
    for kept in world.treasury.ledger.party().orders() {
        let (month, total) = (kept.order.month, kept.order.total_soum);
        let statement = register.month(month).and_then(|kept| kept.statement.clone());
        let statement = statement.ok_or_else(|| format!("{month}: an order without statement"))?;
        require(statement.total_soum == total, || format!("{month}: order is not the statement"))?;
        let bank = world.bank.ledger.party().months().find(|kept| kept.month == month);
        let financed = bank.and_then(|kept| kept.financed_soum);
        require(financed.is_none_or(|sum| sum == total), || {
            format!("{month}: other sum financed")
        })?;
    }
    for bank in world.bank.ledger.party().months() {
        let month = bank.month;
        let Some(statement) = &bank.statement else { continue };
        if bank.parts_count < statement.parts_count {
            continue;
        }
        let lines: Vec<&BankLine> = bank_lines(world, month).collect();
        let sum: u64 = lines.iter().map(|line| line.amount_soum.amount()).sum();
        let whole = sum == statement.total_soum.amount() && lines.len() == statement.lines_count;
        require(whole, || format!("{month}: the bank's lines are not the statement"))?;
        let own: BTreeMap<&LineId, &Line> = register.lines(month).map(|l| (&l.id, l)).collect();
        let same = lines.iter().all(|line| {
            own.get(&line.id).is_some_and(|own| {
                own.amount_soum == line.amount_soum && own.recipient == line.recipient
            })
        });
        require(same, || format!("{month}: the bank has a line that the register has not"))?;
    }
    Ok(())
}

fn nothing_is_paid_before_its_order_is_financed(world: &World) -> Result<(), String> {
    let orders: BTreeMap<Month, &Progress> =
        world.treasury.ledger.party().orders().map(|o| (o.order.month, &o.progress)).collect();
    for line in world.bank.ledger.party().lines().filter(|l| l.state == BankLineState::Paid) {
        let progress = orders.get(&line.month);
        let financed = progress.is_some_and(|progress| **progress != Progress::Received);
        require(financed, || format!("line {} is paid and not financed", line.id))?;
        // Nor before the bank itself has the whole statement and the money.
        let bank = world.bank.ledger.party();
        let month = bank.months().find(|kept| kept.month == line.month).ok_or("no such month")?;
        let statement = month.statement.as_ref().ok_or("a line without statement")?;
        let whole = month.listed_soum == statement.total_soum
            && month.financed_soum == Some(statement.total_soum);
        require(whole, || format!("line {} is paid without money or statement", line.id))?;
    }
    Ok(())
}

fn a_claim_is_paid_at_most_once_and_accounts_hold_what_was_paid(
    world: &World,
) -> Result<(), String> {
    let lines = register_lines(world);
    let mut paid: BTreeSet<&Claim> = BTreeSet::new();
    let mut sums = BTreeMap::new();
    for line in world.bank.ledger.party().lines().filter(|l| l.state == BankLineState::Paid) {
        let claim = &lines.get(&line.id).ok_or("a line of the bank's own")?.claim;
        require(paid.insert(claim), || format!("line {} is paid a second time", line.id))?;
        *sums.entry(line.account.clone()).or_insert(0) += line.amount_soum.amount();
    }
    for account in world.bank.ledger.party().accounts() {
        let sum = sums.get(&account.number).copied().unwrap_or(0);
        let balance = account.balance_soum.amount();
        require(balance == sum, || format!("an account holds {balance}, lines say {sum}"))?;
    }
    Ok(())
}

fn a_line_rolls_over_at_most_once(world: &World) -> Result<(), String> {
    let lines = register_lines(world);
    let mut origins = BTreeSet::new();
    for line in lines.values() {
        let to = rolled_over_to(line);
        if let Some(origin) = &line.rolled_over_from {
            require(origins.insert(origin), || format!("line {origin} reappears twice"))?;
            let from = lines.get(origin).ok_or("a line rolled over from nowhere")?;
            let linked = rolled_over_to(from) == Some(&line.id) && from.claim == line.claim;
            require(linked, || format!("line {} and its origin disagree", line.id))?;
            require(to.is_none(), || format!("line {} rolls over a second time", line.id))?;
        }
    }
    Ok(())
}

fn rolled_over_to(line: &Line) -> Option<&LineId> {
    match &line.state {
        LineState::Held { rolled_over_to, .. } | LineState::Uncollected { rolled_over_to } => {
            rolled_over_to.as_ref()
        }
        _ => None,
    }
}

fn a_death_before_the_release_blocks(world: &World) -> Result<(), String> {
    let lines = register_lines(world);
    for line in world.bank.ledger.party().lines().filter(|l| l.state == BankLineState::Paid) {
        let claim = &lines.get(&line.id).ok_or("a line of the bank's own")?.claim;
        require(!world.never.contains(claim), || {
            format!("line {} went to a dead person", line.id)
        })?;
    }
    Ok(())
}

fn no_money_appears_or_is_lost(world: &World) -> Result<(), String> {
    let treasury = world.treasury.ledger.party();
    let mut away = 0;
    for kept in treasury.orders() {
        let month = kept.order.month;
        let paid = bank_lines(world, month).filter(|line| line.state == BankLineState::Paid);
        let paid: u64 = paid.map(|line| line.amount_soum.amount()).sum();
        match &kept.progress {
            Progress::Received => {}
            Progress::Financed => away += kept.order.total_soum.amount(),
            Progress::Settled { paid_soum, .. } => {
                require(paid_soum.amount() == paid, || format!("{month}: settled wrongly"))?;
                away += paid_soum.amount();
            }
        }
    }
    let sum = treasury.fund_soum().amount() + away;
    require(sum == FUND_SOUM, || format!("{sum} soum instead of {FUND_SOUM}"))
}

fn the_register_believes_nothing_that_the_bank_did_not_do(world: &World) -> Result<(), String> {
    let bank: BTreeMap<&LineId, BankLineState> =
        world.bank.ledger.party().lines().map(|line| (&line.id, line.state)).collect();
    for line in register_lines(world).values() {
        let at_bank = bank.get(&line.id).copied();
        let agrees = match line.state {
            LineState::Paid => at_bank == Some(BankLineState::Paid),
            LineState::Uncollected { .. } => at_bank == Some(BankLineState::Uncollected),
            LineState::Blocked | LineState::Held { .. } => at_bank != Some(BankLineState::Paid),
            _ => true,
        };
        require(agrees, || format!("line {}: {:?} and {at_bank:?}", line.id, line.state))?;
    }
    Ok(())
}

/// Once the network is well: every line has come to its end, and what was not collected stood again.
pub(crate) fn at_the_end(world: &World) -> Result<(), String> {
    let register = world.register.ledger.party();
    for line in register_lines(world).values() {
        require(line.state.is_final(), || format!("line {} is {:?}", line.id, line.state))?;
        let (LineState::Uncollected { .. } | LineState::Held { .. }) = line.state else { continue };
        let first = line.rolled_over_from.is_none() && !register.has_died(line.recipient);
        let stands_again = rolled_over_to(line).is_some();
        require(!first || stands_again, || format!("line {} does not stand again", line.id))?;
    }
    for kept in world.treasury.ledger.party().orders() {
        let settled = matches!(kept.progress, Progress::Settled { .. });
        require(settled, || format!("{}: not settled", kept.order.month))?;
    }
    Ok(())
}
