//! The process: election, watches, rounds, probes; until it is told to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use weir_crds::kube::StreamJob;
use weir_page::traces::{Exporter, Span};

use crate::clock::Clock;
use crate::config::Options;
use crate::lease::Election;
use crate::names;
use crate::reconcile::{Context, ReconcileError, reconcile};
use crate::termination::TerminationNotices;
use crate::workers::GrpcWorkers;

/// Rounds of different jobs that run at the same time.
const ROUNDS_AT_ONCE: u16 = 32;

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// No configuration for an API server, or the address of probes and metrics is taken.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("finding the API server")?;
    let clock = Clock::system();
    let mut context = Context::new(
        client.clone(),
        Arc::new(GrpcWorkers),
        clock.clone(),
        options.defaults(),
        &options.pod_namespace,
        &options.pod_name,
    );
    context.traces = Exporter::from_env("weir-operator").map_err(anyhow::Error::msg)?;
    let context = Arc::new(context);
    let listener = TcpListener::bind(&options.http)
        .await
        .with_context(|| format!("listening on {} for probes and metrics", options.http))?;
    let ready = Arc::new(AtomicBool::new(false));
    let probes = tokio::spawn(crate::http::serve(listener, context.metrics.clone(), ready.clone()));
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        wait_for_signal().await;
        tracing::info!("told to end");
        stop.send_replace(true);
    });
    let (leads, leading) = watch::channel(false);
    let (namespace, lease) = (&options.pod_namespace, &options.lease);
    let election = Election::new(client.clone(), clock, namespace, lease, &options.pod_name);
    let election = tokio::spawn(election.run(leads, stopped.clone()));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        namespace =
            if options.watch_namespace.is_empty() { "(all)" } else { &options.watch_namespace },
        "weir-operator"
    );
    let announce = tokio::spawn(announce_readiness(client.clone(), options.clone(), ready));
    lead(client, &options, context, leading, stopped).await;
    // The Lease is given back before the process ends.
    election.await.context("ending the election")?;
    probes.abort();
    announce.abort();
    Ok(())
}

/// Ready once the API server lets this operator list jobs: CRD and rights are there.
async fn announce_readiness(client: Client, options: Options, ready: Arc<AtomicBool>) {
    let jobs = jobs(&client, &options);
    loop {
        match jobs.list(&kube::api::ListParams::default().limit(1)).await {
            Ok(_) => {
                ready.store(true, Ordering::SeqCst);
                return;
            }
            Err(error) => tracing::warn!(%error, "StreamJobs cannot be listed"),
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn jobs(client: &Client, options: &Options) -> Api<StreamJob> {
    scoped(client, options)
}

fn scoped<K>(client: &Client, options: &Options) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match options.watch_namespace.as_str() {
        "" => Api::all(client.clone()),
        namespace => Api::namespaced(client.clone(), namespace),
    }
}

/// Works whenever this operator is the active one, until it is stopped.
async fn lead(
    client: Client,
    options: &Options,
    context: Arc<Context>,
    mut leading: watch::Receiver<bool>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            led = leading.wait_for(|leads| *leads) => if led.is_err() { return },
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        tracing::info!("this operator is the active one");
        context.metrics.lead(true);
        let mut lost = leading.clone();
        let mut ended = stopped.clone();
        let halt = async move {
            tokio::select! {
                _ = lost.wait_for(|leads| !*leads) => {}
                _ = ended.wait_for(|stop| *stop) => {}
            }
        };
        let sweeps = crate::orphans::keep_sweeping(client.clone(), options.watch_namespace.clone());
        let sweeps = tokio::spawn(sweeps);
        control(&client, options, context.clone(), halt).await;
        sweeps.abort();
        context.metrics.lead(false);
        if *stopped.borrow() {
            return;
        }
        tracing::warn!("this operator is no longer the active one");
    }
}

/// Watches jobs and what belongs to them, and gives each its rounds, until `halt`. Rounds that
/// have begun are finished.
pub async fn control(
    client: &Client,
    options: &Options,
    context: Arc<Context>,
    halt: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let notices = TerminationNotices::new(Arc::clone(&context.workers));
    let ours = watcher::Config::default()
        .labels(&format!("app.kubernetes.io/managed-by={}", names::MANAGER));
    Controller::new(jobs(client, options), watcher::Config::default())
        .with_config(Config::default().concurrency(ROUNDS_AT_ONCE))
        .watches(scoped::<StatefulSet>(client, options), ours.clone(), job_of)
        .watches(scoped::<Pod>(client, options), ours, move |pod| {
            notices.notice(&pod);
            job_of(pod)
        })
        .graceful_shutdown_on(halt)
        .run(round, retry, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!(%error, "a round ended");
            }
        })
        .await;
}

fn job_of<K: Resource<DynamicType = ()>>(child: K) -> Option<ObjectRef<StreamJob>> {
    let name = child.labels().get(names::JOB)?.clone();
    Some(ObjectRef::new(&name).within(&child.namespace()?))
}

/// A round as a trace. `job`: `namespace/name`; `end_us`: microseconds since 1970; `error`: by what it
/// failed, and why.
fn traced(job: &str, end_us: u64, took: Duration, error: Option<(&'static str, String)>) -> Span {
    let took_us = u64::try_from(took.as_micros()).unwrap_or_default();
    let begin_us = end_us.saturating_sub(took_us);
    let mut span = Span::root("reconcile", &format!("{job} at {end_us}"), begin_us, end_us)
        .with("weir.job", job);
    if let Some((reason, why)) = error {
        span = span.with("weir.reason", reason);
        span.problem = why;
    }
    span
}

async fn round(job: Arc<StreamJob>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    let began = context.clock.elapsed();
    let result = reconcile(&context, &namespace, &name).await;
    let took = context.clock.elapsed().saturating_sub(began);
    context.metrics.round(took, result.as_ref().err().map(ReconcileError::reason));
    if let Some(traces) = &context.traces {
        let end_us = u64::try_from(context.clock.now().as_microsecond()).unwrap_or_default();
        let error = result.as_ref().err().map(|error| (error.reason(), error.to_string()));
        traces.send(vec![traced(&format!("{namespace}/{name}"), end_us, took, error)]);
    }
    match result? {
        Some(again) => Ok(Action::requeue(again)),
        None => Ok(Action::await_change()),
    }
}

fn retry(job: Arc<StreamJob>, error: &ReconcileError, _: Arc<Context>) -> Action {
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    if error.reason() == "conflict" {
        tracing::debug!(namespace, name, %error, "the facts were old");
    } else {
        tracing::warn!(namespace, name, %error, "a round failed");
    }
    Action::requeue(error.pause())
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM is not handled");
            let _ended = interrupt.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_a_trace_with_what_it_failed_by() {
        let took = Duration::from_micros(1_500);
        let well = traced("default/a", 10_000, took, None);
        assert_eq!((well.begin_us, well.end_us, well.problem.as_str()), (8_500, 10_000, ""));
        let failed = traced("default/a", 10_000, took, Some(("observe", "no answer".to_owned())));
        assert_eq!(failed.problem, "no answer");
        assert_ne!(
            failed,
            traced("default/b", 10_000, took, Some(("observe", "no answer".to_owned())))
        );
        assert!(failed.attributes.contains(&("weir.reason", "observe".to_owned())));
    }
}
