//! The exchange without its shell: bytes and `now` in, decisions out.
//!
//! No sockets, files, clock, randomness or async. The order of an exchange is the order of the modules:
//! [`target`] reads the request line, [`headers`] says which headers travel, [`signature`] binds
//! them, [`configuration`] says who may sign, [`replay`] forgets nothing for a minute, [`contract`]
//! knows the service, [`policy`] permits or refuses, [`evidence`] proves it afterwards, with a [`timestamp`]
//! where there is one, [`reconcile`] compares what both sides recorded.

pub mod batch;
pub mod configuration;
pub mod contract;
pub mod evidence;
pub mod headers;
pub mod path;
pub mod policy;
pub mod reconcile;
pub mod replay;
pub mod report;
pub mod signature;
pub mod strict_json;
pub mod subjects;
pub mod target;
pub mod timestamp;
pub mod verification;
pub mod witnessed;
