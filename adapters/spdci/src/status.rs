//! `txn/status`: what came of earlier messages.

use schemas::clock::UnixMillis;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::codes::Refusal;
use crate::envelope::Status;
use crate::limits::ID_MAX_CHARS;
use crate::search::{check_id, check_locale};
use crate::state::{Lookup, Transaction};

/// A status message.
#[derive(Clone, Debug, Deserialize)]
pub struct StatusMessage {
    /// The partner's id of this transaction.
    pub transaction_id: String,
    txnstatus_request: Asked,
}

#[derive(Clone, Debug, Deserialize)]
struct Asked {
    reference_id: String,
    txn_type: TxnType,
    attribute_type: String,
    attribute_value: Json,
    locale: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TxnType {
    Search,
    Subscribe,
    Receipt,
}

impl StatusMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Refusal`] when it is not what the OpenAPI document says.
    pub fn read(message: &Json) -> Result<Self, Refusal> {
        let read: Self = Deserialize::deserialize(message).map_err(|_| {
            let text = "sender: the message is not a TxnStatusRequest: a required field is missing \
                        or of a wrong type; send it as the OpenAPI document says";
            Refusal::bad(text)
        })?;
        check_id(&read.transaction_id)?;
        check_locale(read.txnstatus_request.locale.as_deref())?;
        read.lookup()?;
        Ok(read)
    }

    /// The id of the request.
    #[must_use]
    pub fn reference_id(&self) -> &str {
        &self.txnstatus_request.reference_id
    }

    /// What is looked for.
    ///
    /// # Errors
    /// [`Refusal`] when type and value do not fit each other.
    pub fn lookup(&self) -> Result<Lookup, Refusal> {
        let asked = &self.txnstatus_request;
        let one = || asked.attribute_value.as_str().filter(|id| id.chars().count() <= ID_MAX_CHARS);
        let many = || serde_json::from_value(asked.attribute_value.clone()).ok();
        let lookup = match asked.attribute_type.as_str() {
            "transaction_id" => one().map(|id| Lookup::Transaction(id.to_owned())),
            "correlation_id" => one().map(|id| Lookup::Correlation(id.to_owned())),
            "reference_id_list" => many().map(Lookup::References),
            _ => None,
        };
        let text = "sender: attribute_type is transaction_id, correlation_id or reference_id_list, \
                    with an id or a list of ids; correct it";
        lookup.ok_or_else(|| Refusal::bad(text))
    }

    /// The answer about the transactions found; an unknown one has an empty list.
    #[must_use]
    pub fn answer(&self, found: &[Transaction], correlation_id: &str, now: UnixMillis) -> Json {
        let txn_type = self.txnstatus_request.txn_type;
        let (action, name) = match txn_type {
            TxnType::Subscribe => ("subscribe", "subscribe_response"),
            TxnType::Search | TxnType::Receipt => ("search", "search_response"),
        };
        let of_type = |transaction: &&Transaction| match txn_type {
            TxnType::Receipt => false,
            TxnType::Search | TxnType::Subscribe => transaction.action == action,
        };
        let found: Vec<&Transaction> = found.iter().filter(of_type).collect();
        let entries: Vec<Json> = found.iter().flat_map(|found| entries(found, name, now)).collect();
        let first = found.first();
        let transaction = first.map_or(self.transaction_id.as_str(), |t| t.transaction_id.as_str());
        let unknown = Uuid::new_v4().to_string();
        let of = first.map_or(unknown.as_str(), |t| t.correlation_id.as_str());
        let mut status = json!({
            "transaction_id": transaction, "correlation_id": of, "search_response": [],
        });
        if let Json::Object(status) = &mut status {
            status.insert(name.to_owned(), entries.into());
        }
        json!({
            "transaction_id": self.transaction_id, "correlation_id": correlation_id,
            "txnstatus_response": {"txn_type": txn_type, "txn_status": status},
        })
    }
}

/// The statuses of one transaction's requests: as answered, or pending.
fn entries(transaction: &Transaction, name: &str, now: UnixMillis) -> Vec<Json> {
    let answered = transaction.answer.as_ref().and_then(|answer| answer.get(name)?.as_array());
    match answered {
        Some(answered) => answered.clone(),
        None => {
            let pending = |id: &String| json!({"reference_id": id, "timestamp": now.to_rfc3339(), "status": Status::Pending});
            transaction.reference_ids.iter().map(pending).collect()
        }
    }
}

/// An answer as it is remembered: without records.
#[must_use]
pub fn without_records(answer: &Json) -> Json {
    let mut kept = answer.clone();
    let responses = kept.get_mut("search_response").and_then(Json::as_array_mut);
    for response in responses.into_iter().flatten().filter_map(Json::as_object_mut) {
        response.remove("data");
    }
    kept
}
