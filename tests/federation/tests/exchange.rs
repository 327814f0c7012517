//! Exchanges through two hubs, end to end.
//!
//! ```text
//! caller → register's hub → tax's hub → tax adapter
//! ```

use federation::agencies::{Agency, REGISTER};
use federation::{Caller, Federation, Options, lay_out};
use schemas::clock::Clock;

#[tokio::test]
async fn good_exchange_is_answered_with_a_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::machine();
    let agencies = vec![Agency::named("tax").unwrap()];
    let options = Options { agencies, ..Options::all(clock.now()) };
    let layout = lay_out(dir.path(), &options).unwrap();
    let mut federation = Federation::new(layout, clock);
    federation.seed().await.unwrap();
    federation.start_central().await.unwrap();
    federation.start_adapter("tax").await.unwrap();
    federation.start_hub("tax").await.unwrap();
    federation.start_hub("register").await.unwrap();
    let caller = Caller::new(federation.layout.hubs["register"].edge_plain, REGISTER);
    let path = "/persons/31505850010011/income?from=2025-12&to=2026-02";
    let answer = caller.get("UZ/GOV/TAX/tax/tax", path).await.unwrap();
    println!("{:?}\n{}", answer.headers, String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.status, 200);
    federation.stop().await;
}
