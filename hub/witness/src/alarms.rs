//! Alarms on disk: `TIME-DIGEST.json`, one split view each, as anybody verifies it offline.
//!
//! | cut short | on disk | after the restart |
//! |---|---|---|
//! | before the file is renamed | an unfinished file | no alarm yet; the same split view raises it again |
//! | after | the alarm | it stands |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hub_messagelog::replace_durably;
use schemas::clock::{Clock, UnixMillis};
use schemas::digest::Sha256;
use schemas::limits::{ALARMS_MAX_COUNT, ALARMS_PER_LOG_MAX_COUNT};
use schemas::tlog::split_view::SplitViewRefusal;
use schemas::tlog::{Checkpoint, Contradiction, NoteVerifier, SplitView};
use serde_json::{Value, json};

/// A split view that was seen.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// When, by this server's clock.
    pub at: UnixMillis,
    /// What is shown.
    pub contradiction: Contradiction,
    /// What was cosigned before, then what was offered.
    pub checkpoints: [Checkpoint; 2],
    /// Both as signed, with the proof.
    pub split_view: SplitView,
    /// The file that holds it.
    pub file: PathBuf,
}

impl Alarm {
    /// The log's origin.
    #[must_use]
    pub fn log(&self) -> &str {
        let [first, _] = &self.checkpoints;
        &first.origin
    }

    /// As an operator's tools see it, with both checkpoints as signed.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let [cosigned, offered] = &self.checkpoints;
        json!({
            "at": self.at.to_rfc3339(),
            "log": self.log(),
            "shown": self.contradiction.words(),
            "proved": self.contradiction.proved(),
            "cosigned": { "size": cosigned.size, "root": cosigned.root },
            "offered": { "size": offered.size, "root": offered.root },
            "split_view": self.split_view,
        })
    }

    /// The digest in the file's name: of what the two checkpoints say.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        digest(&self.checkpoints)
    }
}

/// The alarms of a server.
#[derive(Debug)]
pub struct Alarms {
    dir: PathBuf,
    clock: Clock,
    list: Mutex<Vec<Alarm>>,
}

impl Alarms {
    /// Opens the folder, making it when missing, and reads what is there; files that hold no split view are left
    /// alone. Blocking.
    ///
    /// # Errors
    /// The system's.
    pub fn open(dir: PathBuf, clock: Clock) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let mut list = Vec::new();
        for entry in fs::read_dir(&dir)? {
            list.extend(read(&entry?.path()));
        }
        list.sort_by_key(|alarm| alarm.at);
        Ok(Self { dir, clock, list: Mutex::new(list) })
    }

    /// Raises an alarm over a split view if it is one of this log: kept, durably, and named in the program log.
    /// `None` when it has been raised before, or enough are kept about the log. One that is proved takes the place
    /// of one that is not. Blocking.
    ///
    /// # Errors
    /// When the split view is none; the file operation is reported in the program log, and the alarm counts.
    pub fn raise(
        &self,
        split_view: SplitView,
        key: &NoteVerifier,
    ) -> Result<Option<Alarm>, SplitViewRefusal> {
        let (contradiction, checkpoints) = split_view.verify(key)?;
        let (at, digest) = (self.clock.now(), digest(&checkpoints));
        let file = self.dir.join(format!("{:013}-{digest}.json", at.0));
        let alarm = Alarm { at, contradiction, checkpoints, split_view, file };
        let mut list = self.list();
        let same = list.iter().position(|held| held.digest() == digest);
        let of_log = |held: &&Alarm| held.log() == alarm.log();
        let is_full = list.iter().filter(of_log).count() >= ALARMS_PER_LOG_MAX_COUNT
            || list.len() >= ALARMS_MAX_COUNT;
        let doubt = |held: &Alarm| !held.contradiction.proved();
        let gives_way = match same {
            Some(place) => list.get(place).is_some_and(doubt).then_some(place),
            None => list.iter().position(|held| doubt(held) && of_log(&held)),
        };
        let gives_way = gives_way.filter(|_| contradiction.proved() && (same.is_some() || is_full));
        if gives_way.is_none() && same.is_some() {
            return Ok(None);
        }
        if gives_way.is_none() && is_full {
            tracing::warn!("a further split view is not kept, enough are");
            name_both(&alarm);
            return Ok(None);
        }
        let stored = replace_durably(&alarm.file, alarm.split_view.to_text().as_bytes());
        if let Err(error) = &stored {
            let file = alarm.file.display();
            tracing::error!(%error, %file, "an alarm cannot be stored; check disk and owner");
        }
        let doubt = gives_way.map(|place| list.remove(place));
        // Until the proof is on the disk, the doubt stays there.
        let doubt = doubt.filter(|doubt| stored.is_ok() && doubt.file != alarm.file);
        if let Some(doubt) = doubt {
            // One that stays is read again at the next start, and counts.
            let _ = fs::remove_file(&doubt.file);
        }
        list.push(alarm.clone());
        drop(list);
        name_both(&alarm);
        Ok(Some(alarm))
    }

    /// All alarms, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Alarm> {
        self.list().clone()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list().len()
    }

    /// What the operator has to look at; `None` when there are no alarms.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let list = self.list();
        let last = list.last()?;
        let (count, log, what) = (list.len(), last.log(), last.contradiction.words());
        Some(format!(
            "split view: {count} alarm(s), the last about {log}: {what}; see hub/docs/witness.md \
             for what to do"
        ))
    }

    fn list(&self) -> MutexGuard<'_, Vec<Alarm>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest([first, second]: &[Checkpoint; 2]) -> Sha256 {
    Sha256::of_parts(&[first.to_string().as_bytes(), second.to_string().as_bytes()])
}

/// The alarm that names both checkpoints.
fn name_both(alarm: &Alarm) {
    let [first, second] = &alarm.checkpoints;
    tracing::error!(
        log = alarm.log(),
        cosigned_size = first.size,
        cosigned_root = %first.root,
        offered_size = second.size,
        offered_root = %second.root,
        file = %alarm.file.display(),
        "split view: {}",
        alarm.contradiction.words()
    );
}

fn read(file: &Path) -> Option<Alarm> {
    let name = file.file_name()?.to_str()?;
    let (at, _) = name.strip_suffix(".json")?.split_once('-')?;
    let at = UnixMillis(at.parse().ok()?);
    let split_view = SplitView::from_text(&fs::read_to_string(file).ok()?).ok()?;
    let (contradiction, checkpoints) = split_view.shown().ok()?;
    Some(Alarm { at, contradiction, checkpoints, split_view, file: file.to_owned() })
}
