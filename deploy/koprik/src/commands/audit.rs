//! `koprik audit export|reconcile`: what both sides of exchanges recorded, compared.

mod export;
mod reconcile;

use std::process::ExitCode;

/// The logs of both sides, compared.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Audit {
    /// Write hashes of what a hub recorded of its exchanges with another member: for the other side, or
    /// for an auditor. No person is in it.
    Export(export::Export),
    /// Compare the exports of both sides: exchanges that stand in one only, or differ. Exit code 0:
    /// nothing unexplained; 1: something is; 2: the exports cannot be compared, or exchanges are too new.
    Reconcile(reconcile::Reconcile),
}

impl Audit {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        match self {
            Self::Export(export) => export.run(json).await.map(|()| ExitCode::SUCCESS),
            Self::Reconcile(reconcile) => Ok(reconcile.run(json)),
        }
    }
}
