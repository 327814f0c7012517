//! What values a configuration may have.

use schemas::limits::CODE_MAX_BYTES;

use register::source::SourceKind;

use super::{ConfigError, EventSource, RegisterConfig};

/// Sources that a register asks; Türkiye's comparable system asks 22.
const SOURCES_MAX_COUNT: usize = 64;
/// Families that monitoring rates at once; each makes dozens of calls.
const MONITORED_MAX_COUNT: usize = 64;
/// The longest time that a deadline or a source may be given: a caller waits for it.
pub(super) const TIME_MAX_MS: u64 = 60_000;

impl RegisterConfig {
    /// Checks the values, as [`RegisterConfig::parse`] does.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first key with a value that is not allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        let loopback = self.listen.ip().is_loopback();
        require(loopback, "listen", "use a loopback address: callers are not authenticated")?;
        self.check_hub()?;
        let origin = self.pages.as_ref().is_none_or(|p| p.origin.is_none() || p.site().is_some());
        require(origin, "pages.origin", "write https://host or http://host:port and nothing more")?;
        let purpose = (1..=CODE_MAX_BYTES).contains(&self.purpose.len())
            && self.purpose.bytes().all(|byte| byte.is_ascii_graphic());
        require(purpose, "purpose", "write a code of the purpose catalogue")?;
        let in_time = |ms: u64| (1..=TIME_MAX_MS).contains(&ms);
        require(in_time(self.deadline_ms), "deadline_ms", "choose 1 to 60000")?;
        let counts = self.concurrent_calls_count > 0 && self.concurrent_profiles_count > 0;
        require(counts, "concurrent_calls_count, concurrent_profiles_count", "choose at least 1")?;
        let monitored = (1..=MONITORED_MAX_COUNT).contains(&self.concurrent_monitored_count);
        require(monitored, "concurrent_monitored_count", "choose 1 to 64")?;
        if let Some(store) = &self.store {
            let repair = "give one of directory and postgres, and a key_file with postgres";
            require(store.check().is_ok(), "store", repair)?;
        }
        let rests = self.breaker_failures_count > 0 && in_time(self.breaker_rest_ms);
        let repair = "choose at least 1 failure and a rest of 1 to 60000 ms";
        require(rests, "breaker_failures_count, breaker_rest_ms", repair)?;
        let few = self.sources.len() <= SOURCES_MAX_COUNT;
        require(few, "sources", "list at most 64 sources")?;
        for (at, source) in self.sources.iter().enumerate() {
            source.check(&format!("sources[{at}]"))?;
            let earlier = self.sources.iter().take(at).any(|other| other.name == source.name);
            require(!earlier, &format!("sources[{at}].name"), "give every source its own name")?;
        }
        let of_kind = |kind| self.sources.iter().filter(|source| source.kind == kind).count();
        let registries = of_kind(SourceKind::CivilRegistry);
        require(registries == 1, "sources", "list exactly one source of kind civil-registry")?;
        let populations = of_kind(SourceKind::Population);
        require(populations <= 1, "sources", "list at most one source of kind population")?;
        self.check_desk()
    }

    fn check_desk(&self) -> Result<(), ConfigError> {
        let own = self.spdci.as_ref().is_some_and(|spdci| spdci.store.is_some());
        require(!own, "spdci.store", "remove it: the register has one store, [store]")?;
        let needed = self.card.is_some() || self.spdci.is_some() || !self.officers.is_empty();
        let kept = self.store.is_some() || (!needed && self.event_sources.is_empty());
        require(
            kept,
            "store",
            "say where to keep cases, cards, life events and SPDCI's subscriptions",
        )?;
        let books = self.payments.is_none() || self.store.is_some();
        require(books, "store", "say where to keep the books of the payments")?;
        let sources = &self.event_sources;
        let twice = |at: usize, source: &EventSource| {
            let same =
                |other: &EventSource| other.client == source.client || other.name == source.name;
            sources.iter().take(at).any(same)
        };
        let unique = !sources.iter().enumerate().any(|(at, source)| twice(at, source));
        require(unique, "event_sources", "list every client and every name once")?;
        self.officers().map(drop)
    }

    fn check_hub(&self) -> Result<(), ConfigError> {
        let hub = self.hub();
        require(hub.is_some(), "hub_url", "write https://host:port or http://127.0.0.1:port")?;
        let encrypted = hub.is_some_and(|hub| hub.encrypted);
        let files = encrypted == self.tls.is_some();
        require(files, "tls", "give the files for https, and none for http")
    }
}

pub(super) fn require(holds: bool, key: &str, repair: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Value { key: key.to_owned(), repair }) }
}
