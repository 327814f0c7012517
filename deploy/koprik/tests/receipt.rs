//! Receipts as operators hand them out and as their holders verify them.

#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod processes;

use federation::agencies::Agency;
use federation::{Options, lay_out};
use processes::{Server, complaint, koprik, printed};
use schemas::clock::Clock;

const HUB: &str = "tax";

#[test]
fn a_receipt_is_verified_with_the_logs_key_alone_and_refused_when_changed() {
    let dir = tempfile::tempdir().unwrap();
    let agencies = Agency::named(HUB).into_iter().collect();
    let options = Options { agencies, ..Options::all(Clock::machine().now()) };
    let layout = lay_out(dir.path(), &options).unwrap();
    let config = &layout.place(HUB).unwrap().config;
    // A hub records its own start, and that takes no central server.
    let hub = Server::start("hub", config);
    let file = dir.path().join("receipt.tlog-proof").display().to_string();
    let config = config.display().to_string();
    let prove = ["log", "prove", "--config", &config, "--index", "0", "--tlog-proof", &file];
    let output = koprik(&prove);
    assert!(output.status.success(), "{}", complaint(&output));
    drop(hub);

    let content = layout.read_content().unwrap();
    let key = |member: &str| {
        let server = content.servers.iter().find(|server| server.id.owner().as_str() == member);
        server.unwrap().log_key.clone()
    };
    let verify = |key: &str| koprik(&["--json", "verify", &file, "--log-key", key]);
    let own = key("UZ/GOV/TAX");
    let proved = printed(&verify(&own));
    assert_eq!(proved["verified"], true, "{proved}");
    assert_eq!(proved["records"][0]["index"], 0);
    assert_eq!(proved["records"][0]["record"]["kind"], "act");
    let words = koprik(&["verify", &file, "--log-key", &own]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("the record stands in that log at 0"), "{words}");
    assert!(words.contains("not proved by this file\n  – that the log key is a hub's"), "{words}");

    let other = verify(&key("UZ/GOV/NASP"));
    assert_eq!((other.status.code(), &printed(&other)["verified"]), (Some(1), &false.into()));
    let receipt = std::fs::read_to_string(&file).unwrap();
    for (from, to) in [("index 0", "index 1"), ("extra ey", "extra eX"), ("tlog-proof@", "proof@")]
    {
        std::fs::write(&file, receipt.replacen(from, to, 1)).unwrap();
        let refused = verify(&own);
        assert_eq!(refused.status.code(), Some(1), "{from}");
        assert_eq!(printed(&refused)["verified"], false, "{from}");
    }
    let neither = koprik(&["verify", &file]);
    assert!(complaint(&neither).contains("--anchor"), "{}", complaint(&neither));
    let no_key = verify("koprik/x+00+AA");
    assert!(complaint(&no_key).contains("--log-key"), "{}", complaint(&no_key));
}
