//! What the desk and the payments know about a family, in the visitor's words.
//!
//! The table of roles decides what an officer sees. Cards and payments have no district of their
//! own; a family is of the districts of its members' cases.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::payments::Desk as PayDesk;
use http::HeaderValue;
use register::access::{Denied, District, Operation, Permitted};
use register::card::CardState;
use register::day::tashkent_day;
use register::ecase::{ECase, Plan, Stage};
use register::payment::line::Line;
use register::payment::office::Office;
use register::profile::Profile;
use register_store::{StoreError, StoreQuery};
use schemas::pinfl::Pinfl;

use super::family::name;
use super::sections::{Answer, Answering, Asked, Content, Entry, Part, Reading, Sections, Sight};
use super::words::{fill, word};
use crate::card::CardDocument;
use crate::desk::{Desk, Problem};
use crate::ecase::CaseDocument;
use crate::life_event::proposals::{self, of_person};

/// Lines of payments that are shown of each person: a year of one benefit.
const PAYMENTS_SHOWN_COUNT: usize = 12;

/// The desk and, where the register makes payments, these.
pub(crate) struct Connected {
    desk: Arc<Desk>,
    payments: Option<Arc<PayDesk<Office>>>,
}

impl Sections for Connected {
    fn content<'a>(&'a self, part: Part, asked: &'a Asked<'a>) -> Reading<'a> {
        Box::pin(async move {
            let content = match part {
                Part::Case => self.case(asked).await,
                Part::Card => self.card(asked).await,
                Part::Payments => self.payments(asked).await,
                Part::Proposals => self.proposals(asked).await,
            };
            content.unwrap_or_else(|error| {
                tracing::error!(%error, "the register's store fails a page");
                Content::Unavailable
            })
        })
    }

    fn answer<'a>(
        &'a self,
        proposal: &'a str,
        answer: Answer,
        (profile, user): (&'a Profile, Option<HeaderValue>),
    ) -> Answering<'a> {
        Box::pin(async move {
            let answered = self.take_answer(proposal, answer, (profile, user)).await;
            answered.map_err(|problem| problem.kind())
        })
    }
}

impl Connected {
    pub(crate) fn new(desk: Arc<Desk>, payments: Option<Arc<PayDesk<Office>>>) -> Self {
        Self { desk, payments }
    }

    async fn case(&self, asked: &Asked<'_>) -> Result<Content, StoreError> {
        let officers = &self.desk.officers;
        let sight = match officers.permit(asked.user, Operation::ReadCase, None) {
            Ok(_) => Sight::Everywhere,
            Err(Denied::OtherDistrict) => Sight::OwnDistrict,
            Err(denied) => return Ok(Content::Denied(denied)),
        };
        let mut entries = Vec::new();
        for case in self.cases(asked.profile).await? {
            let district = Some(&case.district);
            if officers.permit(asked.user, Operation::ReadCase, district).is_ok() {
                entries.extend(case_entries(asked, &case));
            }
        }
        Ok(Content::Entries(entries, sight))
    }

    async fn card(&self, asked: &Asked<'_>) -> Result<Content, StoreError> {
        if let Err(denied) = self.permit_support(asked).await? {
            return Ok(Content::Denied(denied));
        }
        let (words, today) = (asked.words, self.desk.today());
        let mut entries = Vec::new();
        for person in members(asked.profile) {
            let query = StoreQuery::person("holder", person);
            for found in self.desk.store.find::<CardDocument>(query).await? {
                let card = found.value.0;
                let state = match card.state() {
                    CardState::Blocked { reason } => word(&words.blocked, &reason),
                    CardState::Replaced => words.card_replaced.as_str().into(),
                    CardState::Active if card.is_expired(today) => {
                        words.card_expired.as_str().into()
                    }
                    CardState::Active => words.card_active.as_str().into(),
                };
                let what = fill(&words.card_of, &[("name", &name(asked.profile, person))]);
                let (state, day) = (state.into_owned(), Some(card.valid_to));
                entries.push(Entry { what, state, day, ..Entry::default() });
            }
        }
        Ok(Content::Entries(entries, Sight::Everywhere))
    }

    async fn payments(&self, asked: &Asked<'_>) -> Result<Content, StoreError> {
        let Some(payments) = &self.payments else { return Ok(Content::NotConnected) };
        if let Err(denied) = self.permit_support(asked).await? {
            return Ok(Content::Denied(denied));
        }
        let mut entries = Vec::new();
        for person in members(asked.profile) {
            let lines: Vec<(Line, &str)> = payments
                .look(|office| {
                    let lines = office.paid_to(person).take(PAYMENTS_SHOWN_COUNT);
                    lines.map(|(line, state)| (line.clone(), state)).collect()
                })
                .await;
            for (line, state) in lines {
                let of: [(&str, &dyn std::fmt::Display); 2] =
                    [("month", &line.claim.month), ("name", &name(asked.profile, person))];
                let what = fill(&asked.words.payment_of, &of);
                let state = word(&asked.words.line_state, &state).into_owned();
                let amount_soum = Some(line.amount_soum);
                entries.push(Entry { what, state, amount_soum, ..Entry::default() });
            }
        }
        Ok(Content::Entries(entries, Sight::Everywhere))
    }

    async fn proposals(&self, asked: &Asked<'_>) -> Result<Content, StoreError> {
        let officers = &self.desk.officers;
        let permit = |operation| officers.permit(asked.user, operation, None);
        if permit(Operation::ReadLifeEvents).is_err()
            && let Err(denied) = self.permit_support(asked).await?
        {
            return Ok(Content::Denied(denied));
        }
        let words = asked.words;
        let may_answer = permit(Operation::AnswerProposal).is_ok();
        let mut entries = Vec::new();
        for person in members(asked.profile) {
            for proposal in of_person(&self.desk.store, person).await? {
                let name = name(asked.profile, person);
                let event = word(&words.event, &proposal.because);
                let what = fill(&words.proposal_of, &[("event", &event), ("name", &name)]);
                let answerable = may_answer && proposal.awaits_application();
                entries.push(Entry {
                    what,
                    state: word(&words.proposal, &proposal.code()).into_owned(),
                    day: Some(proposal.on),
                    proposal: answerable.then_some(proposal.id),
                    ..Entry::default()
                });
            }
        }
        Ok(Content::Entries(entries, Sight::Everywhere))
    }

    async fn take_answer(
        &self,
        id: &str,
        answer: Answer,
        (profile, user): (&Profile, Option<HeaderValue>),
    ) -> Result<(), Problem> {
        let named = user.as_ref().and_then(|user| user.to_str().ok());
        let permitted = self.desk.officers.permit(named, Operation::AnswerProposal, None)?;
        let mut of_family = false;
        for person in members(profile) {
            let proposals = of_person(&self.desk.store, person).await?;
            of_family = of_family || proposals.iter().any(|proposal| proposal.id == id);
        }
        if !of_family {
            return Err(Problem::no_record("proposal"));
        }
        match answer {
            Answer::File => proposals::file(&self.desk, &permitted, id, user).await?,
            Answer::Refuse(reason) => {
                proposals::refuse(&self.desk, &permitted, id, reason.try_into()?).await?
            }
        };
        Ok(())
    }

    /// Whether the officer may see the family's cards and payments.
    async fn permit_support(
        &self,
        asked: &Asked<'_>,
    ) -> Result<Result<Permitted, Denied>, StoreError> {
        let officers = &self.desk.officers;
        let permit = |district: Option<&District>| {
            officers.permit(asked.user, Operation::SeeSupport, district)
        };
        let mut permitted = permit(None);
        if permitted == Err(Denied::OtherDistrict) {
            for case in self.cases(asked.profile).await? {
                if permitted.is_err() {
                    permitted = permit(Some(&case.district));
                }
            }
        }
        Ok(permitted)
    }

    /// The cases of all members.
    async fn cases(&self, profile: &Profile) -> Result<Vec<ECase>, StoreError> {
        let mut cases = Vec::new();
        for person in members(profile) {
            let found = self.desk.store.find::<CaseDocument>(StoreQuery::person("subject", person));
            cases.extend(found.await?.into_iter().map(|stored| stored.value.0));
        }
        Ok(cases)
    }
}

/// The members of the family, and the applicant, whom an absent civil registry may leave out.
pub(super) fn members(profile: &Profile) -> BTreeSet<Pinfl> {
    let members = profile.family.members.iter().map(|member| member.pinfl);
    members.chain([profile.case.applicant]).collect()
}

/// A case: its state since it was opened, its plan, and what is due next.
fn case_entries(asked: &Asked<'_>, case: &ECase) -> Vec<Entry> {
    let (words, stage) = (asked.words, case.stage());
    let name = name(asked.profile, case.subject);
    let opened = case.acts().first().map(|act| tashkent_day(act.at));
    let state = word(&words.stage, &stage.code()).into_owned();
    let what = fill(&words.case_of, &[("name", &name)]);
    let mut entries = vec![Entry { what, state, day: opened, ..Entry::default() }];
    if let Stage::AwaitsAcceptance { plan, .. } | Stage::InService { plan, .. } = stage {
        let what = fill(&words.case_plan, &[("name", &name)]);
        entries.push(Entry { what, state: plan_text(asked, plan), ..Entry::default() });
    }
    if let Some(due) = stage.due() {
        let visit = matches!(stage, Stage::InService { .. });
        let what = if visit { &words.case_visit } else { &words.case_due };
        let what = fill(what, &[("name", &name)]);
        entries.push(Entry { what, day: Some(due), ..Entry::default() });
    }
    entries
}

fn plan_text(asked: &Asked<'_>, plan: &Plan) -> String {
    let service = |service: &register::ecase::PlannedService| {
        let of: [(&str, &dyn std::fmt::Display); 3] = [
            ("code", &service.code),
            ("provider", &service.provider),
            ("hours", &service.weekly_hours),
        ];
        fill(&asked.words.plan_service, &of)
    };
    plan.iter().map(service).collect::<Vec<_>>().join("; ")
}
