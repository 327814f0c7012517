//! Evidence files for the operator: the records of one exchange with the messages that they commit to.
//!
//! One id may stand on more records than belong to its exchange: a replayed message is refused under it, and a
//! peer may claim it without a signature or use it again. Those are left to `/v1/explain`; the file holds one
//! request, and its answer or its refusal.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use axum::extract::{Path, Query as UrlQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_core::configuration::witness_policy_in;
use hub_core::{evidence, timestamp};
use hub_messagelog::LogError;
use schemas::encoding::base64;
use schemas::evidence::{EvidenceFile, FORMAT, RecordedLeaf};
use schemas::record::{Kind, Side};
use schemas::tlog::{Note, WitnessPolicy};
use serde::Deserialize;

use crate::admin::{Fault, NO_EXCHANGE, blocking, not_found, read_checkpoint};
use crate::journal::{Absent, Journal};
use crate::refresh;
use crate::search::{Found, under_id};
use crate::state::Hub;
use crate::timestamps::Stamped;
use crate::witness;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvidenceQuery {
    /// Where a hub stands on both sides of an exchange; the side of the first record when left out.
    side: Option<Side>,
    /// Where an id stands on several exchanges, the one that this record is of.
    index: Option<u64>,
}

/// The evidence file of an exchange.
pub(crate) async fn file(
    State(hub): State<Arc<Hub>>,
    Path(exchange): Path<String>,
    UrlQuery(asked): UrlQuery<EvidenceQuery>,
) -> Result<Response, Fault> {
    let found = under_id(&hub, &exchange).await?;
    let first = found.first().ok_or_else(|| not_found(NO_EXCHANGE))?;
    let side = match asked.index {
        _ if asked.side.is_some() => asked.side,
        Some(index) => found.iter().find(|found| found.index == index).map(|f| f.record.side),
        None => Some(first.record.side),
    };
    let journal = hub.clone();
    let kept = blocking(move || {
        let opens = |answer: &Found, request: &Found| opens(&journal.journal, answer, request);
        belonging(&found, side.unwrap_or(Side::Hub), asked.index, opens)
            .map_err(|unknown| unknown.fault(asked.index))
    });
    let kept = kept.await?;
    let last = kept.last().ok_or_else(|| not_found(NO_EXCHANGE))?;
    let version = last
        .record
        .configuration
        .ok_or_else(|| not_found("the exchange ended before there was a global configuration"))?;
    hub.journal.act("evidence-taken").await?;
    let configuration = refresh::kept(&hub.data_dir, version)
        .map_err(|error| Fault(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let policy = witness_policy_in(&configuration, hub.journal.log.origin());
    let stamped = stamped(&hub, last.index, &configuration, policy.clone()).await?;
    let (checkpoint, timestamp) = match stamped {
        Some((checkpoint, token)) => (checkpoint.to_string(), Some(base64(&token))),
        None => (newest(&hub, last.index, policy).await?, None),
    };
    let size = read_checkpoint(&checkpoint)?.size;
    let mut messages = Vec::new();
    let mut records = Vec::new();
    for found in &kept {
        if found.record.kind != Kind::Refusal || messages.is_empty() {
            let request = kept.first().map(|request| &request.record).zip(messages.first());
            let (log, index) = (hub.journal.log.clone(), found.index);
            let sealed = blocking(move || Ok(log.read(index)?.attachment)).await?;
            let message = hub.journal.open_evidence(&found.record, &sealed, request);
            messages.push(message.map_err(|absent| fault(&absent, index))?);
        }
        let (log, index) = (hub.journal.log.clone(), found.index);
        let proof = blocking(move || Ok(log.inclusion_proof(index, size)?)).await?;
        records.push(RecordedLeaf { index, leaf: found.leaf.clone(), proof });
    }
    let format = FORMAT.to_owned();
    let file = EvidenceFile { checkpoint, configuration, format, messages, records, timestamp };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, evidence::to_text(&file)).into_response())
}

/// Stamped checkpoints that are tried: a day of them, one a minute. While the authorities of the exchange's time were
/// away, others may have stamped that its configuration does not list.
const STAMPED_TRIED_COUNT: usize = 1_440;
/// Those of them after the first good one: one that is cosigned too soon follows it.
const COSIGNED_TRIED_COUNT: usize = 8;

/// The earliest stamped checkpoint that covers the record, with a token that an auditor will accept
/// under this configuration; one that enough of its witnesses have cosigned goes before one they have not.
async fn stamped(
    hub: &Arc<Hub>,
    index: u64,
    configuration: &str,
    policy: Option<WitnessPolicy>,
) -> Result<Option<(Note, Vec<u8>)>, Fault> {
    let (store, log) = (hub.timestamps.store.clone(), hub.journal.log.clone());
    let authorities = timestamp::listed_in(configuration);
    if authorities.is_empty() {
        return Ok(None);
    }
    blocking(move || {
        let (mut best, mut good_count) = (None, 0);
        for size in store.covering(index, STAMPED_TRIED_COUNT) {
            if size > log.published_size() {
                break;
            }
            let Ok(Stamped { checkpoint, token }) = store.read(size) else { continue };
            let checked = timestamp::check_token(&token, &checkpoint, log.verifier(), &authorities);
            let Some(note) = checked.ok().and_then(|_| Note::parse(&checkpoint).ok()) else {
                continue;
            };
            let (note, enough) = witness::counted(note, policy.as_ref(), log.verifier());
            good_count += 1;
            if enough {
                return Ok(Some((note, token)));
            }
            best = best.or(Some((note, token)));
            if good_count == COSIGNED_TRIED_COUNT {
                break;
            }
        }
        Ok(best)
    })
    .await
}

/// The newest checkpoint that the witnesses have cosigned, if it covers the record, or else the log's own.
async fn newest(hub: &Hub, index: u64, policy: Option<WitnessPolicy>) -> Result<String, Fault> {
    let log = &hub.journal.log;
    let cosigned = hub.witnessing.gatherer.covering(index);
    let cosigned = cosigned.map(|note| witness::counted(note, policy.as_ref(), log.verifier()).0);
    match cosigned.filter(|note| note.signatures().len() > 1) {
        Some(note) => Ok(note.to_string()),
        None => Ok(log.checkpoint_covering(index).await?),
    }
}

/// Evidence that is not there; what was erased is gone for good, and its record can still be proved.
fn fault(absent: &Absent, index: u64) -> Fault {
    if !absent.is_erased() {
        return not_found(&absent.to_string());
    }
    let text = format!(
        "{absent}; the record and its proofs stay: \
         `koprik log prove --config FILE --index {index} --tlog-proof FILE`"
    );
    Fault(StatusCode::GONE, text)
}

/// Why no records belong together.
#[derive(Debug, PartialEq, Eq)]
enum Unknown {
    /// The record asked for, or any on that side, is of none.
    NotThere,
    /// An answer whose evidence opens with none of the requests that could be its own.
    Answer(u64),
    /// A record that cannot be read.
    Log(LogError),
}

impl From<LogError> for Unknown {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl Unknown {
    fn fault(self, asked: Option<u64>) -> Fault {
        match (self, asked) {
            (Self::Log(error), _) => error.into(),
            (Self::Answer(index), _) => fault(&Absent::Unreadable, index),
            (Self::NotThere, Some(index)) => not_found(&format!(
                "own hub: record {index} is not of this exchange's request, answer or refusal; \
                 `koprik explain` lists its records"
            )),
            (Self::NotThere, None) => not_found(
                "own hub: its log has no record of this exchange on that side; leave the side out",
            ),
        }
    }
}

/// The records on one side that belong together, in the log's order: an accepted request with its answer or its
/// refusal, or else a refusal alone. Where a peer has used an id again it is the exchange of the record at `index`, or
/// the first that was answered.
///
/// An answer's request is the nearest before it that its evidence `opens` with: a peer can have two exchanges of one
/// id under way.
fn belonging(
    found: &[Found],
    side: Side,
    index: Option<u64>,
    opens: impl Fn(&Found, &Found) -> Result<bool, LogError>,
) -> Result<Vec<Found>, Unknown> {
    let own: Vec<&Found> = found.iter().filter(|found| found.record.side == side).collect();
    let (mut ends, mut lost) = (BTreeMap::new(), Vec::new());
    for (place, end) in own.iter().enumerate() {
        let before = own.iter().take(place).rev();
        let requests: Vec<_> = before.filter(|request| end.record.ends(&request.record)).collect();
        // One alone is the answer's, or that one's evidence will say what is wrong.
        let must_open = requests.len() > 1 && end.record.kind == Kind::Answer;
        let mut request = None;
        for candidate in &requests {
            if !must_open || opens(end, candidate)? {
                request = Some(candidate.index);
                break;
            }
        }
        match request {
            Some(request) => {
                ends.entry(request).or_insert(*end);
            }
            None => lost.extend(requests.iter().map(|request| (request.index, end.index))),
        }
    }
    let requests = own.iter().filter(|found| found.record.kind == Kind::Request);
    let exchanges = requests.map(|request| (*request, ends.get(&request.index).copied()));
    let exchanges: Vec<(&Found, Option<&Found>)> = exchanges.collect();
    let chosen = match index {
        Some(index) => exchanges.iter().find(|(request, end)| {
            request.index == index || end.is_some_and(|end| end.index == index)
        }),
        None => {
            let is_answered =
                |end: Option<&Found>| end.is_some_and(|e| e.record.kind == Kind::Answer);
            exchanges.iter().find(|(_, end)| is_answered(*end)).or(exchanges.first())
        }
    };
    if let Some((request, end)) = chosen {
        let lost = lost.iter().find(|(of, _)| end.is_none() && *of == request.index);
        return match lost {
            Some((_, answer)) => Err(Unknown::Answer(*answer)),
            None => Ok(iter::once(*request).chain(*end).cloned().collect()),
        };
    }
    if let Some((_, answer)) = lost.iter().find(|(_, answer)| Some(*answer) == index) {
        return Err(Unknown::Answer(*answer));
    }
    let wanted = |found: &&&Found| index.is_none_or(|index| found.index == index);
    let refusals = own.iter().filter(|found| found.record.kind == Kind::Refusal);
    let refusals: Vec<_> = refusals.filter(wanted).collect();
    let signed = refusals.iter().find(|found| found.record.evidence.is_some());
    let refusal = signed.or(refusals.first()).map(|found| vec![Found::clone(found)]);
    refusal.ok_or(Unknown::NotThere)
}

/// Whether an answer's evidence was kept with this request, as far as the keys that are left show it.
fn opens(journal: &Journal, answer: &Found, request: &Found) -> Result<bool, LogError> {
    let sealed = journal.log.read(request.index)?.attachment;
    let Ok(message) = journal.open_evidence(&request.record, &sealed, None) else {
        return Ok(true);
    };
    let sealed = journal.log.read(answer.index)?.attachment;
    let opened = journal.open_evidence(&answer.record, &sealed, Some((&request.record, &message)));
    Ok(!matches!(opened, Err(Absent::Unreadable)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::clock::UnixMillis;
    use schemas::digest::Sha256;
    use schemas::problem::ProblemCode;
    use schemas::record::Record;

    fn found(index: u64, kind: Kind, side: Side, outcome: &str, base: Option<&[u8]>) -> Found {
        let mut record = Record::new(kind, side, UnixMillis(index), outcome);
        record.signed = base.map(Sha256::of);
        record.evidence = record.signed;
        Found { index, leaf: String::new(), record }
    }

    fn indexes(found: &[Found], side: Side) -> Vec<u64> {
        chosen(found, side, None).unwrap()
    }

    /// Answers open with the request of their own status.
    fn chosen(found: &[Found], side: Side, index: Option<u64>) -> Result<Vec<u64>, Unknown> {
        let opens =
            |answer: &Found, request: &Found| Ok(answer.record.status == request.record.status);
        let chosen = belonging(found, side, index, opens)?;
        Ok(chosen.into_iter().map(|found| found.index).collect())
    }

    fn indexes_at(found: &[Found], index: u64) -> Vec<u64> {
        chosen(found, Side::Provider, Some(index)).unwrap()
    }

    #[test]
    fn an_id_that_was_used_again_gives_the_exchange_that_is_asked_for() {
        use Side::Provider;
        let request = |index, base| found(index, Kind::Request, Provider, "ok", Some(base));
        let answer = |index| found(index, Kind::Answer, Provider, "ok", Some(b"a"));
        let refused = |index, base| found(index, Kind::Refusal, Provider, "down", Some(base));
        let list =
            [request(1, b"q"), refused(2, b"q"), request(3, b"r"), answer(4), request(5, b"s")];
        assert_eq!(indexes(&list, Provider), [3, 4], "the first that was answered");
        for (at, exchange) in [(1, [1, 2]), (2, [1, 2]), (3, [3, 4]), (4, [3, 4])] {
            assert_eq!(indexes_at(&list, at), exchange);
        }
        assert_eq!(indexes_at(&list, 5), [5]);
        assert_eq!(chosen(&list, Provider, Some(6)), Err(Unknown::NotThere));
        assert_eq!(indexes(&[request(1, b"q"), request(3, b"r")], Provider), [1]);
    }

    #[test]
    fn of_two_exchanges_at_once_under_one_id_each_answer_goes_to_its_own() {
        use Side::Provider;
        let of = |status, mut found: Found| {
            found.record.status = Some(status);
            found
        };
        let request = |index, base| found(index, Kind::Request, Provider, "ok", Some(base));
        let answer = |index| found(index, Kind::Answer, Provider, "ok", Some(b"a"));
        let list =
            [of(1, request(1, b"q")), of(2, request(2, b"r")), of(1, answer(3)), of(2, answer(4))];
        assert_eq!(indexes(&list, Provider), [1, 3]);
        for (at, exchange) in [(1, [1, 3]), (2, [2, 4]), (3, [1, 3]), (4, [2, 4])] {
            assert_eq!(indexes_at(&list, at), exchange);
        }
        // An answer that opens with neither was changed, and is not passed over.
        let [first, second, third, _] = list;
        let changed = [first, second, third, of(7, answer(4))];
        assert_eq!(indexes_at(&changed, 1), [1, 3]);
        for at in [2, 4] {
            assert_eq!(chosen(&changed, Provider, Some(at)), Err(Unknown::Answer(4)));
        }
        // Another client's request of the same id is not the answer's.
        let mut other = of(1, request(2, b"r"));
        other.record.client = Some("UZ/GOV/OTHER/x".into());
        let list = [of(1, request(1, b"q")), other, of(1, answer(3))];
        assert_eq!((indexes_at(&list, 1), indexes_at(&list, 2)), (vec![1, 3], vec![2]));
    }

    #[test]
    fn replays_and_claims_under_the_same_id_are_left_out() {
        use Side::{Consumer, Provider};
        let replayed = ProblemCode::Replayed.as_str();
        let claim = || found(0, Kind::Refusal, Provider, "claimed", None);
        let request = || found(1, Kind::Request, Provider, "ok", Some(b"q"));
        let replay = || found(2, Kind::Refusal, Provider, replayed, Some(b"q"));
        let answered =
            [claim(), request(), replay(), found(3, Kind::Answer, Provider, "ok", Some(b"a"))];
        assert_eq!(indexes(&answered, Provider), [1, 3]);
        let failed =
            [claim(), request(), replay(), found(3, Kind::Refusal, Provider, "down", Some(b"q"))];
        assert_eq!(indexes(&failed, Provider), [1, 3]);
        let denied = [claim(), found(1, Kind::Refusal, Provider, "denied", Some(b"q")), replay()];
        assert_eq!(indexes(&denied, Provider), [1]);
        assert_eq!(indexes(&[claim()], Provider), [0]);
        assert_eq!(chosen(&answered, Consumer, None), Err(Unknown::NotThere));
        // A consumer's refusal says what the peer said, and that may be anything.
        let told = [
            found(0, Kind::Request, Consumer, "ok", Some(b"q")),
            found(1, Kind::Refusal, Consumer, replayed, Some(b"q")),
        ];
        assert_eq!(indexes(&told, Consumer), [0, 1]);
    }
}
