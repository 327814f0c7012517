//! What a start makes of what is on the disk: the crash table, rotated keys, damaged stores.

use std::sync::Arc;

use hub_core::configuration::{ConfigurationRefusal, sign};
use pki::signer::NoteKey;
use schemas::configuration::GlobalConfiguration;
use schemas::tlog::NoteSigner;

use super::*;

impl Site {
    /// Puts a version after the held one into the store, as a crash before the log leaves it.
    fn store_next(&self, held: &Accepted) -> String {
        let document = held.in_force.document();
        let next = GlobalConfiguration {
            version: document.version + 1,
            previous: held.trusted.hash(),
            content: Content {
                purposes: content(&["stored"]).purposes,
                ..document.content.clone()
            },
            ..document.clone()
        };
        let key = NoteKey::load("UZ/configuration/old", &self.path("old.pem")).unwrap();
        let signers: [Arc<dyn NoteSigner>; 1] = [Arc::new(key)];
        let note = sign(&next, &signers).unwrap();
        fs::write(self.version_file(next.version), &note).unwrap();
        note
    }

    fn version_file(&self, version: u64) -> PathBuf {
        self.path("data").join("versions").join(format!("{version:010}.note"))
    }
}

#[tokio::test]
async fn restart_continues_the_chain_and_signs_nothing_without_need() {
    let site = Site::new();
    let central = site.start().await;
    post(&central, &content(&["benefit"])).await;
    let held = newcomer(&central, &site.clock).await;
    central.stop().await;

    let central = site.start().await;
    assert_eq!(newcomer(&central, &site.clock).await.in_force.hash(), held.in_force.hash());
    post(&central, &content(&["other"])).await;
    let note = get(&central, "/v1/configuration").await.text();
    assert_eq!(held.trusted.accept(&note, site.clock.now()).unwrap().in_force.version(), 3);
    central.stop().await;
}

#[tokio::test]
async fn version_stored_before_a_crash_is_logged_and_served_as_it_was_signed() {
    let site = Site::new();
    let central = site.start().await;
    let held = newcomer(&central, &site.clock).await;
    central.stop().await;
    let note = site.store_next(&held);
    fs::write(site.version_file(3).with_extension("note.tmp"), "half a ver").unwrap();

    let central = site.start().await;
    assert_eq!(get(&central, "/v1/configuration/2").await.text(), note);
    health(&central, |report| report["log_entries"] == 2).await;
    central.stop().await;
}

#[tokio::test]
async fn stores_that_do_not_belong_together_are_refused() {
    let site = Site::new();
    let central = site.start().await;
    let first = newcomer(&central, &site.clock).await;
    post(&central, &content(&["benefit"])).await;
    let second = newcomer(&central, &site.clock).await;
    central.stop().await;

    // The newest version is lost, which the log knows.
    let lost = fs::read(site.version_file(2)).unwrap();
    fs::remove_file(site.version_file(2)).unwrap();
    let refused = site.try_start().await.unwrap_err();
    assert!(matches!(refused, CentralError::LogMismatch { versions: 1, logged: 2 }), "{refused}");
    // Another version 2, with good signatures, stands in its place.
    site.store_next(&first);
    assert!(matches!(site.try_start().await, Err(CentralError::LogMismatch { .. })));
    // One changed byte.
    let text = String::from_utf8(lost.clone()).unwrap();
    fs::write(site.version_file(2), text.replace("\"benefit\"", "\"benefir\"")).unwrap();
    let refused = site.try_start().await.unwrap_err();
    let CentralError::Chain { version: 2, cause } = refused else { panic!("{refused}") };
    assert!(matches!(cause, ConfigurationRefusal::Malformed { .. }), "{cause}");
    // As it was.
    fs::write(site.version_file(2), lost).unwrap();
    let central = site.start().await;
    assert_eq!(newcomer(&central, &site.clock).await.in_force.hash(), second.in_force.hash());
    central.stop().await;
}

#[tokio::test]
async fn keys_rotate_while_the_old_ones_still_sign() {
    let mut site = Site::new();
    let central = site.start().await;
    let held = newcomer(&central, &site.clock).await;
    central.stop().await;

    // The old key is gone at once: hubs would refuse, so nothing is published; the old version
    // stays.
    let old = site.config.keys.signing.clone();
    site.config.keys.signing = vec![key_file("UZ/configuration/new", site.path("new.pem"))];
    let central = site.start().await;
    health(&central, |report| report["fault"].is_string() && report["version"] == 1).await;
    central.stop().await;

    site.config.keys.retiring = old;
    let central = site.start().await;
    let note = get(&central, "/v1/configuration").await.text();
    let rotated = held.trusted.accept(&note, site.clock.now()).unwrap();
    assert_eq!(rotated.in_force.document().keys, central.anchor.keys);
    central.stop().await;

    site.config.keys.retiring.clear();
    let central = site.start().await;
    post(&central, &content(&["benefit"])).await;
    let note = get(&central, "/v1/configuration").await.text();
    assert!(rotated.trusted.accept(&note, site.clock.now()).is_ok());
    central.stop().await;
}

#[tokio::test]
async fn first_start_with_a_broken_content_publishes_nothing() {
    let site = Site::new();
    site.write_content("{ not json");
    assert!(matches!(site.try_start().await, Err(CentralError::ContentText(_))));
    assert!(!site.version_file(1).exists());
    site.write_content(&json(&content(&["benefit"])));
    let central = site.start().await;
    assert_eq!(newcomer(&central, &site.clock).await.in_force.version(), 1);
    central.stop().await;
}

#[tokio::test]
async fn unsafe_configuration_is_refused_before_anything_listens() {
    let mut site = Site::new();
    site.config.admin_listen = "0.0.0.0:0".parse().unwrap();
    let refused = site.try_start().await.unwrap_err().to_string();
    assert!(refused.contains("loopback"), "{refused}");

    let mut site = Site::new();
    site.config.keys.threshold = 2;
    assert!(matches!(site.try_start().await, Err(CentralError::Config(_))));

    let site = Site::new();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(site.path("old.pem"), mode).unwrap();
    let refused = site.try_start().await.unwrap_err().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");

    assert!(CentralConfig::from_toml("instance = \"UZ\"\nodd = 1").is_err());
}
