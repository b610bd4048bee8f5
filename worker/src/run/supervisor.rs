//! Worker processes on this machine: started, started again after a crash, ended with us.
//!
//! A worker ends by itself when its standard input does, so no worker outlives its supervisor,
//! however that ends.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::terminal;
use crate::exit::wants_restart;

/// The pause before a crashed worker is started again: long enough to not spin, short enough
/// to not matter.
const RESTART_PAUSE: Duration = Duration::from_millis(50);

/// What every worker is started with.
#[derive(Clone, Debug)]
pub(crate) struct WorkerCommand {
    /// The `weir` program.
    pub program: PathBuf,
    /// Arguments but for the ordinal.
    pub args: Vec<String>,
}

/// A command, and whether what workers print shares a terminal with something else.
#[derive(Clone, Debug)]
struct Launch {
    command: WorkerCommand,
    shares_terminal: bool,
}

/// Something that happened to a worker.
#[derive(Debug)]
pub(crate) enum WorkerEvent {
    /// It crashed and has been started again.
    Restarted {
        /// Which.
        ordinal: u32,
        /// How it ended.
        status: String,
    },
    /// It ended for good.
    Ended {
        /// Which.
        ordinal: u32,
        /// Its exit code.
        code: u8,
    },
}

/// Runs worker processes until it is dropped.
pub(crate) struct Supervisor {
    tasks: BTreeMap<u32, tokio::task::JoinHandle<()>>,
}

impl Supervisor {
    /// Starts `workers` processes; what happens to them comes out of the receiver. With
    /// `shares_terminal` what they print comes above the terminal's last line.
    ///
    /// # Errors
    /// When a process cannot be started at all.
    pub(crate) fn start(
        command: &WorkerCommand,
        workers: u32,
        shares_terminal: bool,
    ) -> io::Result<(Self, mpsc::Receiver<WorkerEvent>)> {
        let (events, receiver) = mpsc::channel(64);
        let mut tasks = BTreeMap::new();
        let launch = Launch { command: command.clone(), shares_terminal };
        for ordinal in 0..workers {
            let child = spawn(&launch, ordinal)?;
            let task = watch(launch.clone(), ordinal, child, events.clone());
            tasks.insert(ordinal, tokio::spawn(task));
        }
        Ok((Self { tasks }, receiver))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Children are killed when their handles drop.
        for task in self.tasks.values() {
            task.abort();
        }
    }
}

fn spawn(Launch { command, shares_terminal }: &Launch, ordinal: u32) -> io::Result<Child> {
    let mut process = Command::new(&command.program);
    process.args(&command.args).arg("--ordinal").arg(ordinal.to_string());
    process.stdin(Stdio::piped()).kill_on_drop(true);
    if !shares_terminal {
        return process.spawn();
    }
    let mut child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(pass_on(stdout, |line| println!("{line}")));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(pass_on(stderr, |line| eprintln!("{line}")));
    }
    Ok(child)
}

/// Lines of a worker, above the terminal's last line.
async fn pass_on(from: impl AsyncRead + Unpin, write: fn(&str)) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        terminal::above(|| write(&line));
    }
}

async fn watch(launch: Launch, ordinal: u32, mut child: Child, events: mpsc::Sender<WorkerEvent>) {
    loop {
        // Waiting closes a standard input that the child's handle still holds, which would tell
        // the worker that its supervisor is gone.
        let stdin = child.stdin.take();
        let status = child.wait().await;
        drop(stdin);
        let code = status.as_ref().ok().and_then(ExitStatus::code);
        if !wants_restart(code) {
            let code = code.and_then(|c| u8::try_from(c).ok()).unwrap_or(crate::exit::FAILED);
            let _ = events.send(WorkerEvent::Ended { ordinal, code }).await;
            return;
        }
        let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
        tokio::time::sleep(RESTART_PAUSE).await;
        match spawn(&launch, ordinal) {
            Ok(again) => child = again,
            Err(error) => {
                tracing::error!(%error, ordinal, "a worker could not be started again");
                let _ =
                    events.send(WorkerEvent::Ended { ordinal, code: crate::exit::FAILED }).await;
                return;
            }
        }
        if events.send(WorkerEvent::Restarted { ordinal, status }).await.is_err() {
            return;
        }
    }
}
