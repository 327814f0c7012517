//! A party that runs: one step at a time, durable before its answer leaves. A step begins with books
//! that no other process has changed since they were read.

use std::fmt;

use register::payment::message::{Answer, Message, MessageId};
use register::payment::party::{Commit, Ledger, Party, Refusal};
use tokio::sync::{Mutex, watch};

use crate::books::{Books, BooksError};

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It cannot be stored.
    #[error(transparent)]
    Store(#[from] BooksError),
}

/// Why a command is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ActError<E> {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(E),
    /// It cannot be stored.
    #[error(transparent)]
    Store(BooksError),
}

/// A party with its books. All steps go one after another.
pub struct Desk<P: Party> {
    kept: Mutex<Kept<P>>,
    /// Told when there may be something to send or to do.
    changed: watch::Sender<()>,
}

struct Kept<P: Party> {
    ledger: Ledger<P>,
    books: Box<dyn Books<P>>,
    /// The books may hold more than the ledger: a commit failed or was given up midway.
    behind: bool,
}

impl<P: Party> Desk<P> {
    /// A desk on its books.
    ///
    /// # Errors
    /// [`BooksError`].
    pub async fn open(books: impl Books<P> + 'static) -> Result<Self, BooksError> {
        let mut kept = Kept { ledger: Ledger::default(), books: Box::new(books), behind: true };
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

    /// Looks at the party, with what other processes have stored; when the books cannot be read, as
    /// it was.
    pub async fn look<T>(&self, look: impl FnOnce(&P) -> T) -> T {
        let mut kept = self.kept.lock().await;
        if let Err(error) = kept.catch_up().await {
            tracing::warn!(%error, "the payments' books cannot be read; what is shown may be old");
        }
        look(kept.ledger.party())
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

impl<P: Party> fmt::Debug for Desk<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desk({:?})", P::ROLE)
    }
}

impl<P: Party> Kept<P> {
    async fn catch_up(&mut self) -> Result<(), BooksError> {
        if self.behind || !self.books.is_current().await? {
            self.behind = true;
            let all = self.books.read().await?;
            self.ledger = Ledger::default();
            self.ledger.apply(all);
            self.behind = false;
        }
        Ok(())
    }

    /// Durable, then in force. A caller that goes away in between leaves the ledger behind.
    async fn commit(&mut self, commit: Commit<P::Document>) -> Result<(), BooksError> {
        if commit.is_empty() {
            return Ok(());
        }
        self.behind = true;
        self.books.commit(&commit).await?;
        self.ledger.apply(commit);
        self.behind = false;
        Ok(())
    }
}
