//! Limits of the interface, with their unit and reason.

use std::time::Duration;

/// Bytes of one message: a batch of 100 searches is far below.
pub const MESSAGE_MAX_BYTES: usize = 256 * 1024;
/// Characters of `transaction_id`, `correlation_id` and subscription codes (OpenAPI: maxLength 99).
pub const ID_MAX_CHARS: usize = 99;
/// Characters of `message_id`, `reference_id` and `sender_id`; the OpenAPI documents give none.
pub const NAME_MAX_CHARS: usize = 255;
/// Requests in one message.
pub const REQUESTS_MAX_COUNT: usize = 100;
/// Records on one page.
pub const PAGE_MAX_COUNT: u64 = 200;
/// Records on a page when none is asked for.
pub const PAGE_DEFAULT_COUNT: u64 = 50;
/// Records before the page that is asked for: a source would have to walk over them.
pub const SKIPPED_MAX_COUNT: u64 = 1_000_000;
/// Comparisons in one query.
pub const COMPARISONS_MAX_COUNT: usize = 64;
/// How deep a query may be nested.
pub const DEPTH_MAX: usize = 8;
/// Values in one `in`.
pub const VALUES_MAX_COUNT: usize = 100;
/// Characters of one value of a query.
pub const VALUE_MAX_CHARS: usize = 255;
/// How long an access token is good: a stolen one is soon worthless, and a partner asks four times an hour.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long a header-like signature may be good, and the skew allowed: what OpenSPP's implementation has.
pub const SIGNATURE_LIFETIME: Duration = Duration::from_secs(300);
/// How far the sender's clock may be ahead.
pub const SKEW: Duration = Duration::from_secs(60);
/// How old a message may be; its id is remembered longer than that, so that none is taken twice.
pub const MESSAGE_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Messages of one partner that wait for their answer to be delivered.
pub const WAITING_MAX_COUNT: usize = 200;
/// Subscriptions of one partner in force.
pub const SUBSCRIPTIONS_MAX_COUNT: usize = 1_000;
/// How long a callback under way is left alone by other nodes.
pub const LEASE: Duration = Duration::from_secs(60);
/// Transactions in one answer about their status.
pub const STATUSES_MAX_COUNT: usize = 100;
/// Attempts to deliver one callback; with the waits below they span about a day.
pub const ATTEMPTS_MAX_COUNT: u32 = 16;
/// Wait before the second attempt; it doubles.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
pub const LONGEST_WAIT: Duration = Duration::from_secs(2 * 3600);
/// Time for one callback.
pub const CALLBACK_TIMEOUT: Duration = Duration::from_secs(10);
/// Callbacks under way at once.
pub const CALLBACKS_AT_ONCE_COUNT: usize = 16;
/// Events taken from the registry at once.
pub const EVENTS_AT_ONCE_COUNT: usize = 100;
