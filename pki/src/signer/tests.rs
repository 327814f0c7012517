//! Key files: who may read them, what they hold, that OpenSSL reads them too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use schemas::tlog::{Note, NoteSignature, NoteSigner};

use super::*;
use crate::trust::{Algorithm, BadSignature};

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::EcdsaP256];

#[test]
fn generated_key_is_private_and_signs_after_loading() {
    for algorithm in ALGORITHMS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let made = generate(algorithm, &path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let loaded = SigningKey::load(&path).unwrap();
        let signature = loaded.sign(b"message").unwrap();
        assert_eq!(signature.len(), 64);
        assert_eq!(made.public_key().verify(b"message", &signature), Ok(()));
        assert_eq!(made.public_key().verify(b"massage", &signature), Err(BadSignature));
        assert!(matches!(generate(algorithm, &path), Err(KeyError::Exists { .. })));
    }
}

#[test]
fn key_file_open_to_others_is_refused_with_the_repair() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    generate(Algorithm::Ed25519, &path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = SigningKey::load(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("chmod 600 {}", path.display())), "{refused}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(SigningKey::load(&path).is_ok());
}

#[test]
fn file_without_a_key_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    for text in ["", "not PEM", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"] {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let refused = SigningKey::load(&path).unwrap_err();
        assert!(matches!(&refused, KeyError::NotAKey { path, .. } if path.ends_with("key.pem")));
    }
}

#[test]
fn openssl_reads_our_keys_and_we_read_its() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.pem");
    let theirs = folder.path().join("theirs.pem");
    for (algorithm, arguments) in [
        (Algorithm::Ed25519, vec!["-algorithm", "ed25519"]),
        (Algorithm::EcdsaP256, vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ] {
        let key = generate(algorithm, &ours).unwrap();
        let spki = openssl(&["pkey", "-pubout", "-outform", "DER", "-in"], &ours);
        assert_eq!(spki, key.public_key().to_spki());
        openssl(&[&["genpkey"], &arguments[..], &["-out"]].concat(), &theirs);
        assert_eq!(SigningKey::load(&theirs).unwrap().algorithm(), algorithm);
        fs::remove_file(&ours).unwrap();
        fs::remove_file(&theirs).unwrap();
    }
}

#[test]
fn note_key_signs_what_its_verifier_key_verifies() {
    let key = NoteKey::ephemeral("UZ/configuration/1").unwrap();
    let text = "document\n";
    let bytes = key.sign(text.as_bytes()).unwrap().to_vec();
    let line = NoteSignature::new(key.name(), key.verifier().key_id(), bytes).unwrap();
    let note = Note::new(text, vec![line.clone()]).unwrap();
    assert_eq!(key.verifier().verify(&note), Ok(()));
    let other = Note::new("dokument\n", vec![line]).unwrap();
    assert!(key.verifier().verify(&other).is_err());
    let ecdsa = SigningKey::ephemeral(Algorithm::EcdsaP256).unwrap();
    assert!(NoteKey::new("UZ/configuration/1", ecdsa).is_err());
    assert!(NoteKey::ephemeral("two words").is_err());
}

#[test]
fn debug_shows_no_private_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let key = generate(Algorithm::Ed25519, &path).unwrap();
    let shown = format!("{key:?}");
    assert_eq!(shown, format!("SigningKey({:?})", key.public_key()));
}

fn openssl(arguments: &[&str], file: &Path) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
