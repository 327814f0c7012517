//! Bodies: large ones pass with bounded memory, too large or unfinished ones are refused.
//!
//! ```text
//! caller → hub `register` (a process) → hub `tax` (a process) → source that hashes what it hears
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use federation::agencies::REGISTER;
use federation::pair::{self, CONSUMER, ECHO, PROVIDER};
use federation::raw::{self, Message};
use federation::source::{self, Source};
use federation::{Federation, Options, Pair, agencies::Agency, lay_out};
use hub_server::HubConfig;
use ring::digest::{Context, Digest, SHA256};
use schemas::clock::Clock;
use schemas::limits::{BODY_MAX_BYTES, JSON_BODY_MAX_BYTES};
use schemas::record::{Kind, Record};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// Bytes of a large body, up and down.
const LARGE_BYTES: usize = 100 * 1024 * 1024;
/// What a hub may need more while it carries one.
const GROWTH_MAX_KIB: u64 = 32 * 1024;
/// Time for both directions; the machine may be busy.
const TRANSFER_DEADLINE: Duration = Duration::from_secs(120);

/// Writes `length` bytes that do not repeat, and gives their digest.
async fn write_large(stream: &mut TcpStream, length: usize) -> Digest {
    let mut hash = Context::new(&SHA256);
    let mut chunk = vec![0; 64 * 1024];
    for nth in 0..length.div_ceil(chunk.len()) {
        chunk[..8].copy_from_slice(&nth.to_be_bytes());
        let left = (length - nth * chunk.len()).min(chunk.len());
        hash.update(&chunk[..left]);
        stream.write_all(&chunk[..left]).await.unwrap();
    }
    hash.finish()
}

/// Reads a head, which ends at the first empty line.
async fn read_head(stream: &mut BufReader<&mut TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).await.unwrap() > 0, "the head is cut: {head}");
    }
    head.to_ascii_lowercase()
}

/// Reads exactly `length` bytes and gives their digest.
async fn read_large(stream: &mut BufReader<&mut TcpStream>, length: usize) -> Digest {
    let mut hash = Context::new(&SHA256);
    let mut chunk = vec![0; 64 * 1024];
    let mut left = length;
    while left > 0 {
        let most = left.min(chunk.len());
        let read = stream.read(&mut chunk[..most]).await.unwrap();
        assert!(read > 0, "the body is cut: {left} bytes are missing");
        hash.update(&chunk[..read]);
        left -= read;
    }
    hash.finish()
}

fn length_of(head: &str) -> usize {
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

/// Answers `count` requests: hashes each body, answers with as many bytes; gives the digests of both.
async fn hashing_source(listener: TcpListener, count: usize) -> Vec<(Digest, Digest)> {
    let mut digests = Vec::new();
    let mut stream = listener.accept().await.unwrap().0;
    for _ in 0..count {
        let mut reader = BufReader::new(&mut stream);
        let head = read_head(&mut reader).await;
        let length = length_of(&head);
        let heard = read_large(&mut reader, length).await;
        assert!(reader.buffer().is_empty());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        digests.push((heard, write_large(&mut stream, length).await));
    }
    digests
}

/// Sends `length` bytes through both hubs and reads the answer; gives the digests of both.
async fn through(edge: SocketAddr, length: usize) -> (Digest, Digest) {
    let mut stream = TcpStream::connect(edge).await.unwrap();
    let head = format!(
        "POST /r1/{ECHO}/large HTTP/1.1\r\nHost: hub\r\nX-Road-Client: {REGISTER}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let sent = write_large(&mut stream, length).await;
    let mut reader = BufReader::new(&mut stream);
    let head = read_head(&mut reader).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("koprik-receipt"), "released with its receipt: {head}");
    assert_eq!(length_of(&head), length, "{head}");
    (sent, read_large(&mut reader, length).await)
}

/// A hub in a process of its own: this test program, told to run [`child_hub`] only.
async fn hub_process(dir: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_hub", "--ignored", "--nocapture"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.ends_with(READY) {
            return child;
        }
    }
    panic!("the hub in {} does not start", dir.display());
}

const READY: &str = "the hub is ready";

/// Runs the hub of `hub.toml` in the working folder until the standard input ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "no test: what the memory test starts as a process of its own"]
async fn child_hub() {
    let config = Path::new("hub.toml");
    assert!(config.exists(), "started in a hub's folder by the memory test only");
    let config = config.canonicalize().unwrap();
    let hub = hub_server::start(HubConfig::load(&config).unwrap(), Some(config), Clock::machine());
    let hub = hub.await.unwrap();
    while hub.configuration_version().is_none() {
        hub.refresh().await.unwrap();
    }
    println!("{READY}");
    let wait = || std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new());
    tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
    hub.stop().await;
}

/// A line of `/proc/PID/status` in KiB.
fn kib_of(child: &Child, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
    let value = status.lines().find_map(|own| own.strip_prefix(line)).unwrap();
    value.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_mebibytes_up_and_down_leave_each_hub_small() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::machine();
    let agencies = Agency::named("tax").into_iter().collect();
    let layout = lay_out(dir.path(), &Options { agencies, ..Options::all(clock.now()) }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    layout
        .edit_hub(PROVIDER, |config| {
            let mut service = config.services[0].clone();
            service.id = ECHO.parse().unwrap();
            (service.url, service.contract) = (format!("http://{address}"), None);
            service.timeout_seconds = Some(60);
            config.services.push(service);
            config.grants.push(pair::whole_service(ECHO).unwrap());
        })
        .unwrap();
    let mut federation = Federation::new(layout, clock);
    federation.start_central().await.unwrap();
    let edge = federation.layout.hubs[CONSUMER].edge_plain;
    let mut hubs = Vec::new();
    for name in [PROVIDER, CONSUMER] {
        hubs.push((name, hub_process(&federation.layout.hubs[name].dir).await));
    }
    let mut source = JoinSet::new();
    source.spawn(hashing_source(listener, 2));
    through(edge, 1_000).await;
    let mut before = Vec::new();
    for (_, hub) in &hubs {
        // 5 sets the peak back to what is resident now (man 5 proc).
        std::fs::write(format!("/proc/{}/clear_refs", hub.id().unwrap()), "5").unwrap();
        before.push(kib_of(hub, "VmRSS"));
    }
    let passed = tokio::time::timeout(TRANSFER_DEADLINE, through(edge, LARGE_BYTES)).await.unwrap();
    for ((name, hub), before) in hubs.iter().zip(before) {
        let peak = kib_of(hub, "VmHWM");
        println!("hub {name}: {before} KiB before, {peak} KiB at most");
        assert!(before > 1_000 && peak >= before, "the figures are those of a process");
        assert!(peak - before < GROWTH_MAX_KIB, "hub {name} grew by {} KiB", peak - before);
    }
    let heard = source.join_next().await.unwrap().unwrap().pop().unwrap();
    assert_eq!(passed.0.as_ref(), heard.0.as_ref(), "up");
    assert_eq!(passed.1.as_ref(), heard.1.as_ref(), "down");
    for (_, mut hub) in hubs {
        drop(hub.stdin.take());
        assert!(hub.wait().await.unwrap().success(), "it stops in order");
    }
    federation.stop().await;
}

async fn started(source: Source) -> (Pair, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("http://{}", source.address);
    let turn = |config: &mut HubConfig| {
        config.services.iter_mut().for_each(|service| service.url.clone_from(&url));
    };
    (Pair::start_with(dir.path(), source, 0, turn).await.unwrap(), dir)
}

fn code(answer: &Message) -> Option<&str> {
    answer.header("x-road-error")
}

/// Asks the service with a contract about an invented person.
async fn ask_tax(pair: &Pair, body: &[u8]) -> Message {
    let target = "/r1/UZ/GOV/TAX/tax/tax/persons/31505850010011/income?from=2025-12&to=2026-02";
    let request = raw::request("GET", target, &[("X-Road-Client", REGISTER)], body);
    pair.say(&request).await.unwrap().remove(0)
}

#[tokio::test]
async fn bodies_of_every_size_around_the_spools_limits_arrive_whole() {
    let source = Source::start(|heard| source::answer(200, &[], &heard.body)).await.unwrap();
    let (pair, _dir) = started(source).await;
    let limit = schemas::limits::BODY_IN_MEMORY_BYTES;
    for length in [0, 1, 16_384, 65_536, limit - 1, limit, limit + 1, 3 * limit + 7] {
        let body: Vec<u8> = (0..length).map(|nth| u8::try_from(nth % 251).unwrap()).collect();
        let answer = pair.ask("POST", "/a", &[], &body).await.unwrap();
        assert_eq!(answer.status(), 200, "{length}");
        assert!(answer.body == body, "{length} bytes come back");
        assert!(pair.source.take()[0].body == body, "{length} bytes arrive");
    }
}

#[tokio::test]
async fn body_over_the_limit_is_refused_before_it_is_sent() {
    let (pair, _dir) = started(Source::plain().await.unwrap()).await;
    let length = (BODY_MAX_BYTES + 1).to_string();
    let headers = [("X-Road-Client", REGISTER), ("Content-Length", length.as_str())];
    let request = raw::request("POST", &format!("/r1/{ECHO}/a"), &headers, b"");
    let answers = pair.say(&request).await.unwrap();
    assert_eq!(code(&answers[0]), Some("server.clientproxy.request_too_large"));
    assert!(pair.source.take().is_empty());
}

#[tokio::test]
async fn body_over_a_contracts_limit_is_refused_by_the_provider() {
    let (pair, _dir) = started(Source::plain().await.unwrap()).await;
    let limit = usize::try_from(JSON_BODY_MAX_BYTES).unwrap();
    let answer = ask_tax(&pair, &vec![b' '; limit + 1]).await;
    assert_eq!(code(&answer), Some("server.serverproxy.invalid_body"));
    assert!(pair.source.take().is_empty());
}

#[tokio::test]
async fn refusal_that_comes_before_the_body_is_read_reaches_the_caller() {
    let (pair, _dir) = started(Source::plain().await.unwrap()).await;
    let target = "/r1/UZ/GOV/TAX/tax/tax/nothing";
    let body = vec![b'x'; 8 * 1024 * 1024];
    for _ in 0..5 {
        let request = raw::request("POST", target, &[("X-Road-Client", REGISTER)], &body);
        let answers = pair.say(&request).await.unwrap();
        assert_eq!(code(&answers[0]), Some("server.serverproxy.access_denied"), "{:?}", answers[0]);
    }
    assert!(pair.source.take().is_empty());
}

#[tokio::test]
async fn answer_over_a_contracts_limit_is_held_back() {
    let limit = usize::try_from(JSON_BODY_MAX_BYTES).unwrap();
    let source =
        Source::start(move |_| source::answer(200, &[], &vec![b' '; limit + 1])).await.unwrap();
    let (pair, _dir) = started(source).await;
    let answer = ask_tax(&pair, b"").await;
    assert_eq!(code(&answer), Some("server.serverproxy.service_failed.answer_too_large"));
    assert_eq!(pair.source.take().len(), 1);
}

#[tokio::test]
async fn answer_that_breaks_off_is_held_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let unused = Source::plain().await.unwrap();
    let turn = |config: &mut HubConfig| {
        config.services.iter_mut().for_each(|service| service.url = format!("http://{address}"));
    };
    let pair = Pair::start_with(dir.path(), unused, 0, turn).await.unwrap();
    for said in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe first half"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"no HTTP at all\r\n\r\n",
    ] {
        let source = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(said).await.unwrap();
        };
        let (answer, ()) = tokio::join!(pair.ask("POST", "/a", &[], b"x"), source);
        let answer = answer.unwrap();
        assert_eq!(code(&answer), Some("server.serverproxy.service_failed.network_error"));
        assert!(!String::from_utf8_lossy(&answer.body).contains("first"));
    }
}

#[tokio::test]
async fn request_that_breaks_off_is_recorded_as_refused_and_goes_nowhere() {
    let (pair, _dir) = started(Source::plain().await.unwrap()).await;
    // What the start still has to record comes before this exchange's records.
    pair.ask("GET", "/a", &[], b"").await.unwrap();
    assert_eq!(pair.source.take().len(), 1);
    let log = pair.federation.hub(CONSUMER).unwrap().log();
    for framing in
        ["Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
    {
        let before = log.size();
        let head =
            format!("POST /r1/{ECHO}/a HTTP/1.1\r\nHost: hub\r\nX-Road-Client: {REGISTER}\r\n");
        let mut stream =
            TcpStream::connect(pair.federation.layout.hubs[CONSUMER].edge_plain).await.unwrap();
        stream.write_all(format!("{head}{framing}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let deadline = pair.federation.clock.stopwatch();
        while log.size() == before {
            assert!(deadline.elapsed() < Duration::from_secs(10), "no record: {framing}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let record = Record::from_leaf(&log.read(before).unwrap().leaf).unwrap();
        assert_eq!(
            (record.kind, record.outcome.as_str()),
            (Kind::Refusal, "server.clientproxy.missing_body")
        );
    }
    assert!(pair.source.take().is_empty());
}

#[tokio::test]
async fn request_that_stalls_is_cut_after_the_idle_time() {
    let (pair, _dir) = started(Source::plain().await.unwrap()).await;
    pair.ask("GET", "/a", &[], b"").await.unwrap();
    assert_eq!(pair.source.take().len(), 1);
    let mut stream =
        TcpStream::connect(pair.federation.layout.hubs[CONSUMER].edge_plain).await.unwrap();
    let head = format!("POST /r1/{ECHO}/a HTTP/1.1\r\nHost: hub\r\nX-Road-Client: {REGISTER}\r\n");
    let half = format!("{head}Connection: close\r\nContent-Length: 100\r\n\r\nhalf");
    stream.write_all(half.as_bytes()).await.unwrap();
    // From here on the runtime's timers run as fast as everything is idle.
    tokio::time::pause();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    tokio::time::resume();
    let answer = Message::parse_all(&received).remove(0);
    assert_eq!(code(&answer), Some("server.clientproxy.missing_body"));
    assert!(String::from_utf8_lossy(&answer.body).contains("30 s"), "{answer:?}");
    assert!(pair.source.take().is_empty());
}
