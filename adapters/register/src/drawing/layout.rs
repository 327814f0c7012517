//! Places boxes and lines.
//!
//! Rows have two or four columns, so that the gap in the middle is free in every full row: the line
//! from both parents runs down there. The line of a child of one parent alone runs down the gap on
//! that parent's outer side.

use super::{Bond, Drawing, Line, LineKind, Parents, Placed, Relative};
use crate::answers::Relation;
use crate::composition::Role;

/// Width of a person's box.
pub const BOX_WIDTH: u32 = 216;
/// Height of a person's box.
pub const BOX_HEIGHT: u32 = 80;
/// Between two boxes of a row.
const GAP: u32 = 32;
/// Between two rows; lines turn there.
const ROW_GAP: u32 = 56;
/// Around the whole; the outermost line runs there.
const MARGIN: u32 = 28;
/// Between the levels on which lines of different parents turn, so that they never run together.
const APART: u32 = 10;

/// Places the people, who come ordered by role and age.
pub(super) fn place(people: Vec<Relative>) -> Drawing {
    let of = |role: Option<Role>| move |person: &&Relative| person.role() == role;
    let children: Vec<&Relative> = people.iter().filter(of(Some(Role::Child))).collect();
    let residents: Vec<&Relative> = people.iter().filter(of(None)).collect();
    let heads: Vec<&Relative> = people
        .iter()
        .filter(|person| matches!(person.role(), Some(Role::Applicant | Role::Spouse)))
        .collect();
    let columns: usize = if children.len().max(residents.len()) > 2 { 4 } else { 2 };
    let mut grid = Grid { columns: count(columns), people: Vec::new(), next_y: MARGIN };
    grid.add_row(&heads);
    let head_count = grid.people.len();
    for row in children.chunks(columns).chain(residents.chunks(columns)) {
        grid.add_row(row);
    }
    let width = grid.trim();
    let lines = grid.lines(head_count);
    Drawing { width, height: grid.next_y - ROW_GAP + MARGIN, people: grid.people, lines }
}

struct Grid {
    columns: u32,
    people: Vec<Placed>,
    /// Upper side of the next row.
    next_y: u32,
}

impl Grid {
    fn width(&self) -> u32 {
        2 * MARGIN + self.columns * (BOX_WIDTH + GAP) - GAP
    }

    /// Adds a row, in the middle.
    fn add_row(&mut self, row: &[&Relative]) {
        let row_width = (count(row.len()) * (BOX_WIDTH + GAP)).saturating_sub(GAP);
        let mut x = (self.width() - row_width) / 2;
        for person in row {
            self.people.push(Placed { person: (*person).clone(), x, y: self.next_y });
            x += BOX_WIDTH + GAP;
        }
        self.next_y += BOX_HEIGHT + ROW_GAP;
    }

    /// Cuts off columns that no row reaches, on both sides, and gives the width that is left.
    fn trim(&mut self) -> u32 {
        let free = self.people.iter().map(|placed| placed.x - MARGIN).min().unwrap_or(0);
        self.people.iter_mut().for_each(|placed| placed.x -= free);
        self.width() - 2 * free
    }

    fn lines(&self, head_count: usize) -> Vec<Line> {
        let (heads, others) = self.people.split_at(head_count.min(self.people.len()));
        let mut lines = Vec::new();
        if let [left, right] = heads {
            let y = left.y + BOX_HEIGHT / 2;
            let points = vec![(left.x + BOX_WIDTH, y), (right.x, y)];
            lines.push(Line { kind: LineKind::Marriage, points });
        }
        for child in others {
            if let Some(Bond::Child { of, relation, .. }) = &child.person.bond {
                lines.push(line_to(child, heads, (*of, *relation)));
            }
        }
        lines
    }
}

/// The line from the parents to a child: out of the parents, down a gap, along the row, into the box.
fn line_to(child: &Placed, heads: &[Placed], (of, relation): (Parents, Relation)) -> Line {
    let middle = child.x + BOX_WIDTH / 2;
    let turn = child.y - ROW_GAP / 2;
    let (mut points, turn, end) = match (heads, of) {
        ([left, _], Parents::Applicant) => {
            let y = left.y + BOX_HEIGHT / 2;
            let start = vec![(left.x, y), (left.x - GAP / 2, y)];
            (start, turn - APART, middle - 2 * APART)
        }
        ([_, right], Parents::Spouse) => {
            let (x, y) = (right.x + BOX_WIDTH, right.y + BOX_HEIGHT / 2);
            (vec![(x, y), (x + GAP / 2, y)], turn + APART, middle + 2 * APART)
        }
        ([left, _], Parents::Both) => {
            (vec![(left.x + BOX_WIDTH + GAP / 2, left.y + BOX_HEIGHT / 2)], turn, middle)
        }
        (heads, _) => {
            let start = heads.first().map(|one| (one.x + BOX_WIDTH / 2, one.y + BOX_HEIGHT));
            (start.into_iter().collect(), turn, middle)
        }
    };
    if let Some((x, _)) = points.last().copied() {
        points.push((x, turn));
    }
    points.extend([(end, turn), (end, child.y)]);
    Line { kind: LineKind::Parent(relation), points }
}

/// Safe because: a family has far fewer people than 2^32; a wrong count would only misplace boxes.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(0)
}
