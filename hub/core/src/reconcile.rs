//! One exchange as the two sides' message logs have it: does one bear out the other, and if not,
//! what is the likely cause.
//!
//! A difference is *explained* when a record says why it is there; everything else is for people to
//! look into. A crash of the consumer's hub looks like removed records: its request record becomes
//! durable up to 40 ms after the request has left. So it is named as possible and not as explained.

use std::collections::BTreeSet;
use std::ops::Range;

use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::identifier::{MemberId, ServiceId};
use schemas::problem::ProblemCode;
use schemas::reconcile::{Line, Said};
use schemas::record::Side;

/// Outcomes of refusals that are kept for one exchange: whoever knows an id can have it refused
/// any number of times.
const OUTCOMES_COUNT: usize = 8;
/// Different requests, and answers, that are kept for one exchange. An id is used once; more are never matched.
const MESSAGES_COUNT: usize = 8;

/// A message as a log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    signed: Option<Sha256>,
    body: Option<Sha256>,
    time: UnixMillis,
}

/// The different messages of one kind under one id: one, unless a consumer's hub has used the id again.
#[derive(Clone, Debug, Default)]
struct Messages(Vec<Message>);

impl Messages {
    fn add(&mut self, message: Message) {
        let same = |held: &Message| (held.signed, held.body) == (message.signed, message.body);
        if self.0.len() <= MESSAGES_COUNT && !self.0.iter().any(same) {
            self.0.push(message);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn signed(&self) -> BTreeSet<Sha256> {
        self.0.iter().filter_map(|message| message.signed).collect()
    }

    fn bodies(&self) -> BTreeSet<Sha256> {
        self.0.iter().filter_map(|message| message.body).collect()
    }

    /// Whether all of them were kept.
    fn is_whole(&self) -> bool {
        self.0.len() <= MESSAGES_COUNT
    }
}

/// One side's records.
#[derive(Clone, Debug, Default)]
struct Seen {
    requests: Messages,
    answers: Messages,
    /// The request that was refused, by its signature.
    refused: Option<Sha256>,
    refusals: Vec<String>,
    /// The first record of a proven sender, or else of anyone.
    first: Option<First>,
}

/// When a record was made, and its place in the log. Those of proven senders come first: anyone can claim an id at
/// any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct First {
    unproven: bool,
    time: UnixMillis,
    index: u64,
}

/// One exchange, gathered line by line.
#[derive(Clone, Debug)]
pub struct Exchange {
    period: Range<UnixMillis>,
    /// Whether a record of a proven sender lies in the period.
    within: bool,
    consumer: Seen,
    provider: Seen,
    member: Option<MemberId>,
    service: Option<ServiceId>,
}

/// What the two logs say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both have it, and what both have is equal.
    Matched,
    /// They differ, and a record says why.
    Explained(Cause),
    /// They differ, and no record says why.
    Unexplained(Cause),
}

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $words:literal;)+) => {
        /// Why the two logs differ.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Cause {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Cause {
            /// A short name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it means, and what to do.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)+ }
            }
        }
    };
}

causes! {
    /// Only at the consumer, which says that it got through to nobody or stopped waiting.
    NotReached = "not-reached",
        "only at the consumer: the request did not reach the provider's hub, as the consumer recorded";
    /// Only at the consumer, without an end.
    BrokenOff = "broken-off",
        "only at the consumer, without an end: the caller went away or the hub stopped before the request arrived";
    /// Only at the consumer: the provider's hub said that it could not record.
    ProviderLogFailed = "provider-log-failed",
        "only at the consumer: the provider's hub refused because its own log could not write";
    /// The provider has an answer or a refusal that the consumer did not take.
    NotTaken = "not-taken",
        "the provider answered or refused; the consumer did not take it (its own refusal says why) or had gone away";
    /// Only at the provider: a refused message whose sender nobody proved.
    Unproven = "unproven",
        "only at the provider: refused before the sender was proven; anyone who reaches the hub can claim an id";
    /// The consumer has an answer; the provider has nothing.
    ProviderHasNothing = "provider-has-nothing",
        "only at the consumer, which was answered: the provider's hub lost or removed its records, or was restored from an older copy; check its log, and its checkpoint against a witness";
    /// The consumer has a refusal of the provider's; the provider has nothing.
    ProviderRefusalMissing = "provider-refusal-missing",
        "only at the consumer, which recorded a refusal of the provider's hub: the provider's hub lost or removed its record; check its log, and its checkpoint against a witness";
    /// The consumer has an answer; the provider has the request only.
    ProviderAnswerMissing = "provider-answer-missing",
        "the consumer was answered and the provider has the request only: its answer's record was lost or removed; check its log";
    /// Only at the provider, and the consumer's hub did not start again near it.
    ConsumerHasNothing = "consumer-has-nothing",
        "only at the provider, and the consumer's hub went on recording: its records were lost, removed or never made; check its log, and its checkpoint against a witness";
    /// Only at the provider, just before the consumer's hub started again.
    ConsumerStarted = "consumer-started",
        "only at the provider, in a gap of the consumer's log that ends with a start of its hub: a crash (a request's record may follow the request by 40 ms, so the last ones may be missing), or a restored older copy; compare the checkpoint with a witness's, and the gap with the hub's program log";
    /// A log has an answer without the request.
    RequestMissing = "request-missing",
        "a log has the answer and not the request: its record was lost or removed; check that log";
    /// The requests are not the same message.
    RequestDiffers = "request-differs",
        "the two logs hold different requests under one id: their signatures or bodies differ; take the evidence of both sides";
    /// The answers are not the same message.
    AnswerDiffers = "answer-differs",
        "the two logs hold different answers under one id: their signatures or bodies differ; take the evidence of both sides";
    /// They disagree on how it ended.
    OutcomeDiffers = "outcome-differs",
        "the consumer recorded another refusal or answer than the provider; take the evidence of both sides";
}

/// A start of a hub: the gap in its log that ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last record before the start.
    pub from: UnixMillis,
    /// The start.
    pub to: UnixMillis,
}

impl Exchange {
    /// An exchange of which nothing is known yet; `period` is that of the comparison.
    #[must_use]
    pub fn new(period: Range<UnixMillis>) -> Self {
        let (consumer, provider) = (Seen::default(), Seen::default());
        Self { period, within: false, consumer, provider, member: None, service: None }
    }

    /// Adds a line of this exchange, of either side.
    pub fn add(&mut self, line: &Line) {
        let seen = match line.side {
            Side::Consumer => &mut self.consumer,
            Side::Provider => &mut self.provider,
            Side::Hub => return,
        };
        self.service = self.service.take().or_else(|| line.service.clone());
        self.member = self.member.take().or_else(|| line.consumer.clone());
        let unproven = line.consumer.is_none();
        self.within |= !unproven && self.period.contains(&line.time);
        let at = First { unproven, time: line.time, index: line.index };
        seen.first = Some(seen.first.map_or(at, |first| first.min(at)));
        let (signed, body, time) = (line.signed, line.body, line.time);
        let message = Message { signed, body, time };
        match line.said {
            Said::Request => seen.requests.add(message),
            Said::Answer => seen.answers.add(message),
            Said::Refusal => {
                seen.refused = seen.refused.or(line.signed);
                if seen.refusals.len() < OUTCOMES_COUNT && !seen.refusals.contains(&line.outcome) {
                    seen.refusals.push(line.outcome.clone());
                }
            }
            Said::Start => (),
        }
    }

    /// The member that asked, if anyone proved it.
    #[must_use]
    pub fn consumer(&self) -> Option<&MemberId> {
        self.member.as_ref()
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceId> {
        self.service.as_ref()
    }

    /// When it began, by the consumer's clock if the consumer has it.
    #[must_use]
    pub fn began(&self) -> Option<UnixMillis> {
        self.consumer.first.or(self.provider.first).map(|first| first.time)
    }

    /// Whether the period is to judge it: a record of a proven sender lies in it, or, where nobody was proven, the
    /// first. Neither a claim nor an earlier use of the id takes it out.
    #[must_use]
    pub fn is_within(&self) -> bool {
        let proven = |seen: &Seen| seen.first.is_some_and(|first| !first.unproven);
        let nobody = !proven(&self.consumer) && !proven(&self.provider);
        self.within || (nobody && self.began().is_some_and(|began| self.period.contains(&began)))
    }

    /// Places of its first records: in the consumer's log, in the provider's.
    #[must_use]
    pub fn places(&self) -> (Option<u64>, Option<u64>) {
        let place = |seen: &Seen| seen.first.map(|first| first.index);
        (place(&self.consumer), place(&self.provider))
    }

    /// How the exchange ended by either side's refusals.
    #[must_use]
    pub fn refusals(&self) -> (&[String], &[String]) {
        (&self.consumer.refusals, &self.provider.refusals)
    }

    /// Milliseconds between the two sides' request records, if both have one.
    #[must_use]
    pub fn apart_ms(&self) -> Option<u64> {
        let (sent, accepted) =
            (self.consumer.requests.0.first()?, self.provider.requests.0.first()?);
        Some(sent.time.0.abs_diff(accepted.time.0))
    }

    /// Judges the exchange. `gaps` are those of the consumer's log.
    #[must_use]
    pub fn judge(&self, gaps: &[Gap]) -> Verdict {
        match (self.consumer.first.is_some(), self.provider.first.is_some()) {
            (true, true) => self.judge_both(),
            (true, false) => self.judge_consumer_only(),
            (false, _) => self.judge_provider_only(gaps),
        }
    }

    fn judge_consumer_only(&self) -> Verdict {
        let Seen { answers, refusals, .. } = &self.consumer;
        if !answers.is_empty() {
            return Verdict::Unexplained(Cause::ProviderHasNothing);
        }
        let Some(outcome) = refusals.first() else { return Verdict::Explained(Cause::BrokenOff) };
        match outcome.parse::<ProblemCode>() {
            Ok(ProblemCode::ProviderLogFailed) => Verdict::Explained(Cause::ProviderLogFailed),
            _ if of_provider(outcome) => Verdict::Unexplained(Cause::ProviderRefusalMissing),
            Ok(
                ProblemCode::AnswerSignature
                | ProblemCode::AnswerCertificate
                | ProblemCode::InconsistentResponse,
            ) => Verdict::Unexplained(Cause::ProviderHasNothing),
            _ => Verdict::Explained(Cause::NotReached),
        }
    }

    fn judge_provider_only(&self, gaps: &[Gap]) -> Verdict {
        let Some(First { unproven: false, time, .. }) = self.provider.first else {
            return Verdict::Explained(Cause::Unproven);
        };
        let skew = schemas::limits::CLOCK_SKEW;
        let within = |gap: &Gap| gap.from <= time.plus(skew) && time <= gap.to.plus(skew);
        if gaps.iter().any(within) {
            return Verdict::Unexplained(Cause::ConsumerStarted);
        }
        Verdict::Unexplained(Cause::ConsumerHasNothing)
    }

    fn judge_both(&self) -> Verdict {
        let Self { consumer, provider, .. } = self;
        let both = [consumer, provider];
        let whole = |messages: [&Messages; 2]| messages.iter().all(|messages| messages.is_whole());
        let [sent, received] = both.map(Seen::signed_requests);
        let [sent_bodies, received_bodies] = both.map(|seen| seen.requests.bodies());
        if differ(&sent, &received)
            || differ(&sent_bodies, &received_bodies)
            || !whole(both.map(|seen| &seen.requests))
        {
            return Verdict::Unexplained(Cause::RequestDiffers);
        }
        if both.iter().any(|seen| !seen.answers.is_empty() && seen.requests.is_empty()) {
            return Verdict::Unexplained(Cause::RequestMissing);
        }
        match (consumer.answers.is_empty(), provider.answers.is_empty()) {
            (false, false) => {
                let [taken, given] =
                    both.map(|seen| (seen.answers.signed(), seen.answers.bodies()));
                let same = taken == given && whole(both.map(|seen| &seen.answers));
                if same { Verdict::Matched } else { Verdict::Unexplained(Cause::AnswerDiffers) }
            }
            (false, true) if !provider.requests.is_empty() => {
                Verdict::Unexplained(Cause::ProviderAnswerMissing)
            }
            (false, true) => Verdict::Unexplained(Cause::OutcomeDiffers),
            (true, _) => self.judge_unanswered(),
        }
    }

    /// The consumer has no answer; both have the exchange.
    fn judge_unanswered(&self) -> Verdict {
        let Self { consumer, provider, .. } = self;
        let said = consumer.refusals.iter().find(|outcome| of_provider(outcome));
        match (said, provider.answers.is_empty()) {
            (Some(outcome), true) if provider.refusals.contains(outcome) => Verdict::Matched,
            (Some(outcome), _) if *outcome == ProblemCode::ProviderLogFailed.as_str() => {
                Verdict::Explained(Cause::ProviderLogFailed)
            }
            (Some(_), _) => Verdict::Unexplained(Cause::OutcomeDiffers),
            (None, true) if consumer.refusals.is_empty() && provider.refusals.is_empty() => {
                // Both have the request and no end: the caller went away.
                Verdict::Matched
            }
            (None, _) => Verdict::Explained(Cause::NotTaken),
        }
    }
}

/// Whether an outcome was decided by the provider's hub.
fn of_provider(outcome: &str) -> bool {
    outcome.starts_with("server.serverproxy.")
}

impl Seen {
    /// The requests, or the one that was refused.
    fn signed_requests(&self) -> BTreeSet<Sha256> {
        let mut signed = self.requests.signed();
        if signed.is_empty() {
            signed.extend(self.refused);
        }
        signed
    }
}

/// Whether both are known and not equal.
fn differ(one: &BTreeSet<Sha256>, other: &BTreeSet<Sha256>) -> bool {
    !one.is_empty() && !other.is_empty() && one != other
}

#[cfg(test)]
mod tests;
