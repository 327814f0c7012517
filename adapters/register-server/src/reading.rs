//! What a hub's answer means (promise P8): a value, no record, unavailable or forbidden.

use http::StatusCode;
use register::source::{Absence, AbsenceCause, Answer, Provenance};
use schemas::clock::UnixMillis;
use schemas::pinfl::Pinfl;
use serde::Deserialize;

use crate::asking::Asked;
use crate::config::SourceConfig;
use crate::hub_client::is_access_denied;

/// The body with which an agency says that it does not know a person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorBody {
    error: String,
}

/// Reads the hub's answer to the question that `source` was asked about `subject`.
///
/// A problem of a hub (`X-Road-Error`) is never an answer of the source. Only the contract's own
/// body makes a 404 "no record": a 404 for a wrong path must not pass for a person without record.
pub(crate) fn read(
    source: &SourceConfig,
    subject: Pinfl,
    Asked { answer, other_request }: Asked,
    fetched_at: UnixMillis,
) -> Answer {
    let absent = |cause, detail| Answer::absent(source.kind, Absence { cause, detail });
    if let Some(problem) = answer.problem {
        let cause = if is_access_denied(&problem) {
            AbsenceCause::AccessDenied
        } else {
            AbsenceCause::HubProblem
        };
        return absent(cause, Some(problem));
    }
    if answer.status.is_success() && answer.age > source.max_age() {
        return absent(AbsenceCause::Stale, Some(format!("{} s old", answer.age.as_secs())));
    }
    let provenance = Provenance {
        source: source.name.clone(),
        service: source.service.clone(),
        fetched_at,
        as_of: fetched_at.minus(answer.age),
        receipt: answer.receipt,
        exchange: answer.exchange,
        other_request,
    };
    match answer.status {
        StatusCode::OK => Answer::read(source.kind, subject, &answer.body, provenance)
            .unwrap_or_else(|cause| absent(cause, None)),
        StatusCode::NOT_FOUND => match serde_json::from_slice::<ErrorBody>(&answer.body) {
            Ok(body) if body.error == "no_record" => Answer::no_record(source.kind, provenance),
            Ok(_) | Err(_) => {
                absent(AbsenceCause::NotAccordingToContract, Some("HTTP 404".to_owned()))
            }
        },
        status if status.is_success() => {
            absent(AbsenceCause::NotAccordingToContract, Some(format!("HTTP {}", status.as_u16())))
        }
        status => absent(AbsenceCause::SourceProblem, Some(format!("HTTP {}", status.as_u16()))),
    }
}
