//! Policy: does a live grant permit this call?
//!
//! Default deny. A grant names a client (subsystem or group), a service or one endpoint, purposes
//! each with its legal basis, a validity, and conditions. [`Policy::decide`] gives a [`Permit`], which only this
//! module can make and which the next step consumes (promise P1), or a [`Refusal`] that says how near the
//! call came.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use schemas::clock::UnixMillis;
use schemas::identifier::{ServiceId, SubsystemId};
use schemas::limits::BASIS_TEXT_MAX_BYTES;
use serde::{Deserialize, Serialize};

use crate::path::{DecodedPath, NotAPattern, PathPattern};

/// A grant as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Names the grant in records.
    pub id: String,
    /// The subsystem that may call; exactly one of `client` and `group`.
    pub client: Option<SubsystemId>,
    /// The group of the global configuration whose members may call.
    pub group: Option<String>,
    /// The service.
    pub service: ServiceId,
    /// `METHOD /template`; without it the grant covers the whole service.
    pub endpoint: Option<String>,
    /// Purposes, each with the law it rests on.
    pub purposes: Vec<GrantedPurpose>,
    /// First moment, RFC 3339.
    pub valid_from: Option<String>,
    /// First moment after the grant, RFC 3339.
    pub valid_until: Option<String>,
    /// Calls per minute over all callers of the grant.
    pub rate_per_minute: Option<u32>,
    /// Most people that one call may ask about.
    pub subjects_max: Option<usize>,
}

/// A purpose that a grant allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedPurpose {
    /// The purpose's code.
    pub code: String,
    /// The law that it rests on.
    pub legal_basis: String,
}

/// Why a grant cannot be used. The texts name the grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Neither or both of client and group.
    #[error("grant {0}: name exactly one of client and group")]
    Client(String),
    /// The endpoint is not `METHOD /template`.
    #[error("grant {grant}: endpoint is not METHOD /template ({reason})")]
    Endpoint {
        /// The grant.
        grant: String,
        /// What is wrong.
        reason: String,
    },
    /// No purpose.
    #[error("grant {0}: name at least one purpose with its legal basis")]
    Purpose(String),
    /// A moment is not RFC 3339, or the validity is empty.
    #[error(
        "grant {0}: valid_from and valid_until are RFC 3339 moments, the first before the second"
    )]
    Validity(String),
    /// A text that answers carry and records hold is too long.
    #[error("grant {grant}: its {what} is longer than {BASIS_TEXT_MAX_BYTES} bytes")]
    TooLong {
        /// The grant, its beginning.
        grant: String,
        /// Which text.
        what: &'static str,
    },
    /// A limit of zero permits nothing.
    #[error("grant {0}: a limit of zero permits nothing; withdraw the grant instead")]
    Limit(String),
    /// Two grants have one id.
    #[error("grant {0}: another grant has the same id")]
    Repeated(String),
}

/// What is asked of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The authenticated client.
    pub client: &'a SubsystemId,
    /// The service.
    pub service: &'a ServiceId,
    /// The method.
    pub method: &'a str,
    /// The decoded path after the service code.
    pub path: &'a DecodedPath,
    /// The purpose that the caller states.
    pub purpose: Option<&'a str>,
    /// How many people the call asks about.
    pub subjects_count: usize,
}

/// The evidence that a live grant permits one call. Only [`Policy::decide`] makes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    grant: String,
    purpose: String,
    legal_basis: String,
}

impl Permit {
    /// The grant's id.
    #[must_use]
    pub fn grant(&self) -> &str {
        &self.grant
    }

    /// The purpose that holds: the caller's, or the only one of the grant.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// The legal basis for the purpose.
    #[must_use]
    pub fn legal_basis(&self) -> &str {
        &self.legal_basis
    }
}

/// Why a call is refused, from far to near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// The client has no grant for the service.
    #[error("no grant for this client and service")]
    NoGrant,
    /// The client has grants for the service, but not for this endpoint.
    #[error("no grant for this method and path")]
    Endpoint,
    /// The grant begins later.
    #[error("the grant is not yet valid")]
    NotYetValid,
    /// The grant has ended.
    #[error("the grant has ended")]
    Ended,
    /// The grant does not allow the purpose.
    #[error("the grant does not allow this purpose")]
    Purpose,
    /// The grant allows several purposes and the caller states none.
    #[error("the grant allows several purposes; state one in Koprik-Purpose")]
    PurposeMissing,
    /// More people than the grant allows in one call.
    #[error("the call asks about more people than the grant allows")]
    Subjects,
    /// More calls than the grant allows.
    #[error("more calls in a minute than the grant allows")]
    Rate,
}

/// The grants of one hub, indexed once.
#[derive(Debug, Default)]
pub struct Policy {
    by_service: HashMap<ServiceId, Vec<LiveGrant>>,
}

#[derive(Debug)]
struct LiveGrant {
    grant: Grant,
    endpoint: Option<(String, PathPattern)>,
    from: UnixMillis,
    until: UnixMillis,
    /// When the next call is due under the rate, in microseconds since the epoch (GCRA).
    next_due_us: AtomicU64,
}

impl Policy {
    /// Indexes the grants.
    ///
    /// # Errors
    /// [`GrantError`] naming the first grant that cannot be used.
    pub fn new(grants: &[Grant]) -> Result<Self, GrantError> {
        let mut ids = std::collections::HashSet::new();
        let mut by_service: HashMap<ServiceId, Vec<LiveGrant>> = HashMap::new();
        for grant in grants {
            if !ids.insert(grant.id.as_str()) {
                return Err(GrantError::Repeated(grant.id.clone()));
            }
            let live = LiveGrant::new(grant)?;
            by_service.entry(grant.service.clone()).or_default().push(live);
        }
        Ok(Self { by_service })
    }

    /// Decides one call at `now`; `in_group` asks the global configuration. A call that is judged again comes with
    /// the grant under which this policy has `counted` it: that one is asked first, and counts it no more.
    ///
    /// Cost: linear in the grants of the service.
    ///
    /// # Errors
    /// The [`Refusal`] of the grant that came nearest.
    pub fn decide(
        &self,
        call: &Call<'_>,
        now: UnixMillis,
        counted: Option<&str>,
        in_group: impl Fn(&str, &SubsystemId) -> bool,
    ) -> Result<Permit, Refusal> {
        let mut nearest = Refusal::NoGrant;
        let grants = || self.by_service.get(call.service).into_iter().flatten();
        let has_counted = |live: &&LiveGrant| counted == Some(live.grant.id.as_str());
        let others = grants().filter(|live| !has_counted(live));
        for live in grants().filter(has_counted).chain(others) {
            if !live.names(call.client, &in_group) {
                continue;
            }
            match live.decide(call, now, has_counted(&live)) {
                Ok(permit) => return Ok(permit),
                Err(refusal) => nearest = nearest.max(refusal),
            }
        }
        Err(nearest)
    }

    /// Whether a live grant names the client and the endpoint, whatever the purpose; for `allowedMethods`.
    #[must_use]
    pub fn allows_endpoint(
        &self,
        client: &SubsystemId,
        service: &ServiceId,
        endpoint: (&str, &str),
        now: UnixMillis,
        in_group: impl Fn(&str, &SubsystemId) -> bool,
    ) -> bool {
        let asked = PathPattern::parse(endpoint.1).ok();
        self.by_service.get(service).into_iter().flatten().any(|live| {
            let covered = live.endpoint.as_ref().is_none_or(|(method, pattern)| {
                method == endpoint.0 && asked.as_ref().is_some_and(|asked| pattern.covers(asked))
            });
            covered && live.from <= now && now < live.until && live.names(client, &in_group)
        })
    }
}

impl LiveGrant {
    fn new(grant: &Grant) -> Result<Self, GrantError> {
        let id = || grant.id.clone();
        let mut texts = vec![("id", &grant.id)];
        for purpose in &grant.purposes {
            texts.extend([("purpose", &purpose.code), ("legal basis", &purpose.legal_basis)]);
        }
        if let Some((what, _)) = texts.iter().find(|(_, text)| text.len() > BASIS_TEXT_MAX_BYTES) {
            let grant = grant.id.chars().take(64).collect();
            return Err(GrantError::TooLong { grant, what });
        }
        if grant.client.is_some() == grant.group.is_some() {
            return Err(GrantError::Client(id()));
        }
        if grant.purposes.is_empty() {
            return Err(GrantError::Purpose(id()));
        }
        if grant.rate_per_minute == Some(0) || grant.subjects_max == Some(0) {
            return Err(GrantError::Limit(id()));
        }
        let refused = |reason: String| GrantError::Endpoint { grant: id(), reason };
        let endpoint = match grant.endpoint.as_deref() {
            None => None,
            Some(text) => {
                let (method, pattern) = text
                    .split_once(' ')
                    .filter(|(method, _)| method.bytes().all(|b| b.is_ascii_uppercase()))
                    .ok_or_else(|| refused("the method is missing".into()))?;
                let pattern = PathPattern::parse(pattern)
                    .map_err(|error: NotAPattern| refused(error.to_string()))?;
                Some((method.to_owned(), pattern))
            }
        };
        let moment = |text: Option<&String>, otherwise| match text {
            None => Some(otherwise),
            Some(text) => UnixMillis::from_rfc3339(text),
        };
        let from = moment(grant.valid_from.as_ref(), UnixMillis(0));
        let until = moment(grant.valid_until.as_ref(), UnixMillis(u64::MAX));
        let (from, until) = from
            .zip(until)
            .filter(|(from, until)| from < until)
            .ok_or_else(|| GrantError::Validity(id()))?;
        let next_due_us = AtomicU64::new(0);
        Ok(Self { grant: grant.clone(), endpoint, from, until, next_due_us })
    }

    fn names(&self, client: &SubsystemId, in_group: impl Fn(&str, &SubsystemId) -> bool) -> bool {
        self.grant.client.as_ref() == Some(client)
            || self.grant.group.as_ref().is_some_and(|group| in_group(group, client))
    }

    fn decide(
        &self,
        call: &Call<'_>,
        now: UnixMillis,
        has_counted: bool,
    ) -> Result<Permit, Refusal> {
        let covers = self
            .endpoint
            .as_ref()
            .is_none_or(|(method, pattern)| method == call.method && pattern.matches(call.path));
        if !covers {
            return Err(Refusal::Endpoint);
        }
        if now < self.from {
            return Err(Refusal::NotYetValid);
        }
        if now >= self.until {
            return Err(Refusal::Ended);
        }
        let granted = match (call.purpose, self.grant.purposes.as_slice()) {
            (Some(code), purposes) => purposes.iter().find(|purpose| purpose.code == code),
            (None, [only]) => Some(only),
            (None, _) => return Err(Refusal::PurposeMissing),
        };
        let granted = granted.ok_or(Refusal::Purpose)?;
        if self.grant.subjects_max.is_some_and(|most| call.subjects_count > most) {
            return Err(Refusal::Subjects);
        }
        if !has_counted {
            self.take_turn(now)?;
        }
        Ok(Permit {
            grant: self.grant.id.clone(),
            purpose: granted.code.clone(),
            legal_basis: granted.legal_basis.clone(),
        })
    }

    /// The generic cell rate algorithm: a minute's calls may come at once, no more than that.
    fn take_turn(&self, now: UnixMillis) -> Result<(), Refusal> {
        const MINUTE_US: u64 = 60_000_000;
        let Some(rate) = self.grant.rate_per_minute else { return Ok(()) };
        let interval_us = (MINUTE_US / u64::from(rate)).max(1);
        let now_us = now.0.saturating_mul(1000);
        let turn = |due: u64| {
            let next = due.max(now_us) + interval_us;
            (next <= now_us + MINUTE_US).then_some(next)
        };
        let taken = self.next_due_us.fetch_update(Ordering::AcqRel, Ordering::Acquire, turn);
        taken.map(|_| ()).map_err(|_| Refusal::Rate)
    }
}

#[cfg(test)]
mod tests;
