//! `koprik audit` as two operators and an auditor type it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails, fails its test"
)]

mod processes;

use federation::agencies::Agency;
use federation::{Options, lay_out};
use processes::{Server, complaint, koprik, printed};
use schemas::clock::Clock;

#[test]
fn exports_of_a_running_and_a_stopped_hub_reconcile_and_one_alone_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let agencies = Agency::named("tax").into_iter().collect();
    let options = Options { agencies, ..Options::all(Clock::machine().now()) };
    let layout = lay_out(dir.path(), &options).unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let [register, tax] = ["register", "tax"].map(|hub| layout.place(hub).unwrap().config.clone());
    let period = ["--from", "2026-01-01T00:00:00Z", "--to", "2036-01-01T00:00:00Z", "--json"];
    let export = |words: &[&str]| koprik(&[&["audit", "export"], words, &period].concat());

    let running = Server::start("hub", &register);
    let (config, one) = (register.display().to_string(), path("one.jsonl"));
    let exported = export(&["--config", &config, "--peer", "UZ/GOV/TAX", "-o", &one]);
    assert!(exported.status.success(), "{}", complaint(&exported));
    drop(running);
    drop(Server::start("hub", &tax));
    let log = hub_server::HubConfig::load(&tax).unwrap().data_dir.join("log").display().to_string();
    let other = path("other.jsonl");
    let exported = export(&["--dir", &log, "--peer", "UZ/GOV/NASP", "-o", &other]);
    assert!(exported.status.success(), "{}", complaint(&exported));

    let compared = koprik(&["--json", "audit", "reconcile", &one, &other]);
    let report = printed(&compared);
    assert_eq!((compared.status.code(), &report["clean"]), (Some(0), &true.into()), "{report}");
    assert_eq!(report["exports"][0]["member"], "UZ/GOV/NASP");

    // The provider's export as if it alone knew of an exchange.
    let text = std::fs::read_to_string(&other).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let alone = concat!(
        r#"{"consumer":"UZ/GOV/NASP","exchange":"#,
        r#""aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","index":9,"#,
        r#""outcome":"ok","said":"request","service":"UZ/GOV/TAX/tax/income","#,
        r#""side":"provider","time":1767225600000}"#
    );
    let end = format!("{{\"lines\":{}}}", lines.len() - 1);
    let forged = [&lines[..lines.len() - 1], &[alone, &end]].concat().join("\n") + "\n";
    std::fs::write(&other, &forged).unwrap();
    let words = koprik(&["audit", "reconcile", &one, &other]);
    assert_eq!(words.status.code(), Some(1), "{}", complaint(&words));
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.starts_with("UNEXPLAINED: 1 exchange"), "{words}");
    assert!(words.contains("✗ consumer-") && words.contains("provider's record 9"), "{words}");

    // Who says that the export was made long ago makes nothing right.
    let mut header: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    for (made, text) in [(header["from"].clone(), "too new"), (0.into(), "set that hub's clock")] {
        header["made"] = made;
        std::fs::write(&other, forged.replacen(lines[0], &header.to_string(), 1)).unwrap();
        let judged = koprik(&["audit", "reconcile", &one, &other]);
        assert_eq!(judged.status.code(), Some(2), "{}", complaint(&judged));
        assert!(complaint(&judged).contains(text), "{}", complaint(&judged));
        assert!(!String::from_utf8_lossy(&judged.stdout).contains("RECONCILED"));
    }

    let same = koprik(&["audit", "reconcile", &one, &one]);
    assert_eq!(same.status.code(), Some(2));
    assert!(complaint(&same).contains("not compared: "), "{}", complaint(&same));
}
