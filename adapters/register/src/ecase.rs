//! E-Case: the case of one person in need of social services, from its opening to its closing.
//!
//! ```text
//! open → questionnaire → needs (Barthel, Lawton) → decision ─ granted → plan → acceptance → services, visits → closed
//!                                                     └ refused ─┐                                               │
//!                                                          appeal ←─ removal ────────────────────────────────────┘
//! ```
//!
//! A case is its acts: [`ECase::take`] adds one or refuses it by name, and the stage follows from
//! the acts alone ([`ECase::replay`]). An act needs a [`Permitted`], which only the table of roles
//! gives. A decision names the profile that it was made on; an appeal adds a decision on corrected
//! data and leaves the old one as it is. Source: register.md facts in `rules/needs-scales.toml`.

pub mod scale;
mod stage;
mod step;
mod transition;

use schemas::clock::UnixMillis;
use schemas::limits::CASE_ACTS_MAX_COUNT;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

use crate::access::{District, Operation, Permitted};
use crate::day::WorkingDays;
use crate::life_event::SeenEvent;
use crate::redact::redact;
use scale::{PointsRefused, Scales};

pub use stage::{Against, Plan, Stage};
pub use step::{
    Act, BothScales, CaseDecision, CloseReason, Ground, NotAGround, Outcome, PlannedService,
    SnapshotRef, Step, StepName,
};

/// What a step is judged by, besides the case.
pub struct Moment<'a> {
    /// Now.
    pub at: UnixMillis,
    /// Scales and terms.
    pub scales: &'a Scales,
    /// Working days.
    pub calendar: &'a dyn WorkingDays,
    /// The profile of a decision.
    pub snapshot: Option<SnapshotRef>,
}

/// Why a step is refused. No text repeats what a case holds about a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepRefused {
    /// The case awaits something else.
    #[error("`{step}` is refused: the case awaits {awaits}; do that first, or nothing")]
    NotAwaited {
        /// The step.
        step: StepName,
        /// What the case awaits.
        awaits: &'static str,
    },
    /// The permission is for another operation; a fault of this program.
    #[error(
        "register: the permission is for something else than the step; report this as a defect"
    )]
    OtherPermission,
    /// Points are wrong.
    #[error(transparent)]
    Points(#[from] PointsRefused),
    /// A decision without its profile.
    #[error("a decision needs the profile that it is made on; assemble one and decide again")]
    NoSnapshot,
    /// An independent person gets no services.
    #[error("the person is independent on both scales, so services are refused; decide `refused`")]
    Independent,
    /// Too few in the group.
    #[error("the multidisciplinary group needs at least {0} different members; name them")]
    SmallGroup(usize),
    /// Two acts need two people.
    #[error("who assessed or decided before may not decide now; ask another officer")]
    SamePerson,
    /// The plan is empty, too long, or names a service badly.
    #[error("a plan has 1 to 32 services with a code and a provider each; correct it")]
    Plan,
    /// The offer has lapsed.
    #[error("the offer was not accepted in its time and has lapsed; offer a plan again")]
    OfferLapsed,
    /// The offer still stands.
    #[error("an offer still stands; wait for the answer or record that it is declined")]
    OfferStands,
    /// Not a service of the plan.
    #[error("the service is not in the plan; record one of the plan or offer another plan")]
    NotPlanned,
    /// A day that has not come.
    #[error("the day has not come yet; correct it")]
    FutureDay,
    /// Not abroad for long enough, or not at all.
    #[error("the person has not been abroad for more than {0} month; record it or wait")]
    NotAbroad(i32),
    /// The person has died.
    #[error("the person has died; close the case with the reason `death`")]
    PersonDied,
    /// Nobody says that the person has died.
    #[error("no death is known; wait for the civil registry's event or choose another reason")]
    NotDead,
    /// Text is too long.
    #[error("the answers or findings are too long: at most 100 answers of 4000 characters")]
    TooLong,
    /// The case is full.
    #[error("the case holds as many acts as it may; close it and open another")]
    Full,
}

/// The case of one person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ECase {
    /// Its identifier, which says nothing about the person.
    pub id: String,
    /// Whose case it is.
    pub subject: Pinfl,
    /// The district whose officers work on it.
    pub district: District,
    acts: Vec<Act>,
    stage: Stage,
    decisions: Vec<CaseDecision>,
    events: Vec<SeenEvent>,
}
redact!(ECase);

impl ECase {
    /// Opens a case.
    ///
    /// # Errors
    /// [`StepRefused::OtherPermission`].
    pub fn open(
        (id, subject, district): (String, Pinfl, District),
        permitted: Permitted,
        ground: Ground,
        at: UnixMillis,
    ) -> Result<Self, StepRefused> {
        if permitted.operation() != Operation::WorkOnCase {
            return Err(StepRefused::OtherPermission);
        }
        let (by, role) = (permitted.by().to_owned(), permitted.role());
        let act = Act { at, by, role, ground, step: Step::Open, snapshot: None };
        let (stage, decisions) = (Stage::AwaitsQuestionnaire, Vec::new());
        Ok(Self { id, subject, district, acts: vec![act], stage, decisions, events: Vec::new() })
    }

    /// Takes a step; the case is unchanged when it is refused.
    ///
    /// # Errors
    /// [`StepRefused`] says what to do instead.
    pub fn take(
        &self,
        permitted: Permitted,
        step: Step,
        ground: Ground,
        moment: &Moment<'_>,
    ) -> Result<Self, StepRefused> {
        if permitted.operation() != step.operation() {
            return Err(StepRefused::OtherPermission);
        }
        let (by, role) = (permitted.by().to_owned(), permitted.role());
        let snapshot = moment.snapshot.clone().filter(|_| step.decides());
        self.with(Act { at: moment.at, by, role, ground, step, snapshot }, moment)
    }

    /// The case that its own acts and events lead to: equal to the case, or it was tampered with.
    ///
    /// # Errors
    /// [`StepRefused`] where an act was never allowed under these scales and this calendar.
    pub fn replay(&self, scales: &Scales, calendar: &dyn WorkingDays) -> Result<Self, StepRefused> {
        let mut case = Self {
            acts: self.acts.iter().take(1).cloned().collect(),
            stage: Stage::AwaitsQuestionnaire,
            decisions: Vec::new(),
            events: Vec::new(),
            ..self.clone()
        };
        for act in self.acts.iter().skip(1) {
            let seen = self.events.iter().filter(|event| event.seen_at <= act.at);
            case.events = seen.cloned().collect();
            let moment = Moment { at: act.at, scales, calendar, snapshot: act.snapshot.clone() };
            case = case.with(act.clone(), &moment)?;
        }
        case.events.clone_from(&self.events);
        Ok(case)
    }

    fn with(&self, act: Act, moment: &Moment<'_>) -> Result<Self, StepRefused> {
        if self.acts.len() >= CASE_ACTS_MAX_COUNT {
            return Err(StepRefused::Full);
        }
        let (stage, decision) = transition::next(self, &act, moment)?;
        let mut case = self.clone();
        case.stage = stage;
        case.decisions.extend(decision);
        case.acts.push(act);
        Ok(case)
    }

    /// Notes a life event of the person, once; `None` when it is there already.
    #[must_use]
    pub fn see(&self, event: SeenEvent) -> Option<Self> {
        let known = self.events.iter().any(|seen| seen.id == event.id);
        let room = self.events.len() < CASE_ACTS_MAX_COUNT;
        (!known && room).then(|| {
            let mut case = self.clone();
            case.events.push(event);
            case
        })
    }

    /// Where it stands.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Everything that was done, oldest first.
    #[must_use]
    pub fn acts(&self) -> &[Act] {
        &self.acts
    }

    /// All decisions, oldest first; each with the profile that it was made on.
    #[must_use]
    pub fn decisions(&self) -> &[CaseDecision] {
        &self.decisions
    }

    /// Life events of the person since the case was opened.
    #[must_use]
    pub fn events(&self) -> &[SeenEvent] {
        &self.events
    }
}
