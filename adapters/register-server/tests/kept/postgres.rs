//! The store of a test: a database of its own on a PostgreSQL server that tests of one time share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use crate::postgres::Postgres;

/// The server, as long as a test holds it.
static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

/// The server, and the address of each folder's database.
type Held = (Arc<Postgres>, BTreeMap<PathBuf, String>);

thread_local! {
    /// What the test of this thread holds. A test's own thread ends with it, so the last one ends
    /// the server.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// The section `[store]` for a folder; the same folder is the same store again.
pub(crate) fn section(folder: &Path) -> String {
    std::fs::create_dir_all(folder).unwrap();
    let url = HELD.with_borrow_mut(|held| {
        let (server, databases) = held.get_or_insert_with(|| (server(), BTreeMap::new()));
        let new = || server.database(&format!("kept_{}", uuid::Uuid::new_v4().simple()));
        databases.entry(folder.to_owned()).or_insert_with(new).clone()
    });
    let key = folder.join("store.key");
    format!("[store]\npostgres = \"{url}\"\nkey_file = \"{}\"\n", key.display())
}

fn server() -> Arc<Postgres> {
    let mut running = SERVER.lock().unwrap();
    running.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Postgres::start());
        *running = Arc::downgrade(&server);
        server
    })
}
