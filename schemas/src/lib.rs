//! The vocabulary of Koʻprik without I/O: identifiers, problem codes, global configuration, records,
//! transparency-log structures and evidence files. Everything here is a value: it is parsed once
//! at the door and cannot be wrong afterwards. No sockets, files or randomness; the one look at
//! the machine's clock stands in [`clock`].

pub mod clock;
pub mod configuration;
pub mod digest;
pub mod encoding;
pub mod evidence;
pub mod identifier;
pub mod limits;
pub mod pinfl;
pub mod problem;
pub mod reconcile;
pub mod record;
pub mod tlog;
