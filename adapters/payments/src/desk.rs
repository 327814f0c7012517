//! A party that runs: one step at a time, durable before its answer leaves.

use register::payment::message::{Answer, Message, MessageId};
use register::payment::party::{Commit, Ledger, Party, Refusal};
use tokio::sync::{Mutex, watch};

use crate::store::{Store, StoreError};

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a command is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ActError<E> {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(E),
    /// It cannot be stored.
    #[error(transparent)]
    Store(StoreError),
}

/// A party with its store. All steps go one after another.
#[derive(Debug)]
pub struct Desk<P> {
    kept: Mutex<Kept<P>>,
    /// Told when there may be something to send or to do.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Kept<P> {
    ledger: Ledger<P>,
    store: Store,
    /// The store may hold more than the ledger: a commit failed or was given up midway.
    behind: bool,
}

impl<P: Party> Desk<P> {
    /// A desk on its store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let mut kept = Kept { ledger: Ledger::default(), store, behind: true };
        kept.catch_up().await?;
        Ok(Self { kept: Mutex::new(kept), changed: watch::Sender::new(()) })
    }

    /// Takes a message; its answer stands when this returns.
    ///
    /// # Errors
    /// [`DeskError`]; the sender sends again.
    pub async fn receive(&self, message: &Message) -> Result<Answer, DeskError> {
        let mut kept = self.kept.lock().await;
        kept.catch_up().await?;
        let (commit, answer) = kept.ledger.receive(message)?;
        kept.commit(commit).await?;
        self.changed.send_replace(());
        Ok(answer)
    }

    /// Takes the answer to an outgoing message.
    ///
    /// # Errors
    /// [`DeskError`]; the message is sent again.
    pub async fn answered(&self, id: &MessageId, answer: &Answer) -> Result<(), DeskError> {
        let mut kept = self.kept.lock().await;
        kept.catch_up().await?;
        let commit = kept.ledger.answered(id, answer)?;
        kept.commit(commit).await?;
        self.changed.send_replace(());
        Ok(())
    }

    /// Carries out a command; says whether it changed anything.
    ///
    /// # Errors
    /// [`ActError`] with the command's own reason.
    pub async fn act<E>(
        &self,
        command: impl FnOnce(&P) -> Result<Commit<P::Document>, E>,
    ) -> Result<bool, ActError<E>> {
        let mut kept = self.kept.lock().await;
        kept.catch_up().await.map_err(ActError::Store)?;
        let commit = command(kept.ledger.party()).map_err(ActError::Refused)?;
        let changes = !commit.is_empty();
        kept.commit(commit).await.map_err(ActError::Store)?;
        self.changed.send_replace(());
        Ok(changes)
    }

    /// Looks at the party.
    pub async fn look<T>(&self, look: impl FnOnce(&P) -> T) -> T {
        look(self.kept.lock().await.ledger.party())
    }

    /// Outgoing messages that `wanted` picks, at most `count`.
    pub async fn outgoing(
        &self,
        count: usize,
        wanted: impl Fn(&MessageId) -> bool,
    ) -> Vec<Message> {
        let kept = self.kept.lock().await;
        let outgoing = kept.ledger.outgoing().iter();
        outgoing
            .filter(|(id, _)| wanted(id))
            .map(|(_, message)| message.clone())
            .take(count)
            .collect()
    }

    /// How many messages wait for an answer.
    pub async fn outgoing_count(&self) -> usize {
        self.kept.lock().await.ledger.outgoing().len()
    }

    /// Tells of every step from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

impl<P: Party> Kept<P> {
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        if self.behind {
            let all = self.store.read().await?;
            self.ledger = Ledger::default();
            self.ledger.apply(all);
            self.behind = false;
        }
        Ok(())
    }

    /// Durable, then in force. A caller that goes away in between leaves the ledger behind.
    async fn commit(&mut self, commit: Commit<P::Document>) -> Result<(), StoreError> {
        if commit.is_empty() {
            return Ok(());
        }
        self.behind = true;
        self.store.commit::<P>(&commit).await?;
        self.ledger.apply(commit);
        self.behind = false;
        Ok(())
    }
}
