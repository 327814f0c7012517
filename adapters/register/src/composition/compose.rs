//! Builds the family from the applicant's, the spouse's and the children's records.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use schemas::pinfl::Pinfl;

use super::{
    CHILD_UNTIL_AGE, Departure, Discrepancy, DiscrepancyKind, Family, Member, Reason, Role,
};
use crate::answers::{ChildLink, FamilyRecord, Marriage, Person, Relation};
use crate::case::{Case, Heard, Question, Waiting};

/// The family of the case's applicant on the day of the application.
#[must_use]
pub fn compose(case: &Case) -> Family {
    let mut composer = Composer { case, family: Family::default(), heads: Vec::new() };
    let own_record = composer.add_applicant();
    let mut children = Children::default();
    if let Some(record) = own_record {
        children.claim(record, None);
        if let Some(spouse) = composer.current_marriage(record).map(|marriage| marriage.spouse) {
            composer.add_spouse(spouse, &mut children);
        }
    }
    for claimed in children.in_order() {
        composer.add_child(claimed);
    }
    composer.compare_addresses();
    composer.family
}

/// Whether a person belongs: perhaps awaiting something, or gone for a reason.
enum Standing {
    Belongs(Waiting),
    Left(Reason),
}

/// A child in a parent's record, and whether it hangs on the spouse alone.
struct Claimed {
    link: ChildLink,
    /// What the claiming spouse's standing awaits; for the applicant's own child nothing.
    through_spouse: Option<Standing>,
}

#[derive(Default)]
struct Children(BTreeMap<Pinfl, Claimed>);

impl Children {
    /// Adds the children of a record; a child of both parents is the applicant's.
    fn claim(&mut self, record: &FamilyRecord, spouse: Option<&Standing>) {
        for link in &record.children {
            let through_spouse = spouse.map(|standing| match standing {
                Standing::Belongs(waiting) => Standing::Belongs(waiting.clone()),
                Standing::Left(reason) => Standing::Left(*reason),
            });
            let claimed = Claimed { link: link.clone(), through_spouse };
            self.0.entry(link.pinfl).or_insert(claimed);
        }
    }

    fn in_order(self) -> Vec<Claimed> {
        let mut children: Vec<Claimed> = self.0.into_values().collect();
        children.sort_by_key(|claimed| (claimed.link.born, claimed.link.pinfl));
        children
    }
}

struct Composer<'a> {
    case: &'a Case,
    family: Family,
    /// The applicant and the spouse.
    heads: Vec<Pinfl>,
}

impl<'a> Composer<'a> {
    fn add_applicant(&mut self) -> Option<&'a FamilyRecord> {
        let applicant = self.case.applicant;
        self.heads.push(applicant);
        let mut waiting = Waiting::default();
        let record = match self.case.family_record(applicant) {
            Heard::Value(record, _) => Some(record),
            Heard::NoRecord(_) => {
                self.flag(DiscrepancyKind::NoCivilRecord, [applicant]);
                None
            }
            Heard::Absent(source) => {
                waiting = Waiting::for_source(source);
                self.family.may_grow.add(waiting.clone());
                None
            }
        };
        let standing = self.standing(applicant, record, None, waiting);
        self.place(applicant, Role::Applicant, applicant.born(), standing);
        record
    }

    fn add_spouse(&mut self, spouse: Pinfl, children: &mut Children) {
        self.heads.push(spouse);
        let mut waiting = Waiting::default();
        let record = match self.case.family_record(spouse) {
            Heard::Value(record, _) => Some(record),
            Heard::NoRecord(_) => {
                self.flag(DiscrepancyKind::NoCivilRecord, [spouse]);
                None
            }
            Heard::Absent(source) => {
                waiting = Waiting::for_source(source);
                self.family.may_grow.add(waiting.clone());
                None
            }
        };
        if let Some(record) = record {
            let dead = self.by_now(record.died);
            let agrees =
                self.current_marriage(record).is_some_and(|m| m.spouse == self.case.applicant);
            if dead || !agrees {
                self.flag(DiscrepancyKind::StaleMarriage, [self.case.applicant, spouse]);
            }
            if !agrees {
                waiting.add(Waiting::for_officer(Question::MarriageDiffers));
            }
        }
        let standing = self.standing(spouse, record, None, waiting);
        if let Some(record) = record {
            children.claim(record, Some(&standing));
        }
        self.place(spouse, Role::Spouse, spouse.born(), standing);
    }

    fn add_child(&mut self, claimed: Claimed) {
        let link = &claimed.link;
        if self.heads.contains(&link.pinfl) {
            return self.flag(DiscrepancyKind::IdentityDiffers, [link.pinfl]);
        }
        if link.born != link.pinfl.born() {
            self.flag(DiscrepancyKind::IdentityDiffers, [link.pinfl]);
        }
        let standing = self.child_standing(&claimed);
        self.place(link.pinfl, Role::Child, link.born, standing);
    }

    fn child_standing(&mut self, claimed: &Claimed) -> Standing {
        let link = &claimed.link;
        if age_on(link.born, self.case.application_date) >= CHILD_UNTIL_AGE {
            return Standing::Left(Reason::Age);
        }
        let mut waiting = match &claimed.through_spouse {
            Some(Standing::Left(Reason::Death)) => return Standing::Left(Reason::ParentDied),
            Some(Standing::Belongs(waiting)) => waiting.clone(),
            Some(Standing::Left(_)) | None => Waiting::default(),
        };
        let mut own_record = None;
        match self.case.family_record(link.pinfl) {
            Heard::Value(record, _) => {
                if self.current_marriage(record).is_some() {
                    return Standing::Left(Reason::Marriage);
                }
                waiting.add(self.other_claims(link, record));
                own_record = Some(record);
            }
            Heard::NoRecord(_) => self.flag(DiscrepancyKind::NoCivilRecord, [link.pinfl]),
            Heard::Absent(source) => waiting.add(Waiting::for_source(source)),
        }
        self.standing(link.pinfl, own_record, link.died, waiting)
    }

    /// Whether another family may claim the child: its own record names other parents, or a parent
    /// outside this family while the child lives elsewhere (I: the latter covers divorced parents).
    fn other_claims(&mut self, link: &ChildLink, record: &FamilyRecord) -> Waiting {
        if link.relation == Relation::Guardianship {
            return Waiting::default();
        }
        let parents: BTreeSet<Pinfl> =
            [record.mother, record.father].into_iter().flatten().collect();
        let outside: BTreeSet<Pinfl> =
            parents.iter().copied().filter(|parent| !self.heads.contains(parent)).collect();
        if outside.is_empty() {
            return Waiting::default();
        }
        let strangers = outside.len() == parents.len() && link.relation == Relation::Birth;
        let lives_here = match self.case.person(self.case.applicant) {
            Heard::Value(person, _) => person.residents.contains(&link.pinfl),
            Heard::NoRecord(_) => false,
            Heard::Absent(_) if strangers => false,
            Heard::Absent(source) => return Waiting::for_source(source),
        };
        if !strangers && lives_here {
            return Waiting::default();
        }
        self.flag(DiscrepancyKind::ChildOfTwoFamilies, outside.into_iter().chain([link.pinfl]));
        Waiting::for_officer(Question::ChildOfTwoFamilies)
    }

    /// Deaths and whereabouts. A death in the civil registry decides; one in the population
    /// register alone is a question to the officer.
    fn standing(
        &mut self,
        pinfl: Pinfl,
        record: Option<&FamilyRecord>,
        death_in_parents_record: Option<Date>,
        mut waiting: Waiting,
    ) -> Standing {
        if record.is_some_and(|r| r.sex != pinfl.sex() || r.born != pinfl.born()) {
            self.flag(DiscrepancyKind::IdentityDiffers, [pinfl]);
        }
        let own_death = record.and_then(|record| record.died);
        let dead = self.by_now(own_death) || self.by_now(death_in_parents_record);
        match self.case.person(pinfl) {
            Heard::Value(person, _) => {
                let dead_elsewhere = self.by_now(person.died);
                if dead != dead_elsewhere {
                    self.flag(DiscrepancyKind::DeadInOneRegister, [pinfl]);
                }
                if let Some(reason) = self.whereabouts(person).filter(|_| !dead) {
                    return Standing::Left(reason);
                }
                if dead_elsewhere {
                    waiting.add(Waiting::for_officer(Question::DeadInOneRegister));
                }
            }
            Heard::NoRecord(_) => self.flag(DiscrepancyKind::NoPopulationRecord, [pinfl]),
            Heard::Absent(source) => waiting.add(Waiting::for_source(source)),
        }
        if dead { Standing::Left(Reason::Death) } else { Standing::Belongs(waiting) }
    }

    fn whereabouts(&self, person: &Person) -> Option<Reason> {
        let away = [
            (person.in_prison, Reason::Prison),
            (person.in_institution, Reason::Institution),
            (self.by_now(person.abroad_since), Reason::Abroad),
            (person.conscript, Reason::Conscription),
        ];
        away.into_iter().find_map(|(is_so, reason)| is_so.then_some(reason))
    }

    /// The marriage that stands on the day of the application; of several, the latest, and the
    /// others are flagged.
    fn current_marriage(&mut self, record: &'a FamilyRecord) -> Option<&'a Marriage> {
        let day = self.case.application_date;
        let stands = |m: &&Marriage| m.married <= day && m.ended.is_none_or(|ended| ended > day);
        let mut standing: Vec<&Marriage> = record.marriages.iter().filter(stands).collect();
        standing.sort_by_key(|marriage| (marriage.married, marriage.spouse));
        let current = standing.pop();
        for stale in standing {
            self.flag(DiscrepancyKind::StaleMarriage, [record.pinfl, stale.spouse]);
        }
        current
    }

    fn compare_addresses(&mut self) {
        let Heard::Value(person, _) = self.case.person(self.case.applicant) else { return };
        let members: BTreeSet<Pinfl> = self.family.members.iter().map(|m| m.pinfl).collect();
        let residents: BTreeSet<Pinfl> = person.residents.iter().copied().collect();
        for elsewhere in members.difference(&residents) {
            self.flag(DiscrepancyKind::CoResidenceDiffers, [*elsewhere]);
        }
        // A spouse abroad who never was registered here may be a former one.
        let abroad = self.family.left.iter().filter(|who| who.reason == Reason::Abroad);
        let abroad: Vec<Pinfl> =
            abroad.filter(|who| who.role == Role::Spouse).map(|who| who.pinfl).collect();
        for spouse in abroad.into_iter().filter(|spouse| !residents.contains(spouse)) {
            self.flag(DiscrepancyKind::CoResidenceDiffers, [spouse]);
        }
        self.family.other_residents = residents.difference(&members).copied().collect();
    }

    fn place(&mut self, pinfl: Pinfl, role: Role, born: Date, standing: Standing) {
        match standing {
            Standing::Belongs(uncertain) => {
                self.family.members.push(Member { pinfl, role, born, uncertain });
            }
            Standing::Left(reason) => self.family.left.push(Departure { pinfl, role, reason }),
        }
    }

    fn flag(&mut self, kind: DiscrepancyKind, persons: impl IntoIterator<Item = Pinfl>) {
        let persons = persons.into_iter().collect();
        self.family.discrepancies.insert(Discrepancy { kind, persons });
    }

    fn by_now(&self, event: Option<Date>) -> bool {
        event.is_some_and(|day| day <= self.case.application_date)
    }
}

/// Completed years of age on `day`.
pub(crate) fn age_on(born: Date, day: Date) -> i16 {
    let had_birthday = (day.month(), day.day()) >= (born.month(), born.day());
    day.year() - born.year() - i16::from(!had_birthday)
}
