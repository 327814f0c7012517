//! The families as a registry: searches over what is stored, events, reported enrolments.

use std::cmp::Ordering;

use jiff::civil::Date;
use register::profile::Profile;
use register_store::{Changes, Store, StoreError, StoreQuery, Stored};
use schemas::clock::Clock;
use schemas::pinfl::Pinfl;
use serde_json::Value as Json;
use spdci::beneficiaries::BENEFICIARY;
use spdci::filter::{AttributeType, Value};
use spdci::registry::{
    Description, Entry, Event, Found, Order, RecordKind, Registry, RegistryFault, Search,
};
use uuid::Uuid;

use super::family::{Enrolment, Family, Happened, Latest, sorted};
use super::records;

/// Families gone through by one search that names no person.
const FAMILIES_MAX_COUNT: usize = 2_000;
/// Attempts to register a family while others are registered too.
const ATTEMPTS_MAX_COUNT: usize = 8;
const SOCIAL: &str = "ns:org:RegistryType:Social";
const IBR: &str = "ns:org:RegistryType:IBR";
const GROUP: &str = "Group";
const MEMBER: &str = "Member";
const REGISTERED: &str = "REGISTER";
const NEW_MEMBER: &str = "NewHouseHoldMember";

/// The social register as a registry. Cheap to clone; clones are one register.
#[derive(Clone, Debug)]
pub struct Social {
    store: Store,
    clock: Clock,
    description: Description,
}

impl Social {
    /// A register on a store.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, description: description() }
    }

    /// Registers the family of a profile, or replaces what was known of it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn register(&self, profile: &Profile) -> Result<(), StoreError> {
        let Some(head) = profile.family.members.first().map(|member| member.pinfl) else {
            return Ok(());
        };
        let mut attempts = 1;
        loop {
            match self.try_register(head, profile).await {
                Err(StoreError::Conflict { .. }) if attempts < ATTEMPTS_MAX_COUNT => attempts += 1,
                done => return done,
            }
        }
    }

    async fn try_register(&self, head: Pinfl, profile: &Profile) -> Result<(), StoreError> {
        let known =
            self.store.find::<Family>(StoreQuery::person("applicant", head).limit(1)).await?;
        let known = known.into_iter().next();
        let known_event = known.as_ref().map(|known| grown(&known.value.profile, profile));
        let (family, changes) = match known {
            Some(mut known) => {
                known.value.profile = profile.clone();
                (known.value.id.clone(), Changes::new().update(&known)?)
            }
            None => {
                let id = Uuid::new_v4().to_string();
                let registered_at = profile.assembled_at;
                let family = Family { id: id.clone(), registered_at, profile: profile.clone() };
                (id, Changes::new().insert(&family)?)
            }
        };
        let event = match known_event {
            None => Some(REGISTERED),
            Some(true) => Some(NEW_MEMBER),
            Some(false) => None,
        };
        let changes = match event {
            Some(event) => self.happened(changes, event, family).await?,
            None => changes,
        };
        self.store.commit(changes).await
    }

    async fn happened(
        &self,
        changes: Changes,
        event: &str,
        family: String,
    ) -> Result<Changes, StoreError> {
        let latest = self.store.get::<Latest>("latest").await?;
        let sequence = latest.as_ref().map_or(1, |latest| latest.value.sequence.saturating_add(1));
        let happened = Happened { sequence, event: event.to_owned(), family };
        let changes = changes.insert(&happened)?;
        let value = Latest { sequence };
        match latest {
            Some(latest) => changes.update(&Stored { value, ..latest }),
            None => changes.insert(&value),
        }
    }

    /// The families that a search may mean: by the person it names, else all of them.
    async fn candidates(&self, asked: Option<Pinfl>) -> Result<Vec<Family>, RegistryFault> {
        let mut families: Vec<Family> = Vec::new();
        loop {
            let query = match asked {
                Some(pinfl) => StoreQuery::person("member", pinfl),
                None => StoreQuery::all(),
            };
            let query = match families.last() {
                Some(last) => query.after_id(&last.id),
                None => query,
            };
            let page = self.store.find::<Family>(query.limit(200)).await.map_err(|e| fault(&e))?;
            if page.is_empty() {
                return Ok(families);
            }
            families.extend(page.into_iter().map(|stored| stored.value));
            if families.len() > FAMILIES_MAX_COUNT {
                return Err(RegistryFault::TooMany);
            }
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
            GROUP => families.iter().filter_map(|f| records::group(f, asked, today)).collect(),
            BENEFICIARY => {
                let mut entries: Vec<_> =
                    families.iter().filter_map(records::beneficiary).collect();
                entries.extend(self.enrolments(asked).await?.iter().map(records::reported));
                entries
            }
            _ => families.iter().flat_map(|family| records::members(family, today)).collect(),
        })
    }

    /// Today in Tashkent, UTC+5 all year.
    fn today(&self) -> Date {
        let moment = self.clock.now().plus(std::time::Duration::from_secs(5 * 3600));
        moment.to_rfc3339().get(..10).and_then(|date| date.parse().ok()).unwrap_or(Date::MAX)
    }
}

/// Whether somebody belongs to the family now who did not before.
fn grown(before: &Profile, now: &Profile) -> bool {
    let known = |pinfl: Pinfl| before.family.members.iter().any(|member| member.pinfl == pinfl);
    now.family.members.iter().any(|member| !known(member.pinfl))
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
        let from = sorted(after.saturating_add(1));
        let query = StoreQuery::range("sequence", from, sorted(u64::MAX)).limit(limit_count);
        let happened = self.store.find::<Happened>(query).await.map_err(|e| fault(&e))?;
        let (mut events, mut until) = (Vec::new(), after);
        for happened in happened.into_iter().map(|stored| stored.value) {
            until = happened.sequence;
            let family = match self.store.get::<Family>(&happened.family).await {
                Ok(Some(family)) => family.value,
                // Erased since: there is nothing to tell.
                Ok(None) | Err(StoreError::Erased { .. }) => continue,
                Err(error) => return Err(fault(&error)),
            };
            let today = self.today();
            let of_kind = |kind: &str, entry| Event {
                sequence: happened.sequence,
                event_type: happened.event.clone(),
                kind: kind.to_owned(),
                entry,
            };
            events.extend(records::group(&family, None, today).map(|entry| of_kind(GROUP, entry)));
            let members = records::members(&family, today).into_iter();
            events.extend(members.map(|entry| of_kind(MEMBER, entry)));
        }
        Ok((events, until))
    }

    async fn latest(&self) -> Result<u64, RegistryFault> {
        let latest = self.store.get::<Latest>("latest").await.map_err(|error| fault(&error))?;
        Ok(latest.map_or(0, |latest| latest.value.sequence))
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
    let events = vec![REGISTERED.to_owned(), NEW_MEMBER.to_owned()];
    Description { kinds: vec![member, group, beneficiary], events }
}
