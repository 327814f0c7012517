//! The foreign programs: the Go checker, built once, and a Python that has what a script needs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

/// Where Debian's Go libraries lie.
const GO_LIBRARIES: &str = "/usr/share/gocode";
const GO_MISSING: &str = "Go or golang.org/x/mod is missing: run `apt-get install golang-go \
                          golang-golang-x-mod-dev`, or `tests/run`, which does";
const PYTHON_MISSING: &str = "no python3 with the modules that are needed: run `apt-get install \
                              python3 python3-cryptography`, or `tests/run`, which does";

/// The folder of this crate.
#[must_use]
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The number in an environment variable, by which the long form of a test is asked for.
///
/// # Errors
/// When something else stands there.
pub fn asked(variable: &str) -> anyhow::Result<Option<u64>> {
    #[expect(clippy::disallowed_methods, reason = "the long form of a test is asked for so")]
    let text = std::env::var(variable).ok();
    text.map(|text| text.parse().with_context(|| format!("{variable} is no number"))).transpose()
}

/// What a program said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, then standard error.
    pub text: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Self { code: output.status.code(), text }
    }
}

/// Runs a command without input to its end.
///
/// # Errors
/// When it cannot be started.
pub fn run(command: &mut Command) -> anyhow::Result<Said> {
    let output = command.stdin(Stdio::null()).output();
    Ok(Said::of(&output.with_context(|| format!("cannot start {command:?}"))?))
}

/// Runs a command that reads `input` whole before it prints.
///
/// # Errors
/// When it cannot be started, or ends before it has read its input.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> anyhow::Result<Said> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().with_context(|| format!("cannot start {piped:?}"))?;
    // Taken, so that its end is closed here and the program sees the end of its input.
    child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input))?;
    Ok(Said::of(&child.wait_with_output()?))
}

/// The Go program of `go/checklog`.
#[derive(Clone, Debug)]
pub struct Checklog(PathBuf);

impl Checklog {
    /// Builds it below `dir`, where its build cache stays for the next time.
    ///
    /// # Errors
    /// When Go or its library is not installed, with the command that installs them; when it does
    /// not compile.
    pub fn build(dir: &Path) -> anyhow::Result<Self> {
        if !Path::new(GO_LIBRARIES).join("src/golang.org/x/mod/sumdb/tlog").exists() {
            bail!(GO_MISSING);
        }
        let program = dir.join("checklog");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&program).arg(".").current_dir(folder().join("go/checklog"));
        go.env("GO111MODULE", "off").env("GOPATH", GO_LIBRARIES).env("GOFLAGS", "");
        go.env("GOCACHE", dir.join("go-cache")).env("CGO_ENABLED", "0");
        let said = run(&mut go).context(GO_MISSING)?;
        if said.code != Some(0) {
            bail!("checklog does not compile: {}", said.text);
        }
        Ok(Self(program))
    }

    /// A call of it.
    #[must_use]
    pub fn command(&self) -> Command {
        Command::new(&self.0)
    }
}

/// A Python that can import `module`: the one in the path, or Debian's own.
///
/// # Errors
/// When neither can, with the command that installs it.
pub fn python_with(module: &str) -> anyhow::Result<&'static str> {
    for python in ["python3", "/usr/bin/python3"] {
        let import = format!("import {module}");
        let said = run(Command::new(python).args(["-c", &import]));
        if said.is_ok_and(|said| said.code == Some(0)) {
            return Ok(python);
        }
    }
    bail!(PYTHON_MISSING)
}
