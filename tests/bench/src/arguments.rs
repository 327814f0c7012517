//! The command line of the bench.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Shown with every refused command line.
pub const USAGE: &str = "\
cargo bench -p bench -- [--short] [--callers 1,16,64] [--rounds N] [--json FILE] [--assert]
  --short        two seconds for each cell instead of five, three rounds instead of five
  --callers LIST concurrent callers, each with one connection; up to 512
  --rounds N     times that every cell is measured, nginx and hubs in turn
  --json FILE    writes every round's figures to FILE
  --assert       ends with an error when a floor is not reached";

/// Most callers: each holds a connection on both sides.
const CALLERS_MAX: usize = 512;
const ROUNDS_MAX: usize = 100;

/// What is measured, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Concurrent callers, one cell each.
    pub callers: Vec<usize>,
    /// Times that every cell is measured on both sides.
    pub rounds: usize,
    /// How long a cell is measured.
    pub measured: Duration,
    /// How long a cell runs before it is measured.
    pub warm_up: Duration,
    /// Where every round's figures go.
    pub json: Option<PathBuf>,
    /// Whether a missed floor is an error.
    pub floors: Floors,
}

/// What becomes of a missed floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floors {
    /// It is printed.
    Shown,
    /// The bench ends with an error.
    Asserted,
}

impl Arguments {
    /// Reads the command line without the program's name. `--bench`, which cargo adds, is skipped.
    ///
    /// # Errors
    /// An unknown flag or a value out of range, with the usage.
    pub fn parse(words: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        Self::read(words).context(USAGE)
    }

    fn read(words: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut arguments = Self {
            callers: vec![1, 16, 64],
            rounds: 5,
            measured: Duration::from_secs(5),
            warm_up: Duration::from_secs(1),
            json: None,
            floors: Floors::Shown,
        };
        let mut rounds = None;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--bench" => {}
                "--short" => {
                    arguments.rounds = 3;
                    arguments.measured = Duration::from_secs(2);
                    arguments.warm_up = Duration::from_millis(300);
                }
                "--callers" => arguments.callers = callers(&value()?)?,
                "--rounds" => rounds = Some(within(&value()?, ROUNDS_MAX)?),
                "--json" => arguments.json = Some(value()?.into()),
                "--assert" => arguments.floors = Floors::Asserted,
                _ => bail!("unknown flag {word}"),
            }
        }
        arguments.rounds = rounds.unwrap_or(arguments.rounds);
        Ok(arguments)
    }
}

fn callers(list: &str) -> anyhow::Result<Vec<usize>> {
    list.split(',').map(|count| within(count, CALLERS_MAX)).collect()
}

fn within(text: &str, most: usize) -> anyhow::Result<usize> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.with_context(|| format!("`{text}` is not a number from 1 to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<Arguments> {
        Arguments::parse(line.split_whitespace().map(ToOwned::to_owned))
    }

    #[test]
    fn flags_are_read_in_any_order() {
        let arguments = parse("--bench --rounds 7 --short --callers 1,16 --assert").unwrap();
        assert_eq!((arguments.rounds, arguments.callers), (7, vec![1, 16]));
        assert_eq!(arguments.measured, Duration::from_secs(2));
        assert_eq!(arguments.floors, Floors::Asserted);
        assert_eq!(parse("--short").unwrap().rounds, 3);
    }

    #[test]
    fn what_is_no_flag_or_out_of_range_is_refused() {
        for line in ["--fast", "--callers 0", "--callers 1,,2", "--callers 513", "--rounds", "x"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
