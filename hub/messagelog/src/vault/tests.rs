//! What the vault keeps secret, and what destroying a key does.

use super::*;

fn vault() -> (tempfile::TempDir, Vault) {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::open(&dir.path().join("keys")).unwrap();
    (dir, vault)
}

#[test]
fn sealed_evidence_opens_for_its_record_only_and_after_a_restart() {
    let (dir, vault) = vault();
    let sealed = vault.seal(2026, b"record 7", &[b"evi", b"dence"]).unwrap();
    assert!(!sealed.windows(8).any(|window| window == b"evidence"));
    let again = Vault::open(&dir.path().join("keys")).unwrap();
    assert_eq!(again.open_sealed(2026, b"record 7", &sealed).unwrap().as_slice(), b"evidence");
    let changed = Err(VaultError::Changed { year: 2026 });
    assert_eq!(again.open_sealed(2026, b"record 8", &sealed), changed);
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        assert!(again.open_sealed(2026, b"record 7", &flipped).is_err(), "byte {at}");
    }
    assert_eq!(again.open_sealed(2026, b"record 7", &[]), changed);
}

#[test]
fn a_removed_key_file_erases_its_year_at_once_and_no_other() {
    let (dir, vault) = vault();
    let old = vault.seal(2025, b"", &[b"old"]).unwrap();
    let new = vault.seal(2026, b"", &[b"new"]).unwrap();
    std::fs::remove_file(dir.path().join("keys/evidence-2025.key")).unwrap();
    let erased = Err(VaultError::Erased { year: 2025 });
    assert_eq!(vault.open_sealed(2025, b"", &old), erased);
    assert_eq!(*vault.open_sealed(2026, b"", &new).unwrap(), b"new");
    // A new key of the same year does not bring the old evidence back.
    vault.seal(2025, b"", &[b"later"]).unwrap();
    assert_eq!(vault.open_sealed(2025, b"", &old), erased);
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
    vault.destroy(KeyUse::Pseudonym, 2026).unwrap();
    vault.destroy(KeyUse::Pseudonym, 2026).unwrap();
    assert_eq!(vault.pseudonyms("12345678901234").unwrap().len(), 1);
    assert_ne!(vault.pseudonym(2026, "12345678901234").unwrap(), before);
}

#[test]
fn a_key_file_is_private_and_refused_when_others_can_read_it() {
    let (dir, vault) = vault();
    vault.seal(2026, b"", &[]).unwrap();
    let path = dir.path().join("keys/evidence-2026.key");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Vault::open(&dir.path().join("keys")).map(|_| ());
    assert!(matches!(refused, Err(VaultError::KeyFile { .. })), "{refused:?}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(vault.open_sealed(2026, b"", b"\x01"), Err(VaultError::Changed { .. })));
    assert!(matches!(Vault::open(&dir.path().join("keys")), Err(VaultError::KeyFile { .. })));
}
