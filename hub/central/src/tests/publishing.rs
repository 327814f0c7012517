//! What is published, when, and what is refused.

use schemas::digest::Sha256;
use schemas::tlog::tile::entries_of;
use schemas::tlog::{Checkpoint, Note};

use super::*;

#[tokio::test]
async fn first_version_is_published_and_later_ones_follow_in_a_chain() {
    let site = Site::new();
    let central = site.start().await;
    let first = newcomer(&central, &site.clock).await;
    assert_eq!(first.in_force.version(), 1);

    let posted = post(&central, &content(&["benefit"])).await;
    assert_eq!(posted.status, StatusCode::OK, "{}", posted.text());
    let note = get(&central, "/v1/configuration/2").await.text();
    let second = first.trusted.accept(&note, site.clock.now()).unwrap();
    assert!(second.in_force.purpose("benefit").is_some());
    assert_eq!(get(&central, "/v1/configuration").await.text(), note);
    // The same content again is no new version.
    assert_eq!(post(&central, &content(&["benefit"])).await.status, StatusCode::OK);
    assert_eq!(newcomer(&central, &site.clock).await.in_force.version(), 2);
    central.stop().await;
}

#[tokio::test]
async fn unchanged_configuration_is_not_sent_again() {
    let site = Site::new();
    let central = site.start().await;
    let first = get(&central, "/v1/configuration").await;
    let tag = first.tag.unwrap();
    for held in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let again = get_unless(&central, "/v1/configuration", Some(&held)).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{held}");
    }
    post(&central, &content(&["benefit"])).await;
    let changed = get_unless(&central, "/v1/configuration", Some(&tag)).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.tag, Some(tag));
    central.stop().await;
}

#[tokio::test]
async fn edited_content_file_is_published_and_a_broken_one_leaves_the_last_good() {
    let site = Site::new();
    site.write_content(&json(&content(&["first"])));
    let central = site.start().await;
    let first = newcomer(&central, &site.clock).await;
    assert!(first.in_force.purpose("first").is_some());

    for broken in ["{ not json", &json(&content(&["twice", "twice"]))] {
        site.write_content(broken);
        health(&central, |report| report["fault"].is_string() && report["ready"] == true).await;
        let held = newcomer(&central, &site.clock).await;
        assert_eq!(held.in_force.hash(), first.in_force.hash());
        site.write_content(&json(&content(&["first"])));
        health(&central, |report| report["fault"].is_null()).await;
    }
    site.write_content(&json(&content(&["second"])));
    version_served(&central, 2).await;
    fs::remove_file(&site.config.content_file).unwrap();
    site.clock.advance(12 * HOUR);
    version_served(&central, 3).await;
    assert!(newcomer(&central, &site.clock).await.in_force.purpose("second").is_some());
    central.stop().await;
}

#[tokio::test]
async fn version_is_signed_again_when_half_its_validity_has_passed() {
    let site = Site::new();
    let central = site.start().await;
    let first = newcomer(&central, &site.clock).await;
    site.clock.advance(12 * HOUR - Duration::from_millis(1));
    assert_eq!(post(&central, &content(&[])).await.status, StatusCode::OK);
    assert_eq!(newcomer(&central, &site.clock).await.in_force.version(), 1);
    site.clock.advance(Duration::from_millis(1));
    version_served(&central, 2).await;
    let note = get(&central, "/v1/configuration/2").await.text();
    let second = first.trusted.accept(&note, site.clock.now()).unwrap().in_force;
    assert_eq!(second.document().expires, site.clock.now().plus(24 * HOUR));
    assert_eq!(second.document().content, first.in_force.document().content);
    central.stop().await;
}

#[tokio::test]
async fn refused_content_is_answered_with_its_faults_and_changes_nothing() {
    let site = Site::new();
    let central = site.start().await;
    let refused = post(&central, &content(&["twice", "twice"])).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("purpose twice is listed twice"), "{}", refused.text());
    assert!(!site.config.content_file.exists());
    assert_eq!(newcomer(&central, &site.clock).await.in_force.version(), 1);
    let address = format!("http://{}/admin/v1/content", central.admin_address);
    // A form of a foreign web page does not come through: it is not `application/json`.
    let form = send(Request::post(address).body(Full::from(json(&content(&["x"])))).unwrap()).await;
    assert_eq!(form.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(form.text().contains("central server: the content is not readable"), "{}", form.text());
    // The administrator's door is not on the public listener.
    assert_eq!(get(&central, "/admin/v1/content").await.status, StatusCode::NOT_FOUND);
    central.stop().await;
}

#[tokio::test]
async fn toml_content_is_published_but_not_overwritten() {
    let mut site = Site::new();
    site.config.content_file = site.path("content.toml");
    site.write_content(&toml::to_string(&content(&["benefit"])).unwrap());
    let central = site.start().await;
    assert!(newcomer(&central, &site.clock).await.in_force.purpose("benefit").is_some());
    let refused = post(&central, &content(&["other"])).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("edit that file"), "{}", refused.text());
    central.stop().await;
}

#[tokio::test]
async fn every_version_is_an_entry_of_the_log() {
    let site = Site::new();
    let central = site.start().await;
    post(&central, &content(&["benefit"])).await;
    let newest = newcomer(&central, &site.clock).await.in_force;
    let key = newest.log_key("koprik/UZ/central").unwrap().clone();
    let size = tokio::time::timeout(DEADLINE, async {
        loop {
            let note = Note::parse(&get(&central, "/log/checkpoint").await.text()).unwrap();
            key.verify(&note).unwrap();
            let checkpoint: Checkpoint = note.text().parse().unwrap();
            if checkpoint.size == 2 {
                return checkpoint.size;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(size.await, Ok(2));
    let bundle = get(&central, "/log/tile/entries/000.p/2").await;
    let entries = entries_of(&bundle.body).unwrap();
    let served =
        [get(&central, "/v1/configuration/1").await, get(&central, "/v1/configuration/2").await];
    for (at, (entry, note)) in entries.iter().zip(&served).enumerate() {
        let hash = Sha256::of(note.text().split('\n').next().unwrap().as_bytes());
        let version = at + 1;
        let leaf =
            format!(r#"{{"configuration":"{hash}","issued":{},"version":{version}}}"#, NOW.0);
        assert_eq!(str::from_utf8(entry).unwrap(), leaf);
        let value: serde_json::Value = serde_json::from_slice(entry).unwrap();
        assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), leaf, "is canonical");
    }
    assert_eq!(entries.len(), 2);
    central.stop().await;
}

#[tokio::test]
async fn paths_that_name_nothing_are_not_found() {
    let site = Site::new();
    let central = site.start().await;
    for path in [
        "/v1/configuration/0",
        "/v1/configuration/2",
        "/log/tile/0/999",
        "/log/../versions/0000000001.note",
        "/log/tile/%2e%2e/%2e%2e/versions/0000000001.note",
        "/log/segments/0",
        "/",
    ] {
        assert_eq!(get(&central, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let anchor = get(&central, "/v1/anchor").await.body;
    let anchor: schemas::configuration::Anchor = serde_json::from_slice(&anchor).unwrap();
    assert_eq!(anchor, central.anchor);
    assert_eq!(anchor.central, [format!("http://{}", central.address)]);
    central.stop().await;
}
