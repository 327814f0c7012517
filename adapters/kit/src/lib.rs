//! Runs an adapter from its definition: a SQL database or an HTTP API becomes a service with a
//! contract.
//!
//! An adapter is a definition, not a program. `definition.toml` names the source, the OpenAPI
//! contract, and for each operation the SQL queries whose columns make up the answer. The kit
//! parses the request by the contract, binds parameters (never splices them), builds the answer,
//! and checks it against the contract's JSON Schema before it leaves.
//!
//! ```text
//! request → parameters (contract) → queries (definition) → rows → shape (contract) → check
//! ```
//!
//! It decides nothing about who may ask: that is the hub in front of it. It keeps no state, but for
//! the position of its [`Outbox`], which tells life events to others.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let definition = adapter_kit::Definition::load("adapters/tax/definition.toml".as_ref())?;
//! adapter_kit::prepare(&definition).await?;
//! let adapter = adapter_kit::start(definition, "127.0.0.1:0".parse()?).await?;
//! println!("tax answers on {}", adapter.address);
//! adapter.stop().await;
//! # Ok(()) }
//! ```

mod adapter;
mod bundle;
mod check;
mod config;
pub mod connections;
mod contract;
mod definition;
mod life_events;
mod limits;
mod outbox;
mod parameters;
mod prepare;
mod refusal;
mod server;
mod shape;
mod source;
pub mod spdci;
mod statement;
mod upstream;

pub use config::{AdapterConfig, AdapterConfigError};
pub use contract::{Contract, ContractError, Operation};
pub use definition::{Definition, DefinitionError};
pub use outbox::{Outbox, OutboxConfig, OutboxError, RunningOutbox};
pub use prepare::{PrepareError, load_seed, prepare};
pub use server::{RunningAdapter, StartError, start};
