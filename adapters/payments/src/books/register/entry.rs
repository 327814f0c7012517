//! What the register's books keep: one entry for each document and each outgoing message.

use std::collections::BTreeMap;

use register::month::Month;
use register::payment::LINES_PER_MESSAGE_MAX_COUNT;
use register::payment::line::{Line, LineId};
use register::payment::message::{
    AccountCheck, Message, MessageId, Statement, StatementLine, StatementPart,
};
use register::payment::office::Document;
use register::payment::party::Commit;
use register_store::{Entity, StoreKey};
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

/// Id of the head.
pub(super) const HEAD: &str = "head";

/// One document, one outgoing message, or the place of a message that is answered.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) id: String,
    content: Content,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Content {
    Document(Document),
    Message(NamelessMessage),
    /// Never kept: it deletes.
    Gone,
}

/// An outgoing message without the people in it: they stand in its lines.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NamelessMessage {
    AccountCheck { month: Month, part: usize, lines: Vec<LineId> },
    StatementPart { statement: Statement, part: usize, lines: Vec<LineId> },
    Whole(Message),
}

/// How far a commit is that is larger than one of the store.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Stage {
    Clear,
    Filling { attempt: String },
    Decided { attempt: String },
}

/// Which every commit changes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) stage: Stage,
}

/// An entry on the way to its place.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Staged {
    pub(super) id: String,
    pub(super) attempt: String,
    pub(super) entry: Entry,
}

impl Entry {
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.content, Content::Gone)
    }

    fn document(document: &Document, id: String) -> Self {
        Self { id, content: Content::Document(document.clone()) }
    }

    fn message(message: &Message) -> Self {
        let content = Content::Message(NamelessMessage::of(message));
        Self { id: message_place(&message.id()), content }
    }

    fn answered(id: &MessageId) -> Self {
        Self { id: message_place(id), content: Content::Gone }
    }

    fn person(&self) -> Option<Pinfl> {
        match &self.content {
            Content::Document(Document::Line(line)) => Some(line.recipient),
            Content::Document(Document::Death(person)) => Some(*person),
            Content::Document(Document::Month(_)) | Content::Message(_) | Content::Gone => None,
        }
    }
}

fn message_place(id: &MessageId) -> String {
    format!("message/{id}")
}

impl Entity for Entry {
    const KIND: &'static str = "payment";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        self.person()
    }

    fn keys(&self) -> Vec<StoreKey> {
        self.person().map(|person| StoreKey::person("person", person)).into_iter().collect()
    }
}

impl Entity for Head {
    const KIND: &'static str = "payment-head";

    fn id(&self) -> String {
        HEAD.to_owned()
    }

    fn subject(&self) -> Option<Pinfl> {
        None
    }

    fn keys(&self) -> Vec<StoreKey> {
        Vec::new()
    }
}

impl Entity for Staged {
    const KIND: &'static str = "payment-staged";

    fn id(&self) -> String {
        self.id.clone()
    }

    fn subject(&self) -> Option<Pinfl> {
        self.entry.person()
    }

    fn keys(&self) -> Vec<StoreKey> {
        vec![StoreKey::plain("attempt", &self.attempt)]
    }
}

/// The entries of a commit; `nth` counts the commits.
pub(super) fn entries_of(commit: &Commit<Document>, nth: u64) -> Vec<Entry> {
    let documents = commit.documents.iter().zip(0_usize..).map(|(document, place)| {
        let id = match document {
            Document::Month(kept) => format!("month/{}", kept.month),
            Document::Line(line) => format!("line/{}", line.id),
            // Ids stand in the clear, and a death is never changed: the id names nobody.
            Document::Death(_) => format!("death/{nth:020}-{place}"),
        };
        Entry::document(document, id)
    });
    let messages = commit.messages.iter().map(Entry::message);
    documents.chain(messages).chain(commit.answered.iter().map(Entry::answered)).collect()
}

/// All entries as one commit.
pub(super) fn commit_of(entries: Vec<Entry>) -> Commit<Document> {
    let (mut documents, mut nameless) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.content {
            Content::Document(document) => documents.push(document),
            Content::Message(message) => nameless.push((entry.id, message)),
            Content::Gone => {}
        }
    }
    let lines = documents.iter().filter_map(|document| match document {
        Document::Line(line) => Some((line.id.clone(), line)),
        _ => None,
    });
    let lines: BTreeMap<LineId, &Line> = lines.collect();
    let named = nameless.into_iter().filter_map(|(id, message)| {
        let named = message.named(&lines);
        if named.is_none() {
            tracing::error!(
                message = id,
                "a line of an unanswered message was erased with its person, so it is not sent; \
                 settle its month with treasury and bank by hand"
            );
        }
        named
    });
    let messages = named.collect();
    Commit { documents, messages, answered: None }
}

impl NamelessMessage {
    fn of(message: &Message) -> Self {
        match message {
            Message::AccountCheck(check) => {
                let skipped = check.part.saturating_sub(1) * LINES_PER_MESSAGE_MAX_COUNT;
                let places = (1..=check.recipients.len()).map(|nth| skipped.saturating_add(nth));
                let lines = places.map(|place| LineId::at(check.month, place)).collect();
                Self::AccountCheck { month: check.month, part: check.part, lines }
            }
            Message::StatementPart(part) => Self::StatementPart {
                statement: part.statement.clone(),
                part: part.part,
                lines: part.lines.iter().map(|line| line.line.clone()).collect(),
            },
            other => Self::Whole(other.clone()),
        }
    }

    /// The message with its people; `None` when a line is no more.
    fn named(self, lines: &BTreeMap<LineId, &Line>) -> Option<Message> {
        let all = |ids: Vec<LineId>| -> Option<Vec<&Line>> {
            ids.iter().map(|id| lines.get(id).copied()).collect()
        };
        match self {
            Self::AccountCheck { month, part, lines } => {
                let lines = all(lines)?;
                Some(Message::AccountCheck(AccountCheck {
                    month,
                    part,
                    recipients: lines.iter().map(|line| line.recipient).collect(),
                    accounts: lines.iter().map(|line| line.account.clone()).collect(),
                }))
            }
            Self::StatementPart { statement, part, lines } => {
                let lines = all(lines)?;
                Some(Message::StatementPart(StatementPart {
                    statement,
                    part,
                    recipients: lines.iter().map(|line| line.recipient).collect(),
                    lines: lines.iter().map(|line| StatementLine::from(*line)).collect(),
                }))
            }
            Self::Whole(message) => Some(message),
        }
    }
}
