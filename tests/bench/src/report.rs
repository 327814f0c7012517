//! The printed table, the JSON file, and the floors.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::figures::{ALL, Cell, Figures, median, number};
use crate::load::Side;

/// Everything that was measured.
pub struct Measured {
    /// The cells, by callers.
    pub cells: Vec<Cell>,
    /// From the start of a hub's process until it is ready.
    pub ready: Duration,
    /// Resident memory of a hub at rest, KiB.
    pub rest_kib: u64,
    /// Median time of an append of 1 KiB with its fdatasync.
    pub sync: Duration,
}

/// Exchanges per second at [`FLOOR_CALLERS`], hubs to nginx.
pub const FLOOR_RATIO: f64 = 0.15;
/// Callers at which the ratio counts.
pub const FLOOR_CALLERS: usize = 16;
/// A hub is ready within this time.
pub const FLOOR_READY: Duration = Duration::from_secs(1);
/// A hub at rest is smaller than this, KiB.
pub const FLOOR_REST_KIB: u64 = 64 * 1024;

/// The table and the floors as text.
#[must_use]
pub fn text(measured: &Measured) -> String {
    let mut text = format!(
        "\n{:>8}  {:<22}{:>10}{:>10}{:>12}   {}\n",
        "callers", "median of rounds", "nginx", "hubs", "hubs/nginx", "least-most"
    );
    // Safe because: writing to a String cannot fail.
    for cell in &measured.cells {
        for figure in ALL {
            let [nginx, hubs] = [Side::Nginx, Side::Hubs].map(|side| cell.median(side, figure));
            let ratios = cell.ratios(figure);
            let ratio = median(ratios.iter().copied());
            let ends = [ratios.first(), ratios.last()].map(|r| r.copied().unwrap_or_default());
            let [least, most] = ends;
            let _ = writeln!(
                text,
                "{:>8}  {:<22}{:>10}{:>10}{ratio:>12.2}   {least:.2}-{most:.2}",
                cell.callers,
                figure.0,
                rounded(nginx),
                rounded(hubs),
            );
        }
    }
    let _ = writeln!(
        text,
        "\na hub is ready after {} ms and rests at {:.1} MiB; an append of 1 KiB is durable after {} µs",
        measured.ready.as_millis(),
        number(measured.rest_kib) / 1024.0,
        measured.sync.as_micros(),
    );
    text
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

/// The floors that are missed, in words.
#[must_use]
pub fn missed(measured: &Measured) -> Vec<String> {
    let mut missed = Vec::new();
    match measured.cells.iter().find(|cell| cell.callers == FLOOR_CALLERS) {
        None => missed.push(format!("no cell with {FLOOR_CALLERS} callers was measured")),
        Some(cell) => {
            let [per_second, ..] = ALL;
            let ratio = median(cell.ratios(per_second).into_iter());
            if ratio < FLOOR_RATIO {
                missed.push(format!(
                    "{ratio:.3} of nginx's exchanges per second at {FLOOR_CALLERS} callers, \
                     {FLOOR_RATIO} is the floor"
                ));
            }
        }
    }
    if measured.ready >= FLOOR_READY {
        missed.push(format!("ready after {} ms, 1 000 is the floor", measured.ready.as_millis()));
    }
    if measured.rest_kib >= FLOOR_REST_KIB {
        missed.push(format!("{} KiB at rest, {FLOOR_REST_KIB} is the floor", measured.rest_kib));
    }
    missed
}

/// Every round's figures.
#[must_use]
pub fn to_json(measured: &Measured) -> Value {
    let side = |figures: &Figures| -> Value {
        ALL.iter().map(|(name, take)| ((*name).to_owned(), json!(take(figures)))).collect()
    };
    let cell = |cell: &Cell| {
        let rounds: Vec<Value> = cell
            .rounds
            .iter()
            .map(|[nginx, hubs]| json!({"nginx": side(nginx), "hubs": side(hubs)}))
            .collect();
        json!({"callers": cell.callers, "rounds": rounds})
    };
    json!({
        "cells": measured.cells.iter().map(cell).collect::<Vec<_>>(),
        "ready_ms": measured.ready.as_secs_f64() * 1000.0,
        "rest_kib": measured.rest_kib,
        "sync_us": measured.sync.as_secs_f64() * 1e6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(ratio: f64) -> Measured {
        let figures = |per_second| Figures {
            per_second,
            p50_ms: 0.5,
            p99_ms: 1.0,
            cpu_s_per_1000: 0.2,
            memory_mib: 40.0,
        };
        let rounds = vec![[figures(10_000.0), figures(10_000.0 * ratio)]];
        Measured {
            cells: vec![Cell { callers: FLOOR_CALLERS, rounds }],
            ready: Duration::from_millis(80),
            rest_kib: 30_000,
            sync: Duration::from_micros(90),
        }
    }

    #[test]
    fn each_floor_can_be_missed() {
        assert_eq!(missed(&measured(0.2)), Vec::<String>::new());
        assert_eq!(missed(&measured(0.14)).len(), 1);
        let slow = Measured { ready: FLOOR_READY, rest_kib: FLOOR_REST_KIB, ..measured(0.2) };
        assert_eq!(missed(&slow).len(), 2);
        let other = Measured { cells: Vec::new(), ..measured(0.2) };
        assert!(missed(&other)[0].contains("16 callers"));
    }

    #[test]
    fn table_shows_both_sides_and_the_ratio() {
        let text = text(&measured(0.25));
        let line = text.lines().find(|line| line.contains("exchanges per second")).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words,
            ["16", "exchanges", "per", "second", "10000", "2500", "0.25", "0.25-0.25"]
        );
    }
}
