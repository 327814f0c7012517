//! The Social Card: issued, blocked, renewed; what it entitles to; what its holder has received.
//!
//! A card shows a random [`Pseudonym`] and nothing about its holder. A shop, pharmacy or bus asks
//! one [`Question`] about a pseudonym and learns yes or no ([`answer`]); an unknown, blocked or
//! expired card is a plain no. What a question needs stands apart from the card, without its
//! holder ([`CardStatus`]), so that answering opens no personal data. Source: design of register.md
//! §9; the validity of ten years is our own assumption.

pub mod answer;
mod received;
mod status;

use jiff::civil::Date;
use schemas::clock::UnixMillis;
use schemas::limits::{CARD_ACTS_MAX_COUNT, CARD_ENTITLEMENTS_MAX_COUNT};
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::access::{Operation, Permitted, Role};
use crate::application::Award;
use crate::day::{months_after, tashkent_day};
use crate::ecase::Ground;
use crate::redact::redact;

pub use received::{NotReceived, Received};
pub use status::{CardStatus, Entitlement, NotAPseudonym, Pseudonym, Question};

/// Months for which a card is valid (I).
const VALID_MONTHS: i32 = 120;

/// Why a card is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockReason {
    /// Lost or stolen; never unblocked, for another may hold it.
    Lost,
    /// Misuse is looked into.
    Suspected,
    /// The holder has died; never unblocked.
    Death,
}

/// The state of a card. That it has expired follows from its last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CardState {
    /// In use.
    Active,
    /// Blocked.
    Blocked {
        /// Why.
        reason: BlockReason,
    },
    /// Another card stands for it.
    Replaced,
}

/// What is done with a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum CardStep {
    /// Issued.
    Issue,
    /// Blocked.
    Block {
        /// Why.
        reason: BlockReason,
    },
    /// Unblocked.
    Unblock,
    /// Replaced by another card.
    Replace,
    /// Entitlements set anew.
    Entitle {
        /// All of them.
        entitlements: Vec<Entitlement>,
    },
}

impl CardStep {
    /// What an officer must be permitted to do for this step.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Block { .. } => Operation::BlockCard,
            _ => Operation::ManageCard,
        }
    }
}

/// A step that was taken: what, when, by whom and why.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardAct {
    /// When.
    pub at: UnixMillis,
    /// By whom; the source of a life event has no role.
    pub by: String,
    /// In which role.
    pub role: Option<Role>,
    /// Why.
    pub ground: Ground,
    /// What.
    pub step: CardStep,
}
redact!(CardAct);

/// Who takes a step on a card, when and why.
pub struct Taking {
    at: UnixMillis,
    by: String,
    role: Option<Role>,
    operation: Option<Operation>,
    ground: Ground,
}

impl Taking {
    /// An officer, within the permission.
    #[must_use]
    pub fn officer(permitted: &Permitted, ground: Ground, at: UnixMillis) -> Self {
        let (by, operation) = (permitted.by().to_owned(), Some(permitted.operation()));
        Self { at, by, role: Some(permitted.role()), operation, ground }
    }

    /// A life event of `source`, which may only block.
    #[must_use]
    pub fn life_event(source: String, ground: Ground, at: UnixMillis) -> Self {
        Self { at, by: source, role: None, operation: Some(Operation::BlockCard), ground }
    }
}

/// Why a step is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardRefused {
    /// The permission is for another operation; a fault of this program.
    #[error(
        "register: the permission is for something else than the step; report this as a defect"
    )]
    OtherPermission,
    /// The card is blocked.
    #[error("the card is blocked already; nothing is left to do, or renew it")]
    Blocked,
    /// The card is not blocked.
    #[error("the card is not blocked; nothing is left to do")]
    NotBlocked,
    /// It stays blocked.
    #[error("a card that was lost, or whose holder has died, stays blocked; renew a lost card")]
    StaysBlocked,
    /// Another card stands for it.
    #[error("another card stands for this one; work on that one")]
    Replaced,
    /// The holder has died.
    #[error("the holder has died; no card is issued")]
    HolderDied,
    /// Cards are issued through their own door.
    #[error("a card is issued or replaced by issuing or renewing; use those")]
    NotAStep,
    /// The register's own decisions are not set by hand.
    #[error(
        "whether the family is registered follows from the decision on its application; leave this \
         question out"
    )]
    DecidedHere,
    /// Entitlements that contradict each other.
    #[error("give each question at most one period that ends no earlier than it begins")]
    Entitlements,
    /// The card is full.
    #[error("the card holds as many acts as it may; renew it")]
    Full,
}

/// A card with its holder.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Its identifier among officers.
    pub id: String,
    /// Whose card it is.
    pub holder: Pinfl,
    /// What it shows.
    pub pseudonym: Pseudonym,
    /// The last day on which it is valid.
    pub valid_to: Date,
    /// The card that it was issued in place of.
    pub in_place_of: Option<String>,
    state: CardState,
    entitlements: Vec<Entitlement>,
    acts: Vec<CardAct>,
}
redact!(Card);

impl Card {
    /// Issues a first card.
    ///
    /// # Errors
    /// [`CardRefused::OtherPermission`].
    pub fn issue(
        id: String,
        holder: Pinfl,
        pseudonym: Pseudonym,
        taking: Taking,
    ) -> Result<Self, CardRefused> {
        let valid_to = months_after(tashkent_day(taking.at), VALID_MONTHS);
        let mut card = Self {
            id,
            holder,
            pseudonym,
            valid_to,
            in_place_of: None,
            state: CardState::Active,
            entitlements: Vec::new(),
            acts: Vec::new(),
        };
        card.add(taking, CardStep::Issue)?;
        Ok(card)
    }

    /// Renews a card, valid, expired or lost: the old one is replaced, the new one has another
    /// pseudonym and the same entitlements.
    ///
    /// # Errors
    /// [`CardRefused::Replaced`], [`CardRefused::HolderDied`], [`CardRefused::OtherPermission`].
    pub fn renew(
        &self,
        (id, pseudonym): (String, Pseudonym),
        taking: Taking,
    ) -> Result<(Self, Self), CardRefused> {
        match self.state {
            CardState::Replaced => return Err(CardRefused::Replaced),
            CardState::Blocked { reason: BlockReason::Death } => {
                return Err(CardRefused::HolderDied);
            }
            CardState::Active | CardState::Blocked { .. } => {}
        }
        let Taking { at, by, role, operation, ground } = taking;
        let again = Taking { at, by: by.clone(), role, operation, ground: ground.clone() };
        let mut old = self.clone();
        old.state = CardState::Replaced;
        old.add(again, CardStep::Replace)?;
        let first = Taking { at, by, role, operation, ground };
        let mut new = Self::issue(id, self.holder, pseudonym, first)?;
        new.in_place_of = Some(self.id.clone());
        new.entitlements.clone_from(&self.entitlements);
        Ok((old, new))
    }

    /// Takes a step; the card is unchanged when it is refused.
    ///
    /// # Errors
    /// [`CardRefused`] says what to do instead.
    pub fn take(&self, taking: Taking, step: CardStep) -> Result<Self, CardRefused> {
        let mut card = self.clone();
        match (&step, self.state) {
            (_, CardState::Replaced) => return Err(CardRefused::Replaced),
            (CardStep::Issue | CardStep::Replace, _) => return Err(CardRefused::NotAStep),
            // A death and a loss outweigh a suspicion; a death outweighs a loss.
            (CardStep::Block { reason }, state) if outweighs(*reason, state) => {
                card.state = CardState::Blocked { reason: *reason };
            }
            (CardStep::Block { .. }, _) => return Err(CardRefused::Blocked),
            (CardStep::Unblock, CardState::Blocked { reason: BlockReason::Suspected }) => {
                card.state = CardState::Active;
            }
            (CardStep::Unblock, CardState::Blocked { .. }) => {
                return Err(CardRefused::StaysBlocked);
            }
            (CardStep::Unblock, CardState::Active) => return Err(CardRefused::NotBlocked),
            (CardStep::Entitle { entitlements }, _) => {
                check_entitlements(entitlements)?;
                card.entitlements.clone_from(entitlements);
            }
        }
        card.add(taking, step)?;
        Ok(card)
    }

    fn add(&mut self, taking: Taking, step: CardStep) -> Result<(), CardRefused> {
        if taking.operation != Some(step.operation()) {
            return Err(CardRefused::OtherPermission);
        }
        // Blocking is always possible: it takes something away from nobody but a thief.
        if self.acts.len() >= CARD_ACTS_MAX_COUNT && !matches!(step, CardStep::Block { .. }) {
            return Err(CardRefused::Full);
        }
        let Taking { at, by, role, ground, .. } = taking;
        self.acts.push(CardAct { at, by, role, ground, step });
        Ok(())
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> CardState {
        self.state
    }

    /// Whether it has expired on `day`.
    #[must_use]
    pub fn is_expired(&self, day: Date) -> bool {
        day > self.valid_to
    }

    /// Everything that was done with it, oldest first.
    #[must_use]
    pub fn acts(&self) -> &[CardAct] {
        &self.acts
    }

    /// What answering needs: what others have decided stands in the card, what the register decides
    /// follows from the holder's awards.
    #[must_use]
    pub fn status(&self, awards: &[Award]) -> CardStatus {
        let others = self.entitlements.iter().filter(|given| !given.question.is_decided_here());
        let own = awards.iter().filter_map(|award| Entitlement::of_award(*award));
        CardStatus {
            id: self.pseudonym.status_id(),
            usable: self.state == CardState::Active,
            valid_to: self.valid_to,
            entitlements: others.cloned().chain(own).collect(),
        }
    }
}

fn outweighs(reason: BlockReason, state: CardState) -> bool {
    let rank = |reason| match reason {
        BlockReason::Suspected => 1,
        BlockReason::Lost => 2,
        BlockReason::Death => 3,
    };
    match state {
        CardState::Active => true,
        CardState::Blocked { reason: standing } => rank(reason) > rank(standing),
        CardState::Replaced => false,
    }
}

fn check_entitlements(entitlements: &[Entitlement]) -> Result<(), CardRefused> {
    if entitlements.iter().any(|given| given.question.is_decided_here()) {
        return Err(CardRefused::DecidedHere);
    }
    let orderly = |given: &Entitlement| given.to.is_none_or(|to| given.from <= to);
    let mut questions: Vec<Question> = entitlements.iter().map(|given| given.question).collect();
    questions.sort_unstable();
    questions.dedup();
    let once = questions.len() == entitlements.len();
    let few = entitlements.len() <= CARD_ENTITLEMENTS_MAX_COUNT;
    let good = once && few && entitlements.iter().all(orderly);
    if good { Ok(()) } else { Err(CardRefused::Entitlements) }
}
