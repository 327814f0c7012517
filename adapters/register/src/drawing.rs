//! The family as a drawing: who stands where, and the lines of marriage and parentage between them.
//!
//! The applicant and the spouse stand in the first row, the children by date of birth below, then
//! whoever else is registered at the dwelling. Who has left stands where they would stand. No line
//! crosses a box. Left out: words and colours, which are the page's.

mod layout;

use jiff::civil::Date;
use schemas::pinfl::Pinfl;

use crate::answers::Relation;
use crate::case::{Case, Heard, Waiting};
use crate::composition::{Family, Reason, Role};
use crate::redact::redact;
use crate::source::Provenance;

pub use layout::{BOX_HEIGHT, BOX_WIDTH};

/// A family's drawing; lengths are in the drawing's own units, the origin is the upper left corner.
#[derive(Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Width of the whole.
    pub width: u32,
    /// Height of the whole.
    pub height: u32,
    /// The people, applicant first.
    pub people: Vec<Placed>,
    /// The lines between them.
    pub lines: Vec<Line>,
}

/// A person and the upper left corner of the person's box.
#[derive(Clone, PartialEq, Eq)]
pub struct Placed {
    /// The person.
    pub person: Relative,
    /// Left side of the box.
    pub x: u32,
    /// Upper side of the box.
    pub y: u32,
}

/// A person of the family, or somebody who is shown beside it.
#[derive(Clone, PartialEq, Eq)]
pub struct Relative {
    /// The person.
    pub pinfl: Pinfl,
    /// Given name and surname, where the population register gave them.
    pub name: Option<String>,
    /// Date of birth.
    pub born: Date,
    /// Completed years of age on the day of the application; negative before birth.
    pub age_years: i16,
    /// Whether the person belongs to the family.
    pub standing: Standing,
    /// What binds the person to the family; `None` for the applicant and for residents.
    pub bond: Option<Bond>,
}

/// Whether a person belongs to the family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A member, uncertain while something is awaited.
    Member {
        /// Who the person is.
        role: Role,
        /// What is awaited; empty when certain.
        uncertain: Waiting,
    },
    /// Linked to the family and not of it.
    Left {
        /// Who the person was.
        role: Role,
        /// Why the person is not counted.
        reason: Reason,
    },
    /// Registered at the same dwelling and not of the family.
    Resident,
}

/// What binds a person to the family, by the civil registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Bond {
    /// Married to the applicant.
    Marriage {
        /// Since this day.
        since: Date,
        /// Where that comes from.
        provenance: Provenance,
    },
    /// A child of one of the two, or of both.
    Child {
        /// Whose.
        of: Parents,
        /// How it belongs to the first of them.
        relation: Relation,
        /// Where that comes from.
        provenance: Provenance,
    },
}

/// Whose child somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parents {
    /// Of the applicant and the spouse.
    Both,
    /// Of the applicant alone.
    Applicant,
    /// Of the spouse alone.
    Spouse,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// The two are married.
    Marriage,
    /// From parents to a child.
    Parent(Relation),
}

/// A line through its points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it says.
    pub kind: LineKind,
    /// Its points, `(x, y)`; each part is level or upright.
    pub points: Vec<(u32, u32)>,
}
redact!(Drawing, Placed, Relative, Bond);

impl Relative {
    /// Who the person is or was in the family; `None` for residents.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match self.standing {
            Standing::Member { role, .. } | Standing::Left { role, .. } => Some(role),
            Standing::Resident => None,
        }
    }
}

/// Draws the family that was composed from `case`.
#[must_use]
pub fn draw(case: &Case, family: &Family) -> Drawing {
    layout::place(relatives(case, family))
}

/// Members, those who have left, and residents.
fn relatives(case: &Case, family: &Family) -> Vec<Relative> {
    let spouse = spouse_of(family);
    let mut people = Vec::new();
    let mut add = |pinfl: Pinfl, born: Date, standing: Standing| {
        people.push(Relative {
            pinfl,
            name: name(case, pinfl),
            born,
            age_years: crate::composition::age_on(born, case.application_date),
            bond: bond(case, spouse, (pinfl, &standing)),
            standing,
        });
    };
    for member in &family.members {
        let standing = Standing::Member { role: member.role, uncertain: member.uncertain.clone() };
        add(member.pinfl, member.born, standing);
    }
    for gone in &family.left {
        let standing = Standing::Left { role: gone.role, reason: gone.reason };
        add(gone.pinfl, gone.pinfl.born(), standing);
    }
    let shown = |pinfl: &Pinfl| family.left.iter().any(|gone| gone.pinfl == *pinfl);
    for resident in family.other_residents.iter().filter(|resident| !shown(resident)) {
        add(*resident, resident.born(), Standing::Resident);
    }
    people.sort_by_key(|person| (person.role().map_or(3, rank), person.born, person.pinfl));
    people
}

fn rank(role: Role) -> u8 {
    match role {
        Role::Applicant => 0,
        Role::Spouse => 1,
        Role::Child => 2,
    }
}

fn spouse_of(family: &Family) -> Option<Pinfl> {
    let members = family.members.iter().map(|member| (member.pinfl, member.role));
    let left = family.left.iter().map(|gone| (gone.pinfl, gone.role));
    members.chain(left).find(|(_, role)| *role == Role::Spouse).map(|(pinfl, _)| pinfl)
}

fn bond(case: &Case, spouse: Option<Pinfl>, (pinfl, standing): (Pinfl, &Standing)) -> Option<Bond> {
    let (Standing::Member { role, .. } | Standing::Left { role, .. }) = standing else {
        return None;
    };
    match role {
        Role::Applicant => None,
        Role::Spouse => marriage(case, pinfl),
        Role::Child => parentage(case, spouse, pinfl),
    }
}

fn marriage(case: &Case, spouse: Pinfl) -> Option<Bond> {
    let Heard::Value(record, provenance) = case.family_record(case.applicant) else { return None };
    let with_spouse = record.marriages.iter().filter(|marriage| marriage.spouse == spouse);
    let since = with_spouse.map(|marriage| marriage.married).max()?;
    Some(Bond::Marriage { since, provenance: provenance.clone() })
}

fn parentage(case: &Case, spouse: Option<Pinfl>, child: Pinfl) -> Option<Bond> {
    let link_of = |parent: Pinfl| {
        let Heard::Value(record, provenance) = case.family_record(parent) else { return None };
        let link = record.children.iter().find(|link| link.pinfl == child)?;
        Some((link.relation, provenance.clone()))
    };
    let (of_applicant, of_spouse) = (link_of(case.applicant), spouse.and_then(link_of));
    let of = match (&of_applicant, &of_spouse) {
        (Some(_), Some(_)) => Parents::Both,
        (Some(_), None) => Parents::Applicant,
        (None, _) => Parents::Spouse,
    };
    let (relation, provenance) = of_applicant.or(of_spouse)?;
    Some(Bond::Child { of, relation, provenance })
}

/// Given name and surname, where a population register gave them.
fn name(case: &Case, pinfl: Pinfl) -> Option<String> {
    let mut of_person = case.answers.iter().filter(|(subject, _, _)| *subject == pinfl);
    let person = of_person.find_map(|(_, _, answer)| answer.population()?.value())?;
    Some(format!("{} {}", person.given_name, person.surname))
}
