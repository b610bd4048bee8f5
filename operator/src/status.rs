//! The status of a job, from the facts, the plan and what stands. One write, and none that would
//! say the same: an idle round writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use weir_crds::kube::{
    CheckpointStatus, CoordinatorStatus, Failure, Failures, LastOperation, OperationStatus,
    OperationStep, ParallelismStatus, RestoredFrom, Revisions, SavepointStatus, StreamJob,
    StreamJobStatus, WorkersStatus,
};

use crate::build::{Applied, Children};
use crate::clock::age;
use crate::context::Context;
use crate::decide::{Coordinator, Facts, Plan, Stopped};
use crate::names;
use crate::observe::Observed;
use crate::workers::OperationReport;

/// The newest checkpoint is shown at most this often when nothing else changes.
const REFRESH: Duration = Duration::from_secs(30);
/// Longest message of a process's end; Kubernetes allows 32 KiB.
const LONGEST: usize = 4000;

/// The status was not written.
#[derive(Debug, thiserror::Error)]
#[error("writing the status of job {name}: {source}")]
pub struct StatusError {
    name: String,
    source: kube::Error,
}

impl StatusError {
    /// The job has changed since it was read: a new look will tell.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(&self.source, kube::Error::Api(status) if status.code == 409)
    }
}

/// Says what was planned and done: one status, of what was applied only, then the events. Returns
/// when to look again, or none when the job was let go.
///
/// # Errors
/// The status was not written; the events are told all the same, since they happen once.
pub async fn publish(
    context: &Context,
    observed: &Observed,
    facts: &Facts,
    plan: &Plan,
    applied: Option<Children<Applied>>,
) -> Result<Option<Duration>, StatusError> {
    let (namespace, name) = (facts.job.namespace.as_str(), facts.job.name.as_str());
    let released = plan.actions.release && applied.is_some();
    let written = match &applied {
        Some(_) if !released => write(context, observed, &build_status(facts, plan)).await,
        _ => Ok(()),
    };
    context.events.publish(&context.client, &context.clock, &observed.job, &plan.events).await;
    written?;
    if released {
        context.forget(namespace, name);
        return Ok(None);
    }
    let again = applied.map(|_| context.requeue.after(observed, facts, plan));
    // What was learnt is decided upon at once.
    Ok(Some(again.unwrap_or_default()))
}

async fn write(
    context: &Context,
    observed: &Observed,
    status: &StreamJobStatus,
) -> Result<(), StatusError> {
    let job = &observed.job;
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    context.metrics.observe(&namespace, &name, status);
    let none = StreamJobStatus::default();
    let was = job.status.as_ref().unwrap_or(&none);
    let Some(mut patch) = status_patch(was, status) else { return Ok(()) };
    // The next job of this name must not be told what this one did.
    patch["metadata"] = json!({"resourceVersion": job.resource_version()});
    let jobs: Api<StreamJob> = Api::namespaced(context.client.clone(), &namespace);
    let params =
        PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
    match jobs.patch_status(&name, &params, &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).map_err(|source| StatusError { name, source }),
    }
}

/// The status of a job after `plan`.
#[must_use]
pub fn build_status(facts: &Facts, plan: &Plan) -> StreamJobStatus {
    let (view, was) = (&plan.view, &facts.status);
    let running = view.running.as_deref();
    let coordinator = running.and_then(|revision| facts.coordinator(revision));
    let report = coordinator.map(|coordinator| coordinator.view);
    let job = report.and_then(|report| report.status.as_ref());
    let mut status = was.clone();
    status.observed_generation = Some(facts.job.generation);
    status.state = Some(view.state);
    // One that was refused the chain it found has nothing to say about the job: that is another's.
    let leads = coordinator.filter(|it| it.end.is_none() || it.has_published());
    if let (Some(coordinator), Some(job)) = (leads, job) {
        status.restarts = Some(restarts(facts, running, &coordinator, job.restarts));
        status.coordinator = Some(CoordinatorStatus {
            pod: coordinator.pod.to_owned(),
            process: coordinator.incarnation.to_owned(),
            restarts: job.restarts,
        });
        status.term = Some(coordinator.term);
        status.parallelism = Some(ParallelismStatus { actual: job.parallelism });
        if let Some(report) = report {
            status.last_checkpoint = last_checkpoint(report, job, was);
            if report.restored_epoch > 0 {
                status.restored_from =
                    Some(RestoredFrom { path: None, epoch: report.restored_epoch });
            }
        }
    } else if running.is_none() {
        status.parallelism = Some(ParallelismStatus { actual: 0 });
        status.coordinator = None;
    }
    let ended = facts.sets.iter().filter_map(|set| set.stopped.as_ref());
    if let Some(savepoint) = ended.filter_map(last_savepoint).max_by_key(|it| it.0) {
        status.last_savepoint = Some(savepoint.1);
    }
    let target = facts.target.as_ref().ok().map(|target| target.revision.clone());
    status.revisions = Some(Revisions {
        current: running.map(str::to_owned),
        target,
        stable: facts.stable().map(str::to_owned),
    });
    let count = |pods: usize| u32::try_from(pods).unwrap_or(u32::MAX);
    let selector = names::worker_selector(&facts.job.name);
    status.workers = Some(WorkersStatus {
        ready: count(facts.pods.iter().filter(|pod| pod.ready).count()),
        replicas: count(facts.pods.len()),
        selector: Some(selector),
    });
    status.operation =
        view.operation.as_ref().filter(|it| !it.id.is_empty()).map(|operation| OperationStatus {
            id: operation.id.clone(),
            type_: operation.kind.to_owned(),
            step: Some(operation.step.to_owned()),
            attempt: Some(operation.attempt),
            deadline: operation.deadline.map(Time),
            message: Some(operation.message.clone()),
        });
    if let Some(newest) = job.and_then(|job| job.operations.iter().max_by_key(|it| it.at_ms)) {
        status.last_operation = Some(last_operation(newest));
    }
    status.failures = failures(facts);
    status.conditions.clone_from(&plan.conditions);
    status
}

/// Restarts so far: a coordinator counts its own, and takes over by one.
fn restarts(facts: &Facts, running: Option<&str>, now: &Coordinator<'_>, counted: u64) -> u64 {
    let was = &facts.status;
    let before = was.restarts.unwrap_or(0);
    match &was.coordinator {
        Some(it) if it.process == now.incarnation => before + counted.saturating_sub(it.restarts),
        // Written by an earlier version, about the same term.
        None if was.term == Some(now.term) => before.max(counted),
        _ => before + counted + u64::from(facts.predecessor(running, now).is_some()),
    }
}

fn last_checkpoint(
    report: &crate::workers::CoordinatorReport,
    job: &crate::workers::JobStatus,
    was: &StreamJobStatus,
) -> Option<CheckpointStatus> {
    let shown = was.last_checkpoint.clone();
    let millis = i64::try_from(report.checkpoint_at_ms).ok().filter(|millis| *millis > 0);
    let Some(at) = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()) else {
        return shown;
    };
    // Whole seconds: that is what the API server keeps.
    let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let fresh = shown
        .as_ref()
        .and_then(|it| it.time.as_ref())
        .is_some_and(|time| at >= time.0 && age(at, time.0) < REFRESH);
    if fresh {
        return shown;
    }
    Some(CheckpointStatus {
        epoch: job.epoch,
        path: Some(report.checkpoint_path.clone()).filter(|path| !path.is_empty()),
        time: Some(Time(at)),
        bytes: Some(job.checkpoint_bytes),
    })
}

fn last_savepoint(stopped: &Stopped) -> Option<(i64, SavepointStatus)> {
    if stopped.savepoint.is_empty() {
        return None;
    }
    let time = Timestamp::from_millisecond(stopped.at_ms).ok()?;
    let time = Timestamp::from_second(time.as_second()).unwrap_or(time);
    let path = Some(stopped.path.clone()).filter(|path| !path.is_empty());
    let savepoint =
        SavepointStatus { name: stopped.savepoint.clone(), path, time: Some(Time(time)) };
    Some((stopped.at_ms, savepoint))
}

fn last_operation(report: &OperationReport) -> LastOperation {
    LastOperation {
        type_: report.kind().name().to_owned(),
        result: if report.refused().is_none() { "Succeeded" } else { "Failed" }.to_owned(),
        downtime_ms: Some(report.pause_ms),
        steps: vec![OperationStep { name: "total".to_owned(), ms: report.total_ms }],
    }
}

/// Container restarts, and the last end of a process that Kubernetes knows of. It counts by pod,
/// and those that have gone are still part of the count.
fn failures(facts: &Facts) -> Option<Failures> {
    let failed = facts.pods.iter().filter(|pod| pod.restarts > 0);
    let of_pods: BTreeMap<String, u32> =
        failed.map(|pod| (pod.uid.clone(), pod.restarts)).collect();
    let last = facts.last_failure.as_ref().map(|last| Failure {
        pod: Some(last.pod.clone()),
        reason: Some(last.reason.clone()),
        exit_code: Some(last.exit_code),
        message: Some(cut(&last.message)).filter(|message| !message.is_empty()),
        time: None,
    });
    let Some(was) = &facts.status.failures else {
        let count = of_pods.values().copied().map(u64::from).sum();
        return last.map(|last| Failures { count, of_pods: Some(of_pods), last: Some(last) });
    };
    let count = match &was.of_pods {
        Some(counted) => {
            let before = |uid: &String| counted.get(uid).copied().unwrap_or(0);
            let new = of_pods.iter().map(|(uid, now)| u64::from(now.saturating_sub(before(uid))));
            was.count + new.sum::<u64>()
        }
        // Written by an earlier version, about the pods that were there.
        None => was.count.max(of_pods.values().copied().map(u64::from).sum()),
    };
    Some(Failures { count, of_pods: Some(of_pods), last: last.or_else(|| was.last.clone()) })
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// A merge patch from one status to the other, if they differ: what is no longer said has to be
/// removed.
fn status_patch(was: &StreamJobStatus, status: &StreamJobStatus) -> Option<Value> {
    let was = serde_json::to_value(was).ok()?;
    let mut fields = serde_json::to_value(status).ok()?;
    // Compared as they are stored: the API server keeps whole seconds.
    if was == fields {
        return None;
    }
    remove_missing(&was, &mut fields);
    Some(json!({"status": fields}))
}

fn remove_missing(was: &Value, now: &mut Value) {
    let (Some(was), Some(now)) = (was.as_object(), now.as_object_mut()) else { return };
    for (key, value) in was {
        match now.get_mut(key) {
            Some(now) => remove_missing(value, now),
            None => {
                now.insert(key.clone(), Value::Null);
            }
        }
    }
}
