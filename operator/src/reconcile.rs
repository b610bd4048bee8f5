//! One round for one job: observe, validate, decide, build and apply, then one status.
//!
//! What a process remembers between rounds (the check of a program, a node's heartbeat, events
//! already written) only saves work: a fresh process asks again and comes to the same end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;
use weir_crds::kube::{StreamJob, StreamJobStatus};

use crate::apply::{Applier, ApplyError};
use crate::build::Owner;
use crate::clock::Clock;
use crate::config::Defaults;
use crate::decide::{
    Coordinator, Decision, Facts, JobFacts, Note, POLL, Plan, SOON, Target, decide,
};
use crate::events::Events;
use crate::metrics::Metrics;
use crate::names;
use crate::observe::{Heartbeats, ObserveError, Observed, Observer};
use crate::requeue::RequeueCache;
use crate::status::{self, build_status};
use crate::validate::{Accepted, Refusal, validate};
use crate::workers::Workers;

/// A round that failed; the next one begins anew.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A read failed.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A write failed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The status was not written.
    #[error("writing the status of job {name}: {source}")]
    Status {
        /// The job.
        name: String,
        /// The API server's answer.
        source: kube::Error,
    },
}

impl ReconcileError {
    /// One word for the metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Observe(_) => "observe",
            _ if self.is_conflict() => "conflict",
            Self::Apply(_) => "apply",
            Self::Status { .. } => "status",
        }
    }

    /// How long to wait before the next round.
    #[must_use]
    pub fn pause(&self) -> Duration {
        if self.is_conflict() { SOON } else { Duration::from_secs(2) }
    }

    /// The facts were old: a new look will tell.
    fn is_conflict(&self) -> bool {
        match self {
            Self::Apply(error) => error.is_conflict(),
            Self::Status { source: kube::Error::Api(status), .. } => status.code == 409,
            Self::Observe(_) | Self::Status { .. } => false,
        }
    }
}

/// A check of a program is asked for again after this time: what it refers to may have changed.
const VERDICT_HOLDS: Duration = Duration::from_secs(60);
/// Verdicts that are remembered.
const MOST_VERDICTS: usize = 10_000;

/// What rounds share.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The worker processes.
    pub workers: Arc<dyn Workers>,
    /// Time.
    pub clock: Clock,
    /// The installation's defaults.
    pub defaults: Defaults,
    /// Where the operator runs.
    pub namespace: String,
    /// Events already written.
    pub events: Events,
    /// Nodes under suspicion.
    pub heartbeats: Heartbeats,
    /// What need not be done again.
    pub requeue: RequeueCache,
    /// Figures.
    pub metrics: Metrics,
    plan_checks: Mutex<HashMap<String, (Plan, Duration)>>,
}

impl Context {
    /// A context that remembers nothing yet.
    #[must_use]
    pub fn new(
        client: Client,
        workers: Arc<dyn Workers>,
        clock: Clock,
        defaults: Defaults,
        namespace: &str,
        instance: &str,
    ) -> Self {
        Self {
            client,
            workers,
            clock,
            defaults,
            namespace: namespace.to_owned(),
            events: Events::new(instance),
            heartbeats: Heartbeats::default(),
            requeue: RequeueCache::default(),
            metrics: Metrics::default(),
            plan_checks: Mutex::default(),
        }
    }

    fn plan_check(&self, key: &str) -> Plan {
        let now = self.clock.elapsed();
        match self.plan_checks.lock().get(key) {
            Some((plan, at)) if now.saturating_sub(*at) < VERDICT_HOLDS => plan.clone(),
            _ => Plan::Unknown,
        }
    }

    fn remember(&self, key: String, plan: Plan) {
        let mut plan_checks = self.plan_checks.lock();
        if plan_checks.len() >= MOST_VERDICTS {
            plan_checks.clear();
        }
        plan_checks.insert(key, (plan, self.clock.elapsed()));
    }
}

/// One round for one job. Returns when to look again, or none when the job is gone.
///
/// # Errors
/// A read or write failed. What was written stands, and the next round goes on from there.
pub async fn reconcile(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<Duration>, ReconcileError> {
    let observer = Observer {
        client: &context.client,
        workers: context.workers.as_ref(),
        clock: &context.clock,
        heartbeats: &context.heartbeats,
    };
    let Some(observed) = observer.observe(namespace, name).await? else {
        context.metrics.forget(namespace, name);
        context.requeue.forget(namespace, name);
        return Ok(None);
    };
    let defaults = observed.resolved.as_ref().unwrap_or(&context.defaults);
    // A job on its way out needs its image and place of state, and no program any more.
    let leaving = observed.job.metadata.deletion_timestamp.is_some();
    let no_program = leaving.then(|| Ok(String::new()));
    let program = no_program.as_ref().or(observed.program.as_ref());
    let published = observed.published_root.as_deref();
    let accepted = validate(&observed.job, program, defaults, published);
    let owner = Owner {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        uid: observed.job.uid().unwrap_or_default(),
        operator_namespace: context.namespace.clone(),
    };
    let applier = Applier { client: &context.client, owner: &owner };
    let mut facts = build_facts(context, &observed, &accepted);
    if let Ok(accepted) = &accepted
        && !leaving
        && !(facts.job.has_finalizer && observed.accepted)
    {
        match applier.accept(&observed.job, &accepted.resolved).await {
            // The job's version is another now; the next round reads it.
            Ok(()) => return Ok(Some(Duration::ZERO)),
            Err(error) => facts.target = Err(error.refusal().ok_or(error)?),
        }
    }
    if let Ok(accepted) = &accepted
        && !leaving
        && !observed.job.annotations().contains_key(names::PUBLISHED)
        && has_published(&facts)
    {
        applier.note_published(&observed.job, &accepted.state_root).await?;
        return Ok(Some(Duration::ZERO));
    }
    let mut decision = decide(&facts);
    if let (Some(ip), Ok(accepted)) = (&decision.ask_plan, &accepted) {
        // What the cluster would refuse must not stop what runs.
        let plan = match applier.try_set(accepted, &observed).await? {
            Some(refusal) => Plan::Refused(refusal),
            None => ask_plan(context, ip, accepted).await,
        };
        if plan != Plan::Unknown {
            context.remember(plan_check_key(&facts, &accepted.revision), plan.clone());
            if let Ok(target) = &mut facts.target {
                target.plan = plan;
            }
            decision = decide(&facts);
        }
    }
    // Pods are not given up for others that the cluster would refuse, whoever coordinates them.
    let replaces = decision.create.is_some() && !decision.scale.is_empty();
    if let Ok(accepted) = accepted.as_ref()
        && replaces
        && let Some(refusal) = applier.try_set(accepted, &observed).await?
    {
        facts.target = Err(refusal);
        decision = decide(&facts);
    }
    context.events.publish(&context.client, &context.clock, &observed.job, &decision.notes).await;
    let wanted = applier.children(&decision, &observed, accepted.as_ref().ok());
    let now = context.clock.elapsed();
    if !context.requeue.knows_children(namespace, name, &wanted, now) {
        match applier.apply_children(&decision, &observed, accepted.as_ref().ok()).await {
            Ok(()) => context.requeue.note_children(namespace, name, wanted, now),
            Err(error) => {
                facts.blocked = Some(error.refusal().filter(|_| !leaving).ok_or(error)?);
                decision = decide(&facts);
            }
        }
    }
    if let Err(error) = applier.apply(&decision, &observed, accepted.as_ref().ok()).await {
        let Some(refusal) = error.refusal().filter(|_| !leaving) else { return Err(error.into()) };
        // Nothing was made of it: it is told like any other spec that cannot be carried out, and
        // tried again, since what is invalid may be so in this version of the cluster only.
        match refusal.reason {
            "InvalidTemplate" => facts.target = Err(refusal),
            _ => facts.blocked = Some(refusal),
        }
        decision = decide(&facts);
    }
    context.events.publish(&context.client, &context.clock, &observed.job, &decision.notes).await;
    if let Some((ip, operation)) = decision.begin.clone() {
        begin(context, &observed.job, &ip, operation, &mut decision).await;
    }
    let told = operations(&facts, &decision, &observed);
    context.events.publish(&context.client, &context.clock, &observed.job, &told).await;
    if decision.release {
        context.metrics.forget(namespace, name);
        context.requeue.forget(namespace, name);
        return Ok(None);
    }
    publish_status(context, &facts, &decision, &observed).await?;
    if decision.again != POLL || decision.view.operation.is_some() {
        return Ok(Some(decision.again));
    }
    Ok(Some(context.requeue.next(namespace, name, seen(&facts, &observed), decision.again)))
}

/// Everything that changes when something happens in a job that runs.
fn seen(facts: &Facts, observed: &Observed) -> String {
    let version = observed.job.resource_version();
    let versions = observed.sets.iter().map(|(_, it)| &it.resource_version);
    let versions: Vec<&String> =
        versions.chain(observed.pods.iter().map(|(_, it)| &it.resource_version)).collect();
    let reports = facts.pods.iter().map(|pod| {
        let report = pod.report.as_ref()?;
        let coordinates = report.coordinating.as_ref().map(|coordinating| {
            let status = coordinating.status.as_ref();
            let status = status.map(|it| (it.term, &it.state, it.parallelism, it.restarts));
            let trouble = [
                &coordinating.source_trouble,
                &coordinating.task_trouble,
                &coordinating.checkpoint_trouble,
            ];
            (coordinating.head, coordinating.published, &coordinating.end, trouble, status)
        });
        Some((report.attached, &report.incarnation, coordinates))
    });
    let reports: Vec<_> = reports.collect();
    names::short_hash(&[&format!("{version:?} {versions:?} {reports:?}")])
}

fn build_facts(
    context: &Context,
    observed: &Observed,
    accepted: &Result<Accepted, Refusal>,
) -> Facts {
    let job = &observed.job;
    let spec = &job.spec;
    let mut facts = Facts {
        now: observed.now,
        job: JobFacts {
            name: job.name_any(),
            namespace: job.namespace().unwrap_or_default(),
            uid: job.uid().unwrap_or_default(),
            generation: job.metadata.generation.unwrap_or(0),
            desired: spec.desired_state,
            parallelism: spec.parallelism,
            progress_deadline: spec.upgrade.progress_deadline,
            deletion: spec.deletion.clone(),
            deleted_at: job.metadata.deletion_timestamp.as_ref().map(|time| time.0),
            has_finalizer: job.finalizers().iter().any(|it| it == names::FINALIZER),
        },
        namespace_terminating: observed.namespace_terminating,
        target: accepted.as_ref().map_err(Clone::clone).map(|accepted| Target {
            revision: accepted.revision.clone(),
            image: accepted.image.clone(),
            root: accepted.state_root.clone(),
            plan: Plan::Unknown,
        }),
        sets: observed.sets.iter().map(|(set, _)| set.clone()).collect(),
        pods: observed.pods.iter().map(|(pod, _)| pod.clone()).collect(),
        state_pod: observed.state_pod.as_ref().map(|(pod, _)| pod.clone()),
        plan_pods: observed.plan_pods.iter().map(|(pod, _)| pod.clone()).collect(),
        blocked: None,
        published: observed.published,
    };
    if let Ok(accepted) = accepted {
        let plan = context.plan_check(&plan_check_key(&facts, &accepted.revision));
        if let Ok(target) = &mut facts.target {
            target.plan = plan;
        }
    }
    facts
}

/// Whether anything says that the job has published.
fn has_published(facts: &Facts) -> bool {
    let by_its_coordinator = |set: &crate::decide::SetFacts| {
        let coordinator = facts.coordinator(&set.revision);
        !set.deleting && coordinator.is_some_and(|it| it.has_published())
    };
    facts.published || facts.sets.iter().any(by_its_coordinator)
}

fn plan_check_key(facts: &Facts, revision: &str) -> String {
    format!("{}/{revision}", facts.job.uid)
}

async fn ask_plan(context: &Context, ip: &str, accepted: &Accepted) -> Plan {
    let reply = match context.workers.plan(ip, &accepted.asked).await {
        Ok(reply) => reply,
        Err(error) => {
            tracing::info!(%error, "the running job was not asked about the new program");
            return Plan::Unknown;
        }
    };
    if !reply.errors.is_empty() {
        return Plan::Refused(Refusal::new("DoesNotPlan", reply.errors.join("\n")));
    }
    if reply.dropped.is_empty() {
        return Plan::Fits;
    }
    let names: Vec<String> = reply.dropped.iter().map(|name| format!("\"{name}\"")).collect();
    Plan::Refused(Refusal::new(
        "DropsState",
        format!(
            "spec.sql: the new program would drop the state of {}; to allow it set \
             state.allowDroppedState: [{}]",
            names.join(", "),
            names.join(", ")
        ),
    ))
}

/// A call that fails is made again in the next round, under the same id.
async fn begin(
    context: &Context,
    job: &StreamJob,
    ip: &str,
    operation: crate::workers::Operation,
    decision: &mut Decision,
) {
    let id = operation.id.clone();
    match context.workers.begin(ip, operation).await {
        Ok(reply) if reply.refused.is_empty() => {}
        Ok(reply) => {
            tracing::info!(job = %job.name_any(), id, refused = %reply.refused, "not begun");
            if let Some(view) = &mut decision.view.operation {
                view.message = format!("{}; not begun: {}", view.message, reply.refused);
            }
        }
        Err(error) => tracing::info!(job = %job.name_any(), id, %error, "not begun"),
    }
}

/// Operations that the coordinator reports as ended, and that it took the job over from one that
/// was lost; each told once.
fn operations(facts: &Facts, decision: &Decision, observed: &Observed) -> Vec<Note> {
    let Some(coordinator) =
        decision.view.running.as_deref().and_then(|revision| facts.coordinator(revision))
    else {
        return Vec::new();
    };
    let status = coordinator.view.status.as_ref();
    let done = status
        .into_iter()
        .flat_map(|status| &status.operations)
        .filter(|report| report.refused.is_empty() && !report.message.is_empty())
        .filter_map(|report| {
            let reason = match report.kind.as_str() {
                // A coordinator that took over places the same tasks anew, which is no news.
                "Rescaled" if changes_nothing(&report.message) => return None,
                "Rescaled" => "Rescaled",
                "Recovered" => "Recovered",
                // A stop is told with its end, under its savepoint's name.
                _ => return None,
            };
            let key = format!("{}-{}", report.at_ms, report.id);
            Some(Note::normal(reason, &key, report.message.clone()))
        });
    done.chain(taken_over(decision, &coordinator, observed)).collect()
}

/// `2 → 2 in 0.3 s`
fn changes_nothing(message: &str) -> bool {
    let Some((from, to)) = message.split_once(" → ") else { return false };
    to.split_once(' ').map_or(to, |(to, _)| to) == from
}

/// The coordinator that the status shows is gone, and this one has restored the job.
fn taken_over(
    decision: &Decision,
    coordinator: &Coordinator<'_>,
    observed: &Observed,
) -> Option<Note> {
    let was = observed.job.status.as_ref()?;
    let before = status::predecessor(was, decision.view.running.as_deref(), coordinator)?;
    let failure = observed.last_failure.as_ref().filter(|failure| failure.pod == before.pod);
    let why = failure.map(|failure| format!(" ({})", failure.reason)).unwrap_or_default();
    let (lost, pod) = (&before.pod, coordinator.pod);
    let how = match lost == pod {
        true => format!("worker {pod}, which coordinates the job, was started again{why}"),
        false => format!("worker {lost}, which coordinated the job, is gone{why}; {pod} took over"),
    };
    let message = format!(
        "{how}, with term {}, and went on from epoch {}",
        coordinator.term, coordinator.view.restored_epoch
    );
    Some(Note::normal("Recovered", &format!("term-{}", coordinator.term), message))
}

/// One write, and none when it would say the same.
async fn publish_status(
    context: &Context,
    facts: &Facts,
    decision: &Decision,
    observed: &Observed,
) -> Result<(), ReconcileError> {
    let job = &observed.job;
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    let none = StreamJobStatus::default();
    let was = job.status.as_ref().unwrap_or(&none);
    let failure = observed.last_failure.as_ref();
    let checkpoint = &job.spec.state.checkpoint;
    let unhealthy_after = checkpoint.interval.saturating_add(checkpoint.unhealthy_after);
    let status = build_status(facts, decision, failure, unhealthy_after, was);
    context.metrics.observe(&namespace, &name, &status);
    let Some(mut patch) = status_patch(was, &status) else { return Ok(()) };
    // The next job of this name must not be told what this one did.
    patch["metadata"] = json!({"resourceVersion": job.resource_version()});
    let jobs: Api<StreamJob> = Api::namespaced(context.client.clone(), &namespace);
    let params =
        PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
    match jobs.patch_status(&name, &params, &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).map_err(|source| ReconcileError::Status { name, source }),
    }
}

/// A merge patch from one status to the other, if they differ: what is no longer said has to be
/// removed.
fn status_patch(was: &StreamJobStatus, status: &StreamJobStatus) -> Option<serde_json::Value> {
    let was = serde_json::to_value(was).ok()?;
    let mut fields = serde_json::to_value(status).ok()?;
    // Compared as they are stored: the API server keeps whole seconds.
    if was == fields {
        return None;
    }
    remove_missing(&was, &mut fields);
    Some(json!({"status": fields}))
}

fn remove_missing(was: &serde_json::Value, now: &mut serde_json::Value) {
    let (Some(was), Some(now)) = (was.as_object(), now.as_object_mut()) else { return };
    for (key, value) in was {
        match now.get_mut(key) {
            Some(now) => remove_missing(value, now),
            None => {
                now.insert(key.clone(), serde_json::Value::Null);
            }
        }
    }
}
