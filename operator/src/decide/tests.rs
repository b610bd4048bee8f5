//! Facts in, decision out: each test is a line of the lifecycle.

use std::time::Duration;

use expect_test::{Expect, expect};
use k8s_openapi::jiff::Timestamp;
use weir_crds::{Deletion, DesiredState};

use super::*;
use crate::workers::{
    CoordinatorReport, JobEnd, JobStatus, OperationReport, WorkerReport, job_end, operation,
};

const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn facts(desired: DesiredState, parallelism: u32) -> Facts {
    Facts {
        now: at(NOW),
        job: JobFacts {
            name: "flights".into(),
            uid: "4be0".into(),
            generation: 1,
            desired,
            parallelism,
            progress_deadline: Duration::from_secs(300),
            deletion: Deletion::default(),
            deleted_at: None,
            held: true,
        },
        namespace_terminating: false,
        target: Ok(Target { revision: "aa".into(), image: "weir:1".into(), plan: Plan::Unknown }),
        sets: Vec::new(),
        pods: Vec::new(),
        state_pod: None,
        plan_pods: Vec::new(),
    }
}

fn set(revision: &str, replicas: u32) -> SetFacts {
    SetFacts {
        name: format!("flights-{revision}"),
        uid: format!("uid-{revision}"),
        revision: revision.into(),
        image: "weir:1".into(),
        replicas,
        deleting: false,
        stopped: None,
        since: at(NOW - 60),
        stopping: None,
        supersedes: Vec::new(),
        stable: None,
        trouble: None,
    }
}

#[test]
fn a_successor_of_what_never_ran_takes_over_from_what_did() {
    // bb was made to supersede aa, whose set is gone, and never came to run.
    let bb = SetFacts { supersedes: vec!["aa".into()], ..set("bb", 1) };
    assert_eq!(predecessors("cc", [&bb]), ["bb", "aa"]);
    // Back to the first program: its own name is no predecessor.
    assert_eq!(predecessors("aa", [&bb]), ["bb"]);
}

/// Pods of a set that all answer; ordinal 0 coordinates a job of this parallelism.
fn pods(revision: &str, count: u32, parallelism: u32) -> Vec<PodFacts> {
    let pod = |ordinal| PodFacts {
        name: format!("flights-{revision}-{ordinal}"),
        revision: revision.into(),
        ordinal,
        ready: true,
        ip: Some(format!("10.0.0.{ordinal}")),
        report: Some(WorkerReport { attached: true, ..WorkerReport::default() }),
        ..PodFacts::default()
    };
    let mut pods: Vec<PodFacts> = (0..count).map(pod).collect();
    let status =
        JobStatus { term: 7, state: "Running".into(), parallelism, ..JobStatus::default() };
    if let Some(first) = pods.first_mut().and_then(|pod| pod.report.as_mut()) {
        first.coordinating = Some(CoordinatorReport {
            status: Some(status),
            checkpoint_at_ms: 1,
            assigned: (0..parallelism).collect(),
            ..CoordinatorReport::default()
        });
    }
    pods
}

fn coordinator(facts: &mut Facts) -> &mut CoordinatorReport {
    facts.pods[0].report.as_mut().unwrap().coordinating.as_mut().unwrap()
}

fn ended(facts: &mut Facts, kind: job_end::Kind) {
    let savepoint = if kind == job_end::Kind::Stopped { "op-1" } else { "" };
    coordinator(facts).end = Some(JobEnd {
        kind: kind.into(),
        message: "division by zero".into(),
        savepoint: savepoint.into(),
        epoch: 9,
        ..JobEnd::default()
    });
}

fn describe(decision: &Decision) -> String {
    let view = &decision.view;
    let mut lines = vec![format!("{:?}, again in {:?}", view.state, decision.again)];
    if let Some(replicas) = decision.create {
        lines.push(format!("create × {replicas}"));
    }
    for scale in &decision.scale {
        let stopped = scale.stopped.as_ref().map(|stopped| stopped.kind);
        let marked = if scale.stopping.is_some() { ", marked" } else { "" };
        lines.push(format!("scale {} × {} {stopped:?}{marked}", scale.name, scale.replicas));
    }
    for name in &decision.delete_sets {
        lines.push(format!("delete {name}"));
    }
    for name in &decision.delete_plans {
        lines.push(format!("delete {name}"));
    }
    if decision.plan_pod {
        lines.push("plan in its own image".to_owned());
    }
    if let Some(ip) = &decision.ask_plan {
        lines.push(format!("ask {ip}"));
    }
    if let Some((ip, operation)) = &decision.begin {
        let kind = match operation.kind.as_ref().unwrap() {
            operation::Kind::Rescale(to) => format!("rescale to {}", to.parallelism),
            operation::Kind::Savepoint(_) => "savepoint and stop".to_owned(),
            operation::Kind::Drain(_) => "drain".to_owned(),
        };
        lines.push(format!("begin at {ip}, term {}: {kind}", operation.term));
    }
    for pod in &decision.give_up {
        lines.push(format!("give up {pod}"));
    }
    if decision.collect_state {
        lines.push("collect state".into());
    }
    if decision.release {
        lines.push("release".into());
    }
    if let Some(refusal) = &view.refusal {
        lines.push(format!("refused: {}", refusal.reason));
    }
    if let Some(problem) = &view.problem {
        let stuck = if view.stuck { " (stuck)" } else { "" };
        lines.push(format!("problem{stuck}: {}", problem.reason));
    }
    for note in &decision.notes {
        lines.push(format!("note {}", note.reason));
    }
    lines.join("\n")
}

fn check(facts: &Facts, expected: Expect) {
    expected.assert_eq(&describe(&decide(facts)));
}

#[test]
fn a_new_job_gets_its_pods() {
    check(
        &facts(DesiredState::Running, 2),
        expect![[r#"
        Starting, again in 500ms
        create × 2"#]],
    );
}

#[test]
fn a_running_job_is_left_alone() {
    let mut facts = facts(DesiredState::Running, 2);
    facts.sets = vec![set("aa", 2)];
    facts.pods = pods("aa", 2, 2);
    check(&facts, expect!["Running, again in 5s"]);
}

#[test]
fn more_parallelism_asks_for_pods_first_and_then_for_the_rescale() {
    let mut facts = facts(DesiredState::Running, 4);
    facts.sets = vec![set("aa", 2)];
    facts.pods = pods("aa", 2, 2);
    check(
        &facts,
        expect![[r#"
        Rescaling, again in 500ms
        scale flights-aa × 4 None"#]],
    );
    facts.sets = vec![set("aa", 4)];
    facts.pods = pods("aa", 4, 2);
    check(
        &facts,
        expect![[r#"
        Rescaling, again in 500ms
        begin at 10.0.0.0, term 7: rescale to 4"#]],
    );
}

#[test]
fn less_parallelism_rescales_first_and_keeps_every_pod_that_runs_tasks() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 4)];
    facts.pods = pods("aa", 4, 4);
    check(
        &facts,
        expect![[r#"
        Rescaling, again in 500ms
        begin at 10.0.0.0, term 7: rescale to 1"#]],
    );
    // Done, but ordinal 2 still runs tasks.
    facts.pods = pods("aa", 4, 1);
    coordinator(&mut facts).assigned = vec![2];
    check(
        &facts,
        expect![[r#"
        Running, again in 500ms
        scale flights-aa × 3 None"#]],
    );
}

#[test]
fn a_refused_operation_is_tried_again_under_another_id() {
    let mut facts = facts(DesiredState::Suspended, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    let first = decide(&facts).begin.unwrap().1.id;
    let refused =
        OperationReport { id: first.clone(), refused: "slow".into(), ..Default::default() };
    coordinator(&mut facts).status.as_mut().unwrap().operations = vec![refused];
    let second = decide(&facts).begin.unwrap().1.id;
    assert_ne!(first, second);
    // And for ever the same while that one is under way.
    assert_eq!(decide(&facts).begin.unwrap().1.id, second);
}

#[test]
fn a_suspended_job_stops_behind_a_savepoint() {
    let mut facts = facts(DesiredState::Suspended, 2);
    facts.sets = vec![set("aa", 2)];
    facts.pods = pods("aa", 2, 2);
    check(
        &facts,
        expect![[r#"
        Suspending, again in 500ms
        begin at 10.0.0.0, term 7: savepoint and stop"#]],
    );
    ended(&mut facts, job_end::Kind::Stopped);
    check(
        &facts,
        expect![[r#"
        Suspending, again in 500ms
        scale flights-aa × 0 Some(Stopped)
        note Savepoint"#]],
    );
}

#[test]
fn a_job_without_a_coordinator_is_given_time_before_it_is_stopped_without_a_savepoint() {
    let mut facts = facts(DesiredState::Suspended, 1);
    facts.sets = vec![set("aa", 1)];
    check(
        &facts,
        expect![[r#"
        Suspending, again in 500ms
        scale flights-aa × 1 None, marked"#]],
    );
    facts.sets[0].stopping = Some(at(NOW - 299));
    check(&facts, expect!["Suspending, again in 500ms"]);
    facts.sets[0].stopping = Some(at(NOW - 300));
    check(
        &facts,
        expect![[r#"
        Suspending, again in 500ms
        scale flights-aa × 0 Some(Lost)
        note NoSavepoint"#]],
    );
}

#[test]
fn a_finished_job_gives_its_pods_back() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    ended(&mut facts, job_end::Kind::Finished);
    check(
        &facts,
        expect![[r#"
        Finished, again in 500ms
        scale flights-aa × 0 Some(Finished)
        note Finished"#]],
    );
}

#[test]
fn a_failed_job_keeps_its_pods_and_says_why() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    ended(&mut facts, job_end::Kind::Failed);
    check(
        &facts,
        expect![[r#"
        Failed, again in 5s
        problem (stuck): JobFailed
        note Failed"#]],
    );
}

#[test]
fn a_resumed_job_waits_until_the_pods_of_its_last_run_are_gone() {
    let mut facts = facts(DesiredState::Running, 1);
    let stopped = Stopped { kind: StopKind::Stopped, parallelism: 3, ..Stopped::default() };
    facts.sets = vec![SetFacts { stopped: Some(stopped), ..set("aa", 0) }];
    facts.pods = pods("aa", 1, 3);
    check(&facts, expect!["Starting, again in 500ms"]);
    facts.pods.clear();
    check(
        &facts,
        expect![[r#"
        Starting, again in 500ms
        scale flights-aa × 3 None"#]],
    );
}

#[test]
fn a_changed_program_is_planned_then_the_old_one_stopped_then_the_new_one_made() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("old", 2)];
    facts.pods = pods("old", 2, 2);
    check(
        &facts,
        expect![[r#"
        Running, again in 500ms
        ask 10.0.0.0"#]],
    );
    facts.target.as_mut().unwrap().plan = Plan::Fits;
    check(
        &facts,
        expect![[r#"
        Upgrading, again in 500ms
        begin at 10.0.0.0, term 7: savepoint and stop"#]],
    );
    ended(&mut facts, job_end::Kind::Stopped);
    check(
        &facts,
        expect![[r#"
        Upgrading, again in 500ms
        create × 2
        scale flights-old × 0 Some(Stopped)
        note Savepoint"#]],
    );
}

#[test]
fn a_program_that_does_not_plan_leaves_the_old_one_running() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("old", 1)];
    facts.pods = pods("old", 1, 1);
    let refusal = crate::validate::Refusal::new("DoesNotPlan", "sql:1:8: no");
    facts.target.as_mut().unwrap().plan = Plan::Refused(refusal);
    check(
        &facts,
        expect![[r#"
        Running, again in 5s
        refused: DoesNotPlan
        note SpecRefused"#]],
    );
}

#[test]
fn a_deleted_job_is_saved_removed_and_released() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.job.deleted_at = Some(at(NOW - 5));
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    check(
        &facts,
        expect![[r#"
        Deleting, again in 500ms
        begin at 10.0.0.0, term 7: savepoint and stop"#]],
    );
    ended(&mut facts, job_end::Kind::Stopped);
    check(
        &facts,
        expect![[r#"
        Deleting, again in 500ms
        scale flights-aa × 0 Some(Stopped)
        note Savepoint"#]],
    );
    facts.sets = vec![SetFacts { stopped: Some(Stopped::default()), ..set("aa", 0) }];
    check(
        &facts,
        expect![[r#"
        Deleting, again in 500ms
        delete flights-aa"#]],
    );
    facts.sets.clear();
    facts.pods.clear();
    check(
        &facts,
        expect![[r#"
        Deleting, again in 500ms
        release"#]],
    );
}

#[test]
fn state_is_deleted_by_a_pod_and_kept_where_none_can_start() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.job.deleted_at = Some(at(NOW - 5));
    facts.job.deletion.state_retention = weir_crds::StateRetention::Delete;
    check(
        &facts,
        expect![[r#"
        Deleting, again in 500ms
        collect state"#]],
    );
    facts.state_pod = Some(OneShot::Succeeded);
    check(
        &facts,
        expect![[r#"
        Deleting, again in 500ms
        release"#]],
    );
    facts.state_pod = None;
    facts.namespace_terminating = true;
    check(
        &facts,
        expect![[r#"
        Deleting, again in 500ms
        release
        note StateKept"#]],
    );
}

#[test]
fn only_a_silent_pod_of_a_lost_node_is_given_up() {
    let mut facts = facts(DesiredState::Running, 2);
    facts.sets = vec![set("aa", 2)];
    facts.pods = pods("aa", 2, 2);
    facts.pods[1].node_lost = true;
    assert_eq!(decide(&facts).give_up, Vec::<String>::new());
    facts.pods[1].report = None;
    assert_eq!(decide(&facts).give_up, ["flights-aa-1"]);
}

/// aa runs in image 1, and the spec asks for bb in image 2.
fn another_image() -> Facts {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    facts.target =
        Ok(Target { revision: "bb".into(), image: "weir:2".into(), plan: Plan::Unknown });
    facts
}

fn planning(outcome: OneShot, trouble: Option<(&str, TroubleClass)>) -> PlanPod {
    PlanPod {
        name: "flights-plan-bb".into(),
        revision: "bb".into(),
        outcome,
        trouble: trouble.map(|(message, class)| Trouble {
            object: "flights-plan-bb".into(),
            reason: "x".into(),
            message: message.into(),
            class,
            exit_code: None,
        }),
        deleting: false,
    }
}

#[test]
fn another_image_plans_its_program_before_the_running_one_stops() {
    let mut facts = another_image();
    let first = decide(&facts);
    assert!(first.plan_pod && first.begin.is_none() && first.ask_plan.is_none(), "{first:?}");
    facts.plan_pods = vec![planning(OneShot::Running, None)];
    assert!(decide(&facts).begin.is_none(), "it has not answered");
    facts.plan_pods = vec![planning(OneShot::Succeeded, None)];
    let fits = decide(&facts);
    assert!(fits.plan_pod && fits.begin.is_some() && fits.delete_plans.is_empty(), "{fits:?}");
    facts.sets.push(set("bb", 1));
    facts.sets[0].replicas = 0;
    let over = decide(&facts);
    assert_eq!(over.delete_plans, ["flights-plan-bb"], "its answer has been heard");
}

#[test]
fn an_image_that_refuses_or_cannot_be_had_leaves_the_running_revision_alone() {
    for (message, class, wanted) in [
        ("job.yaml:9:1: no such table", TroubleClass::Refused, "no such table"),
        ("pod x cannot have image", TroubleClass::Lasting, "spec.image"),
    ] {
        let mut facts = another_image();
        facts.plan_pods = vec![planning(OneShot::Running, Some((message, class)))];
        let decision = decide(&facts);
        let refusal = decision.view.refusal.clone().unwrap();
        assert!(refusal.message.contains(wanted), "{refusal:?}");
        assert!(refusal.message.ends_with("revision aa keeps running"), "{refusal:?}");
        assert!(decision.view.stuck && decision.begin.is_none() && decision.plan_pod);
        assert_eq!(decision.notes.iter().filter(|note| note.reason == "SpecRefused").count(), 1);
    }
    let mut full = another_image();
    full.plan_pods = vec![planning(OneShot::Running, Some(("no node", TroubleClass::Passing)))];
    let decision = decide(&full);
    assert!(decision.view.refusal.is_none() && decision.begin.is_none());
    assert_eq!(decision.view.operation.unwrap().message, "no node");
    full.plan_pods = vec![planning(OneShot::Failed("evicted".into()), None)];
    assert_eq!(decide(&full).delete_plans, ["flights-plan-bb"], "another one will answer");
}

#[test]
fn a_revision_that_has_published_for_a_while_is_noted_as_stable_once() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    coordinator(&mut facts).published = 1;
    assert!(decide(&facts).scale.is_empty());
    coordinator(&mut facts).published = 2;
    let decision = decide(&facts);
    assert_eq!(decision.scale[0].stable.as_deref(), Some("aa"));
    facts.sets[0].stable = Some("aa".into());
    assert!(decide(&facts).scale.is_empty());
    facts.sets[0].since = at(NOW - 59);
    facts.sets[0].stable = Some("a0".into());
    assert!(decide(&facts).scale.is_empty(), "not yet");
    assert_eq!(facts.stable(), Some("a0"), "until then its predecessor's word stands");
}

#[test]
fn a_job_whose_tasks_fail_again_and_again_says_why() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    let status = coordinator(&mut facts).status.as_mut().unwrap();
    (status.state, status.failure) = ("Recovering".into(), "source \"t\": no broker".into());
    status.restarts = 1;
    assert_eq!(decide(&facts).view.problem, None, "a first restart is no news");
    coordinator(&mut facts).status.as_mut().unwrap().restarts = 2;
    let decision = decide(&facts);
    let problem = decision.view.problem.expect("a problem");
    assert_eq!(problem.reason, "JobNotRunning");
    assert!(problem.message.contains("no broker"), "{}", problem.message);
    assert_eq!(decision.notes[0].message, problem.message);
}

#[test]
fn a_source_that_cannot_look_is_told_at_once_while_the_job_runs() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    coordinator(&mut facts).source_trouble = "source \"t\": no broker".into();
    let decision = decide(&facts);
    assert_eq!(decision.view.state, JobState::Running);
    let problem = decision.view.problem.expect("a problem");
    assert_eq!(problem.reason, "SourceUnreachable");
    assert!(problem.message.contains("no broker"), "{}", problem.message);
    assert_eq!(decision.notes[0].message, problem.message);
    coordinator(&mut facts).source_trouble.clear();
    assert_eq!(decide(&facts).view.problem, None);
}

#[test]
fn checkpoints_that_fail_are_told_in_an_event_too() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    coordinator(&mut facts).checkpoint_trouble = "s3://b/x: access denied".into();
    let decision = decide(&facts);
    let said = |note: &&Note| note.reason == "CheckpointFailing";
    let note = decision.notes.iter().find(said).expect("an event");
    assert!(note.warning && note.message.contains("access denied"), "{note:?}");
}
