//! Evidence files before two judges: `hub_core::evidence` and `verify_evidence.py`, which was
//! written from `hub/docs/evidence.md` and shares no line with it. They must agree on every file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use conformance::programs::{asked, folder, python_with, run};
use hub_core::evidence;
use schemas::configuration::Anchor;
use schemas::evidence::EvidenceFile;
use serde_json::{Value, json};

use crate::evidence_forged::{Forge, Parts};
use crate::exchanges::Exchanges;

/// The seed of the drawn damages.
const SEED: u64 = 20_261_122;

fn python(anchor: &Path, files: &[&Path]) -> Command {
    let mut command = Command::new(python_with("cryptography").unwrap());
    command.arg(folder().join("verify_evidence.py")).arg("--anchor").arg(anchor).args(files);
    command
}

/// Both judges' verdict on a file: `Ok`, or the step that does not hold with the reason.
type Verdict = Result<(), String>;

/// Files that both judges look at, and what is expected of them.
pub(crate) struct Court {
    anchor: Anchor,
    files: Vec<(String, Vec<u8>, Option<bool>)>,
}

impl Court {
    pub(crate) fn new(anchor: Anchor) -> Self {
        Self { anchor, files: Vec::new() }
    }

    /// A file that is good, bad, or where only agreement counts.
    pub(crate) fn bring(&mut self, name: String, file: Vec<u8>, good: Option<bool>) {
        self.files.push((name, file, good));
    }

    /// Lets both judge; gives the number of files refused by step, as Python names it.
    pub(crate) fn judge(self) -> BTreeMap<String, usize> {
        let dir = tempfile::tempdir().unwrap();
        let anchor = dir.path().join("anchor.json");
        fs::write(&anchor, serde_json::to_vec(&self.anchor).unwrap()).unwrap();
        let paths: Vec<_> =
            (0..self.files.len()).map(|nth| dir.path().join(format!("{nth}.json"))).collect();
        for (path, (_, file, _)) in paths.iter().zip(&self.files) {
            fs::write(path, file).unwrap();
        }
        let paths: Vec<&Path> = paths.iter().map(|path| path.as_path()).collect();
        let said = run(&mut python(&anchor, &paths)).unwrap();
        let theirs = verdicts(&said.text, &paths);
        let mut tally = BTreeMap::new();
        for ((name, file, good), theirs) in self.files.iter().zip(theirs) {
            let own = evidence::verify(file, &self.anchor);
            assert_eq!(own.is_ok(), theirs.is_ok(), "{name}: {own:?}, Python {theirs:?}");
            let met = good.is_none_or(|good| good == theirs.is_ok());
            assert!(met, "{name} is good: {good:?}; Python {theirs:?}, Rust {own:?}");
            let step = theirs.err().map_or("verified".to_owned(), |text| {
                text.split_once(':').map_or(text.clone(), |(step, _)| step.to_owned())
            });
            *tally.entry(step).or_default() += 1;
        }
        let all_good = tally.keys().all(|step| step == "verified");
        assert_eq!(said.code, Some(i32::from(!all_good)), "{}", said.text);
        tally
    }
}

fn verdicts(text: &str, paths: &[&Path]) -> Vec<Verdict> {
    let mut lines = text.lines().filter(|line| line.contains("VERIFIED"));
    let read = |path: &&Path| {
        let line =
            lines.next().unwrap_or_else(|| panic!("no verdict on {}: {text}", path.display()));
        let verdict = line.strip_prefix(&format!("{}: ", path.display())).unwrap();
        match verdict.strip_prefix("NOT VERIFIED: ") {
            Some(reason) => Err(reason.to_owned()),
            None if verdict.starts_with("VERIFIED: ") => Ok(()),
            None => panic!("{verdict}"),
        }
    };
    paths.iter().map(read).collect()
}

/// Damages per file: 100, or as many as `KOPRIK_DAMAGES` says for a long run.
pub(crate) fn damages_count() -> u64 {
    asked("KOPRIK_DAMAGES").unwrap().unwrap_or(100)
}

#[tokio::test]
async fn python_and_rust_agree_on_every_real_file_and_every_drawn_damage() {
    let exchanges = Exchanges::carried().await;
    let mut court = Court::new(exchanges.anchor());
    // xorshift64: the same places every time, in files whose keys differ.
    let mut state = SEED;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    for (name, file) in &exchanges.files {
        court.bring((*name).to_owned(), file.clone(), Some(true));
        for _ in 0..damages_count() {
            let (at, bit) = (draw(file.len()), draw(8));
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            court.bring(format!("{name}, bit {bit} of byte {at}"), changed, Some(false));
        }
        for end in [0, 1, file.len() / 2, file.len() - 1] {
            court.bring(format!("{name} cut at {end}"), file[..end].to_vec(), Some(false));
        }
        court.bring(format!("{name} longer"), [file, &b"\n"[..]].concat(), Some(false));
    }
    let tally = court.judge();
    println!("seed {SEED}: {tally:?}");
    for step in ["form", "configuration", "checkpoint", "records", "timestamp", "request", "answer"]
    {
        assert!(tally.contains_key(step), "no damage reached {step}: {tally:?}");
    }
    assert_eq!(tally["verified"], exchanges.files.len());
}

/// A change of the parts of a file, which keeps its one spelling.
type Change = fn(&mut Value, &Value);

/// What is done to a file, and whether it stays good.
const CHANGES: [(&str, bool, Change); 22] = [
    ("nothing", true, |_, _| ()),
    ("bodies left out", true, |file, _| {
        for message in file["messages"].as_array_mut().unwrap() {
            message.as_object_mut().unwrap().remove("body");
        }
    }),
    ("a body that is null", false, |file, _| file["messages"][0]["body"] = Value::Null),
    ("a body of the other message", false, |file, _| {
        file["messages"][1]["body"] = file["messages"][0]["body"].clone();
    }),
    ("the timestamp left out", true, |file, _| {
        file.as_object_mut().unwrap().remove("timestamp");
    }),
    ("the timestamp and the cosignatures left out", true, |file, _| {
        file.as_object_mut().unwrap().remove("timestamp");
        let note = file["checkpoint"].as_str().unwrap();
        let lines: Vec<&str> = note.split_inclusive('\n').take(5).collect();
        file["checkpoint"] = json!(lines.concat());
    }),
    ("request and answer swapped", false, |file, _| swap(&mut file["messages"])),
    ("records swapped", false, |file, _| swap(&mut file["records"])),
    ("the answer left out", false, |file, _| drop(pop(&mut file["messages"]))),
    ("the answer's record left out", false, |file, _| drop(pop(&mut file["records"]))),
    ("answer and its record left out", true, |file, _| {
        pop(&mut file["messages"]);
        pop(&mut file["records"]);
    }),
    ("no records and messages", false, |file, _| {
        file["messages"] = json!([]);
        file["records"] = json!([]);
    }),
    ("a record twice", false, |file, _| file["records"][1] = file["records"][0].clone()),
    ("another exchange's request", false, |file, other| {
        file["messages"][0] = other["messages"][0].clone();
    }),
    ("another exchange's answer", false, |file, other| {
        file["messages"][1] = other["messages"][1].clone();
    }),
    ("another exchange's answer and record", false, |file, other| {
        file["messages"][1] = other["messages"][1].clone();
        file["records"][1] = other["records"][1].clone();
        file["checkpoint"] = other["checkpoint"].clone();
    }),
    ("another exchange's proof", false, |file, other| {
        file["records"][0]["proof"] = other["records"][0]["proof"].clone();
    }),
    ("another index", false, |file, other| {
        file["records"][1]["index"] = other["records"][1]["index"].clone();
    }),
    ("a signature of the configuration left out", true, |file, _| drop_line(file)),
    ("two signatures of the configuration left out", false, |file, _| {
        drop_line(file);
        drop_line(file);
    }),
    ("a signature of the configuration twice", false, |file, _| {
        let note = file["configuration"].as_str().unwrap();
        let last = note.trim_end().rsplit('\n').next().unwrap();
        file["configuration"] = json!(format!("{note}{last}\n"));
    }),
    ("a checkpoint with a second signature", false, |file, _| {
        let note = file["checkpoint"].as_str().unwrap();
        file["checkpoint"] = json!(format!("{note}— witness AAAAAAE=\n"));
    }),
];

#[tokio::test]
async fn python_and_rust_agree_on_files_whose_parts_are_dropped_doubled_or_swapped() {
    let exchanges = Exchanges::carried().await;
    let value = |name| serde_json::to_value(exchanges.read(name)).unwrap();
    let (own, other) = (value("consumer's"), value("consumer's of another exchange"));
    let mut court = Court::new(exchanges.anchor());
    for (name, good, change) in CHANGES {
        let mut changed = own.clone();
        change(&mut changed, &other);
        court.bring(name.to_owned(), spelled(&changed), Some(good));
    }
    let mut elsewhere = own.clone();
    elsewhere["checkpoint"] = value("provider's")["checkpoint"].clone();
    court.bring("the other hub's checkpoint".to_owned(), spelled(&elsewhere), Some(false));
    for (path, name) in fields(&own) {
        let mut dropped = own.clone();
        let object = dropped.pointer_mut(&path).unwrap().as_object_mut().unwrap();
        object.remove(&name);
        let spare = ["body", "timestamp"].contains(&name.as_str());
        court.bring(format!("{path}/{name} dropped"), spelled(&dropped), Some(spare));
        let mut renamed = own.clone();
        let object = renamed.pointer_mut(&path).unwrap().as_object_mut().unwrap();
        object.insert(format!("{name}x"), json!(1));
        court.bring(format!("{path}/{name}x added"), spelled(&renamed), Some(false));
        for odd in [json!(null), json!(true), json!(1.0), json!([]), json!({}), json!("AA==")] {
            let mut changed = own.clone();
            changed.pointer_mut(&path).unwrap()[&name] = odd.clone();
            court.bring(format!("{path}/{name} is {odd}"), spelled(&changed), Some(false));
        }
    }
    println!("{:?}", court.judge());
}

fn swap(list: &mut Value) {
    list.as_array_mut().unwrap().swap(0, 1);
}

fn pop(list: &mut Value) -> Option<Value> {
    list.as_array_mut().unwrap().pop()
}

/// Leaves out the last signature line of the configuration.
fn drop_line(file: &mut Value) {
    let note = file["configuration"].as_str().unwrap().trim_end();
    let end = note.rfind('\n').unwrap() + 1;
    file["configuration"] = json!(note[..end]);
}

/// Canonical JSON and a line feed.
fn spelled(file: &Value) -> Vec<u8> {
    // Objects of serde_json are ordered by name, and the names are ASCII.
    format!("{file}\n").into_bytes()
}

/// Every field of the file: the object that it is in, and its name.
fn fields(file: &Value) -> Vec<(String, String)> {
    let objects = ["", "/records/0", "/records/1", "/messages/0", "/messages/1"];
    let names = |path: &&str| {
        let path = (*path).to_owned();
        let object = file.pointer(&path).unwrap().as_object().unwrap();
        object.keys().map(move |name| (path.clone(), name.clone())).collect::<Vec<_>>()
    };
    objects.iter().flat_map(names).collect()
}

#[tokio::test]
async fn python_and_rust_refuse_a_good_file_under_other_anchors() {
    let exchanges = Exchanges::carried().await;
    let other = Exchanges::carried().await;
    let good = |change: fn(&mut Anchor)| {
        let mut anchor = exchanges.anchor();
        change(&mut anchor);
        anchor
    };
    for (name, anchor, verified) in [
        ("its own", good(|_| ()), true),
        ("another federation's", other.anchor(), false),
        ("of another instance", good(|anchor| anchor.instance = "EE".to_owned()), false),
        ("with a threshold of all", good(|anchor| anchor.keys.threshold = 3), true),
        ("with an impossible threshold", good(|anchor| anchor.keys.threshold = 4), false),
        ("with no threshold", good(|anchor| anchor.keys.threshold = 0), false),
        ("without one of the keys", good(|anchor| drop(anchor.keys.verifiers.pop())), false),
        (
            "with a key twice",
            good(|anchor| anchor.keys.verifiers[2] = anchor.keys.verifiers[1].clone()),
            false,
        ),
    ] {
        let mut court = Court::new(anchor);
        for (file, bytes) in &exchanges.files {
            court.bring(format!("{file} under an anchor {name}"), bytes.clone(), Some(verified));
        }
        court.judge();
    }
}

#[tokio::test]
async fn python_says_what_is_proved_and_its_exit_codes_are_those_of_the_document() {
    let exchanges = Exchanges::carried().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("evidence.json");
    let read: EvidenceFile = exchanges.read("consumer's");
    fs::write(&file, evidence::to_text(&read)).unwrap();
    let anchor = exchanges.layout.anchor.clone();
    let said = run(&mut python(&anchor, &[&file])).unwrap();
    assert_eq!(said.code, Some(0), "{}", said.text);
    let steps =
        evidence::verify(evidence::to_text(&read).as_bytes(), &exchanges.anchor()).unwrap().steps;
    for step in steps {
        assert!(said.text.contains(step.words()), "{step:?}: {}", said.text);
    }
    fs::write(
        &file,
        evidence::to_text(&read).replacen("purpose\\\":\\\"s", "purpose\\\":\\\"S", 1),
    )
    .unwrap();
    let said = run(&mut python(&anchor, &[&file])).unwrap();
    assert_eq!(said.code, Some(1));
    assert!(said.text.contains("NOT VERIFIED: records:"), "{}", said.text);
    let missing = dir.path().join("none");
    for (anchor, file) in [(&anchor, &missing), (&missing, &file), (&file, &file)] {
        let said = run(&mut python(anchor, &[file])).unwrap();
        assert_eq!(said.code, Some(2), "{}", said.text);
    }
    assert_eq!(run(&mut python(&anchor, &[])).unwrap().code, Some(2));
}

/// A peer writes its endpoint into the record of the other side.
#[tokio::test]
async fn text_in_a_record_begins_no_line_of_the_report() {
    let exchanges = Exchanges::carried().await;
    let endpoint = "GET /a\n\n  existed before 2026-06-01, says the timestamp authority X\u{1b}[8m";
    let change = |parts: &mut Parts| parts.records[0].endpoint = Some(endpoint.to_owned());
    let forged = Forge::new(&exchanges).remake(&exchanges.read("consumer's"), change);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("evidence.json");
    fs::write(&file, evidence::to_text(&forged)).unwrap();
    let said = run(&mut python(&exchanges.layout.anchor, &[&file])).unwrap();
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(said.text.contains("\\u{a}\\u{a}  existed before") && !said.text.contains('\u{1b}'));
    assert!(
        !said.text.lines().any(|line| line.trim_start().starts_with("existed")),
        "{}",
        said.text
    );
}
