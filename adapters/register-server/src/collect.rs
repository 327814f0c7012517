//! Collects a case: the civil registry in rounds, then every member and source at once, all under
//! one deadline.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::civil::Date;
use register::case::Case;
use register::composition::{compose, records_to_ask};
use register::income;
use register::month::Month;
use register::rules::{RuleError, Rules};
use register::source::{Absence, AbsenceCause, Answer, Answers};
use schemas::clock::{Clock, Stopwatch};
use schemas::pinfl::Pinfl;
use tokio::time::timeout;

use crate::config::{Filling, RegisterConfig, SourceConfig, Wave};
use crate::hub_client::{HubClient, Question, Ticket};
use crate::reading;

/// Asks the sources about one application.
pub(crate) struct Collector<'a> {
    config: &'a RegisterConfig,
    hub: &'a HubClient,
    clock: &'a Clock,
    ticket: &'a Ticket,
    running: Stopwatch,
    from: String,
    to: String,
    threshold_soum: String,
}

impl<'a> Collector<'a> {
    /// A collector for an application on `day`; its deadline runs from now.
    ///
    /// # Errors
    /// [`RuleError::NoFigure`] when the rules have no deposit threshold for the day.
    pub(crate) fn new(
        (config, hub, clock): (&'a RegisterConfig, &'a HubClient, &'a Clock),
        ticket: &'a Ticket,
        rules: &Rules,
        day: Date,
    ) -> Result<Self, RuleError> {
        let window = income::window(rules, day);
        let text = |month: Option<&Month>| month.map(Month::to_string).unwrap_or_default();
        Ok(Self {
            config,
            hub,
            clock,
            ticket,
            running: clock.stopwatch(),
            from: text(window.first()),
            to: text(window.last()),
            threshold_soum: rules.deposit_threshold_soum(day)?.to_string(),
        })
    }

    /// All answers about the applicant's family, present or absent; never later than the deadline.
    pub(crate) async fn collect(&self, applicant: Pinfl, application_date: Date) -> Case {
        let sources = &self.config.sources;
        let mut case = Case {
            applicant,
            application_date,
            sources: sources.iter().map(|source| (source.name.clone(), source.kind)).collect(),
            answers: Answers::default(),
        };
        // Every round asks about people not asked before, and marks all of them, so it ends.
        loop {
            let people = records_to_ask(&case);
            if people.is_empty() {
                break;
            }
            self.ask_wave(&mut case, people.into_iter().collect(), Wave::Composition).await;
        }
        let members = compose(&case).members.iter().map(|member| member.pinfl).collect();
        self.ask_wave(&mut case, members, Wave::Members).await;
        case
    }

    /// Asks every source of `wave` about all of `people`; what is not there at the deadline is
    /// recorded as absent.
    async fn ask_wave(&self, case: &mut Case, people: Vec<Pinfl>, wave: Wave) {
        let mut asked: Vec<(Pinfl, &'a SourceConfig)> = Vec::new();
        for subject in people {
            let of_wave = self.config.sources.iter().filter(|source| source.wave == wave);
            asked.extend(of_wave.map(|source| (subject, source)));
        }
        let mut calls = Vec::with_capacity(asked.len());
        for (subject, source) in &asked {
            calls.push(self.ask(*subject, source));
        }
        let mut answers = stream::iter(calls).buffer_unordered(self.config.concurrent_calls_count);
        while let Some(remaining) = self.remaining() {
            let Ok(Some((subject, source, answer))) = timeout(remaining, answers.next()).await
            else {
                break;
            };
            // Safe because: each pair is asked once, so no answer stands here yet.
            let _ = case.answers.insert(subject, source.name.clone(), answer);
        }
        drop(answers);
        for (subject, source) in asked {
            if case.answers.get(subject, &source.name).is_none() {
                let absence = Absence::of(AbsenceCause::DeadlineReached);
                let answer = Answer::absent(source.kind, absence);
                let _ = case.answers.insert(subject, source.name.clone(), answer);
            }
        }
    }

    async fn ask(
        &self,
        subject: Pinfl,
        source: &'a SourceConfig,
    ) -> (Pinfl, &'a SourceConfig, Answer) {
        let filling = Filling {
            pinfl: subject.as_str(),
            from: &self.from,
            to: &self.to,
            threshold_soum: &self.threshold_soum,
        };
        let question = Question {
            service: &source.service,
            method: source.method,
            path: filling.fill(&source.path),
            body: source.body.as_ref().map(|body| filling.fill(body)),
            ticket: self.ticket,
        };
        let absent = |absence| Answer::absent(source.kind, absence);
        let answer = match timeout(source.timeout(), self.hub.ask(question)).await {
            Ok(Ok(answer)) => reading::read(source, subject, answer, self.clock.now()),
            Ok(Err(absence)) => absent(absence),
            Err(_) => absent(Absence::of(AbsenceCause::TimedOut)),
        };
        (subject, source, answer)
    }

    /// Time left; `None` when the deadline has come.
    fn remaining(&self) -> Option<Duration> {
        let left = self.config.deadline().checked_sub(self.running.elapsed());
        left.filter(|left| !left.is_zero())
    }
}
