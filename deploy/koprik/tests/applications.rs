//! `koprik register file|show|overdue|monitoring` as an administrator types them, against a register of its
//! own whose hub is away: every rating is pending.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails, fails its test"
)]

mod processes;

use std::time::Duration;

use processes::{complaint, koprik, printed};
use register_server::{RegisterConfig, RunningRegister, start};
use schemas::clock::{Clock, UnixMillis};
use serde_json::{Value, json};

/// An invented person of the documentation.
const PERSON: &str = "31505850010011";
const DAY: Duration = Duration::from_secs(86_400);

struct Office {
    clock: Clock,
    register: RunningRegister,
    _folder: tempfile::TempDir,
}

impl Office {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A port that was free a moment ago stands for a hub that is away.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "listen = \"127.0.0.1:0\"\nhub_url = \"http://{closed}\"\nclient = \"UZ/GOV/NASP/register\"\n\
             purpose = \"social-assessment\"\n[store]\ndirectory = \"{}\"\n[[sources]]\n\
             name = \"civil-registry\"\nkind = \"civil-registry\"\npath = \"/persons/{{pinfl}}\"\n\
             service = \"UZ/GOV/JUSTICE/civil-registry/civil-registry\"\nwave = 1\n",
            folder.path().join("store").display()
        );
        let clock = Clock::manual(UnixMillis::from_rfc3339("2026-03-02T05:00:00Z").unwrap());
        let config = RegisterConfig::parse(&config).unwrap();
        let register = start(config, clock.clone()).await.unwrap();
        Self { clock, register, _folder: folder }
    }

    /// Runs `koprik register …` at this register.
    async fn run(&self, arguments: &[&str]) -> std::process::Output {
        let register = format!("http://{}", self.register.address);
        let given = [&["register"], arguments, &["--register", &register]].concat();
        let given: Vec<String> = given.into_iter().map(str::to_owned).collect();
        // The register runs on this thread's runtime and must go on meanwhile.
        let run = move || koprik(&given.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat()).await;
        assert!(output.status.success(), "{}", complaint(&output));
        printed(&output)
    }

    async fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{}", complaint(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that fails complains of.
    async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(!output.status.success());
        let said = complaint(&output);
        assert!(!said.contains(PERSON), "{said}");
        said
    }
}

#[tokio::test]
async fn an_application_is_filed_shown_and_overdue_and_a_second_one_is_refused() {
    let office = Office::open().await;
    let filed = office.json(&["file", PERSON, "--officer", "officer-17"]).await;
    let id = filed["application"]["id"].as_str().unwrap();
    assert_eq!(filed["next"], json!({"duty": "questionnaire", "due": "2026-03-05"}));
    assert_eq!(office.json(&["show", id]).await, filed);
    let shown = office.text(&["show", id]).await;
    for part in [id, "awaits-questionnaire", "counts for 2026-03", "pending", "due 2026-03-05"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains(PERSON));
    let said = office.refused(&["file", PERSON]).await;
    assert!(said.contains("register.duplicate") && said.contains(id), "{said}");
    assert_eq!(office.text(&["overdue"]).await, "nothing is due\n");
    assert!(office.text(&["overdue", "--by", "2026-03-05"]).await.contains(id));
    office.clock.advance(DAY * 5);
    assert_eq!(office.json(&["overdue"]).await["lines"][0]["application"], id);
    office.clock.advance(DAY * 20);
    let said = office.refused(&["file", PERSON]).await;
    assert!(said.contains("register.entry_closed") && said.contains("2026-04-01"), "{said}");
}

#[tokio::test]
async fn monitoring_begins_shows_its_progress_and_stops() {
    let office = Office::open().await;
    assert_eq!(office.json(&["monitoring", "begin", "2026-03"]).await["month"], "2026-03");
    let finished = async {
        while office.json(&["monitoring", "progress", "2026-03"]).await["monitoring"]["progress"]
            != "finished"
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), finished).await.unwrap();
    let shown = office.text(&["monitoring", "progress", "2026-03"]).await;
    assert!(shown.contains("monitoring of 2026-03: finished"), "{shown}");
    assert!(shown.contains("       0  families looked at"), "{shown}");
    assert_eq!(office.json(&["monitoring", "stop", "2026-03"]).await["progress"], "finished");
    let said = office.refused(&["monitoring", "begin", "2026-07"]).await;
    assert!(
        said.contains("register.bad_request") && said.contains("this month or the next"),
        "{said}"
    );
    let said = office.refused(&["monitoring", "progress", "2026-04"]).await;
    assert!(said.contains("register.unknown"), "{said}");
}

#[tokio::test]
async fn errors_say_what_to_correct() {
    let office = Office::open().await;
    let cases: [(&[&str], &str); 5] = [
        (&["show", "no/such"], "letters, digits and hyphens"),
        (&["show", "none"], "register.unknown"),
        (&["overdue", "--by", "tomorrow"], "date YYYY-MM-DD"),
        (&["file", PERSON, "--declared", "/no/such/file"], "check the path"),
        (&["file", "31505850010012"], "PINFL"),
    ];
    for (arguments, wanted) in cases {
        let said = office.refused(arguments).await;
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
    let away = koprik(&["register", "show", "a", "--register", "http://127.0.0.1:1"]);
    assert!(complaint(&away).contains("is the server running there?"), "{}", complaint(&away));
    let help = koprik(&["register", "--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        ["file", "show", "overdue", "monitoring"].iter().all(|name| help.contains(name)),
        "{help}"
    );
}
