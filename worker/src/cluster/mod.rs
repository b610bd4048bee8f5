//! `weir worker` in a cluster: one process of a job that nobody on this machine holds together.
//!
//! ```text
//!   operator ── Report, Begin, …  ────►┐
//!   other workers ── Attach, Follow ──►┤ control port: service ──► shared ◄── role
//!   kubelet, Prometheus ──────────────►┤ http port               ▲  ▲         │ reads the head,
//!   other workers ── rows ────────────►┘ exchange port           │  │         │ asks the others
//!                                                     member ────┘  └── Coordinator (sometimes)
//! ```
//!
//! What enters: a manifest, the pod's identity (`WEIR_…`), the job's chain. What leaves: the work
//! of a member, and, while this process holds the role, that of the job's coordinator.
//!
//! What always holds:
//! - A process that was fenced ends with [`exit::FENCED`] and never coordinates again.
//! - A process that is told to end (SIGTERM, or Terminate) says so first: its coordinator gives its
//!   tasks to others at once, and a coordinator's workers replace it without waiting for its
//!   silence.
//! - After the job's end the process stays and says how it ended, until somebody ends it.
//! - A process that cannot reach the job's state says so in `Report` at once, and gives up with
//!   the same words after a minute (`--store-patience`): whoever starts it again may have other
//!   credentials for it.
//!
//! Deliberately absent: leases and elections. Who coordinates is decided in [`role::decide`] for
//! the sake of progress only; the chain decides what counts.

mod finder;
mod http;
mod incarnation;
mod metrics;
mod peers;
mod plan_child;
mod problem;
mod role;
mod service;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::time::timeout;
use weir_checkpoint::steps::Steps;
use weir_checkpoint::store::{StoreOptions, open};
use weir_checkpoint::{Chain, ChainOptions, Nonces};
use weir_coordinator::{Member, MemberConfig, MemberEnd, grpc};
use weir_engine::exchange::{ExchangeServer, TcpTransport};
use weir_protocol::WorkerId;

use crate::cli::WorkerArgs;
use crate::exit;
use crate::host::EngineHost;
use crate::load::load;
use crate::monitor::{self, Facts, Monitor, Watched};
use crate::segments::open_cache;
use crate::signals::EndSignals;
use finder::Finder;
use role::{Role, RoleEnd};
use service::Service;
pub(crate) use shared::Known;
use shared::{Identity, Shared};

/// Longest time to hand on what the process does; what is not done by then is found out by others.
const HAND_ON: Duration = Duration::from_secs(2);
/// A worker that was not wanted, because its program is another one, looks again after this.
const NOT_WANTED: Duration = Duration::from_secs(5);

/// Serves until it is told to end, or until it cannot go on.
///
/// # Errors
/// When the worker cannot be set up.
pub(crate) async fn run(args: &WorkerArgs) -> anyhow::Result<u8> {
    let cluster = &args.cluster;
    let pod = cluster.pod_name.as_deref().context(
        "the worker does not know who it is: set WEIR_POD_NAME (in a pod), or give --ordinal and \
         --coordinator",
    )?;
    let ordinal = ordinal_of(pod)?;
    let loaded = load(&args.manifest)?;
    let name = loaded.name();
    let Some(root) = loaded.job.spec.state.root.clone() else {
        bail!(
            "{}: spec.state.root is missing; every worker of a cluster has to reach the same state",
            args.manifest.display()
        );
    };
    let store = open(&root, &StoreOptions::default())?;
    let control = TcpListener::bind(&cluster.control).await.with_context(|| {
        format!("cannot listen at {} for the control protocol", cluster.control)
    })?;
    let http = TcpListener::bind(&cluster.http)
        .await
        .with_context(|| format!("cannot listen at {} for probes and metrics", cluster.http))?;
    let exchange = ExchangeServer::start(&TcpTransport, &cluster.exchange, name.as_str())
        .await
        .with_context(|| format!("cannot listen at {} for other workers", cluster.exchange))?;
    let advertised = |port: u16| format!("{}:{port}", cluster.pod_ip);
    let exchange_port = exchange.address().rsplit_once(':').and_then(|(_, p)| p.parse().ok());
    let shared = Arc::new(Shared::new(Identity {
        worker: WorkerId(ordinal),
        incarnation: uuid::Uuid::new_v4().to_string(),
        revision: cluster.revision.clone(),
        job_uid: cluster.job_uid.clone(),
        pod_uid: cluster.pod_uid.clone(),
        control: advertised(control.local_addr()?.port()),
        namespace: loaded.job.metadata.namespace.clone(),
        name: loaded.job.metadata.name.clone(),
    }));
    let config = MemberConfig {
        worker: WorkerId(ordinal),
        incarnation: shared.identity.incarnation.clone(),
        exchange_address: advertised(exchange_port.unwrap_or_default()),
        control_address: shared.identity.control.clone(),
        // One subtask of each vertex a pod; survivors take more.
        slots: 1,
        nonces: Nonces::random(),
        steps: Steps::none(),
    };
    let host = Arc::new(EngineHost::start(Some(exchange), args.memory.as_deref())?);
    let graph = Arc::new(loaded.planned.graph);
    let chain = Chain::attach(Arc::clone(&store), &name, ChainOptions::default());
    let cache = open_cache(&root, cluster.local_dir.as_deref(), args.memory.as_deref());
    let member =
        Member::new(config, Arc::clone(&graph), host, Arc::clone(chain.store())).with_cache(cache);
    shared.watch_member(member.view());
    let facts = Facts::of(&loaded.job, &graph).with_state_limit(args.memory.as_deref());
    let shows_rows = cluster.show_rows;
    let watched = Watched { name: name.clone(), store: Arc::clone(&store), facts, shows_rows };
    let monitor = Monitor::new(&loaded.job, &graph, watched);
    match monitor::listen(Some(&cluster.page)).await {
        Ok(listener) => drop(tokio::spawn(monitor::serve(listener, monitor.hub()))),
        Err(error) => tracing::warn!(%error, at = cluster.page, "the job's page is not served"),
    }
    let role = Role::new(args, &loaded.job, graph, store, Arc::clone(&shared));
    let settings = metrics::Settings::of(args, &role);
    let pages = http::router(Arc::clone(&shared), monitor.hub(), settings);
    let service = Service::new(Arc::clone(&shared), chain);
    let local: Arc<dyn grpc::LocalCoordinator> =
        Arc::clone(&shared) as Arc<dyn grpc::LocalCoordinator>;
    let finder = Finder::new(Arc::clone(&shared), args.coordinator.clone());
    let signals = EndSignals::listen()?;
    tokio::select! {
        served = grpc::serve_process(control, local, service) => {
            served.context("the control service has ended")?;
            Ok(exit::FAILED)
        }
        served = http::serve(http, pages) => {
            served.context("the service for probes and metrics has ended")?;
            Ok(exit::FAILED)
        }
        () = serve(&member, &finder, &shared) => Ok(exit::FAILED), // Never.
        () = monitor.keep(|| shared.coordinator(), || shared.known()) => Ok(exit::FAILED), // Never.
        end = role.keep() => match end {
            RoleEnd::Fenced(message) => {
                eprintln!("{message}");
                Ok(exit::FENCED)
            }
            RoleEnd::GaveUp(message) => {
                eprintln!("{message}");
                Ok(exit::FAILED)
            }
        },
        code = hand_on(signals, &shared, &member) => Ok(code),
        () = crate::worker::supervisor_gone(), if cluster.supervised => Ok(exit::DONE),
    }
}

/// Waits until the process is told to end, then tells those who count on it. Whether that
/// succeeds changes how soon they go on, and nothing else. Returns the process's exit code.
async fn hand_on(mut told: EndSignals, shared: &Shared, member: &Member) -> u8 {
    let code = tokio::select! {
        () = told.received() => exit::DONE,
        () = shared.terminated() => exit::TERMINATED,
    };
    tracing::info!(pod_is_deleted = code == exit::TERMINATED, "told to end");
    shared.leave();
    let left = match shared.coordinator() {
        Some(coordinator) => timeout(HAND_ON, coordinator.step_down()).await,
        None => timeout(HAND_ON, member.leave()).await,
    };
    if left.is_err() {
        tracing::warn!("it ends without having told those who count on it");
    }
    code
}

/// Lets the member work, for as long as the process lives.
async fn serve(member: &Member, finder: &Finder, shared: &Shared) {
    loop {
        let MemberEnd::Shutdown { reason, end } = member.run(finder).await;
        match end {
            Some(end) => shared.job_ended(end),
            None => shared.set_problem(&reason),
        }
        tokio::time::sleep(NOT_WANTED).await;
    }
}

/// The number behind the last `-` of a pod's name.
fn ordinal_of(pod: &str) -> anyhow::Result<u32> {
    let ordinal = pod.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse().ok());
    ordinal.with_context(|| {
        format!("WEIR_POD_NAME={pod}: not the name of a StatefulSet's pod, which ends in -0, -1, …")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ordinal_is_the_end_of_the_pods_name() {
        assert_eq!(ordinal_of("airports-2-1f0c9a3e-11").ok(), Some(11));
        assert!(ordinal_of("airports").is_err());
    }
}
