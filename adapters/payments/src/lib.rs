//! Treasury and bank as parties of the payments, and the shell that runs any party.
//!
//! ```text
//! hub ─► inbox ─► Desk { Ledger<Party> + Books } ─► sender ─► courier ─► own hub
//! ```
//!
//! The rules of the register's side and the messages stand in `register::payment`, with the drawing
//! of the flow. [`Desk`] makes a step durable before its answer leaves; [`sender`] sends what a
//! desk has committed until it is answered. [`server`] runs treasury and bank; the register's
//! server has a desk of its own.

pub mod bank;
pub mod books;
pub mod config;
pub mod contract;
pub mod courier;
pub mod desk;
mod govstack;
pub mod inbox;
pub mod sender;
pub mod server;
pub mod treasury;

pub use books::{Books, BooksError, RegisterBooks, SqliteBooks, SqliteError};
pub use config::{ConfigError, PaymentPartyConfig};
pub use courier::{Courier, HubCourier, Undelivered};
pub use desk::{ActError, Desk, DeskError};
pub use server::{RunningParty, StartError, start_bank, start_treasury};
