//! Global configurations that are not the next one of the central server: the last good one stays in
//! force, traffic goes on until it expires, and the refusal says what is wrong.
//!
//! ```text
//! rogue in the central server's place, with the configuration keys or others → real hubs
//! ```

use std::time::Duration;

use federation::forger::{Forger, RogueCentral};
use federation::operator::Operator;
use federation::refused::Recorded;
use federation::stage::{CONSUMER, PERSON, PROVIDER, Stage};
use http::Method;
use schemas::configuration::GlobalConfiguration;
use schemas::digest::Sha256;
use schemas::problem::ProblemCode;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Both hubs run on version 1 of a configuration that the rogue signed well.
struct Ground {
    stage: Stage,
    central: RogueCentral,
    forger: Forger,
    first: GlobalConfiguration,
}

impl Ground {
    async fn with_first() -> Self {
        let mut stage = Stage::lay_out().await.unwrap();
        let central = RogueCentral::start(stage.federation.layout.central.1).await.unwrap();
        let forger = Forger::new(&stage.federation.layout).unwrap();
        let first = forger.first(stage.clock.now());
        central.serve(&forger.sign(&first, 2).unwrap());
        stage.federation.start_hub(PROVIDER).await.unwrap();
        stage.federation.start_hub(CONSUMER).await.unwrap();
        Self { stage, central, forger, first }
    }

    /// The next version, changed before it is signed.
    fn next(&self, change: impl FnOnce(&mut GlobalConfiguration)) -> GlobalConfiguration {
        let mut next = self.forger.after(&self.first).unwrap();
        change(&mut next);
        next
    }

    fn signed_next(&self, change: impl FnOnce(&mut GlobalConfiguration)) -> String {
        self.forger.sign(&self.next(change), 2).unwrap()
    }

    fn version(&self) -> Option<u64> {
        self.stage.hub(CONSUMER).unwrap().configuration_version()
    }

    async fn refused_count(&self) -> usize {
        let operator = Operator::of(self.stage.hub(CONSUMER).unwrap());
        operator.outcomes("configuration-refused").await.unwrap().len()
    }

    /// Waits until that many refusals are durable; a refresh does not wait for its record.
    async fn refused_count_reaches(&self, count: usize) -> bool {
        for _ in 0..500 {
            if self.refused_count().await >= count {
                return true;
            }
        }
        false
    }

    /// Serves a note; it must be refused for a reason with these words and change nothing.
    async fn refuses(&self, what: &str, note: &str, words: &str) {
        let (version, refused) = (self.version(), self.refused_count().await);
        self.central.serve(note);
        let reason = self.stage.hub(CONSUMER).unwrap().refresh().await;
        let reason = reason.expect_err(what);
        assert!(reason.contains(words), "{what}: {reason}");
        assert_eq!(self.version(), version, "{what}");
        assert!(self.refused_count_reaches(refused + 1).await, "{what}: the refusal is no record");
    }

    /// Serves a note; it must come into force at the consumer.
    async fn accepts(&self, note: &str, version: u64) {
        self.central.serve(note);
        self.stage.hub(CONSUMER).unwrap().refresh().await.unwrap();
        assert_eq!(self.version(), Some(version));
    }
}

#[tokio::test]
async fn configuration_that_was_changed_or_lacks_signatures_is_refused_and_the_last_good_one_stays()
{
    let ground = Ground::with_first().await;
    let good = ground.signed_next(|_| ());
    let suspending = good.replacen("\"suspended\":false", "\"suspended\":true", 1);
    assert_ne!(suspending, good);
    ground.refuses("changed after signing", &suspending, "malformed").await;
    let next = ground.next(|_| ());
    let one = ground.forger.sign(&next, 1).unwrap();
    ground.refuses("below the threshold", &one, "1 of the trusted").await;
    // The same key cannot count twice.
    let signature = one.lines().last().unwrap();
    ground.refuses("one signature twice", &format!("{one}{signature}\n"), "central server").await;
    let other = ground.forger.sign_with_other_keys(&next).unwrap();
    ground.refuses("keys of another anchor", &other, "0 of the trusted").await;
    ground.refuses("no configuration", "hello\n", "no global configuration").await;
    ground.refuses("empty document", "{}\n\n", "no global configuration").await;
    assert_eq!(ground.stage.ask().await.unwrap().status, 200, "traffic goes on");
    ground.accepts(&good, 2).await;
    ground.stage.stop().await;
}

#[tokio::test]
async fn configuration_that_does_not_follow_or_contradicts_itself_is_refused() {
    let ground = Ground::with_first().await;
    let now = ground.stage.clock.now();
    let two_worlds = "two different contents";
    let mut other_first = ground.first.clone();
    other_first.content.purposes[0].description = "Another world.".to_owned();
    let other_first = ground.forger.sign(&other_first, 2).unwrap();
    ground.refuses("another version 1", &other_first, two_worlds).await;
    let stranger = ground.signed_next(|next| next.previous = Some(Sha256::of(b"another")));
    ground.refuses("a version 2 of another chain", &stranger, two_worlds).await;
    let later = ground.signed_next(|next| next.version = 4);
    ground.refuses("versions in between are missing", &later, "404").await;
    let expired = ground.signed_next(|next| (next.issued, next.expires) = (now.minus(DAY), now));
    ground.refuses("expired", &expired, "expired at").await;
    let early = ground.signed_next(|next| next.issued = now.plus(Duration::from_secs(6)));
    ground.refuses("issued in the future", &early, "in this hub's future").await;
    let foreign = ground.signed_next(|next| next.instance = "KZ".to_owned());
    ground.refuses("another instance", &foreign, "instance `KZ`").await;
    let hollow = ground.signed_next(|next| next.content.members.clear());
    ground.refuses("servers without their members", &hollow, "owner is not listed").await;
    let keyless = ground.signed_next(|next| next.keys.threshold = 0);
    ground.refuses("nobody could sign the next", &keyless, "threshold 0").await;
    assert_eq!(ground.stage.ask().await.unwrap().status, 200, "traffic goes on");
    ground.accepts(&ground.signed_next(|_| ()), 2).await;
    ground.stage.stop().await;
}

#[tokio::test]
async fn older_configuration_is_refused_also_after_a_restart() {
    let mut ground = Ground::with_first().await;
    let first = ground.forger.sign(&ground.first, 2).unwrap();
    ground.accepts(&ground.signed_next(|_| ()), 2).await;
    ground.refuses("rolled back", &first, "version 1 after version 2").await;
    ground.stage.federation.stop_hub(CONSUMER).await;
    ground.stage.federation.start_hub(CONSUMER).await.unwrap();
    assert_eq!(ground.version(), Some(2), "it starts from the last good one");
    ground.refuses("rolled back after a restart", &first, "version 1 after version 2").await;
    ground.stage.stop().await;
}

#[tokio::test]
async fn missed_versions_are_caught_up_with_in_order() {
    let ground = Ground::with_first().await;
    let second = ground.next(|_| ());
    let third = ground.forger.after(&second).unwrap();
    let third = ground.forger.sign(&third, 2).unwrap();
    ground.central.serve_version(2, &ground.forger.sign(&second, 1).unwrap());
    ground.refuses("a version in between lacks signatures", &third, "1 of the trusted").await;
    ground.central.serve_version(2, &ground.forger.sign(&second, 2).unwrap());
    ground.accepts(&third, 3).await;
    ground.stage.stop().await;
}

#[tokio::test]
async fn expired_configuration_stops_traffic_on_either_side_until_a_new_one_comes() {
    let ground = Ground::with_first().await;
    let (stage, clock) = (&ground.stage, &ground.stage.clock);
    clock.advance(DAY.saturating_sub(Duration::from_millis(1)));
    assert_eq!(stage.ask().await.unwrap().status, 200, "good to the last moment");
    let calls = stage.source.calls_count();
    clock.advance(Duration::from_millis(1));
    let answer = stage.ask().await.unwrap();
    let code = ProblemCode::ConfigurationOutdated;
    stage.refused(&answer, code, Recorded::AtConsumer).await.unwrap();
    // A consumer's hub that goes on regardless is refused by the provider's.
    let request = stage.signed(Method::GET, PERSON, "").unwrap();
    let answer = stage.connect_as(CONSUMER).await.unwrap().send(request).await.unwrap();
    let code = ProblemCode::ProviderConfigurationOutdated;
    stage.refused(&answer, code, Recorded::AtProvider).await.unwrap();
    assert_eq!(stage.source.calls_count(), calls, "the source is not asked");
    let now = clock.now();
    let next = ground.signed_next(|next| (next.issued, next.expires) = (now, now.plus(DAY)));
    ground.accepts(&next, 2).await;
    stage.hub(PROVIDER).unwrap().refresh().await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200);
    ground.stage.stop().await;
}

#[tokio::test]
async fn hub_that_never_had_a_configuration_refuses_and_takes_none_of_another_anchor() {
    let mut stage = Stage::lay_out().await.unwrap();
    let central = RogueCentral::start(stage.federation.layout.central.1).await.unwrap();
    let forger = Forger::new(&stage.federation.layout).unwrap();
    let first = forger.first(stage.clock.now());
    central.serve(&forger.sign_with_other_keys(&first).unwrap());
    stage.federation.start_hub(CONSUMER).await.unwrap();
    let reason = stage.hub(CONSUMER).unwrap().refresh().await.unwrap_err();
    assert!(reason.contains("get the current anchor"), "{reason}");
    let answer = stage.ask().await.unwrap();
    let code = ProblemCode::ConfigurationOutdated;
    stage.refused(&answer, code, Recorded::AtConsumer).await.unwrap();
    let health = Operator::of(stage.hub(CONSUMER).unwrap()).get("/health").await.unwrap();
    assert_eq!(health.status, 503, "not ready");
    stage.stop().await;
}

#[tokio::test]
async fn central_server_that_is_away_or_lies_does_not_stop_a_hub_from_starting() {
    let mut ground = Ground::with_first().await;
    ground.central.serve("hello\n");
    ground.stage.federation.stop_hub(CONSUMER).await;
    ground.stage.federation.start_hub(CONSUMER).await.unwrap();
    assert_eq!(ground.version(), Some(1));
    assert_eq!(ground.stage.ask().await.unwrap().status, 200);
    let Ground { mut stage, central, .. } = ground;
    drop(central);
    stage.federation.stop_hub(PROVIDER).await;
    stage.federation.start_hub(PROVIDER).await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200, "it runs on what it has");
    stage.stop().await;
}
