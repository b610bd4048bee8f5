//! Processes of `kubectl`: none outlives this one, however it ends.
//!
//! A way to a pod that nobody uses would stay open for ever, and hold its port. So every process is
//! started here, and ended when what holds it is dropped, and all of them when this one ends: at the
//! end of a command, where nobody reads on, and by a signal.

use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Once, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};

use crate::out::tell;

/// Bytes that are kept of what one says on standard error.
const SAID: u64 = 64 * 1024;
/// The longest between two looks whether one has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Those that may run.
struct Started {
    processes: Vec<Weak<Mutex<Child>>>,
    /// This process ends: no other is started.
    is_over: bool,
    /// What is to be done besides.
    and_then: Option<fn()>,
}

static STARTED: Mutex<Started> =
    Mutex::new(Started { processes: Vec::new(), is_over: false, and_then: None });

/// A process that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Arc<Mutex<Child>>,
    /// Until somebody reads it.
    output: Option<ChildStdout>,
    /// Reads what it says on standard error.
    said: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it, with this to read.
    pub(crate) fn start(command: &mut Command, input: Option<&str>) -> Result<Self> {
        end_by_signals();
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (child, stdin, output, stderr) = {
            let mut started = STARTED.lock();
            ensure!(!started.is_over, "it has ended");
            let child = command.spawn();
            let mut child = child.context("kubectl cannot be started; it has to be in PATH")?;
            let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let child = Arc::new(Mutex::new(child));
            started.processes.retain(|it| it.strong_count() > 0);
            started.processes.push(Arc::downgrade(&child));
            (child, pipes.0, pipes.1, pipes.2)
        };
        let said = stderr.map(|mut stderr| {
            std::thread::spawn(move || {
                let mut said = Vec::new();
                // One that is killed says no more, and one that says more is to go on.
                let _ = stderr.by_ref().take(SAID).read_to_end(&mut said);
                let _ = std::io::copy(&mut stderr, &mut std::io::sink());
                String::from_utf8_lossy(&said).trim().to_owned()
            })
        });
        if let (Some(input), Some(mut stdin)) = (input, stdin) {
            // One that ends without reading says why.
            let _ = stdin.write_all(input.as_bytes());
        }
        Ok(Self { child, output, said })
    }

    /// What it prints; once.
    pub(crate) fn output(&mut self) -> Result<BufReader<ChildStdout>> {
        Ok(BufReader::new(self.output.take().context("kubectl's output")?))
    }

    /// Until it ends; what it says is the error if it is not content.
    pub(crate) fn wait(&mut self) -> Result<()> {
        let mut pause = Duration::from_millis(1);
        let ended = loop {
            if let Some(ended) = self.child.lock().try_wait()? {
                break ended;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK);
        };
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        if !ended.success() {
            bail!("{}", if said.is_empty() { format!("kubectl: {ended}") } else { said });
        }
        if !said.is_empty() {
            tell(&said);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&self.child);
    }
}

fn end(child: &Mutex<Child>) {
    let mut child = child.lock();
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Ends all, and lets none begin any more.
pub(crate) fn end_all() {
    let mut started = STARTED.lock();
    started.is_over = true;
    started.processes.drain(..).filter_map(|it| it.upgrade()).for_each(|child| end(&child));
    if let Some(and_then) = started.and_then.take() {
        and_then();
    }
}

/// What else is to be done when this process ends before it should, such as giving back a terminal.
pub(crate) fn at_end(and_then: Option<fn()>) {
    STARTED.lock().and_then = and_then;
}

/// Ends all, and this process.
pub(crate) fn exit(code: i32) -> ! {
    end_all();
    std::process::exit(code)
}

/// From now on a signal ends all.
fn end_by_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let listen = || -> std::io::Result<_> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let entered = runtime.enter();
            let hear = |kind: SignalKind| Ok::<_, std::io::Error>((signal(kind)?, kind));
            let signals = [
                hear(SignalKind::hangup())?,
                hear(SignalKind::interrupt())?,
                hear(SignalKind::terminate())?,
            ];
            drop(entered);
            Ok((runtime, signals))
        };
        // Without it a signal ends this process alone, as it does any other.
        let Ok((runtime, [mut hangup, mut interrupt, mut terminate])) = listen() else { return };
        std::thread::spawn(move || {
            let kind = runtime.block_on(async {
                tokio::select! {
                    _ = hangup.0.recv() => hangup.1,
                    _ = interrupt.0.recv() => interrupt.1,
                    _ = terminate.0.recv() => terminate.1,
                }
            });
            // As a shell says it.
            exit(128 + kind.as_raw_value());
        });
    });
}
