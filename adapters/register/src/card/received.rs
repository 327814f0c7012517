//! Benefits and services that people have received, across agencies.

use jiff::civil::Date;
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::identifier::ClientId;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::money::Soum;
use crate::redact::redact;

/// Characters of a code or reference.
const TEXT_MAX_CHARS: usize = 64;

/// A benefit or service that a person has received from an agency.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// Follows from the agency and its reference, so that a repetition is the same.
    pub id: String,
    /// Who received it.
    pub holder: Pinfl,
    /// The agency that gave it, as the exchange names it.
    pub agency: ClientId,
    /// The agency's own reference.
    pub reference: String,
    /// What was received, such as `child-benefit`.
    pub code: String,
    /// How much, where it is money.
    pub soum: Option<Soum>,
    /// On which day.
    pub on: Date,
    /// When the register was told.
    pub recorded_at: UnixMillis,
}
redact!(Received);

/// Why a report is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReceived {
    /// Code or reference.
    #[error("code and reference are 1 to 64 printable characters without spaces; correct them")]
    Text,
    /// The day.
    #[error("the day has not come yet; correct it")]
    FutureDay,
}

impl Received {
    /// Checks a report; its `id` and `recorded_at` are set here.
    ///
    /// # Errors
    /// [`NotReceived`].
    pub fn checked(mut self, today: Date, now: UnixMillis) -> Result<Self, NotReceived> {
        let good = |text: &str| {
            (1..=TEXT_MAX_CHARS).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !good(&self.code) || !good(&self.reference) {
            return Err(NotReceived::Text);
        }
        if self.on > today {
            return Err(NotReceived::FutureDay);
        }
        let parts: [&[u8]; 3] = [self.agency.as_str().as_bytes(), b"\n", self.reference.as_bytes()];
        self.id = Sha256::of_parts(&parts).to_string();
        self.recorded_at = now;
        Ok(self)
    }

    /// Whether two reports say the same, whenever they came.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let told = |report: &Self| Self { recorded_at: UnixMillis(0), ..report.clone() };
        told(self) == told(other)
    }
}
