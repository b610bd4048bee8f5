//! `weir worker`: one worker process, told what to do by the coordinator.
//!
//! With `--ordinal` it belongs to a `weir run --workers` on this machine, which coordinates;
//! without, it is one of a cluster's ([`crate::cluster`]).

use std::sync::Arc;

use anyhow::Context;
use tokio::io::AsyncReadExt;
use weir_checkpoint::steps::Steps;
use weir_checkpoint::store::{StoreOptions, open};
use weir_checkpoint::{Chain, ChainOptions, Nonces};
use weir_coordinator::grpc::GrpcConnect;
use weir_coordinator::{Member, MemberConfig, MemberEnd};
use weir_engine::exchange::{ExchangeServer, TcpTransport};
use weir_protocol::WorkerId;

use crate::cli::WorkerArgs;
use crate::host::EngineHost;
use crate::load::load;
use crate::segments::open_cache;
use crate::{exit, run};

/// Where the workers of one machine exchange rows.
const EXCHANGE: &str = "127.0.0.1:0";

/// Serves until the coordinator shuts the worker down or the supervisor is gone.
///
/// # Errors
/// When the worker cannot be set up.
pub(crate) async fn run(args: &WorkerArgs) -> anyhow::Result<u8> {
    let (Some(ordinal), Some(coordinator)) = (args.ordinal, &args.coordinator) else {
        return crate::cluster::run(args).await;
    };
    let loaded = load(&args.manifest)?;
    let name = loaded.name();
    let root = run::state_root(&loaded.job, &args.state);
    let store = open(&root, &StoreOptions::default())?;
    let chain = Chain::attach(store, &name, ChainOptions::default());
    let exchange = ExchangeServer::start(&TcpTransport, EXCHANGE, name.as_str())
        .await
        .with_context(|| format!("cannot listen at {EXCHANGE} for other workers"))?;
    let config = MemberConfig {
        worker: WorkerId(ordinal),
        incarnation: uuid::Uuid::new_v4().to_string(),
        exchange_address: exchange.address().to_owned(),
        control_address: String::new(),
        slots: run::slots(&loaded.job),
        nonces: Nonces::random(),
        steps: Steps::none(),
    };
    let host = Arc::new(EngineHost::start(Some(exchange), args.memory.as_deref())?);
    let graph = Arc::new(loaded.planned.graph);
    let cache = open_cache(&root, None, args.memory.as_deref());
    let member = Member::new(config, graph, host, Arc::clone(chain.store())).with_cache(cache);
    let connect = GrpcConnect::new(coordinator);
    tokio::select! {
        MemberEnd::Shutdown { reason, .. } = member.run(&connect) => {
            tracing::info!(worker = ordinal, reason, "shut down");
        }
        () = supervisor_gone() => tracing::info!(worker = ordinal, "the supervisor is gone"),
    }
    Ok(exit::DONE)
}

/// The supervisor holds the other end of standard input.
pub(crate) async fn supervisor_gone() {
    let mut buffer = [0; 64];
    let mut stdin = tokio::io::stdin();
    while matches!(stdin.read(&mut buffer).await, Ok(n) if n > 0) {}
}
