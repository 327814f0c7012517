//! Counters of a hub in OpenMetrics text: exchanges by side and outcome, time spent. No names of people or paths.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use schemas::clock::Stopwatch;

/// Counters of both sides.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    consumer: Counters,
    provider: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    answered: AtomicU64,
    duration_us: AtomicU64,
    /// Refusals are rare; a lock for a moment is cheap.
    refused: Mutex<HashMap<&'static str, u64>>,
}

impl Counters {
    fn count(&self, refused: Option<&'static str>, watch: &Stopwatch) {
        match refused {
            None => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                self.duration_us.fetch_add(watch.elapsed_us(), Ordering::Relaxed);
            }
            Some(code) => {
                let mut refused = self.refused.lock().unwrap_or_else(|lock| lock.into_inner());
                *refused.entry(code).or_default() += 1;
            }
        }
    }

    fn render(&self, side: &str, text: &mut String) {
        let name = "koprik_exchanges_total";
        let answered = self.answered.load(Ordering::Relaxed);
        // Safe because: writing to a String cannot fail.
        let _ = writeln!(text, "{name}{{side=\"{side}\",outcome=\"ok\"}} {answered}");
        let refused = self.refused.lock().unwrap_or_else(|lock| lock.into_inner());
        let mut refused: Vec<_> = refused.iter().collect();
        refused.sort_unstable();
        for (code, count) in refused {
            let _ = writeln!(text, "{name}{{side=\"{side}\",outcome=\"{code}\"}} {count}");
        }
    }
}

impl Metrics {
    /// Counts an exchange of the consumer's half; `refused` is its problem code.
    pub(crate) fn consumer(&self, refused: Option<&'static str>, watch: &Stopwatch) {
        self.consumer.count(refused, watch);
    }

    /// Counts an exchange of the provider's half; `refused` is its problem code.
    pub(crate) fn provider(&self, refused: Option<&'static str>, watch: &Stopwatch) {
        self.provider.count(refused, watch);
    }

    /// OpenMetrics text, with `gauges` (name, help, value) added.
    pub(crate) fn render(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut text = String::from("# TYPE koprik_exchanges counter\n");
        self.consumer.render("consumer", &mut text);
        self.provider.render("provider", &mut text);
        text.push_str("# TYPE koprik_exchange_duration_microseconds counter\n");
        for (side, counters) in [("consumer", &self.consumer), ("provider", &self.provider)] {
            let sum = counters.duration_us.load(Ordering::Relaxed);
            let name = "koprik_exchange_duration_microseconds_total";
            let _ = writeln!(text, "{name}{{side=\"{side}\"}} {sum}");
        }
        for (name, help, value) in gauges {
            let _ = writeln!(text, "# TYPE {name} gauge\n# HELP {name} {help}\n{name} {value}");
        }
        text.push_str("# EOF\n");
        text
    }
}
