//! What lies on the disk of an embedded store.

use tempfile::TempDir;

use crate::applications::Office;
use crate::sample::{FATHER, MOTHER, Sample};

#[tokio::test]
async fn nothing_of_an_application_lies_readable_on_the_disk() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let office = Office::open(Sample::worked_example(), folder.path(), "2026-03-02").await;
    office.register(FATHER, "2026-03-02").await;
    drop(office);
    let mut left = vec![folder.path().to_owned()];
    let mut files = 0;
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        for secret in [FATHER, MOTHER, "Paxta LLC", "civil-registry"] {
            let secret = secret.as_bytes();
            assert!(!bytes.windows(secret.len()).any(|w| w == secret), "{path:?}");
        }
    }
    assert!(files > 4);
}
