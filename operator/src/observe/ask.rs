//! The second half of a look: what no read tells, and only asking does, once it is known what the
//! spec stands for. Together with what was read it makes the facts that a decision rests on.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::{ObserveError, Observed};
use crate::answers::RefusedWrite;
use crate::apply::refusal_of;
use crate::build::{Begin, build_set};
use crate::context::Context;
use crate::decide::{Facts, JobFacts, PlanCheck, Target, questions};
use crate::names;
use crate::validate::{Accepted, Refusal};

/// The facts: what was read, what was answered not long ago, and the answers to what a decision
/// has to know besides.
///
/// # Errors
/// The API server gave no answer about the pods. A worker that gives none is asked in the next
/// round again.
pub async fn ask(
    context: &Context,
    observed: &Observed,
    spec: &Result<Accepted, Refusal>,
) -> Result<Facts, ObserveError> {
    let mut facts = facts(context, observed, spec);
    let Ok(accepted) = spec else { return Ok(facts) };
    let asked = questions(&facts);
    let refused = match asked.dry_run {
        true => dry_run(context, observed, &facts, accepted).await?,
        false => None,
    };
    let Some(ip) = asked.plan_at else {
        if let Some(refusal) = refused {
            facts.target = Err(refusal);
        }
        return Ok(facts);
    };
    // What the cluster would refuse must not stop what runs.
    let check = match refused {
        Some(refusal) => PlanCheck::Refused(refusal),
        None => ask_plan(context, &ip, accepted).await,
    };
    if check != PlanCheck::Unknown {
        let (uid, now) = (&facts.job.uid, context.clock.elapsed());
        context.answers.remember_check(uid, &accepted.revision, check.clone(), now);
    }
    if let Ok(target) = &mut facts.target {
        target.check = check;
    }
    Ok(facts)
}

fn facts(context: &Context, observed: &Observed, spec: &Result<Accepted, Refusal>) -> Facts {
    let job = &observed.job;
    let (uid, now) = (job.uid().unwrap_or_default(), context.clock.elapsed());
    let checkpoint = &job.spec.state.checkpoint;
    let deleted_at = job.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let target = spec.as_ref().map_err(Clone::clone).map(|accepted| Target {
        revision: accepted.revision.clone(),
        image: accepted.image.clone(),
        root: accepted.state_root.clone(),
        check: context.answers.check(&uid, &accepted.revision, now),
    });
    // Of a job that is being deleted every write is made again until its time is over.
    let generation = job.metadata.generation.unwrap_or(0);
    let refused = context.answers.refused(&uid, generation, now).filter(|_| deleted_at.is_none());
    let (target, blocked) = match refused {
        Some(RefusedWrite::Spec(refusal)) => (target.and(Err(refusal)), None),
        Some(RefusedWrite::Child(refusal)) => (target, Some(refusal)),
        None => (target, None),
    };
    Facts {
        now: observed.now,
        job: JobFacts {
            name: job.name_any(),
            namespace: job.namespace().unwrap_or_default(),
            generation,
            desired: job.spec.desired_state,
            parallelism: job.spec.parallelism,
            progress_deadline: job.spec.upgrade.progress_deadline,
            deletion: job.spec.deletion.clone(),
            deleted_at,
            has_finalizer: job.finalizers().iter().any(|it| it == names::FINALIZER),
            defaults_recorded: observed.defaults_recorded,
            published_recorded: job.annotations().contains_key(names::PUBLISHED),
            unhealthy_after: checkpoint.interval.saturating_add(checkpoint.unhealthy_after),
            uid: uid.clone(),
        },
        namespace_terminating: observed.namespace_terminating,
        target,
        sets: observed.sets.iter().map(|(set, _)| set.clone()).collect(),
        pods: observed.pods.iter().map(|(pod, _)| pod.clone()).collect(),
        state_pod: observed.state_pod.as_ref().map(|(pod, _)| pod.clone()),
        plan_pods: observed.plan_pods.iter().map(|(pod, _)| pod.clone()).collect(),
        blocked,
        not_begun: context.answers.not_begun(&uid, now),
        last_failure: observed.last_failure.clone(),
        published: observed.published,
        status: job.status.clone().unwrap_or_default(),
    }
}

/// Why the cluster would refuse the spec's set, if it would. Nothing is written.
async fn dry_run(
    context: &Context,
    observed: &Observed,
    facts: &Facts,
    accepted: &Accepted,
) -> Result<Option<Refusal>, ObserveError> {
    let supersedes = facts.predecessors(&accepted.revision);
    let begin = Begin::of(facts, accepted, &supersedes);
    let set = build_set(&observed.owner, accepted, facts.job.parallelism, &begin);
    let (namespace, name) = (&facts.job.namespace, set.name_any());
    let sets: Api<StatefulSet> = Api::namespaced(context.client.clone(), namespace);
    let params = PostParams { field_manager: Some(names::MANAGER.to_owned()), dry_run: true };
    let Err(error) = sets.create(&params, &set).await else { return Ok(None) };
    let says_nothing = match &error {
        // It exists from an earlier time.
        kube::Error::Api(status) => matches!(status.code, 404 | 409),
        _ => false,
    };
    // Nor does a webhook that cannot be asked without consequences.
    if says_nothing || error.to_string().contains("does not support dry run") {
        return Ok(None);
    }
    match refusal_of("StatefulSet", &name, &error) {
        Some(refusal) => Ok(Some(refusal)),
        None => {
            Err(ObserveError::new("the answer to a dry run", namespace, &facts.job.name, error))
        }
    }
}

async fn ask_plan(context: &Context, ip: &str, accepted: &Accepted) -> PlanCheck {
    match context.workers.plan(ip, &accepted.asked).await {
        Ok(reply) => PlanCheck::of(&reply),
        Err(error) => {
            tracing::info!(%error, "the running job was not asked about the new program");
            PlanCheck::Unknown
        }
    }
}
