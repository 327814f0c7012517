//! The configuration keys that are trusted for the next version, and their threshold.

use schemas::configuration::ConfigurationKeys;
use schemas::tlog::{Note, NoteError, NoteVerifier};

use super::ConfigurationRefusal;

/// More keys than this would make a note longer than C2SP asks verifiers to take.
const KEYS_MAX_COUNT: usize = 16;

/// Parsed keys: distinct, and enough of them to reach the threshold.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// As they stood in the anchor or the document, to be stored beside the note that they verify.
    wire: ConfigurationKeys,
    verifiers: Vec<NoteVerifier>,
}

impl Keys {
    pub(super) fn wire(&self) -> &ConfigurationKeys {
        &self.wire
    }

    /// Parses the keys of an anchor or a document; the text is the cause of a refusal.
    pub(super) fn parse(keys: &ConfigurationKeys) -> Result<Self, String> {
        let count = keys.verifiers.len();
        if keys.threshold == 0 || keys.threshold > count || count > KEYS_MAX_COUNT {
            return Err(format!(
                "threshold {} of {count} configuration keys; it lies between 1 and their number, \
                 which is at most {KEYS_MAX_COUNT}",
                keys.threshold
            ));
        }
        let parsed = keys.verifiers.iter().map(|text| text.parse::<NoteVerifier>());
        let verifiers: Vec<_> =
            parsed.collect::<Result<_, NoteError>>().map_err(|refused| refused.to_string())?;
        // One key under two names would count twice.
        let repeated = |(at, key): (usize, &NoteVerifier)| {
            verifiers.iter().take(at).any(|other| other.public_key() == key.public_key())
        };
        if verifiers.iter().enumerate().any(repeated) {
            return Err("a configuration key is listed twice".to_owned());
        }
        Ok(Self { wire: keys.clone(), verifiers })
    }

    /// Checks that enough of the keys signed. A false signature in the name of a trusted key
    /// refuses the note, however many others are right (C2SP signed-note).
    pub(super) fn check(&self, note: &Note) -> Result<(), ConfigurationRefusal> {
        let mut valid = 0;
        for verifier in &self.verifiers {
            match verifier.verify(note) {
                Ok(()) => valid += 1,
                Err(NoteError::NotSigned(_)) => {}
                Err(refused) => return Err(ConfigurationRefusal::malformed(refused)),
            }
        }
        let needed = self.wire.threshold;
        if valid < needed {
            Err(ConfigurationRefusal::BelowThreshold { valid, needed })
        } else {
            Ok(())
        }
    }
}
