//! A vector that Python computed (hashlib, cryptography), and its negative twins.

use super::*;

/// Key of the seed of 32 times 7.
const KEY: &str = "example.com/log+702f3c70+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
/// The fifth of the leaves `leaf 0` to `leaf 6`.
const RECEIPT: &str = "c2sp.org/tlog-proof@v1\n\
    extra bGVhZiA0\n\
    index 4\n\
    la3xW37122c4aouvvv7k0UVmKvpFB0DhhoVT6DSO06A=\n\
    +3+GnOi3tR/fcZ/IwhpHNsmMwWCoJWBqgfeKf00iYdk=\n\
    T2MQhKFXxU9U/Psj/164ZQxLoWDClbsTqYMrEJ1SZ34=\n\
    \n\
    example.com/log\n\
    7\n\
    WmH8K1T5z6cXdPJDIUPdQMbLKxGUf69lp9PaXLZRmcg=\n\
    \n\
    — example.com/log cC88cLu5Z0Jl2la3aJvbOjLXa/Hf196nOQdnJcrskRjV7KLGb4+1Nxi9pkUU5xAwhpCsRTN70iR6W+lrnBS5RrR+tQs=\n";

fn key() -> NoteVerifier {
    KEY.parse().unwrap()
}

fn read(text: &str) -> Result<TlogProof, TlogProofError> {
    text.parse()
}

#[test]
fn the_vector_is_read_verified_and_written_back() {
    let receipt = read(RECEIPT).unwrap();
    assert_eq!((receipt.record(), receipt.index()), (Some(&b"leaf 4"[..]), 4));
    assert_eq!(receipt.verify(b"leaf 4", &key()).unwrap().size, 7);
    assert_eq!(receipt.to_string(), RECEIPT);
    let checkpoint = RECEIPT.split_once("\n\n").unwrap().1;
    let made = TlogProof::new(Some(b"leaf 4"), 4, receipt.hashes.clone(), checkpoint).unwrap();
    assert_eq!(made, receipt);
}

#[test]
fn extra_data_may_be_absent_and_a_lone_record_needs_no_hash() {
    let bare = RECEIPT.replace("extra bGVhZiA0\n", "");
    let receipt = read(&bare).unwrap();
    assert_eq!(receipt.record(), None);
    assert!(receipt.verify(b"leaf 4", &key()).is_ok());
    assert_eq!(receipt.to_string(), bare);
    let checkpoint = RECEIPT.split_once("\n\n").unwrap().1;
    let lone = TlogProof::new(None, 0, Vec::new(), checkpoint).unwrap();
    assert_eq!(read(&lone.to_string()), Ok(lone));
}

#[test]
fn refuses_another_record_place_key_or_tree() {
    let receipt = read(RECEIPT).unwrap();
    let root = Err(TlogProofError::Proof(ProofError::RootMismatch));
    assert_eq!(receipt.verify(b"leaf 5", &key()), root);
    let moved = read(&RECEIPT.replace("index 4", "index 5")).unwrap();
    assert_eq!(moved.verify(b"leaf 4", &key()), root);
    let beyond = read(&RECEIPT.replace("index 4", "index 7")).unwrap();
    let outside = ProofError::NotInTree { index: 7, size: 7 };
    assert_eq!(beyond.verify(b"leaf 4", &key()), Err(TlogProofError::Proof(outside)));
    let shorter = TlogProof { hashes: receipt.hashes[1..].to_vec(), ..receipt.clone() };
    assert!(matches!(shorter.verify(b"leaf 4", &key()), Err(TlogProofError::Proof(_))));
    let stranger = NoteVerifier::ed25519("example.com/log", [9; 32]).unwrap();
    let unsigned = receipt.verify(b"leaf 4", &stranger);
    assert!(matches!(unsigned, Err(TlogProofError::Checkpoint(_))), "{unsigned:?}");
    let grown = read(&RECEIPT.replace("\n7\n", "\n8\n")).unwrap();
    assert!(matches!(grown.verify(b"leaf 4", &key()), Err(TlogProofError::Checkpoint(_))));
}

#[test]
fn refuses_every_other_writing_and_what_breaks_the_format() {
    for (from, to) in [
        ("proof@v1", "proof@v2"),
        ("c2sp.org/tlog-proof@v1\n", ""),
        ("extra bGVhZiA0", "extra bGVhZiA1="),
        ("extra bGVhZiA0", "extra "),
        ("extra bGVhZiA0", "extra  bGVhZiA0"),
        ("extra bGVhZiA0\n", "extra bGVhZiA0\nextra bGVhZiA0\n"),
        ("index 4", "index 04"),
        ("index 4", "index +4"),
        ("index 4", "index "),
        ("index 4", "Index 4"),
        ("index 4\n", ""),
        ("index 4\n", "index 4\nindex 4\n"),
        ("0Dhh", "0Dh"),
        ("O06A=", "O06B="),
        ("O06A=\n", "O06A=\r\n"),
        ("06A=\n", "06A=\n\n"),
        ("\n\nexample", "\nexample"),
        ("\n\nexample", "\n\n\nexample"),
        ("\n\n— ", "\n— "),
        ("tQs=\n", "tQs="),
        ("tQs=\n", "tQs=\n\n"),
    ] {
        let changed = RECEIPT.replacen(from, to, 1);
        assert_ne!(changed, RECEIPT, "{from:?}");
        let verified = read(&changed).and_then(|receipt| receipt.verify(b"leaf 4", &key()));
        assert!(verified.is_err(), "{from:?} as {to:?}: {verified:?}");
    }
    let long = RECEIPT.replace("extra bGVhZiA0", &format!("extra {}", "AAAA".repeat(70_000)));
    assert!(read(&long).is_err(), "longer than a receipt may be");
    let high = RECEIPT.replace(
        "index 4\n",
        &format!("index 4\n{}", format!("{}\n", base64(&[0; 32])).repeat(62)),
    );
    assert!(read(&high).is_err(), "65 hashes");
}

#[test]
fn no_byte_can_change_unseen() {
    for at in 0..RECEIPT.len() {
        for bit in 0..8 {
            let mut bytes = RECEIPT.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let verified = read(&changed).and_then(|receipt| {
                // As a reader does who has the record from the receipt.
                receipt.verify(receipt.record().unwrap_or_default(), &key())
            });
            assert!(verified.is_err(), "bit {bit} of byte {at}");
        }
    }
}
