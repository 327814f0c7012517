//! Searches in the message log for the operator: what a question finds, and what belongs to it.
//!
//! An answer's record leaves to its request's whom the call was about and why
//! ([`Record::leaving_to_request`]); of whom, the consumer's hub hears with the answer only. So a search for that
//! finds one record of an exchange, and its other one comes along.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use axum::http::StatusCode;
use hub_messagelog::{IndexKey, IndexKind, LogError, MessageLog, Order, Query};
use schemas::clock::UnixMillis;
use schemas::record::{Kind, Record, Side};
use serde_json::{Value, json};

use crate::admin::{Fault, blocking};
use crate::journal;
use crate::state::Hub;

/// Records that one answer holds at most, without those that come along.
pub(crate) const RECORDS_MAX_COUNT: usize = 1_000;
/// Records that one search looks at: about a second.
const LOOKED_AT_MAX_COUNT: usize = 100_000;
/// What finding a record's other one counts as: two searches and their reads.
const OTHER_COUNT: usize = 10;

/// A record with its place; its evidence stays in the log, a thousand of them fill the memory.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) index: u64,
    pub(crate) leaf: String,
    pub(crate) record: Record,
}

impl Found {
    pub(crate) fn json(&self) -> Value {
        json!({ "index": self.index, "record": self.record, "at": self.record.time.to_rfc3339() })
    }
}

/// What a record must say: one of these.
pub(crate) struct Wanted(Vec<IndexKey>);

impl Wanted {
    /// One value.
    pub(crate) fn value(kind: IndexKind, value: String) -> Self {
        Self(vec![IndexKey::new(kind, value)])
    }

    /// A person, by the pseudonyms of all years whose keys are kept; nothing says any of none.
    pub(crate) fn subject(hub: &Hub, person: &str) -> Result<Self, Fault> {
        Self::pseudonyms(hub, IndexKind::Subject, person)
    }

    /// A caller's `X-Road-Id`. One that a hub made from the exchange's id stands in no record beside that.
    pub(crate) fn message(hub: &Hub, id: &str) -> Result<Self, Fault> {
        let mut wanted = Self::pseudonyms(hub, IndexKind::Request, id)?;
        let made_from = journal::made_from(id);
        wanted.0.extend(made_from.map(|exchange| IndexKey::new(IndexKind::Exchange, exchange)));
        Ok(wanted)
    }

    fn pseudonyms(hub: &Hub, kind: IndexKind, text: &str) -> Result<Self, Fault> {
        let found = hub.journal.vault.pseudonyms(text);
        let found = found.map_err(|e| Fault(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
        Ok(Self(found.iter().map(|(_, name)| IndexKey::new(kind, name.as_str())).collect()))
    }

    fn is_said_by(&self, record: &Record) -> bool {
        self.0.iter().any(|IndexKey { kind, value }| match kind {
            IndexKind::Exchange => record.exchange.as_ref() == Some(value),
            IndexKind::Request => record.message.as_ref().is_some_and(|m| m.as_str() == value),
            IndexKind::Subject => record.subjects.iter().any(|person| person.as_str() == value),
            IndexKind::Client => record.client.as_ref() == Some(value),
            IndexKind::Service => record.service.as_ref() == Some(value),
            IndexKind::Purpose => record.purpose.as_ref() == Some(value),
            IndexKind::Outcome => record.outcome == *value,
        })
    }

    /// Whether one record of an exchange may leave it to the other.
    fn may_be_left_out(&self) -> bool {
        let kinds = [IndexKind::Request, IndexKind::Subject, IndexKind::Purpose];
        self.0.iter().any(|key| kinds.contains(&key.kind))
    }

    /// Whether the record says nothing of the kind and leaves that to the other one of its exchange.
    fn is_left_out_by(&self, record: &Record) -> bool {
        self.0.iter().any(|key| match key.kind {
            IndexKind::Request => record.message.is_none(),
            IndexKind::Subject => record.subjects.is_empty(),
            IndexKind::Purpose => record.purpose.is_none(),
            IndexKind::Exchange | IndexKind::Client | IndexKind::Service | IndexKind::Outcome => {
                false
            }
        })
    }
}

/// A question about records.
pub(crate) struct Search {
    /// All of these; the index is asked for the first.
    pub(crate) wanted: Vec<Wanted>,
    /// First moment, inclusive.
    pub(crate) from: UnixMillis,
    /// Last moment, inclusive.
    pub(crate) to: UnixMillis,
    /// Only records before this place, where an earlier search has ended.
    pub(crate) before: u64,
    /// Most records.
    pub(crate) limit: usize,
}

/// What a search finds.
pub(crate) struct Page {
    /// Newest first.
    pub(crate) records: Vec<Found>,
    /// Where the search goes on, if there may be more.
    pub(crate) next: Option<u64>,
}

impl Search {
    /// Everything that says one of these values, at most [`RECORDS_MAX_COUNT`].
    pub(crate) fn of(wanted: Wanted) -> Self {
        let (from, to) = (UnixMillis(0), UnixMillis(u64::MAX));
        let (before, limit) = (u64::MAX, RECORDS_MAX_COUNT);
        Self { wanted: vec![wanted], from, to, before, limit }
    }

    /// The newest records that say all that is wanted, within time and limit, newest first; and with them, whatever
    /// its time, the other record of an exchange that leaves to them what was searched for.
    pub(crate) async fn run(self, hub: &Arc<Hub>) -> Result<Page, Fault> {
        in_log(hub, move |log| {
            let mut all = self.newest(log)?;
            let oldest = all.first_key_value().map(|(index, _)| *index);
            let next = oldest.filter(|_| all.len() >= self.limit);
            let mut others = Vec::new();
            let may_bring = self.wanted.iter().any(Wanted::may_be_left_out);
            for found in all.values().filter(|_| may_bring) {
                let other = other_of(log, found)?;
                others.extend(other.filter(|other| self.brings(&found.record, &other.record)));
            }
            all.extend(others.into_iter().map(|found| (found.index, found)));
            Ok(Page { records: all.into_values().rev().collect(), next })
        })
        .await
    }

    /// Whether a record that is found brings the other one of its exchange, which is not found itself.
    fn brings(&self, found: &Record, other: &Record) -> bool {
        let leaves = |wanted: &Wanted| wanted.is_left_out_by(other) && wanted.is_said_by(found);
        // By the first a record is found that says it itself.
        let says = |(nth, wanted): (usize, &Wanted)| {
            wanted.is_said_by(other) || (nth > 0 && leaves(wanted))
        };
        let in_time = (self.from..=self.to).contains(&other.time);
        let is_found = in_time && self.wanted.iter().enumerate().all(says);
        !is_found && self.wanted.iter().any(leaves)
    }

    fn newest(&self, log: &MessageLog) -> Result<BTreeMap<u64, Found>, Fault> {
        let (keys, others) = match self.wanted.split_first() {
            Some((first, others)) => (first.0.iter().cloned().map(Some).collect(), others),
            None => (vec![None], self.wanted.as_slice()),
        };
        let limit = if others.is_empty() { self.limit } else { RECORDS_MAX_COUNT };
        let within = 0..self.before;
        let all = Query { from: self.from, to: self.to, within, limit, ..Query::all() };
        let (mut newest, mut looked_at) = (BTreeMap::new(), 0);
        for key in keys {
            let mut of_key = 0;
            for found in pages(log, Query { key, ..all.clone() }) {
                let found = found?;
                if looked_at >= LOOKED_AT_MAX_COUNT {
                    return Err(too_many());
                }
                looked_at += 1;
                if says_all(log, &found, others, &mut looked_at)? {
                    newest.insert(found.index, found);
                    of_key += 1;
                }
                if of_key == self.limit {
                    break;
                }
            }
        }
        while newest.len() > self.limit {
            newest.pop_first();
        }
        Ok(newest)
    }
}

/// Whether a record says all of these, with the other record of its exchange for what one leaves to the other: at the
/// consumer's hub the request says which message it was, and the answer whom it was about.
fn says_all(
    log: &MessageLog,
    found: &Found,
    all: &[Wanted],
    looked_at: &mut usize,
) -> Result<bool, LogError> {
    let unsaid: Vec<_> = all.iter().filter(|wanted| !wanted.is_said_by(&found.record)).collect();
    if unsaid.is_empty() || !unsaid.iter().all(|wanted| wanted.is_left_out_by(&found.record)) {
        return Ok(unsaid.is_empty());
    }
    *looked_at += OTHER_COUNT;
    let other = other_of(log, found)?;
    Ok(other.is_some_and(|other| unsaid.iter().all(|wanted| wanted.is_said_by(&other.record))))
}

fn too_many() -> Fault {
    let text = format!(
        "own hub: more to look at than one search may, {LOOKED_AT_MAX_COUNT} records (one whose exchange's other \
         record says what is asked counts as {OTHER_COUNT}); ask for a shorter time (from, to)"
    );
    Fault(StatusCode::BAD_REQUEST, text)
}

/// The records under an exchange's id, oldest first: all that a verified message brought about, and the first thousand
/// others. A peer may claim any id as often as it likes, before and after the exchange; that hides nothing.
pub(crate) async fn under_id(hub: &Arc<Hub>, exchange: &str) -> Result<Vec<Found>, Fault> {
    let key = Some(IndexKey::new(IndexKind::Exchange, exchange));
    in_log(hub, move |log| {
        let (mut kept, mut claims) = (Vec::new(), 0);
        for found in pages(log, Query { key, order: Order::OldestFirst, ..Query::all() }) {
            let found = found?;
            let is_claim = found.record.signed.is_none() || found.record.is_replay();
            claims += usize::from(is_claim);
            if !is_claim || claims <= RECORDS_MAX_COUNT {
                kept.push(found);
            }
        }
        Ok(kept)
    })
    .await
}

/// The record that leaves to this one what the call was, or to which this one leaves it.
fn other_of(log: &MessageLog, found: &Found) -> Result<Option<Found>, LogError> {
    match found.record.kind {
        Kind::Request => end_of(log, found),
        Kind::Answer => request_of(log, found),
        Kind::Refusal | Kind::Act => Ok(None),
    }
}

/// What ended a request's exchange.
fn end_of(log: &MessageLog, request: &Found) -> Result<Option<Found>, LogError> {
    let Some(later) = same_exchange(&request.record, Order::OldestFirst) else { return Ok(None) };
    for next in pages(log, Query { within: request.index + 1..u64::MAX, ..later }) {
        let next = next?;
        if next.record.ends(&request.record) {
            return Ok(Some(next));
        }
        // An answer's request is the nearest before it.
        if next.record.is_same_call(&request.record) && next.record.kind == Kind::Request {
            break;
        }
    }
    Ok(None)
}

/// An answer's request: the nearest before it.
fn request_of(log: &MessageLog, answer: &Found) -> Result<Option<Found>, LogError> {
    let Some(earlier) = same_exchange(&answer.record, Order::NewestFirst) else { return Ok(None) };
    for next in pages(log, Query { within: 0..answer.index, ..earlier }) {
        let next = next?;
        if answer.record.answers(&next.record) {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// The first page is of one record: mostly that is the one looked for.
fn same_exchange(record: &Record, order: Order) -> Option<Query> {
    let key = IndexKey::new(IndexKind::Exchange, record.exchange.clone()?);
    Some(Query { limit: 1, order, ..Query::by_key(key) })
}

/// The records that a query finds, in its order and without its limit: that is the length of the first page, and the
/// following ones are longer.
fn pages(log: &MessageLog, mut query: Query) -> impl Iterator<Item = Result<Found, LogError>> {
    let mut page = Vec::new().into_iter();
    let mut is_last = false;
    iter::from_fn(move || {
        if page.len() == 0 && !is_last {
            let next = match log.find(&query) {
                Ok(next) => next,
                Err(error) => {
                    is_last = true;
                    return Some(Err(error));
                }
            };
            is_last = next.len() < query.limit || next.is_empty();
            match (query.order, next.last()) {
                (Order::NewestFirst, Some(last)) => query.within.end = *last,
                (Order::OldestFirst, Some(last)) => query.within.start = last + 1,
                (_, None) => (),
            }
            query.limit = (8 * query.limit).min(RECORDS_MAX_COUNT);
            page = next.into_iter();
        }
        page.next().map(|index| read(log, index))
    })
}

/// A record by its place. Blocking.
pub(crate) fn read(log: &MessageLog, index: u64) -> Result<Found, LogError> {
    let stored = log.read(index)?;
    // Safe because: the log holds only leaves that this hub wrote; a foreign one shows as an act.
    let record = Record::from_leaf(&stored.leaf)
        .unwrap_or_else(|_| Record::new(Kind::Act, Side::Hub, UnixMillis(0), "unreadable"));
    let leaf = String::from_utf8_lossy(&stored.leaf).into_owned();
    Ok(Found { index, leaf, record })
}

/// Work on the log's records when all that are there now are in the index.
async fn in_log<T: Send + 'static>(
    hub: &Arc<Hub>,
    work: impl FnOnce(&MessageLog) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let log = hub.journal.log.clone();
    if let Some(last) = log.size().checked_sub(1) {
        log.wait_indexed(last).await?;
    }
    blocking(move || work(&log)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::{answer, journal, request};
    use schemas::digest::Sha256;
    use schemas::problem::ProblemCode;

    #[tokio::test]
    async fn a_request_has_one_end_and_an_answer_the_nearest_request_of_its_call() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        let signed = |mut record: Record, text: &str| {
            record.signed = Some(Sha256::of(text.as_bytes()));
            record
        };
        let refusal = |text, outcome: &str| {
            let mut record = signed(request(), text);
            (record.kind, record.outcome) = (Kind::Refusal, outcome.to_owned());
            record
        };
        let mut others = request();
        others.client = Some("UZ/GOV/TAX/tax".into());
        let records = [
            signed(request(), "cut off by a crash"),
            signed(request(), "answered"),
            refusal("answered", ProblemCode::Replayed.as_str()),
            others,
            refusal("another", "down"),
            answer(),
            signed(request(), "refused"),
            refusal("refused", "down"),
        ];
        for mut record in records {
            journal.submit(&mut record, None).await.unwrap();
        }
        let log = &journal.log;
        log.wait_indexed(7).await.unwrap();
        let other = |index| {
            let found = read(log, index).unwrap();
            other_of(log, &found).unwrap().map(|other| other.index)
        };
        let expected = [None, Some(5), None, None, None, Some(1), Some(7), None];
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(other), expected);
    }
}
