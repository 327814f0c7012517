//! `koprik audit reconcile`: the exports of both sides next to each other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use hub_core::reconcile::Cause;
use hub_server::reconcile::{Item, Report, compare};
use serde_json::{Value, json};

use crate::output;

/// A comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct Reconcile {
    /// Exports of both sides for one period; of each hub, where a member has several.
    #[arg(required = true, num_args = 2.., value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Reconcile {
    pub(super) fn run(self, json: bool) -> ExitCode {
        let compared = compare(&self.files).map_err(anyhow::Error::from).and_then(|report| {
            output::print(json, &as_json(&report), || as_text(&report))?;
            if report.unexplained.is_empty() && report.open > 0 {
                anyhow::bail!(
                    "{} exchange(s) are too new: export again in a few minutes",
                    report.open
                );
            }
            Ok(report.is_clean())
        });
        output::judged("not compared", compared)
    }
}

fn as_json(report: &Report) -> Value {
    let counts = |counts: &BTreeMap<Cause, u64>| -> Vec<Value> {
        let each = counts.iter().map(|(cause, count)| {
            json!({ "cause": cause.as_str(), "count": count, "words": cause.words() })
        });
        each.collect()
    };
    let item = |item: &Item| {
        let (consumer_index, provider_index) = item.seen.places();
        let (consumer_refusals, provider_refusals) = item.seen.refusals();
        json!({
            "cause": item.cause.as_str(),
            "exchange_sha256": item.exchange,
            "began": item.began.to_rfc3339(),
            "service": item.seen.service(),
            "consumer_index": consumer_index,
            "provider_index": provider_index,
            "consumer_refusals": consumer_refusals,
            "provider_refusals": provider_refusals,
        })
    };
    json!({
        "clean": report.is_clean(),
        "exports": report.headers,
        "matched": report.matched,
        "explained": counts(&report.explained),
        "unexplained": counts(&report.unexplained),
        "too_new": report.open,
        "outside": report.outside,
        "apart_ms": report.apart_ms,
        "items": report.items.iter().map(item).collect::<Vec<_>>(),
    })
}

fn as_text(report: &Report) -> String {
    let unexplained: u64 = report.unexplained.values().sum();
    let mut text = match (unexplained, report.open) {
        (0, 0) => "RECONCILED: nothing is unexplained\n".to_owned(),
        (0, open) => format!("NOT ALL JUDGED: {open} exchange(s) are too new\n"),
        _ => format!("UNEXPLAINED: {unexplained} exchange(s)\n"),
    };
    for header in &report.headers {
        text.push_str(&format!(
            "  {}: {} with {}, {} to {}\n",
            header.log,
            header.member,
            header.peer,
            header.from.to_rfc3339(),
            header.to.to_rfc3339()
        ));
    }
    text.push_str(&format!(
        "\n{:>8}  in both logs, equal; request records at most {} ms apart\n",
        report.matched, report.apart_ms
    ));
    for (mark, counts) in [("✗", &report.unexplained), ("✓", &report.explained)] {
        for (cause, count) in counts {
            text.push_str(&format!("{count:>8}  {mark} {}: {}\n", cause.as_str(), cause.words()));
        }
    }
    if report.open > 0 {
        text.push_str(&format!(
            "{:>8}  too new to be judged: export again in a few minutes; should they stay, the clock of a hub \
             was wrong when its export was made\n",
            report.open
        ));
    }
    for item in report.items.iter().filter(|item| report.unexplained.contains_key(&item.cause)) {
        let (consumer, provider) = item.seen.places();
        let place = |index: Option<u64>| index.map_or("-".to_owned(), |index| index.to_string());
        text.push_str(&format!(
            "\n✗ {}  {}  {}\n  consumer's record {}, provider's record {}, SHA-256 of the exchange {}\n",
            item.began.to_rfc3339(),
            item.cause.as_str(),
            item.seen.service().map_or("-", |service| service.as_str()),
            place(consumer),
            place(provider),
            item.exchange,
        ));
    }
    text
}
