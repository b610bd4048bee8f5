//! What the command line and the manifest ask for, as a coordinator and its workers.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use weir_checkpoint::ChainOptions;
use weir_checkpoint::store::Store;
use weir_coordinator::{Coordinator, CoordinatorConfig, CoordinatorHandle, MasterConfig, grpc};
use weir_crds::StreamJob;
use weir_engine::graph::JobGraph;
use weir_protocol::JobName;

use super::supervisor::{Supervisor, WorkerCommand, WorkerEvent};
use super::{slots, state_root, terminal};
use crate::cli::{Report, RunArgs};
use crate::host::EngineHost;
use crate::local;
use crate::segments::open_cache;

/// Processes that a job has beside this one.
#[derive(Default)]
pub(super) struct Workers {
    _supervisor: Option<Supervisor>,
    pub(super) events: Option<mpsc::Receiver<WorkerEvent>>,
}

/// Starts a job in this process, or with workers of its own.
///
/// # Errors
/// When threads or processes cannot be started.
pub(super) async fn start(
    job: &StreamJob,
    name: &JobName,
    graph: &Arc<JobGraph>,
    store: &Arc<dyn Store>,
    args: &RunArgs,
) -> anyhow::Result<(CoordinatorHandle, Workers)> {
    let config = coordinator_config(job, name.clone(), args);
    if let Some(workers) = args.workers {
        return with_workers(config, graph, store, args, workers).await;
    }
    let memory = args.memory.as_deref();
    let host = Arc::new(EngineHost::start(None, memory)?);
    let cache = open_cache(&state_root(job, &args.state), None, memory);
    let handle = local::start(config, graph, store, &host, cache, slots(job));
    Ok((handle, Workers::default()))
}

fn coordinator_config(job: &StreamJob, name: JobName, args: &RunArgs) -> CoordinatorConfig {
    let mut master = MasterConfig::new(name, job.spec.parallelism);
    apply_spec(&mut master, job, args.retries);
    let mut config = CoordinatorConfig::new(master);
    config.chain = ChainOptions {
        retained: job.spec.state.checkpoint.retained as usize,
        ..ChainOptions::default()
    };
    config
}

/// What a manifest says about checkpoints and restarts; after `retries` errors of the user's in a
/// row the job fails for good, 0: never.
pub(crate) fn apply_spec(master: &mut MasterConfig, job: &StreamJob, retries: u32) {
    let spec = &job.spec;
    master.checkpoint_interval_ms = spec.state.checkpoint.interval.as_millis() as u64;
    master.checkpoint_timeout_ms = spec.state.checkpoint.timeout.as_millis() as u64;
    master.allow_dropped_state.clone_from(&spec.state.allow_dropped_state);
    master.restart.initial_ms = spec.restart.backoff.initial.as_millis() as u64;
    master.restart.max_ms = spec.restart.backoff.max.as_millis() as u64;
    master.restart.reset_after_ms = spec.restart.reset_after.as_millis() as u64;
    master.restart.max_user_errors = (retries > 0).then_some(retries);
}

async fn with_workers(
    mut config: CoordinatorConfig,
    graph: &Arc<JobGraph>,
    store: &Arc<dyn Store>,
    args: &RunArgs,
    workers: u32,
) -> anyhow::Result<(CoordinatorHandle, Workers)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
    let address = listener.local_addr()?.to_string();
    config.address.clone_from(&address);
    config.master.least_workers = workers;
    let handle = Coordinator::start(config, Arc::clone(graph), Arc::clone(store));
    let serving = handle.clone();
    tokio::spawn(async move {
        if let Err(error) = grpc::serve(listener, serving).await {
            tracing::error!(%error, "the control service has ended");
        }
    });
    let manifest = args.manifest.to_str().context("the manifest's path is not UTF-8")?;
    let mut worker_args = vec!["worker".to_owned(), manifest.to_owned()];
    for (flag, value) in [
        ("--workers", workers.to_string()),
        ("--coordinator", address),
        ("--state", args.state.clone()),
    ] {
        worker_args.extend([flag.to_owned(), value]);
    }
    if let Some(memory) = &args.memory {
        worker_args.extend(["--memory".to_owned(), memory.clone()]);
    }
    let command = WorkerCommand { program: program()?, args: worker_args };
    let shares = terminal::is_shared() && !args.no_color && args.output == Report::Text;
    let (supervisor, events) =
        Supervisor::start(&command, workers, shares).context("cannot start worker processes")?;
    Ok((handle, Workers { _supervisor: Some(supervisor), events: Some(events) }))
}

fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find the weir program itself")
}

/// Deletes a job's folder: `--fresh`.
pub(super) async fn forget(store: &Arc<dyn Store>, job: &JobName) -> anyhow::Result<()> {
    let names = store.list(job.as_str(), None).await?;
    for name in names {
        store.delete(&name).await?;
    }
    if !store.list(job.as_str(), None).await?.is_empty() {
        bail!(
            "{}: the state of {job} is still being written; stop the job that writes it",
            store.address()
        );
    }
    Ok(())
}
