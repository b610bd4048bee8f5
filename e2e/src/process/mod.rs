//! Processes that end with their owner, the tree below them, signals and CPU time.

mod groups;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use tokio::time::Instant;

use groups::Groups;

/// A process in a group of its own; the whole group is killed when this is dropped, or when the
/// process that holds this ends.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `command`; `name` is what errors call it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let groups = Groups::ours()?;
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}: {command:?}"))?;
        let process = Self { child, name: name.to_owned() };
        groups.add(process.id())?;
        Ok(process)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The writing end of its standard input, when that is a pipe; once.
    pub fn take_stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// The reading end of its standard output, when that is a pipe; once.
    pub fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn poll(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("wait for {}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.poll()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} still runs after {limit:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end and returns the CPU time that it, and the children it waited for, used.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn wait_with_cpu(&mut self) -> Result<(ExitStatus, Duration)> {
        let pid = pid(self.id())?;
        // Left unwaited for a moment, so that the times of the ended process can still be read.
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        let cpu = cpu_time(self.id())?;
        let status = self.child.wait()?;
        Ok((status, cpu))
    }

    /// Sends a signal to the process alone.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, what: Signal) -> Result<()> {
        signal(self.id(), what)
    }

    /// Ids of the processes below it, of all generations.
    #[must_use]
    pub fn descendants(&self) -> Vec<u32> {
        descendants(self.id())
    }

    /// Kills it with everything in its group and waits for its end.
    pub fn kill_group(&mut self) {
        if let Ok(group) = pid(self.id()) {
            // An error means that nobody is left in the group.
            let _ = kill_process_group(group, Signal::CONT);
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        if let Ok(groups) = Groups::ours() {
            groups.remove(self.id());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

fn pid(id: u32) -> Result<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw).with_context(|| format!("{id} is no process"))
}

/// Sends a signal to one process.
///
/// # Errors
/// When it is gone.
pub fn signal(id: u32, what: Signal) -> Result<()> {
    kill_process(pid(id)?, what).with_context(|| format!("signal process {id}"))
}

/// Whether a process is there and no zombie.
#[must_use]
pub fn is_alive(id: u32) -> bool {
    stat(id).is_some_and(|stat| stat.state != 'Z')
}

struct Stat {
    state: char,
    parent: u32,
    /// User and system ticks, its own and those of children it waited for.
    ticks: [u64; 4],
}

fn stat(id: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may hold anything, spaces and parentheses too.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let ticks: Vec<u64> = fields.skip(9).take(4).filter_map(|field| field.parse().ok()).collect();
    Some(Stat { state, parent, ticks: ticks.try_into().ok()? })
}

/// CPU time of a process and of the children it waited for; exact to 10 ms.
///
/// # Errors
/// When it is gone.
pub fn cpu_time(id: u32) -> Result<Duration> {
    let stat = stat(id).with_context(|| format!("process {id} is gone"))?;
    let ticks: u64 = stat.ticks.iter().sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis(ticks * 1000 / per_second))
}

/// Ids of all processes below `root`.
#[must_use]
pub fn descendants(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for id in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(stat) = stat(id)
            && stat.state != 'Z'
        {
            children.entry(stat.parent).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for &child in children.get(&parent).into_iter().flatten() {
            found.push(child);
            open.push(child);
        }
    }
    found
}

/// The words a process was started with.
#[must_use]
pub fn command_line(id: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into());
    words.collect()
}

/// Which of `candidates` holds the end at `from` of the loopback connection from port `from` to
/// port `to`. Both ports are asked for: one port of a client may serve connections to several
/// servers, and lingers in the table after those that are closed.
#[must_use]
pub fn owner_of_connection(from: u16, to: u16, candidates: &[u32]) -> Option<u32> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let (local, remote) = (format!(":{from:04X}"), format!(":{to:04X}"));
    let inode = table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_it = fields.get(1)?.ends_with(&local) && fields.get(2)?.ends_with(&remote);
        let inode = *fields.get(9)?;
        (is_it && inode != "0").then(|| format!("socket:[{inode}]"))
    })?;
    candidates.iter().copied().find(|id| {
        fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten().any(|entry| {
            fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == inode.as_str())
        })
    })
}

/// A loopback port for a server that is started next. It lies below those that the system gives
/// to whoever asks for any port, so nobody takes it between this answer and the server's start.
///
/// # Errors
/// When none of them is free.
pub fn free_port() -> Result<u16> {
    const FIRST: u16 = 15_000;
    const COUNT: u32 = 15_000;
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // Processes that test side by side begin far from each other.
    let start = std::process::id().wrapping_mul(7919);
    for _ in 0..COUNT {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let offset = start.wrapping_add(call) % COUNT;
        let port = FIRST + u16::try_from(offset).unwrap_or_default();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port from {FIRST} on is free");
}

/// Calls `done` until it says yes.
///
/// # Errors
/// When it has not within `limit`, or fails itself; `what` names the wish.
pub fn wait_for(what: &str, limit: Duration, done: impl FnMut() -> Result<bool>) -> Result<()> {
    wait_looking(what, limit, Duration::from_millis(20), done)
}

/// As [`wait_for`], with so long between two looks, for looks that cost something.
///
/// # Errors
/// As [`wait_for`].
pub fn wait_looking(
    what: &str,
    limit: Duration,
    pause: Duration,
    mut done: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !done().with_context(|| format!("while waiting for {what}"))? {
        if Instant::now() > deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        std::thread::sleep(pause);
    }
    Ok(())
}

/// Does the same for each, beside each other.
///
/// # Errors
/// The first one, once all have ended.
pub fn at_once<T: Sync>(each: &[T], work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = each.iter().map(|one| scope.spawn(|| work(one))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a check panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_process_takes_its_children_with_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & sleep 60"]);
        let process = Process::start("sleepers", &mut command).expect("sh starts");
        wait_for("two sleepers", Duration::from_secs(5), || Ok(process.descendants().len() == 2))
            .expect("sh starts them");
        let all: Vec<_> = process.descendants().into_iter().chain([process.id()]).collect();
        drop(process);
        wait_for("their end", Duration::from_secs(5), || Ok(!all.iter().any(|id| is_alive(*id))))
            .expect("the group was killed");
    }

    #[test]
    fn cpu_time_includes_children_that_were_waited_for() {
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; true"]);
        let mut process = Process::start("loop", &mut command).expect("sh starts");
        let (status, cpu) = process.wait_with_cpu().expect("it ends");
        assert!(status.success());
        assert!(cpu >= Duration::from_millis(20), "{cpu:?}");
    }

    #[test]
    fn a_connection_names_its_process() {
        let listen = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let (server, other) = (listen(), listen());
        let port = |server: &std::net::TcpListener| server.local_addr().expect("bound").port();
        let to = port(&server);
        let client = std::net::TcpStream::connect(("127.0.0.1", to)).expect("ours");
        let from = client.local_addr().expect("connected").port();
        let me = std::process::id();
        assert_eq!(owner_of_connection(from, to, &[1, me]), Some(me));
        assert_eq!(owner_of_connection(from, port(&other), &[1, me]), None, "another connection");
        let (accepted, _) = server.accept().expect("the client");
        drop(accepted);
        drop(client);
        assert_eq!(owner_of_connection(from, to, &[1, me]), None, "a closed one lingers unowned");
    }

    #[test]
    fn a_free_port_is_given_once() {
        let ports: std::collections::BTreeSet<_> =
            (0..100).map(|_| free_port().expect("a port")).collect();
        assert_eq!(ports.len(), 100);
    }
}
