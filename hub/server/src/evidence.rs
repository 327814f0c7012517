//! Evidence files for the operator: the records of one exchange with the messages that they commit to.
//!
//! One id may stand on more records than belong to its exchange: a replayed message is refused under it, and a
//! peer may claim it without a signature or use it again. Those are left to `/v1/explain`; the file holds one
//! request, and its answer or its refusal.

use std::sync::Arc;

use axum::extract::{Path, Query as UrlQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_core::configuration::witness_policy_in;
use hub_core::{evidence, timestamp};
use hub_messagelog::{IndexKey, IndexKind, Order, Query};
use schemas::encoding::base64;
use schemas::evidence::{EvidenceFile, FORMAT, RecordedLeaf};
use schemas::problem::ProblemCode;
use schemas::record::{Kind, Side};
use schemas::tlog::{Note, WitnessPolicy};
use serde::Deserialize;

use crate::admin::{Fault, Found, blocking, find, not_found, read_checkpoint};
use crate::journal::Absent;
use crate::refresh;
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
    let by_exchange = Query::by_key(IndexKey::new(IndexKind::Exchange, exchange));
    // Oldest first: no number of later records under this id hides the exchange itself.
    let mut found = find(&hub, Query { order: Order::OldestFirst, ..by_exchange }).await?;
    found.sort_by_key(|found| found.index);
    let named = asked.index.and_then(|index| found.iter().find(|found| found.index == index));
    let side = asked.side.or(named.or(found.first()).map(|found| found.record.side));
    let kept = belonging(&found, side.unwrap_or(Side::Consumer), asked.index);
    let last = kept.last().ok_or_else(|| not_found("no exchange of this hub has this id"))?;
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
        let proof = blocking(move || log.inclusion_proof(index, size)).await?;
        records.push(RecordedLeaf { index, leaf: found.leaf.clone(), proof });
    }
    let format = FORMAT.to_owned();
    let file = EvidenceFile { checkpoint, configuration, format, messages, records, timestamp };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, evidence::to_text(&file)).into_response())
}

/// Stamped checkpoints that are tried: an authority may not have been listed at the exchange's time.
const STAMPED_TRIED_COUNT: usize = 8;

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
        let mut best = None;
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
            if enough {
                return Ok(Some((note, token)));
            }
            best = best.or(Some((note, token)));
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
        "{absent}; the record and its proofs stay: `koprik log prove --index {index} --tlog-proof`"
    );
    Fault(StatusCode::GONE, text)
}

/// The records on one side that belong together, in the log's order: an accepted request with its answer or its
/// refusal, or else a refusal alone. Where a peer has used an id again it is the exchange of the record at `index`, or
/// the first that was answered.
fn belonging(found: &[Found], side: Side, index: Option<u64>) -> Vec<&Found> {
    let own: Vec<&Found> = found.iter().filter(|found| found.record.side == side).collect();
    let accepted = own.chunk_by(|_, next| next.record.kind != Kind::Request);
    let mut exchanges = accepted.filter_map(request_and_end);
    let holds = |exchange: &[&Found], index| exchange.iter().any(|found| found.index == index);
    let answered = |exchange: &[&Found]| exchange.iter().any(|f| f.record.kind == Kind::Answer);
    let chosen = match index {
        Some(index) => exchanges.find(|exchange| holds(exchange, index)),
        None => {
            let all: Vec<_> = exchanges.collect();
            all.iter().find(|exchange| answered(exchange)).or(all.first()).cloned()
        }
    };
    chosen.unwrap_or_else(|| {
        let wanted = |found: &&&Found| index.is_none_or(|index| found.index == index);
        let refusals = own.iter().filter(|found| found.record.kind == Kind::Refusal);
        let mut refusals = refusals.filter(wanted).copied();
        let first = refusals.next();
        let signed =
            first.into_iter().chain(refusals).find(|found| found.record.evidence.is_some());
        signed.or(first).into_iter().collect()
    })
}

/// A request and what ended it, from the records of one side and id that begin with it; `None` where they do not.
fn request_and_end<'f>(records: &[&'f Found]) -> Option<Vec<&'f Found>> {
    let (request, after) = records.split_first()?;
    if request.record.kind != Kind::Request {
        return None;
    }
    let answer = after.iter().find(|found| found.record.answers(&request.record));
    let refusal = || {
        after.iter().find(|found| {
            let record = &found.record;
            record.kind == Kind::Refusal
                && record.signed == request.record.signed
                && record.outcome != ProblemCode::Replayed.as_str()
        })
    };
    Some([Some(request), answer.or_else(refusal)].into_iter().flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::clock::UnixMillis;
    use schemas::digest::Sha256;
    use schemas::record::Record;

    fn found(index: u64, kind: Kind, side: Side, outcome: &str, base: Option<&[u8]>) -> Found {
        let mut record = Record::new(kind, side, UnixMillis(index), outcome);
        record.signed = base.map(Sha256::of);
        record.evidence = record.signed;
        Found { index, leaf: String::new(), record }
    }

    fn indexes(found: &[Found], side: Side) -> Vec<u64> {
        belonging(found, side, None).into_iter().map(|found| found.index).collect()
    }

    fn indexes_at(found: &[Found], index: u64) -> Vec<u64> {
        let kept = belonging(found, Side::Provider, Some(index));
        kept.into_iter().map(|found| found.index).collect()
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
        assert!(indexes_at(&list, 6).is_empty());
        assert_eq!(indexes(&[request(1, b"q"), request(3, b"r")], Provider), [1]);
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
        assert!(indexes(&answered, Consumer).is_empty());
    }
}
