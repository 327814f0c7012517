//! The verifier of evidence files as WebAssembly, for browsers and Node: the same code that `koprik
//! verify` runs, with no network and no key. `tests/conformance` holds it to the same answers.
//!
//! ```sh
//! rustup target add wasm32-unknown-unknown        # ring is compiled with clang
//! cargo build -p verifier-wasm --release --target wasm32-unknown-unknown
//! ```
//!
//! `wasm-bindgen` of the version in `Cargo.lock` makes the module's JavaScript from it.

use hub_core::evidence::{self, EvidenceRefusal, Step};
use hub_core::report;
use schemas::configuration::Anchor;
use schemas::limits::EVIDENCE_FILE_MAX_BYTES;
use wasm_bindgen::prelude::wasm_bindgen;

/// Verifies an evidence file (its bytes) with a configuration anchor (its text). Gives the report as
/// JSON text, as `koprik --json verify` prints it.
#[wasm_bindgen]
#[must_use]
pub fn verify(evidence: &[u8], anchor: &str) -> String {
    report::of(&judge(evidence, anchor)).to_string()
}

fn judge(file: &[u8], anchor: &str) -> Result<evidence::Proved, EvidenceRefusal> {
    let refused = |step, reason: String| EvidenceRefusal { step, reason };
    if u64::try_from(file.len()).map_or(true, |bytes| bytes > EVIDENCE_FILE_MAX_BYTES) {
        let text = format!("the file has {} bytes, more than any evidence file", file.len());
        return Err(refused(Step::Form, text));
    }
    let anchor: Anchor = serde_json::from_str(anchor).map_err(|_| {
        refused(Step::Configuration, "the anchor given is no configuration anchor".to_owned())
    })?;
    evidence::verify(file, &anchor)
}
