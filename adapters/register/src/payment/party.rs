//! A party of the payments: what it keeps, and what it has still to send.
//!
//! | crash | what is left | what happens next |
//! |---|---|---|
//! | before a [`Commit`] is durable | nothing of it | the message comes again, or the command is given again |
//! | after, before the answer leaves | all of it | the message comes again and changes nothing |
//! | after, before what it sends leaves | all of it, in [`Ledger::outgoing`] | it is sent after the start |
//! | sent, before the answer is committed | the message in [`Ledger::outgoing`] | it is sent again |

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payment::message::{Answer, Message, MessageId, Role};

/// Why a party does not take a message. It stays with the sender, which sends it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The message is for another party, or an answer of another kind.
    #[error("payments: the message is not for this party; correct the sender's configuration")]
    NotForMe,
    /// The message contradicts what was said before.
    #[error(
        "payments: the message contradicts what this party keeps; compare the month on both sides"
    )]
    Contradicts,
    /// Lists of a message that belong together differ in length, or are empty or too long.
    #[error("payments: the lists of the message do not fit together; correct the sender")]
    Shape,
    /// What has to come first has not come; it is sent again.
    #[error("payments: what has to come before the message is not here yet; it comes again")]
    TooEarly,
}

/// What is made durable as one: all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit<D> {
    /// What the party keeps, in place of documents with the same keys.
    pub documents: Vec<D>,
    /// What is to be sent until it is answered.
    pub messages: Vec<Message>,
    /// The message that is answered and is sent no more.
    pub answered: Option<MessageId>,
}

impl<D> Default for Commit<D> {
    fn default() -> Self {
        Self { documents: Vec::new(), messages: Vec::new(), answered: None }
    }
}

impl<D> Commit<D> {
    /// Whether there is nothing to make durable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.messages.is_empty() && self.answered.is_none()
    }
}

/// A party's rules: pure, and without effect until a [`Commit`] is applied.
pub trait Party: Default + Send + 'static {
    /// What it keeps.
    type Document: Clone + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Who it is.
    const ROLE: Role;

    /// Under which a document is kept; not personal.
    fn key(document: &Self::Document) -> String;

    /// Takes a document into the state. Cannot fail.
    fn put(&mut self, document: Self::Document);

    /// What a message changes, and its answer. A message that was taken before changes nothing and
    /// has the answer that holds now.
    ///
    /// # Errors
    /// [`Refusal`].
    fn receive(&self, message: &Message) -> Result<(Commit<Self::Document>, Answer), Refusal>;

    /// What the answer to an outgoing message changes.
    ///
    /// # Errors
    /// [`Refusal`] when it does not answer the message, which is then sent again.
    fn answered(
        &self,
        message: &Message,
        answer: &Answer,
    ) -> Result<Commit<Self::Document>, Refusal>;
}

/// A party with what it has committed.
#[derive(Clone, Debug, Default)]
pub struct Ledger<P> {
    party: P,
    outgoing: BTreeMap<MessageId, Message>,
}

impl<P: Party> Ledger<P> {
    /// The party.
    #[must_use]
    pub fn party(&self) -> &P {
        &self.party
    }

    /// What has not been answered.
    #[must_use]
    pub fn outgoing(&self) -> &BTreeMap<MessageId, Message> {
        &self.outgoing
    }

    /// What a message changes, and its answer, to be given once the change is durable.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn receive(&self, message: &Message) -> Result<(Commit<P::Document>, Answer), Refusal> {
        if message.to() != P::ROLE {
            return Err(Refusal::NotForMe);
        }
        self.party.receive(message)
    }

    /// What the answer to a message changes; nothing when the message was answered before.
    ///
    /// # Errors
    /// [`Refusal`] when it does not answer the message.
    pub fn answered(
        &self,
        id: &MessageId,
        answer: &Answer,
    ) -> Result<Commit<P::Document>, Refusal> {
        let Some(message) = self.outgoing.get(id) else { return Ok(Commit::default()) };
        let mut commit = self.party.answered(message, answer)?;
        commit.answered = Some(id.clone());
        Ok(commit)
    }

    /// Takes in what is durable.
    pub fn apply(&mut self, commit: Commit<P::Document>) {
        for document in commit.documents {
            self.party.put(document);
        }
        for message in commit.messages {
            self.outgoing.insert(message.id(), message);
        }
        if let Some(id) = commit.answered {
            self.outgoing.remove(&id);
        }
    }
}
