//! Life events: what sources tell about a person, in order, at least once.
//!
//! A source numbers the events of each person from 1 on without gaps. An [`Inbox`] takes them in
//! any order and as often as they come, gives each out once and in order, and holds back what
//! comes early. What follows from an event ([`effects`]) depends on the event alone, so that a
//! crash before the commit and a repetition after it lead to the same end.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use schemas::clock::UnixMillis;
use schemas::limits::{EVENTS_HELD_MAX_COUNT, EVENTS_REMEMBERED_COUNT};
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::redact::redact;
use crate::source::SourceName;

/// Characters of an event's identifier: a UUID fits.
const EVENT_ID_MAX_CHARS: usize = 64;

/// A source's identifier of an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(String);

/// The text is not an identifier of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event's id is 1 to 64 letters, digits and hyphens; correct it")]
pub struct NotAnEventId;

impl TryFrom<String> for EventId {
    type Error = NotAnEventId;

    fn try_from(text: String) -> Result<Self, NotAnEventId> {
        let fits = (1..=EVENT_ID_MAX_CHARS).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        // Fourteen digits would be a person's.
        let personal = text.parse::<Pinfl>().is_ok();
        if fits && plain && !personal { Ok(Self(text)) } else { Err(NotAnEventId) }
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A child was born to the person.
    Birth,
    /// The person died.
    Death,
    /// The person married.
    Marriage,
    /// The person began to earn a wage.
    Wage,
    /// The person came to own a vehicle.
    Vehicle,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Happening {
    /// A child was born to the person.
    Birth {
        /// The child.
        child: Pinfl,
    },
    /// The person died.
    Death,
    /// The person married.
    Marriage {
        /// The spouse.
        spouse: Pinfl,
    },
    /// The person began to earn a wage.
    Wage,
    /// The person came to own a vehicle.
    Vehicle,
}
redact!(Happening);

/// An event of a person's life.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifeEvent {
    /// The source's identifier of it.
    pub id: EventId,
    /// Whose life; a birth is an event of each parent.
    pub person: Pinfl,
    /// Its place among the events of this source about this person, from 1.
    pub sequence: u64,
    /// The day on which it happened.
    pub on: Date,
    /// What happened.
    pub what: Happening,
}
redact!(LifeEvent);

impl LifeEvent {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self.what {
            Happening::Birth { .. } => EventKind::Birth,
            Happening::Death => EventKind::Death,
            Happening::Marriage { .. } => EventKind::Marriage,
            Happening::Wage => EventKind::Wage,
            Happening::Vehicle => EventKind::Vehicle,
        }
    }

    /// As a case shows it.
    #[must_use]
    pub fn seen(&self, source: SourceName, seen_at: UnixMillis) -> SeenEvent {
        let id = format!("{source}:{}", self.id);
        SeenEvent { id, source, kind: self.kind(), on: self.on, seen_at }
    }
}

/// An event as a case shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenEvent {
    /// Source and the source's identifier.
    pub id: String,
    /// Who told it.
    pub source: SourceName,
    /// Its kind.
    pub kind: EventKind,
    /// The day on which it happened.
    pub on: Date,
    /// When the register took it.
    pub seen_at: UnixMillis,
}
redact!(SeenEvent);

/// What is proposed to the officers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proposed {
    /// An application for the family.
    Application,
    /// To rate the family again.
    Recheck,
}

/// What follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Officers are proposed something for the person.
    Propose(Proposed),
    /// Payments to the person stop, and the person's cards are blocked.
    StopAll,
}

/// What follows from an event.
#[must_use]
pub fn effects(kind: EventKind) -> &'static [Effect] {
    match kind {
        EventKind::Birth => &[Effect::Propose(Proposed::Application)],
        // The family is one person smaller, which changes its income per person.
        EventKind::Death => &[Effect::StopAll, Effect::Propose(Proposed::Recheck)],
        EventKind::Marriage | EventKind::Wage | EventKind::Vehicle => {
            &[Effect::Propose(Proposed::Recheck)]
        }
    }
}

/// What became of an event.
#[derive(Clone, PartialEq, Eq)]
pub enum Received {
    /// It and those held back behind it are due now, in this order.
    Due(Vec<LifeEvent>),
    /// It came before.
    Repeated,
    /// It came early and is held back.
    Held,
}
redact!(Received);

/// Why an event is not taken. The source keeps it and sends it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventRefused {
    /// Another event had this number.
    #[error("the source gave this number to another event; the source numbers its events anew")]
    Contradiction,
    /// The sequence does not begin at 1.
    #[error("the first event of a person has the number 1; correct the source's numbers")]
    Zero,
    /// Too many events wait for one that does not come.
    #[error("event {awaited} of this person is missing; send it first, then this one again")]
    Gap {
        /// The number that is missing.
        awaited: u64,
    },
}

/// The events of one source about one person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    /// The source.
    pub source: SourceName,
    /// The person.
    pub person: Pinfl,
    next: u64,
    /// The last numbers given out and whose they were, to notice a contradiction.
    given: BTreeMap<u64, EventId>,
    held: BTreeMap<u64, LifeEvent>,
}
redact!(Inbox);

impl Inbox {
    /// An inbox that awaits the first event.
    #[must_use]
    pub fn new(source: SourceName, person: Pinfl) -> Self {
        Self { source, person, next: 1, given: BTreeMap::new(), held: BTreeMap::new() }
    }

    /// The number that is awaited while others wait for it; `None` without a gap.
    #[must_use]
    pub fn gap(&self) -> Option<u64> {
        (!self.held.is_empty()).then_some(self.next)
    }

    /// How many events are held back.
    #[must_use]
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Takes an event of this source about this person.
    ///
    /// # Errors
    /// [`EventRefused`]; the inbox is unchanged then.
    pub fn receive(&mut self, event: LifeEvent) -> Result<Received, EventRefused> {
        if event.sequence == 0 {
            return Err(EventRefused::Zero);
        }
        let known = self.given.get(&event.sequence);
        let waiting = self.held.get(&event.sequence).map(|held| &held.id);
        if let Some(id) = known.or(waiting) {
            let same = *id == event.id;
            return if same { Ok(Received::Repeated) } else { Err(EventRefused::Contradiction) };
        }
        if event.sequence < self.next {
            return Ok(Received::Repeated);
        }
        if event.sequence > self.next {
            if self.held.len() >= EVENTS_HELD_MAX_COUNT {
                return Err(EventRefused::Gap { awaited: self.next });
            }
            self.held.insert(event.sequence, event);
            return Ok(Received::Held);
        }
        let mut due = Vec::new();
        let mut now = Some(event);
        while let Some(event) = now {
            self.given.insert(event.sequence, event.id.clone());
            self.next = self.next.saturating_add(1);
            due.push(event);
            now = self.held.remove(&self.next);
        }
        while self.given.len() > EVENTS_REMEMBERED_COUNT {
            self.given.pop_first();
        }
        Ok(Received::Due(due))
    }
}
