//! Eight sources behind one stand-in for a hub, about one family of five, for `benches/profile.rs`.
//!
//! The stand-in answers at once or after a time drawn from a log-normal distribution, as sources
//! are observed to (register.md: median 40 to 150 ms, p99 1 to 2 s); it signs and records nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// The applicant.
pub const APPLICANT: &str = "31505850010011";
const SPOUSE: &str = "42007870010023";
const CHILDREN: [(&str, &str); 3] = [
    ("50303140010034", "2014-03-03"),
    ("61206180010047", "2018-06-12"),
    ("62509240010052", "2024-09-25"),
];
/// Name and kind of the sources; the bank is asked by POST.
const SOURCES: [(&str, &str); 8] = [
    ("civil-registry", "civil-registry"),
    ("population", "population"),
    ("tax", "tax"),
    ("pensions", "pensions"),
    ("bank", "accounts"),
    ("cadastre", "cadastre"),
    ("vehicles", "vehicles"),
    ("employment", "employment"),
];

/// How long sources take.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// No time.
    AtOnce,
    /// Log-normal: median, and the standard deviation of the logarithm.
    LogNormal {
        /// Half of the answers take less.
        median: Duration,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
    },
}

/// The sources, and the times that they took.
pub struct Sources {
    pace: Pace,
    draws: Mutex<ChaCha8Rng>,
    times: Mutex<BTreeMap<String, Vec<Duration>>>,
}

impl Sources {
    /// Sources of this pace, drawn from `seed`.
    #[must_use]
    pub fn new(pace: Pace, seed: u64) -> Arc<Self> {
        let draws = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Arc::new(Self { pace, draws, times: Mutex::default() })
    }

    /// The routes of the stand-in.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(answer).with_state(Arc::clone(self))
    }

    /// The 95th percentile of the slowest source's times.
    #[must_use]
    pub fn slowest_p95(&self) -> Duration {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        times.values_mut().map(|times| percentile(times, 95)).max().unwrap_or_default()
    }

    fn note(&self, source: &str, time: Duration) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.entry(source.to_owned()).or_default().push(time);
    }

    fn draw(&self) -> Duration {
        let Pace::LogNormal { median, sigma } = self.pace else { return Duration::ZERO };
        let mut draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        let (u, v): (f64, f64) = (draws.random(), draws.random());
        // Box and Muller: two even draws make one normal one; 1 - u is never zero.
        let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        median.mul_f64((sigma * normal).exp())
    }
}

/// A percentile of times, which are sorted by it.
#[must_use]
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

/// The register's configuration for these sources behind `hub_url`.
#[must_use]
pub fn configuration(hub_url: &str) -> String {
    let mut text = format!(
        "listen = \"127.0.0.1:0\"\nhub_url = \"{hub_url}\"\nclient = \"UZ/GOV/NASP/register\"\n\
         purpose = \"social-assessment\"\n"
    );
    for (name, kind) in SOURCES {
        let wave = if name == "civil-registry" { 1 } else { 2 };
        let operation = match name {
            "bank" => {
                "method = \"POST\"\npath = \"/deposit-test\"\n\
                 body = '{\"pinfl\":\"{pinfl}\",\"threshold_soum\":{threshold_soum}}'"
            }
            _ => "path = \"/persons/{pinfl}\"",
        };
        text.push_str(&format!(
            "[[sources]]\nname = \"{name}\"\nkind = \"{kind}\"\nwave = {wave}\n\
             service = \"UZ/GOV/X/x/{name}\"\n{operation}\n"
        ));
    }
    text
}

async fn answer(State(sources): State<Arc<Sources>>, request: Request) -> Response {
    match answered(&sources, request).await {
        Ok(json) => {
            let receipt = [("Koprik-Receipt", r#"log="l"; index=1; exchange="e-1""#)];
            (receipt, axum::Json(json)).into_response()
        }
        Err(fault) => (http::StatusCode::BAD_REQUEST, fault.to_string()).into_response(),
    }
}

async fn answered(sources: &Sources, request: Request) -> anyhow::Result<Value> {
    let path = request.uri().path().to_owned();
    let source = path.split('/').nth(6).context("no source in the path")?.to_owned();
    let pinfl = if source == "bank" {
        let body = axum::body::to_bytes(request.into_body(), 4096).await?;
        let body: Value = serde_json::from_slice(&body)?;
        body.get("pinfl").and_then(Value::as_str).context("no pinfl")?.to_owned()
    } else {
        path.rsplit('/').next().context("no person in the path")?.to_owned()
    };
    let time = sources.draw();
    if !time.is_zero() {
        sources.note(&source, time);
        tokio::time::sleep(time).await;
    }
    Ok(content(&source, &pinfl))
}

fn content(source: &str, pinfl: &str) -> Value {
    match source {
        "civil-registry" => family(pinfl),
        "population" => json!({"pinfl": pinfl, "surname": "Sinov", "given_name": "Namuna",
            "patronymic": null, "citizenship": "UZ", "address": null, "residents": [pinfl],
            "abroad_since": null, "in_prison": false, "in_institution": false,
            "conscript": false, "died": null}),
        "tax" => json!({"pinfl": pinfl, "from": "2025-12", "to": "2026-02", "business": [],
            "plots": [], "remittances": [], "wages": [{"payer_stir": "301234567",
            "payer_name": "Paxta LLC", "month": "2026-01", "amount_soum": 1_400_000}]}),
        "pensions" => json!({"pinfl": pinfl, "pensions": []}),
        "bank" => json!({"pinfl": pinfl, "at_least_threshold": false,
            "threshold_soum": 6_355_000}),
        "cadastre" => json!({"pinfl": pinfl, "properties": []}),
        "vehicles" => json!({"pinfl": pinfl, "vehicles": [{"plate": "01A123BC",
            "make": "Chevrolet Nexia", "year": 2004, "working": true, "title": "owner",
            "since": "2010-01-01"}]}),
        _ => json!({"pinfl": pinfl, "contracts": [], "registered_unemployed_since": null,
            "able_to_work": true}),
    }
}

fn family(pinfl: &str) -> Value {
    let link = |(child, born): (&str, &str)| json!({"pinfl": child, "born": born, "died": null, "relation": "birth"});
    let record = |sex: &str, born: &str, spouse: Option<&str>| {
        let marriages: Vec<Value> = spouse
            .map(|spouse| {
                json!({"spouse": spouse, "married": "2010-09-01", "ended": null,
                "end_reason": null})
            })
            .into_iter()
            .collect();
        let is_parent = spouse.is_some();
        let children: Vec<Value> = CHILDREN.into_iter().filter(|_| is_parent).map(link).collect();
        let parent = |parent: &str| (!is_parent).then(|| parent.to_owned());
        json!({"pinfl": pinfl, "sex": sex, "born": born, "died": null,
            "mother": parent(SPOUSE), "father": parent(APPLICANT),
            "marriages": marriages, "children": children})
    };
    let born = CHILDREN.iter().find(|(child, _)| *child == pinfl).map_or("", |(_, born)| born);
    match pinfl {
        APPLICANT => record("male", "1985-05-15", Some(SPOUSE)),
        SPOUSE => record("female", "1987-07-20", Some(APPLICANT)),
        son if son.starts_with('5') => record("male", born, None),
        _ => record("female", born, None),
    }
}
