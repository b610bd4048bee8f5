//! The engine's runtime as the member's host of tasks.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use weir_coordinator::{HostedTasks, TaskHost};
use weir_engine::EngineError;
use weir_engine::env::Clock;
use weir_engine::exchange::{ExchangeServer, TcpTransport};
use weir_engine::runtime::{Deployment, Executor, Pool, Runtime, RuntimeConfig};
use weir_engine::task::TaskEvent;

use crate::memory;

/// Runs tasks on this process's threads.
pub struct EngineHost {
    runtime: Runtime,
}

impl EngineHost {
    /// A host with a thread per core. `exchange` is where other workers reach this one.
    ///
    /// # Errors
    /// When threads cannot be started, or the memory setting is not a size.
    pub fn start(
        exchange: Option<Arc<ExchangeServer>>,
        memory: Option<&str>,
    ) -> anyhow::Result<Self> {
        let state = memory::state_bytes(memory).map_err(anyhow::Error::msg)?;
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let runtime = Runtime::new(RuntimeConfig {
            executor: Executor::threaded(threads)?,
            clock: Clock::System,
            io: tokio::runtime::Handle::current(),
            state_pool: Arc::new(Pool::new("the job's state on this worker", state)),
            exchange_bytes: memory::exchange_bytes(state),
            transport: Arc::new(TcpTransport),
            exchange,
        });
        Ok(Self { runtime })
    }
}

impl TaskHost for EngineHost {
    fn deploy(
        &self,
        deployment: Deployment,
        events: UnboundedSender<TaskEvent>,
    ) -> Result<Box<dyn HostedTasks>, EngineError> {
        Ok(Box::new(self.runtime.deploy(deployment, events)?))
    }

    fn state_pool(&self) -> &Arc<Pool> {
        self.runtime.state_pool()
    }
}
