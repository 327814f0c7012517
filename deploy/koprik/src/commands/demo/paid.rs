//! The shown household's way to its money: application, questionnaire, account, final rating, closed
//! month, order, financing, payment; each step as an officer, the treasury's or the bank's operator takes it.
//!
//! An earlier demo in the same folder may have taken some or all of the steps: what is done is not done
//! again. Nothing here can fail the demo but a server that does not answer; a family that is not supported is
//! shown as such.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use federation::Layout;
use federation::agencies::TREASURY;
use federation::payments::{BANK, PURPOSE};
use http::Request;
use http_body_util::Full;
use schemas::clock::Clock;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::register_hub;
use crate::ask::Admin;
use crate::http_client::{self, TlsFiles};

/// The account that the household declares, and which its bank opens for it; invented, as all here.
const ACCOUNT: &str = "22618000900000001001";
const BRANCH: &str = "00394";
/// What the treasury has for social payments.
const FUND_SOUM: u64 = 1_000_000_000;
/// What the bank says last.
const CONFIRMATION: &str = "POST /confirmations";
/// Tries of 20 ms each until a party has what another sent it.
const TRIES: u32 = 500;

/// What became of the household's money.
pub(super) struct Paid {
    /// Why there is none, or `None`.
    reason: Option<String>,
    /// Its lines, as the register shows them.
    lines: Vec<Value>,
    /// Records of the register's hub about the payments' exchanges.
    exchanges: Vec<Value>,
    took_ms: u64,
}

impl Paid {
    /// Has the household paid for the month of `date`, as far as its decision goes.
    pub(super) async fn household(
        layout: &Layout,
        applicant: Pinfl,
        date: &str,
    ) -> anyhow::Result<Option<Self>> {
        let parties = &layout.payment_parties;
        let (Some((_, treasury)), Some((_, bank))) =
            (parties.get(TREASURY.name), parties.get(BANK))
        else {
            return Ok(None);
        };
        let file = layout.dir.join("payments").join("application.json");
        let teller = Teller { file, register: layout.register.1, treasury: *treasury, bank: *bank };
        let watch = Clock::machine().stopwatch();
        let (reason, lines) = match teller.pay(applicant, date).await {
            Ok(lines) => (None, lines),
            Err(Stopped::Refused(reason)) => (Some(reason), Vec::new()),
            Err(Stopped::Fault(fault)) => return Err(fault),
        };
        let took_ms = watch.elapsed_us() / 1000;
        let admin = Admin::of(&register_hub(layout)?.config)?;
        let is_paid = |line: &Value| line.get("state").and_then(Value::as_str) == Some("paid");
        let last = lines.iter().any(is_paid).then_some(CONFIRMATION);
        let exchanges = exchanges(&admin, last).await?;
        Ok(Some(Self { reason, lines, exchanges, took_ms }))
    }

    /// The exchanges, for the evidence.
    pub(super) fn exchanges(&self) -> &[Value] {
        &self.exchanges
    }

    pub(super) fn as_json(&self) -> Value {
        json!({ "lines": self.lines, "reason": self.reason })
    }

    pub(super) fn as_text(&self) -> String {
        let mut text = String::from("\npayment\n");
        if let Some(reason) = &self.reason {
            text.push_str(&format!("  none: {reason}\n"));
        }
        for line in &self.lines {
            let word = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or("?");
            let soum = line.get("amount_soum").and_then(Value::as_u64).unwrap_or(0);
            let soum = register::money::grouped(soum.into());
            let (state, month, id) = (word("state"), word("month"), word("line"));
            text.push_str(&format!("  {state} {soum} soum for {month}, line {id}\n"));
        }
        text.push_str(&format!("  from application to account in {} ms\n", self.took_ms));
        text
    }
}

/// The payments' exchanges that the register's hub has recorded, up to the `last` endpoint: the register knows
/// what it was told a moment before its hub has recorded that it does.
async fn exchanges(admin: &Admin, last: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let mut answered = Vec::new();
    for _ in 0..TRIES {
        let records = admin.json(&format!("/v1/records?purpose={PURPOSE}&limit=1000")).await?;
        let records = records.get("records").and_then(Value::as_array).into_iter().flatten();
        let word =
            |found: &Value, name| found.pointer(name).and_then(Value::as_str).map(str::to_owned);
        let is_answer = |found: &&Value| {
            word(found, "/record/kind").as_deref() == Some("answer")
                && word(found, "/record/outcome").as_deref() == Some("ok")
        };
        answered = records.filter(is_answer).cloned().collect();
        let is_last = |found: &Value| word(found, "/record/endpoint").as_deref() == last;
        if last.is_none() || answered.iter().any(is_last) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(answered)
}

/// Why the steps ended before the money came.
enum Stopped {
    /// A party says no, or not yet.
    Refused(String),
    Fault(anyhow::Error),
}

impl From<anyhow::Error> for Stopped {
    fn from(fault: anyhow::Error) -> Self {
        Self::Fault(fault)
    }
}

/// The household's application.
#[derive(Serialize, Deserialize)]
struct Applied {
    id: String,
    month: String,
}

/// Who takes the steps, and at whose doors.
struct Teller {
    /// Where the demo notes its application.
    file: PathBuf,
    register: SocketAddr,
    treasury: SocketAddr,
    bank: SocketAddr,
}

impl Teller {
    /// The household's lines, once each has come to its end.
    async fn pay(&self, applicant: Pinfl, date: &str) -> Result<Vec<Value>, Stopped> {
        let Applied { id, month } = match self.applied_before() {
            Some(applied) => applied,
            None => self.apply(applicant, date).await?,
        };
        let close = format!("/payments/{month}/close");
        post(self.register, &close, &json!({ "corrections": [] })).await?;
        self.finance(&month).await?;
        let mut lines = Vec::new();
        for _ in 0..TRIES {
            let answer = get(self.register, &format!("/applications/{id}/payments")).await?;
            lines = answer.get("lines").and_then(Value::as_array).cloned().unwrap_or_default();
            let open = |line: &Value| {
                let state = line.get("state").and_then(Value::as_str);
                matches!(state, Some("checking" | "checked" | "listed" | "released"))
            };
            if !lines.iter().any(open) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(lines)
    }

    /// The application of an earlier demo in this folder.
    fn applied_before(&self) -> Option<Applied> {
        serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()
    }

    /// From filing to the final rating, with an account at the bank and money at the treasury.
    async fn apply(&self, applicant: Pinfl, date: &str) -> Result<Applied, Stopped> {
        let filing = json!({ "pinfl": applicant, "filed_on": date });
        let filed = post(self.register, "/applications", &filing).await?;
        let application = filed.get("application").context("the register shows no application")?;
        let text = |name: &str| application.get(name).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").context("an application has an id")?;
        let month = text("counts_for").context("an application counts for a month")?;
        let path = |step: &str| format!("/applications/{id}/{step}");
        let visit = json!({ "visited_on": date, "family_confirmed": true, "note": "" });
        post(self.register, &path("questionnaire"), &visit).await?;
        let account = json!({ "account": ACCOUNT, "branch": BRANCH });
        post(self.register, &path("account"), &account).await?;
        post(self.register, &path("final-rating"), &json!({})).await?;
        let account = json!({ "number": ACCOUNT, "owner": applicant, "opening": "open" });
        post(self.bank, "/operator/accounts", &account).await?;
        post(self.treasury, "/operator/fund", &json!({ "soum": FUND_SOUM })).await?;
        let applied = Applied { id, month };
        let kept = serde_json::to_vec(&applied).context("an application is JSON")?;
        std::fs::write(&self.file, kept).context("cannot note the demo's application")?;
        Ok(applied)
    }

    /// Finances the order, once the treasury has it.
    async fn finance(&self, month: &str) -> Result<(), Stopped> {
        let path = format!("/operator/orders/{month}/finance");
        let mut last = Ok(());
        for _ in 0..TRIES {
            match post(self.treasury, &path, &json!({})).await {
                Err(Stopped::Refused(reason)) => last = Err(Stopped::Refused(reason)),
                other => return other.map(drop),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        last
    }
}

async fn post(at: SocketAddr, path: &str, body: &Value) -> Result<Value, Stopped> {
    let request = Request::post(format!("http://{at}{path}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())));
    ask(request.context("no request")?).await
}

async fn get(at: SocketAddr, path: &str) -> Result<Value, Stopped> {
    let request = Request::get(format!("http://{at}{path}")).body(Full::default());
    ask(request.context("no request")?).await
}

async fn ask(request: Request<Full<Bytes>>) -> Result<Value, Stopped> {
    let answer = http_client::send(request, &TlsFiles::default()).await?;
    let value: Value = serde_json::from_slice(&answer.body).context("an answer is not JSON")?;
    if answer.status == 200 {
        return Ok(value);
    }
    let reason = value.get("message").and_then(Value::as_str).unwrap_or("no reason given");
    Err(Stopped::Refused(reason.to_owned()))
}
