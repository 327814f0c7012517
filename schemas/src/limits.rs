//! Every limit of the exchange in one place, with its unit and its reason (promise P9).

use std::time::Duration;

/// Bytes in one code of an identifier; X-Road's database columns hold 255.
pub const CODE_MAX_BYTES: usize = 255;
/// Bytes in one record (leaf of the message log): an entry bundle's length field has 16 bits (C2SP tlog-tiles).
pub const RECORD_MAX_BYTES: usize = 65_535;
/// Bytes of all headers of one message: one page of an identifier-heavy request fits many times.
pub const HEADERS_MAX_BYTES: usize = 32 * 1024;
/// Headers in one message: an X-Road request has about fifteen.
pub const HEADERS_MAX_COUNT: usize = 96;
/// Bytes of path and query: what servers in front of providers commonly accept.
pub const TARGET_MAX_BYTES: usize = 8 * 1024;
/// Bytes of a body with a JSON Schema: it is held and validated in memory.
pub const JSON_BODY_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of any body: it is spooled to disk, so the disk is what this protects.
pub const BODY_MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes of a body held in memory before it goes to an unlinked file of the spool.
pub const BODY_IN_MEMORY_BYTES: usize = 256 * 1024;
/// Bytes of evidence beside one record: two signature bases with their headers, and kept bodies.
pub const EVIDENCE_MAX_BYTES: usize = 1024 * 1024;
/// How long a signed message may be under way; also the length of the replay window.
pub const MESSAGE_LIFETIME: Duration = Duration::from_secs(60);
/// How far the clocks of two hubs may differ.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5);
/// Request ids remembered in the replay window: 60 s at 16 000 requests/s, about 60 MiB when full.
pub const REPLAY_WINDOW_MAX_COUNT: usize = 1_000_000;
/// Exchanges that a hub carries at once on each side; GovStack asks a mediator for 1 000.
pub const EXCHANGES_MAX_COUNT: usize = 2_048;
/// Connections that a hub accepts on one listener.
pub const CONNECTIONS_MAX_COUNT: usize = 4_096;
/// HTTP/2 streams on one connection between hubs.
pub const PEER_STREAMS_MAX_COUNT: u32 = 1_024;
/// Rest after a connection could not be accepted, as for want of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time for a TLS handshake; a peer that needs longer holds a place for nothing.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to receive the headers of a request.
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which a body has to make progress.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that a body has on top of its length: one that trickles holds a place, and what was decided on its head.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Least bytes a second of a body beyond [`BODY_TIMEOUT`]; 1 GiB takes two hours and a quarter so.
pub const BODY_LEAST_BYTES_PER_SECOND: u64 = 128 * 1024;
/// Time to connect to another hub or a source.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a source to answer when its service says nothing else.
pub const SOURCE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for the other hub to answer, with the way there and back and all that its source takes; no service
/// may have more for its source.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time that running exchanges get to end when a process is asked to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one signed global configuration: 1 000 members with their certificates stay under 4 MiB.
pub const CONFIGURATION_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Versions that a hub catches up with in one refresh.
pub const CONFIGURATION_CATCH_UP_COUNT: u64 = 10_000;
/// Bytes of an evidence file that the verifier reads.
pub const EVIDENCE_FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a receipt (C2SP tlog-proof): a signed note of 128 KiB, a record of 64 KiB in base64, a proof of 3 KiB.
pub const TLOG_PROOF_MAX_BYTES: usize = 256 * 1024;
/// Bytes of each of endpoint, grant, legal basis and purpose, which a provider's hub tells the consumer's and both record.
pub const BASIS_TEXT_MAX_BYTES: usize = 1024;
/// Subjects in one record; a call about more people than this is a bulk call and is refused.
pub const SUBJECTS_MAX_COUNT: usize = 100;
/// Bytes of one request to a witness: a signed note of 128 KiB and 63 hashes (C2SP tlog-witness).
pub const WITNESS_REQUEST_MAX_BYTES: usize = 132 * 1024;
/// Bytes of one answer of a witness: a signed note of 128 KiB.
pub const WITNESS_ANSWER_MAX_BYTES: usize = 128 * 1024;
/// Time for one witness to answer; the others are asked at the same time.
pub const WITNESS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a witness that let its time pass is left alone: the others are not held up by it in each round.
pub const WITNESS_REST: Duration = Duration::from_secs(60);
/// Witnesses in one global configuration: C2SP tlog-policy asks for 32, a note has at most 64 signatures.
pub const WITNESSES_MAX_COUNT: usize = 32;
/// Requests that a witness works on at once; each may wait for the disk.
pub const WITNESS_REQUESTS_MAX_COUNT: usize = 16;
/// Alarms kept about one log: one would do, and a forked log makes new ones as long as it runs.
pub const ALARMS_PER_LOG_MAX_COUNT: usize = 16;
/// Alarms kept in all, some kilobytes each.
pub const ALARMS_MAX_COUNT: usize = 1_024;
/// Bytes of one timestamp query: a digest, a nonce and a few identifiers (RFC 3161 §2.4.1).
pub const TIMESTAMP_QUERY_MAX_BYTES: usize = 4 * 1024;
/// Bytes of one timestamp reply: a signature and a chain of certificates.
pub const TIMESTAMP_REPLY_MAX_BYTES: usize = 64 * 1024;
/// Time for one timestamp authority to answer before the next is asked.
pub const TIMESTAMP_TIMEOUT: Duration = Duration::from_secs(5);
/// Timestamp authorities in one global configuration: each may cost a hub its whole timeout.
pub const TIMESTAMP_AUTHORITIES_MAX_COUNT: usize = 16;
/// How long a hub leaves a timestamp authority alone that keeps failing.
pub const TIMESTAMP_REST_MAX: Duration = Duration::from_secs(15 * 60);
/// Stamped checkpoints that a hub knows by heart, 8 bytes each: half a year at one a minute.
pub const TIMESTAMPS_INDEXED_MAX_COUNT: usize = 262_144;
/// Bytes of one line of an export for reconciliation: identifiers of 255 bytes and five hashes fit many times.
pub const EXPORT_LINE_MAX_BYTES: usize = 4 * 1024;
/// Starts of a hub within one export; one a minute for a week.
pub const EXPORT_STARTS_MAX_COUNT: usize = 10_000;
/// Sessions of caseworkers that one register keeps; the one unused for longest makes room.
pub const PAGES_SESSIONS_MAX_COUNT: usize = 256;
/// Profiles that a session shows; the oldest makes room. With the sessions it bounds memory: a profile has tens of KiB.
pub const PAGES_PROFILES_PER_SESSION_MAX_COUNT: usize = 8;
/// How long an unused session is kept: a screen left alone shows nobody's family any more.
pub const PAGES_IDLE: Duration = Duration::from_secs(30 * 60);
/// Acts, and life events, in one case: a case lives for years, with visits each half year and services each week.
pub const CASE_ACTS_MAX_COUNT: usize = 2_000;
/// Answers in one questionnaire, and members in one multidisciplinary group.
pub const CASE_ANSWERS_MAX_COUNT: usize = 100;
/// Characters of one text in a case.
pub const CASE_TEXT_MAX_CHARS: usize = 4_000;
/// Services in one individual plan.
pub const PLAN_SERVICES_MAX_COUNT: usize = 32;
/// Characters of the ground of an act: a clause and a sentence.
pub const GROUND_MAX_CHARS: usize = 1_000;
/// Life events of one person and source that are held back until an earlier one comes.
pub const EVENTS_HELD_MAX_COUNT: usize = 64;
/// Life events of one person and source whose identifiers are remembered, to notice two events under one number.
pub const EVENTS_REMEMBERED_COUNT: usize = 128;
/// How long an answer about a Social Card may be used: as long as a customer stands at the counter.
pub const CARD_ANSWER_LIFETIME: Duration = Duration::from_secs(60);
/// Acts on one card before it is renewed; it is blocked beyond that too.
pub const CARD_ACTS_MAX_COUNT: usize = 500;
/// Entitlements of one card: one for each question there is, and more to come.
pub const CARD_ENTITLEMENTS_MAX_COUNT: usize = 32;
/// Bytes of one document of the register's store: the profile of a large family stays under 1 MiB.
pub const STORE_DOCUMENT_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Documents in one commit of the register's store: a page of a month's closing.
pub const STORE_CHANGES_MAX_COUNT: usize = 1_000;
/// Bytes of all documents in one commit; they are held in memory and written at once.
pub const STORE_COMMIT_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Documents in one answer of the register's store; a query goes on behind the last one.
pub const STORE_QUERY_MAX_COUNT: usize = 1_000;
/// Bytes of all documents in one answer; they are held in memory.
pub const STORE_ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Keys of one document: a family has at most a few dozen people.
pub const STORE_KEYS_MAX_COUNT: usize = 256;
/// Bytes of a document's id, or of one of its keys.
pub const STORE_KEY_MAX_BYTES: usize = 255;
/// Connections of one node to the register's database.
pub const STORE_CONNECTIONS_MAX_COUNT: u32 = 16;
/// Bytes of one request at the officers' desk: a questionnaire of 100 long answers.
pub const DESK_BODY_MAX_BYTES: usize = 2 * 1024 * 1024;
/// How often a life event is taken again when another request changed the same documents meanwhile.
pub const EVENT_RETRIES_MAX_COUNT: usize = 8;
/// How long a stop of payments that failed waits before it is tried again.
pub const STOP_RETRY_INTERVAL: Duration = Duration::from_secs(30);
