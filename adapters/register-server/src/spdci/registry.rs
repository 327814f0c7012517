//! The families as a registry: searches over what is stored, events, reported enrolments.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::civil::Date;
use register::application::Application;
use register::day::tashkent_day;
use register_store::{Changes, Store, StoreError, StoreQuery};
use schemas::clock::Clock;
use schemas::pinfl::Pinfl;
use serde_json::Value as Json;
use spdci::beneficiaries::BENEFICIARY;
use spdci::filter::{AttributeType, Value};
use spdci::registry::{
    Description, Entry, Event, Found, Order, RecordKind, Registry, RegistryFault, Search,
};
use uuid::Uuid;

use super::enrolment::Enrolment;
use super::events::{
    self, ENROLLED, EVENTS, Happened, NEW_MEMBER, REGISTERED, STATUS_CHANGED, UPDATED,
};
use super::family::Family;
use super::records;
use crate::applications::documents::Filed;

/// Families gone through by one search that names no person.
const FAMILIES_MAX_COUNT: usize = 2_000;
/// Applications read at a time.
const PAGE_COUNT: usize = 200;
const SOCIAL: &str = "ns:org:RegistryType:Social";
const IBR: &str = "ns:org:RegistryType:IBR";
const GROUP: &str = "Group";
const MEMBER: &str = "Member";

/// The social register as a registry. Cheap to clone; clones are one register.
#[derive(Clone, Debug)]
pub struct Social {
    store: Store,
    clock: Clock,
    description: Description,
}

impl Social {
    /// The register on its store.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, description: description() }
    }

    /// Adds to a commit what partners are told of a step of an application.
    pub(crate) fn tell(
        &self,
        changes: Changes,
        before: &Application,
        after: &Application,
    ) -> Result<Changes, StoreError> {
        events::note(changes, (before, after), self.clock.now())
    }

    /// The families that a search may mean: by the person it names, else all of them; of one
    /// applicant's applications the last.
    async fn candidates(&self, asked: Option<Pinfl>) -> Result<Vec<Family>, RegistryFault> {
        let queries = match asked {
            Some(pinfl) => vec![StoreQuery::person("member", pinfl)],
            None => vec![
                StoreQuery::equal("state", "registered"),
                StoreQuery::equal("state", "stopped"),
            ],
        };
        let mut families: BTreeMap<Pinfl, Family> = BTreeMap::new();
        for query in queries {
            let mut last = String::new();
            loop {
                let page = query.clone().after_id(&last).limit(PAGE_COUNT);
                let page = self.store.find::<Filed>(page).await.map_err(|e| fault(&e))?;
                let Some(filed) = page.last() else { break };
                last = filed.value.0.id().to_owned();
                for filed in page {
                    let Some(family) = self.family(filed.value.0).await? else { continue };
                    let known = families.get(&family.applicant());
                    let day = |family: &Family| family.application.filed_on();
                    if known.is_none_or(|known| day(known) < day(&family)) {
                        families.insert(family.applicant(), family);
                    }
                }
                if families.len() > FAMILIES_MAX_COUNT {
                    return Err(RegistryFault::TooMany);
                }
            }
        }
        Ok(families.into_values().collect())
    }

    /// The family of an application; `None` when it is no record, or erased.
    async fn family(&self, application: Application) -> Result<Option<Family>, RegistryFault> {
        match Family::read(&self.store, application).await {
            Err(StoreError::Erased { .. }) => Ok(None),
            read => read.map_err(|error| fault(&error)),
        }
    }

    /// Enrolments that programmes reported, of the person named, else all of them.
    async fn enrolments(&self, asked: Option<Pinfl>) -> Result<Vec<Enrolment>, RegistryFault> {
        let query = asked.map_or_else(StoreQuery::all, |pinfl| StoreQuery::person("person", pinfl));
        let found = self.store.find::<Enrolment>(query).await.map_err(|e| fault(&e))?;
        if found.len() >= schemas::limits::STORE_QUERY_MAX_COUNT {
            return Err(RegistryFault::TooMany);
        }
        Ok(found.into_iter().map(|stored| stored.value).collect())
    }

    async fn entries(
        &self,
        kind: &RecordKind,
        asked: Option<Pinfl>,
    ) -> Result<Vec<Entry>, RegistryFault> {
        let today = self.today();
        let families = self.candidates(asked).await?;
        Ok(match kind.name.as_str() {
            GROUP => families.iter().map(|f| records::group(f, asked, today)).collect(),
            BENEFICIARY => {
                let mut entries: Vec<_> =
                    families.iter().filter_map(|f| records::beneficiary(f, today)).collect();
                entries.extend(self.enrolments(asked).await?.iter().map(records::reported));
                entries
            }
            _ => families.iter().flat_map(|family| records::members(family, today)).collect(),
        })
    }

    fn today(&self) -> Date {
        tashkent_day(self.clock.now())
    }
}

/// The records that an event is about.
fn told(happened: &Happened, family: &Family, today: Date) -> Vec<Event> {
    let of_kind = |kind: &str, entry| Event {
        sequence: happened.sequence,
        event_type: happened.event.clone(),
        kind: kind.to_owned(),
        entry,
    };
    let mut told = Vec::new();
    if [REGISTERED, NEW_MEMBER, UPDATED].contains(&happened.event.as_str()) {
        told.push(of_kind(GROUP, records::group(family, None, today)));
        told.extend(records::members(family, today).into_iter().map(|e| of_kind(MEMBER, e)));
    }
    if [UPDATED, ENROLLED, STATUS_CHANGED].contains(&happened.event.as_str()) {
        told.extend(records::beneficiary(family, today).map(|e| of_kind(BENEFICIARY, e)));
    }
    told
}

impl Registry for Social {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn search(&self, search: &Search<'_>) -> Result<Found, RegistryFault> {
        let named = |name| match search.filter.certain(name) {
            Some(Value::Text(text)) => Some(text.parse::<Pinfl>()),
            _ => None,
        };
        let asked = match named("uin").or_else(|| named("person_identifier")) {
            Some(Ok(pinfl)) => Some(pinfl),
            // No PINFL: nobody is found by it.
            Some(Err(_)) => return Ok(Found::default()),
            None => None,
        };
        let mut entries = self.entries(search.kind, asked).await?;
        entries.retain(|entry| search.filter.fits(&entry.attributes));
        entries.sort_by(|a, b| order(search, a, b));
        let total_count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (skipped, size) = (whole(search.page.skipped_count()), whole(search.page.size));
        let entries = entries.into_iter().skip(skipped).take(size).collect();
        Ok(Found { entries, total_count })
    }

    async fn events(
        &self,
        after: u64,
        limit_count: usize,
    ) -> Result<(Vec<Event>, u64), RegistryFault> {
        let happened = events::after(&self.store, after, limit_count).await;
        let (mut events, mut until) = (Vec::new(), after);
        for happened in happened.map_err(|e| fault(&e))? {
            until = happened.sequence;
            let filed = match self.store.get::<Filed>(&happened.application).await {
                Ok(Some(filed)) => filed.value.0,
                // Erased since: there is nothing to tell.
                Ok(None) | Err(StoreError::Erased { .. }) => continue,
                Err(error) => return Err(fault(&error)),
            };
            let family = self.family(filed).await?;
            events.extend(family.iter().flat_map(|family| told(&happened, family, self.today())));
        }
        Ok((events, until))
    }

    async fn latest(&self) -> Result<u64, RegistryFault> {
        events::latest(&self.store).await.map_err(|error| fault(&error))
    }

    async fn enrol(
        &self,
        partner: &str,
        beneficiaries: &[Json],
    ) -> Result<Option<Vec<Result<(), String>>>, RegistryFault> {
        let mut changes = Changes::new();
        let mut taken = Vec::new();
        for beneficiary in beneficiaries {
            let named = beneficiary.get("programme_identifier").is_some();
            let Some(person) = records::reported_person(beneficiary).filter(|_| named) else {
                let text = "a beneficiary names a programme and a person by PINFL; correct it";
                taken.push(Err(text.to_owned()));
                continue;
            };
            let enrolment = Enrolment {
                id: Uuid::new_v4().to_string(),
                partner: partner.to_owned(),
                person,
                reported_at: self.clock.now(),
                beneficiary: beneficiary.clone(),
            };
            changes = changes.insert(&enrolment).map_err(|error| fault(&error))?;
            taken.push(Ok(()));
        }
        self.store.commit(changes).await.map_err(|error| fault(&error))?;
        Ok(Some(taken))
    }
}

/// The order that is asked for, what has no value last; then by person and family.
fn order(search: &Search<'_>, a: &Entry, b: &Entry) -> Ordering {
    let by = |name: &str, order: Order| match (a.attributes.get(name), b.attributes.get(name)) {
        (Some(a), Some(b)) if order == Order::Descending => b.cmp(a),
        (Some(a), Some(b)) => a.cmp(b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    let mut sorts = search.sort.iter().map(|sort| by(&sort.attribute, sort.order));
    let asked = sorts.find(|order| order.is_ne()).unwrap_or(Ordering::Equal);
    let last = || by("uin", Order::Ascending).then(by("group_identifier", Order::Ascending));
    asked.then_with(last)
}

fn fault(error: &StoreError) -> RegistryFault {
    RegistryFault::Unavailable(error.to_string())
}

fn description() -> Description {
    use AttributeType::{Date as Day, Number, Text};
    let common = |kind: RecordKind| {
        kind.attribute_of("uin", Text)
            .attribute_of("group_identifier", Text)
            .attribute_of("status", Text)
            .attribute_of("registration_date", Day)
            .attribute_of("last_updated", Day)
            .identified_by("UIN", "uin")
            .identified_by("NIN", "uin")
            .identified_by("HOUSEHOLD_ID", "group_identifier")
    };
    let member = common(RecordKind::new(SOCIAL, MEMBER))
        .also_called("SRPerson")
        .also_called("Person")
        .attribute_of("age", Number)
        .attribute_of("birth_date", Day)
        .attribute_of("sex", Text)
        .attribute_of("role", Text);
    let group = common(RecordKind::new(SOCIAL, GROUP))
        .also_called("Household")
        .attribute_of("age", Number)
        .attribute_of("group_size", Number)
        .attribute_of("poverty_score", Number)
        .attribute_of("outcome", Text)
        .attribute_of("region", Text)
        .attribute_of("location", Text);
    let beneficiary = common(RecordKind::new(IBR, BENEFICIARY))
        .attribute_of("person_identifier", Text)
        .attribute_of("programme_identifier", Text)
        .attribute_of("enrollment_status", Text)
        .attribute_of("enrollment_date", Day);
    let events = EVENTS.map(str::to_owned).to_vec();
    Description { kinds: vec![member, group, beneficiary], events }
}
