//! A security server that keeps to no rule. It speaks to a hub's peer port ([`RogueConsumer`]) or answers in
//! a hub's place ([`RogueProvider`]), with any authentication and signing keys, any times, any bytes.
//!
//! Requests and answers are first made as an honest hub makes them, so that a test changes one thing and
//! knows what the refusal is for.

mod consumer;
mod keys;
mod message;
mod provider;
mod slow;

pub use consumer::{Connection, RogueConsumer};
pub use keys::{SigningKeys, identity, unregistered_identity};
pub use message::{honest_answer, request, sign_answer, sign_batch, sign_request};
pub use provider::RogueProvider;
pub(crate) use provider::open;
pub use slow::Pause;
