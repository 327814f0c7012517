//! The adapters' definitions, contracts and schemas, carried in the binary, so that a demo runs from anywhere.

use std::path::Path;

use include_dir::{Dir, include_dir};

static ADAPTERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../adapters");
static CONTRACTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../schemas/openapi");
static SCHEMAS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../schemas/json");

/// Writes `adapters/` (definitions, tables and seeds) and `schemas/` below `dir`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path) -> std::io::Result<()> {
    for folder in ADAPTERS.dirs() {
        let own = |file: &&include_dir::File<'_>| {
            file.path().extension().is_some_and(|kind| kind == "toml" || kind == "sql")
                && file.path().file_name().is_some_and(|name| name != "Cargo.toml")
        };
        for file in folder.files().filter(own) {
            write_file(&dir.join("adapters").join(file.path()), file.contents())?;
        }
    }
    for (name, folder) in [("openapi", &CONTRACTS), ("json", &SCHEMAS)] {
        write_folder(&dir.join("schemas").join(name), folder)?;
    }
    Ok(())
}

fn write_folder(target: &Path, folder: &Dir<'_>) -> std::io::Result<()> {
    for file in folder.files() {
        write_file(&target.join(file.path()), file.contents())?;
    }
    folder.dirs().try_for_each(|inner| write_folder(target, inner))
}

fn write_file(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, contents)
}
