//! The verifier as WebAssembly, run by Node, next to the native one: one report for every file.

use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::programs::{folder, run};
use hub_core::{evidence, report};
use serde_json::Value;
use wasm_bindgen_cli_support::Bindgen;

use crate::exchanges::Exchanges;

const TARGET: &str = "wasm32-unknown-unknown";
/// Damages of each file.
const DAMAGES_COUNT: usize = 20;

/// Compiles the module and writes its JavaScript; gives the script's place.
fn module(dir: &Path) -> PathBuf {
    let root = folder().join("../..");
    let target = std::env::current_exe().unwrap();
    let target = target.ancestors().nth(3).unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "-p", "verifier-wasm", "--target", TARGET, "--quiet"]);
    build.arg("--target-dir").arg(target).current_dir(root);
    let built = run(&mut build).unwrap();
    let hint = "rustup target add wasm32-unknown-unknown; apt-get install clang";
    assert_eq!(built.code, Some(0), "{hint}\n{}", built.text);
    let wasm = target.join(TARGET).join("debug/verifier_wasm.wasm");
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).nodejs(true).unwrap().typescript(false);
    bindgen.generate(dir).unwrap();
    dir.join("verifier_wasm.js")
}

/// Files with what they are called.
fn files(exchanges: &Exchanges) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (name, file) in &exchanges.files {
        files.push(((*name).to_owned(), file.clone()));
        for nth in 0..DAMAGES_COUNT {
            let at = (nth * 2 + 1) * file.len() / (DAMAGES_COUNT * 2);
            let mut changed = file.clone();
            changed[at] ^= 1 << (nth % 8);
            files.push((format!("{name}, byte {at}"), changed));
        }
        files.push((format!("{name}, cut"), file[..file.len() / 2].to_vec()));
    }
    files
}

#[tokio::test]
async fn webassembly_gives_the_report_of_the_native_verifier_on_good_and_damaged_files() {
    let dir = tempfile::tempdir().unwrap();
    let module = module(dir.path());
    let exchanges = Exchanges::carried().await;
    let anchor = exchanges.anchor();
    let anchor_file = dir.path().join("anchor.json");
    std::fs::write(&anchor_file, serde_json::to_vec(&anchor).unwrap()).unwrap();
    let files = files(&exchanges);
    let place = |nth: usize| dir.path().join(format!("{nth}.json"));
    for (nth, (_, bytes)) in files.iter().enumerate() {
        std::fs::write(place(nth), bytes).unwrap();
    }
    let mut node = Command::new("node");
    node.arg(folder().join("verify_all.cjs")).arg(module).arg(anchor_file);
    node.args((0..files.len()).map(place));
    let said = run(&mut node).expect("apt-get install nodejs");
    assert_eq!(said.code, Some(0), "{}", said.text);
    let mut good = 0;
    let lines: Vec<&str> = said.text.lines().collect();
    assert_eq!(lines.len(), files.len(), "{}", said.text);
    for ((name, bytes), line) in files.iter().zip(lines) {
        let theirs: Value = serde_json::from_str(line).unwrap();
        assert_eq!(theirs, report::of(&evidence::verify(bytes, &anchor)), "{name}");
        good += usize::from(theirs["verified"] == true);
    }
    assert_eq!(good, exchanges.files.len());
    assert!(files.len() - good >= 100, "{} damaged files", files.len() - good);
}
