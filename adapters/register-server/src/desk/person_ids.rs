//! Identifiers of documents of which there is one for each person: HMACs under a key that the store
//! keeps sealed, so that two requests at once mean the same document and nobody can be guessed.

use register_store::{Changes, Entity, Store, StoreError, StoreKey};
use ring::hmac;
use ring::rand::SecureRandom;
use schemas::encoding::{base64_bytes, hex};
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

/// The only document of its collection.
const ONLY: &str = "1";

#[derive(Serialize, Deserialize)]
struct Secret {
    #[serde(with = "base64_bytes")]
    key: Vec<u8>,
}

impl Entity for Secret {
    const KIND: &'static str = "person-id-key";

    fn id(&self) -> String {
        ONLY.to_owned()
    }

    fn subject(&self) -> Option<Pinfl> {
        None
    }

    fn keys(&self) -> Vec<StoreKey> {
        Vec::new()
    }
}

/// Makes the identifiers.
pub(crate) struct PersonIds(hmac::Key);

impl PersonIds {
    /// Reads the key; makes it when the store is new.
    pub(crate) async fn open(store: &Store, random: &dyn SecureRandom) -> Result<Self, StoreError> {
        if store.get::<Secret>(ONLY).await?.is_none() {
            let mut key = vec![0; 32];
            let refused = |_| StoreError::Refused {
                kind: Secret::KIND,
                cause: "the machine gives no randomness",
                repair: "check /dev/urandom",
            };
            random.fill(&mut key).map_err(refused)?;
            match store.commit(Changes::new().insert(&Secret { key })?).await {
                // Another node was faster; its key is read below.
                Ok(()) | Err(StoreError::Conflict { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        let secret = store.get::<Secret>(ONLY).await?;
        let gone = || StoreError::Conflict { kind: Secret::KIND.to_owned() };
        let key = secret.ok_or_else(gone)?.value.key;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The identifier of `what` of a person.
    pub(crate) fn id(&self, what: &str, person: Pinfl) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [what, "\n", person.as_str()] {
            context.update(part.as_bytes());
        }
        hex(context.sign().as_ref())
    }
}
