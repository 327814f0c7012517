//! The comparison: two nginx in a row with the hubs' certificates, mutual TLS 1.3 and keep-alive
//! on every leg, no signature and no log.
//!
//! ```text
//! caller ──mTLS──► nginx A ──mTLS──► nginx B ──HTTP──► source
//! ```

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use federation::layout::HubPlace;
use schemas::clock::Clock;

use crate::process::Process;

/// Both nginx, running.
pub struct Nginx {
    /// Where callers connect.
    pub edge: SocketAddr,
    /// A and B.
    pub processes: [Process; 2],
}

/// What one nginx does.
struct Hop<'a> {
    name: &'static str,
    listen: SocketAddr,
    /// Certificate and key that it shows to whoever connects, names without ending.
    shown: &'static str,
    /// The hub whose certificates it uses.
    hub: &'a HubPlace,
    next: SocketAddr,
    location: String,
}

impl Nginx {
    /// Writes both configurations to `dir`, starts both and waits until they listen.
    ///
    /// # Errors
    /// When nginx is missing or does not start.
    pub fn start(
        dir: &Path,
        hubs: [&HubPlace; 2],
        prefix: &str,
        source: SocketAddr,
    ) -> anyhow::Result<Self> {
        let program = program()?;
        let [a, b] = hubs;
        let [edge, inner] = [free_address()?, free_address()?];
        let to_b = format!(
            "location / {{ proxy_pass https://next; proxy_ssl_verify on; proxy_ssl_name localhost;\n      \
             proxy_ssl_protocols TLSv1.3; proxy_ssl_certificate {dir}/peer.pem;\n      \
             proxy_ssl_certificate_key {dir}/peer.key;\n      \
             proxy_ssl_trusted_certificate {dir}/authority.pem; }}",
            dir = a.dir.display(),
        );
        let to_source = format!("location {prefix}/ {{ proxy_pass http://next/; }}");
        let first =
            Hop { name: "a", listen: edge, shown: "edge", hub: a, next: inner, location: to_b };
        let second = Hop {
            name: "b",
            listen: inner,
            shown: "peer",
            hub: b,
            next: source,
            location: to_source,
        };
        let second = second.start(&program, dir)?;
        Ok(Self { edge, processes: [first.start(&program, dir)?, second] })
    }
}

impl Hop<'_> {
    fn start(&self, program: &Path, dir: &Path) -> anyhow::Result<Process> {
        let dir = dir.join(format!("nginx-{}", self.name));
        fs::create_dir_all(&dir)?;
        let file = dir.join("nginx.conf");
        fs::write(&file, self.configuration(&dir))?;
        let command = || {
            let mut command = Command::new(program);
            command.arg("-c").arg(&file).arg("-p").arg(&dir).arg("-e").arg(dir.join("error.log"));
            command
        };
        let mut stop = command();
        stop.args(["-s", "stop"]);
        let name = format!("nginx {}", self.name);
        let mut process = Process::foreign(&name, &mut command(), stop)?;
        let watch = Clock::machine().stopwatch();
        while TcpStream::connect(self.listen).is_err() {
            let log = || fs::read_to_string(dir.join("error.log")).unwrap_or_default();
            process.runs().with_context(log)?;
            if watch.elapsed() > Duration::from_secs(5) {
                bail!("{name} does not listen on {}: {}", self.listen, log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(process)
    }

    fn configuration(&self, dir: &Path) -> String {
        let Self { listen, shown, next, location, .. } = self;
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("  {kind}_temp_path {};\n", dir.join(kind).display()))
            .concat();
        let (dir, keys) = (dir.display(), self.hub.dir.display());
        format!(
            "daemon off;\nworker_processes 2;\npid {dir}/nginx.pid;\nerror_log {dir}/error.log warn;\n\
             events {{ worker_connections 4096; }}\nhttp {{\n  access_log off;\n{temporary}  \
             keepalive_timeout 1h;\n  keepalive_requests 100000000;\n  upstream next {{\n    \
             server {next}; keepalive 512; keepalive_requests 100000000; keepalive_timeout 1h;\n  \
             }}\n  server {{\n    listen {listen} ssl;\n    ssl_protocols TLSv1.3;\n    \
             ssl_certificate {keys}/{shown}.pem;\n    ssl_certificate_key {keys}/{shown}.key;\n    \
             ssl_client_certificate {keys}/authority.pem;\n    ssl_verify_client on;\n    \
             ssl_session_tickets off;\n    proxy_http_version 1.1;\n    \
             proxy_set_header Connection \"\";\n    {location}\n  }}\n}}\n"
        )
    }
}

fn program() -> anyhow::Result<PathBuf> {
    let places = ["nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"];
    let works = |place: &&str| Command::new(place).arg("-v").output().is_ok();
    let found = places.into_iter().find(works).map(PathBuf::from);
    found.context("nginx is missing: run `apt-get install -y nginx-light`")
}

/// A loopback address that is free now; whoever takes it in between makes nginx fail loudly.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
