//! Where a writer's bytes go: an ordered queue to a stage that runs on the I/O runtime.
//!
//! The writer never waits for the stage. It asks [`Queue::has_room`] before it takes a batch,
//! so the queue holds at most its budget and what one batch adds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use weir_engine::env::joined;
use weir_engine::operator::{Context, Waker};
use weir_engine::{EngineError, OperatorError};

use super::payload::Commit;

/// Bytes that may wait for the disk or the network.
const BUDGET: usize = 32 << 20;
/// Commands that may wait; small files make many of them.
const COMMANDS: usize = 4096;

/// An open file, by a number that the writer gives.
pub(crate) type FileId = u64;

/// Where a file is staged and where it will be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileName {
    /// Partition directories below the sink's path, without slashes at its ends.
    pub(crate) directory: String,
    /// The final name in it; unique, so also the name under which it is staged.
    pub(crate) name: String,
}

/// What a stage does, in order.
#[async_trait]
pub(crate) trait Stage: Send {
    /// The first act, also in front of a restore.
    async fn begin(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Takes over an open file of an earlier term, item by item; it becomes ready as it is.
    async fn restore(&mut self, item: Bytes) -> Result<(), EngineError>;

    /// Appends whole records (lines) or any bytes (Parquet).
    async fn append(
        &mut self,
        file: FileId,
        name: &Arc<FileName>,
        data: Vec<u8>,
    ) -> Result<(), EngineError>;

    /// Stages an empty file of this name in a directory, unless it is there: it becomes ready behind
    /// all that was rolled before.
    async fn mark(&mut self, directory: &str, name: &str) -> Result<(), EngineError>;

    /// Nothing follows in this file.
    async fn roll(&mut self, file: FileId) -> Result<(), EngineError>;

    /// Makes everything appended so far survive a crash: committables of rolled files (each
    /// told once), items of open ones. `footers` complete open Parquet files; `ended`: no row
    /// follows.
    async fn barrier(
        &mut self,
        footers: Vec<(FileId, Vec<u8>)>,
        ended: bool,
    ) -> Result<(Vec<Commit>, Vec<Bytes>), EngineError>;
}

type Reply = oneshot::Sender<Result<(Vec<Commit>, Vec<Bytes>), EngineError>>;

enum Command {
    Begin,
    Restore(Bytes),
    Append { file: FileId, name: Arc<FileName>, data: Vec<u8> },
    Roll(FileId),
    Mark { directory: String, name: String },
    Barrier { footers: Vec<(FileId, Vec<u8>)>, ended: bool, reply: Reply },
}

impl Command {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { data, .. } => data.len(),
            Self::Begin
            | Self::Restore(_)
            | Self::Roll(_)
            | Self::Mark { .. }
            | Self::Barrier { .. } => 0,
        }
    }
}

#[derive(Default)]
struct Shared {
    bytes: AtomicUsize,
    commands: AtomicUsize,
    /// The first error; everything after it fails alike.
    failed: Mutex<Option<EngineError>>,
}

impl Shared {
    fn failure(&self) -> Option<EngineError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The writer's end.
pub(crate) struct Queue {
    send: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

impl Queue {
    /// Starts a stage. `blocks`: it does file I/O, which must not hold up the runtime.
    pub(crate) fn start(cx: &Context, stage: Box<dyn Stage>, blocks: bool) -> Self {
        // Bounded by `has_room`; a bounded channel would have to block or to lose.
        let (send, receive) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { commands: AtomicUsize::new(1), ..Shared::default() });
        // Its receiver is here.
        let _ = send.send(Command::Begin);
        let threads = blocks.then(|| cx.io.clone());
        cx.io.spawn(run(stage, receive, shared.clone(), cx.waker.clone(), threads));
        Self { send, shared }
    }

    pub(crate) fn has_room(&self) -> bool {
        // A failed stage is always ready: the next call tells why.
        self.shared.bytes.load(Ordering::Acquire) < BUDGET
            && self.shared.commands.load(Ordering::Acquire) < COMMANDS
            || self.shared.failure().is_some()
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// The error that ended the stage.
    pub(crate) fn check(&self) -> Result<(), OperatorError> {
        self.shared.failure().map_or(Ok(()), Err)
    }

    pub(crate) fn restore(&self, item: Bytes) -> Result<(), OperatorError> {
        self.push(Command::Restore(item))
    }

    pub(crate) fn append(
        &self,
        file: FileId,
        name: &Arc<FileName>,
        data: Vec<u8>,
    ) -> Result<(), OperatorError> {
        self.push(Command::Append { file, name: name.clone(), data })
    }

    pub(crate) fn roll(&self, file: FileId) -> Result<(), OperatorError> {
        self.push(Command::Roll(file))
    }

    /// An empty file of this name, behind all files that were rolled.
    pub(crate) fn mark(&self, directory: &str, name: &str) -> Result<(), OperatorError> {
        self.push(Command::Mark { directory: directory.to_owned(), name: name.to_owned() })
    }

    /// Queued at once, so that it covers exactly what was appended before; awaited later.
    pub(crate) fn barrier(
        &self,
        footers: Vec<(FileId, Vec<u8>)>,
        ended: bool,
    ) -> impl Future<Output = Result<(Vec<Commit>, Vec<Bytes>), OperatorError>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        let pushed = self.push(Command::Barrier { footers, ended, reply });
        let shared = self.shared.clone();
        async move {
            pushed?;
            answer.await.unwrap_or_else(|_| {
                Err(shared.failure().unwrap_or_else(|| {
                    EngineError::internal("filesystem sink: staging ended early")
                }))
            })
        }
    }

    fn push(&self, command: Command) -> Result<(), OperatorError> {
        self.check()?;
        self.shared.bytes.fetch_add(command.bytes(), Ordering::AcqRel);
        self.shared.commands.fetch_add(1, Ordering::AcqRel);
        self.send.send(command).map_err(|_| {
            self.shared
                .failure()
                .unwrap_or_else(|| EngineError::internal("filesystem sink: staging has ended"))
        })
    }
}

async fn run(
    mut stage: Box<dyn Stage>,
    mut receive: mpsc::UnboundedReceiver<Command>,
    shared: Arc<Shared>,
    waker: Waker,
    threads: Option<tokio::runtime::Handle>,
) {
    while let Some(command) = receive.recv().await {
        let bytes = command.bytes();
        let done = match &threads {
            None => Ok(execute(stage, command).await),
            // A thread for each command and none in between, so that nothing is held up when
            // the runtime shuts down.
            Some(io) => {
                let handle = io.clone();
                joined(io.spawn_blocking(move || handle.block_on(execute(stage, command)))).await
            }
        };
        shared.bytes.fetch_sub(bytes, Ordering::AcqRel);
        shared.commands.fetch_sub(1, Ordering::AcqRel);
        let failed = match done {
            Ok((kept, Ok(()))) => {
                stage = kept;
                waker.wake();
                continue;
            }
            Ok((_, Err(error))) => error,
            Err(error) => {
                EngineError::internal(format!("filesystem sink: staging ended early: {error}"))
            }
        };
        *shared.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed);
        waker.wake();
        return;
    }
}

async fn execute(
    mut stage: Box<dyn Stage>,
    command: Command,
) -> (Box<dyn Stage>, Result<(), EngineError>) {
    let done = match command {
        Command::Begin => stage.begin().await,
        Command::Restore(item) => stage.restore(item).await,
        Command::Append { file, name, data } => stage.append(file, &name, data).await,
        Command::Roll(file) => stage.roll(file).await,
        Command::Mark { directory, name } => stage.mark(&directory, &name).await,
        Command::Barrier { footers, ended, reply } => {
            let answer = stage.barrier(footers, ended).await;
            let failed = answer.as_ref().err().cloned();
            // Nobody listens when the attempt was given up together with its term.
            let _ = reply.send(answer);
            failed.map_or(Ok(()), Err)
        }
    };
    (stage, done)
}
