//! What runs a worker's tasks, as the member sees it.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedSender;
use weir_engine::EngineError;
use weir_engine::runtime::{Deployment, Pool, TermTasks};
use weir_engine::task::{TaskCommand, TaskEvent, TaskReport};
use weir_protocol::{Subtask, VertexId};

/// Builds and runs tasks.
pub trait TaskHost: Send + Sync + 'static {
    /// Builds and restores the tasks of this worker; they wait for splits. Called on a thread
    /// that may block.
    ///
    /// # Errors
    /// When a task cannot be built or its state cannot be read.
    fn deploy(
        &self,
        deployment: Deployment,
        events: UnboundedSender<TaskEvent>,
    ) -> Result<Box<dyn HostedTasks>, EngineError>;

    /// What the state of all tasks may hold; what is done with it beside them counts there as well.
    fn state_pool(&self) -> &Arc<Pool>;
}

/// The tasks of one term.
#[async_trait]
pub trait HostedTasks: Send + Sync {
    /// Tells a task something. Commands of one task keep their order.
    fn command(&self, vertex: VertexId, subtask: Subtask, command: TaskCommand);

    /// What the tasks have done so far.
    fn reports(&self) -> Vec<TaskReport>;

    /// Ends the tasks; they have released everything once this returns.
    async fn stop(self: Box<Self>);
}

#[async_trait]
impl HostedTasks for TermTasks {
    fn command(&self, vertex: VertexId, subtask: Subtask, command: TaskCommand) {
        Self::command(self, vertex, subtask, command);
    }

    fn reports(&self) -> Vec<TaskReport> {
        Self::reports(self)
    }

    async fn stop(self: Box<Self>) {
        Self::stop(*self);
    }
}
