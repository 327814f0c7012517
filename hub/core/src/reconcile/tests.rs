use schemas::problem::ProblemCode as Code;

use super::*;

/// A line of one exchange: `request`, `answer` or a problem code, at a side.
fn line(side: Side, said: &str) -> Line {
    let (kind, outcome) = match said {
        "request" => (Said::Request, "ok"),
        "answer" => (Said::Answer, "ok"),
        code => (Said::Refusal, code),
    };
    let signed = if kind == Said::Answer { "answer" } else { "request" };
    Line {
        before: None,
        body: (kind != Said::Refusal).then(|| Sha256::of(signed.as_bytes())),
        consumer: Some("UZ/GOV/NASP".parse().unwrap()),
        exchange: Some(Sha256::of(b"id")),
        index: 7,
        outcome: outcome.to_owned(),
        said: kind,
        service: Some("UZ/GOV/TAX/tax/income".parse().unwrap()),
        side,
        signed: Some(Sha256::of(signed.as_bytes())),
        time: UnixMillis(1_000_000),
    }
}

fn exchange(consumer: &[&str], provider: &[&str]) -> Exchange {
    let mut exchange = Exchange::new(UnixMillis(0)..UnixMillis(2_000_000));
    consumer.iter().for_each(|said| exchange.add(&line(Side::Consumer, said)));
    provider.iter().for_each(|said| exchange.add(&line(Side::Provider, said)));
    exchange
}

#[test]
fn every_way_that_an_exchange_ends_is_judged_by_what_the_records_say() {
    use Verdict::{Explained, Matched, Unexplained};
    let (denied, down) = (Code::AccessDenied.as_str(), Code::NetworkError.as_str());
    let (lost, replayed) = (Code::ProviderLogFailed.as_str(), Code::Replayed.as_str());
    let forged = Code::AnswerSignature.as_str();
    let whole = &["request", "answer"][..];
    for (consumer, provider, verdict) in [
        (whole, whole, Matched),
        (whole, &["request", replayed, "answer"], Matched),
        (&["request", denied], &[denied], Matched),
        (&["request", denied], &["request", denied], Matched),
        (&["request"], &["request"], Matched),
        (&["request", down], &[], Explained(Cause::NotReached)),
        (&["request"], &[], Explained(Cause::BrokenOff)),
        (&["request", lost], &[], Explained(Cause::ProviderLogFailed)),
        (&["request", lost], whole, Explained(Cause::ProviderLogFailed)),
        (&["request", down], whole, Explained(Cause::NotTaken)),
        (&["request", down], &[denied], Explained(Cause::NotTaken)),
        (&["request"], whole, Explained(Cause::NotTaken)),
        (&["request", forged], whole, Explained(Cause::NotTaken)),
        (whole, &[], Unexplained(Cause::ProviderHasNothing)),
        (&["request", forged], &[], Unexplained(Cause::ProviderHasNothing)),
        (&["request", denied], &[], Unexplained(Cause::ProviderRefusalMissing)),
        (whole, &["request"], Unexplained(Cause::ProviderAnswerMissing)),
        (whole, &["answer"], Unexplained(Cause::RequestMissing)),
        (whole, &[denied], Unexplained(Cause::OutcomeDiffers)),
        (&["request", denied], whole, Unexplained(Cause::OutcomeDiffers)),
        (&["request", denied], &[down], Unexplained(Cause::OutcomeDiffers)),
        (&[], whole, Unexplained(Cause::ConsumerHasNothing)),
        (&[], &[denied], Unexplained(Cause::ConsumerHasNothing)),
    ] {
        let judged = exchange(consumer, provider).judge(&[]);
        assert_eq!(judged, verdict, "{consumer:?} next to {provider:?}");
    }
}

#[test]
fn messages_that_differ_in_signature_or_body_are_never_matched() {
    let whole = ["request", "answer"];
    for (side, nth) in
        [(Side::Consumer, 0), (Side::Consumer, 1), (Side::Provider, 0), (Side::Provider, 1)]
    {
        for change_body in [true, false] {
            let mut judged = Exchange::new(UnixMillis(0)..UnixMillis(2_000_000));
            for (at, said) in whole.iter().enumerate() {
                for of in [Side::Consumer, Side::Provider] {
                    let mut line = line(of, said);
                    if of == side && at == nth {
                        let field = if change_body { &mut line.body } else { &mut line.signed };
                        *field = Some(Sha256::of(b"other"));
                    }
                    judged.add(&line);
                }
            }
            let cause = if nth == 0 { Cause::RequestDiffers } else { Cause::AnswerDiffers };
            assert_eq!(judged.judge(&[]), Verdict::Unexplained(cause));
        }
    }
}

/// Both exchanges of an id that was used twice, or one of them, on either side.
#[test]
fn an_id_that_was_used_again_hides_no_exchange() {
    let lines = |side, which: &[u8]| -> Vec<Line> {
        let of = |which: &u8| {
            ["request", "answer"].map(|said| {
                let mut line = line(side, said);
                line.signed = Some(Sha256::of(&[said.as_bytes(), &[*which]].concat()));
                line.body = line.signed;
                line
            })
        };
        which.iter().flat_map(of).collect()
    };
    let judge = |consumer: &[u8], provider: &[u8]| {
        let mut exchange = Exchange::new(UnixMillis(0)..UnixMillis(2_000_000));
        let both = [lines(Side::Consumer, consumer), lines(Side::Provider, provider)];
        both.iter().flatten().for_each(|line| exchange.add(line));
        exchange.judge(&[])
    };
    let differs = Verdict::Unexplained(Cause::RequestDiffers);
    assert_eq!(judge(&[1, 2], &[1, 2]), Verdict::Matched);
    assert_eq!(judge(&[1, 2], &[2, 1]), Verdict::Matched, "in any order");
    for (consumer, provider) in [(&[1][..], &[1, 2][..]), (&[2], &[1, 2]), (&[1, 2], &[1])] {
        assert_eq!(judge(consumer, provider), differs, "{consumer:?} {provider:?}");
    }
    let many: Vec<u8> = (0..20).collect();
    assert_eq!(judge(&many, &many), differs, "what is not kept is not matched");
}

/// The exchange of 1 000 000 in the provider's log alone, and what else stands under its id.
#[test]
fn no_claim_and_no_earlier_use_of_an_id_takes_an_exchange_out_of_its_period() {
    let nothing = Verdict::Unexplained(Cause::ConsumerHasNothing);
    let differs = Verdict::Unexplained(Cause::RequestDiffers);
    let at = |mut line: Line, time: u64| {
        line.time = UnixMillis(time);
        line
    };
    let mut claim = line(Side::Provider, Code::RequestSignature.as_str());
    (claim.consumer, claim.signed) = (None, None);
    let earlier = |side| {
        ["request", "answer"].map(|said| {
            let mut line = line(side, said);
            line.signed = Some(Sha256::of(&[said.as_bytes(), b" before"].concat()));
            at(line, 890_000)
        })
    };
    let used = [earlier(Side::Consumer), earlier(Side::Provider)].concat();
    let period = UnixMillis(900_000)..UnixMillis(1_100_000);
    for (others, verdict) in [
        (vec![], nothing),
        (vec![at(claim.clone(), 890_000)], nothing),
        (vec![at(claim.clone(), 1_150_000)], nothing),
        (used, differs),
    ] {
        let mut exchange = Exchange::new(period.clone());
        for said in ["request", "answer"] {
            exchange.add(&line(Side::Provider, said));
        }
        others.iter().for_each(|line| exchange.add(line));
        assert!(exchange.is_within(), "{others:?}");
        assert_eq!(exchange.judge(&[]), verdict, "{others:?}");
        // A crash of the consumer's hub at the time of the claim explains nothing.
        let gap = [Gap { from: UnixMillis(880_000), to: UnixMillis(891_000) }];
        if verdict == nothing {
            assert_eq!(exchange.judge(&gap), verdict);
        }
    }
    for (time, within) in [(899_999, false), (900_000, true), (1_100_000, false)] {
        for line in [claim.clone(), line(Side::Provider, "request")] {
            let mut alone = Exchange::new(period.clone());
            alone.add(&at(line, time));
            assert_eq!(alone.is_within(), within, "{time}");
        }
    }
}

#[test]
fn a_gap_before_a_start_names_the_crash_as_possible_and_an_unproven_sender_explains() {
    let only_provider = exchange(&[], &["request", "answer"]);
    let gap = |from, to| [Gap { from: UnixMillis(from), to: UnixMillis(to) }];
    let started = Verdict::Unexplained(Cause::ConsumerStarted);
    assert_eq!(only_provider.judge(&gap(999_000, 1_060_000)), started);
    assert_eq!(only_provider.judge(&gap(1_004_000, 1_060_000)), started, "clocks differ");
    let nothing = Verdict::Unexplained(Cause::ConsumerHasNothing);
    assert_eq!(only_provider.judge(&gap(1_010_000, 1_060_000)), nothing);
    assert_eq!(only_provider.judge(&gap(900_000, 990_000)), nothing);
    let mut claimed = line(Side::Provider, Code::RequestSignature.as_str());
    (claimed.consumer, claimed.signed) = (None, None);
    let mut unproven = Exchange::new(UnixMillis(0)..UnixMillis(2_000_000));
    unproven.add(&claimed);
    assert_eq!(unproven.judge(&[]), Verdict::Explained(Cause::Unproven));
}
