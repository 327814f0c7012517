//! Which configuration follows which: the chain from the anchor to the version in force.

use std::ops::RangeInclusive;

use schemas::clock::UnixMillis;
use schemas::configuration::{Anchor, ConfigurationKeys, GlobalConfiguration};
use schemas::digest::Sha256;
use schemas::limits::{CLOCK_SKEW, CONFIGURATION_CATCH_UP_COUNT, CONFIGURATION_MAX_BYTES};
use schemas::tlog::Note;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::{AnchorRefusal, ConfigurationInForce, ConfigurationRefusal, check_content};

/// What the next configuration is checked against: the anchor, or the last accepted version.
#[derive(Clone, Debug)]
pub struct Trusted {
    instance: String,
    keys: Keys,
    last: Option<Last>,
}

/// The version that was accepted last.
#[derive(Clone, Debug)]
struct Last {
    version: u64,
    hash: Sha256,
    signed_by: Keys,
}

/// An accepted configuration.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What it says.
    pub in_force: ConfigurationInForce,
    /// What the next version is checked against.
    pub trusted: Trusted,
}

impl Accepted {
    /// What the hub writes to its disk, to start from it next time.
    #[must_use]
    pub fn stored(&self) -> Stored {
        Stored {
            instance: self.trusted.instance.clone(),
            keys: self.trusted.signed_by().wire().clone(),
            note: self.in_force.note().to_owned(),
        }
    }
}

/// The last good configuration on disk with the keys that it was accepted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// The instance.
    pub instance: String,
    /// The keys that signed the note: those of the version before, or of the anchor.
    pub keys: ConfigurationKeys,
    /// The note, byte for byte as received.
    pub note: String,
}

/// Whether the end of the validity is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Refused,
    Allowed,
}

impl Trusted {
    /// Trust in the keys of an anchor. Any version that they sign is accepted first.
    ///
    /// # Errors
    /// [`AnchorRefusal`] when the keys are not usable.
    pub fn from_anchor(anchor: &Anchor) -> Result<Self, AnchorRefusal> {
        Self::new(&anchor.instance, &anchor.keys).map_err(AnchorRefusal)
    }

    fn new(instance: &str, keys: &ConfigurationKeys) -> Result<Self, String> {
        Ok(Self { instance: instance.to_owned(), keys: Keys::parse(keys)?, last: None })
    }

    /// Takes up the last good configuration from disk, expired or not: a hub that was off for days
    /// catches up from it. Ask [`ConfigurationInForce::expired_at`] before traffic.
    ///
    /// # Errors
    /// [`ConfigurationRefusal`] when the file was changed.
    pub fn restore(stored: &Stored, now: UnixMillis) -> Result<Accepted, ConfigurationRefusal> {
        let trusted = Self::new(&stored.instance, &stored.keys);
        trusted.map_err(ConfigurationRefusal::malformed)?.step(&stored.note, now, Expiry::Allowed)
    }

    /// The version that was accepted last; none right after the anchor.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.last.as_ref().map(|last| last.version)
    }

    /// The hash of the version that was accepted last.
    #[must_use]
    pub fn hash(&self) -> Option<Sha256> {
        self.last.as_ref().map(|last| last.hash)
    }

    /// Checks an offered configuration and gives the one in force from now on. The version that is
    /// held already is accepted again when its content is the same.
    ///
    /// # Errors
    /// [`ConfigurationRefusal`]; the configuration in force stays what it was.
    pub fn accept(&self, note: &str, now: UnixMillis) -> Result<Accepted, ConfigurationRefusal> {
        self.step(note, now, Expiry::Refused)
    }

    /// Checks a configuration on the way to the newest one: as [`Trusted::accept`], but it may have
    /// expired, as it does not come into force.
    ///
    /// # Errors
    /// [`ConfigurationRefusal`], never `Expired`.
    pub fn accept_intermediate(
        &self,
        note: &str,
        now: UnixMillis,
    ) -> Result<Self, ConfigurationRefusal> {
        self.check(note, now, Expiry::Allowed).map(|(_, _, trusted)| trusted)
    }

    /// The versions to fetch, in order, to get to `latest`: all but the last go through
    /// [`Trusted::accept_intermediate`], the last through [`Trusted::accept`]. `None` when `latest`
    /// is held.
    ///
    /// # Errors
    /// [`ConfigurationRefusal::Rollback`] and [`ConfigurationRefusal::TooFarBehind`].
    pub fn versions_to_fetch(
        &self,
        latest: u64,
    ) -> Result<Option<RangeInclusive<u64>>, ConfigurationRefusal> {
        let Some(held) = self.version() else { return Ok(Some(latest..=latest)) };
        if latest < held {
            return Err(ConfigurationRefusal::Rollback { offered: latest, held });
        }
        let (missed, limit) = (latest - held, CONFIGURATION_CATCH_UP_COUNT);
        if missed > limit {
            return Err(ConfigurationRefusal::TooFarBehind { missed, limit });
        }
        Ok((missed > 0).then_some(held + 1..=latest))
    }

    fn step(
        &self,
        text: &str,
        now: UnixMillis,
        expiry: Expiry,
    ) -> Result<Accepted, ConfigurationRefusal> {
        let (document, hash, trusted) = self.check(text, now, expiry)?;
        let in_force = ConfigurationInForce::new(document, text.to_owned(), hash, now);
        Ok(Accepted { in_force, trusted })
    }

    fn check(
        &self,
        text: &str,
        now: UnixMillis,
        expiry: Expiry,
    ) -> Result<(GlobalConfiguration, Sha256, Self), ConfigurationRefusal> {
        let note = Note::parse_up_to(CONFIGURATION_MAX_BYTES, text);
        let note = note.map_err(ConfigurationRefusal::malformed)?;
        let document = document_line(&note)?;
        let hash = Sha256::of(document.as_bytes());
        // The version that is held was signed by the keys before its own.
        let held = self.hash() == Some(hash);
        let signed_by = if held { self.signed_by() } else { &self.keys };
        signed_by.check(&note)?;
        let document = self.read(document)?;
        self.check_chain(&document, hash)?;
        check_times(&document, now, expiry)?;
        let faults = check_content(&document.instance, &document.content);
        faults.map_err(ConfigurationRefusal::malformed)?;
        let keys = Keys::parse(&document.keys).map_err(ConfigurationRefusal::malformed)?;
        let trusted = Self {
            instance: self.instance.clone(),
            keys,
            last: Some(Last { version: document.version, hash, signed_by: signed_by.clone() }),
        };
        Ok((document, hash, trusted))
    }

    /// The keys that signed the version held; right after the anchor those of the anchor.
    fn signed_by(&self) -> &Keys {
        self.last.as_ref().map_or(&self.keys, |last| &last.signed_by)
    }

    fn read(&self, document: &str) -> Result<GlobalConfiguration, ConfigurationRefusal> {
        let document: GlobalConfiguration =
            serde_json::from_str(document).map_err(ConfigurationRefusal::malformed)?;
        if document.format != 1 {
            return Err(ConfigurationRefusal::malformed(format!(
                "format {} is not known to this hub, which has to be updated first",
                document.format
            )));
        }
        if document.instance != self.instance {
            let own = self.instance.clone();
            return Err(ConfigurationRefusal::WrongInstance { offered: document.instance, own });
        }
        Ok(document)
    }

    fn check_chain(
        &self,
        document: &GlobalConfiguration,
        hash: Sha256,
    ) -> Result<(), ConfigurationRefusal> {
        let offered = document.version;
        if offered == 0 || (offered == 1) != document.previous.is_none() {
            let cause = "versions begin at 1, and each later one names the one before";
            return Err(ConfigurationRefusal::malformed(cause));
        }
        let Some(last) = &self.last else { return Ok(()) };
        let (held, held_hash) = (last.version, last.hash);
        match offered {
            older if older < held => Err(ConfigurationRefusal::Rollback { offered, held }),
            same if same == held && hash == held_hash => Ok(()),
            same if same == held => Err(ConfigurationRefusal::Fork { version: held }),
            next if next - held > 1 => Err(ConfigurationRefusal::Gap { offered, held }),
            _ if document.previous == Some(held_hash) => Ok(()),
            _ => Err(ConfigurationRefusal::Fork { version: held }),
        }
    }
}

/// The version that a note claims, unverified: only good for asking for the versions up to it.
#[must_use]
pub fn offered_version(note: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let document = note.get(..note.find('\n')?)?;
    serde_json::from_str::<Versioned>(document).ok().map(|claim| claim.version)
}

/// The note's one line without its newline.
fn document_line(note: &Note) -> Result<&str, ConfigurationRefusal> {
    let line = note.text().strip_suffix('\n').filter(|line| !line.contains('\n'));
    line.ok_or_else(|| ConfigurationRefusal::malformed("the document is not one line"))
}

fn check_times(
    document: &GlobalConfiguration,
    now: UnixMillis,
    expiry: Expiry,
) -> Result<(), ConfigurationRefusal> {
    let GlobalConfiguration { issued, expires, .. } = *document;
    if expires <= issued {
        return Err(ConfigurationRefusal::malformed("it expires before it is issued"));
    }
    if issued > now.plus(CLOCK_SKEW) {
        return Err(ConfigurationRefusal::NotYetIssued { issued });
    }
    if expiry == Expiry::Refused && expires <= now {
        return Err(ConfigurationRefusal::Expired { expires });
    }
    Ok(())
}
