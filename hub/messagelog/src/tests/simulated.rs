//! A disk that remembers every system call, so that a test can go back to any of them and cut the
//! power there.
//!
//! Files are really written, under a directory that readers see (the page cache); a sync does
//! nothing there. Beside it stands a model of what the disk itself holds. After a power cut it has
//! everything that was synced, and of the rest what the seed chooses: each later write whole, in
//! parts of 512 bytes, cut at any byte, or not at all, whatever order they came in; each name that was given or taken
//! since its directory was synced, or not. That is harsher than any one file system.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, DiskFile, Open, OsDisk};

const SECTOR: usize = 512;

/// Numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True one time in so many; never when it is 0.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }
}

/// One system call that changes the disk.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    MakeDir(PathBuf),
    Make(PathBuf, u64),
    Change(u64, Change),
    Sync(u64),
    /// A sync that failed: what it was to make durable is not, and is clean in memory.
    LostSync(u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    RemoveAll(PathBuf),
    SyncDir(PathBuf),
}

/// A change of a file's bytes.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
            Self::Write(at, written) => {
                let at = usize::try_from(*at).unwrap();
                if bytes.len() < at + written.len() {
                    bytes.resize(at + written.len(), 0);
                }
                bytes[at..at + written.len()].copy_from_slice(written);
            }
        }
    }

    /// What a power cut leaves of it.
    fn torn(&self, seeded: &mut Seeded) -> Vec<Self> {
        let Self::Write(at, bytes) = self else {
            return if seeded.one_in(2) { vec![self.clone()] } else { Vec::new() };
        };
        match seeded.below(4) {
            0 => vec![self.clone()],
            1 => Vec::new(),
            2 => {
                let kept = usize::try_from(seeded.below(u64::try_from(bytes.len() + 1).unwrap()));
                vec![Self::Write(*at, bytes[..kept.unwrap()].to_vec())]
            }
            _ => {
                // Sectors lie at multiples of their size in the file.
                let at = usize::try_from(*at).unwrap();
                let mut pieces = Vec::new();
                let mut start = 0;
                while start < bytes.len() {
                    let end = (start + SECTOR - (at + start) % SECTOR).min(bytes.len());
                    if seeded.one_in(2) {
                        let place = u64::try_from(at + start).unwrap();
                        pieces.push(Self::Write(place, bytes[start..end].to_vec()));
                    }
                    start = end;
                }
                pieces
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Inode {
    /// As readers see it.
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Changes since the last sync.
    pending: Vec<Change>,
}

/// A name: of a directory, or of a file with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(u64),
}

#[derive(Clone, Debug)]
enum NameChange {
    Given(PathBuf, Node),
    Taken(PathBuf),
    Moved(PathBuf, PathBuf, Node),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Given(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Taken(path) => drop(names.remove(path)),
            Self::Moved(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }

    fn dir(&self) -> &Path {
        let (Self::Given(path, _) | Self::Taken(path) | Self::Moved(_, path, _)) = self;
        path.parent().unwrap()
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process is killed: everything stays as readers see it, nothing becomes durable by it.
    Kill,
    /// The power goes.
    PowerCut,
}

/// What a disk holds, durably and not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    files: BTreeMap<u64, Inode>,
    seen: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    pending: Vec<NameChange>,
    next_file: u64,
}

impl Model {
    pub(crate) fn apply(&mut self, call: &Call) {
        match call {
            Call::MakeDir(dir) => self.name(NameChange::Given(dir.clone(), Node::Dir)),
            Call::Make(path, file) => {
                self.files.insert(*file, Inode::default());
                self.next_file = file + 1;
                self.name(NameChange::Given(path.clone(), Node::File(*file)));
            }
            Call::Change(file, change) => {
                let inode = self.files.get_mut(file).unwrap();
                change.apply(&mut inode.seen);
                inode.pending.push(change.clone());
            }
            Call::Sync(file) => {
                let inode = self.files.get_mut(file).unwrap();
                for change in std::mem::take(&mut inode.pending) {
                    change.apply(&mut inode.durable);
                }
            }
            Call::LostSync(file) => self.files.get_mut(file).unwrap().pending.clear(),
            Call::Rename(from, to) => {
                let moved: Vec<_> =
                    self.seen.iter().filter(|(path, _)| path.starts_with(from)).collect();
                let moved: Vec<_> = moved.into_iter().map(|(p, node)| (p.clone(), *node)).collect();
                for (path, node) in moved {
                    // `join` of an empty path would end with a slash.
                    let inside = path.strip_prefix(from).unwrap();
                    let target = if inside == Path::new("") { to.clone() } else { to.join(inside) };
                    self.name(NameChange::Moved(path, target, node));
                }
            }
            Call::Remove(path) => self.name(NameChange::Taken(path.clone())),
            Call::RemoveAll(dir) => {
                let inside: Vec<_> =
                    self.seen.keys().filter(|path| path.starts_with(dir)).cloned().collect();
                inside.into_iter().rev().for_each(|path| self.name(NameChange::Taken(path)));
            }
            Call::SyncDir(dir) => {
                let (synced, rest): (Vec<_>, _) =
                    std::mem::take(&mut self.pending).into_iter().partition(|c| c.dir() == dir);
                synced.iter().for_each(|change| change.apply(&mut self.durable));
                self.pending = rest;
            }
        }
    }

    fn name(&mut self, change: NameChange) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    /// The bytes that readers see under a name.
    pub(crate) fn bytes(&self, path: &Path) -> Option<&[u8]> {
        match self.seen.get(path)? {
            Node::File(file) => Some(&self.files[file].seen),
            Node::Dir => None,
        }
    }

    /// What is there after a crash.
    pub(crate) fn after(&self, crash: Crash, seeded: &mut Seeded) -> Self {
        if crash == Crash::Kill {
            return self.clone();
        }
        let mut names = self.durable.clone();
        for change in &self.pending {
            if seeded.one_in(2) {
                change.apply(&mut names);
            }
        }
        let reachable = |path: &Path| {
            path.ancestors()
                .skip(1)
                .filter(|dir| !dir.as_os_str().is_empty())
                .all(|dir| names.get(dir) == Some(&Node::Dir))
        };
        let seen: BTreeMap<_, _> = names
            .iter()
            .filter(|(path, _)| reachable(path))
            .map(|(path, node)| (path.clone(), *node))
            .collect();
        let mut files = BTreeMap::new();
        for (number, inode) in &self.files {
            let mut bytes = inode.durable.clone();
            let torn = inode.pending.iter().flat_map(|change| change.torn(seeded));
            torn.for_each(|change| change.apply(&mut bytes));
            let (seen, durable) = (bytes.clone(), bytes);
            files.insert(*number, Inode { seen, durable, pending: Vec::new() });
        }
        let durable = seen.clone();
        Self { files, seen, durable, pending: Vec::new(), next_file: self.next_file }
    }

    /// Lays out what readers see.
    pub(crate) fn lay_out(&self, root: &Path) {
        for (path, node) in &self.seen {
            match node {
                Node::Dir => std::fs::create_dir_all(root.join(path)).unwrap(),
                Node::File(file) => {
                    std::fs::write(root.join(path), &self.files[file].seen).unwrap();
                }
            }
        }
    }
}

/// How often a call fails: one time in so many, never when 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// A write, or the making of a file, finds no room.
    pub(crate) full: u64,
    /// A sync of a file fails.
    pub(crate) sync: u64,
}

#[derive(Debug)]
struct State {
    model: Model,
    calls: Vec<Call>,
    seeded: Seeded,
    faults: Faults,
    /// No block is left: what needs another one finds no room, what is written where bytes are does.
    filled: bool,
}

/// What a file's length is counted in on a disk.
const BLOCK_BYTES: u64 = 4096;

/// The disk; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedDisk {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

impl SimulatedDisk {
    /// A disk that holds `model`, laid out under `root`.
    pub(crate) fn new(root: &Path, model: Model, seeded: Seeded) -> Self {
        model.lay_out(root);
        let (calls, faults, filled) = (Vec::new(), Faults::default(), false);
        let state = State { model, calls, seeded, faults, filled };
        Self { root: root.to_owned(), state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.state.lock().unwrap().faults = faults;
    }

    /// Takes the last block, or gives blocks back.
    pub(crate) fn set_filled(&self, filled: bool) {
        self.state.lock().unwrap().filled = filled;
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    pub(crate) fn calls_count(&self) -> usize {
        self.state.lock().unwrap().calls.len()
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap().to_owned()
    }

    /// Does a call on the files that readers see, then remembers it.
    fn call(&self, call: Call, real: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.state.lock().unwrap().call(call, real)
    }
}

impl State {
    fn call(&mut self, call: Call, real: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        real()?;
        self.model.apply(&call);
        self.calls.push(call);
        Ok(())
    }

    /// Whether there is room for something that needs `blocks` more.
    fn no_room(&mut self, blocks: u64) -> io::Result<()> {
        let full = self.seeded.one_in(self.faults.full);
        if full || (self.filled && blocks > 0) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
}

impl Disk for SimulatedDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.state.lock().unwrap().no_room(1)?;
        self.call(Call::MakeDir(self.relative(dir)), || OsDisk.make_dir(dir))
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let name = self.relative(path);
        let mut state = self.state.lock().unwrap();
        let there = state.model.seen.get(&name).copied();
        let made = there.is_none() && how != Open::Existing;
        if made {
            state.no_room(1)?;
        }
        let file = OsDisk.open(path, how)?;
        let number = match there {
            Some(Node::File(number)) => number,
            _ => state.model.next_file,
        };
        if made {
            state.call(Call::Make(name, number), || Ok(()))?;
        } else if matches!(how, Open::Emptied | Open::Private) {
            state.call(Call::Change(number, Change::SetLen(0)), || Ok(()))?;
        }
        drop(state);
        Ok(Box::new(SimulatedFile { file, number, disk: self.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let call = Call::Rename(self.relative(from), self.relative(to));
        self.call(call, || OsDisk.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove(self.relative(path)), || OsDisk.remove_file(path))
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::RemoveAll(self.relative(dir)), || OsDisk.remove_dir_all(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::SyncDir(self.relative(dir)), || Ok(()))
    }
}

struct SimulatedFile {
    file: Box<dyn DiskFile>,
    number: u64,
    disk: SimulatedDisk,
}

impl SimulatedFile {
    fn change(&self, change: Change) -> io::Result<()> {
        let real = match change.clone() {
            Change::Write(at, bytes) => self.file.write_at(&bytes, at),
            Change::SetLen(len) => self.file.set_len(len),
        };
        self.disk.call(Call::Change(self.number, change), || real)
    }
}

impl DiskFile for SimulatedFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let (room, kept) = {
            let mut state = self.disk.state.lock().unwrap();
            let kept = state.seeded.below(u64::try_from(bytes.len() + 1).unwrap());
            let end = at + u64::try_from(bytes.len()).unwrap();
            let held = self.file.len()?.div_ceil(BLOCK_BYTES);
            let more = end.div_ceil(BLOCK_BYTES).saturating_sub(held);
            (state.no_room(more), usize::try_from(kept).unwrap())
        };
        let written = if room.is_ok() { bytes } else { &bytes[..kept] };
        self.change(Change::Write(at, written.to_vec()))?;
        room
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock().unwrap();
        let often = state.faults.sync;
        if state.seeded.one_in(often) {
            state.call(Call::LostSync(self.number), || Ok(()))?;
            return Err(io::Error::other("simulated input/output error"));
        }
        state.call(Call::Sync(self.number), || Ok(()))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
