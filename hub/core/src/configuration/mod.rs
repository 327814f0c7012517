//! The global configuration on a security server: which version is trusted, and what it says.
//!
//! A configuration is a C2SP signed note; its text is one line of canonical JSON (RFC 8785), the
//! document. SHA-256 of the document without its newline is the configuration's hash: the next
//! version names it, so versions form a chain. The keys in version n sign version n + 1; the keys
//! of the anchor sign the first one a newcomer sees.
//!
//! ```text
//!  Anchor ──► Trusted ──accept(note)──► Accepted { in_force, trusted } ──► accept(next note) …
//!                 │                         └──► stored() ──► disk ──► Trusted::restore
//!                 └──► ConfigurationRefusal: the last good one stays
//! ```
//!
//! Pure: the caller fetches and stores. What is on disk is **trusted**: who can change it can make
//! the hub follow another chain of configurations.

mod content;
mod in_force;
mod keys;
mod refusal;
mod sign;
mod trusted;
mod witnesses;

pub(crate) use content::timestamp_authorities;
pub use content::{ContentFaults, check_certificates, check_content};
pub use in_force::{ConfigurationInForce, KeyNotUsable, MemberKey};
pub use refusal::{AnchorRefusal, ConfigurationRefusal};
pub use sign::{SignFailure, document_text, sign};
pub use trusted::{Accepted, Stored, Trusted, offered_version};
pub use witnesses::{ListedWitness, WitnessPlace, witness_policy_in};

#[cfg(test)]
mod tests;
