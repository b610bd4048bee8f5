//! A job that is to run: start, resume, rescale, replace, finish.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use weir_crds::kube::JobState;

use super::{
    BOUNDED, Coordinator, Degraded, Event, Facts, IDLE, OperationView, POLL, Plan, PlanCheck,
    ProblemClass, SOON, Scale, SetFacts, StopKind, Target, check, stop, unrefused,
};
use crate::clock::age;
use crate::names::operation_id;
use crate::validate::Refusal;
use crate::workers::{Operation, OperationKind, RescaleRequest, RunState, job_end, operation};

/// A revision counts as stable once a coordinator of it has taken so many checkpoints, those of a
/// quiet job included, which have nothing to publish …
const STABLE_CHECKPOINTS: u64 = 2;
/// … and its pods were asked for so long ago.
const STABLE_WINDOW: Duration = Duration::from_secs(60);

pub(super) fn decide(facts: &Facts) -> Plan {
    let target = match &facts.target {
        Ok(target) => target,
        Err(refusal) => return refused(facts, refusal),
    };
    let mut plan = Plan::rest(JobState::Pending);
    let acting = facts.acting();
    if facts.blocked.is_some() && acting.is_none_or(|set| set.revision != target.revision) {
        // What the job lacks it would lack when it starts; what runs goes on.
        plan.view.state = JobState::Failed;
        if let Some(set) = acting {
            keep_running(facts, set, &mut plan);
        }
        return plan;
    }
    match acting {
        Some(set) if set.revision == target.revision => {
            run(facts, set, &mut plan);
            // What came before is only kept until its successor has begun.
            plan.actions.delete_sets.extend(dead_sets(facts, &target.revision));
        }
        Some(old) => replace(facts, old, target, &mut plan),
        None => begin(facts, target, &mut plan),
    }
    plan
}

/// The spec is refused: what runs goes on as it is.
fn refused(facts: &Facts, refusal: &Refusal) -> Plan {
    let mut plan = Plan::rest(JobState::Failed);
    if let Some(set) = facts.acting() {
        keep_running(facts, set, &mut plan);
    }
    // What it lacks may come without an edit of the job: a ConfigMap, for example.
    plan.again = plan.again.min(POLL);
    plan.view.refusal = Some(refusal.clone());
    plan.view.stalled = true;
    plan.events.push(refusal_event(facts, refusal));
    plan
}

fn refusal_event(facts: &Facts, refusal: &Refusal) -> Event {
    let key = format!("{}-{}", facts.job.uid, facts.job.generation);
    Event::warning("SpecRefused", &key, refusal.message.clone())
}

fn dead_sets<'a>(facts: &'a Facts, alive: &'a str) -> impl Iterator<Item = String> + 'a {
    facts
        .sets
        .iter()
        .filter(move |set| set.revision != alive && set.replicas == 0 && !set.deleting)
        .map(|set| set.name.clone())
}

/// No set runs: the revision's set is created, resumed, or rests because its job has finished.
fn begin(facts: &Facts, target: &Target, plan: &mut Plan) {
    plan.view.state = JobState::Starting;
    plan.actions.serve = Some(target.revision.clone());
    let was = facts.sets.iter().filter_map(|set| set.stopped.as_ref());
    let was = was.max_by_key(|stopped| stopped.at_ms);
    // A start keeps the parallelism of the head, so as many pods are needed at first.
    let replicas = facts.job.parallelism.max(was.map_or(0, |stopped| stopped.parallelism));
    let Some(set) = facts.set(&target.revision) else {
        // A set of that name on its way out must be gone before its successor can be made, and one
        // of an earlier job must be told to go.
        if facts.sets.iter().all(|set| set.revision != target.revision && !set.former) {
            plan.actions.create = Some(replicas);
        }
        plan.operation(
            start_id(facts, &target.revision),
            ("Start", "Pods"),
            "its pods are being made",
        );
        return;
    };
    if set.stopped.as_ref().is_some_and(|stopped| stopped.kind == StopKind::Finished) {
        plan.view.state = JobState::Finished;
        plan.actions.serve = None;
        plan.actions.delete_sets.extend(dead_sets(facts, &target.revision));
        plan.again = if facts.pods.is_empty() { IDLE } else { SOON };
        return;
    }
    plan.operation(
        start_id(facts, &target.revision),
        ("Start", "Pods"),
        "its old pods leave first",
    );
    // Pods of the last run would be taken for those of the next: their processes have ended.
    if facts.pods_of(&set.revision).next().is_none() {
        plan.actions.scale.push(Scale {
            name: set.name.clone(),
            replicas,
            stopped: None,
            since: facts.now,
            stopping: None,
            supersedes: Some(facts.predecessors(&set.revision)),
            stable: facts.stable().map(str::to_owned),
            published: set.published.clone(),
        });
    }
}

fn start_id(facts: &Facts, revision: &str) -> String {
    operation_id(&[&facts.job.uid, revision, "start"])
}

/// Another revision runs: it is asked whether the spec's program fits, then stopped behind a
/// savepoint, and the spec's own set is created in the round that records its end.
fn replace(facts: &Facts, old: &SetFacts, target: &Target, plan: &mut Plan) {
    let coordinator = facts.coordinator(&old.revision);
    if coordinator.is_some_and(|coordinator| coordinator.end.is_none()) {
        // A coordinator can only speak for its own image.
        let other_image = old.image != target.image;
        plan.actions.plan_pod = other_image;
        let (check, message) = match other_image {
            true => check::answer(facts, target),
            false => {
                let message = "the running job is asked whether the new program fits";
                (target.check.clone(), message.to_owned())
            }
        };
        match check {
            PlanCheck::Fits => {}
            PlanCheck::Unknown => {
                keep_running(facts, old, plan);
                let id = stop::stop_id(facts, old, stop::Goal::Replace(&target.revision));
                plan.operation(id, ("Upgrade", "Plan"), message);
                return;
            }
            PlanCheck::Refused(refusal) => {
                keep_running(facts, old, plan);
                let message =
                    format!("{}\nrevision {} keeps running", refusal.message, old.revision);
                let refusal = Refusal { message, ..refusal.clone() };
                plan.events.push(refusal_event(facts, &refusal));
                plan.view.refusal = Some(refusal);
                plan.view.stalled = true;
                return;
            }
        }
    }
    plan.actions.serve = Some(old.revision.clone());
    plan.view.running = Some(old.revision.clone());
    if stop::take(facts, old, stop::Goal::Replace(&target.revision), plan)
        && facts.sets.iter().all(|set| set.revision != target.revision)
    {
        let was = plan.actions.scale.iter().filter_map(|scale| scale.stopped.as_ref());
        let was = was.map(|stopped| stopped.parallelism).max().unwrap_or(0);
        plan.actions.create = Some(facts.job.parallelism.max(was));
        plan.actions.serve = Some(target.revision.clone());
    }
}

/// The spec's own set runs.
fn run(facts: &Facts, set: &SetFacts, plan: &mut Plan) {
    if let Some(stopped) = stop::ended(facts, set) {
        let finished = stopped.kind == StopKind::Finished;
        plan.view.state = if finished { JobState::Finished } else { JobState::Starting };
        plan.actions.serve = Some(set.revision.clone());
        plan.again = SOON;
        if finished {
            plan.events.push(Event::normal("Finished", &set.uid, stopped.message.clone()));
        }
        let ended = Scale { replicas: 0, stopped: Some(stopped), ..Scale::keep(set) };
        plan.actions.scale.push(Scale { stopping: None, ..ended });
        return;
    }
    keep_running(facts, set, plan);
    let Some(coordinator) = facts.coordinator(&set.revision) else {
        // More pods are asked for at once; fewer only when the job has moved together.
        if facts.job.parallelism > set.replicas {
            scale_to(set, facts.job.parallelism, plan);
        }
        return;
    };
    if coordinator.end.is_none() {
        rescale(facts, set, &coordinator, plan);
    }
    // After the rest: one change of a set at a time.
    if plan.actions.scale.is_empty() && proves_itself(facts, set, &coordinator) {
        let stable = Some(set.revision.clone());
        plan.actions.scale.push(Scale { stable, ..Scale::keep(set) });
    }
}

/// The revision has published its checkpoints for a while, and this is not recorded yet.
fn proves_itself(facts: &Facts, set: &SetFacts, coordinator: &Coordinator<'_>) -> bool {
    set.stable.as_ref() != Some(&set.revision)
        && coordinator.is_ready()
        && coordinator.view.published + coordinator.view.unchanged >= STABLE_CHECKPOINTS
        && age(facts.now, set.since) >= STABLE_WINDOW
}

fn scale_to(set: &SetFacts, replicas: u32, plan: &mut Plan) {
    if set.replicas != replicas {
        plan.actions.scale.push(Scale { replicas, ..Scale::keep(set) });
        plan.again = SOON;
    }
}

/// First the pods, then the job; and first the job, then fewer pods.
fn rescale(facts: &Facts, set: &SetFacts, coordinator: &Coordinator<'_>, plan: &mut Plan) {
    let wanted = facts.job.parallelism;
    let actual = coordinator.parallelism;
    if actual == wanted {
        // Never fewer than the highest ordinal that runs tasks; assignments of a job that is
        // not running may be about to change.
        let steady =
            coordinator.state == RunState::Running && !coordinator.view.assigned.is_empty();
        let fewest = if steady { wanted.max(coordinator.needs()) } else { set.replicas };
        scale_to(set, fewest.max(wanted), plan);
        return;
    }
    if set.replicas < wanted {
        scale_to(set, wanted, plan);
    }
    let term = coordinator.term.to_string();
    let (from, to) = (actual.to_string(), wanted.to_string());
    let first = [&facts.job.uid, &set.uid, "rescale", &term, &from, &to];
    let (id, attempt) = unrefused(coordinator, &first);
    let attached = facts
        .pods_of(&set.revision)
        .filter(|pod| pod.ordinal < wanted)
        .filter(|pod| pod.report.as_ref().is_some_and(|report| report.attached))
        .count();
    let status = coordinator.view.status.as_ref();
    let newest = status.and_then(|status| status.operations.iter().max_by_key(|it| it.at_ms));
    let refused = newest.filter(|report| report.kind() == OperationKind::Rescale);
    let refused = refused.and_then(|report| Some((report, report.refused()?)));
    let message = if let Some((report, why)) = refused {
        plan.events.push(Event::warning(
            "RescaleRefused",
            &format!("{id}-{}", report.at_ms),
            format!("{actual} → {wanted}: {why}"),
        ));
        format!("{actual} → {wanted} was refused: {why}")
    } else if coordinator.state != RunState::Running {
        format!("{actual} → {wanted} waits until the job runs")
    } else if attached < wanted as usize {
        format!("{actual} → {wanted} waits for workers: {attached} of {wanted} are there")
    } else {
        format!("{actual} → {wanted}")
    };
    if coordinator.state == RunState::Running && attached >= wanted as usize {
        let kind = operation::Kind::Rescale(RescaleRequest { parallelism: wanted });
        let operation = Operation { id: id.clone(), term: coordinator.term, kind: Some(kind) };
        plan.actions.begin = Some((coordinator.ip.to_owned(), operation));
    }
    if coordinator.is_ready() {
        plan.view.state = JobState::Rescaling;
        let ready = coordinator.state == RunState::Running && attached >= wanted as usize;
        let step = if ready { "Rescale" } else { "Workers" };
        plan.operation(id, ("Rescale", step), message);
        plan.attempt(attempt);
    }
    if refused.is_some() {
        plan.again = POLL;
    }
}

/// Says how a set's job does, without changing it.
fn keep_running(facts: &Facts, set: &SetFacts, plan: &mut Plan) {
    plan.actions.serve = Some(set.revision.clone());
    plan.view.running = Some(set.revision.clone());
    plan.again = SOON;
    let coordinator = facts.coordinator(&set.revision);
    let ended = coordinator.as_ref().and_then(|coordinator| coordinator.end);
    if let Some(end) = ended.filter(|end| end.kind() == job_end::Kind::Failed) {
        plan.view.state = JobState::Failed;
        plan.view.degraded = Some(Degraded::new("JobFailed", end.message.clone()));
        plan.view.stalled = true;
        plan.again = POLL;
        plan.events.push(Event::warning("Failed", &set.uid, end.message.clone()));
        return;
    }
    let problem = facts.problem(&set.revision);
    if let Some(problem) = problem {
        plan.view.degraded = Some(Degraded::new("PodsNotRunning", problem.message.clone()));
        if problem.class != ProblemClass::Refused {
            let key = format!("{}-{}", set.uid, problem.reason);
            plan.events.push(Event::warning("PodsNotRunning", &key, problem.message.clone()));
        }
    } else if let Some((reason, message)) = coordinator.as_ref().and_then(reported_problem) {
        plan.view.degraded = Some(Degraded::new(reason, message.clone()));
        plan.events.push(Event::warning(reason, &set.uid, message));
    }
    if let Some(coordinator) = &coordinator {
        let problem = &coordinator.view.checkpoint_problem;
        if !problem.is_empty() {
            plan.events.push(Event::warning("CheckpointFailing", &set.uid, problem.clone()));
        }
    }
    if let Some(coordinator) = coordinator {
        plan.view.state = match coordinator.state {
            RunState::Running if coordinator.is_ready() => JobState::Running,
            RunState::Rescaling => JobState::Rescaling,
            RunState::Recovering => JobState::Recovering,
            RunState::Stopping => JobState::Suspending,
            _ => JobState::Starting,
        };
        if plan.view.state == JobState::Running {
            plan.again = if coordinator.view.bounded { BOUNDED } else { POLL };
            return;
        }
        if plan.view.state == JobState::Recovering {
            return;
        }
    } else {
        plan.view.state = JobState::Starting;
    }
    starting(facts, set, plan);
}

/// What keeps the job itself from working while its pods work: reason and message.
fn reported_problem(coordinator: &Coordinator<'_>) -> Option<(&'static str, String)> {
    let source = &coordinator.view.source_problem;
    if !source.is_empty() {
        let message =
            format!("what there is to read is not known, and is looked for again: {source}");
        return Some(("SourceUnreachable", message));
    }
    let failure = &coordinator.view.task_problem;
    let message = format!("the job's tasks fail and are started again: {failure}");
    (!failure.is_empty()).then_some(("JobNotRunning", message))
}

/// A set whose job has not published its first checkpoint: how long it may take, and what holds
/// it up.
fn starting(facts: &Facts, set: &SetFacts, plan: &mut Plan) {
    let deadline = SignedDuration::try_from(facts.job.progress_deadline)
        .ok()
        .and_then(|by| set.since.checked_add(by).ok());
    let problem = facts.problem(&set.revision);
    let message = match problem {
        Some(problem) => problem.message.clone(),
        None => "it waits for its pods and the first checkpoint".to_owned(),
    };
    plan.view.operation = Some(OperationView {
        id: start_id(facts, &set.revision),
        kind: "Start",
        step: "FirstCheckpoint",
        attempt: 1,
        message,
        deadline,
    });
    let refused = problem.filter(|problem| problem.class == ProblemClass::Refused);
    if let Some(problem) = refused {
        let refusal = Refusal::new("DoesNotPlan", problem.message.clone());
        plan.events.push(refusal_event(facts, &refusal));
        plan.view.refusal = Some(refusal);
        plan.view.state = JobState::Failed;
        plan.view.stalled = true;
        plan.again = POLL;
        return;
    }
    let lasting = problem.is_some_and(|problem| problem.class == ProblemClass::Lasting);
    let waited = age(facts.now, set.since);
    if waited >= facts.job.progress_deadline {
        plan.view.stalled = true;
        plan.again = POLL;
        let degraded = plan.view.degraded.get_or_insert_with(|| {
            Degraded::new(
                "ProgressDeadline",
                format!(
                    "revision {} has published no checkpoint within upgrade.progressDeadline ({}); \
                     look at the logs of its pods: kubectl logs {}-0",
                    set.revision,
                    weir_crds::format_duration(facts.job.progress_deadline),
                    set.name
                ),
            )
        });
        let message = degraded.message.clone();
        plan.events.push(Event::warning("ProgressDeadline", &set.uid, message));
    } else if lasting {
        plan.again = plan.again.max(SOON * 2);
    }
}
