//! The social register's rules without I/O: from the sources' answers to a household profile.
//!
//! The way of a case: [`source::Answers`] of the civil registry give the family
//! ([`composition`]), further answers its members' income and property; [`assessment`] weighs them
//! by a dated rule version ([`rules`]) in three-valued logic, so that a decision stands only when
//! no absent source could change it; [`profile`] is the whole as canonical JSON with a hash, and
//! [`render`] the same for people to read, with the family as a [`drawing`].
//!
//! [`application`] is the way of an application from filing to notice, with its deadlines.
//! Beside it stand the E-Case ([`ecase`]), the Social Card ([`card`]) and life events
//! ([`life_event`]); who may do what is one table ([`access`]).
//!
//! Left out: calling the sources, storing, and the clock, which are `register-server`'s.

mod redact;

pub mod access;
pub mod answers;
pub mod application;
pub mod assessment;
pub mod card;
pub mod case;
pub mod composition;
pub mod condition;
pub mod day;
pub mod decision;
pub mod drawing;
pub mod ecase;
mod exclusion;
mod fraction;
pub mod income;
pub mod letter;
pub mod life_event;
pub mod money;
pub mod month;
pub mod payment;
pub mod profile;
pub mod render;
pub mod replay;
pub mod rules;
pub mod source;
