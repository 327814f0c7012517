//! What a journal submits, and what it gives back.

use std::path::Path;
use std::sync::Arc;

use hub_messagelog::{LogLimits, LogOptions};
use pki::signer::NoteKey;

use super::*;

const ORIGIN: &str = "koprik/test";
const AT: UnixMillis = UnixMillis(1_780_272_000_000);

pub(crate) fn journal(dir: &Path) -> Journal {
    let options = LogOptions {
        dir: dir.join("log"),
        origin: ORIGIN.to_owned(),
        key: Arc::new(NoteKey::ephemeral(ORIGIN).unwrap()),
        clock: Clock::machine(),
        index_keys,
        limits: LogLimits::default(),
    };
    let log = MessageLog::open(options).unwrap();
    let vault = Vault::open(&dir.join("keys")).unwrap();
    Journal::new(log, vault, Retention::default(), Clock::machine(), 1024)
}

pub(crate) fn request() -> Record {
    let mut record = Record::new(Kind::Request, Side::Provider, AT, "ok");
    record.client = Some("UZ/GOV/NASP/register".into());
    record.exchange = Some("455c1685-58b0-4808-9549-fe0b1b53993a".into());
    record.grant = Some("people".into());
    record.purpose = Some("social-assessment".into());
    record.service = Some("UZ/GOV/TAX/tax/people".into());
    record
}

pub(crate) fn answer() -> Record {
    let mut record = request();
    record.turn_into(Kind::Answer, AT);
    record
}

fn base(text: &str) -> Base {
    Base::new(text.to_owned())
}

/// A message sealed beside a record: the record as it was logged, and the sealed bytes.
async fn kept(
    journal: &Journal,
    mut record: Record,
    message: Signed<'_>,
    request: Option<Signed<'_>>,
) -> (Record, Bytes) {
    let body = Bytes::from_static(b"{}");
    let kept = Kept { message, request, body: Some(&body) };
    let receipt = journal.submit(&mut record, Some(kept)).await.unwrap();
    let stored = journal.log.read(receipt.index()).unwrap();
    (Record::from_leaf(&stored.leaf).unwrap(), stored.attachment)
}

#[tokio::test]
async fn an_answer_that_the_log_refuses_leaves_all_for_the_record_of_its_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    journal.log.close().await;
    let mut record = answer();
    journal.submit(&mut record, None).await.unwrap_err();
    assert_eq!((record.grant, record.purpose), (request().grant, request().purpose));
}

#[tokio::test]
async fn evidence_is_given_back_for_its_own_record_and_request_only() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let [asked, answered, other] = ["asked", "answered", "another"].map(base);
    let asked = Signed { base: &asked, signature: &[1; 64] };
    let answered = Signed { base: &answered, signature: &[2; 64] };
    let (first, first_sealed) = kept(&journal, request(), asked, None).await;
    let (second, second_sealed) = kept(&journal, answer(), answered, Some(asked)).await;
    assert_eq!((&first.grant, &second.grant), (&Some("people".to_owned()), &None));

    let message = journal.open_evidence(&first, &first_sealed, None).unwrap();
    assert_eq!((&*message.base, message.body.as_deref()), ("asked", Some("e30=")));
    let whole = journal.open_evidence(&second, &second_sealed, Some((&first, &message))).unwrap();
    assert_eq!((&*whole.base, &*whole.signature), ("answered", &*base64(&[2; 64])));

    let unreadable = |opened: Result<SignedMessage, Absent>| match opened {
        Err(Absent::Unreadable) => {}
        opened => panic!("{opened:?}"),
    };
    for signed in [record::signed(other.leaf(), &[1; 64]), record::signed(asked.base.leaf(), &[])] {
        let unlike = Record { signed: Some(signed), ..first.clone() };
        unreadable(journal.open_evidence(&unlike, &first_sealed, None));
    }
    let stranger = Record { client: None, ..first.clone() };
    unreadable(journal.open_evidence(&second, &second_sealed, Some((&stranger, &message))));
    unreadable(journal.open_evidence(&second, &first_sealed, Some((&first, &message))));
}
