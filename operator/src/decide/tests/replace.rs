//! Another revision takes the place of one that runs.

use super::*;

#[test]
fn a_successor_of_what_never_ran_takes_over_from_what_did() {
    // bb was made to supersede aa, whose set is gone, and never came to run.
    let bb = SetFacts { supersedes: vec!["aa".into()], ..set("bb", 1) };
    assert_eq!(predecessors("cc", [&bb]), ["bb", "aa"]);
    // Back to the first program: its own name is no predecessor.
    assert_eq!(predecessors("aa", [&bb]), ["bb"]);
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
    facts.target.as_mut().unwrap().check = PlanCheck::Fits;
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
        event Savepoint"#]],
    );
}

#[test]
fn a_program_that_does_not_plan_leaves_the_old_one_running() {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("old", 1)];
    facts.pods = pods("old", 1, 1);
    let refusal = crate::validate::Refusal::new("DoesNotPlan", "sql:1:8: no");
    facts.target.as_mut().unwrap().check = PlanCheck::Refused(refusal);
    check(
        &facts,
        expect![[r#"
        Running, again in 5s
        refused: DoesNotPlan
        event SpecRefused"#]],
    );
}

/// aa runs in image 1, and the spec asks for bb in image 2.
fn another_image() -> Facts {
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    facts.target = Ok(target("bb", "weir:2"));
    facts
}

fn planning(outcome: OneShot, problem: Option<(&str, ProblemClass)>) -> PlanPod {
    PlanPod {
        name: "flights-plan-bb".into(),
        revision: "bb".into(),
        outcome,
        problem: problem.map(|(message, class)| Problem {
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
    assert!(
        first.actions.plan_pod
            && first.actions.begin.is_none()
            && questions(&facts).plan_at.is_none(),
        "{first:?}"
    );
    facts.plan_pods = vec![planning(OneShot::Running, None)];
    assert!(decide(&facts).actions.begin.is_none(), "it has not answered");
    facts.plan_pods = vec![planning(OneShot::Succeeded, None)];
    let fits = decide(&facts);
    assert!(
        fits.actions.plan_pod
            && fits.actions.begin.is_some()
            && fits.actions.delete_plans.is_empty(),
        "{fits:?}"
    );
    facts.sets.push(set("bb", 1));
    facts.sets[0].replicas = 0;
    let over = decide(&facts);
    assert_eq!(over.actions.delete_plans, ["flights-plan-bb"], "its answer has been heard");
}

#[test]
fn an_image_that_refuses_or_cannot_be_had_leaves_the_running_revision_alone() {
    for (message, class, wanted) in [
        ("job.yaml:9:1: no such table", ProblemClass::Refused, "no such table"),
        ("pod x cannot have image", ProblemClass::Lasting, "spec.image"),
    ] {
        let mut facts = another_image();
        facts.plan_pods = vec![planning(OneShot::Running, Some((message, class)))];
        let plan = decide(&facts);
        let refusal = plan.view.refusal.clone().unwrap();
        assert!(refusal.message.contains(wanted), "{refusal:?}");
        assert!(refusal.message.ends_with("revision aa keeps running"), "{refusal:?}");
        assert!(plan.view.stalled && plan.actions.begin.is_none() && plan.actions.plan_pod);
        assert_eq!(plan.events.iter().filter(|event| event.reason == "SpecRefused").count(), 1);
    }
    let mut full = another_image();
    full.plan_pods = vec![planning(OneShot::Running, Some(("no node", ProblemClass::Passing)))];
    let plan = decide(&full);
    assert!(plan.view.refusal.is_none() && plan.actions.begin.is_none());
    assert_eq!(plan.view.operation.unwrap().message, "no node");
    full.plan_pods = vec![planning(OneShot::Failed("evicted".into()), None)];
    assert_eq!(decide(&full).actions.delete_plans, ["flights-plan-bb"], "another one will answer");
}
