//! Collects a case: the civil registry in rounds, then every member and source at once, all under
//! one deadline.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::civil::Date;
use register::case::{Case, Declared};
use register::composition::{compose, deaths_to_compare, records_to_ask};
use register::income;
use register::month::Month;
use register::rules::{RuleError, Rules};
use register::source::{Absence, AbsenceCause, Answer, Answers, SourceKind};
use schemas::clock::{Clock, Stopwatch};
use schemas::pinfl::Pinfl;

use crate::asking::{self, TimeLimit};
use crate::config::{Filling, RegisterConfig, SourceConfig, Wave};
use crate::hub_client::{HubClient, Question, Ticket};
use crate::reading;
use crate::watch::Watch;

/// A source and what was lately seen of it.
pub(crate) struct WatchedSource {
    config: SourceConfig,
    watch: Watch,
}

impl WatchedSource {
    /// The sources of a configuration, of which nothing was seen yet.
    pub(crate) fn all(config: &RegisterConfig, clock: &Clock) -> Vec<Self> {
        let watched = |source: &SourceConfig| Self {
            config: source.clone(),
            watch: Watch::new(clock, config.breaker(), source.second_request()),
        };
        config.sources.iter().map(watched).collect()
    }
}

/// What the applicant brings.
pub(crate) struct Application {
    pub(crate) applicant: Pinfl,
    pub(crate) application_date: Date,
    pub(crate) declared: Vec<Declared>,
}

/// Who takes part in collecting.
#[derive(Clone, Copy)]
pub(crate) struct Parties<'a> {
    pub(crate) config: &'a RegisterConfig,
    pub(crate) sources: &'a [WatchedSource],
    pub(crate) hub: &'a HubClient,
    pub(crate) clock: &'a Clock,
}

/// Asks the sources about one application.
pub(crate) struct Collector<'a> {
    config: &'a RegisterConfig,
    sources: &'a [WatchedSource],
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
        Parties { config, sources, hub, clock }: Parties<'a>,
        ticket: &'a Ticket,
        rules: &Rules,
        day: Date,
    ) -> Result<Self, RuleError> {
        let window = income::window(rules, day);
        let text = |month: Option<&Month>| month.map(Month::to_string).unwrap_or_default();
        Ok(Self {
            config,
            sources,
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
    pub(crate) async fn collect(&self, application: Application) -> Case {
        let Application { applicant, application_date, declared } = application;
        let names = self.sources.iter().map(|s| (s.config.name.clone(), s.config.kind));
        let mut case = Case {
            applicant,
            application_date,
            sources: names.collect(),
            answers: Answers::default(),
            declared,
        };
        // Every round asks about people not asked before, and marks all of them, so it ends.
        loop {
            let people = records_to_ask(&case);
            if people.is_empty() {
                break;
            }
            let sources = || self.sources.iter().filter(|s| s.config.wave == Wave::Composition);
            self.ask_all(&mut case, pairs(people, sources)).await;
        }
        let family = compose(&case);
        let sources = || self.sources.iter().filter(|s| s.config.wave == Wave::Members);
        let mut questions = pairs(family.members.iter().map(|member| member.pinfl), sources);
        let population = || sources().filter(|s| s.config.kind == SourceKind::Population);
        questions.extend(pairs(deaths_to_compare(&family), population));
        self.ask_all(&mut case, questions).await;
        case
    }

    /// Asks all questions. Each ends by the deadline at the latest, so all do.
    async fn ask_all(&self, case: &mut Case, questions: Vec<(Pinfl, &'a WatchedSource)>) {
        let mut calls = Vec::with_capacity(questions.len());
        for (subject, source) in questions {
            calls.push(self.ask(subject, source));
        }
        let mut answers = stream::iter(calls).buffer_unordered(self.config.concurrent_calls_count);
        while let Some((subject, source, answer)) = answers.next().await {
            // Safe because: each pair is asked once, so no answer stands here yet.
            let _ = case.answers.insert(subject, source.name.clone(), answer);
        }
    }

    async fn ask(
        &self,
        subject: Pinfl,
        source: &'a WatchedSource,
    ) -> (Pinfl, &'a SourceConfig, Answer) {
        let WatchedSource { config: source, watch } = source;
        let absent = |absence| Answer::absent(source.kind, absence);
        let Some(left) = self.remaining() else {
            return (subject, source, absent(Absence::of(AbsenceCause::DeadlineReached)));
        };
        let (time, cause) = if left < source.timeout() {
            (left, AbsenceCause::DeadlineReached)
        } else {
            (source.timeout(), AbsenceCause::TimedOut)
        };
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
        let time_limit = TimeLimit { time, cause, running: self.running };
        let answer = match asking::ask(self.hub, watch, &question, time_limit).await {
            Ok(asked) => reading::read(source, subject, asked, self.clock.now()),
            Err(absence) => absent(absence),
        };
        (subject, source, answer)
    }

    /// Time left; `None` when the deadline has come.
    fn remaining(&self) -> Option<Duration> {
        let left = self.config.deadline().checked_sub(self.running.elapsed());
        left.filter(|left| !left.is_zero())
    }
}

/// Every source about each of `people`.
fn pairs<'a, S: Iterator<Item = &'a WatchedSource>>(
    people: impl IntoIterator<Item = Pinfl>,
    sources: impl Fn() -> S,
) -> Vec<(Pinfl, &'a WatchedSource)> {
    let about = |subject| sources().map(move |source| (subject, source));
    people.into_iter().flat_map(about).collect()
}
