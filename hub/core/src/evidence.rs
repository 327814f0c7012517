//! The verifier of evidence files: offline, with the configuration anchor alone.
//!
//! The steps run from trust to content: the anchor's keys sign the global configuration, the
//! configuration names the log's key and the members' certificates, the log's key signs the checkpoint, the
//! checkpoint holds the records, the records name the messages, the members signed the messages. Every
//! byte of the file takes part in a step, so that a change of any one is refused.

use pki::timestamp::VerifiedTimestamp;
use schemas::clock::UnixMillis;
use schemas::configuration::Anchor;
use schemas::digest::Sha256;
use schemas::encoding::from_base64;
use schemas::evidence::{EvidenceFile, FORMAT, SignedMessage};
use schemas::identifier::{ServerId, ServiceId, SubsystemId};
use schemas::record::{self, Kind, Record, Side};
use schemas::tlog::checkpoint::Checkpoint;
use schemas::tlog::note::{Note, NoteVerifier};
use schemas::tlog::{Cosigned, merkle};

use crate::batch::VerifiedRoots;
use crate::configuration::{ConfigurationInForce, Trusted};
use crate::headers;
use crate::signature::{Base, ReadBase, ReceivedSignature};
use crate::target;
use crate::timestamp;
use crate::verification::{self, TimesRefusal};
use crate::witnessed::{self, Witnessed};

/// The steps of a verification, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The file is an evidence file in its one spelling.
    Form,
    /// The global configuration is signed by the anchor's keys.
    Configuration,
    /// The checkpoint is signed by a log that the configuration names.
    Checkpoint,
    /// Enough witnesses that the configuration lists have cosigned the checkpoint.
    Witnesses,
    /// The records are in the checkpoint's tree.
    Records,
    /// A timestamp authority that the configuration lists has stamped the checkpoint.
    Timestamp,
    /// The request is the one recorded, signed by the client's member.
    Request,
    /// The answer is the one recorded, signed by the provider's member and bound to the request.
    Answer,
    /// Records, messages and configuration name the same parties and the same exchange.
    Agreement,
}

impl Step {
    /// What the step proves, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Form => "the file is an evidence file and has one spelling only",
            Self::Configuration => "the global configuration is signed by the anchor's keys",
            Self::Checkpoint => "the checkpoint is signed by a message log of a registered server",
            Self::Witnesses => "enough witnesses of the configuration cosigned the checkpoint",
            Self::Records => "the records stand in that log, at these places, unchanged",
            Self::Timestamp => "a timestamp authority of the configuration stamped the checkpoint",
            Self::Request => "the request was signed by the client's member, as recorded",
            Self::Answer => "the answer was signed by the provider's member, to this request",
            Self::Agreement => "records, messages and configuration agree on who, what and when",
        }
    }
}

/// A step that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step:?}: {reason}")]
pub struct EvidenceRefusal {
    /// The step.
    pub step: Step,
    /// Why.
    pub reason: String,
}

/// What an evidence file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The log that the records stand in.
    pub origin: String,
    /// The security server of that log.
    pub server: ServerId,
    /// Number of records in the tree that the checkpoint covers.
    pub tree_size: u64,
    /// The global configuration's version.
    pub configuration_version: u64,
    /// The witnesses that cosigned the checkpoint, enough or not.
    pub cosigned: Cosigned,
    /// The records with their places.
    pub records: Vec<(u64, Record)>,
    /// When the records existed at the latest, by a timestamp authority; `None`: no timestamp.
    pub timestamp: Option<VerifiedTimestamp>,
    /// The steps that hold.
    pub steps: Vec<Step>,
    /// What this file does not prove, in words.
    pub not_proved: Vec<String>,
}

fn refuse(step: Step) -> impl Fn(&str) -> EvidenceRefusal {
    move |reason| EvidenceRefusal { step, reason: reason.to_owned() }
}

/// Verifies an evidence file.
///
/// # Errors
/// The first [`Step`] that does not hold, with the reason.
pub fn verify(bytes: &[u8], anchor: &Anchor) -> Result<Proved, EvidenceRefusal> {
    let file = read_form(bytes)?;
    let records = read_records(&file)?;
    let first = records.first().ok_or_else(|| refuse(Step::Form)("there is no record"))?;
    let configuration = check_configuration(&file.configuration, anchor, first.1.time)?;
    let Witnessed { server, log, checkpoint, cosigned } =
        witnessed::check(&file.checkpoint, &configuration)
            .map_err(|r| refuse(Step::Checkpoint)(&r))?;
    check_inclusion(&file, &checkpoint)?;
    let stamped = timestamp::check(&file, &log, configuration.timestamp_authorities());
    let timestamp = stamped.map_err(|error| refuse(Step::Timestamp)(&error.to_string()))?;
    let messages = Messages::read(&file, &records)?;
    messages.check_request(&configuration)?;
    messages.check_answer(&configuration)?;
    messages.check_agreement(&configuration, &server)?;
    let mut steps = vec![Step::Form, Step::Configuration, Step::Checkpoint];
    steps.extend(cosigned.reached().then_some(Step::Witnesses));
    steps.push(Step::Records);
    steps.extend(timestamp.as_ref().map(|_| Step::Timestamp));
    steps.push(Step::Request);
    if messages.answer.is_some() {
        steps.push(Step::Answer);
    }
    steps.push(Step::Agreement);
    Ok(Proved {
        not_proved: messages.not_proved(&cosigned, timestamp.as_ref()),
        cosigned,
        timestamp,
        origin: checkpoint.origin,
        server,
        tree_size: checkpoint.size,
        configuration_version: configuration.version(),
        records,
        steps,
    })
}

/// The canonical text of an evidence file; the one spelling that [`verify`] accepts.
#[must_use]
pub fn to_text(file: &EvidenceFile) -> String {
    // Safe because: a struct of strings, integers and lists always serialises; its fields are
    // declared in the order of their names, so that this is canonical JSON.
    let mut text = serde_json::to_string(file).unwrap_or_default();
    text.push('\n');
    text
}

fn read_form(bytes: &[u8]) -> Result<EvidenceFile, EvidenceRefusal> {
    let refuse = refuse(Step::Form);
    let text = std::str::from_utf8(bytes).map_err(|_| refuse("the file is not UTF-8"))?;
    let file: EvidenceFile = serde_json::from_str(text)
        .map_err(|error| refuse(&format!("the file is not an evidence file: {error}")))?;
    if file.format != FORMAT {
        return Err(refuse("the file has another form than this verifier reads"));
    }
    if to_text(&file) != text {
        return Err(refuse("the file is not in its one spelling (canonical JSON)"));
    }
    Ok(file)
}

fn read_records(file: &EvidenceFile) -> Result<Vec<(u64, Record)>, EvidenceRefusal> {
    let refuse = refuse(Step::Records);
    let read = |entry: &schemas::evidence::RecordedLeaf| {
        let record = Record::from_leaf(entry.leaf.as_bytes());
        record.map(|record| (entry.index, record)).map_err(|error| refuse(&error.to_string()))
    };
    file.records.iter().map(read).collect()
}

fn check_configuration(
    note: &str,
    anchor: &Anchor,
    at: UnixMillis,
) -> Result<ConfigurationInForce, EvidenceRefusal> {
    let refuse = refuse(Step::Configuration);
    let fail = |error: &dyn std::fmt::Display| refuse(&error.to_string());
    let trusted = Trusted::from_anchor(anchor).map_err(|error| fail(&error))?;
    let accepted = trusted.accept(note, at).map_err(|error| fail(&error))?;
    let parsed = Note::parse_up_to(schemas::limits::CONFIGURATION_MAX_BYTES, note)
        .map_err(|error| fail(&error))?;
    let known = |name: &str, id: u32| {
        let verifiers = anchor.keys.verifiers.iter();
        verifiers
            .filter_map(|text| text.parse::<NoteVerifier>().ok())
            .any(|key| key.name() == name && key.key_id() == id)
    };
    let mut lines = std::collections::HashSet::new();
    for line in parsed.signatures() {
        if !known(line.name(), line.key_id()) || !lines.insert(line.key_id()) {
            return Err(refuse("a signature line is of no key of the anchor, or repeated"));
        }
    }
    Ok(accepted.in_force)
}

fn check_inclusion(file: &EvidenceFile, checkpoint: &Checkpoint) -> Result<(), EvidenceRefusal> {
    let refuse = refuse(Step::Records);
    let ascending = file.records.windows(2).all(|p| matches!(p, [a, b] if a.index < b.index));
    if !ascending {
        return Err(refuse("the records are not in the log's order"));
    }
    for entry in &file.records {
        let leaf = merkle::leaf_hash(entry.leaf.as_bytes());
        let root = &checkpoint.root;
        merkle::verify_inclusion(&leaf, entry.index, checkpoint.size, &entry.proof, root)
            .map_err(|error| refuse(&error.to_string()))?;
    }
    Ok(())
}

/// A message with its base read and its signature decoded.
struct Message<'f> {
    signed: &'f SignedMessage,
    base: ReadBase<'f>,
    signature: Vec<u8>,
}

impl<'f> Message<'f> {
    fn read(signed: &'f SignedMessage, step: Step) -> Result<Self, EvidenceRefusal> {
        let refuse = refuse(step);
        let base = ReadBase::parse(&signed.base)
            .ok_or_else(|| refuse("the signature base is not one of RFC 9421 as hubs write it"))?;
        let signature = from_base64(&signed.signature)
            .ok_or_else(|| refuse("the signature is not standard base64"))?;
        Ok(Self { signed, base, signature })
    }

    /// The message is the one that `record` commits to.
    fn matches(&self, record: &Record, step: Step) -> Result<(), EvidenceRefusal> {
        let refuse = refuse(step);
        if record.signed
            != Some(record::signed(merkle::leaf_hash(self.signed.base.as_bytes()), &self.signature))
        {
            return Err(refuse("the record commits to another signature base or signature"));
        }
        self.timely(record).map_err(&refuse)?;
        let digest = self.base.value(headers::CONTENT_DIGEST);
        let recorded = record.body_digest().map(|d| headers::content_digest(d.as_bytes()));
        // A refusal may come before the body is read; then the signature alone commits to it.
        let unread = record.kind == Kind::Refusal && recorded.is_none();
        if digest != recorded.as_deref() && !unread {
            return Err(refuse("the record commits to another body"));
        }
        let Some(body) = &self.signed.body else { return Ok(()) };
        let body = from_base64(body).ok_or_else(|| refuse("the body is not standard base64"))?;
        if digest != Some(headers::content_digest(Sha256::of(&body).as_bytes()).as_str()) {
            return Err(refuse("the body is not the one that was signed"));
        }
        Ok(())
    }

    /// The record was made while the signature counted, as far as clocks agree. Without this, who has the
    /// member's key could state any time at which its certificate was good.
    fn timely(&self, record: &Record) -> Result<(), &'static str> {
        match verification::check_times(&self.base.parameters, record.time) {
            Ok(()) => Ok(()),
            // A refusal may be late: the body was awaited.
            Err(TimesRefusal::Expired) if record.kind == Kind::Refusal => Ok(()),
            Err(TimesRefusal::Expired) => Err("the signature had expired when it was recorded"),
            Err(TimesRefusal::Future) => Err("the signature was made after its record"),
            Err(TimesRefusal::Lifetime) => Err("the signature lives longer than it may"),
        }
    }

    fn signed_by(
        &self,
        member: &schemas::identifier::MemberId,
        configuration: &ConfigurationInForce,
        step: Step,
    ) -> Result<(), EvidenceRefusal> {
        let refuse = refuse(step);
        let parameters = &self.base.parameters;
        let key = configuration
            .signing_key(&parameters.key_id)
            .filter(|key| key.member == *member)
            .ok_or_else(|| refuse("the signing certificate is not one of the member's"))?;
        let made = UnixMillis::from_seconds(parameters.created);
        if key.revoked.is_some_and(|revoked| revoked <= made) {
            return Err(refuse("the signing certificate was revoked before the signature"));
        }
        key.certificate.valid_at(made).map_err(|error| refuse(&error.to_string()))?;
        let received = ReceivedSignature {
            base: Base::new(self.signed.base.clone()),
            signature: self.signature.clone(),
            parameters: parameters.clone(),
        };
        let roots = VerifiedRoots::default();
        verification::check_bytes(&received, &key.public_key, &roots)
            .map_err(|reason| refuse(&reason.to_string()))
    }
}

struct Messages<'f> {
    request: Message<'f>,
    answer: Option<Message<'f>>,
    records: &'f [(u64, Record)],
    client: SubsystemId,
    service: ServiceId,
}

impl<'f> Messages<'f> {
    fn read(file: &'f EvidenceFile, records: &'f [(u64, Record)]) -> Result<Self, EvidenceRefusal> {
        let kinds: Vec<Kind> = records.iter().map(|(_, record)| record.kind).collect();
        let (request, answer) = match (file.messages.as_slice(), kinds.as_slice()) {
            ([request, answer], [Kind::Request, Kind::Answer]) => (request, Some(answer)),
            ([request], [Kind::Request] | [Kind::Refusal] | [Kind::Request, Kind::Refusal]) => {
                (request, None)
            }
            _ => return Err(refuse(Step::Form)("messages and records do not belong together")),
        };
        let request = Message::read(request, Step::Request)?;
        let answer = answer.map(|answer| Message::read(answer, Step::Answer)).transpose()?;
        let refuse = refuse(Step::Request);
        let client = request
            .base
            .value(headers::CLIENT)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| refuse("the request names no client"))?;
        let path = request.base.value("@path").unwrap_or_default();
        let service = target::service_of(path).map_err(|error| refuse(&error.to_string()))?;
        Ok(Self { request, answer, records, client, service })
    }

    fn record(&self, nth: usize, step: Step) -> Result<&Record, EvidenceRefusal> {
        let record = self.records.get(nth).map(|(_, record)| record);
        record.ok_or_else(|| refuse(step)("the record is missing"))
    }

    fn check_request(&self, configuration: &ConfigurationInForce) -> Result<(), EvidenceRefusal> {
        self.request.matches(self.record(0, Step::Request)?, Step::Request)?;
        self.request.signed_by(&self.client.member(), configuration, Step::Request)
    }

    fn check_answer(&self, configuration: &ConfigurationInForce) -> Result<(), EvidenceRefusal> {
        let Some(answer) = &self.answer else { return Ok(()) };
        answer.matches(self.record(1, Step::Answer)?, Step::Answer)?;
        answer.signed_by(&self.service.subsystem().member(), configuration, Step::Answer)?;
        if !answer.base.answers(&self.request.base, &self.request.signature) {
            return Err(refuse(Step::Answer)("the answer is bound to another request"));
        }
        Ok(())
    }

    fn check_agreement(
        &self,
        configuration: &ConfigurationInForce,
        log_of: &ServerId,
    ) -> Result<(), EvidenceRefusal> {
        let refuse = refuse(Step::Agreement);
        let exchange = self.request.base.value(headers::REQUEST_ID);
        let side = self.records.first().map(|(_, record)| record.side);
        for (_, record) in self.records {
            let same_exchange = record.exchange.as_deref() == exchange
                && record.client.as_deref() == Some(self.client.as_str())
                && record.service.as_deref() == Some(self.service.as_str());
            if record.configuration != Some(configuration.version()) {
                return Err(refuse("a record was made under another global configuration"));
            }
            if !same_exchange {
                return Err(refuse("a record names another exchange, client or service"));
            }
            let own = match record.side {
                Side::Consumer => &self.client,
                Side::Provider => &self.service.subsystem(),
                Side::Hub => return Err(refuse("a record of an exchange is on neither side")),
            };
            let server = configuration.server(log_of);
            if !server.is_some_and(|server| server.clients.contains(own)) {
                return Err(refuse("the log's server serves neither client nor provider"));
            }
        }
        if self.records.iter().any(|(_, record)| Some(record.side) != side) {
            return Err(refuse("the records are of both sides"));
        }
        if let [(_, request), (_, refusal)] = self.records
            && refusal.kind == Kind::Refusal
            && !refusal.ends(request)
        {
            return Err(refuse("the refusal is of another message, or of the request's replay"));
        }
        let Some(answer) = &self.answer else { return Ok(()) };
        let status = self.record(1, Step::Agreement)?.status.map(|status| status.to_string());
        if status.is_none() || answer.base.value("@status") != status.as_deref() {
            return Err(refuse("the record names another status than the answer"));
        }
        Ok(())
    }

    fn not_proved(&self, cosigned: &Cosigned, stamped: Option<&VerifiedTimestamp>) -> Vec<String> {
        let times = self.records.iter().map(|(_, record)| record.time);
        let time = timestamp::not_proved(stamped, times.max().unwrap_or_default());
        let mut list = vec![
            witnessed::not_proved(cosigned),
            time.to_owned(),
            "who the user was, beyond what the client's system stated".to_owned(),
        ];
        let messages = [Some(&self.request), self.answer.as_ref()];
        if messages.into_iter().flatten().any(|message| message.signed.body.is_none()) {
            list.push("what a body said where the hub kept its digest only".to_owned());
        }
        if self.answer.is_none() {
            list.push("that an answer was given: the file holds none".to_owned());
        }
        list
    }
}
