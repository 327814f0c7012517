//! Evidence comes back as it was, in every form; nothing else does.

use schemas::digest::Sha256;

use super::*;

/// A request and an answer as hubs of a demo federation signed them, about nobody.
const REQUEST: &str = include_str!("request.txt");
const ANSWER: &str = include_str!("answer.txt");

fn random(bytes: usize) -> Vec<u8> {
    (0..bytes).flat_map(|n| Sha256::of(&n.to_le_bytes()).0).take(bytes).collect()
}

fn kept<'a>(base: &'a str, signature: &'a [u8], body: Option<&'a Bytes>) -> Kept<'a> {
    Kept { base, signature, body }
}

#[test]
fn evidence_comes_back_byte_for_byte_in_every_form() {
    let text = "not one line of a signature base ".repeat(3);
    for base in [REQUEST, ANSWER, "", "x", &text] {
        for signature in [random(64), random(324), Vec::new()] {
            for body in [None, Some(random(5_000)), Some(b"{}".repeat(9_000)), Some(Vec::new())] {
                let body = body.map(Bytes::from);
                let packed = pack(&kept(base, &signature, body.as_ref()), body.as_ref());
                let read = unpack(&packed).unwrap();
                assert_eq!(read.base, base);
                assert_eq!(read.signature, base64(&signature));
                assert_eq!(read.body, body.map(|body| base64(&body)));
            }
        }
    }
}

#[test]
fn evidence_that_was_sealed_before_packing_still_opens() {
    let mut sealed = vec![1, 4, 0, 0, 0, 2, 0, 0, 0];
    sealed.extend_from_slice(b"basesibody");
    let read = unpack(&sealed).unwrap();
    assert_eq!((read.base.as_str(), read.signature), ("base", base64(b"si")));
    assert_eq!(read.body, Some(base64(b"body")));
}

#[test]
fn the_lines_never_change_under_their_form() {
    let hash = "55f31b4aa58b964d35f1b55997aaa14deddf9b8e1dc85269f37e440f1501c080";
    assert_eq!(Sha256::of(LINES).to_string(), hash);
}

#[test]
fn packed_evidence_of_an_exchange_has_the_size_that_the_bench_takes() {
    let signature = random(260);
    let bytes = [REQUEST, ANSWER].map(|base| pack(&kept(base, &signature, None), None).len());
    let before = [REQUEST, ANSWER].map(|base| 9 + base.len() + signature.len());
    // `bench::log::records` seals as many.
    println!("{before:?} become {bytes:?}");
    assert!((580..620).contains(&bytes[0]) && (1_160..1_220).contains(&bytes[1]), "{bytes:?}");
}

#[test]
fn what_is_cut_or_claims_to_be_large_is_refused() {
    let packed = pack(&kept(ANSWER, &random(64), None), None);
    assert_eq!(packed[0], PACKED);
    for end in 0..packed.len() {
        assert!(unpack(&packed[..end]).is_none(), "{end}");
    }
    let mut large = packed.to_vec();
    large[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(unpack(&large).is_none());
    assert!(unpack(&[9, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
}
