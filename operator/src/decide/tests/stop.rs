//! Suspension and deletion.

use super::*;

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
        event Savepoint"#]],
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
        event NoSavepoint"#]],
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
        event Savepoint"#]],
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
        event NamespaceDeleted
        event StateKept"#]],
    );
}

#[test]
fn a_deletion_does_not_wait_for_state_that_nobody_can_find() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.job.deleted_at = Some(at(NOW - 5));
    facts.job.deletion.state_retention = weir_crds::StateRetention::Delete;
    facts.target = Err(crate::validate::Refusal::new("NoStateRoot", "spec.state.root: none"));
    check(
        &facts,
        expect![[r#"
        Deleting, again in 500ms
        release
        event StateKept"#]],
    );
}
