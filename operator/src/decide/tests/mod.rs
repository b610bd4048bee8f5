//! Facts in, plan out: each test is a line of the lifecycle.

mod first;
mod problem;
mod replace;
mod run;
mod stop;

use std::time::Duration;

use expect_test::{Expect, expect};
use k8s_openapi::jiff::Timestamp;
use weir_crds::{Deletion, DesiredState};

use super::*;
use crate::workers::{
    CoordinatorReport, JobEnd, JobStatus, OperationOutcome, OperationReport, RunState,
    WorkerReport, job_end, operation,
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
            namespace: "shop".into(),
            uid: "4be0".into(),
            generation: 1,
            desired,
            parallelism,
            progress_deadline: Duration::from_secs(300),
            deletion: Deletion::default(),
            deleted_at: None,
            has_finalizer: true,
            defaults_recorded: true,
            published_recorded: true,
            unhealthy_after: Duration::from_secs(190),
        },
        namespace_terminating: false,
        target: Ok(target("aa", "weir:1")),
        sets: Vec::new(),
        pods: Vec::new(),
        state_pod: None,
        plan_pods: Vec::new(),
        blocked: None,
        not_begun: None,
        last_failure: None,
        status: weir_crds::kube::StreamJobStatus::default(),
        published: true,
    }
}

fn target(revision: &str, image: &str) -> Target {
    Target {
        revision: revision.into(),
        image: image.into(),
        root: "s3://bucket/weir".into(),
        check: PlanCheck::Unknown,
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
        former: false,
        tied: false,
        published: Some("s3://bucket/weir".into()),
        stopped: None,
        since: at(NOW - 60),
        stopping: None,
        supersedes: Vec::new(),
        stable: None,
        problem: None,
    }
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
        JobStatus { term: 7, state: RunState::Running.into(), parallelism, ..JobStatus::default() };
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

fn describe(facts: &Facts, plan: &Plan) -> String {
    let view = &plan.view;
    let mut lines = vec![format!("{:?}, again in {:?}", view.state, plan.again)];
    if let Some(replicas) = plan.actions.create {
        lines.push(format!("create × {replicas}"));
    }
    for scale in &plan.actions.scale {
        let stopped = scale.stopped.as_ref().map(|stopped| stopped.kind);
        let marked = if scale.stopping.is_some() { ", marked" } else { "" };
        lines.push(format!("scale {} × {} {stopped:?}{marked}", scale.name, scale.replicas));
    }
    for name in &plan.actions.delete_sets {
        lines.push(format!("delete {name}"));
    }
    for name in &plan.actions.delete_plans {
        lines.push(format!("delete {name}"));
    }
    if plan.actions.plan_pod {
        lines.push("plan in its own image".to_owned());
    }
    if let Some(ip) = questions(facts).plan_at {
        lines.push(format!("ask {ip}"));
    }
    if let Some((ip, operation)) = &plan.actions.begin {
        let kind = match operation.kind.as_ref().unwrap() {
            operation::Kind::Rescale(to) => format!("rescale to {}", to.parallelism),
            operation::Kind::Savepoint(_) => "savepoint and stop".to_owned(),
            operation::Kind::Drain(_) => "drain".to_owned(),
        };
        lines.push(format!("begin at {ip}, term {}: {kind}", operation.term));
    }
    for pod in &plan.actions.give_up {
        lines.push(format!("give up {pod}"));
    }
    if plan.actions.collect_state {
        lines.push("collect state".into());
    }
    if plan.actions.release {
        lines.push("release".into());
    }
    if let Some(refusal) = &view.refusal {
        lines.push(format!("refused: {}", refusal.reason));
    }
    if let Some(degraded) = &view.degraded {
        let stalled = if view.stalled { " (stalled)" } else { "" };
        lines.push(format!("degraded{stalled}: {}", degraded.reason));
    }
    for event in &plan.events {
        lines.push(format!("event {}", event.reason));
    }
    lines.join("\n")
}

fn check(facts: &Facts, expected: Expect) {
    expected.assert_eq(&describe(facts, &decide(facts)));
}
