//! SPDCI v1.0.0: the interface by which registries of social protection speak with each other.
//!
//! ```text
//! partner ──POST──► api ──► envelope (token, signature, header) ──► message ──► Registry
//!         ◄─callback─ courier ◄── state (transactions, deliveries, subscriptions, durable)
//! ```
//!
//! The protocol is here, the data behind [`registry::Registry`]: the social register and adapters
//! implement it. What the specification leaves open is decided in `docs/spdci.md`. Left out:
//! encrypted messages (JWE) and file uploads, which are refused by name.

mod api;
pub mod beneficiaries;
pub mod codes;
pub mod courier;
pub mod envelope;
pub mod filter;
pub mod jws;
pub mod limits;
pub mod moment;
pub mod partner;
pub mod post;
pub mod query;
pub mod registry;
pub mod search;
pub mod server;
pub mod service;
pub mod signature;
pub mod state;
pub mod status;
pub mod subject;
pub mod subscribe;
pub mod token;

pub use api::routes;
pub use server::{RunningSpdci, start, start_on};
pub use service::{Service, SpdciConfig, SpdciFault};
