//! A member's signer: alone a message is signed at once, under load one signature serves all that wait.
//!
//! The first message that comes becomes the leader: it lets the other tasks that are ready run on as long as
//! more messages join, then signs the root for all. It never waits for a clock: exchanges whose records share
//! a sync come back together, so that under load there is company by itself. A leader that is dropped
//! on the way (its caller has gone) signs for the others all the same.

use std::sync::{Mutex, MutexGuard};

use hub_core::batch::{self, BATCH_MAX_COUNT, Batch};
use hub_core::signature::Base;
use pki::signer::SigningKey;
use pki::trust::Algorithm;
use schemas::digest::Sha256;
use tokio::sync::oneshot;

/// Rounds in which a leader lets others join; each is one pass over the tasks that are ready.
const GATHER_ROUNDS: usize = 8;

/// A member's signing key, named by its certificate.
#[derive(Debug)]
pub(crate) struct MemberSigner {
    key: SigningKey,
    key_id: Sha256,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    led: bool,
    messages: Vec<(Sha256, oneshot::Sender<Vec<u8>>)>,
}

/// The key could not sign.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the member's key did not sign; see the hub's log")]
pub(crate) struct NotSigned;

impl MemberSigner {
    /// A signer with the fingerprint of the key's certificate.
    pub(crate) fn new(key: SigningKey, key_id: Sha256) -> Self {
        Self { key, key_id, waiting: Mutex::default() }
    }

    /// The fingerprint of the signing certificate.
    pub(crate) fn key_id(&self) -> Sha256 {
        self.key_id
    }

    /// The signature parameter `alg`.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.key.algorithm() {
            Algorithm::Ed25519 => batch::ALGORITHM,
            other => other.name(),
        }
    }

    /// Signs a signature base.
    ///
    /// # Errors
    /// [`NotSigned`] when the machine gives no randomness or the key fails; the log has the reason.
    pub(crate) async fn sign(&self, base: &Base) -> Result<Vec<u8>, NotSigned> {
        if self.key.algorithm() != Algorithm::Ed25519 {
            return self.sign_bytes(base.as_bytes());
        }
        let (reply, signed) = oneshot::channel();
        let leads = {
            let mut waiting = self.lock();
            waiting.messages.push((base.leaf(), reply));
            !std::mem::replace(&mut waiting.led, true)
        };
        if leads {
            // Signs when dropped, wherever this task ends.
            let _leader = Leader(self);
            self.gather().await;
        }
        signed.await.map_err(|_| NotSigned)
    }

    /// Waits as long as others join.
    async fn gather(&self) {
        let mut count = 1;
        for _ in 0..GATHER_ROUNDS {
            tokio::task::yield_now().await;
            let now = self.lock().messages.len();
            if now == count || now >= BATCH_MAX_COUNT {
                break;
            }
            count = now;
        }
    }

    fn sign_waiting(&self) {
        loop {
            let messages = {
                let mut waiting = self.lock();
                if waiting.messages.is_empty() {
                    waiting.led = false;
                    return;
                }
                let count = waiting.messages.len().min(BATCH_MAX_COUNT);
                waiting.messages.drain(..count).collect::<Vec<_>>()
            };
            let batch = Batch::new(messages.iter().map(|(leaf, _)| *leaf).collect());
            // Without a signature the senders are dropped, which tells each that it is not signed.
            let signed = self.sign_bytes(&batch.to_sign()).ok().and_then(|s| s.try_into().ok());
            let Some(signature) = signed else { continue };
            for ((_, reply), bytes) in messages.into_iter().zip(batch.signatures(&signature)) {
                // A caller that has gone needs no signature.
                let _ = reply.send(bytes);
            }
        }
    }

    fn sign_bytes(&self, bytes: &[u8]) -> Result<Vec<u8>, NotSigned> {
        self.key.sign(bytes).map_err(|error| {
            tracing::error!(%error, "a signing key failed");
            NotSigned
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

struct Leader<'a>(&'a MemberSigner);

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.0.sign_waiting();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hub_core::batch::VerifiedRoots;
    use tokio::task::JoinSet;

    use super::*;

    fn base(text: &str) -> Base {
        Base::new(text.to_owned())
    }

    fn signer(algorithm: Algorithm) -> Arc<MemberSigner> {
        let key = SigningKey::ephemeral(algorithm).unwrap();
        Arc::new(MemberSigner::new(key, Sha256::of(b"certificate")))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_of_many_messages_gets_its_own_signature() {
        let signer = signer(Algorithm::Ed25519);
        let mut tasks = JoinSet::new();
        for nth in 0..500 {
            let signer = signer.clone();
            tasks.spawn(async move {
                let base = Base::new(format!("base {nth}"));
                let signature = signer.sign(&base).await.unwrap();
                (base, signature)
            });
        }
        let roots = VerifiedRoots::default();
        let mut shared = 0;
        while let Some(done) = tasks.join_next().await {
            let (base, signature) = done.unwrap();
            let key = signer.key.public_key();
            assert_eq!(batch::verify(key, base.leaf(), &signature, &roots), Ok(()));
            shared += usize::from(signature.len() > 68);
        }
        assert!(shared > 0, "no two messages shared a root");
    }

    #[tokio::test]
    async fn message_alone_has_no_path() {
        let signature = signer(Algorithm::Ed25519).sign(&base("alone")).await.unwrap();
        assert_eq!(signature.len(), 68);
    }

    #[tokio::test]
    async fn leader_that_is_dropped_signs_for_the_others() {
        let signer = signer(Algorithm::Ed25519);
        let [first, second] = ["leader", "follower"].map(base);
        let mut leader = Box::pin(signer.sign(&first));
        let mut follower = Box::pin(signer.sign(&second));
        assert!(futures_util::poll!(&mut leader).is_pending());
        assert!(futures_util::poll!(&mut follower).is_pending());
        drop(leader);
        assert!(follower.await.is_ok());
        assert!(signer.sign(&base("next")).await.is_ok());
    }

    #[tokio::test]
    async fn other_algorithms_sign_each_message_plainly() {
        let signer = signer(Algorithm::EcdsaP256);
        let signature = signer.sign(&base("base")).await.unwrap();
        assert_eq!(signer.key.public_key().verify(b"base", &signature), Ok(()));
        assert_eq!(signer.algorithm(), "ecdsa-p256-sha256");
    }
}
