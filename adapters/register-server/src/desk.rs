//! The officers' desk: what the register keeps, and who may do what with it.
//!
//! Who asks is named by the headers of the register's own hub, which has authenticated the client
//! and recorded the exchange: `X-Road-UserId` for officers, `X-Road-Client` for systems. Left out:
//! authenticating the hub itself, which is why the register listens on loopback only.

mod person_ids;
mod problem;
mod turns;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::civil::Date;
use pki::signer::SigningKey;
use pki::trust::Algorithm;
use register::access::{District, Officers, Operation, Permitted};
use register::application::calendar::Calendar;
use register::card::answer::Parties;
use register::day::{WorkingDays, tashkent_day};
use register::ecase::scale::Scales;
use register_store::Store;
use ring::rand::{SecureRandom, SystemRandom};
use schemas::clock::{Clock, UnixMillis};
use schemas::identifier::ClientId;
use schemas::limits::DESK_BODY_MAX_BYTES;
use schemas::pinfl::Pinfl;
use serde::de::DeserializeOwned;

use crate::api::Register;
use crate::config::EventSource;
use crate::server::StartError;

pub(crate) use person_ids::PersonIds;
pub(crate) use problem::Problem;
pub(crate) use turns::{Matter, Turn};

const USER_ID: HeaderName = HeaderName::from_static("x-road-userid");
const CLIENT: HeaderName = HeaderName::from_static("x-road-client");

/// A stop that was not carried out; it is tried again.
#[derive(Debug, thiserror::Error)]
#[error("register: payments to a person who has died could not be stopped; they are stopped again")]
pub struct NotStopped;

/// A stop that is under way.
pub type Stopping<'a> = Pin<Box<dyn Future<Output = Result<(), NotStopped>> + Send + 'a>>;

/// What stops payments. It is told of each death at least once, also after a crash, so a repeated
/// call changes nothing; on `Ok` the stop is durable.
pub trait PaymentStops: Send + Sync {
    /// Stops the lines of a person who died on `day`.
    fn on_death(&self, person: Pinfl, day: Date) -> Stopping<'_>;
}

/// The key that signs answers about cards.
pub(crate) struct CardKey {
    pub(crate) key: SigningKey,
    pub(crate) public: [u8; 32],
}

/// What the desk's requests share.
pub(crate) struct Desk {
    pub(crate) register: Arc<Register>,
    pub(crate) store: Store,
    pub(crate) officers: Officers,
    pub(crate) scales: Scales,
    pub(crate) calendar: Box<dyn WorkingDays>,
    pub(crate) person_ids: PersonIds,
    pub(crate) card_key: Option<CardKey>,
    pub(crate) event_sources: Vec<EventSource>,
    pub(crate) payments: Option<Arc<dyn PaymentStops>>,
    random: SystemRandom,
}

impl Desk {
    /// Reads what the configuration names.
    pub(crate) async fn open(
        register: Arc<Register>,
        store: Store,
        payments: Option<Arc<dyn PaymentStops>>,
    ) -> Result<Arc<Self>, StartError> {
        crate::card::keep_decoy(&store).await?;
        let config = &register.config;
        let card_key = match &config.card {
            None => None,
            Some(card) => Some(card_key(SigningKey::load(&card.key_file)?)?),
        };
        let random = SystemRandom::new();
        Ok(Arc::new(Self {
            officers: config.officers()?,
            scales: Scales::built_in()?,
            calendar: Box::new(Calendar::built_in()?),
            person_ids: PersonIds::open(&store, &random).await?,
            event_sources: config.event_sources.clone(),
            card_key,
            payments,
            random,
            store,
            register,
        }))
    }

    /// Now.
    pub(crate) fn now(&self) -> UnixMillis {
        self.clock().now()
    }

    /// Today in Tashkent.
    pub(crate) fn today(&self) -> Date {
        tashkent_day(self.now())
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.register.clock
    }

    /// Who answers `asker`.
    pub(crate) fn parties(&self, asker: ClientId) -> Parties {
        Parties { issuer: self.register.config.client.clone(), audience: asker }
    }

    /// Whether the officer of a request may do `operation`.
    pub(crate) fn permit(
        &self,
        headers: &HeaderMap,
        operation: Operation,
        district: Option<&District>,
    ) -> Result<Permitted, Problem> {
        let user = headers.get(USER_ID).and_then(|user| user.to_str().ok());
        Ok(self.officers.permit(user, operation, district)?)
    }

    /// 16 random bytes.
    pub(crate) fn random(&self) -> Result<[u8; 16], Problem> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes).map_err(|_| Problem::no_randomness())?;
        Ok(bytes)
    }
}

fn card_key(key: SigningKey) -> Result<CardKey, StartError> {
    let raw = (key.algorithm() == Algorithm::Ed25519).then(|| key.public_key().raw());
    let public = raw.and_then(|raw| raw.try_into().ok()).ok_or(StartError::CardKey)?;
    Ok(CardKey { key, public })
}

/// The routes of the desk.
pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .merge(crate::ecase::routes())
        .merge(crate::card::routes())
        .merge(crate::life_event::routes())
        .layer(DefaultBodyLimit::max(DESK_BODY_MAX_BYTES))
        .with_state(desk)
}

/// Reads a JSON body; `form` says how it should look.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8], form: &'static str) -> Result<T, Problem> {
    // The reader's own text is not shown: it may repeat what was sent.
    serde_json::from_slice(body).map_err(|_| Problem::bad_request(form))
}

/// Reads a PINFL of a request.
pub(crate) fn pinfl(text: &str) -> Result<Pinfl, Problem> {
    text.parse().map_err(|fault| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "register.invalid_pinfl",
            format!("{fault}; correct it"),
        )
    })
}

/// The system that asks, as its hub has authenticated it.
pub(crate) fn client(headers: &HeaderMap) -> Result<ClientId, Problem> {
    let text = headers.get(CLIENT).and_then(|client| client.to_str().ok());
    let client = text.and_then(|text| text.parse().ok());
    client.ok_or_else(|| Problem::bad_request("the header X-Road-Client names the asking system"))
}

/// The officer's header, to be passed on.
pub(crate) fn user(headers: &HeaderMap) -> Option<http::HeaderValue> {
    headers.get(USER_ID).cloned()
}
