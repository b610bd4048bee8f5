//! Attempts: what is published, and what is not.

use weir_coordinator::master::{Action, Event, Found};
use weir_engine::source::SplitAssignment;
use weir_protocol::control::{self, from_worker, to_worker};
use weir_protocol::{Attempt, Epoch, OperatorUid, Term, VertexId};

use crate::script::{Script, done, split};

#[test]
fn a_split_assigned_after_the_trigger_stays_the_enumerators_at_that_cut() {
    let mut script = Script::running();
    let snapshot = b"2".as_slice().into();
    let found = Found { splits: vec![split("a"), split("b")], snapshot, ..Found::default() };
    let (term, vertex) = (script.master.term(), VertexId(0));
    script.on(Event::Discovered { term, vertex, result: Ok(found) });
    let request = control::SplitRequest { subtask: 0, ..Default::default() };
    script.say(0, from_worker::Kind::SplitRequest(request));
    script.tick(10_000);
    let attempt = script.trigger().attempt;
    let request = control::SplitRequest { subtask: 1, ..Default::default() };
    script.say(1, from_worker::Kind::SplitRequest(request));
    let assigned = script.sent.iter().any(|(link, kind)| match kind {
        to_worker::Kind::AssignSplits(a) => {
            let a: SplitAssignment = serde_json::from_slice(&a.assignment_json).unwrap();
            *link == 1 && a.splits == [split("b")]
        }
        _ => false,
    });
    assert!(assigned, "{:?}", script.sent);
    script.acknowledge(attempt, &[]);
    script.publish();
    let stored = &script.head.manifest.operators[&OperatorUid::from("source")];
    assert_eq!(stored.enumerator.as_ref().unwrap().unassigned, [split("b")]);
}

#[test]
fn what_an_old_terms_enumerator_finds_counts_for_nothing() {
    let mut script = Script::running();
    let found = Found { splits: vec![split("a")], ..Found::default() };
    script.on(Event::Discovered { term: Term(0), vertex: VertexId(0), result: Ok(found) });
    assert!(script.sent.is_empty());
    assert_eq!(script.master.status().total, 0);
}

#[test]
fn a_source_that_cannot_look_says_why_until_it_has_looked() {
    let mut script = Script::running();
    let (term, vertex) = (script.master.term(), VertexId(0));
    let problem = |term| Event::NotDiscovered { term, vertex, message: "no broker".into() };
    script.on(problem(Term(0)));
    assert_eq!(script.master.coordinator_report().source_problem, "", "an old term's");
    script.on(problem(term));
    let told = script.master.coordinator_report().source_problem;
    assert!(told.contains("no broker") && told.starts_with("source \""), "{told}");
    assert_eq!(script.master.status().restarts, 0, "it goes on looking");
    let found = Found { again: true, ..Found::default() };
    script.on(Event::Discovered { term, vertex, result: Ok(found) });
    assert_eq!(script.master.coordinator_report().source_problem, "");
}

#[test]
fn an_attempt_is_published_after_the_last_ack_and_its_output_committed_after_that() {
    let mut script = Script::running();
    script.tick(10_000);
    let trigger = script.trigger();
    assert_eq!((trigger.freeze, trigger.last), (false, false));
    script.acknowledge(trigger.attempt, &["x", "y"]);
    assert!(script.commits().is_empty());
    let epoch = script.publish();
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Published(_))), [0, 1]);
    assert!(script.actions.contains(&Action::Collect));
    let [(link, of, 2)] = script.commits()[..] else { panic!("{:?}", script.sent) };
    assert_eq!(of, epoch.0);
    let retry = control::CommitResult { index: 1, retry: "slow".into(), lost: String::new() };
    script.committed(link, epoch, vec![done(0), retry]);
    assert_eq!(script.actions, [Action::Acknowledged { epoch, indices: vec![0] }]);
    script.tick(script.now + 200);
    assert_eq!(script.commits(), [(link, epoch.0, 1)]);
    script.committed(link, epoch, vec![done(0)]);
    assert_eq!(script.actions, [Action::Acknowledged { epoch, indices: vec![1] }]);
}

#[test]
fn an_attempt_in_which_nothing_changed_publishes_nothing() {
    let mut script = Script::running();
    script.tick(10_000);
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &["x"]);
    // It was late, and the next one is due.
    script.publish();
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &[]);
    assert!(script.actions.is_empty(), "{:?}", script.actions);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Abandon(_))), [0, 1]);
    assert_eq!(script.master.status().failed_attempts, 0);
    assert_eq!(script.master.coordinator_report().unchanged, 1);
}

#[test]
fn acknowledgements_alone_are_published_and_once() {
    let mut script = Script::running();
    script.tick(10_000);
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &["x", "y"]);
    let epoch = script.publish();
    let link = script.commits()[0].0;
    let due = |script: &mut Script| {
        if script.told(|k| matches!(k, to_worker::Kind::Trigger(_))).is_empty() {
            script.tick(script.now + 10_000);
        }
        script.trigger().attempt
    };
    let publishes = |script: &mut Script, attempt: u64| {
        script.acknowledge(attempt, &[]);
        script.actions.iter().any(|a| matches!(a, Action::Publish { .. }))
    };
    let attempt = due(&mut script);
    let retry = control::CommitResult { index: 1, retry: "slow".into(), lost: String::new() };
    script.committed(link, epoch, vec![done(0), retry]);
    assert!(publishes(&mut script, attempt), "the manifest lists one that is committed");
    script.publish();
    assert_eq!(script.head.manifest.pending.len(), 1);
    let attempt = due(&mut script);
    assert!(!publishes(&mut script, attempt), "nothing is new");
    let attempt = due(&mut script);
    script.committed(link, epoch, vec![done(0)]);
    assert!(publishes(&mut script, attempt), "and now the other one");
    script.publish();
    assert!(script.head.manifest.pending.is_empty() && script.commits().is_empty());
    let attempt = due(&mut script);
    assert!(!publishes(&mut script, attempt), "a manifest that only drops needs no other");
}

#[test]
fn a_declined_attempt_is_abandoned_and_a_late_ack_of_it_is_ignored() {
    let mut script = Script::running();
    script.tick(10_000);
    let attempt = script.trigger().attempt;
    let reason = "the store is away".into();
    let declined = control::Declined { attempt, vertex: 1, subtask: 1, reason };
    script.say(1, from_worker::Kind::Declined(declined));
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Abandon(_))), [0, 1]);
    let status = script.master.status();
    assert!(status.failure.contains("task \"sink\" 1 declined: the store is away"));
    assert_eq!((status.failed_attempts, status.restarts), (1, 0));
    script.acknowledge(attempt, &["x"]);
    assert!(script.actions.is_empty());
    script.tick(20_000);
    assert_eq!(script.trigger().attempt, attempt + 1);
}

#[test]
fn an_attempt_that_takes_too_long_names_who_did_not_answer() {
    let mut script = Script::running();
    script.tick(10_000);
    script.tick(310_000);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Abandon(_))), [0, 1]);
    let failure = script.master.status().failure;
    assert!(failure.contains("task \"source\" 0 and 3 more did not answer"), "{failure}");
}

#[test]
fn a_manifest_on_its_way_is_undecided_however_long_it_takes() {
    let mut script = Script::running();
    script.tick(10_000);
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &["x"]);
    script.tick(1_000_000);
    assert!(script.sent.is_empty() && script.actions.is_empty());
    let message = "no space left".to_owned();
    script.on(Event::Undecided { attempt: Attempt(attempt), message });
    let problem = script.master.coordinator_report().checkpoint_problem;
    assert!(problem.contains("is not published yet: no space left"), "{problem}");
    let head = script.head_mut();
    head.version = head.version.next();
    let (version, message) = (script.head.manifest.version, "given up".into());
    script.on(Event::Voided { attempt: Attempt(attempt), version, message });
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Abandon(_))), [0, 1]);
}

#[test]
fn eight_versions_with_uncommitted_output_stop_new_attempts() {
    let mut script = Script::running();
    script.tick(100);
    for _ in 0..8 {
        let attempt = script.trigger().attempt;
        // Until the next one is due.
        script.tick(script.now + 10_000);
        script.acknowledge(attempt, &["x"]);
        script.publish();
    }
    script.tick(200_000);
    assert!(script.told(|k| matches!(k, to_worker::Kind::Trigger(_))).is_empty());
    script.committed(0, Epoch(2), vec![done(0)]);
    assert_eq!(script.trigger().attempt, 9);
}

#[test]
fn checkpoints_of_new_tasks_come_at_a_growing_pace_up_to_the_interval() {
    let mut script = Script::running();
    let mut at = Vec::new();
    while at.len() < 9 {
        script.tick(script.now + 100);
        if script.told(|k| matches!(k, to_worker::Kind::Trigger(_))).is_empty() {
            continue;
        }
        at.push(script.now);
        let attempt = script.trigger().attempt;
        script.acknowledge(attempt, &[]);
        if !script.actions.is_empty() {
            script.publish();
        }
    }
    assert_eq!(at, [100, 300, 700, 1_500, 3_100, 6_300, 12_700, 22_700, 32_700]);
}
