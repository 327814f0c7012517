//! What a witness cosigns, and what it never cosigns.

use schemas::tlog::witness::WitnessAnswer;
use schemas::tlog::{Contradiction, Note};

use super::*;
use crate::Asker;

fn ask(witness: &Witness, log: &PaperLog, body: &str) -> WitnessAnswer {
    witness.add_checkpoint(body.as_bytes(), &Asker::Anyone, log.keys()).answer
}

/// The answer is a cosignature of this witness on this checkpoint.
fn assert_cosigned(witness: &Witness, answer: &WitnessAnswer, note: &Note) {
    let WitnessAnswer::Cosigned(lines) = answer else { panic!("{answer:?}") };
    let cosigned = Note::new(note.text(), lines.clone()).unwrap();
    assert_eq!(witness.verifier().verify(&cosigned), Ok(NOW));
}

#[test]
fn growing_log_is_cosigned_at_each_size_and_after_a_restart() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let key = Arc::new(NoteKey::ephemeral("w").unwrap());
    let mut last = 0;
    for size in [1_u16, 1, 2, 3, 8, 21, 300] {
        let witness = witness_with(dir.path(), key.clone());
        let all = leaves(size, size, 0);
        let answer = ask(&witness, &log, &log.request(last, &all));
        assert_cosigned(&witness, &answer, &log.sign(&all));
        last = usize::from(size);
    }
    assert_eq!(alarms(dir.path()).count(), 0);
}

#[test]
fn other_old_size_is_answered_with_the_right_one() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let witness = witness(dir.path(), "w");
    assert_eq!(ask(&witness, &log, &log.request(3, &leaves(5, 5, 0))), WitnessAnswer::Size(0));
    ask(&witness, &log, &log.request(0, &leaves(5, 5, 0)));
    for (old, size) in [(0, 7), (4, 7), (6, 7), (0, 5), (0, 4), (4, 4)] {
        let answer = ask(&witness, &log, &log.request(old, &leaves(size, size, 0)));
        assert_eq!(answer, WitnessAnswer::Size(5), "from {old} to {size}");
    }
}

#[test]
fn two_histories_of_one_size_are_never_both_cosigned_and_prove_a_split_view() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let witness = witness(dir.path(), "w");
    let (ours, theirs) = (leaves(6, 4, 1), leaves(6, 4, 2));
    ask(&witness, &log, &log.request(0, &ours));
    // Whatever old size it gives.
    for old in [0, 5, 6] {
        let body = log.request(old, &theirs);
        let answered = witness.add_checkpoint(body.as_bytes(), &Asker::Anyone, log.keys());
        assert_eq!(answered.answer.status(), 409);
        assert_eq!(answered.alarm.is_some(), old == 0, "raised once");
    }
    let all = alarms(dir.path()).all();
    let [alarm] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(alarm.contradiction, Contradiction::TwoRoots);
    let (shown, [first, second]) = alarm.split_view.verify(log.key.verifier()).unwrap();
    assert_eq!(shown, Contradiction::TwoRoots);
    assert_eq!((first.root, second.root), (root_of(&ours), root_of(&theirs)));
    let held = Note::parse(&alarm.split_view.cosigned).unwrap();
    assert!(witness.verifier().verify(&held).is_ok(), "with what it cosigned itself");
    let next = ask(&witness, &log, &log.request(6, &leaves(9, 4, 1)));
    assert_cosigned(&witness, &next, &log.sign(&leaves(9, 4, 1)));
}

#[test]
fn forked_log_convicts_itself_by_its_own_proof() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let witness = witness(dir.path(), "w");
    ask(&witness, &log, &log.request(0, &leaves(6, 4, 1)));
    let forked = log.request(6, &leaves(9, 4, 2));
    let answered = witness.add_checkpoint(forked.as_bytes(), &Asker::Anyone, log.keys());
    assert_eq!(answered.answer.status(), 422);
    let alarm = answered.alarm.unwrap();
    assert_eq!(alarm.contradiction, Contradiction::OtherBeginning);
    let verified = alarm.split_view.verify(log.key.verifier()).unwrap();
    assert_eq!(verified.0, Contradiction::OtherBeginning);
    let WitnessAnswer::Contradicted { text, .. } = answered.answer else { panic!() };
    assert_eq!(text, alarm.split_view.cosigned, "the log is told what was cosigned before");
}

#[test]
fn stranger_with_a_wrong_proof_casts_no_doubt_on_a_log_but_the_log_itself_does() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let witness = witness(dir.path(), "w");
    ask(&witness, &log, &log.request(0, &leaves(6, 6, 0)));
    let right = log.request(6, &leaves(9, 9, 0));
    let wrong =
        right.replacen("old 6\n", "old 6\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n", 1);
    let by = |asker: &Asker| witness.add_checkpoint(wrong.as_bytes(), asker, log.keys());
    let stranger = by(&Asker::Anyone);
    assert_eq!((stranger.answer.status(), stranger.alarm.is_none()), (422, true));
    let other = by(&Asker::ServerOf("another".to_owned()));
    assert!(other.alarm.is_none());
    let own = by(&Asker::ServerOf(ORIGIN.to_owned()));
    assert_eq!(own.answer.status(), 422);
    assert_eq!(own.alarm.unwrap().contradiction, Contradiction::NotShown);
    assert_cosigned(&witness, &ask(&witness, &log, &right), &log.sign(&leaves(9, 9, 0)));
}

#[test]
fn fork_from_a_power_of_two_is_an_alarm_although_it_is_not_proved() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let witness = witness(dir.path(), "w");
    ask(&witness, &log, &log.request(0, &leaves(8, 4, 1)));
    let forked = log.request(8, &leaves(9, 4, 2));
    let answered = witness.add_checkpoint(forked.as_bytes(), &Asker::Anyone, log.keys());
    assert_eq!(answered.alarm.unwrap().contradiction, Contradiction::NotShown);
}

#[test]
fn unknown_unsigned_and_malformed_are_refused_with_the_status_of_the_specification() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let witness = witness(dir.path(), "w");
    let good = log.request(0, &leaves(3, 3, 0));
    let stranger = PaperLog::new().request(0, &leaves(3, 3, 0));
    for (body, status) in [
        (good.replace(ORIGIN, "koprik/UZ/GOV/TAX/hub-2"), 404),
        (stranger, 403),
        (good.replacen("\n3\n", "\n4\n", 1), 403),
        (good.replacen("old 0", "old 4", 1), 400),
        (good.replacen("old 0", "new 0", 1), 400),
        (String::new(), 400),
        (good.replacen("old 0\n", "old 0\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n", 1), 422),
    ] {
        assert_eq!(ask(&witness, &log, &body).status(), status, "{body}");
    }
    let binary = witness.add_checkpoint(&[0xff, 0xfe], &Asker::Anyone, log.keys());
    assert_eq!(binary.answer.status(), 400);
    assert_eq!(ask(&witness, &log, &good).status(), 200, "nothing of it was kept");
}

#[test]
fn foreign_signatures_are_ignored_and_not_kept() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let witness = witness(dir.path(), "w");
    let body = format!("{}— somebody AAAAAAE=\n", log.request(0, &leaves(3, 3, 0)));
    assert_eq!(ask(&witness, &log, &body).status(), 200);
    ask(&witness, &log, &log.request(0, &leaves(3, 2, 1)));
    let alarm = alarms(dir.path()).all().remove(0);
    assert!(!alarm.split_view.to_text().contains("somebody"));
}

#[test]
fn witness_that_cannot_write_cosigns_nothing_and_forgets_nothing() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let key = Arc::new(NoteKey::ephemeral("w").unwrap());
    let witness = witness_with(dir.path(), key.clone());
    assert_eq!(ask(&witness, &log, &log.request(0, &leaves(3, 3, 0))).status(), 200);
    // The unfinished file's name is taken by a folder: the write fails, as on a full disk.
    let name = format!("{}.note.tmp", Sha256::of(ORIGIN.as_bytes()));
    let blocked = dir.path().join("w-logs").join(name);
    std::fs::create_dir(&blocked).unwrap();
    assert_eq!(ask(&witness, &log, &log.request(3, &leaves(5, 5, 1))).status(), 500);
    std::fs::remove_dir(&blocked).unwrap();
    for witness in [witness, witness_with(dir.path(), key)] {
        let answer = ask(&witness, &log, &log.request(0, &leaves(5, 5, 2)));
        assert_eq!(answer, WitnessAnswer::Size(3));
    }
}

#[test]
fn witness_with_a_damaged_memory_does_not_begin_and_names_the_file() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let key = Arc::new(NoteKey::ephemeral("w").unwrap());
    let first = witness_with(dir.path(), key.clone());
    ask(&first, &log, &log.request(0, &leaves(3, 3, 0)));
    let logs = dir.path().join("w-logs");
    let file = logs.join(format!("{}.note", Sha256::of(ORIGIN.as_bytes())));
    let whole = std::fs::read_to_string(&file).unwrap();
    let other = logs.join(format!("{}.note", Sha256::of(b"other")));
    // Whatever changes in it, the memory is either refused or the same.
    for at in 0..whole.len() {
        let mut changed = whole.clone().into_bytes();
        changed[at] ^= 1;
        std::fs::write(&file, changed).unwrap();
        match Witness::open(logs.clone(), key.clone(), Clock::manual(NOW), alarms(dir.path())) {
            Err(refused) => assert!(refused.to_string().contains(&file.display().to_string())),
            Ok(same) => {
                let answer = ask(&same, &log, &log.request(3, &leaves(5, 5, 0)));
                assert!(matches!(answer, WitnessAnswer::Cosigned(_)), "byte {at}: {answer:?}");
            }
        }
    }
    for (path, text) in [(&file, &whole[..40]), (&other, &whole[..])] {
        std::fs::write(path, text).unwrap();
        let opened =
            Witness::open(logs.clone(), key.clone(), Clock::manual(NOW), alarms(dir.path()));
        let refused = opened.unwrap_err().to_string();
        assert!(refused.contains(&path.display().to_string()), "{refused}");
        std::fs::write(&file, &whole).unwrap();
    }
}

#[test]
fn requests_at_once_are_cosigned_for_one_history_only() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let witness = witness(dir.path(), "w");
    ask(&witness, &log, &log.request(0, &leaves(3, 3, 0)));
    let bodies: Vec<String> =
        (1..=8).map(|history| log.request(3, &leaves(5, 3, history))).collect();
    let cosigned = std::thread::scope(|scope| {
        let asked: Vec<_> =
            bodies.iter().map(|body| scope.spawn(|| ask(&witness, &log, body))).collect();
        let statuses = asked.into_iter().map(|asked| asked.join().unwrap().status());
        statuses.filter(|status| *status == 200).count()
    });
    assert_eq!(cosigned, 1);
}
