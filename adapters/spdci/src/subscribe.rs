//! Subscriptions: subscribe, unsubscribe, and the notices of events.

use std::collections::BTreeSet;

use register_store::{Changes, StoreError, Stored};
use schemas::clock::UnixMillis;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::codes::{Reason, Refusal, Rejection};
use crate::envelope::{Status, VERSION};
use crate::limits::{ID_MAX_CHARS, SUBSCRIPTIONS_MAX_COUNT};
use crate::moment::moment;
use crate::query::Query;
use crate::registry::{Description, Event};
use crate::search::{
    check_count, check_id, check_locale, check_reference, check_timestamp, merge, rejected,
};
use crate::state::{State, Subscription};
use crate::subject::subject;

/// A subscribe message.
#[derive(Clone, Debug, Deserialize)]
pub struct SubscribeMessage {
    /// The partner's id of the transaction.
    pub transaction_id: String,
    /// The subscriptions that are asked for.
    pub subscribe_request: Vec<SubscribeItem>,
}

/// One subscription that is asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct SubscribeItem {
    /// Its id.
    pub reference_id: String,
    timestamp: String,
    subscribe_criteria: Criteria,
    locale: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Criteria {
    reg_type: Option<String>,
    reg_event_type: String,
    filter_type: Option<String>,
    filter: Json,
    notify_record_type: String,
    frequency: Option<Frequency>,
}

#[derive(Clone, Debug, Deserialize)]
struct Frequency {
    start_time: String,
    end_time: String,
}

/// Who subscribes, where notices go, and the latest event.
#[derive(Clone, Copy, Debug)]
pub struct Subscriber<'a> {
    /// The partner.
    pub partner: &'a str,
    /// Where notices go.
    pub uri: &'a str,
    /// Events after this one are told.
    pub after: u64,
}

impl SubscribeMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Refusal`] when it is not what the OpenAPI document says.
    pub fn read(message: &Json, total_count: Option<u64>) -> Result<Self, Refusal> {
        let read: Self = Deserialize::deserialize(message).map_err(|_| {
            let text = "sender: the message is not a SubscribeRequest: a required field is missing \
                        or of a wrong type; send it as the OpenAPI document says";
            Refusal::bad(text)
        })?;
        check_id(&read.transaction_id)?;
        check_count(read.subscribe_request.len(), total_count)?;
        read.subscribe_request.iter().try_for_each(|item| check_locale(item.locale.as_deref()))?;
        Ok(read)
    }

    /// The answer, and the subscriptions that it makes.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn answer(
        &self,
        (description, state): (&Description, &State),
        subscriber: Subscriber<'_>,
        correlation_id: &str,
        now: UnixMillis,
    ) -> Result<(Status, Json, Vec<Subscription>), StoreError> {
        let mut known = state.subscriptions(Some(subscriber.partner)).await?;
        let (mut seen, mut made, mut answers) = (BTreeSet::new(), Vec::new(), Vec::new());
        for item in &self.subscribe_request {
            let subscription = item.subscription(description, subscriber, &mut seen);
            let subscription = subscription.and_then(|new| admit(new, &known));
            let locale = item.locale.as_deref().unwrap_or("eng");
            let mut answer = json!({
                "reference_id": item.reference_id, "timestamp": now.to_rfc3339(), "locale": locale,
            });
            match subscription {
                Ok(new) => {
                    let info = json!([{"version": VERSION, "code": new.code, "status": "subscribe",
                        "timestamp": now.to_rfc3339(), "reg_type": new.kind.0,
                        "reg_event_type": new.event, "notify_record_type": new.kind.1}]);
                    merge(&mut answer, json!({"status": Status::Succeeded, "subscriptions": info}));
                    known.push(new.clone());
                    made.push(new);
                }
                Err(rejection) => merge(&mut answer, rejected(&rejection)),
            }
            answers.push(answer);
        }
        let status = if made.is_empty() { Status::Rejected } else { Status::Succeeded };
        let message = json!({
            "transaction_id": self.transaction_id, "correlation_id": correlation_id,
            "subscribe_response": answers,
        });
        Ok((status, message, made))
    }
}

impl SubscribeItem {
    fn subscription<'a>(
        &'a self,
        description: &Description,
        subscriber: Subscriber<'_>,
        seen: &mut BTreeSet<&'a str>,
    ) -> Result<Subscription, Rejection> {
        check_reference(&self.reference_id, seen)?;
        check_timestamp(&self.timestamp)?;
        let criteria = &self.subscribe_criteria;
        let types = |text| Rejection::new(Reason::NotifyTypes, text);
        let event = description.event(&criteria.reg_event_type).ok_or_else(|| {
            types(format!("events of this registry are {}", description.events.join(", ")))
        })?;
        let kind = description
            .kind(Some(&criteria.notify_record_type), criteria.reg_type.as_deref())
            .ok_or_else(|| types("this registry has no records of that type".to_owned()))?;
        let form = criteria.filter_type.clone().unwrap_or_else(|| form_of(&criteria.filter));
        let details = |error: Rejection| Rejection::new(Reason::NotifyDetails, error.message);
        let filter = Query { form: &form, body: &criteria.filter }.read(kind).map_err(details)?;
        let (starts, ends) =
            criteria.frequency.as_ref().map_or(Ok((None, None)), Frequency::read)?;
        Ok(Subscription {
            code: Uuid::new_v4().to_string(),
            partner: subscriber.partner.to_owned(),
            event: event.to_owned(),
            kind: (kind.registry_type.clone(), kind.name.clone()),
            form,
            subject: subject(kind, &filter),
            filter: criteria.filter.clone(),
            uri: subscriber.uri.to_owned(),
            starts,
            ends,
            active: true,
            after: subscriber.after,
        })
    }
}

impl Frequency {
    fn read(&self) -> Result<(Option<UnixMillis>, Option<UnixMillis>), Rejection> {
        let times = moment(&self.start_time).zip(moment(&self.end_time));
        let times = times.filter(|(start, end)| start < end);
        let text = "frequency runs from start_time to a later end_time, both RFC 3339 with zone";
        let (start, end) = times.ok_or_else(|| Rejection::new(Reason::NotifyDetails, text))?;
        Ok((Some(start), Some(end)))
    }
}

/// The form that a filter has when the partner does not name it.
fn form_of(filter: &Json) -> String {
    let identifier =
        filter.get("type").is_some() && filter.get("value").is_some_and(|v| !v.is_object());
    let form = match filter {
        Json::Array(_) => "predicate",
        _ if identifier => "idtype-value",
        _ => "expression",
    };
    form.to_owned()
}

fn admit(new: Subscription, known: &[Subscription]) -> Result<Subscription, Rejection> {
    let same = |old: &Subscription| {
        (&old.event, &old.kind, &old.filter, &old.uri)
            == (&new.event, &new.kind, &new.filter, &new.uri)
    };
    if known.iter().any(same) {
        let text = "the same subscription is in force; end it first or change the filter";
        return Err(Rejection::new(Reason::AlreadySubscribed, text));
    }
    if known.len() >= SUBSCRIPTIONS_MAX_COUNT {
        let text = "1000 subscriptions are in force; end some first";
        return Err(Rejection::new(Reason::NotifyDetails, text));
    }
    Ok(new)
}

/// An unsubscribe message.
#[derive(Clone, Debug, Deserialize)]
pub struct UnsubscribeMessage {
    /// The partner's id of the transaction.
    pub transaction_id: String,
    timestamp: String,
    /// The subscriptions to end.
    pub subscription_codes: Vec<String>,
}

impl UnsubscribeMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Refusal`] when it is not what the OpenAPI document says.
    pub fn read(message: &Json) -> Result<Self, Refusal> {
        let read: Self = Deserialize::deserialize(message).map_err(|_| {
            let text = "sender: the message is not an UnSubscribeRequest: a required field is missing \
                        or of a wrong type; send it as the OpenAPI document says";
            Refusal::bad(text)
        })?;
        check_id(&read.transaction_id)?;
        check_count(read.subscription_codes.len(), None)?;
        let long = read.subscription_codes.iter().any(|code| code.chars().count() > ID_MAX_CHARS);
        if long || moment(&read.timestamp).is_none() {
            let text = "sender: codes have at most 99 characters, timestamp is RFC 3339 with zone";
            return Err(Refusal::bad(text));
        }
        Ok(read)
    }

    /// The answer, and the subscriptions that end. All of them end or none does.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn answer(
        &self,
        state: &State,
        partner: &str,
        correlation_id: &str,
        now: UnixMillis,
    ) -> Result<(Status, Json, Vec<Stored<Subscription>>), StoreError> {
        let codes: BTreeSet<&String> = self.subscription_codes.iter().collect();
        let mut ended = Vec::new();
        let mut refused = None;
        for code in codes {
            match may_end(state.subscription(code).await?, partner) {
                Ok(subscription) => ended.push(subscription),
                Err(rejection) => refused = refused.or(Some(rejection)),
            }
        }
        let mut message = json!({
            "transaction_id": self.transaction_id, "correlation_id": correlation_id,
            "timestamp": now.to_rfc3339(),
        });
        if let Some(rejection) = refused {
            merge(&mut message, rejected(&rejection));
            return Ok((Status::Rejected, message, Vec::new()));
        }
        let status = |ended: &Stored<Subscription>| json!({"code": ended.value.code, "status": "unsubscribe"});
        let statuses: Vec<Json> = ended.iter().map(status).collect();
        merge(&mut message, json!({"status": Status::Succeeded, "subscription_status": statuses}));
        Ok((Status::Succeeded, message, ended))
    }
}

fn may_end(
    found: Option<Stored<Subscription>>,
    partner: &str,
) -> Result<Stored<Subscription>, Rejection> {
    let mut found = found.ok_or_else(|| {
        Rejection::new(Reason::SubscriptionCode, "there is no such subscription; check the code")
    })?;
    if found.value.partner != partner {
        return Err(Rejection::new(Reason::Requester, "the subscription is another sender's"));
    }
    if !found.value.active {
        return Err(Rejection::new(
            Reason::AlreadyUnsubscribed,
            "the subscription has ended before",
        ));
    }
    found.value.active = false;
    Ok(found)
}

/// Adds subscriptions that were made to a commit, and ends others.
///
/// # Errors
/// Those of the store, when one is beyond a limit.
pub(crate) fn write(
    mut changes: Changes,
    made: &[Subscription],
    ended: &[Stored<Subscription>],
) -> Result<Changes, StoreError> {
    for subscription in made {
        changes = changes.insert(subscription)?;
    }
    for subscription in ended {
        changes = changes.update(subscription)?;
    }
    Ok(changes)
}

/// The notice of an event to a subscriber; `None` when the event is not for it.
#[must_use]
pub fn notice(
    subscription: &Subscription,
    event: &Event,
    description: &Description,
    now: UnixMillis,
) -> Option<Json> {
    let (registry_type, name) = (&subscription.kind.0, &subscription.kind.1);
    let wanted = subscription.event == event.event_type && *name == event.kind;
    let in_time = subscription.starts.is_none_or(|start| start <= now)
        && subscription.ends.is_none_or(|end| now <= end);
    if !wanted || !in_time || event.sequence <= subscription.after {
        return None;
    }
    let kind = description.kind(Some(name), Some(registry_type))?;
    let filter = Query { form: &subscription.form, body: &subscription.filter }.read(kind).ok()?;
    filter.fits(&event.entry.attributes).then(|| {
        json!({
            "transaction_id": Uuid::new_v4().to_string(),
            "notify_event": [{
                "reference_id": subscription.code, "timestamp": now.to_rfc3339(), "locale": "eng",
                "data": {
                    "version": VERSION, "reg_type": registry_type,
                    "reg_event_type": event.event_type, "reg_record_type": event.kind,
                    "reg_records": event.entry.record,
                },
            }],
        })
    })
}
