//! Cosignatures that witnesses bring by themselves, for a log whose server reaches none of them: the central
//! server, which hubs ask and which cannot ask hubs.

use hub_core::configuration::ConfigurationInForce;
use schemas::tlog::{Checkpoint, Note};

use super::{Gatherer, Tree, own_line};

impl Gatherer {
    /// The request by which a witness cosigns the newest checkpoint, as if it had been asked: with the proof from the
    /// tree of `old` records, or from the newest where that is smaller. The checkpoint has the cosignatures gathered so
    /// far, so that a witness sees whether its own is missing.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub async fn request_from(&self, old: u64) -> Result<String, String> {
        let note = self.log.latest_checkpoint();
        let opened = Checkpoint::open(&note, self.log.origin(), self.log.verifier());
        let size = opened.map_err(|error| error.to_string())?.size;
        let note = Note::parse(&note).map_err(|error| error.to_string())?;
        let note = note.signed_by(self.log.verifier());
        let gathered = {
            let state = self.state();
            let known = state.gathering.iter().chain(&state.cosigned);
            known.map(|tree| &tree.note).find(|known| known.text() == note.text()).cloned()
        };
        let tree = Tree { size, note: gathered.unwrap_or(note) };
        Ok(self.request(old.min(size), &tree).await?.0)
    }

    /// Takes the newest checkpoint with the cosignatures that a witness brings, and publishes it once the quorum
    /// is there. Gives how many of them count; `None` when it is not the newest checkpoint, or no witness counts.
    pub async fn take(
        &self,
        configuration: &ConfigurationInForce,
        brought: &Note,
    ) -> Option<usize> {
        let policy = configuration.witness_policy(self.log.origin());
        let tree = self.newest(&policy)?;
        if tree.note.text() != brought.text() {
            return None;
        }
        let mut counted = 0;
        for witness in policy.witnesses() {
            let line = brought.signatures().iter().find(|line| witness.names(line)).cloned();
            let Some(Ok(line)) = line.map(|line| own_line(witness, &tree, vec![line])) else {
                continue;
            };
            counted += 1;
            if witness.verify(&tree.note).is_err() {
                self.note_down(witness, &tree, Ok(line));
            }
        }
        if counted > 0 && self.reached(&policy) {
            self.publish(&policy).await;
        }
        Some(counted)
    }

    /// The newest checkpoint that the quorum has cosigned.
    #[must_use]
    pub fn cosigned(&self) -> Option<Note> {
        self.state().cosigned.as_ref().map(|tree| tree.note.clone())
    }
}
