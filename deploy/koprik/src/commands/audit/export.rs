//! `koprik audit export`: from a hub that runs, or from its log's directory.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use hub_server::reconcile::{Asked, export_stopped};
use schemas::clock::{Clock, UnixMillis};
use schemas::identifier::{MemberId, ServerId};
use schemas::reconcile::Between;
use serde_json::json;

use crate::ask::Admin;
use crate::output;

/// An export for reconciliation.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// The configuration file of a hub that runs; taking the export is recorded there.
    #[arg(long, value_name = "FILE", required_unless_present = "dir")]
    config: Option<PathBuf>,
    /// The log's directory instead, `log` below the hub's `data_dir`, or a copy. Its hub must be stopped.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    dir: Option<PathBuf>,
    /// The member whose exchanges these are; the hub's owner when left out.
    #[arg(long, value_name = "ID")]
    member: Option<MemberId>,
    /// The member on the other side.
    #[arg(long, value_name = "ID")]
    peer: MemberId,
    /// First moment of the period, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// End of the period, RFC 3339; not part of it.
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Where the export goes.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

impl Export {
    pub(super) async fn run(self, json: bool) -> anyhow::Result<()> {
        let moment = |text: &str| {
            UnixMillis::from_rfc3339(text).with_context(|| format!("{text} is not RFC 3339"))
        };
        let (from, to) = (moment(&self.from)?, moment(&self.to)?);
        ensure!(from < to, "--from must lie before --to");
        let file = File::create(&self.output);
        let file = file.with_context(|| format!("cannot write {}", self.output.display()))?;
        let mut file = BufWriter::new(file);
        match (&self.dir, &self.config) {
            (Some(dir), _) => {
                let origin = origin(dir)?;
                let member = match self.member {
                    Some(member) => member,
                    None => owner(&origin).context("--member is needed: the log names no owner")?,
                };
                let asked = Asked { between: Between { member, peer: self.peer }, from, to };
                export_stopped(dir, &origin, Clock::machine().now(), asked, &mut file)?;
            }
            (None, config) => {
                let admin = Admin::of(config.as_deref().context("give --config or --dir")?)?;
                let (from, to) = (from.to_rfc3339(), to.to_rfc3339());
                let mut query = format!("/v1/reconcile?from={from}&to={to}");
                let members = [("peer", Some(self.peer)), ("member", self.member)];
                for (name, member) in members {
                    if let Some(member) = member {
                        query.push_str(&format!("&{name}={}", in_query(member.as_str())));
                    }
                }
                admin.download(&query, &mut file).await?;
            }
        }
        let shown = self.output.display().to_string();
        output::print(json, &json!({ "file": shown }), || format!("export written to {shown}"))?;
        Ok(())
    }
}

/// An identifier as a query's value.
fn in_query(id: &str) -> String {
    id.replace('%', "%25").replace('&', "%26").replace('+', "%2B")
}

/// The log's name, from its checkpoint.
fn origin(dir: &Path) -> anyhow::Result<String> {
    let path = dir.join("tlog/checkpoint");
    let cannot = || format!("cannot read {}; is it a log's directory?", path.display());
    let note = std::fs::read_to_string(&path).with_context(cannot)?;
    Ok(note.lines().next().unwrap_or_default().to_owned())
}

/// The owner of the server whose log it is.
fn owner(origin: &str) -> Option<MemberId> {
    let server: ServerId = origin.strip_prefix("koprik/")?.parse().ok()?;
    Some(server.owner())
}
