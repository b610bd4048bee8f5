//! What stands on the job before anything else is done, and what has to be known before it.

use super::*;
use crate::validate::Refusal;

#[test]
fn a_job_is_taken_before_anything_is_made_of_it() {
    let mut facts = facts(DesiredState::Running, 2);
    for (has_finalizer, defaults_recorded) in [(false, false), (true, false), (false, true)] {
        (facts.job.has_finalizer, facts.job.defaults_recorded) = (has_finalizer, defaults_recorded);
        let plan = decide(&facts);
        assert_eq!(plan.actions, Actions { accept: true, ..Actions::default() });
        assert_eq!(plan.again, Duration::ZERO, "the next round reads what this one wrote");
    }
    facts.target = Err(Refusal::new("NoImage", "spec.image: none"));
    assert!(!decide(&facts).actions.accept, "a spec that is refused takes no finalizer");
    facts.target = Ok(target("aa", "weir:1"));
    facts.job.deleted_at = Some(at(NOW));
    assert!(!decide(&facts).actions.accept, "nor does a job that is being deleted");
}

#[test]
fn that_a_job_has_published_is_recorded_on_it_before_anything_else() {
    let mut facts = facts(DesiredState::Running, 1);
    (facts.job.published_recorded, facts.published) = (false, false);
    facts.sets = vec![SetFacts { published: None, ..set("aa", 1) }];
    facts.pods = pods("aa", 1, 1);
    let root = Some("s3://bucket/weir".to_owned());
    let recorded = Actions { record_published: root, ..Actions::default() };
    assert_eq!(decide(&facts).actions, recorded);
    let view = coordinator(&mut facts);
    (view.checkpoint_at_ms, view.published) = (0, 0);
    assert_eq!(decide(&facts).actions.record_published, None, "there is nothing yet");
}

#[test]
fn an_operation_that_was_not_begun_says_why_until_it_is() {
    let mut facts = facts(DesiredState::Suspended, 1);
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    let id = decide(&facts).actions.begin.unwrap().1.id;
    let message = "another operation is under way".to_owned();
    facts.not_begun = Some(NotBegun { id, message });
    let says = |facts: &Facts| {
        let plan = decide(facts);
        let condition = plan.conditions.iter().find(|it| it.type_ == "Reconciling").cloned();
        condition.unwrap().message
    };
    assert!(says(&facts).ends_with("; not begun: another operation is under way"));
    facts.not_begun.as_mut().unwrap().id = "op-other".to_owned();
    assert!(!says(&facts).contains("not begun"), "that was about another operation");
}

#[test]
fn the_cluster_is_asked_about_new_pods_before_old_ones_are_given_up_and_not_in_every_round() {
    let asks = |facts: &Facts| (questions(facts).dry_run, questions(facts).plan_at.is_some());
    let mut facts = facts(DesiredState::Running, 1);
    facts.sets = vec![set("old", 1)];
    facts.pods = pods("old", 1, 1);
    assert_eq!(asks(&facts), (true, true), "before its program is planned");
    facts.target.as_mut().unwrap().check = PlanCheck::Fits;
    assert_eq!(asks(&facts), (false, false), "while its savepoint is taken");
    ended(&mut facts, job_end::Kind::Stopped);
    assert_eq!(asks(&facts), (true, false), "in the round that gives it up");
    facts.sets.push(set("aa", 0));
    assert_eq!(asks(&facts), (false, false), "whose set is there already");
    facts.sets.pop();
    facts.blocked = Some(Refusal::new("ObjectInTheWay", "Service x is not this job's"));
    assert_eq!(asks(&facts), (false, false), "nothing is replaced now");
    facts.blocked = None;
    facts.job.desired = DesiredState::Suspended;
    assert_eq!(asks(&facts), (false, false), "nothing takes its place");
    facts.job.desired = DesiredState::Running;
    facts.sets = vec![set("aa", 1)];
    facts.pods = pods("aa", 1, 1);
    assert_eq!(asks(&facts), (false, false), "nothing has changed");
}
