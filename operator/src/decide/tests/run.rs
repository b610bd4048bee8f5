//! Start, rest, rescale, finish, resume.

use super::*;

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
    let first = decide(&facts).actions.begin.unwrap().1.id;
    let refused = OperationReport {
        id: first.clone(),
        outcome: OperationOutcome::Refused.into(),
        message: "slow".into(),
        ..Default::default()
    };
    coordinator(&mut facts).status.as_mut().unwrap().operations = vec![refused];
    let second = decide(&facts).actions.begin.unwrap().1.id;
    assert_ne!(first, second);
    // And for ever the same while that one is under way.
    assert_eq!(decide(&facts).actions.begin.unwrap().1.id, second);
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
        event Finished"#]],
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
fn a_revision_that_has_published_for_a_while_is_noted_as_stable_once() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    coordinator(&mut facts).published = 1;
    assert!(decide(&facts).actions.scale.is_empty());
    coordinator(&mut facts).published = 2;
    let plan = decide(&facts);
    assert_eq!(plan.actions.scale[0].stable.as_deref(), Some("aa"));
    (coordinator(&mut facts).published, coordinator(&mut facts).unchanged) = (1, 1);
    assert_eq!(decide(&facts).actions.scale.len(), 1, "a quiet job proves itself, too");
    facts.sets[0].stable = Some("aa".into());
    assert!(decide(&facts).actions.scale.is_empty());
    facts.sets[0].since = at(NOW - 59);
    facts.sets[0].stable = Some("a0".into());
    assert!(decide(&facts).actions.scale.is_empty(), "not yet");
    assert_eq!(facts.stable(), Some("a0"), "until then its predecessor's word stands");
}

#[test]
fn a_drained_job_goes_on_when_it_is_to_run_again() {
    let mut facts = facts(DesiredState::Running, 1);
    let stopped = Stopped { kind: StopKind::Drained, parallelism: 1, ..Stopped::default() };
    facts.sets = vec![SetFacts { stopped: Some(stopped), ..set("aa", 0) }];
    check(
        &facts,
        expect![[r#"
        Starting, again in 500ms
        scale flights-aa × 1 None"#]],
    );
}

#[test]
fn the_first_checkpoint_is_noted_on_the_set_whose_pods_come_after_it() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.published = false;
    facts.sets = vec![SetFacts { published: None, ..set("aa", 1) }];
    facts.pods = pods("aa", 1, 1);
    let view = coordinator(&mut facts);
    (view.checkpoint_at_ms, view.published) = (0, 0);
    assert!(decide(&facts).actions.scale.is_empty(), "there is none yet");
    coordinator(&mut facts).checkpoint_at_ms = 1;
    let published =
        |facts: &Facts| decide(facts).actions.scale.first().map(|it| it.published.clone());
    assert_eq!(published(&facts), Some(Some("s3://bucket/weir".into())));
    // A coordinator that was refused the chain it found has none.
    ended(&mut facts, job_end::Kind::Failed);
    assert_eq!(published(&facts), None);
    facts.published = true;
    assert!(published(&facts).is_some(), "what else says so counts as much");
}

#[test]
fn what_the_cluster_refuses_a_job_keeps_it_from_starting_and_not_from_running() {
    let blocked = crate::validate::Refusal::new("ObjectInTheWay", "Service x is not this job's");
    let mut facts = facts(DesiredState::Running, 2);
    facts.blocked = Some(blocked);
    check(
        &facts,
        expect![[r#"
        Failed, again in 5s
        degraded (stalled): ObjectInTheWay
        event ObjectInTheWay"#]],
    );
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    let plan = decide(&facts);
    assert_eq!(plan.actions.scale[0].replicas, 2, "it is rescaled");
    assert_eq!(plan.view.degraded.unwrap().reason, "ObjectInTheWay");
    facts.target = Ok(target("bb", "weir:1"));
    let plan = decide(&facts);
    assert!(questions(&facts).plan_at.is_none() && plan.actions.begin.is_none(), "{plan:?}");
    facts.job.desired = DesiredState::Suspended;
    assert!(decide(&facts).actions.begin.is_some(), "its savepoint is taken all the same");
}

#[test]
fn a_set_of_an_earlier_job_is_told_to_go_before_another_is_made() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![SetFacts { deleting: true, former: true, ..set("old", 1) }];
    check(
        &facts,
        expect![[r#"
        Starting, again in 500ms
        delete flights-old"#]],
    );
}
