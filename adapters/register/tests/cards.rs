//! Social Cards: their states, what they answer, and answers that are not believed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a wrong value or index here fails the test"
)]

use std::time::Duration;

use jiff::civil::Date;
use register::access::{Officer, Officers, Operation, Role};
use register::application::Award;
use register::card::answer::{Nonce, Parties, StatusRequest, Unbelievable, Unsigned, verify};
use register::card::{
    BlockReason, Card, CardRefused, CardState, CardStep, Entitlement, Pseudonym, Question, Taking,
};
use register::day::tashkent_day;
use register::month::Month;
use ring::signature::{Ed25519KeyPair, KeyPair};
use schemas::clock::UnixMillis;
use schemas::encoding::{base64url, from_base64url};

fn now() -> UnixMillis {
    UnixMillis::from_rfc3339("2026-03-02T05:00:00Z").unwrap()
}

fn taking(operation: Operation) -> Taking {
    let officer = Officer { id: "agency".into(), role: Role::Officer, district: None };
    let officers = Officers::new(vec![officer]).unwrap();
    let permitted = officers.permit(Some("agency"), operation, None).unwrap();
    Taking::officer(&permitted, "asked for".to_owned().try_into().unwrap(), now())
}

fn take(card: &Card, step: CardStep) -> Result<Card, CardRefused> {
    card.take(taking(step.operation()), step)
}

fn block(reason: BlockReason) -> CardStep {
    CardStep::Block { reason }
}

fn pseudonym(byte: u8) -> Pseudonym {
    Pseudonym::from_random([byte; 16])
}

/// A card of a pupil from 1 March to 31 May 2026.
fn card() -> Card {
    let holder = "50303140010034".parse().unwrap();
    let issue = taking(Operation::ManageCard);
    let card = Card::issue("k-1".into(), holder, pseudonym(1), issue).unwrap();
    let (from, to) = (Date::constant(2026, 3, 1), Some(Date::constant(2026, 5, 31)));
    let entitlements = vec![Entitlement { question: Question::Pupil, from, to }];
    take(&card, CardStep::Entitle { entitlements }).unwrap()
}

fn is_pupil(card: &Card, day: Date) -> bool {
    card.status(&[]).entitles(Question::Pupil, day)
}

#[test]
fn a_card_entitles_in_its_time_to_what_it_was_given_and_nothing_else() {
    let card = card();
    let day = Date::constant;
    assert!(is_pupil(&card, day(2026, 3, 1)) && is_pupil(&card, day(2026, 5, 31)));
    assert!(!is_pupil(&card, day(2026, 2, 28)) && !is_pupil(&card, day(2026, 6, 1)));
    for question in Question::ALL {
        let yes = card.status(&[]).entitles(question, day(2026, 3, 2));
        assert_eq!(yes, question == Question::Pupil, "{question:?}");
    }
    let mut expired = card.status(&[]);
    expired.valid_to = day(2026, 3, 1);
    assert!(!expired.entitles(Question::Pupil, day(2026, 3, 2)));
}

#[test]
fn blocked_cards_answer_no_and_only_a_suspicion_can_be_cleared() {
    let today = tashkent_day(now());
    let suspected = take(&card(), block(BlockReason::Suspected)).unwrap();
    assert!(!is_pupil(&suspected, today));
    assert!(is_pupil(&take(&suspected, CardStep::Unblock).unwrap(), today));
    let lost = take(&suspected, block(BlockReason::Lost)).unwrap();
    let refused = |card: &Card, step| take(card, step).unwrap_err();
    assert_eq!(refused(&lost, CardStep::Unblock), CardRefused::StaysBlocked);
    assert_eq!(refused(&lost, block(BlockReason::Suspected)), CardRefused::Blocked);
    let dead = take(&lost, block(BlockReason::Death)).unwrap();
    assert_eq!(refused(&dead, CardStep::Unblock), CardRefused::StaysBlocked);
    assert_eq!(refused(&card(), CardStep::Unblock), CardRefused::NotBlocked);
    assert_eq!(refused(&card(), CardStep::Issue), CardRefused::NotAStep);
}

#[test]
fn a_renewed_card_has_another_pseudonym_and_the_old_one_answers_no() {
    let lost = take(&card(), block(BlockReason::Lost)).unwrap();
    let again = || taking(Operation::ManageCard);
    let (old, new) = lost.renew(("k-2".into(), pseudonym(2)), again()).unwrap();
    let today = tashkent_day(now());
    assert!(!is_pupil(&old, today) && is_pupil(&new, today));
    assert_eq!((old.state(), new.in_place_of.as_deref()), (CardState::Replaced, Some("k-1")));
    assert_ne!(old.status(&[]).id, new.status(&[]).id);
    let twice = old.renew(("k-3".into(), pseudonym(3)), again());
    assert!(twice.is_err_and(|refused| refused == CardRefused::Replaced));
    let dead = take(&new, block(BlockReason::Death)).unwrap();
    let refused = dead.renew(("k-3".into(), pseudonym(3)), again());
    assert!(refused.is_err_and(|refused| refused == CardRefused::HolderDied));
}

#[test]
fn a_life_event_blocks_and_can_do_nothing_else() {
    let event = || {
        let ground = "death".to_owned().try_into().unwrap();
        Taking::life_event("civil-registry".into(), ground, now())
    };
    assert!(card().take(event(), block(BlockReason::Death)).is_ok());
    let entitle = CardStep::Entitle { entitlements: Vec::new() };
    let refused = card().take(event(), entitle).unwrap_err();
    assert_eq!(refused, CardRefused::OtherPermission);
}

#[test]
fn what_is_kept_for_answering_names_neither_holder_nor_pseudonym() {
    let card = card();
    let text = serde_json::to_string(&card.status(&[])).unwrap();
    assert!(!text.contains(card.holder.as_str()), "{text}");
    assert!(!text.contains(&card.pseudonym.to_string()), "{text}");
    assert!(format!("{card:?} {:?}", card.pseudonym).contains("personal data"));
}

fn request(byte: u8) -> StatusRequest {
    let nonce: Nonce = base64url(&[byte; 16]).try_into().unwrap();
    StatusRequest { card: pseudonym(1), question: Question::Pupil, nonce }
}

fn parties(audience: &str) -> Parties {
    Parties { issuer: "UZ/GOV/NASP/register".parse().unwrap(), audience: audience.parse().unwrap() }
}

const SHOP: &str = "UZ/COM/SHOP/till";

struct Signer(Ed25519KeyPair);

impl Signer {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn public_key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    fn answer(&self, request: &StatusRequest, entitled: bool) -> String {
        let unsigned =
            Unsigned::new(request, entitled, &parties(SHOP), &self.public_key(), now()).unwrap();
        let signature = self.0.sign(unsigned.signing_input());
        unsigned.signed(signature.as_ref())
    }

    fn verify(&self, answer: &str, at: UnixMillis) -> Result<bool, Unbelievable> {
        verify(answer, &self.public_key(), &request(7), &parties(SHOP), at)
    }
}

#[test]
fn yes_and_no_are_believed_for_a_minute_and_have_one_length() {
    let signer = Signer::new(1);
    let [yes, no] = [true, false].map(|entitled| signer.answer(&request(7), entitled));
    assert_eq!(yes.len(), no.len());
    assert_eq!((signer.verify(&yes, now()), signer.verify(&no, now())), (Ok(true), Ok(false)));
    let last = now().plus(Duration::from_secs(59));
    assert_eq!(signer.verify(&yes, last), Ok(true));
    let over = now().plus(Duration::from_secs(60));
    assert_eq!(signer.verify(&yes, over), Err(Unbelievable::Time));
    let early = now().minus(Duration::from_secs(6));
    assert_eq!(signer.verify(&yes, early), Err(Unbelievable::Time));
}

#[test]
fn answers_to_others_are_not_believed() {
    let signer = Signer::new(1);
    let mut of_other_card = request(7);
    of_other_card.card = pseudonym(2);
    let mut of_other_question = request(7);
    of_other_question.question = Question::Veteran;
    for other in [request(8), of_other_card, of_other_question] {
        let answer = signer.answer(&other, true);
        assert_eq!(signer.verify(&answer, now()), Err(Unbelievable::Other));
    }
    let answer = signer.answer(&request(7), true);
    let key = signer.public_key();
    let believed = verify(&answer, &key, &request(7), &parties("UZ/COM/SHOP/other"), now());
    assert_eq!(believed, Err(Unbelievable::Other));
}

#[test]
fn forged_and_changed_answers_are_not_believed() {
    let signer = Signer::new(1);
    let answer = signer.answer(&request(7), false);
    assert_eq!(Signer::new(2).verify(&answer, now()), Err(Unbelievable::Form));
    let parts: Vec<&str> = answer.split('.').collect();
    let claims = String::from_utf8(from_base64url(parts[1]).unwrap()).unwrap();
    let lie = claims.replace("\"entitled\":0", "\"entitled\":1");
    assert_ne!(lie, claims);
    let forged = format!("{}.{}.{}", parts[0], base64url(lie.as_bytes()), parts[2]);
    assert_eq!(signer.verify(&forged, now()), Err(Unbelievable::Signature));
    let none = base64url(br#"{"alg":"none"}"#);
    let unsigned = format!("{none}.{}.", base64url(lie.as_bytes()));
    assert_eq!(signer.verify(&unsigned, now()), Err(Unbelievable::Form));
    for cut in 0..answer.len() {
        assert!(signer.verify(&answer[..cut], now()).is_err(), "cut at {cut}");
    }
}

#[test]
fn the_answer_holds_its_eight_claims_and_nothing_about_the_holder() {
    let answer = Signer::new(1).answer(&request(7), true);
    let claims = from_base64url(answer.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    assert_eq!(names, ["aud", "card", "entitled", "exp", "iat", "iss", "nonce", "question"]);
}

#[test]
fn whether_a_family_is_registered_follows_from_its_award_on_the_day_and_is_not_set_by_hand() {
    let month = |text: &str| text.parse::<Month>().unwrap();
    let day = Date::constant;
    let from = day(2026, 1, 1);
    let entitlement = Entitlement { question: Question::RegisteredFamily, from, to: None };
    let by_hand = CardStep::Entitle { entitlements: vec![entitlement] };
    assert_eq!(take(&card(), by_hand).unwrap_err(), CardRefused::DecidedHere);
    let award = Award { from: month("2026-03"), until: month("2026-09") };
    let registered =
        |awards: &[Award], on| card().status(awards).entitles(Question::RegisteredFamily, on);
    assert!(registered(&[award], day(2026, 3, 1)) && registered(&[award], day(2026, 8, 31)));
    assert!(!registered(&[award], day(2026, 2, 28)) && !registered(&[award], day(2026, 9, 1)));
    assert!(!registered(&[], day(2026, 3, 1)));
    let next = Award { from: month("2026-09"), until: month("2027-03") };
    assert!(registered(&[award, next], day(2026, 9, 1)), "a renewal goes on without a gap");
    let stopped_at_once = Award { from: month("2026-03"), until: month("2026-03") };
    assert!(!registered(&[stopped_at_once], day(2026, 3, 1)));
    assert!(is_pupil(&card(), day(2026, 3, 2)), "what others decide stays data");
}
