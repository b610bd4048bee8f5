//! `weir pod`: the first process of a pod.
//!
//! ```text
//!   kubelet ── SIGTERM ──► weir pod ── SIGTERM ──► weir worker
//!                             │ ◄── standard error (kept: the last words) ──┘
//!                             └── starts it again after a crash; once fenced, as a member only
//! ```
//!
//! What always holds: a worker that crashed or was killed is started again, at once the first
//! time; one that has decided to end (see [`crate::exit`]) is not, except that a fenced one comes
//! back as a worker that never coordinates; orphans are reaped; the worker's last words stand in
//! the termination log when the pod ends for good. Where the worker was told that its pod is being
//! deleted, the pod waits to be ended.
//!
//! Deliberately absent: any knowledge of the job. A supervisor that knows nothing has nothing to
//! get wrong, and the job survives whatever happens to its worker.

mod backoff;
mod stderr_tail;

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use weir_engine::env::instant;

use crate::cli::PodArgs;
use crate::exit;
use crate::signals::EndSignals;
use backoff::CrashLoop;
use stderr_tail::StderrTail;

/// Orphans are looked for this often, besides after every signal of a child's end.
const REAP: Duration = Duration::from_secs(1);
/// A pod that is being deleted is ended by its kubelet long before; where it is not, it was no
/// deletion, and the pod has to begin anew.
const TERMINATION: Duration = Duration::from_secs(60);

/// How a worker's process ended, or why it was ended.
enum Ended {
    Itself(ExitStatus),
    Terminated(ExitStatus),
}

/// Runs the worker until it ends for good; the code is the pod's.
///
/// # Errors
/// When no worker can be started.
pub(crate) async fn run(args: &PodArgs) -> anyhow::Result<u8> {
    let program = std::env::current_exe().context("cannot find the weir program itself")?;
    let mut supervisor = Supervisor {
        program,
        args: args.clone(),
        stderr: StderrTail::default(),
        crashes: CrashLoop::default(),
        member_only: false,
    };
    let (code, last_words) = supervisor.supervise().await?;
    if code != exit::DONE {
        // The log is kubelet's file; a pod that ends must not fail over it.
        if let Err(error) = std::fs::write(&args.termination_log, &last_words) {
            tracing::debug!(%error, "no termination log");
        }
    }
    Ok(code)
}

struct Supervisor {
    program: PathBuf,
    args: PodArgs,
    stderr: StderrTail,
    crashes: CrashLoop,
    member_only: bool,
}

impl Supervisor {
    async fn supervise(&mut self) -> anyhow::Result<(u8, String)> {
        let mut told = EndSignals::listen()?;
        loop {
            let began = instant();
            let mut child = self.spawn()?;
            // Held: the worker ends when the other end of its standard input is gone.
            let stdin = child.stdin.take();
            let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            let listening = self.stderr.listen(child.stderr.take());
            let reaping = reap_orphans(pid);
            tokio::pin!(reaping);
            let ended = tokio::select! {
                status = child.wait() => Ended::Itself(status?),
                () = told.received() => Ended::Terminated(self.terminate(&mut child, pid).await?),
                () = &mut reaping => continue, // Never.
            };
            drop(stdin);
            // What it said last is on its way through the pipe; a grandchild may hold it open.
            tokio::time::timeout(Duration::from_secs(1), listening).await.ok();
            let status = match ended {
                Ended::Terminated(status) => {
                    let code = status.code().and_then(|c| u8::try_from(c).ok());
                    // It may have been handing its work on already.
                    let code = code.filter(|code| *code != exit::TERMINATED);
                    return Ok((code.unwrap_or(exit::DONE), self.stderr.last(status)));
                }
                Ended::Itself(status) => status,
            };
            match status.code() {
                Some(code) if code == i32::from(exit::FENCED) => {
                    tracing::warn!("the worker was fenced; it goes on without coordinating");
                    self.member_only = true;
                }
                Some(code) if code == i32::from(exit::TERMINATED) => {
                    if tokio::time::timeout(TERMINATION, told.received()).await.is_err() {
                        tracing::warn!("the pod was said to be deleted, and is still there");
                    }
                    return Ok((exit::DONE, self.stderr.last(status)));
                }
                code if exit::wants_restart(code) => {
                    tracing::warn!(%status, "the worker has crashed and is started again");
                }
                code => {
                    let code = code.and_then(|c| u8::try_from(c).ok()).unwrap_or(exit::FAILED);
                    return Ok((code, self.stderr.last(status)));
                }
            }
            let pause = self.crashes.pause(began.elapsed());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = told.received() => return Ok((exit::DONE, self.stderr.last(status))),
            }
        }
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.program);
        command.arg("worker").arg("--supervised").args(&self.args.worker);
        if self.member_only {
            command.arg("--member-only");
        }
        command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the worker")
    }

    async fn terminate(&self, child: &mut Child, pid: Option<Pid>) -> anyhow::Result<ExitStatus> {
        if let Some(pid) = pid {
            // It may have ended just now.
            kill_process(pid, Signal::TERM).ok();
        }
        match tokio::time::timeout(self.args.grace, child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                child.kill().await?;
                Ok(child.wait().await?)
            }
        }
    }
}

/// Waits for processes that nobody else waits for: the first process of a pod inherits them.
async fn reap_orphans(worker: Option<Pid>) {
    let Ok(mut ended) = signal(SignalKind::child()) else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = ended.recv() => {}
            () = tokio::time::sleep(REAP) => {}
        }
        // The worker's own end is left to whoever waits for it.
        for orphan in ended_children().into_iter().filter(|pid| Some(*pid) != worker) {
            waitpid(Some(orphan), WaitOptions::NOHANG).ok();
        }
    }
}

/// Processes whose parent this one is and that have ended without being waited for.
fn ended_children() -> Vec<Pid> {
    let me = std::process::id();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ended = ids.filter(|id| {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
        // The name in parentheses may hold anything, spaces and parentheses too.
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let state = fields.next();
        let parent = fields.next().and_then(|p| p.parse::<u32>().ok());
        state == Some("Z") && parent == Some(me)
    });
    ended.filter_map(Pid::from_raw).collect()
}
