//! Searches: from a message to its answer.

use std::collections::BTreeSet;

use schemas::clock::UnixMillis;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::codes::{Reason, Refusal, Rejection};
use crate::envelope::{Status, VERSION};
use crate::limits::{
    ID_MAX_CHARS, NAME_MAX_CHARS, PAGE_DEFAULT_COUNT, PAGE_MAX_COUNT, REQUESTS_MAX_COUNT,
    SKIPPED_MAX_COUNT,
};
use crate::moment::moment;
use crate::query::Query;
use crate::registry::{
    Description, Found, Order, Page, RecordKind, Registry, RegistryFault, Search, Sort,
};

/// A search message, as the OpenAPI document requires it.
#[derive(Clone, Debug, Deserialize)]
pub struct SearchMessage {
    /// The partner's id of the transaction.
    pub transaction_id: String,
    /// The searches.
    pub search_request: Vec<SearchItem>,
}

/// One search of a message.
#[derive(Clone, Debug, Deserialize)]
pub struct SearchItem {
    /// Its id.
    pub reference_id: String,
    timestamp: String,
    search_criteria: Criteria,
    locale: Option<String>,
    /// Partners in the field put it here too.
    pagination: Option<Json>,
}

#[derive(Clone, Debug, Deserialize)]
struct Criteria {
    reg_type: Option<String>,
    reg_record_type: Option<String>,
    query_type: String,
    query: Json,
    response_entity: Option<String>,
    #[serde(default)]
    sort: Vec<SortItem>,
    pagination: Option<Json>,
}

#[derive(Clone, Debug, Deserialize)]
struct SortItem {
    attribute_name: Option<String>,
    sort_order: Option<String>,
}

impl SearchMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Refusal`] when it is not what the OpenAPI document says.
    pub fn read(message: &Json, total_count: Option<u64>) -> Result<Self, Refusal> {
        let read: Self = Deserialize::deserialize(message).map_err(|_| {
            let text = "sender: the message is not a SearchRequest: a required field is missing or \
                        of a wrong type; send it as the OpenAPI document says";
            Refusal::bad(text)
        })?;
        check_id(&read.transaction_id)?;
        check_count(read.search_request.len(), total_count)?;
        for item in &read.search_request {
            check_locale(item.locale.as_deref())?;
            let form = item.search_criteria.query_type.as_str();
            if !["idtype-value", "expression", "predicate", "graphql"].contains(&form) {
                let text =
                    "sender: query_type is idtype-value, expression or predicate; correct it";
                return Err(Refusal::bad(text));
            }
        }
        Ok(read)
    }

    /// Searches and builds the answer with the status of the whole.
    ///
    /// # Errors
    /// [`RegistryFault::Unavailable`]: then nothing is answered, so that no record is not confused
    /// with no answer.
    pub async fn answer<R: Registry>(
        &self,
        registry: &R,
        correlation_id: &str,
        now: UnixMillis,
    ) -> Result<(Status, Json), RegistryFault> {
        let mut answers = Vec::new();
        let mut seen = BTreeSet::new();
        let mut succeeded = false;
        for item in &self.search_request {
            let found = match item.checked(&mut seen) {
                Ok(()) => item.search(registry).await?,
                Err(rejection) => Err(rejection),
            };
            succeeded |= found.is_ok();
            answers.push(item.render(found, now));
        }
        let status = if succeeded { Status::Succeeded } else { Status::Rejected };
        Ok((
            status,
            json!({
                "transaction_id": self.transaction_id, "correlation_id": correlation_id,
                "search_response": answers,
            }),
        ))
    }
}

impl SearchItem {
    fn checked<'a>(&'a self, seen: &mut BTreeSet<&'a str>) -> Result<(), Rejection> {
        check_reference(&self.reference_id, seen)?;
        check_timestamp(&self.timestamp)
    }

    async fn search<R: Registry>(
        &self,
        registry: &R,
    ) -> Result<Result<(RecordKind, Page, Found), Rejection>, RegistryFault> {
        let search = match self.read(registry.description()) {
            Ok(search) => search,
            Err(rejection) => return Ok(Err(rejection)),
        };
        match registry.search(&search).await {
            Ok(found) => Ok(Ok((search.kind.clone(), search.page, found))),
            Err(RegistryFault::TooMany) => Ok(Err(Rejection::new(
                Reason::TooManyRecords,
                "the query fits more records than are gone through; narrow it",
            ))),
            Err(fault) => Err(fault),
        }
    }

    pub(crate) fn read<'a>(&self, description: &'a Description) -> Result<Search<'a>, Rejection> {
        let criteria = &self.search_criteria;
        let query = Query { form: &criteria.query_type, body: &criteria.query };
        let entity = criteria.response_entity.as_deref();
        let named = criteria.reg_record_type.as_deref().or(entity).or(query.collection());
        let kind = description.kind(named, criteria.reg_type.as_deref()).ok_or_else(|| {
            let known: Vec<_> = description.kinds.iter().map(|kind| kind.name.as_str()).collect();
            let text = format!("this registry has records of type {}", known.join(", "));
            Rejection::new(Reason::Criteria, text)
        })?;
        let filter = query.read(kind)?;
        let sort = criteria.sort.iter().map(|sort| sort.read(kind)).collect::<Result<_, _>>()?;
        let beside = page(self.pagination.as_ref())?;
        let page = page(criteria.pagination.as_ref())?.or(beside);
        let page = page.unwrap_or(Page { size: PAGE_DEFAULT_COUNT, number: 1 });
        Ok(Search { kind, filter, sort, page })
    }

    fn render(&self, found: Result<(RecordKind, Page, Found), Rejection>, now: UnixMillis) -> Json {
        let locale = self.locale.as_deref().unwrap_or("eng");
        let mut answer = json!({
            "reference_id": self.reference_id, "timestamp": now.to_rfc3339(), "locale": locale,
        });
        let more = match found {
            Ok((kind, page, found)) => {
                let records: Vec<Json> = found.entries.into_iter().map(|e| e.record).collect();
                json!({
                    "status": Status::Succeeded,
                    "data": {
                        "version": VERSION, "reg_type": kind.registry_type,
                        "reg_record_type": kind.name, "reg_records": records,
                    },
                    "pagination": {
                        "page_size": page.size, "page_number": page.number,
                        "total_count": found.total_count,
                    },
                })
            }
            Err(rejection) => rejected(&rejection),
        };
        merge(&mut answer, more);
        answer
    }
}

impl SortItem {
    fn read(&self, kind: &RecordKind) -> Result<Sort, Rejection> {
        let order = match self.sort_order.as_deref() {
            None | Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(_) => return Err(Rejection::new(Reason::Sort, "sort_order is asc or desc")),
        };
        let attribute = self.attribute_name.clone();
        let known = attribute.filter(|name| kind.attribute(name).is_some());
        known.map(|attribute| Sort { attribute, order }).ok_or_else(|| {
            Rejection::new(Reason::Sort, "records cannot be sorted by that attribute")
        })
    }
}

fn page(json: Option<&Json>) -> Result<Option<Page>, Rejection> {
    let Some(json) = json else { return Ok(None) };
    let invalid = || {
        let text =
            "page_size is 1 to 200, page_number 1 or more and within the first million records";
        Rejection::new(Reason::Pagination, text)
    };
    let whole = |json: &Json| json.as_u64().filter(|number| *number > 0).ok_or_else(invalid);
    let size = whole(json.get("page_size").unwrap_or(&Json::Null))?;
    let number = json.get("page_number").map_or(Ok(1), whole)?;
    let page = Page { size, number };
    let allowed = size <= PAGE_MAX_COUNT && page.skipped_count() <= SKIPPED_MAX_COUNT;
    if allowed { Ok(Some(page)) } else { Err(invalid()) }
}

/// `{status, status_reason_code, status_reason_message}` of a rejection.
pub(crate) fn rejected(rejection: &Rejection) -> Json {
    json!({
        "status": Status::Rejected, "status_reason_code": rejection.reason.as_str(),
        "status_reason_message": rejection.message,
    })
}

/// Adds the members of `more` to an object.
pub(crate) fn merge(object: &mut Json, more: Json) {
    if let (Json::Object(object), Json::Object(more)) = (object, more) {
        object.extend(more);
    }
}

/// 1 to 99 characters.
pub(crate) fn check_id(id: &str) -> Result<(), Refusal> {
    let allowed = (1..=ID_MAX_CHARS).contains(&id.chars().count());
    let text = "sender: transaction_id has 1 to 99 characters; correct it";
    if allowed { Ok(()) } else { Err(Refusal::bad(text)) }
}

pub(crate) fn check_count(count: usize, total_count: Option<u64>) -> Result<(), Refusal> {
    if count == 0 {
        return Err(Refusal::bad("sender: the message holds no request; send at least one"));
    }
    if count > REQUESTS_MAX_COUNT {
        let text = "sender: more than 100 requests in one message; send several messages";
        return Err(Refusal::reason(Reason::TotalCountLimit, text));
    }
    if total_count.is_some_and(|total| usize::try_from(total) != Ok(count)) {
        let text = "sender: total_count is not the number of requests; correct it";
        return Err(Refusal::reason(Reason::TotalCount, text));
    }
    Ok(())
}

/// Three small letters, ISO 639-3.
pub(crate) fn check_locale(locale: Option<&str>) -> Result<(), Refusal> {
    let good = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_lowercase());
    let text = "sender: locale is three small letters (ISO 639-3); correct it";
    if locale.is_none_or(good) { Ok(()) } else { Err(Refusal::bad(text)) }
}

pub(crate) fn check_reference<'a>(
    id: &'a str,
    seen: &mut BTreeSet<&'a str>,
) -> Result<(), Rejection> {
    if !(1..=NAME_MAX_CHARS).contains(&id.chars().count()) {
        return Err(Rejection::new(Reason::ReferenceId, "reference_id has 1 to 255 characters"));
    }
    let twice =
        Rejection::new(Reason::ReferenceIdDuplicate, "each request has its own reference_id");
    if seen.insert(id) { Ok(()) } else { Err(twice) }
}

pub(crate) fn check_timestamp(text: &str) -> Result<(), Rejection> {
    let refused = Rejection::new(Reason::Timestamp, "timestamp is RFC 3339 with zone");
    moment(text).map(drop).ok_or(refused)
}
