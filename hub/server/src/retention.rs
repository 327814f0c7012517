//! Retention: which services' evidence is kept for how long, and the destruction of keys that are due.
//!
//! A destruction is two records, `erasing:KEY` before and `erased:KEY` after; `Vault` has the crash
//! table. Destruction by itself needs a valid global configuration in force, so that a clock that is
//! years ahead does not erase what is not due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query as UrlQuery, State};
use axum::http::StatusCode;
use hub_messagelog::vault::{Class, KeyName, KeyUse};
use schemas::clock::UnixMillis;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::admin::{Fault, not_found};
use crate::config::LogSection;
use crate::state::Hub;

/// Between two looks for keys that are due, and the first after the start.
const LOOK_INTERVAL: Duration = Duration::from_secs(3600);
/// Between two looks while there is no valid global configuration to hold the clock against.
const WAIT_INTERVAL: Duration = Duration::from_secs(1);

/// Retention classes and times.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    usual: Class,
    classes: HashMap<String, Class>,
    evidence_years: HashMap<Class, Option<u16>>,
    pseudonym_years: Option<u16>,
}

impl Retention {
    /// Reads the classes of a configuration.
    ///
    /// # Errors
    /// A code that is no class or stands twice; a service in two classes.
    pub(crate) fn new(log: &LogSection) -> Result<Self, String> {
        let mut retention =
            Self { pseudonym_years: log.retention_pseudonym_years, ..Self::default() };
        let usual = retention.usual.clone();
        retention.evidence_years.insert(usual, log.retention_evidence_years);
        for configured in &log.classes {
            let code = &configured.code;
            let class: Class =
                code.parse().map_err(|error| format!("log.classes: {code:?}: {error}"))?;
            let years = configured.retention_evidence_years;
            if retention.evidence_years.insert(class.clone(), years).is_some() {
                return Err(format!("log.classes: {code} stands twice, or is the usual class"));
            }
            for service in &configured.services {
                let service = service.as_str().to_owned();
                if retention.classes.insert(service.clone(), class.clone()).is_some() {
                    return Err(format!("log.classes: {service} is in two classes"));
                }
            }
        }
        Ok(retention)
    }

    /// The class of a service's records.
    pub(crate) fn class_of(&self, service: Option<&str>) -> &Class {
        service.and_then(|service| self.classes.get(service)).unwrap_or(&self.usual)
    }

    /// Whether a key's time is over. The keys of a class that is not configured any more are kept.
    fn is_due(&self, key: &KeyName, now: UnixMillis) -> bool {
        let years = match &key.key_use {
            KeyUse::Pseudonym => self.pseudonym_years,
            KeyUse::Evidence(class) => self.evidence_years.get(class).copied().flatten(),
        };
        let last_year = years.map(|years| i32::from(key.year) + i32::from(years));
        last_year.is_some_and(|last| i32::from(now.year()) > last)
    }
}

/// Destroys keys that are due, until told to stop.
pub(crate) async fn run(hub: Arc<Hub>, mut stop: watch::Receiver<bool>) {
    if let Err(error) = finish_interrupted(&hub).await {
        tracing::error!(
            error,
            "a destroyed key has no record of its end yet; trying again at the next start"
        );
    }
    loop {
        let certain = clock_is_certain(&hub);
        if certain && let Err(error) = destroy_due(&hub).await {
            tracing::error!(error, "a key that is due was not destroyed; trying again in an hour");
        }
        let interval = if certain { LOOK_INTERVAL } else { WAIT_INTERVAL };
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Whether the central server's clock bears this one out.
fn clock_is_certain(hub: &Hub) -> bool {
    hub.in_force.load().as_ref().is_some_and(|configuration| {
        let (document, now) = (configuration.document(), hub.clock.now());
        document.issued.minus(schemas::limits::CLOCK_SKEW) <= now && now < document.expires
    })
}

async fn destroy_due(hub: &Hub) -> Result<(), String> {
    let keys = hub.journal.vault.names().map_err(|error| error.to_string())?;
    let retention = &hub.journal.retention;
    let unknown: HashSet<&Class> = keys
        .iter()
        .filter_map(|key| match &key.key_use {
            KeyUse::Evidence(class) if !retention.evidence_years.contains_key(class) => Some(class),
            _ => None,
        })
        .collect();
    for class in unknown {
        tracing::warn!(%class, "keys of a retention class that is not configured are kept");
    }
    for key in keys.iter().filter(|key| retention.is_due(key, hub.clock.now())) {
        erase(hub, key).await?;
    }
    Ok(())
}

/// Destroys one key, with a record before and after.
async fn erase(hub: &Hub, key: &KeyName) -> Result<(), String> {
    let _alone = hub.journal.erasing.lock().await;
    let fail = |error: &dyn std::fmt::Display| error.to_string();
    hub.journal.act(&format!("erasing:{key}")).await.map_err(|error| fail(&error))?;
    hub.journal.vault.destroy(key).map_err(|error| fail(&error))?;
    tracing::warn!(%key, "the key was destroyed: what it sealed or linked is erased for good");
    record_end(hub, key).await
}

async fn record_end(hub: &Hub, key: &KeyName) -> Result<(), String> {
    let recorded = hub.journal.act(&format!("erased:{key}")).await;
    recorded.map_err(|error| error.to_string())?;
    hub.journal.vault.forget(key).map_err(|error| error.to_string())
}

/// Records the end of keys that were destroyed just before a crash.
async fn finish_interrupted(hub: &Hub) -> Result<(), String> {
    let _alone = hub.journal.erasing.lock().await;
    for key in hub.journal.vault.destroyed().map_err(|error| error.to_string())? {
        record_end(hub, &key).await?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erasure {
    /// The name of the key.
    key: String,
    /// The same again: whoever erases has read what.
    confirm: Option<String>,
}

/// `POST /v1/erase?key=KEY&confirm=KEY`: destroys a key now.
pub(crate) async fn erase_by_operator(
    State(hub): State<Arc<Hub>>,
    UrlQuery(asked): UrlQuery<Erasure>,
) -> Result<Json<Value>, Fault> {
    let refused = |text: String| Fault(StatusCode::BAD_REQUEST, text);
    let key: KeyName = asked.key.parse().map_err(|error| refused(format!("{error}")))?;
    let failed = |text: String| Fault(StatusCode::INTERNAL_SERVER_ERROR, text);
    let kept = hub.journal.vault.names().map_err(|error| failed(error.to_string()))?;
    if !kept.contains(&key) {
        let names: Vec<String> = kept.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        return Err(not_found(&format!("this hub has no key {key}; it has {names}")));
    }
    if asked.confirm.as_deref() != Some(asked.key.as_str()) {
        return Err(refused(format!(
            "destroying {key} cannot be undone; add confirm={key} to do it"
        )));
    }
    erase(&hub, &key).await.map_err(failed)?;
    Ok(Json(json!({ "erased": key.to_string() })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RetentionClass;

    fn class(code: &str, services: &[&str], years: Option<u16>) -> RetentionClass {
        let services = services.iter().map(|service| service.parse().unwrap()).collect();
        RetentionClass { code: code.to_owned(), services, retention_evidence_years: years }
    }

    fn section(classes: Vec<RetentionClass>) -> LogSection {
        LogSection {
            retention_evidence_years: Some(1),
            retention_pseudonym_years: Some(3),
            classes,
            ..LogSection::default()
        }
    }

    fn at(text: &str) -> UnixMillis {
        UnixMillis::from_rfc3339(text).unwrap()
    }

    #[test]
    fn a_key_is_due_after_the_whole_years_of_its_class() {
        let paid = class("payment", &["UZ/FIN/TRE/pay/order"], Some(10));
        let kept = class("covert", &["UZ/GOV/X/y/z"], None);
        let retention = Retention::new(&section(vec![paid, kept])).unwrap();
        assert_eq!(retention.class_of(Some("UZ/FIN/TRE/pay/order")).as_str(), "payment");
        assert!(retention.class_of(Some("UZ/FIN/TRE/pay/other")).is_usual());
        assert!(retention.class_of(None).is_usual());
        for (key, last, first) in [
            ("evidence-2026", "2027-12-31T23:59:59Z", "2028-01-01T00:00:00Z"),
            ("pseudonym-2026", "2029-12-31T23:59:59Z", "2030-01-01T00:00:00Z"),
            ("evidence-payment-2026", "2036-12-31T23:59:59Z", "2037-01-01T00:00:00Z"),
        ] {
            let key: KeyName = key.parse().unwrap();
            assert!(!retention.is_due(&key, at(last)), "{key}");
            assert!(retention.is_due(&key, at(first)), "{key}");
        }
        for kept in ["evidence-covert-2026", "evidence-unknown-2026"] {
            assert!(!retention.is_due(&kept.parse().unwrap(), at("2999-01-01T00:00:00Z")));
        }
    }

    #[test]
    fn classes_that_contradict_each_other_are_refused() {
        let service = "UZ/FIN/TRE/pay/order";
        for (classes, words) in [
            (vec![class("Payment", &[], None)], "lower-case"),
            (vec![class("exchange", &[], None)], "usual class"),
            (vec![class("a", &[], None), class("a", &[], None)], "stands twice"),
            (vec![class("a", &[service], None), class("b", &[service], None)], "two classes"),
        ] {
            let refused = Retention::new(&section(classes)).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
