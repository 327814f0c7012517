//! Vectors and negative twins for signed notes.

use super::*;

/// Key and note of the Go package golang.org/x/mod/sumdb/note.
const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn verifier() -> NoteVerifier {
    KEY.parse().unwrap()
}

#[test]
fn verifies_the_published_note_and_writes_it_back() {
    let note = Note::parse(NOTE).unwrap();
    assert_eq!(verifier().verify(&note), Ok(()));
    assert_eq!(note.to_string(), NOTE);
    assert_eq!(verifier().to_string(), KEY);
}

#[test]
fn refuses_a_changed_text_and_an_unsigned_one() {
    let changed = Note::parse(&NOTE.replace("answer", "Answer")).unwrap();
    let bad = NoteError::BadSignature("PeterNeumann".to_owned());
    assert_eq!(verifier().verify(&changed), Err(bad));
    let other = NoteVerifier::ed25519("PeterNeumann", [7; 32]).unwrap();
    let unsigned = NoteError::NotSigned("PeterNeumann".to_owned());
    assert_eq!(other.verify(&Note::parse(NOTE).unwrap()), Err(unsigned));
}

#[test]
fn a_line_of_an_unknown_key_is_kept_and_ignored() {
    let witness = NoteSignature::new("witness.example/1", 7, vec![1; 72]).unwrap();
    let note = Note::parse(NOTE).unwrap().with_signature(witness).unwrap();
    let read = Note::parse(&note.to_string()).unwrap();
    assert_eq!(read, note);
    assert_eq!(verifier().verify(&read), Ok(()));
}

#[test]
fn what_one_key_signed_stands_alone_whoever_signed_besides() {
    let alone = Note::parse(NOTE).unwrap();
    let witness = NoteSignature::new("witness", 7, vec![1; 72]).unwrap();
    let cosigned = Note::new(alone.text(), [vec![witness], alone.signatures().to_vec()].concat());
    assert_eq!(cosigned.unwrap().signed_by(&verifier()), alone);
    let foreign = Note::new(alone.text(), vec![NoteSignature::new("a", 7, vec![1]).unwrap()]);
    assert!(foreign.unwrap().signed_by(&verifier()).signatures().is_empty());
}

#[test]
fn a_second_false_signature_in_the_keys_name_refuses_the_note() {
    let id = verifier().key_id();
    let false_line = NoteSignature::new("PeterNeumann", id, vec![1; 64]).unwrap();
    let note = Note::parse(NOTE).unwrap().with_signature(false_line).unwrap();
    let bad = NoteError::BadSignature("PeterNeumann".to_owned());
    assert_eq!(verifier().verify(&note), Err(bad));
}

#[test]
fn refuses_what_breaks_the_format() {
    for broken in [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n— name AAAAAA==",
        "text\n\n— name AAAA\n",
        "text\n\n- name AAAAAAE=\n",
        "text\n\n— na+me AAAAAAE=\n",
        "text\n\n—  AAAAAAE=\n",
        "text\n\n— name AAAAAAE= \n",
        "te\txt\n\n— name AAAAAAE=\n",
        "text\r\n\n— name AAAAAAE=\n",
    ] {
        assert!(Note::parse(broken).is_err(), "{broken:?}");
    }
    assert!(Note::parse("text\n\n— name AAAAAAE=\n").is_ok());
}

#[test]
fn refuses_a_verifier_key_whose_id_is_not_its_own() {
    assert!(KEY.replace("c74f20a3", "c74f20a4").parse::<NoteVerifier>().is_err());
    assert!(KEY.replace("c74f20a3", "C74F20A3").parse::<NoteVerifier>().is_err());
    assert!(KEY.replace("+AR", "+BB").parse::<NoteVerifier>().is_err());
    assert!("name+00000000".parse::<NoteVerifier>().is_err());
}
