//! A PostgreSQL server for one test: made in a temporary folder, reached over a Unix socket there,
//! ended when dropped, also after a panic. PostgreSQL refuses to run as root, so root runs it as
//! the user `postgres`.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const INSTALL: &str = "PostgreSQL is missing: run `apt-get install -y postgresql`";

/// A running server.
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: TempDir,
}

impl Postgres {
    /// Makes and starts a server; returns when it accepts connections.
    pub(crate) fn start() -> Self {
        let programs = programs().expect(INSTALL);
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        if let Some((user, group)) = other_user() {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let server = Self { programs, folder };
        server.run("initdb", &["-D", "data", "-U", "postgres", "-A", "trust", "--no-sync"]);
        let options =
            format!("-k {} -c listen_addresses='' -c fsync=off", server.folder.path().display());
        server.run("pg_ctl", &["-D", "data", "-l", "log", "-w", "-o", &options, "start"]);
        server
    }

    /// Makes a database and gives its URL.
    pub(crate) fn database(&self, name: &str) -> String {
        let socket = self.folder.path().display().to_string();
        self.run("createdb", &["-h", &socket, "-U", "postgres", name]);
        format!("postgres://postgres@localhost/{name}?host={socket}")
    }

    /// Ends the server at once, as a power cut would.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["-D", "data", "-m", "immediate", "-w", "stop"]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = command(&self.programs.join(program), arguments, self.folder.path());
        assert!(
            output.status.success(),
            "{program} failed: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let arguments = ["-D", "data", "-m", "immediate", "-w", "stop"];
        // Already stopped is as good.
        command(&self.programs.join("pg_ctl"), &arguments, self.folder.path());
    }
}

/// Runs a program and waits. The outputs go to files: a server that `pg_ctl` starts keeps them
/// open, so a pipe would never end.
fn command(program: &Path, arguments: &[&str], folder: &Path) -> Output {
    let (out, err) =
        (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("LC_ALL", "C");
    command.stdout(out.reopen().unwrap()).stderr(err.reopen().unwrap());
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
    let status = command.status().expect(INSTALL);
    let read = |file: &tempfile::NamedTempFile| std::fs::read(file.path()).unwrap_or_default();
    Output { status, stdout: read(&out), stderr: read(&err) }
}

/// User and group of `postgres` when this process is root.
fn other_user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> u32 {
        let output =
            Command::new("id").args(arguments).output().expect("the program `id` is missing");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect(INSTALL)
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

/// The folder of the newest installed server.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    let whole = folders.filter(|folder| folder.join("initdb").exists());
    whole.max_by_key(|folder| {
        let version = folder.parent().and_then(|version| version.file_name());
        version.and_then(|version| version.to_str()?.parse::<u32>().ok())
    })
}
