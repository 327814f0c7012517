//! The checkpoint of an evidence file: signed by its log, cosigned by witnesses of the configuration.

use schemas::identifier::ServerId;
use schemas::tlog::{Checkpoint, Cosigned, Note, NoteVerifier};

use crate::configuration::ConfigurationInForce;

/// A checkpoint that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The security server whose log it is of.
    pub server: ServerId,
    /// That log's key.
    pub log: NoteVerifier,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Who has cosigned it, enough or not.
    pub cosigned: Cosigned,
}

/// Verifies a checkpoint by the keys of a configuration. Its signatures have one order: the log's own, then
/// those of witnesses that count for this log, in the configuration's order, each once. No other line may be
/// there, since nobody could say whether it was changed.
///
/// # Errors
/// The reason in words.
pub fn check(note: &str, configuration: &ConfigurationInForce) -> Result<Witnessed, String> {
    let parsed = Note::parse(note).map_err(|error| error.to_string())?;
    let first = parsed.signatures().first().ok_or("the checkpoint has no signature")?;
    let servers = &configuration.document().content.servers;
    let found = servers.iter().find_map(|server| {
        let key: NoteVerifier = server.log_key.parse().ok()?;
        (key.name() == first.name() && key.key_id() == first.key_id()).then_some((server, key))
    });
    let (server, key) = found.ok_or("no security server of the configuration has this log")?;
    let checkpoint = Checkpoint::open(note, key.name(), &key).map_err(|error| error.to_string())?;
    let policy = configuration.witness_policy(key.name());
    if policy.keep(&parsed, &key).as_ref() != Ok(&parsed) {
        let text = "after the log's own signature stands one that is not, in the configuration's \
                    order, of a witness that counts for this log";
        return Err(text.to_owned());
    }
    let cosigned = policy.check(&parsed).map_err(|error| error.to_string())?;
    Ok(Witnessed { server: server.id.clone(), log: key, checkpoint, cosigned })
}

/// What stays unproved about other versions of the log.
pub(crate) fn not_proved(cosigned: &Cosigned) -> String {
    let what = "that nobody was shown another version of the log";
    let (by, quorum) = (cosigned.by.len(), cosigned.quorum);
    match by {
        _ if cosigned.reached() => format!("{what}, should the witnesses have helped its operator"),
        0 => format!("{what}: no witness has cosigned"),
        _ => format!("{what}: {by} of the {quorum} witnesses that are needed have cosigned"),
    }
}
