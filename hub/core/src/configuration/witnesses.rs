//! The witnesses that a configuration lists, and what is wrong with a list of them.

use std::collections::HashSet;

use schemas::configuration::{Content, GlobalConfiguration, Witness};
use schemas::identifier::ServerId;
use schemas::limits::{CONFIGURATION_MAX_BYTES, WITNESSES_MAX_COUNT};
use schemas::tlog::policy::own_witness_name;
use schemas::tlog::{Note, NoteVerifier, WitnessPolicy, WitnessVerifier};

/// A witness, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedWitness {
    /// Verifies its cosignatures.
    pub verifier: WitnessVerifier,
    /// Where it is asked.
    pub place: WitnessPlace,
}

/// Where a witness is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessPlace {
    /// At the address of a security server.
    Server(ServerId),
    /// At a submission prefix.
    Url(String),
}

/// The witnesses of a content; `check_content` has found them good.
pub(super) fn listed(content: &Content) -> Vec<ListedWitness> {
    content.witnesses.iter().filter_map(|witness| read(witness).ok()).collect()
}

/// Whose cosignatures count for a log under a configuration, for those who hold its note and have verified it
/// before; `None` when it cannot be read.
#[must_use]
pub fn witness_policy_in(configuration: &str, origin: &str) -> Option<WitnessPolicy> {
    let note = Note::parse_up_to(CONFIGURATION_MAX_BYTES, configuration).ok()?;
    let document: GlobalConfiguration = serde_json::from_str(note.text()).ok()?;
    let listed = listed(&document.content);
    let verifiers = listed.iter().map(|witness| &witness.verifier);
    Some(WitnessPolicy::for_log(verifiers, document.content.witness_quorum, origin))
}

fn read(witness: &Witness) -> Result<ListedWitness, String> {
    let verifier = witness.key.parse::<WitnessVerifier>().map_err(|refused| refused.to_string())?;
    let place = match (&witness.server, &witness.url) {
        (Some(server), None) => WitnessPlace::Server(server.clone()),
        (None, Some(url)) => {
            let parsed = url.parse::<http::Uri>();
            let good = parsed.is_ok_and(|url| {
                url.scheme_str() == Some("http") && url.host().is_some() && url.query().is_none()
            });
            if !good || url.ends_with('/') {
                let text = "its url is not `http://host[:port]/path` without a slash at its end; \
                            cosignatures are signed and need no TLS: correct it";
                return Err(text.to_owned());
            }
            WitnessPlace::Url(url.clone())
        }
        _ => return Err("it has not exactly one of server and url; give one".to_owned()),
    };
    Ok(ListedWitness { verifier, place })
}

/// Everything that is wrong with the witnesses, a sentence each.
pub(super) fn faults(content: &Content) -> Vec<String> {
    let mut faults = Vec::new();
    let (count, quorum) = (content.witnesses.len(), content.witness_quorum);
    if count > WITNESSES_MAX_COUNT {
        faults.push(format!("there are more than {WITNESSES_MAX_COUNT} witnesses; remove some"));
    }
    if quorum > count || (quorum == 0) != (count == 0) {
        faults.push(format!(
            "witness_quorum is {quorum} of {count} witnesses; it lies between 1 and their number"
        ));
    }
    let logs = log_keys(content);
    let (mut names, mut keys) = (HashSet::new(), HashSet::new());
    for witness in &content.witnesses {
        let listed = match read(witness) {
            Ok(listed) => listed,
            Err(refused) => {
                faults.push(format!("witness {}: {refused}", witness.key));
                continue;
            }
        };
        let (name, key) = (listed.verifier.name().to_owned(), *listed.verifier.public_key());
        if !keys.insert(key) || logs.iter().any(|log| *log.public_key() == key) {
            faults.push(format!("witness {name}: its key is used twice; make it a key of its own"));
        }
        if let WitnessPlace::Server(server) = &listed.place {
            faults.extend(server_faults(content, server, &name));
        }
        // A server's witness may be in the quorum of any log but its own.
        if quorum >= count && logs.iter().any(|log| own_witness_name(log.name()) == name) {
            faults.push(format!(
                "witness {name} does not count for its own log, which so has {} and needs {quorum}; \
                 lower witness_quorum or list another witness",
                count.saturating_sub(1)
            ));
        }
        if !names.insert(name.clone()) {
            faults.push(format!("witness {name} is listed twice; remove one"));
        }
    }
    faults
}

/// A witness that is a security server is known by its log, so that it does not count for that.
fn server_faults(content: &Content, id: &ServerId, name: &str) -> Option<String> {
    let Some(server) = content.servers.iter().find(|server| server.id == *id) else {
        return Some(format!("witness {name}: security server {id} is not listed; list it"));
    };
    let log = server.log_key.parse::<NoteVerifier>().ok()?;
    let expected = own_witness_name(log.name());
    let text = || format!("witness {name}: the witness of server {id} has the name {expected}");
    (name != expected).then(|| text() + "; correct its key")
}

fn log_keys(content: &Content) -> Vec<NoteVerifier> {
    let servers = content.servers.iter().map(|server| &server.log_key);
    servers.chain(&content.central_log).filter_map(|text| text.parse().ok()).collect()
}
