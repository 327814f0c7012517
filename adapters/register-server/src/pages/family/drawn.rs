//! The family as a drawing (SVG), and the same as a table for readers who do not see it.

use maud::{Markup, html};
use register::answers::Relation;
use register::drawing::{
    BOX_HEIGHT, BOX_WIDTH, Bond, Drawing, Line, LineKind, Parents, Placed, Relative, Standing, draw,
};
use register::profile::Profile;

use super::super::frame::{day_text, table};
use super::super::visit::Visit;
use super::super::words::{fill, word};
use super::{awaited, source};

/// Characters of a name in a box, in bold; longer ones are cut, the table has them whole.
const BOX_NAME_MAX_CHARS: usize = 20;
/// Characters of the other lines.
const BOX_LINE_MAX_CHARS: usize = 26;

/// The family's part of the page.
pub(super) fn markup(visit: &Visit<'_>, profile: &Profile) -> Markup {
    let words = visit.words;
    let drawing = draw(&profile.case, &profile.family);
    html! {
        figure {
            div.scroll tabindex="0" role="region" aria-label=(words.family_picture) {
                (picture(visit, profile, &drawing))
            }
            figcaption.small { (words.legend) }
        }
        (table("members", &words.family_table, &rows(visit, profile, &drawing)))
        @if !profile.family.may_grow.is_empty() {
            @let awaited = awaited(visit, profile, &profile.family.may_grow);
            p { strong { (fill(&words.may_grow, &[("awaited", &awaited)])) } }
        }
        @if !profile.family.discrepancies.is_empty() {
            h3 { (words.discrepancies) }
            ul {
                @for discrepancy in &profile.family.discrepancies {
                    li {
                        (word(&words.discrepancy, &discrepancy.kind)) ": "
                        @for (at, pinfl) in discrepancy.persons.iter().enumerate() {
                            @if at > 0 { ", " }
                            (super::person(profile, *pinfl))
                        }
                    }
                }
            }
        }
    }
}

fn picture(visit: &Visit<'_>, profile: &Profile, drawing: &Drawing) -> Markup {
    let words = visit.words;
    let family = &profile.family;
    let description = fill(
        &words.family_desc,
        &[
            ("members", &family.members.len()),
            ("left", &family.left.len()),
            ("residents", &family.other_residents.len()),
        ],
    );
    let (width, height) = (drawing.width, drawing.height);
    html! {
        svg.family role="img" aria-labelledby="picture-title"
            aria-describedby="picture-description"
            viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) {
            title #picture-title { (words.family_picture) }
            desc #picture-description { (description) }
            @for line in &drawing.lines { (drawn_line(line)) }
            @for placed in &drawing.people { (drawn_box(visit, placed)) }
        }
    }
}

fn drawn_line(line: &Line) -> Markup {
    let points: Vec<String> = line.points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let points = points.join(" ");
    html! {
        @match line.kind {
            // A broad line with a narrow bright one on it is a double line.
            LineKind::Marriage => {
                polyline.marriage points=(points) {}
                polyline.marriage-gap points=(points) {}
            }
            LineKind::Parent(Relation::Birth) => polyline.birth points=(points) {},
            LineKind::Parent(Relation::Adoption | Relation::Guardianship) => {
                polyline.bond points=(points) {}
            }
        }
    }
}

fn drawn_box(visit: &Visit<'_>, placed: &Placed) -> Markup {
    let (words, person) = (visit.words, &placed.person);
    let (class, note) = match &person.standing {
        Standing::Member { uncertain, .. } if uncertain.is_empty() => {
            ("member", day_text(person.born))
        }
        Standing::Member { .. } => ("uncertain", words.box_uncertain.clone()),
        Standing::Left { reason, .. } => {
            let reason = word(&words.reason, reason);
            ("left", fill(&words.box_left, &[("reason", &reason)]))
        }
        Standing::Resident => ("left", words.box_resident.clone()),
    };
    let name = person.name.clone().unwrap_or_else(|| person.pinfl.to_string());
    let who = format!("{}, {}", role(visit, person), age(visit, person));
    let lines = [
        cut(&name, BOX_NAME_MAX_CHARS),
        cut(&who, BOX_LINE_MAX_CHARS),
        cut(&note, BOX_LINE_MAX_CHARS),
    ];
    html! {
        g class=(class) {
            rect x=(placed.x) y=(placed.y) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="4" {}
            @for (line, down) in lines.iter().zip([26, 47, 67]) {
                text x=(placed.x + 12) y=(placed.y + down) { (line) }
            }
        }
    }
}

fn cut(line: &str, max_chars: usize) -> String {
    if line.chars().count() <= max_chars {
        return line.to_owned();
    }
    line.chars().take(max_chars - 1).chain(['…']).collect()
}

fn rows(visit: &Visit<'_>, profile: &Profile, drawing: &Drawing) -> Markup {
    let words = visit.words;
    html! {
        thead {
            tr {
                th scope="col" { (words.person) }
                th scope="col" { (words.role_label) }
                th scope="col" { (words.age_label) }
                th scope="col" { (words.belongs) }
                th scope="col" { (words.why) }
            }
        }
        tbody {
            @for person in drawing.people.iter().map(|placed| &placed.person) {
                tr {
                    th scope="row" { (super::person(profile, person.pinfl)) }
                    td { (role(visit, person)) }
                    td { (age(visit, person)) br; span.small { (day_text(person.born)) } }
                    td { (belongs(visit, profile, person)) }
                    td { (why(visit, profile, person)) }
                }
            }
        }
    }
}

fn role(visit: &Visit<'_>, person: &Relative) -> String {
    let words = visit.words;
    person
        .role()
        .map_or_else(|| words.resident.clone(), |role| word(&words.role, &role).into_owned())
}

fn age(visit: &Visit<'_>, person: &Relative) -> String {
    if person.age_years < 0 {
        return visit.words.before_birth.clone();
    }
    fill(&visit.words.years, &[("count", &person.age_years)])
}

fn belongs(visit: &Visit<'_>, profile: &Profile, person: &Relative) -> String {
    let words = visit.words;
    match &person.standing {
        Standing::Member { uncertain, .. } if uncertain.is_empty() => words.belongs_yes.clone(),
        Standing::Member { uncertain, .. } => {
            let awaited = awaited(visit, profile, uncertain);
            fill(&words.belongs_uncertain, &[("awaited", &awaited)])
        }
        Standing::Left { reason, .. } => {
            fill(&words.belongs_no, &[("reason", &word(&words.reason, reason))])
        }
        Standing::Resident => words.belongs_resident.clone(),
    }
}

fn why(visit: &Visit<'_>, profile: &Profile, person: &Relative) -> Markup {
    let words = visit.words;
    let (text, provenance) = match &person.bond {
        Some(Bond::Marriage { since, provenance }) => {
            (fill(&words.why_spouse, &[("since", &day_text(*since))]), Some(provenance))
        }
        Some(Bond::Child { of, relation, provenance }) => {
            let parents = match of {
                Parents::Both => &words.parents_both,
                Parents::Applicant => &words.parents_applicant,
                Parents::Spouse => &words.parents_spouse,
            };
            let relation = word(&words.relation, relation);
            let text = fill(&words.why_child, &[("relation", &relation), ("parents", parents)]);
            (text, Some(provenance))
        }
        None if person.role().is_some() => (words.why_applicant.clone(), None),
        None => (words.why_resident.clone(), None),
    };
    html! {
        (text)
        @if let Some(provenance) = provenance {
            br;
            span.small { (source(visit, profile, &provenance.source)) }
        }
    }
}
