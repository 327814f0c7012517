//! Reads an OpenAPI document and inlines every `$ref`, so that the document stands alone.
//!
//! A reference is `file.json`, `file.json#/pointer` or `#/pointer`, relative to the file it stands
//! in (OpenAPI 3.1 §4.8.23, RFC 6901). References to the network are refused: a contract is what
//! lies on the disk.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::contract::ContractError;
use crate::limits::{FILE_MAX_BYTES, REFERENCE_MAX_DEPTH};

/// Reads the document at `path` with all references inlined.
///
/// # Errors
/// [`ContractError::Read`], [`ContractError::Json`] and [`ContractError::Reference`].
pub(crate) fn bundle(path: &Path) -> Result<Value, ContractError> {
    let file = File::read(path)?;
    file.inline(&file.document, 0)
}

/// A parsed file, to which the references inside it are relative.
struct File {
    path: PathBuf,
    document: Value,
}

impl File {
    fn read(path: &Path) -> Result<Self, ContractError> {
        let text = read_text(path)
            .map_err(|source| ContractError::Read { path: path.to_owned(), source })?;
        let document = serde_json::from_str(&text)
            .map_err(|source| ContractError::Json { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), document })
    }

    fn inline(&self, value: &Value, depth: usize) -> Result<Value, ContractError> {
        match value {
            Value::Object(object) => match object.get("$ref") {
                Some(Value::String(reference)) => self.follow(reference, depth),
                _ => self.inline_object(object, depth),
            },
            Value::Array(items) => {
                items.iter().map(|item| self.inline(item, depth)).collect::<Result<_, _>>()
            }
            scalar => Ok(scalar.clone()),
        }
    }

    fn inline_object(
        &self,
        object: &Map<String, Value>,
        depth: usize,
    ) -> Result<Value, ContractError> {
        // The dialect of an inlined schema is the document's `jsonSchemaDialect`.
        let kept = object.iter().filter(|(name, _)| *name != "$schema" || depth == 0);
        kept.map(|(name, value)| Ok((name.clone(), self.inline(value, depth)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object)
    }

    fn follow(&self, reference: &str, depth: usize) -> Result<Value, ContractError> {
        let refuse = |reason: &'static str| ContractError::Reference {
            path: self.path.clone(),
            reference: reference.to_owned(),
            reason,
        };
        if depth >= REFERENCE_MAX_DEPTH {
            return Err(refuse("references go in a circle"));
        }
        if reference.contains("://") || reference.starts_with('/') {
            return Err(refuse("only files beside the contract can be referred to"));
        }
        let (name, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let missing = || refuse("nothing stands at this place of the file");
        if name.is_empty() {
            let target = self.document.pointer(pointer).ok_or_else(missing)?;
            return self.inline(target, depth + 1);
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let other = Self::read(&folder.join(name))?;
        let target = other.document.pointer(pointer).ok_or_else(missing)?;
        other.inline(target, depth + 1)
    }
}

/// Reads a text file of a definition, at most [`FILE_MAX_BYTES`].
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    let size_bytes = std::fs::metadata(path)?.len();
    if size_bytes > FILE_MAX_BYTES {
        let text = format!("the file has {size_bytes} bytes, at most {FILE_MAX_BYTES} are read");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, text));
    }
    std::fs::read_to_string(path)
}
