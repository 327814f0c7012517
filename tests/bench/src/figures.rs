//! The figures of a cell, and their medians over rounds.

use std::time::Duration;

use crate::load::{Side, Stretch};

/// What one side did with so many callers in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Exchanges per second.
    pub per_second: f64,
    /// Half of the exchanges took at most this, milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 exchanges took at most this, milliseconds.
    pub p99_ms: f64,
    /// CPU seconds, user and kernel, of both hops for 1 000 exchanges.
    pub cpu_s_per_1000: f64,
    /// Resident memory of both hops together, MiB; pages that processes share count once.
    pub memory_mib: f64,
}

/// A figure's name and how to take it.
pub type Figure = (&'static str, fn(&Figures) -> f64);

/// All figures, in the order in which they are printed.
pub const ALL: [Figure; 5] = [
    ("exchanges per second", |figures| figures.per_second),
    ("p50, ms", |figures| figures.p50_ms),
    ("p99, ms", |figures| figures.p99_ms),
    ("CPU s per 1 000", |figures| figures.cpu_s_per_1000),
    ("memory, MiB", |figures| figures.memory_mib),
];

/// Both sides of one cell in every round.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Concurrent callers.
    pub callers: usize,
    /// nginx and the hubs, round by round.
    pub rounds: Vec<[Figures; 2]>,
}

impl Figures {
    /// Takes a measured stretch, the CPU time that both hops spent for it, and their memory in KiB.
    #[must_use]
    pub fn of(stretch: &Stretch, cpu: Duration, memory_kib: u64) -> Self {
        let exchanges = number(stretch.exchanges).max(1.0);
        let quantile_ms = |share| number(stretch.latency_us.value_at_quantile(share)) / 1000.0;
        Self {
            per_second: exchanges / stretch.elapsed.as_secs_f64(),
            p50_ms: quantile_ms(0.50),
            p99_ms: quantile_ms(0.99),
            cpu_s_per_1000: cpu.as_secs_f64() * 1000.0 / exchanges,
            memory_mib: number(memory_kib) / 1024.0,
        }
    }
}

impl Cell {
    /// The median of a figure on one side.
    #[must_use]
    pub fn median(&self, side: Side, figure: Figure) -> f64 {
        median(self.rounds.iter().map(|[nginx, hubs]| match side {
            Side::Nginx => figure.1(nginx),
            Side::Hubs => figure.1(hubs),
        }))
    }

    /// The ratios hubs to nginx of a figure, round by round, ascending.
    #[must_use]
    pub fn ratios(&self, figure: Figure) -> Vec<f64> {
        let of = |[nginx, hubs]: &[Figures; 2]| figure.1(hubs) / figure.1(nginx);
        sorted(self.rounds.iter().map(of))
    }
}

/// The median; 0 of nothing.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    let middle = values.len() / 2;
    match (values.get(middle), middle.checked_sub(1).and_then(|below| values.get(below))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => (upper + lower) / 2.0,
        (Some(middle), _) => *middle,
        _ => 0.0,
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// A count as a number to divide by; counts here are far below 2^32.
#[must_use]
pub fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_or_the_mean_of_the_two_middles() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }

    #[test]
    fn ratio_is_taken_within_a_round() {
        let figures = |per_second| Figures {
            per_second,
            p50_ms: 1.0,
            p99_ms: 1.0,
            cpu_s_per_1000: 1.0,
            memory_mib: 1.0,
        };
        // The machine was half as fast in the second round.
        let rounds = vec![[figures(100.0), figures(20.0)], [figures(50.0), figures(10.0)]];
        let cell = Cell { callers: 1, rounds };
        assert_eq!(cell.ratios(ALL[0]), [0.2, 0.2]);
        assert_eq!(cell.median(Side::Hubs, ALL[0]), 15.0);
    }
}
