//! The store of a test: embedded, in a folder of its own.

use std::path::Path;

/// The section `[store]` for a folder; the same folder is the same store again.
pub(crate) fn section(folder: &Path) -> String {
    format!("[store]\ndirectory = \"{}\"\n", folder.display())
}
