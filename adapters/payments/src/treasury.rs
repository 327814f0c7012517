//! The treasury's side of the payments: an order is financed once, what was not paid comes back.

use std::collections::BTreeMap;

use register::money::Soum;
use register::month::Month;
use register::payment::message::{Answer, Financing, Message, PaymentOrder, Role, Settlement};
use register::payment::party::{Commit, Party, Refusal};
use serde::{Deserialize, Serialize};

/// The treasury as a party of the payments.
#[derive(Clone, Debug, Default)]
pub struct Treasury {
    fund_soum: Soum,
    orders: BTreeMap<Month, OrderState>,
}

/// A payment order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderState {
    /// As the register sent it.
    pub order: PaymentOrder,
    /// How far it is.
    pub progress: Progress,
}

/// How far an order is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", deny_unknown_fields)]
pub enum Progress {
    /// Waits for the treasury.
    Received,
    /// The money has left.
    Financed,
    /// The month is over; the rest has come back.
    Settled {
        /// What the bank paid.
        paid_soum: Soum,
        /// What came back.
        returned_soum: Soum,
    },
}

/// What the treasury keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// What is there for social payments.
    Fund(Soum),
    /// An order.
    Order(OrderState),
}

/// Why an order is not financed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinanceError {
    /// No such order.
    #[error("the treasury has no payment order for month {0}; wait until the register has sent it")]
    Unknown(Month),
    /// The fund is too small.
    #[error("the treasury's fund does not cover the order; fill the fund and finance it again")]
    Fund,
}

type Changes = Commit<Document>;

impl Treasury {
    /// What is there for social payments.
    #[must_use]
    pub fn fund_soum(&self) -> Soum {
        self.fund_soum
    }

    /// The orders.
    pub fn orders(&self) -> impl Iterator<Item = &OrderState> {
        self.orders.values()
    }

    /// Adds to the fund; `None` when the sum is above 2^53 − 1 soum.
    #[must_use]
    pub fn fill(&self, by: Soum) -> Option<Changes> {
        let fund = Soum::new(self.fund_soum.amount().checked_add(by.amount())?)?;
        Some(Changes { documents: vec![Document::Fund(fund)], ..Changes::default() })
    }

    /// Finances an order: the money leaves for the bank, the register is told. Does nothing when the
    /// order is financed.
    ///
    /// # Errors
    /// [`FinanceError`].
    pub fn finance(&self, month: Month) -> Result<Changes, FinanceError> {
        let kept = self.orders.get(&month).ok_or(FinanceError::Unknown(month))?;
        if kept.progress != Progress::Received {
            return Ok(Changes::default());
        }
        let total_soum = kept.order.total_soum;
        let rest = self.fund_soum.amount().checked_sub(total_soum.amount());
        let fund = rest.and_then(Soum::new).ok_or(FinanceError::Fund)?;
        let financed = OrderState { progress: Progress::Financed, ..kept.clone() };
        let financing = Financing { month, total_soum };
        Ok(Changes {
            documents: vec![Document::Fund(fund), Document::Order(financed)],
            messages: vec![
                Message::Financing(financing.clone()),
                Message::OrderFinanced(financing),
            ],
            answered: None,
        })
    }

    fn order(&self, order: &PaymentOrder) -> Result<(Changes, Answer), Refusal> {
        let mut changes = Changes::default();
        match self.orders.get(&order.month) {
            Some(kept) if kept.order == *order => {}
            Some(_) => return Err(Refusal::Contradicts),
            None => changes.documents.push(Document::Order(OrderState {
                order: order.clone(),
                progress: Progress::Received,
            })),
        }
        Ok((changes, Answer::Taken))
    }

    fn settle(&self, settlement: &Settlement) -> Result<(Changes, Answer), Refusal> {
        let Settlement { month, paid_soum, returned_soum } = *settlement;
        let kept = self.orders.get(&month).ok_or(Refusal::Contradicts)?;
        let settled = Progress::Settled { paid_soum, returned_soum };
        if kept.progress == settled {
            return Ok((Changes::default(), Answer::Taken));
        }
        let sum = paid_soum.amount().checked_add(returned_soum.amount());
        let whole = sum == Some(kept.order.total_soum.amount());
        if kept.progress != Progress::Financed || !whole {
            return Err(Refusal::Contradicts);
        }
        let fund = self.fund_soum.amount().checked_add(returned_soum.amount());
        let fund = fund.and_then(Soum::new).ok_or(Refusal::Contradicts)?;
        let kept = OrderState { progress: settled, ..kept.clone() };
        let documents = vec![Document::Fund(fund), Document::Order(kept)];
        Ok((Changes { documents, ..Changes::default() }, Answer::Taken))
    }
}

impl Party for Treasury {
    type Document = Document;
    const ROLE: Role = Role::Treasury;

    fn key(document: &Document) -> String {
        match document {
            Document::Fund(_) => "fund".to_owned(),
            Document::Order(kept) => format!("order/{}", kept.order.month),
        }
    }

    fn put(&mut self, document: Document) {
        match document {
            Document::Fund(fund) => self.fund_soum = fund,
            Document::Order(kept) => {
                self.orders.insert(kept.order.month, kept);
            }
        }
    }

    fn receive(&self, message: &Message) -> Result<(Changes, Answer), Refusal> {
        match message {
            Message::PaymentOrder(order) => self.order(order),
            Message::Settlement(settlement) => self.settle(settlement),
            _ => Err(Refusal::NotForMe),
        }
    }

    fn answered(&self, _: &Message, answer: &Answer) -> Result<Changes, Refusal> {
        match answer {
            Answer::Taken => Ok(Changes::default()),
            _ => Err(Refusal::NotForMe),
        }
    }
}
