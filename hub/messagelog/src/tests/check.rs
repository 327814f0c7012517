//! What the check of a whole directory says of good logs, and of every kind of damage.

use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use schemas::tlog::{NoteSigner, NoteVerifier};

use super::{ORIGIN, TestKey, append, copy_dir, entry, open, options};
use crate::check::{CheckOptions, Report, Root, Signature, Store, check};
use crate::frame::push_frame;
use crate::{LogError, LogLimits, MessageLog, StoredRecord, scan_stopped};

/// Records of the log that is damaged below: two full tiles and a partial one, in many segments.
const COUNT: u64 = 600;

fn verifier(seed: u8) -> NoteVerifier {
    NoteVerifier::ed25519(ORIGIN, TestKey::new(seed).public_key()).unwrap()
}

fn evidence_is_there(stored: &StoredRecord) -> Result<(), String> {
    if stored.attachment.starts_with(b"sealed ") { Ok(()) } else { Err("not sealed".into()) }
}

fn try_check(dir: &Path) -> Result<Report, LogError> {
    let options = CheckOptions {
        dir: dir.to_owned(),
        verifier: Some(verifier(1)),
        record: evidence_is_there,
        threads: 3,
    };
    check(&options, |_| ())
}

fn checked(dir: &Path) -> Report {
    try_check(dir).unwrap()
}

async fn begin(dir: &Path, count: u64) {
    let mut small = options(dir);
    small.limits = LogLimits { segment_bytes: 4000, ..small.limits };
    let log = MessageLog::open(small).unwrap();
    for start in (0..count).step_by(20) {
        append(&log, start..(start + 20).min(count)).await;
    }
    log.close().await;
}

fn segments(dir: &Path) -> Vec<String> {
    let files = fs::read_dir(dir.join("segments")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".seg")).collect();
    names.sort();
    names
}

/// Where a record's frame lies: its segment below the directory, and its bytes.
fn place(dir: &Path, index: u64) -> (String, Range<usize>) {
    let first = |name: &String| name.trim_end_matches(".seg").parse::<u64>().unwrap();
    let names = segments(dir);
    let name = names.iter().rfind(|name| first(name) <= index).unwrap();
    let bytes = fs::read(dir.join("segments").join(name)).unwrap();
    let mut start = 0;
    for _ in first(name)..index {
        let length = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap());
        start += 16 + usize::try_from(length).unwrap();
    }
    let length = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap());
    (format!("segments/{name}"), start..start + 16 + usize::try_from(length).unwrap())
}

fn edit(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// A copy of one log for each case.
struct Copies(tempfile::TempDir);

impl Copies {
    async fn of(count: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        begin(dir.path(), count).await;
        Self(dir)
    }

    fn make(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(self.0.path(), copy.path());
        copy
    }
}

#[tokio::test]
async fn good_logs_of_all_sizes_pass() {
    for count in [0, 1, 19, 255, 256, 257, COUNT] {
        let dir = tempfile::tempdir().unwrap();
        begin(dir.path(), count).await;
        let report = checked(dir.path());
        assert!(report.is_good(), "{count}: {report:?}");
        assert_eq!((report.records, report.uncovered()), (count, 0));
        assert_eq!((report.signature, report.root), (Signature::Verified, Root::Same));
        assert!(report.notes.is_empty());
        assert!(report.segments > 5 || count < COUNT);
    }
}

#[tokio::test]
async fn a_log_with_an_upper_tile_passes_and_its_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let count = 256 * 256 + 300;
    for start in (0..count).step_by(4000) {
        append(&log, start..(start + 4000).min(count)).await;
    }
    log.close().await;
    let report = checked(dir.path());
    assert!(report.is_good(), "{:?}", report.findings);
    edit(&dir.path().join("tlog/tile/1/000"), |bytes| bytes[64] ^= 1);
    let report = checked(dir.path());
    let found = &report.findings.named()[0];
    assert_eq!((found.store, found.records), (Store::Tiles, Some((512, 767))));
    assert_eq!((found.bytes.clone(), report.root), (Some(64..96), Root::Same));
    assert_eq!(report.findings.count(), 1);
    // A power cut may have left any bytes in what was written within the last half minute: all of this.
    drop(log);
    edit(&dir.path().join("tlog/tile/1/000"), |bytes| bytes[64] ^= 1);
    edit(&dir.path().join("tlog/tile/entries/000"), |bytes| bytes[40] ^= 1);
    drop(open(dir.path()));
    assert!(checked(dir.path()).is_good());
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_a_segment_is_named_with_its_record_and_bytes() {
    let log = Copies::of(COUNT).await;
    let copy = log.make();
    for index in [0, 7, 255, 256, 300, COUNT - 2, COUNT - 1] {
        let (file, bytes) = place(copy.path(), index);
        for at in [0, 5, 9, 17, 27, 40, bytes.len() - 1] {
            let path = copy.path().join(&file);
            let whole = fs::read(&path).unwrap();
            edit(&path, |held| held[bytes.start + at] ^= 0x20);
            let report = checked(copy.path());
            let found = &report.findings.named()[0];
            assert_eq!((found.store, &found.file), (Store::Segments, &file));
            assert_eq!(found.records, Some((index, index)), "byte {at}");
            let expected = u64::try_from(bytes.start).unwrap()..u64::try_from(bytes.end).unwrap();
            assert_eq!(found.bytes, Some(expected), "record {index}, byte {at}");
            // All the other records are still proved.
            assert_eq!(report.root, Root::SameBut { records: 1 });
            assert_eq!((report.records, report.findings.count()), (COUNT - 1, 1));
            fs::write(&path, whole).unwrap();
        }
    }
    assert!(checked(copy.path()).is_good());
}

#[tokio::test]
async fn damage_in_many_places_of_a_segment_is_named_place_by_place() {
    let log = Copies::of(COUNT).await;
    let copy = log.make();
    let damaged: Vec<u64> = (0..COUNT).filter(|index| index % 3 == 1).collect();
    let places: Vec<_> = damaged.iter().map(|index| place(copy.path(), *index)).collect();
    for (file, bytes) in &places {
        edit(&copy.path().join(file), |held| held[bytes.start + 30] ^= 1);
    }
    let report = checked(copy.path());
    let found: Vec<_> = report.findings.named().iter().map(|found| found.records).collect();
    assert!(found.into_iter().eq(damaged.iter().map(|index| Some((*index, *index)))));
    assert_eq!(report.root, Root::SameBut { records: COUNT / 3 });
    assert_eq!(report.records, COUNT - COUNT / 3);
}

#[tokio::test]
async fn removed_records_and_segments_are_named() {
    let log = Copies::of(COUNT).await;
    let copy = log.make();
    let (file, bytes) = place(copy.path(), 30);
    edit(&copy.path().join(&file), |held| drop(held.drain(bytes.clone())));
    let report = checked(copy.path());
    let found = &report.findings.named()[0];
    assert_eq!((found.records, found.bytes.clone().unwrap().is_empty()), (Some((30, 30)), true));
    assert_eq!(report.root, Root::SameBut { records: 1 });

    let copy = log.make();
    let names = segments(copy.path());
    fs::remove_file(copy.path().join("segments").join(&names[2])).unwrap();
    let first = names[2].trim_end_matches(".seg").parse::<u64>().unwrap();
    let next = names[3].trim_end_matches(".seg").parse::<u64>().unwrap();
    let report = checked(copy.path());
    assert_eq!(report.findings.named()[0].records, Some((first, next - 1)));
    assert_eq!(report.root, Root::SameBut { records: next - first });

    // The newest records, which an old copy of the directory lacks.
    let copy = log.make();
    let last = names.last().unwrap();
    let first = last.trim_end_matches(".seg").parse::<u64>().unwrap();
    fs::remove_file(copy.path().join("segments").join(last)).unwrap();
    let report = checked(copy.path());
    assert_eq!(report.findings.named()[0].records, Some((first, COUNT - 1)));

    // Without the tiles not even the hashes of lost records are left.
    fs::remove_dir_all(copy.path().join("tlog/tile")).unwrap();
    assert_eq!(checked(copy.path()).root, Root::NotMade);
}

#[tokio::test]
async fn a_record_that_was_replaced_with_a_good_checksum_is_named() {
    let log = Copies::of(COUNT).await;
    let copy = log.make();
    let (file, bytes) = place(copy.path(), 300);
    let mut forged = Vec::new();
    let mut other = entry(300);
    other.leaf = [b"9", &other.leaf[1..]].concat().into();
    push_frame(&mut forged, 300, 300, &other).unwrap();
    edit(&copy.path().join(&file), |held| held[bytes].copy_from_slice(&forged));
    let report = checked(copy.path());
    assert_eq!(report.root, Root::Other);
    let stores: Vec<_> = report.findings.named().iter().map(|found| found.store).collect();
    // The hash, the record, the hash above them, and the root.
    assert_eq!(stores, [Store::Tiles, Store::EntryBundles, Store::Tiles, Store::Checkpoint]);
    let named = |found: &crate::check::Finding| found.records == Some((300, 300));
    assert!(report.findings.named()[..2].iter().all(named));
}

#[tokio::test]
async fn changed_lost_and_shortened_published_files_are_named_and_the_records_stay_proved() {
    let log = Copies::of(COUNT).await;
    for (file, store, records) in [
        ("tlog/tile/0/001", Store::Tiles, Some((257, 257))),
        ("tlog/tile/0/002.p/88", Store::Tiles, Some((513, 513))),
        ("tlog/tile/entries/001", Store::EntryBundles, Some((257, 257))),
        ("tlog/tile/1/000.p/2", Store::Tiles, Some((256, 511))),
    ] {
        let copy = log.make();
        let path = copy.path().join(file);
        edit(&path, |bytes| bytes[40] ^= 1);
        let report = checked(copy.path());
        assert_eq!((report.findings.count(), report.root), (1, Root::Same), "{file}");
        let found = &report.findings.named()[0];
        assert_eq!((found.file.as_str(), found.store), (file, store));
        assert_eq!(found.records, records, "{file}");
        assert!(found.bytes.as_ref().unwrap().contains(&40));
        for shorten in [true, false] {
            let copy = log.make();
            let path = copy.path().join(file);
            if shorten {
                edit(&path, |bytes| bytes.truncate(50))
            } else {
                fs::remove_file(&path).unwrap()
            }
            let report = checked(copy.path());
            assert_eq!((report.findings.count(), report.root), (1, Root::Same), "{file}");
            assert_eq!(report.findings.named()[0].file, file);
        }
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_lost_changed_or_of_another_key_is_named() {
    let log = Copies::of(COUNT).await;
    let copy = log.make();
    let path = copy.path().join("tlog/checkpoint");
    let note = fs::read_to_string(&path).unwrap();
    fs::write(&path, note.replacen("\n600\n", "\n599\n", 1)).unwrap();
    let report = checked(copy.path());
    assert_eq!((report.signature, report.root), (Signature::Refused, Root::Other));
    fs::write(&path, "no note").unwrap();
    assert_eq!(checked(copy.path()).root, Root::NotMade);
    assert!(!checked(copy.path()).is_good());
    fs::remove_file(&path).unwrap();
    let report = checked(copy.path());
    assert_eq!((report.signature, report.root), (Signature::NotChecked, Root::NotMade));
    assert!(!report.is_good());

    let other = |verifier| CheckOptions {
        dir: log.0.path().to_owned(),
        verifier,
        record: evidence_is_there,
        threads: 1,
    };
    let report = check(&other(Some(verifier(2))), |_| ()).unwrap();
    assert_eq!((report.signature, report.root), (Signature::Refused, Root::Same));
    assert!(!report.is_good());
    let report = check(&other(None), |_| ()).unwrap();
    assert!(report.is_good() && report.signature == Signature::NotChecked);
}

#[tokio::test]
async fn a_record_in_bad_form_and_a_wrong_offset_file_are_named() {
    let log = Copies::of(COUNT).await;
    let options = CheckOptions {
        dir: log.0.path().to_owned(),
        verifier: None,
        record: |stored| {
            let bad = stored.attachment == "sealed 40";
            if bad { Err("evidence of another record".to_owned()) } else { Ok(()) }
        },
        threads: 2,
    };
    let report = check(&options, |_| ()).unwrap();
    let found = report.findings.named()[0].to_string();
    assert!(found.contains("record 40, bytes ") && found.ends_with("another record"), "{found}");
    assert_eq!(report.findings.count(), 1);

    let copy = log.make();
    let name = segments(copy.path())[1].replace(".seg", ".off");
    edit(&copy.path().join("segments").join(&name), |bytes| bytes[4] ^= 1);
    let report = checked(copy.path());
    let found = &report.findings.named()[0];
    assert_eq!((found.store, found.file.clone()), (Store::Offsets, format!("segments/{name}")));
}

#[tokio::test]
async fn what_a_crash_leaves_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0..300).await;
    log.checkpoint_covering(299).await.unwrap();
    append(&log, 300..310).await;
    let crashed = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), crashed.path());
    let report = checked(crashed.path());
    assert!(report.is_good() && report.uncovered() == 10, "{report:?}");
    edit(&crashed.path().join("segments/00000000000000000000.seg"), |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes.truncate(end - 2);
    });
    let report = checked(crashed.path());
    assert!(report.is_good(), "{report:?}");
    assert!(report.notes[0].contains("torn tail"), "{:?}", report.notes);
    // The same bytes below the checkpoint are damage.
    let (_, bytes) = place(crashed.path(), 200);
    edit(&crashed.path().join("segments/00000000000000000000.seg"), |held| {
        held.truncate(bytes.end - 2);
    });
    let report = checked(crashed.path());
    assert_eq!(report.findings.named()[0].records, Some((200, 200)));
    assert!(!report.is_good());
}

/// Records that a scan of a stopped log gives, or why it does not.
fn scanned(dir: &Path) -> Result<u64, LogError> {
    let mut count = 0;
    scan_stopped(dir, |index, record| {
        assert_eq!((index, record.leaf), (count, entry(count).leaf));
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

#[tokio::test]
async fn a_scan_of_a_stopped_log_never_ends_before_a_record_that_was_acknowledged() {
    let log = Copies::of(COUNT).await;
    assert_eq!(scanned(log.0.path()), Ok(COUNT));
    let copy = log.make();
    let names = segments(copy.path());
    let path = |name: &String| copy.path().join("segments").join(name);
    let refused = |copy: &Path, what: &str| {
        let refused = scanned(copy).unwrap_err();
        assert!(matches!(refused, LogError::Corrupt { .. }), "{what}: {refused}");
        assert!(refused.to_string().contains("koprik log check"), "{what}: {refused}");
    };
    // The last segment cut at the end of a record, then gone; one in the middle cut, then gone.
    for name in [&names[names.len() - 1], &names[2]] {
        let whole = fs::read(path(name)).unwrap();
        let first = name.trim_end_matches(".seg").parse::<u64>().unwrap();
        let (_, bytes) = place(copy.path(), first + 3);
        edit(&path(name), |held| held.truncate(bytes.end));
        refused(copy.path(), "cut");
        fs::remove_file(path(name)).unwrap();
        refused(copy.path(), "gone");
        fs::write(path(name), whole).unwrap();
    }
    edit(&copy.path().join("tlog/checkpoint"), |note| note.truncate(20));
    refused(copy.path(), "no checkpoint");

    // Behind the checkpoint only a later batch tells what was durable.
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0..300).await;
    log.checkpoint_covering(299).await.unwrap();
    for n in 300..310 {
        append(&log, n..n + 1).await;
    }
    for (index, ends) in [(200, None), (304, None), (309, Some(309))] {
        let crashed = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), crashed.path());
        assert_eq!(scanned(crashed.path()), Ok(310));
        let (file, bytes) = place(crashed.path(), index);
        edit(&crashed.path().join(file), |held| held[bytes.start + 20] ^= 1);
        match ends {
            Some(count) => assert_eq!(scanned(crashed.path()), Ok(count), "a torn tail"),
            None => refused(crashed.path(), "damaged in the last segment"),
        }
    }
}

#[tokio::test]
async fn a_log_in_use_is_refused_and_a_directory_without_log_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    assert!(matches!(try_check(dir.path()), Err(LogError::InUse { .. })));
    log.close().await;
    assert!(checked(dir.path()).is_good());
    assert!(matches!(try_check(&dir.path().join("none")), Err(LogError::Io { .. })));
}
