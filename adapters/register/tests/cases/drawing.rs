//! The drawing of a family: everybody once, nothing overlaps, no line crosses a box.

use register::answers::Relation;
use register::composition::{Role, compose};
use register::drawing::{BOX_HEIGHT, BOX_WIDTH, Bond, Drawing, LineKind, Parents, Standing, draw};
use schemas::pinfl::{Pinfl, Sex};
use serde_json::json;

use crate::sample::{FATHER, GRANDFATHER, MOTHER, SON, Sample, child, plain_answer};

fn drawing(sample: &Sample) -> Drawing {
    let case = sample.case();
    draw(&case, &compose(&case))
}

/// The worked example with `more` children of each kind: of both, of the father, of the mother.
fn with_children(more: u16) -> Sample {
    let mut sample = Sample::worked_example();
    for at in 0..more * 3 {
        let born = jiff::civil::Date::constant(2015, 1, 2);
        let pinfl = Pinfl::compose(Sex::Male, born, 100, at).unwrap().to_string();
        for (source, kind) in crate::sample::SOURCES {
            sample.set(&pinfl, source, plain_answer(&pinfl, kind));
        }
        let parents: &[&str] = [&[FATHER, MOTHER][..], &[FATHER], &[MOTHER]][usize::from(at % 3)];
        for parent in parents {
            let record = sample.answer(parent, "civil-registry");
            record["children"].as_array_mut().unwrap().push(child(&pinfl));
        }
    }
    sample
}

fn lone_parent() -> Sample {
    let mut sample = Sample::worked_example();
    sample.answer(FATHER, "civil-registry")["marriages"] = json!([]);
    sample
}

type Rectangle = (u32, u32, u32, u32);

fn boxes(drawing: &Drawing) -> Vec<Rectangle> {
    drawing.people.iter().map(|p| (p.x, p.y, p.x + BOX_WIDTH, p.y + BOX_HEIGHT)).collect()
}

/// Whether two rectangles share more than a side.
fn overlap(a: Rectangle, b: Rectangle) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

fn assert_readable(drawing: &Drawing) {
    let boxes = boxes(drawing);
    for (at, one) in boxes.iter().enumerate() {
        assert!(one.2 < drawing.width && one.3 < drawing.height, "inside the drawing");
        assert!(!boxes.iter().skip(at + 1).any(|other| overlap(*one, *other)), "boxes apart");
    }
    for line in &drawing.lines {
        for part in line.points.windows(2) {
            let ((x1, y1), (x2, y2)) = (part[0], part[1]);
            assert!(x1 == x2 || y1 == y2, "level or upright: {line:?}");
            // Half a unit wide on each side, so that a line along a box's side is no crossing.
            let way = (x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2));
            let crosses = |b: &Rectangle| {
                way.0 < b.2
                    && b.0 < way.2.max(way.0 + 1)
                    && way.1 < b.3
                    && b.1 < way.3.max(way.1 + 1)
                    && !(way.3 == b.1 || way.1 == b.3 || way.2 == b.0 || way.0 == b.2)
            };
            assert!(!boxes.iter().any(crosses), "{line:?} crosses a box");
            assert!(way.2 < drawing.width && way.3 < drawing.height, "{line:?} inside");
        }
    }
}

#[test]
fn worked_example_has_everybody_once_with_marriage_and_parents() {
    let drawing = drawing(&Sample::worked_example());
    let order: Vec<_> = drawing.people.iter().map(|p| p.person.role()).collect();
    let child = Some(Role::Child);
    assert_eq!(order, [Some(Role::Applicant), Some(Role::Spouse), child, child, child, None]);
    assert_eq!(drawing.people[0].person.age_years, 40);
    assert_eq!(drawing.people[5].person.pinfl.as_str(), GRANDFATHER);
    assert!(matches!(drawing.people[1].person.bond, Some(Bond::Marriage { since, .. })
        if since.to_string() == "2010-09-01"));
    let kinds: Vec<LineKind> = drawing.lines.iter().map(|line| line.kind).collect();
    let parent = LineKind::Parent(Relation::Birth);
    assert_eq!(kinds, [LineKind::Marriage, parent, parent, parent]);
}

#[test]
fn families_of_every_size_are_drawn_without_overlaps_and_crossed_boxes() {
    assert_readable(&drawing(&lone_parent()));
    for more in 0..5 {
        let drawing = drawing(&with_children(more));
        assert_eq!(drawing.people.len(), 6 + 3 * usize::from(more));
        assert_readable(&drawing);
    }
}

#[test]
fn child_of_one_parent_alone_hangs_on_that_parent() {
    let drawing = drawing(&with_children(1));
    let parents = drawing.people.iter().filter_map(|p| match p.person.bond {
        Some(Bond::Child { of, .. }) => Some(of),
        _ => None,
    });
    let mut of: Vec<Parents> = parents.collect();
    of.dedup();
    assert_eq!(of, [Parents::Both, Parents::Applicant, Parents::Spouse, Parents::Both]);
}

#[test]
fn who_has_left_stays_in_the_drawing_with_the_reason() {
    let mut sample = Sample::worked_example();
    sample.answer(MOTHER, "population")["abroad_since"] = json!("2025-01-01");
    sample.answer(SON, "civil-registry")["died"] = json!("2025-05-05");
    let drawing = drawing(&sample);
    let standing = |pinfl: &str| {
        let mut people = drawing.people.iter().map(|placed| &placed.person);
        serde_json::to_value(match &people.find(|p| p.pinfl.as_str() == pinfl).unwrap().standing {
            Standing::Left { reason, .. } => *reason,
            other => panic!("{other:?}"),
        })
        .unwrap()
    };
    assert_eq!((standing(MOTHER), standing(SON)), (json!("abroad"), json!("death")));
    assert_eq!(drawing.lines.len(), 4, "the lines stay");
    assert_readable(&drawing);
}
