//! Treasury and bank as parties of the payments, and the shell that runs any party.
//!
//! The rules of the register's side and the messages stand in `register::payment`, where the
//! drawing of the flow is too.

pub mod bank;
pub mod treasury;
