//! What the vault keeps secret, and what destroying a key does.

use super::*;

fn usual() -> Class {
    Class::default()
}

fn vault() -> (tempfile::TempDir, Vault) {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::open(&dir.path().join("keys")).unwrap();
    (dir, vault)
}

#[test]
fn sealed_evidence_opens_for_its_record_only_and_after_a_restart() {
    let (dir, vault) = vault();
    let sealed = vault.seal(&usual(), 2026, b"record 7", &[b"evi", b"dence"]).unwrap();
    assert!(!sealed.windows(8).any(|window| window == b"evidence"));
    let again = Vault::open(&dir.path().join("keys")).unwrap();
    assert_eq!(
        again.open_sealed(&usual(), 2026, b"record 7", &sealed).unwrap().as_slice(),
        b"evidence"
    );
    let changed = Err(VaultError::Changed { year: 2026 });
    assert_eq!(again.open_sealed(&usual(), 2026, b"record 8", &sealed), changed);
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        assert!(again.open_sealed(&usual(), 2026, b"record 7", &flipped).is_err(), "byte {at}");
    }
    assert_eq!(again.open_sealed(&usual(), 2026, b"record 7", &[]), changed);
}

#[test]
fn a_removed_key_file_erases_its_year_at_once_and_no_other() {
    let (dir, vault) = vault();
    let old = vault.seal(&usual(), 2025, b"", &[b"old"]).unwrap();
    let new = vault.seal(&usual(), 2026, b"", &[b"new"]).unwrap();
    std::fs::remove_file(dir.path().join("keys/evidence-2025.key")).unwrap();
    let erased = Err(VaultError::Erased { key: KeyName::evidence(&usual(), 2025) });
    assert_eq!(vault.open_sealed(&usual(), 2025, b"", &old), erased);
    assert_eq!(*vault.open_sealed(&usual(), 2026, b"", &new).unwrap(), b"new");
    // A new key of the same year does not bring the old evidence back.
    vault.seal(&usual(), 2025, b"", &[b"later"]).unwrap();
    assert_eq!(vault.open_sealed(&usual(), 2025, b"", &old), erased);
}

#[test]
fn destroying_a_pseudonym_key_breaks_the_link_to_the_person() {
    let (_dir, vault) = vault();
    let before = vault.pseudonym(2026, "12345678901234").unwrap();
    assert_eq!(vault.pseudonym(2026, "12345678901234").unwrap(), before);
    assert_ne!(vault.pseudonym(2025, "12345678901234").unwrap(), before);
    let years: Vec<_> = vault.pseudonyms("12345678901234").unwrap();
    assert_eq!(years.iter().map(|(year, _)| *year).collect::<Vec<_>>(), [2025, 2026]);
    assert_eq!(years[1].1, before);
    vault.destroy(&KeyName::pseudonym(2026)).unwrap();
    vault.destroy(&KeyName::pseudonym(2026)).unwrap();
    assert_eq!(vault.pseudonyms("12345678901234").unwrap().len(), 1);
    assert_ne!(vault.pseudonym(2026, "12345678901234").unwrap(), before);
}

#[test]
fn a_removed_pseudonym_key_is_used_no_more_once_somebody_looks() {
    let (dir, vault) = vault();
    let before = vault.pseudonym(2026, "12345678901234").unwrap();
    std::fs::remove_file(dir.path().join("keys/pseudonym-2026.key")).unwrap();
    assert!(vault.pseudonyms("12345678901234").unwrap().is_empty());
    let after = vault.pseudonym(2026, "12345678901234").unwrap();
    assert_ne!(after, before);
    assert_eq!(vault.pseudonyms("12345678901234").unwrap(), [(2026, after)]);
}

#[test]
fn a_key_file_is_private_and_refused_when_others_can_read_it() {
    let (dir, vault) = vault();
    vault.seal(&usual(), 2026, b"", &[]).unwrap();
    let path = dir.path().join("keys/evidence-2026.key");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Vault::open(&dir.path().join("keys")).map(|_| ());
    assert!(matches!(refused, Err(VaultError::KeyFile { .. })), "{refused:?}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(
        vault.open_sealed(&usual(), 2026, b"", b"\x01"),
        Err(VaultError::Changed { .. })
    ));
    assert!(matches!(Vault::open(&dir.path().join("keys")), Err(VaultError::KeyFile { .. })));
}

#[test]
fn a_class_is_erased_alone_and_its_key_leaves_a_mark_until_its_end_is_recorded() {
    let (dir, vault) = vault();
    let payment: Class = "payment".parse().unwrap();
    let paid = vault.seal(&payment, 2026, b"", &[b"paid"]).unwrap();
    let usually = vault.seal(&usual(), 2026, b"", &[b"usual"]).unwrap();
    let name = KeyName::evidence(&payment, 2026);
    assert_eq!(vault.names().unwrap(), [KeyName::evidence(&usual(), 2026), name.clone()]);
    let key = std::fs::read(dir.path().join("keys/evidence-payment-2026.key")).unwrap();
    vault.destroy(&name).unwrap();
    let erased = Err(VaultError::Erased { key: name.clone() });
    assert_eq!(vault.open_sealed(&payment, 2026, b"", &paid), erased);
    assert_eq!(*vault.open_sealed(&usual(), 2026, b"", &usually).unwrap(), b"usual");
    // After a crash the mark still says what was destroyed; nothing of the key is left.
    let again = Vault::open(&dir.path().join("keys")).unwrap();
    assert_eq!(again.destroyed().unwrap(), std::slice::from_ref(&name));
    for file in std::fs::read_dir(dir.path().join("keys")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|part| key.windows(8).any(|secret| secret == part)));
    }
    again.forget(&name).unwrap();
    again.forget(&name).unwrap();
    assert!(again.destroyed().unwrap().is_empty());
    assert_eq!(again.names().unwrap().len(), 1);
}

#[test]
fn a_destruction_that_was_cut_short_behind_its_zeros_leaves_its_mark_at_the_next_opening() {
    let (dir, vault) = vault();
    vault.seal(&usual(), 2026, b"", &[]).unwrap();
    vault.seal(&usual(), 2027, b"", &[]).unwrap();
    let path = dir.path().join("keys/evidence-2026.key");
    std::fs::write(&path, [0; 32]).unwrap();
    let again = Vault::open(&dir.path().join("keys")).unwrap();
    assert_eq!(again.destroyed().unwrap(), [KeyName::evidence(&usual(), 2026)]);
    assert_eq!(again.names().unwrap(), [KeyName::evidence(&usual(), 2027)]);
    assert!(!path.exists());
    assert_eq!(std::fs::read(path.with_extension("gone")).unwrap(), b"");
}
