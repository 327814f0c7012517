//! The command line of the log's bench.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::arguments::Floors;

/// Shown with every refused command line.
pub const USAGE: &str = "\
cargo bench -p bench --bench log -- [--records 100000,1000000,10000000] [--no-evidence] [--json FILE] [--assert]
  --records LIST  sizes at which the log is measured, ascending; ten million take about 16 GB of disk
  --no-evidence   leaves the sealed evidence out; ten million records then take about 12 GB
  --json FILE     writes the figures to FILE
  --assert        ends with an error when an aim is missed";

/// Records of the short form.
const SHORT: u64 = 100_000;
/// Fewest and most records of a size: every figure needs some, and the disk has an end.
const RECORDS: std::ops::RangeInclusive<u64> = 20_000..=100_000_000;

/// At which sizes the log is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogArguments {
    /// Records, ascending.
    pub records: Vec<u64>,
    /// Whether records have their sealed evidence.
    pub evidence: Evidence,
    /// Where the figures go.
    pub json: Option<PathBuf>,
    /// Whether a missed aim is an error.
    pub floors: Floors,
}

/// Whether records have their sealed evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// As a hub keeps it, without bodies.
    Kept,
    /// None, where the disk is small.
    LeftOut,
}

impl LogArguments {
    /// Reads the command line without the program's name. `--bench`, which cargo adds, is skipped.
    ///
    /// # Errors
    /// An unknown flag or a value out of range, with the usage.
    pub fn parse(words: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        Self::read(words).context(USAGE)
    }

    fn read(words: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut arguments = Self {
            records: vec![SHORT],
            evidence: Evidence::Kept,
            json: None,
            floors: Floors::Shown,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--bench" => {}
                "--records" => arguments.records = sizes(&value()?)?,
                "--no-evidence" => arguments.evidence = Evidence::LeftOut,
                "--json" => arguments.json = Some(value()?.into()),
                "--assert" => arguments.floors = Floors::Asserted,
                _ => bail!("unknown flag {word}"),
            }
        }
        Ok(arguments)
    }
}

fn sizes(list: &str) -> anyhow::Result<Vec<u64>> {
    let size = |text: &str| {
        let size = text.parse().ok().filter(|size| RECORDS.contains(size));
        size.with_context(|| format!("`{text}` is not a number of records from {RECORDS:?}"))
    };
    let sizes: Vec<u64> = list.split(',').map(size).collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(sizes.is_sorted_by(|a, b| a < b), "the sizes in `{list}` do not ascend");
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<LogArguments> {
        LogArguments::parse(line.split_whitespace().map(ToOwned::to_owned))
    }

    #[test]
    fn sizes_are_read_and_the_short_form_is_the_default() {
        assert_eq!(parse("--bench").unwrap().records, [SHORT]);
        let long = parse("--records 100000,1000000 --assert --no-evidence").unwrap();
        assert_eq!((long.records, long.floors), (vec![100_000, 1_000_000], Floors::Asserted));
        assert_eq!(long.evidence, Evidence::LeftOut);
    }

    #[test]
    fn sizes_that_do_not_ascend_or_are_out_of_range_are_refused() {
        for list in ["1000000,100000", "100000,100000", "0", "x", "", "1000000000"] {
            assert!(parse(&format!("--records {list}")).is_err(), "{list}");
        }
    }
}
