//! Sessions of caseworkers: a token for forms, and the profiles that the session may show.
//!
//! In memory only and bounded: stopping the register forgets all of them. A profile is found by an
//! opaque identifier and in its own session only, so that a URL names nobody and opens nothing
//! elsewhere. Left out: who the officer is, which is for whatever stands in front of the register.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use register::profile::Profile;
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::limits::{PAGES_IDLE, PAGES_PROFILES_PER_SESSION_MAX_COUNT, PAGES_SESSIONS_MAX_COUNT};
use uuid::Uuid;

/// A profile as it is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The profile, read from the very bytes that the hash is of.
    pub(crate) profile: Profile,
    /// SHA-256 of its canonical JSON.
    pub(crate) hash: Sha256,
}

struct Session {
    token: String,
    used_at: UnixMillis,
    profiles: VecDeque<(String, Arc<Shown>)>,
}

/// All sessions of a register.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<String, Session>>);

/// A session that a request belongs to.
#[derive(Clone)]
pub(crate) struct Ticket {
    /// The cookie's value.
    pub(crate) session: String,
    /// What forms of this session carry.
    pub(crate) token: String,
}

impl Sessions {
    /// The session of a cookie when it is still kept.
    pub(crate) fn resume(&self, cookie: &str, now: UnixMillis) -> Option<Ticket> {
        let mut sessions = self.lock();
        sessions.retain(|_, session| now.since(session.used_at) < PAGES_IDLE);
        let session = sessions.get_mut(cookie)?;
        session.used_at = now;
        Some(Ticket { session: cookie.to_owned(), token: session.token.clone() })
    }

    /// A new session; when all places are taken, the one unused for longest makes room.
    pub(crate) fn begin(&self, now: UnixMillis) -> Ticket {
        let random = || Uuid::new_v4().simple().to_string();
        let ticket = Ticket { session: random(), token: random() };
        let mut sessions = self.lock();
        if sessions.len() >= PAGES_SESSIONS_MAX_COUNT {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used_at);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                sessions.remove(&oldest);
            }
        }
        let token = ticket.token.clone();
        let session = Session { token, used_at: now, profiles: VecDeque::new() };
        sessions.insert(ticket.session.clone(), session);
        ticket
    }

    /// Keeps a profile for the session and gives the identifier that opens it there.
    pub(crate) fn keep(&self, ticket: &Ticket, shown: Shown) -> String {
        let identifier = Uuid::new_v4().simple().to_string();
        if let Some(session) = self.lock().get_mut(&ticket.session) {
            session.profiles.push_back((identifier.clone(), Arc::new(shown)));
            if session.profiles.len() > PAGES_PROFILES_PER_SESSION_MAX_COUNT {
                session.profiles.pop_front();
            }
        }
        identifier
    }

    /// The profile with this identifier, in its own session only.
    pub(crate) fn find(&self, ticket: &Ticket, identifier: &str) -> Option<Arc<Shown>> {
        let sessions = self.lock();
        let mut profiles = sessions.get(&ticket.session)?.profiles.iter();
        profiles.find(|(name, _)| name == identifier).map(|(_, shown)| shown.clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        // Safe because: no step above leaves a session half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Whether a form belongs to this session. Digests are compared, so that the time that it takes
    /// says nothing about the token.
    pub(crate) fn admits(&self, token: &str) -> bool {
        Sha256::of(token.as_bytes()) == Sha256::of(self.token.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_772_446_500_000);

    #[test]
    fn unused_session_ends_and_a_used_one_goes_on() {
        let sessions = Sessions::default();
        let (left, used) = (sessions.begin(NOW), sessions.begin(NOW));
        let later = NOW.plus(PAGES_IDLE - Duration::from_secs(1));
        assert!(sessions.resume(&used.session, later).is_some());
        let end = NOW.plus(PAGES_IDLE);
        assert!(sessions.resume(&left.session, end).is_none());
        assert!(sessions.resume(&used.session, end).is_some());
    }

    #[test]
    fn a_full_register_drops_the_session_unused_for_longest() {
        let sessions = Sessions::default();
        let first = sessions.begin(NOW);
        let second = sessions.begin(NOW.plus(Duration::from_millis(1)));
        for _ in 1..PAGES_SESSIONS_MAX_COUNT {
            sessions.begin(NOW.plus(Duration::from_millis(2)));
        }
        assert!(sessions.resume(&first.session, NOW).is_none());
        assert!(sessions.resume(&second.session, NOW).is_some());
        assert_eq!(sessions.lock().len(), PAGES_SESSIONS_MAX_COUNT);
    }

    #[test]
    fn forms_of_another_session_are_not_admitted() {
        let sessions = Sessions::default();
        let (mine, other) = (sessions.begin(NOW), sessions.begin(NOW));
        assert!(mine.admits(&mine.token));
        assert!(!mine.admits(&other.token) && !mine.admits(""));
    }
}
