//! What goes wrong, and what is said of it.

use super::*;

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
        degraded (stalled): JobFailed
        event Failed"#]],
    );
}

#[test]
fn only_a_silent_pod_of_a_lost_node_is_given_up() {
    let mut facts = facts(DesiredState::Running, 2);
    facts.sets = vec![set("aa", 2)];
    facts.pods = pods("aa", 2, 2);
    facts.pods[1].node_lost = true;
    assert_eq!(decide(&facts).actions.give_up, Vec::<String>::new());
    facts.pods[1].report = None;
    assert_eq!(decide(&facts).actions.give_up, ["flights-aa-1"]);
}

#[test]
fn a_job_whose_tasks_fail_again_and_again_says_why() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    let status = coordinator(&mut facts).status.as_mut().unwrap();
    (status.restarts, status.failure) = (1, "source \"t\": no broker".into());
    assert_eq!(decide(&facts).view.degraded, None, "what its coordinator does not call a problem");
    coordinator(&mut facts).task_problem = "source \"t\": no broker".into();
    let plan = decide(&facts);
    assert_eq!(plan.view.state, JobState::Running, "between two failures");
    let degraded = plan.view.degraded.expect("it is degraded");
    assert_eq!(degraded.reason, "JobNotRunning");
    assert!(degraded.message.contains("no broker"), "{}", degraded.message);
    assert_eq!(plan.events[0].message, degraded.message);
}

#[test]
fn a_source_that_cannot_look_is_told_at_once_while_the_job_runs() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    coordinator(&mut facts).source_problem = "source \"t\": no broker".into();
    let plan = decide(&facts);
    assert_eq!(plan.view.state, JobState::Running);
    let degraded = plan.view.degraded.expect("it is degraded");
    assert_eq!(degraded.reason, "SourceUnreachable");
    assert!(degraded.message.contains("no broker"), "{}", degraded.message);
    assert_eq!(plan.events[0].message, degraded.message);
    coordinator(&mut facts).source_problem.clear();
    assert_eq!(decide(&facts).view.degraded, None);
}

#[test]
fn checkpoints_that_fail_are_told_in_an_event_too() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    coordinator(&mut facts).checkpoint_problem = "s3://b/x: access denied".into();
    let plan = decide(&facts);
    let said = |event: &&Event| event.reason == "CheckpointFailing";
    let event = plan.events.iter().find(said).expect("an event");
    assert!(event.warning && event.message.contains("access denied"), "{event:?}");
}
