//! The sample configurations in `deploy/config` are read by the code that they are samples for.

use std::path::{Path, PathBuf};

use adapter_kit::AdapterConfig;
use hub_central::{CentralConfig, TimestampAuthorityConfig};
use hub_server::HubConfig;
use payments::PaymentPartyConfig;
use register_server::RegisterConfig;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name)
}

#[test]
fn every_sample_is_parsed() {
    let hub = HubConfig::load(&sample("hub.toml")).unwrap();
    assert!(hub_core::policy::Policy::new(&hub.grants).is_ok());
    assert_eq!(CentralConfig::load(&sample("central.toml")).unwrap().keys.threshold, 2);
    assert!(TimestampAuthorityConfig::load(&sample("timestamp-authority.toml")).is_ok());
    assert!(AdapterConfig::load(&sample("adapter.toml")).unwrap().source_url.is_some());
    assert!(RegisterConfig::load(&sample("register.toml")).unwrap().sources.len() >= 8);
    for party in ["treasury.toml", "bank.toml"] {
        assert_eq!(PaymentPartyConfig::load(&sample(party)).unwrap().services.len(), 2);
    }
    // `spdci.toml` names files that are read with it; the test of `spdci` makes them.
    let files = std::fs::read_dir(sample("")).unwrap().count();
    assert_eq!(files, 8, "a sample that this test does not know");
}
