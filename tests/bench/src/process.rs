//! Processes that are measured: started, asked for CPU time and memory, and ended by their id.
//!
//! Linux only: the figures are those of proc(5).

use std::fs;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use schemas::clock::Clock;

/// A process, with the children that it has started.
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    stop: Option<Command>,
}

/// Memory of a process and its children, KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident pages; pages shared between processes count in each.
    pub rss_kib: u64,
    /// Resident pages; shared pages count in parts.
    pub pss_kib: u64,
}

/// How long a process has to end when it is asked to.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// One tick of proc(5): Linux shows 100 per second to user space on every common machine.
const TICK: Duration = Duration::from_millis(10);

impl Process {
    /// Starts this program again in a role of its own. It ends when its standard input is closed,
    /// so it never outlives the bench.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn role(role: &str, argument: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([role, argument]).stdin(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {role}"))?;
        let input = child.stdin.take();
        Ok(Self { name: format!("{role} {argument}"), child, input, stop: None })
    }

    /// Starts another program; `stop` is the command that tells it to end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn foreign(name: &str, command: &mut Command, stop: Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, input: None, stop: Some(stop) })
    }

    /// Refuses a process that has ended.
    ///
    /// # Errors
    /// With its exit status.
    pub fn runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} has ended: {status}", self.name),
        }
    }

    /// CPU time so far, user and kernel, with living children. Whole ticks of 10 ms.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let times = self.family()?.into_iter().map(cpu_of).sum::<Option<Duration>>();
        times.with_context(|| format!("{}: no CPU time", self.name))
    }

    /// Memory now, with living children.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let mut sum = Memory::default();
        for pid in self.family()? {
            let memory = memory_of(pid).with_context(|| self.name.clone())?;
            sum.rss_kib += memory.rss_kib;
            sum.pss_kib += memory.pss_kib;
        }
        Ok(sum)
    }

    fn family(&self) -> anyhow::Result<Vec<u32>> {
        let own = self.child.id();
        let mut family = vec![own];
        for entry in fs::read_dir("/proc")? {
            let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            family.extend(pid.filter(|pid| parent(*pid) == Some(own)));
        }
        Ok(family)
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    /// Asks the process to end, and kills it by its id when it does not.
    fn drop(&mut self) {
        drop(self.input.take());
        if let Some(stop) = &mut self.stop {
            // A process that is gone already cannot be told.
            let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let watch = Clock::machine().stopwatch();
        while !self.has_ended() {
            if watch.elapsed() > END_TIMEOUT {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Waits until the processes have used no CPU time for 200 ms, at most three seconds: what they put
/// off is theirs, and does not disturb who is measured next.
///
/// # Errors
/// When one has ended.
pub fn settle(processes: &[&Process]) -> anyhow::Result<Duration> {
    let (quiet, most) = (Duration::from_millis(200), Duration::from_secs(3));
    let clock = Clock::machine();
    let (all, mut still) = (clock.stopwatch(), clock.stopwatch());
    let mut last = total_cpu(processes)?;
    while still.elapsed() < quiet && all.elapsed() < most {
        std::thread::sleep(Duration::from_millis(20));
        let now = total_cpu(processes)?;
        if now > last {
            (last, still) = (now, clock.stopwatch());
        }
    }
    Ok(last)
}

/// CPU time of all.
///
/// # Errors
/// When one has ended.
pub fn total_cpu(processes: &[&Process]) -> anyhow::Result<Duration> {
    processes.iter().map(|process| process.cpu()).sum()
}

/// `stat` after the name in parentheses, which may hold anything: proc_pid_stat(5).
fn stat(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')').map(|(_, rest)| rest.to_owned())
}

/// Fields 14 and 15, user and kernel, of what follows the name.
fn cpu_in(stat: &str) -> Option<Duration> {
    let mut fields = stat.split_whitespace().skip(11).map(|field| field.parse::<u32>().ok());
    Some(TICK * fields.next()??.checked_add(fields.next()??)?)
}

/// Field 4.
fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.split_whitespace().nth(1)?.parse().ok()
}

/// CPU time of one process so far, user and kernel. `None` when it has ended.
#[must_use]
pub fn cpu_of(pid: u32) -> Option<Duration> {
    cpu_in(&stat(pid)?)
}

/// CPU time so far of the threads of this process that have a name, user and kernel. Whole ticks of 10 ms.
///
/// # Errors
/// When proc(5) does not list the threads.
pub fn cpu_of_threads(name: &str) -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir("/proc/self/task")? {
        // One that has ended meanwhile counts nothing.
        let text = fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
        if let Some((named, rest)) = text.rsplit_once(')')
            && named.split_once('(').is_some_and(|(_, its)| its == name)
        {
            sum += cpu_in(rest).unwrap_or_default();
        }
    }
    Ok(sum)
}

/// Memory of one process.
///
/// # Errors
/// When it has ended.
pub fn memory_of(pid: u32) -> anyhow::Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let text = text.with_context(|| format!("no memory figures of process {pid}"))?;
    Ok(Memory { rss_kib: field(&text, "Rss:"), pss_kib: field(&text, "Pss:") })
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
