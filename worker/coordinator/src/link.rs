//! Connections between a worker and the coordinator: two ordered queues.
//!
//! Order is all that is promised. A queue that is full means that the other side does not
//! listen; whoever finds it so gives the connection up.

use async_trait::async_trait;
use tokio::sync::mpsc;
use weir_protocol::control::{FromWorker, ToWorker};

/// Messages that may wait in one direction: an assignment to each of a thousand subtasks, four
/// times over.
pub const QUEUE: usize = 4096;

/// The other side is gone or does not listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the connection to the coordinator is broken")]
pub struct LinkBroken;

/// The worker's end.
#[derive(Debug)]
pub struct WorkerLink {
    to: mpsc::Sender<FromWorker>,
    from: mpsc::Receiver<ToWorker>,
}

impl WorkerLink {
    /// From two queues.
    #[must_use]
    pub fn new(to: mpsc::Sender<FromWorker>, from: mpsc::Receiver<ToWorker>) -> Self {
        Self { to, from }
    }

    /// Sends without waiting.
    ///
    /// # Errors
    /// When the other side is gone or its queue is full.
    pub fn send(&self, message: FromWorker) -> Result<(), LinkBroken> {
        self.to.try_send(message).map_err(|_| LinkBroken)
    }

    /// Whether the other side is gone; either direction may show it first.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.to.is_closed() || self.from.is_closed()
    }

    /// The next message; `None` when the connection has ended. Loses nothing when dropped
    /// before it is ready.
    pub async fn receive(&mut self) -> Option<ToWorker> {
        self.from.recv().await
    }
}

/// The coordinator's end.
#[derive(Debug)]
pub struct MasterLink {
    /// To the worker. Dropping it ends the connection after what was sent.
    pub to: mpsc::Sender<ToWorker>,
    /// From the worker.
    pub from: mpsc::Receiver<FromWorker>,
}

/// A connection within a process.
#[must_use]
pub fn in_process() -> (WorkerLink, MasterLink) {
    let (to_master, from_worker) = mpsc::channel(QUEUE);
    let (to_worker, from_master) = mpsc::channel(QUEUE);
    (WorkerLink::new(to_master, from_master), MasterLink { to: to_worker, from: from_worker })
}

/// Makes connections to the coordinator, again and again.
#[async_trait]
pub trait Connect: Send + Sync {
    /// A fresh connection.
    ///
    /// # Errors
    /// When nobody answers; says who and why.
    async fn connect(&self) -> Result<WorkerLink, ConnectError>;

    /// Nobody will ever answer here again.
    fn has_ended(&self) -> bool {
        false
    }

    /// Waits until there is reason to try again at once.
    async fn news(&self) {
        std::future::pending().await
    }
}

/// Nobody answers.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("cannot reach the coordinator at {address}: {problem}")]
pub struct ConnectError {
    /// Where it should be.
    pub address: String,
    /// What happened.
    pub problem: String,
    /// The machine answers, and nobody listens there.
    pub refused: bool,
}

/// Where a coordinator takes in connections.
#[derive(Clone, Debug)]
pub struct Attachments {
    to: mpsc::Sender<MasterLink>,
}

impl Attachments {
    /// The place, and where the coordinator finds what was attached.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<MasterLink>) {
        let (to, from) = mpsc::channel(64);
        (Self { to }, from)
    }

    /// Hands a connection to the coordinator.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn attach(&self, link: MasterLink) -> Result<(), ConnectError> {
        self.to.send(link).await.map_err(|_| ConnectError {
            address: "this process".to_owned(),
            problem: "the coordinator has ended".to_owned(),
            refused: false,
        })
    }
}

#[async_trait]
impl Connect for Attachments {
    async fn connect(&self) -> Result<WorkerLink, ConnectError> {
        let (worker, master) = in_process();
        self.attach(master).await?;
        Ok(worker)
    }

    fn has_ended(&self) -> bool {
        self.to.is_closed()
    }
}
