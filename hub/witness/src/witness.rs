//! The witness's side: cosigns a checkpoint if it extends the one of that log that was cosigned last.
//!
//! Never two roots for one size: what was cosigned is on disk before the cosignature leaves.
//!
//! | cut short | on disk | after the restart |
//! |---|---|---|
//! | before the file is renamed | the old checkpoint | nobody has the new cosignature; the log asks again |
//! | after, and the answer was lost | the new checkpoint | the log is told its size and gets a cosignature again |

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hub_messagelog::replace_durably;
use schemas::clock::Clock;
use schemas::digest::Sha256;
use schemas::tlog::cosignature::signed_message;
use schemas::tlog::merkle::{Extension, empty_root, verify_consistency};
use schemas::tlog::witness::{AddCheckpoint, WitnessAnswer};
use schemas::tlog::{Checkpoint, Note, NoteError, NoteSigner, NoteVerifier, SplitView};
use schemas::tlog::{SignerError, WitnessVerifier};

use crate::{Alarm, Alarms};

/// A witness; its methods block.
pub struct Witness {
    dir: PathBuf,
    signer: Arc<dyn NoteSigner>,
    verifier: WitnessVerifier,
    clock: Clock,
    alarms: Arc<Alarms>,
    /// By origin. Held from the comparison to the end of the write, so that no two requests pass each other.
    held: Mutex<HashMap<String, Held>>,
}

/// What was cosigned last of a log.
#[derive(Clone, Debug)]
struct Held {
    checkpoint: Checkpoint,
    /// With the log's signature and the cosignature.
    note: String,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The server whose log has this origin, authenticated: a proof that fails for that log is its own doing.
    ServerOf(String),
    /// Anyone: a wrong proof may come from somebody who wants to cast doubt on the log.
    Anyone,
}

/// An answer, and the alarm that the request raised, if it did.
#[derive(Debug)]
pub struct Answered {
    /// What goes back.
    pub answer: WitnessAnswer,
    /// A new alarm.
    pub alarm: Option<Alarm>,
}

/// Why a witness cannot begin or cosign.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A file operation.
    #[error("own side: {action} {path} failed ({cause}); check the disk, its space and its rights")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file.
        path: String,
        /// The system's words.
        cause: io::Error,
    },
    /// A file that says what was cosigned is damaged.
    #[error(
        "own side: {path} does not hold the checkpoint that this witness cosigned last; restore it \
         from the backup: without it the witness could cosign another history of that log"
    )]
    Damaged {
        /// The file.
        path: String,
    },
    /// The key.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The witness's name.
    #[error("own side: the witness's key is not usable: {0}; correct its name")]
    Name(#[from] NoteError),
}

impl WitnessError {
    fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), cause }
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").field("name", &self.verifier.name()).finish_non_exhaustive()
    }
}

impl Witness {
    /// Opens the folder, making it when missing, and reads what was cosigned. The signer's name is the witness's.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn open(
        dir: PathBuf,
        signer: Arc<dyn NoteSigner>,
        clock: Clock,
        alarms: Arc<Alarms>,
    ) -> Result<Self, WitnessError> {
        let verifier = WitnessVerifier::new(signer.name(), signer.public_key())?;
        fs::create_dir_all(&dir).map_err(|cause| WitnessError::io("making", &dir, cause))?;
        let listed = fs::read_dir(&dir).map_err(|e| WitnessError::io("listing", &dir, e))?;
        let mut held = HashMap::new();
        for entry in listed {
            let path = entry.map_err(|cause| WitnessError::io("listing", &dir, cause))?.path();
            if path.extension().is_some_and(|extension| extension == "note") {
                let read = read(&path, &verifier)?;
                held.insert(read.checkpoint.origin.clone(), read);
            }
        }
        Ok(Self { dir, signer, verifier, clock, alarms, held: Mutex::new(held) })
    }

    /// The key that its cosignatures verify under.
    #[must_use]
    pub fn verifier(&self) -> &WitnessVerifier {
        &self.verifier
    }

    /// Answers `POST add-checkpoint`. `log_key` gives the key of a log's origin as the configuration in
    /// force has it. Cost: two signatures' worth of arithmetic, and one sync to disk when the log has grown.
    pub fn add_checkpoint(
        &self,
        body: &[u8],
        asker: &Asker,
        log_key: impl Fn(&str) -> Option<NoteVerifier>,
    ) -> Answered {
        match self.judge(body, asker, log_key) {
            Ok(answered) => answered,
            Err(error) => {
                tracing::error!(%error, "a checkpoint could not be cosigned");
                refused(500, "witness: it cannot cosign now; its operator reads its program log")
            }
        }
    }

    fn judge(
        &self,
        body: &[u8],
        asker: &Asker,
        log_key: impl Fn(&str) -> Option<NoteVerifier>,
    ) -> Result<Answered, WitnessError> {
        let text = std::str::from_utf8(body).map_err(|error| error.to_string());
        let parsed = text.and_then(|text| text.parse::<AddCheckpoint>().map_err(|e| e.to_string()));
        let request = match parsed {
            Ok(request) => request,
            Err(reason) => return Ok(refused(400, &reason)),
        };
        let origin = &request.checkpoint().origin;
        let Some(key) = log_key(origin) else {
            let text = "witness: the global configuration has no log with this origin; register it";
            return Ok(refused(404, text));
        };
        if let Err(reason) = key.verify(request.note()) {
            return Ok(refused(403, &reason.to_string()));
        }
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match follows(all.get(origin), &request) {
            Follows::Yes => {
                let cosigned = self.cosign(&request, &key)?;
                if all.get(origin).is_none_or(|held| held.checkpoint != *request.checkpoint()) {
                    self.keep(&cosigned)?;
                    all.insert(origin.clone(), cosigned.clone());
                }
                drop(all);
                let own = Note::parse(&cosigned.note)?;
                let own = own.signatures().iter().filter(|line| self.verifier.names(line));
                let answer = WitnessAnswer::Cosigned(own.cloned().collect());
                Ok(Answered { answer, alarm: None })
            }
            Follows::Size(size) => Ok(Answered { answer: WitnessAnswer::Size(size), alarm: None }),
            Follows::No { status, held } => {
                let held = held.cloned();
                drop(all);
                Ok(self.contradicted(status, held, &request, (asker, &key)))
            }
        }
    }

    /// The checkpoint with the log's signature and a cosignature of now.
    fn cosign(&self, request: &AddCheckpoint, key: &NoteVerifier) -> Result<Held, WitnessError> {
        let (at, text) = (self.clock.now(), request.note().text());
        let signature = self.signer.sign(&signed_message(text, at))?;
        let own = request.note().signed_by(key);
        let note = own.with_signature(self.verifier.line(at, &signature)?)?.to_string();
        Ok(Held { checkpoint: request.checkpoint().clone(), note })
    }

    fn keep(&self, held: &Held) -> Result<(), WitnessError> {
        let name = format!("{}.note", Sha256::of(held.checkpoint.origin.as_bytes()));
        let path = self.dir.join(name);
        let written = replace_durably(&path, held.note.as_bytes());
        written.map_err(|cause| WitnessError::io("writing", &path, cause))
    }

    /// Refuses, and raises an alarm where the log has contradicted itself or did not show itself that it has not.
    fn contradicted(
        &self,
        status: u16,
        held: Option<Held>,
        request: &AddCheckpoint,
        (asker, key): (&Asker, &NoteVerifier),
    ) -> Answered {
        let text = held.as_ref().map_or_else(String::new, |held| held.note.clone());
        let answer = WitnessAnswer::Contradicted { status, text };
        let Some(held) = held else { return Answered { answer, alarm: None } };
        let offered = request.note().signed_by(key).to_string();
        // A proof from a power of two on cannot convict anyone, so that a doubt is all there can be.
        let origin = &request.checkpoint().origin;
        let itself = matches!(asker, Asker::ServerOf(own) if own == origin);
        let doubtful = itself || held.checkpoint.size.is_power_of_two();
        let split_view = SplitView::new(held.note, offered, request.proof());
        match split_view.verify(key) {
            Ok((contradiction, _)) if contradiction.proved() || doubtful => {
                let alarm = self.alarms.raise(split_view, key).ok().flatten();
                Answered { answer, alarm }
            }
            Ok(_) => {
                tracing::warn!(log = %origin, "a consistency proof leads nowhere; not cosigned");
                Answered { answer, alarm: None }
            }
            Err(reason) => {
                tracing::warn!(log = %origin, %reason, "not cosigned");
                Answered { answer, alarm: None }
            }
        }
    }
}

/// Whether a checkpoint follows the one that was cosigned last.
enum Follows<'a> {
    /// It does.
    Yes,
    /// It was asked from another size than this.
    Size(u64),
    /// It does not.
    No { status: u16, held: Option<&'a Held> },
}

fn follows<'a>(held: Option<&'a Held>, request: &AddCheckpoint) -> Follows<'a> {
    let offered = request.checkpoint();
    let (size, root) =
        held.map_or((0, empty_root()), |held| (held.checkpoint.size, held.checkpoint.root));
    if offered.size == size && offered.root != root {
        return Follows::No { status: 409, held };
    }
    if request.old() != size {
        return Follows::Size(size);
    }
    let states = Extension {
        old_size: size,
        old_root: &root,
        new_size: offered.size,
        new_root: &offered.root,
    };
    let shown = match size {
        // RFC 6962 has no proof from the empty tree: every tree extends it.
        0 => request.proof().is_empty(),
        _ => verify_consistency(states, request.proof()).is_ok(),
    };
    if shown { Follows::Yes } else { Follows::No { status: 422, held } }
}

fn refused(status: u16, text: &str) -> Answered {
    let text = format!("{text}\n");
    Answered { answer: WitnessAnswer::Refused { status, text }, alarm: None }
}

/// Reads what was cosigned last; the witness's own line shows that it is that.
fn read(path: &Path, own: &WitnessVerifier) -> Result<Held, WitnessError> {
    let note = fs::read_to_string(path).map_err(|e| WitnessError::io("reading", path, e))?;
    let damaged = || WitnessError::Damaged { path: path.display().to_string() };
    let parsed = Note::parse(&note).map_err(|_| damaged())?;
    let checkpoint: Checkpoint = parsed.text().parse().map_err(|_| damaged())?;
    if !parsed.signatures().iter().any(|line| own.names(line)) {
        let (log, path) = (&checkpoint.origin, path.display());
        tracing::warn!(%log, %path, "what was cosigned last has no line of this witness's key: was it changed?");
    } else if own.verify(&parsed).is_err() {
        return Err(damaged());
    }
    let own_name = format!("{}.note", Sha256::of(checkpoint.origin.as_bytes()));
    if path.file_name().and_then(|name| name.to_str()) != Some(own_name.as_str()) {
        return Err(damaged());
    }
    Ok(Held { checkpoint, note })
}
