//! Random work with a crash after every system call of it, and crashes of what recovers from them.
//!
//! ```text
//!  run on a simulated disk ──► calls 1 … n, and what callers were told between them
//!  for each call: the disk as a kill or a power cut after it leaves it ──► open, hold it to what callers were told,
//!                                                                        work on, sometimes crash again
//! ```
//!
//! What is held: no acknowledged record lost or changed, none invented or doubled; every checkpoint that a reader may
//! have seen is extended by the one after the crash; proofs verify; the index answers like the records.
//!
//! `KOPRIK_CRASHES=N` crashes N times instead of 200; `KOPRIK_SEED=S` repeats a seed that a failure printed (the
//! log's threads may still interleave in another way).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use schemas::tlog::Checkpoint;
use schemas::tlog::merkle::{Extension, leaf_hash, verify_consistency, verify_inclusion};
use tokio::runtime::Runtime;

use super::simulated::{Call, Crash, Faults, Model, Seeded, SimulatedDisk};
use super::{ORIGIN, leaf, open_with, options};
use crate::{
    Entry, IndexKey, IndexKind, LogError, LogLimits, LogOptions, MessageLog, Order, Query,
};

/// What callers and readers have been told.
#[derive(Clone, Default)]
struct Told {
    /// Test records that were handed in.
    submitted: u64,
    /// Index → test record.
    acknowledged: BTreeMap<u64, u64>,
    checkpoints: BTreeSet<String>,
}

/// A caller's news, and after how many calls it came.
enum News {
    Submitted(u64),
    Acknowledged(u64, u64),
    Checkpoint(String),
}

/// The kinds of a run, chosen by its seed.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Records before the first crash.
    begin_with: u64,
    /// Attachment bytes.
    attachment: usize,
    segment_bytes: u64,
    /// Records in a file of the index.
    index_block_count: u32,
    faults: Faults,
}

impl Shape {
    fn of(seeded: &mut Seeded) -> Self {
        let faults = match seeded.below(3) {
            0 => Faults::default(),
            1 => Faults { full: 15, sync: 0 },
            _ => Faults { full: 40, sync: 25 },
        };
        // Large attachments bring zeros written ahead; many records bring full tiles. Not both: it takes long.
        let (begin_with, attachment) = match seeded.below(6) {
            0 => (0, 5),
            1 => (3, 300),
            2 => (3, 30_000),
            3 => (250, 5),
            4 => (254, 300),
            _ => (510, 5),
        };
        Self {
            begin_with,
            attachment,
            segment_bytes: [400, 4_000, 1 << 20][usize::try_from(seeded.below(3)).unwrap()],
            // With 4 a merge of 64 files comes at the 256th record.
            index_block_count: [4, 32, 1 << 14][usize::try_from(seeded.below(3)).unwrap()],
            faults,
        }
    }

    fn entry(self, n: u64) -> Entry {
        let pattern = format!("kept {n} ").into_bytes();
        let attachment: Bytes = pattern.into_iter().cycle().take(self.attachment).collect();
        Entry { leaf: leaf(n), attachment }
    }

    fn options(self, root: &Path) -> LogOptions {
        let mut options = options(&root.join("data/log"));
        options.limits = LogLimits {
            segment_bytes: self.segment_bytes,
            index_block_count: self.index_block_count,
            ..options.limits
        };
        options
    }
}

/// A log at work on a simulated disk.
struct Run {
    shape: Shape,
    seeded: Seeded,
    disk: SimulatedDisk,
    log: Option<MessageLog>,
    told: Told,
    news: Vec<(usize, News)>,
    runtime: Arc<Runtime>,
    /// The disk as it was when the run began.
    before: Model,
    root: tempfile::TempDir,
}

/// A directory in memory where the machine has one.
pub(super) fn fast_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

impl Run {
    fn new(shape: Shape, mut seeded: Seeded, before: Model, told: Told) -> Self {
        let root = fast_dir();
        let disk_seed = Seeded(seeded.next());
        let disk = SimulatedDisk::new(root.path(), before.clone(), disk_seed);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (log, news, runtime) = (None, Vec::new(), Arc::new(runtime));
        Self { shape, seeded, disk, log, told, news, runtime, before, root }
    }

    fn open(&mut self) -> Result<&MessageLog, LogError> {
        self.log = None;
        let log = open_with(self.shape.options(self.root.path()), Arc::new(self.disk.clone()))?;
        self.tell(News::Checkpoint(log.latest_checkpoint()));
        Ok(self.log.insert(log))
    }

    /// Opens; where an injected fault is in the way, without faults.
    fn reopen(&mut self) {
        if self.open().is_err() {
            self.disk.set_faults(Faults::default());
            self.open().unwrap();
            self.disk.set_faults(self.shape.faults);
        }
    }

    fn tell(&mut self, news: News) {
        match &news {
            News::Submitted(count) => self.told.submitted = *count,
            News::Acknowledged(index, n) => drop(self.told.acknowledged.insert(*index, *n)),
            News::Checkpoint(note) => drop(self.told.checkpoints.insert(note.clone())),
        }
        self.news.push((self.disk.calls_count(), news));
    }

    /// Appends so many records at once.
    fn append(&mut self, count: u64) {
        let log = self.log.clone().unwrap();
        let first = self.told.submitted;
        // Told before: what is on its way may be stored at any time.
        self.tell(News::Submitted(first + count));
        let numbers = first..first + count;
        let pending: Vec<_> = numbers.clone().map(|n| log.submit(self.shape.entry(n))).collect();
        for (n, receipt) in numbers.zip(pending) {
            match self.runtime.clone().block_on(receipt.into_future()) {
                Ok(receipt) => self.tell(News::Acknowledged(receipt.index(), n)),
                Err(LogError::Full { .. } | LogError::Poisoned { .. }) => (),
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// One piece of random work.
    fn work(&mut self) {
        match self.seeded.below(12) {
            10..=11 => self.compact(),
            0..=2 => self.append(1),
            3..=4 => {
                let count = 1 + self.seeded.below(9);
                self.append(count);
            }
            5 => {
                let n = self.told.submitted;
                self.tell(News::Submitted(n + 1));
                drop(self.log.as_ref().unwrap().submit_soon(self.shape.entry(n)));
            }
            6..=7 => self.publish(),
            8 => self.read(),
            _ => {
                let log = self.log.take().unwrap();
                if self.seeded.one_in(2) {
                    self.runtime.block_on(log.close());
                }
                drop(log);
                self.reopen();
            }
        }
        let poisoned =
            matches!(self.log.as_ref().unwrap().failure(), Some(LogError::Poisoned { .. }));
        if poisoned {
            self.reopen();
        }
    }

    fn publish(&mut self) {
        let log = self.log.clone().unwrap();
        let Some(last) = log.size().checked_sub(1) else { return };
        if let Ok(note) = self.runtime.clone().block_on(log.checkpoint_covering(last)) {
            self.tell(News::Checkpoint(note));
        }
    }

    /// What is published and sealed becomes compact, or fails.
    fn compact(&mut self) {
        let log = self.log.clone().unwrap();
        self.runtime.clone().block_on(log.wait_compact()).unwrap();
    }

    fn read(&mut self) {
        let log = self.log.as_ref().unwrap();
        for (index, n) in self.told.acknowledged.iter().rev().take(20) {
            assert_eq!(log.read(*index).unwrap().leaf, leaf(*n));
        }
    }

    /// Holds the open log to everything that was told.
    fn check(&mut self) {
        let log = self.log.clone().unwrap();
        let size = log.size();
        for (index, n) in &self.told.acknowledged {
            let stored = match log.read(*index) {
                Ok(s) => s,
                Err(e) => {
                    eprintln!(
                        "{:?} size {size} {:?} acked {:?}",
                        self.shape,
                        std::fs::read_dir(self.root.path().join("data/log/segments"))
                            .unwrap()
                            .map(|f| {
                                let f = f.unwrap();
                                (f.file_name(), f.metadata().unwrap().len())
                            })
                            .collect::<Vec<_>>(),
                        self.told.acknowledged.len()
                    );
                    let k = std::mem::replace(&mut self.root, fast_dir());
                    eprintln!("{:?}", k.keep());
                    panic!("{e}")
                }
            };
            let entry = self.shape.entry(*n);
            assert!(stored.leaf == entry.leaf && stored.attachment == entry.attachment, "{index}");
        }
        let known: BTreeSet<Bytes> = (0..self.told.submitted).map(leaf).collect();
        let leaves: Vec<Bytes> = (0..size).map(|index| log.read(index).unwrap().leaf).collect();
        assert!(leaves.iter().all(|leaf| known.contains(leaf)), "an invented record");
        assert_eq!(leaves.iter().collect::<BTreeSet<_>>().len(), leaves.len(), "a doubled record");
        self.check_proofs(&log, &leaves);
        self.runtime.block_on(async {
            if size > 0 {
                log.wait_indexed(size - 1).await.unwrap();
            }
        });
        check_index(&log, &leaves);
    }

    fn check_proofs(&mut self, log: &MessageLog, leaves: &[Bytes]) {
        let latest = Checkpoint::open(&log.latest_checkpoint(), ORIGIN, log.verifier()).unwrap();
        let size = u64::try_from(leaves.len()).unwrap();
        assert_eq!((latest.size, log.audit()), (size, Ok(size)));
        for note in &self.told.checkpoints {
            let earlier = Checkpoint::open(note, ORIGIN, log.verifier()).unwrap();
            if earlier.size == 0 {
                continue;
            }
            let proof = log.consistency_proof(earlier.size, size).unwrap();
            let states = Extension {
                old_size: earlier.size,
                old_root: &earlier.root,
                new_size: size,
                new_root: &latest.root,
            };
            assert_eq!(verify_consistency(states, &proof), Ok(()), "{earlier:?}");
        }
        let places = [0, size / 2, self.seeded.below(size), size.saturating_sub(1)];
        for index in places.into_iter().filter(|index| *index < size) {
            let hash = leaf_hash(&leaves[usize::try_from(index).unwrap()]);
            let proof = log.inclusion_proof(index, size).unwrap();
            let verified = verify_inclusion(&hash, index, size, &proof, &latest.root);
            assert_eq!(verified, Ok(()), "record {index} of {size}");
        }
    }
}

/// The index answers as the records say.
fn check_index(log: &MessageLog, leaves: &[Bytes]) {
    let with = |word: &str| -> Vec<u64> {
        let found = leaves.iter().zip(0..).filter(|(leaf, _)| {
            std::str::from_utf8(leaf).unwrap().split(' ').any(|part| part == word)
        });
        found.map(|(_, index)| index).collect()
    };
    let ask = |query: Query| {
        let query = Query { order: Order::OldestFirst, limit: usize::MAX, ..query };
        log.find(&query).unwrap()
    };
    assert!(ask(Query::all()).into_iter().eq((0..).take(leaves.len())));
    let keys = [
        (IndexKind::Client, "client-0".to_owned()),
        (IndexKind::Client, "client-1".to_owned()),
        (IndexKind::Exchange, format!("exchange-{}", leaves.len() / 2)),
    ];
    for (kind, value) in keys {
        let found = ask(Query::by_key(IndexKey::new(kind, value.clone())));
        assert_eq!(found, with(&value), "{value}");
    }
}

/// A run that has worked, to be crashed at each of its calls.
struct Worked {
    calls: Vec<Call>,
    news: Vec<(usize, News)>,
    before: Model,
    told: Told,
    shape: Shape,
}

/// Works and takes the record of it. `told` is what had been told before.
fn work(mut run: Run, told: Told, times: u64) -> Worked {
    run.disk.set_faults(run.shape.faults);
    (0..times).for_each(|_| run.work());
    run.log = None;
    let Run { shape, disk, news, before, .. } = run;
    Worked { calls: disk.calls(), news, before, told, shape }
}

impl Worked {
    /// The disk and what had been told, after so many calls.
    fn at(&self, count: usize) -> (Model, Told) {
        let (mut model, mut told) = (self.before.clone(), self.told.clone());
        for call in &self.calls[..count] {
            model.apply(call);
            // From the rename on a static server gives the checkpoint to anyone.
            if let Call::Rename(_, to) = call
                && to.ends_with("tlog/checkpoint")
            {
                let note = model.bytes(to).unwrap().to_vec();
                told.checkpoints.insert(String::from_utf8(note).unwrap());
            }
        }
        for (after, news) in &self.news {
            match news {
                // Handed in before its calls, so known from the first of them.
                News::Submitted(upto) => told.submitted = told.submitted.max(*upto),
                _ if *after > count => (),
                News::Acknowledged(index, n) => drop(told.acknowledged.insert(*index, *n)),
                News::Checkpoint(note) => drop(told.checkpoints.insert(note.clone())),
            }
        }
        (model, told)
    }

    /// Crashes after so many calls, opens and checks.
    fn crash(&self, count: usize, seeded: &mut Seeded) -> (Run, Told) {
        let (model, told) = self.at(count);
        let crash = if seeded.one_in(4) { Crash::Kill } else { Crash::PowerCut };
        let left = model.after(crash, seeded);
        let mut run = Run::new(self.shape, Seeded(seeded.next()), left, told.clone());
        if seeded.one_in(4) {
            damage_one_file(&run.root.path().join("data/log/index"), seeded);
        }
        if let Err(refused) = run.open() {
            panic!("{crash:?} after call {count} ({:?}): {refused}", self.calls.get(count));
        }
        run.check();
        (run, told)
    }
}

/// Cuts a file of the index, or changes a byte of it.
fn damage_one_file(index: &Path, seeded: &mut Seeded) {
    let Ok(files) = std::fs::read_dir(index) else { return };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let chosen = usize::try_from(seeded.below(u64::try_from(files.len()).unwrap())).unwrap();
    let Some(path) = files.get(chosen) else { return };
    let mut bytes = std::fs::read(path).unwrap();
    let at = usize::try_from(seeded.below(u64::try_from(bytes.len()).unwrap())).unwrap();
    if seeded.one_in(2) {
        bytes.truncate(at);
    } else if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 0x10;
    }
    std::fs::write(path, bytes).unwrap();
}

/// Works on a new log and crashes it after each call; gives the crashes.
fn one_seed(seed: u64, most: u64) -> u64 {
    let mut seeded = Seeded(seed);
    let shape = Shape::of(&mut seeded);
    let mut run = Run::new(shape, Seeded(seeded.next()), Model::default(), Told::default());
    let mut before = Model::default();
    if shape.begin_with > 0 {
        run.open().unwrap();
        run.append(shape.begin_with);
        run.publish();
        run.log = None;
        run.disk.calls().iter().for_each(|call| before.apply(call));
    }
    let told = run.told.clone();
    let mut run = Run::new(shape, Seeded(seeded.next()), before, told.clone());
    run.open().unwrap();
    let worked = work(run, told, 12);
    let mut crashes = 0;
    for count in 0..=worked.calls.len() {
        if crashes >= most {
            break;
        }
        let (run, told) = worked.crash(count, &mut seeded);
        crashes += 1;
        if seeded.one_in(6) {
            // What recovered works on and is crashed itself, its recovery included.
            let again = work(run, told, 4);
            let count =
                usize::try_from(seeded.below(u64::try_from(again.calls.len() + 1).unwrap()));
            again.crash(count.unwrap(), &mut seeded);
            crashes += 1;
        }
    }
    crashes
}

fn number(name: &str) -> Option<u64> {
    #[allow(clippy::disallowed_methods, reason = "the length of a test is not configuration")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn a_crash_after_any_system_call_loses_nothing_acknowledged_and_contradicts_nothing() {
    let asked = number("KOPRIK_CRASHES").unwrap_or(200);
    let first = number("KOPRIK_SEED");
    let mut crashes = 0;
    for seed in first.unwrap_or(1).. {
        // Printed with the failure of a test, so that it can be repeated.
        println!("KOPRIK_SEED={seed}");
        crashes += one_seed(seed, asked - crashes);
        if crashes >= asked || first.is_some() {
            break;
        }
    }
    println!("{crashes} crashes");
}
