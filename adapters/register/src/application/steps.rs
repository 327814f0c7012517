//! The steps of an application.

use std::collections::BTreeSet;

use jiff::civil::Date;
use schemas::pinfl::Pinfl;

use super::timetable::Timetable;
use super::{
    Application, NOTE_MAX_CHARS, NotAllowed, Notice, Outcome, Questionnaire, RATINGS_MAX_COUNT,
    Rating, Stage, State,
};
use crate::month::Month;

/// What is filed.
pub struct Filing {
    /// Identifier of the application, a UUID.
    pub id: String,
    /// Who applies.
    pub applicant: Pinfl,
    /// The family's members, the applicant too.
    pub members: BTreeSet<Pinfl>,
}

impl Application {
    /// Files an application with its preliminary rating, on the day of the rating.
    ///
    /// # Errors
    /// [`NotAllowed::EntryClosed`], [`NotAllowed::NoCalendar`], or a rating of another stage.
    pub fn file(
        filing: Filing,
        preliminary: Rating,
        timetable: &Timetable,
    ) -> Result<Self, NotAllowed> {
        let step = "a preliminary rating";
        require_stage(&preliminary, Stage::Preliminary, step)?;
        let filed_on = preliminary.on;
        let Filing { id, applicant, members } = filing;
        let counts_for = timetable.counts_for(filed_on)?;
        let due = timetable.questionnaire_due(filed_on)?;
        let refused = preliminary.outcome == Outcome::NotEligible;
        let mut application = Self {
            id,
            applicant,
            filed_on,
            counts_for,
            members,
            state: State::AwaitsQuestionnaire { due },
            ratings: vec![preliminary],
            questionnaire: None,
            notice: None,
            recertification_due: None,
        };
        if refused {
            application.decide(State::Refused, filed_on, timetable)?;
        }
        Ok(application)
    }

    /// Takes the home questionnaire; a late one is taken too.
    ///
    /// # Errors
    /// [`NotAllowed::OutOfTurn`], [`NotAllowed::Day`] when the visit lies before the filing or after
    /// `today`, [`NotAllowed::Limit`] for a long note.
    pub fn take_questionnaire(
        mut self,
        questionnaire: Questionnaire,
        today: Date,
        timetable: &Timetable,
    ) -> Result<Self, NotAllowed> {
        let step = "a questionnaire";
        let State::AwaitsQuestionnaire { .. } = self.state else {
            return Err(self.out_of_turn(step));
        };
        let visited_on = questionnaire.visited_on;
        require_day(step, visited_on, self.filed_on, today)?;
        if questionnaire.note.chars().count() > NOTE_MAX_CHARS {
            let repair = "shorten the note";
            return Err(NotAllowed::Limit { what: "the note", limit: NOTE_MAX_CHARS, repair });
        }
        let due = timetable.final_rating_due(visited_on)?;
        self.questionnaire = Some(questionnaire);
        self.state = State::AwaitsFinalRating { due };
        Ok(self)
    }

    /// Rates finally; a pending rating is kept, and the final rating remains to be made.
    ///
    /// # Errors
    /// [`NotAllowed::OutOfTurn`], [`NotAllowed::Day`] for a rating before the visit,
    /// [`NotAllowed::Limit`].
    pub fn rate_finally(
        mut self,
        rating: Rating,
        members: BTreeSet<Pinfl>,
        timetable: &Timetable,
    ) -> Result<Self, NotAllowed> {
        let step = "a final rating";
        require_stage(&rating, Stage::Final, step)?;
        let (State::AwaitsFinalRating { .. }, Some(visit)) = (&self.state, &self.questionnaire)
        else {
            return Err(self.out_of_turn(step));
        };
        require_day(step, rating.on, visit.visited_on, Date::MAX)?;
        let (on, outcome) = (rating.on, rating.outcome.clone());
        self.keep(rating)?;
        self.members = members;
        match outcome {
            Outcome::Pending => Ok(self),
            Outcome::NotEligible => {
                self.decide(State::Refused, on, timetable)?;
                Ok(self)
            }
            Outcome::Eligible(entitlement) => {
                let from = self.counts_for;
                let until = from.plus(entitlement.months);
                self.recertification_due = Some(timetable.recertification_due(until));
                let state = State::Registered { entitlement, from, until, renewed_by: None };
                self.decide(state, on, timetable)?;
                Ok(self)
            }
        }
    }

    /// The notice was sent.
    ///
    /// # Errors
    /// [`NotAllowed::OutOfTurn`] without a decision or when it was sent, [`NotAllowed::Day`].
    pub fn send_notice(mut self, on: Date) -> Result<Self, NotAllowed> {
        let step = "a notice";
        match &mut self.notice {
            Some(notice) if notice.sent_on.is_none() => {
                require_day(step, on, notice.decided_on, Date::MAX)?;
                notice.sent_on = Some(on);
                Ok(self)
            }
            Some(_) | None => Err(self.out_of_turn(step)),
        }
    }

    /// Takes the rating of a month's monitoring. Another category or share, or none, stops the
    /// support from that month on, and a notice is due; another amount of the same (a child grows up) changes the amount (I).
    /// A pending one changes nothing: absent sources stop nobody. `members` are those that it found.
    ///
    /// # Errors
    /// [`NotAllowed::OutOfTurn`] when the family is not supported in the month or was monitored.
    pub fn monitor(
        mut self,
        (month, rating): (Month, Rating),
        members: BTreeSet<Pinfl>,
        timetable: &Timetable,
    ) -> Result<Self, NotAllowed> {
        let step = "a rating of the month's monitoring";
        require_stage(&rating, Stage::Monitoring(month), step)?;
        if self.support_in(month).is_none() || self.monitored_in(month).is_some() {
            return Err(self.out_of_turn(step));
        }
        let (on, outcome) = (rating.on, rating.outcome.clone());
        self.keep(rating)?;
        if outcome != Outcome::Pending {
            self.members = members;
        }
        let State::Registered { entitlement, .. } = &mut self.state else {
            return Err(self.out_of_turn(step));
        };
        match outcome {
            Outcome::Pending => {}
            Outcome::Eligible(now)
                if (&now.category, now.share_percent)
                    == (&entitlement.category, entitlement.share_percent) =>
            {
                entitlement.monthly_soum = now.monthly_soum;
            }
            Outcome::Eligible(_) | Outcome::NotEligible => {
                self.decide(State::Stopped { month }, on, timetable)?;
            }
        }
        Ok(self)
    }

    /// The family has applied again for the time after this support.
    ///
    /// # Errors
    /// [`NotAllowed::OutOfTurn`] unless it is registered, and the new one begins no earlier than
    /// this one ends.
    pub fn renew(mut self, by: &Self) -> Result<Self, NotAllowed> {
        match &mut self.state {
            State::Registered { until, renewed_by, .. } if *until <= by.counts_for => {
                *renewed_by = Some(by.id.clone());
                Ok(self)
            }
            _ => Err(self.out_of_turn("a renewal")),
        }
    }

    fn decide(&mut self, state: State, on: Date, timetable: &Timetable) -> Result<(), NotAllowed> {
        self.notice =
            Some(Notice { decided_on: on, due: timetable.notice_due(on)?, sent_on: None });
        self.state = state;
        Ok(())
    }

    fn keep(&mut self, rating: Rating) -> Result<(), NotAllowed> {
        if self.ratings.len() >= RATINGS_MAX_COUNT {
            let repair = "close the application and file it again";
            let (what, limit) = ("the number of ratings", RATINGS_MAX_COUNT);
            return Err(NotAllowed::Limit { what, limit, repair });
        }
        self.ratings.push(rating);
        Ok(())
    }

    fn out_of_turn(&self, step: &'static str) -> NotAllowed {
        NotAllowed::OutOfTurn { step, state: self.state.word() }
    }
}

fn require_stage(rating: &Rating, stage: Stage, step: &'static str) -> Result<(), NotAllowed> {
    if rating.stage == stage {
        return Ok(());
    }
    Err(NotAllowed::OutOfTurn { step, state: "given a rating of another stage" })
}

fn require_day(
    step: &'static str,
    day: Date,
    earliest: Date,
    latest: Date,
) -> Result<(), NotAllowed> {
    if (earliest..=latest).contains(&day) {
        return Ok(());
    }
    Err(NotAllowed::Day { step, earliest, latest })
}
