//! Looks at files as a thief of the disk would.

use std::fs;
use std::path::{Path, PathBuf};

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// Whether any file below a folder, or its name, holds these bytes.
pub(crate) fn holds(folder: &Path, needle: &str) -> bool {
    let needle = needle.as_bytes();
    files(folder).iter().any(|path| {
        let bytes = fs::read(path).unwrap_or_default();
        let name = path.to_string_lossy();
        [name.as_bytes(), &bytes].iter().any(|hay| hay.windows(needle.len()).any(|w| w == needle))
    })
}

/// Copies a folder as it stands, while it may be written to.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if let Ok(bytes) = fs::read(&path) {
            let _ = fs::write(&target, bytes);
            if let Ok(found) = fs::metadata(&path) {
                let _ = fs::set_permissions(&target, found.permissions());
            }
        }
    }
}
