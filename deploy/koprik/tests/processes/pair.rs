//! Two hubs with what they need, each server its own process.
//!
//! ```text
//! caller → hub register → hub tax → adapter tax        central server beside them
//! ```

use federation::agencies::{Agency, REGISTER};
use federation::layout::REGISTER_HUB;
use federation::{Answer, Caller, Federation, Layout, Options, lay_out};
use schemas::clock::Clock;

use super::{Server, eventually, koprik, printed};

const TAX: &str = "UZ/GOV/TAX/tax/tax";
const INCOME: &str = "/persons/31505850010011/income?from=2025-12&to=2026-02";

/// The consumer's hub, the provider's, a source behind it.
pub(crate) struct Pair {
    pub(crate) layout: Layout,
    pub(crate) central: Option<Server>,
    pub(crate) adapter: Option<Server>,
    pub(crate) consumer: Option<Server>,
    pub(crate) provider: Option<Server>,
    pub(crate) caller: Caller,
    _dir: tempfile::TempDir,
}

impl Pair {
    /// Starts them, and waits until an exchange is answered.
    pub(crate) async fn start() -> Self {
        Self::start_after(|_| ()).await
    }

    /// As [`Pair::start`], with something done to what is laid out before it starts.
    pub(crate) async fn start_after(prepare: impl FnOnce(&Layout)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::machine();
        let agencies = vec![Agency::named("tax").unwrap()];
        let options = Options { agencies, refresh_seconds: 1, ..Options::all(clock.now()) };
        let layout = lay_out(dir.path(), &options).unwrap();
        Federation::new(layout.clone(), clock).seed().await.unwrap();
        prepare(&layout);
        let hub = |name: &str| Some(Server::start("hub", &layout.hubs[name].config));
        let pair = Self {
            central: Some(Server::start("central", &layout.central.0)),
            adapter: Some(Server::start("adapter", &layout.adapters["tax"].0)),
            consumer: hub(REGISTER_HUB),
            provider: hub("tax"),
            caller: Caller::new(layout.hubs[REGISTER_HUB].edge_plain, REGISTER),
            layout,
            _dir: dir,
        };
        pair.answered().await;
        pair
    }

    /// One call.
    pub(crate) async fn call(&self) -> anyhow::Result<Answer> {
        ask(&self.caller).await
    }

    /// Waits for an answer of the source; gives its exchange.
    pub(crate) async fn answered(&self) -> String {
        let good = || async { self.call().await.is_ok_and(|answer| answer.status == 200) };
        eventually("an exchange is answered", good).await;
        self.call().await.unwrap().exchange().unwrap().to_owned()
    }

    /// Waits until calls are refused with a code.
    pub(crate) async fn refused_with(&self, code: &str) {
        let refused = || async {
            let answer = self.call().await;
            answer.is_ok_and(|answer| answer.problem().is_some_and(|problem| problem.kind == code))
        };
        eventually(code, refused).await;
    }

    /// The kinds of the records of an exchange in a hub's log.
    pub(crate) fn records(&self, hub: &str, exchange: &str) -> Vec<String> {
        let config = self.layout.hubs[hub].config.display().to_string();
        let asked = ["--json", "log", "show", "--config", &config, "--exchange", exchange];
        let shown = printed(&koprik(&asked));
        let records = shown["records"].as_array().unwrap().clone();
        let mut kinds: Vec<String> = records
            .iter()
            .map(|found| found["record"]["kind"].as_str().unwrap().to_owned())
            .collect();
        kinds.reverse();
        kinds
    }
}

/// One call of a caller.
pub(crate) async fn ask(caller: &Caller) -> anyhow::Result<Answer> {
    caller.get(TAX, INCOME).await
}
