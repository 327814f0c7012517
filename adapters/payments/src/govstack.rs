//! The GovStack Payments building block's interface for payments of a government to people (G2P),
//! as far as a bank under this exchange can offer it: beneficiaries and prepayment validation.
//!
//! Lengths and codes: `GovStackWorkingGroup/bb-payments` `api/AccountMapper.yaml`,
//! `Prepaymentvalidation.yaml`, `bulkpayment.yaml`: RequestID, SourceBBID and BatchID have 12
//! characters, InstructionID 16, PayeeFunctionalID 20; the answer is "00" or "01". A request of
//! another form is answered 400, a request that cannot be met 200 with "01". Answers are immediate,
//! so the interface's callbacks are left out. Bulk payments are answered "01": here money moves by
//! statement, order and release only, which is what keeps a line from being paid twice.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use register::payment::line::AccountNumber;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bank::{Bank, Beneficiary, FunctionalId};
use crate::desk::{ActError, Desk};

/// Bytes of a request.
const REQUEST_MAX_BYTES: usize = 256 * 1024;
/// Beneficiaries or instructions of one request: as many people as one record can name.
const ITEMS_MAX_COUNT: usize = schemas::limits::SUBJECTS_MAX_COUNT;
/// Characters of RequestID, SourceBBID and BatchID.
const REQUEST_ID_CHARS: usize = 12;
const INSTRUCTION_ID_CHARS: usize = 16;
const ADDRESS_MAX_CHARS: usize = 30;
const NARRATION_MAX_CHARS: usize = 50;
/// PaymentModality of a bank account; the others are mobile money, voucher, wallet and proxy.
const BANK_ACCOUNT: &str = "00";
const MODALITIES: [&str; 5] = ["00", "01", "02", "03", "04"];

/// The routes of the interface.
pub(crate) fn routes(desk: Arc<Desk<Bank>>) -> Router {
    Router::new()
        .route("/register-beneficiary", post(register_beneficiary))
        .route("/update-beneficiary-details", post(update_beneficiary))
        .route("/prepayment-validation", post(validate))
        .route("/bulk-payment", post(bulk_payment))
        .layer(DefaultBodyLimit::max(REQUEST_MAX_BYTES))
        .with_state(desk)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Beneficiaries {
    #[serde(rename = "RequestID")]
    request_id: String,
    #[serde(rename = "SourceBBID")]
    source_bb_id: String,
    beneficiaries: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Item {
    #[serde(rename = "PayeeFunctionalID")]
    payee: FunctionalId,
    payment_modality: Option<String>,
    financial_address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Batch {
    #[serde(rename = "RequestID")]
    request_id: String,
    #[serde(rename = "SourceBBID")]
    source_bb_id: String,
    #[serde(rename = "BatchID")]
    batch_id: String,
    credit_instructions: Vec<Instruction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Instruction {
    #[serde(rename = "InstructionID")]
    instruction_id: String,
    #[serde(rename = "PayeeFunctionalID")]
    payee: FunctionalId,
    amount: serde_json::Number,
    currency: String,
    narration: Option<String>,
}

/// An answer of the interface.
enum Reply {
    Success(String),
    Failure(String, &'static str),
    /// The request is not of the interface's form.
    BadRequest(&'static str),
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let body = |code: &str, text: &str, request: &str| -> Json<Value> {
            let answer = json!({
                "ResponseCode": code, "ResponseDescription": text, "RequestID": request,
            });
            Json(answer)
        };
        match self {
            Self::Success(id) => body("00", "Request successfully processed", &id).into_response(),
            Self::Failure(id, text) => body("01", text, &id).into_response(),
            // What was sent is not repeated: it may be anything.
            Self::BadRequest(text) => {
                (StatusCode::BAD_REQUEST, body("01", text, "000000000000")).into_response()
            }
        }
    }
}

impl Beneficiaries {
    fn read(body: &[u8]) -> Result<Self, Reply> {
        let request: Self = parse(body)?;
        ids(&[&request.request_id, &request.source_bb_id])?;
        count(request.beneficiaries.len())?;
        for item in &request.beneficiaries {
            let modality = item.payment_modality.as_deref();
            if modality.is_some_and(|modality| !MODALITIES.contains(&modality)) {
                return Err(Reply::BadRequest("PaymentModality is none of 00, 01, 02, 03, 04"));
            }
            let address = item.financial_address.as_ref();
            let fits = |a: &String| (1..=ADDRESS_MAX_CHARS).contains(&a.chars().count());
            if !address.is_none_or(fits) {
                return Err(Reply::BadRequest("FinancialAddress has 1 to 30 characters"));
            }
        }
        Ok(request)
    }
}

impl Batch {
    fn read(body: &[u8]) -> Result<Self, Reply> {
        let batch: Self = parse(body)?;
        ids(&[&batch.request_id, &batch.source_bb_id, &batch.batch_id])?;
        count(batch.credit_instructions.len())?;
        for instruction in &batch.credit_instructions {
            if instruction.instruction_id.chars().count() != INSTRUCTION_ID_CHARS {
                return Err(Reply::BadRequest("InstructionID has 16 characters"));
            }
            let letters = instruction.currency.bytes().all(|byte| byte.is_ascii_uppercase());
            if instruction.currency.len() != 3 || !letters {
                return Err(Reply::BadRequest("Currency has 3 capital letters"));
            }
            let narration = instruction.narration.as_ref();
            let fits = |n: &String| (1..=NARRATION_MAX_CHARS).contains(&n.chars().count());
            if !narration.is_none_or(fits) {
                return Err(Reply::BadRequest("Narration has 1 to 50 characters"));
            }
        }
        Ok(batch)
    }

    /// Whether all amounts are whole soum above zero.
    fn is_in_soum(&self) -> bool {
        self.credit_instructions.iter().all(|instruction| {
            instruction.currency == "UZS" && instruction.amount.as_u64().is_some_and(|a| a > 0)
        })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Reply> {
    let other = Reply::BadRequest("the body is not a request of this operation; see the contract");
    serde_json::from_slice(body).map_err(|_| other)
}

fn ids(ids: &[&String]) -> Result<(), Reply> {
    let good = ids.iter().all(|id| id.chars().count() == REQUEST_ID_CHARS);
    if good {
        Ok(())
    } else {
        Err(Reply::BadRequest("RequestID, SourceBBID and BatchID have 12 characters"))
    }
}

fn count(items: usize) -> Result<(), Reply> {
    let good = (1..=ITEMS_MAX_COUNT).contains(&items);
    if good { Ok(()) } else { Err(Reply::BadRequest("a request has 1 to 100 items")) }
}

async fn register_beneficiary(State(desk): State<Arc<Desk<Bank>>>, body: Bytes) -> Reply {
    keep(&desk, &body, Known::No, "a payee is registered already, or its account is not known here")
        .await
}

async fn update_beneficiary(State(desk): State<Arc<Desk<Bank>>>, body: Bytes) -> Reply {
    keep(&desk, &body, Known::Yes, "a payee is not registered, or its account is not known here")
        .await
}

/// Whether the payees of a request are registered already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
}

/// Keeps all beneficiaries of a request, or none.
async fn keep(desk: &Desk<Bank>, body: &[u8], known: Known, text: &'static str) -> Reply {
    let request = match Beneficiaries::read(body) {
        Ok(request) => request,
        Err(reply) => return reply,
    };
    let id = request.request_id;
    let kept = desk.act(|bank| {
        let beneficiaries = request.beneficiaries.into_iter().map(|item| {
            let registered = bank.beneficiary(&item.payee);
            // The same registration sent again is no failure.
            let account = account_of(&item)?;
            let same = registered.is_some_and(|kept| kept.account == account);
            let expected = registered.is_some() == (known == Known::Yes) || same;
            let beneficiary = Beneficiary { payee: item.payee, account };
            (expected && bank.has_account(&beneficiary.account)).then_some(beneficiary)
        });
        beneficiaries.collect::<Option<Vec<_>>>().map(Bank::keep_beneficiaries).ok_or(())
    });
    match kept.await {
        Ok(_) => Reply::Success(id),
        Err(ActError::Refused(())) => Reply::Failure(id, text),
        Err(ActError::Store(error)) => {
            tracing::error!(%error, "beneficiaries cannot be stored");
            Reply::Failure(id, "the bank cannot store at present; send again")
        }
    }
}

fn account_of(item: &Item) -> Option<AccountNumber> {
    let bank_account = item.payment_modality.as_deref().is_none_or(|m| m == BANK_ACCOUNT);
    item.financial_address.as_ref().filter(|_| bank_account)?.parse().ok()
}

async fn validate(State(desk): State<Arc<Desk<Bank>>>, body: Bytes) -> Reply {
    let batch = match Batch::read(&body) {
        Ok(batch) => batch,
        Err(reply) => return reply,
    };
    if !batch.is_in_soum() {
        return Reply::Failure(batch.request_id, "amounts are whole soum (UZS) above zero");
    }
    let payees = batch.credit_instructions.iter().map(|instruction| &instruction.payee);
    let good = desk.look(|bank| payees.into_iter().all(|payee| bank.can_credit(payee))).await;
    if good {
        Reply::Success(batch.request_id)
    } else {
        Reply::Failure(batch.request_id, "a payee is not registered, or its account is closed")
    }
}

async fn bulk_payment(body: Bytes) -> Reply {
    match Batch::read(&body) {
        Ok(batch) => Reply::Failure(
            batch.request_id,
            "payments are made from a statement whose order the treasury has financed",
        ),
        Err(reply) => reply,
    }
}
