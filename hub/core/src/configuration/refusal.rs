//! Why a global configuration is not taken. The side is the central server's unless the text says
//! otherwise; in every case the last good configuration stays in force until it expires.

use schemas::clock::UnixMillis;

/// Why an offered configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationRefusal {
    /// An older version than the one held.
    #[error(
        "central server: it offers version {offered} after version {held}, which could bring back \
         what was revoked; its operator restores the newest version from the central server's log"
    )]
    Rollback {
        /// The version offered.
        offered: u64,
        /// The version held.
        held: u64,
    },
    /// Two different documents for one version.
    #[error(
        "central server: version {version} exists with two different contents, so this hub and \
         others are shown different worlds; stop, compare {version} in the central server's log \
         with other members, and ask the administrator of the exchange"
    )]
    Fork {
        /// The version that exists twice.
        version: u64,
    },
    /// A later version than the next one.
    #[error(
        "own side: version {offered} does not follow version {held} directly; fetch the versions \
         in between from the central server in order"
    )]
    Gap {
        /// The version offered.
        offered: u64,
        /// The version held.
        held: u64,
    },
    /// More versions were missed than are caught up with.
    #[error(
        "own side: {missed} versions were missed and at most {limit} are caught up with; get the \
         current anchor from the administrator of the exchange and start from it"
    )]
    TooFarBehind {
        /// Versions between the one held and the one offered.
        missed: u64,
        /// The limit.
        limit: u64,
    },
    /// Too few of the trusted keys signed.
    #[error(
        "central server: {valid} of the trusted configuration keys signed and {needed} are \
         needed; if the keys were changed since this hub's anchor was made, get the current \
         anchor from the administrator of the exchange, otherwise its operator signs with all its \
         keys"
    )]
    BelowThreshold {
        /// Trusted keys that signed.
        valid: usize,
        /// The threshold.
        needed: usize,
    },
    /// The configuration is that of another instance.
    #[error(
        "central server: the configuration is that of instance `{offered}`, this hub belongs to \
         `{own}`; correct the address of the central server or the anchor"
    )]
    WrongInstance {
        /// The instance of the configuration.
        offered: String,
        /// The hub's instance.
        own: String,
    },
    /// The validity is over.
    #[error(
        "central server: the configuration expired at {expires}; its operator starts the central \
         server again, which signs a new version (if the date is in the future: correct this \
         hub's clock)"
    )]
    Expired {
        /// End of the validity.
        expires: UnixMillis,
    },
    /// Signed in the future.
    #[error(
        "own side or central server: the configuration is issued at {issued}, which is in this \
         hub's future; correct the clock that is wrong"
    )]
    NotYetIssued {
        /// When it says that it was signed.
        issued: UnixMillis,
    },
    /// Not a configuration, or one that contradicts itself.
    #[error(
        "central server: the configuration is malformed: {cause}; fetch it again, then tell its \
         operator"
    )]
    Malformed {
        /// What is wrong.
        cause: String,
    },
}

impl ConfigurationRefusal {
    pub(super) fn malformed(cause: impl ToString) -> Self {
        Self::Malformed { cause: cause.to_string() }
    }
}

/// The anchor cannot be trusted with anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "own side: the configuration anchor is refused: {0}; get it again from the administrator of \
     the exchange"
)]
pub struct AnchorRefusal(pub(super) String);
