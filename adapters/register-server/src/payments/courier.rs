//! Takes messages to treasury and bank through the register's own hub.

use std::collections::BTreeMap;

use ::payments::courier::{self, Courier, Undelivered};
use register::payment::message::{Answer, Message, Role};
use schemas::identifier::ServiceId;
use uuid::Uuid;

use super::PaymentsConfig;
use crate::config::Method;
use crate::hub_client::{HubClient, Question, Ticket};

/// Takes messages to treasury and bank through the register's own hub.
pub(crate) struct RegisterCourier {
    hub: HubClient,
    services: BTreeMap<Role, ServiceId>,
}

impl RegisterCourier {
    pub(crate) fn new(hub: &HubClient, config: &PaymentsConfig) -> Option<Self> {
        let services = [(Role::Treasury, &config.treasury), (Role::Bank, &config.bank)];
        let services = services.map(|(role, service)| (role, service.clone())).into();
        Some(Self { hub: hub.for_purpose(&config.purpose)?, services })
    }
}

impl Courier for RegisterCourier {
    async fn deliver(&self, message: &Message) -> Result<Answer, Undelivered> {
        let to = message.to();
        let service = self.services.get(&to).ok_or(Undelivered::NoService(to))?;
        let body = serde_json::to_string(message).map_err(|_| Undelivered::NoAnswer)?;
        let ticket = Ticket { parent: message.id().as_str().to_owned(), user: None };
        let (method, path) = (Method::Post, message.path().to_owned());
        let question = Question { service, method, path, body: Some(body), ticket: &ticket };
        let answer = self
            .hub
            .ask(&question, &Uuid::new_v4().to_string())
            .await
            .map_err(|_| Undelivered::Hub)?;
        courier::read(answer.status, answer.problem.as_deref(), &answer.body)
    }
}
