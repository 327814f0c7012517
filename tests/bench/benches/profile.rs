//! How long a household profile takes: `cargo bench -p bench --bench profile -- [--short] [--assert]`.
//!
//! A register before a stand-in for its hub (in this process, so it takes part of the two cores),
//! a family of five, eight sources:
//!
//! | figure | meaning |
//! |---|---|
//! | p50, p95 of a profile | sources log-normal, median 50 ms, p99 1 s; one profile after another, two at a time |
//! | slowest source's p95 | of the times that the stand-in took, second requests among them |
//! | ratio | p95 of a profile to that; the aim is under 2.5 |
//! | complete | profiles without an absent source |
//! | profiles per second | sources that answer at once, 16 callers; the aim is 100 on two cores |
//!
//! With `--assert` it ends with an error when an aim is missed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bench::profile::{APPLICANT, Pace, Sources, configuration, percentile};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use register_server::{RegisterConfig, RunningRegister};
use schemas::clock::Clock;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const SEED: u64 = 20_260_302;
/// The p99 of 1 s over the median of 50 ms: ln(20) / 2.326.
const SIGMA: f64 = 1.288;
const RATIO_AIM: f64 = 2.5;
const RATE_AIM: f64 = 100.0;

type Http = Client<HttpConnector, Full<Bytes>>;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let known = ["--short", "--assert", "--bench"];
    if let Some(word) = words.iter().find(|word| !known.contains(&word.as_str())) {
        bail!("unknown flag {word}; known are --short and --assert");
    }
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let (slow_count, fast_count) = if has("--short") { (60, 300) } else { (400, 3_000) };
    let runtime = hub_server::runtime()?;
    let missed = runtime.block_on(measure(slow_count, fast_count))?;
    if has("--assert") && missed > 0 {
        bail!("{missed} aims are missed");
    }
    Ok(())
}

async fn measure(slow_count: usize, fast_count: usize) -> anyhow::Result<u32> {
    let median = Duration::from_millis(50);
    let sources = Sources::new(Pace::LogNormal { median, sigma: SIGMA }, SEED);
    let mut slow = run(&sources, slow_count, 2).await?;
    let p50 = percentile(&mut slow.times, 50);
    let p95 = percentile(&mut slow.times, 95);
    let source = sources.slowest_p95();
    let ratio = p95.as_secs_f64() / source.as_secs_f64();
    println!("{slow_count} profiles, 5 persons × 8 sources, median 50 ms, seed {SEED}");
    println!("  profile p50 {} ms, p95 {} ms", p50.as_millis(), p95.as_millis());
    println!("  slowest source's p95 {} ms; ratio {ratio:.2}, aim {RATIO_AIM}", source.as_millis());
    println!("  complete {} of {slow_count}", slow.complete_count);
    let fast = run(&Sources::new(Pace::AtOnce, SEED), fast_count, 16).await?;
    let profiles: f64 = u32::try_from(fast_count)?.into();
    let rate = profiles / fast.elapsed.as_secs_f64();
    println!("{fast_count} profiles, sources at once, 16 callers");
    println!("  {rate:.0} profiles per second, aim {RATE_AIM}");
    Ok(u32::from(ratio >= RATIO_AIM) + u32::from(rate < RATE_AIM))
}

struct Run {
    times: Vec<Duration>,
    complete_count: usize,
    elapsed: Duration,
}

/// Asks for `count` profiles with `callers` at a time.
async fn run(sources: &Arc<Sources>, count: usize, callers: usize) -> anyhow::Result<Run> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = sources.router();
    let mut servers = JoinSet::new();
    servers.spawn(async move { axum::serve(listener, router).await });
    let config = RegisterConfig::parse(&configuration(&url))?;
    let register = register_server::start(config, Clock::machine()).await?;
    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("http://{}/profiles", register.address);
    let whole = Clock::machine().stopwatch();
    let mut tasks = JoinSet::new();
    for at in 0..callers {
        let (http, uri) = (http.clone(), uri.clone());
        let share = count / callers + usize::from(at < count % callers);
        tasks.spawn(async move {
            let mut asked = Vec::with_capacity(share);
            for _ in 0..share {
                asked.push(ask(&http, &uri).await?);
            }
            anyhow::Ok(asked)
        });
    }
    let mut run = Run { times: Vec::new(), complete_count: 0, elapsed: Duration::ZERO };
    while let Some(asked) = tasks.join_next().await {
        for (time, absent_count) in asked?? {
            run.times.push(time);
            run.complete_count += usize::from(absent_count == 0);
        }
    }
    run.elapsed = whole.elapsed();
    stop(register, servers).await;
    Ok(run)
}

async fn stop(register: RunningRegister, mut servers: JoinSet<std::io::Result<()>>) {
    register.stop().await;
    servers.shutdown().await;
}

/// One profile: the time that it took, and how many answers are absent from it.
async fn ask(http: &Http, uri: &str) -> anyhow::Result<(Duration, usize)> {
    let stopwatch = Clock::machine().stopwatch();
    let body = format!("{{\"pinfl\":\"{APPLICANT}\",\"application_date\":\"2026-03-02\"}}");
    let request = http::Request::post(uri).body(Full::from(body))?;
    let answer = http.request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    let time = stopwatch.elapsed();
    let text = String::from_utf8_lossy(&body);
    ensure!(status == http::StatusCode::OK, "the register answers {status}: {text}");
    let value: Value = serde_json::from_slice(&body)?;
    let part = |name| value.pointer(name).and_then(Value::as_array).context("no profile");
    let members = part("/profile/family/members")?.len();
    ensure!(members == 5 || !part("/profile/absent")?.is_empty(), "{members} members");
    Ok((time, part("/profile/absent")?.len()))
}
