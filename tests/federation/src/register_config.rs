//! The register's configuration file.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use crate::agencies::{Agency, PURPOSE, REGISTER, TREASURY};

/// Where the register listens, and the edge of its own hub.
pub(crate) struct RegisterAddresses {
    pub(crate) listen: SocketAddr,
    pub(crate) hub_edge: SocketAddr,
}

/// The text of `register.toml`; the files are those of the register's member.
pub(crate) fn text(addresses: &RegisterAddresses, dir: &Path, agencies: &[Agency]) -> String {
    let RegisterAddresses { listen, hub_edge } = addresses;
    let mut text = format!(
        "# The social register: a member system like any other, calling its own hub over TLS.\n\
         listen = \"{listen}\"\nhub_url = \"https://{hub_edge}\"\nclient = \"{REGISTER}\"\n\
         purpose = \"{PURPOSE}\"\ndeadline_ms = 2000\n\n[tls]\n\
         authorities_file = \"{ca}\"\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\n\n[pages]\n\n\
         [store]\ndirectory = \"{store}\"\n",
        ca = dir.join("authority.pem").display(),
        certificate = dir.join("client.pem").display(),
        key = dir.join("client.key").display(),
        store = dir.join("register-store").display(),
    );
    for agency in agencies.iter().filter(|agency| **agency != TREASURY) {
        let kind = if agency.definition == "bank" { "accounts" } else { agency.definition };
        let wave = if agency.name == "civil-registry" { 1 } else { 2 };
        let (path, body) = agency.ask;
        // Safe because: writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[sources]]\nname = \"{}\"\nservice = \"{}\"\nkind = \"{kind}\"\nwave = {wave}\n\
             path = \"{path}\"\n",
            agency.name,
            agency.service_id(),
        );
        if let Some(body) = body {
            let _ = write!(text, "method = \"POST\"\nbody = '{body}'\n");
        }
    }
    text
}
