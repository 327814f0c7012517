//! The table of the log's bench, the JSON file, and the aims.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::figures::number;

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    /// It is only stated.
    Stated,
    /// At least this.
    AtLeast(f64),
    /// Less than this.
    Below(f64),
}

/// A figure at one size of the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// What, with its unit.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// What it has to be.
    pub aim: Aim,
}

/// All figures at one size; every size has the same ones.
#[derive(Clone, Debug)]
pub struct AtSize {
    /// Records in the log.
    pub records: u64,
    /// The figures in the order in which they are printed.
    pub figures: Vec<Figure>,
}

impl Figure {
    fn is_missed(&self) -> bool {
        match self.aim {
            Aim::Stated => false,
            Aim::AtLeast(least) => self.value < least,
            Aim::Below(limit) => self.value >= limit,
        }
    }
}

/// The table: a line for each figure, a column for each size, and the aim.
#[must_use]
pub fn text(sizes: &[AtSize]) -> String {
    let mut text = format!("\n{:<48}", "records in the log");
    // Safe because: writing to a String cannot fail.
    for size in sizes {
        let _ = write!(text, "{:>12}", size.records);
    }
    let _ = writeln!(text, "   aim");
    // Some figures are of large sizes only, which come last.
    let names = sizes.last().map_or(&[][..], |size| &size.figures);
    for figure in names {
        let _ = write!(text, "{:<48}", figure.name);
        for size in sizes {
            let same = size.figures.iter().find(|of_size| of_size.name == figure.name);
            let value = same.map(|figure| rounded(figure.value));
            let _ = write!(text, "{:>12}", value.unwrap_or_default());
        }
        let _ = match figure.aim {
            Aim::Stated => writeln!(text),
            Aim::AtLeast(least) => writeln!(text, "   at least {least}"),
            Aim::Below(limit) => writeln!(text, "   below {limit}"),
        };
    }
    text
}

/// The aims that are missed, in words.
#[must_use]
pub fn missed(sizes: &[AtSize]) -> Vec<String> {
    let of = |size: &AtSize| -> Vec<String> {
        let missed = size.figures.iter().filter(|figure| figure.is_missed());
        missed
            .map(|figure| {
                let (name, value) = (figure.name, rounded(figure.value));
                format!("{name}: {value} at {} records, aim {:?}", size.records, figure.aim)
            })
            .collect()
    };
    sizes.iter().flat_map(of).collect()
}

/// Every figure at every size.
#[must_use]
pub fn to_json(sizes: &[AtSize]) -> Value {
    let size = |size: &AtSize| {
        let figures: serde_json::Map<_, _> =
            size.figures.iter().map(|f| (f.name.to_owned(), json!(f.value))).collect();
        json!({"records": size.records, "figures": figures})
    };
    sizes.iter().map(size).collect()
}

/// Bytes for each exchange of two records.
#[must_use]
pub fn bytes_per_exchange(bytes: u64, records: u64) -> f64 {
    // Counted in KiB: a count is at most 2^32.
    number(bytes / 1024) * 1024.0 * 2.0 / number(records.max(1))
}

/// Three digits that count.
fn rounded(value: f64) -> String {
    match value {
        large if large >= 100.0 => format!("{large:.0}"),
        middle if middle >= 10.0 => format!("{middle:.1}"),
        small if small >= 1.0 => format!("{small:.2}"),
        tiny => format!("{tiny:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: f64) -> Vec<AtSize> {
        let figure = |name, aim| Figure { name, value, aim };
        let figures = vec![
            figure("share", Aim::AtLeast(0.5)),
            figure("start, s", Aim::Below(2.0)),
            figure("bytes", Aim::Stated),
        ];
        vec![AtSize { records: 100_000, figures }]
    }

    #[test]
    fn each_aim_can_be_missed() {
        assert_eq!(missed(&at(1.0)), [""; 0]);
        assert_eq!(missed(&at(0.49)), ["share: 0.490 at 100000 records, aim AtLeast(0.5)"]);
        assert_eq!(missed(&at(2.0)), ["start, s: 2.00 at 100000 records, aim Below(2.0)"]);
    }

    #[test]
    fn table_has_a_column_for_each_size_and_the_aim() {
        let text = text(&[at(1.0), at(12.0)].concat());
        let line = text.lines().find(|line| line.starts_with("start")).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words, ["start,", "s", "1.00", "12.0", "below", "2"]);
    }
}
