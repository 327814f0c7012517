//! The log as a whole: durability, recovery, what is published, the index. Here stand the builders
//! and the faulty disk that the tests share.

mod check;
mod compact;
mod copied;
mod crashes;
mod durability;
mod faults;
mod index;
mod killed;
mod power_cut;
mod published;
mod recovery;
mod simulated;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ring::signature::{Ed25519KeyPair, KeyPair};
use schemas::clock::{Clock, UnixMillis};
use schemas::tlog::{NoteSigner, SignerError};

use crate::disk::{Disk, DiskFile, Open, OsDisk};
use crate::open::open_on;
use crate::{Entry, IndexKeys, IndexKind, LogError, LogLimits, LogOptions, MessageLog};

pub(crate) const ORIGIN: &str = "TEST/GOV/100/HUB1";
pub(crate) const START: UnixMillis = UnixMillis(1_772_446_500_000);

/// A log key that can be told to fail.
pub(crate) struct TestKey {
    pair: Ed25519KeyPair,
    pub(crate) failing: Mutex<bool>,
}

impl TestKey {
    pub(crate) fn new(seed: u8) -> Arc<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Arc::new(Self { pair, failing: Mutex::new(false) })
    }
}

impl NoteSigner for TestKey {
    fn name(&self) -> &str {
        ORIGIN
    }

    fn public_key(&self) -> [u8; 32] {
        self.pair.public_key().as_ref().try_into().unwrap()
    }

    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignerError> {
        if *self.failing.lock().unwrap() {
            return Err(SignerError("the token is gone".to_owned()));
        }
        Ok(self.pair.sign(text).as_ref().try_into().unwrap())
    }
}

/// A log that publishes and makes segments compact only when it is asked to.
pub(crate) fn options(dir: &Path) -> LogOptions {
    let hour = Duration::from_secs(3600);
    LogOptions {
        dir: dir.to_owned(),
        origin: ORIGIN.to_owned(),
        key: TestKey::new(1),
        clock: Clock::manual(START),
        index_keys: keys_of,
        // With 512 records a large run of 64 blocks.
        limits: LogLimits {
            checkpoint_interval: hour,
            compact_interval: hour,
            index_block_count: 8,
            ..LogLimits::default()
        },
    }
}

pub(crate) fn open(dir: &Path) -> MessageLog {
    MessageLog::open(options(dir)).unwrap()
}

pub(crate) fn open_with(options: LogOptions, disk: Arc<dyn Disk>) -> Result<MessageLog, LogError> {
    open_on(options, disk).map(MessageLog::of)
}

/// The leaf of the test record `n`: its minute after the start, and one of three clients.
pub(crate) fn leaf(n: u64) -> Bytes {
    Bytes::from(format!("{} client-{} exchange-{n}", START.0 + n * 60_000, n % 3))
}

pub(crate) fn entry(n: u64) -> Entry {
    Entry { leaf: leaf(n), attachment: Bytes::from(format!("sealed {n}")) }
}

fn keys_of(leaf: &[u8]) -> IndexKeys {
    let text = std::str::from_utf8(leaf).unwrap_or_default();
    let mut words = text.split(' ');
    let time = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let kinds = [IndexKind::Client, IndexKind::Exchange];
    let mut keys = IndexKeys::at(UnixMillis(time));
    kinds.into_iter().zip(words).for_each(|(kind, word)| keys.add(kind, word));
    keys
}

/// Appends the test records `from..to`, all at once.
pub(crate) async fn append(log: &MessageLog, numbers: std::ops::Range<u64>) {
    let pending: Vec<_> = numbers.clone().map(|n| log.submit(entry(n))).collect();
    for (n, receipt) in numbers.zip(pending) {
        assert_eq!(receipt.await.unwrap().index(), n);
    }
}

/// A disk whose files count, fail, or wait at a gate.
#[derive(Debug, Default)]
pub(crate) struct TestDisk(Arc<Behaviour>);

#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    pub(crate) appends: AtomicUsize,
    pub(crate) syncs: AtomicUsize,
    /// The append, or the sync, with this number (from 1) fails.
    pub(crate) failing_append: AtomicUsize,
    pub(crate) failing_sync: AtomicUsize,
    gate: Mutex<bool>,
    moved: Condvar,
}

impl TestDisk {
    pub(crate) fn behaviour(&self) -> Arc<Behaviour> {
        self.0.clone()
    }
}

impl Behaviour {
    /// From now on syncs wait, until what this gives is dropped.
    pub(crate) fn shut(self: &Arc<Self>) -> Shut {
        *self.gate.lock().unwrap() = true;
        Shut(self.clone())
    }

    /// Waits until so many appends have been written.
    pub(crate) fn wait_for_appends(&self, count: usize) {
        let gate = self.gate.lock().unwrap();
        let reached = |_: &mut bool| self.appends.load(Ordering::SeqCst) < count;
        let deadline = Duration::from_secs(10);
        let (_gate, waited) = self.moved.wait_timeout_while(gate, deadline, reached).unwrap();
        assert!(!waited.timed_out(), "no append within ten seconds");
    }
}

/// Syncs wait as long as this is held; a test that fails lets them go.
pub(crate) struct Shut(Arc<Behaviour>);

impl Drop for Shut {
    fn drop(&mut self) {
        *self.0.gate.lock().unwrap() = false;
        self.0.moved.notify_all();
    }
}

struct TestFile {
    file: Box<dyn DiskFile>,
    behaviour: Arc<Behaviour>,
    /// Other files are left alone.
    segment: bool,
}

impl Disk for TestDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let file = OsDisk.open(path, how)?;
        let segment = path.extension().is_some_and(|extension| extension == "seg");
        Ok(Box::new(TestFile { file, behaviour: self.0.clone(), segment }))
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.make_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        OsDisk.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.sync_dir(dir)
    }
}

impl DiskFile for TestFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        // Zeros are written ahead, not appended.
        if !self.segment || bytes.iter().all(|byte| *byte == 0) {
            return self.file.write_at(bytes, at);
        }
        let number = self.behaviour.appends.load(Ordering::SeqCst) + 1;
        if number == self.behaviour.failing_append.load(Ordering::SeqCst) {
            self.file.write_at(&bytes[..bytes.len() / 2], at)?;
            return Err(io::Error::other("input/output error"));
        }
        self.file.write_at(bytes, at)?;
        let _gate = self.behaviour.gate.lock().unwrap();
        self.behaviour.appends.store(number, Ordering::SeqCst);
        self.behaviour.moved.notify_all();
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let gate = self.behaviour.gate.lock().unwrap();
        let open = self.behaviour.moved.wait_while(gate, |shut| *shut).unwrap();
        drop(open);
        let number = self.behaviour.syncs.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.behaviour.failing_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Copies a log's directory, as a crash would leave it.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy_dir(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).unwrap();
        }
    }
}
