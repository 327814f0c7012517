//! A verification's result as JSON: the same from the command line and from WebAssembly.

use serde_json::{Value, json};

use crate::evidence::{EvidenceRefusal, Proved};

/// What was proved, what was not, and what does not hold.
#[must_use]
pub fn of(result: &Result<Proved, EvidenceRefusal>) -> Value {
    match result {
        Ok(proved) => of_proved(proved),
        Err(EvidenceRefusal { step, reason }) => {
            json!({ "verified": false, "step": format!("{step:?}"), "reason": reason })
        }
    }
}

fn of_proved(proved: &Proved) -> Value {
    let steps: Vec<&str> = proved.steps.iter().map(|step| step.words()).collect();
    let records = proved.records.iter();
    let records: Vec<Value> =
        records.map(|(index, record)| json!({ "index": index, "record": record })).collect();
    let by = proved.cosigned.by.iter();
    let cosigned: Vec<Value> =
        by.map(|(name, at)| json!({ "witness": name, "at": at.to_rfc3339() })).collect();
    json!({
        "verified": true,
        "log": proved.origin,
        "server": proved.server,
        "tree_size": proved.tree_size,
        "configuration_version": proved.configuration_version,
        "witnesses": {
            "cosigned": cosigned, "of": proved.cosigned.of, "quorum": proved.cosigned.quorum,
        },
        "timestamp": proved.timestamp.as_ref().map(|stamped| {
            json!({ "existed_before": stamped.time.to_rfc3339(), "authority": stamped.authority })
        }),
        "steps": steps,
        "records": records,
        "not_proved": proved.not_proved,
    })
}
