//! The core alone: scripted events, and what it wants done.

use weir_coordinator::master::{
    Action, Cut, Ending, Event, Found, Head, LinkId, MasterConfig, OperatorCut, Pending, Reply,
    Request, RequestId, SavepointInfo,
};
use weir_engine::source::SplitAssignment;
use weir_protocol::control::{self, FromWorker, from_worker, to_worker};
use weir_protocol::{Attempt, Epoch, JobName, OperatorUid, Term, Version, VertexId};

use crate::script::{Script, done, item, split};

#[test]
fn a_job_starts_once_its_slots_are_there_and_after_its_patience_with_fewer() {
    let mut script = Script::new(2);
    script.hello(0, 0, 1);
    assert!(!script.wants_seal());
    script.tick(9_999);
    assert_eq!(script.master.state_name(), "Starting");
    script.tick(10_000);
    assert!(script.wants_seal());
    script.seal();
    let deploys = script.told(|k| matches!(k, to_worker::Kind::Deploy(d) if d.parallelism == 2));
    assert_eq!(deploys, [0]);
}

#[test]
fn what_the_head_lists_is_committed_before_a_task_starts() {
    let (epoch, lineage) = (Epoch(4), "the one before".to_owned());
    let pending = Pending { epoch, lineage, index: 0, committable: item("x") };
    let cut = Cut { committables: vec![pending], max_parallelism: 8, ..Cut::default() };
    let head = Head { term: Term(3), version: Version(5), cut, ..Head::default() };
    let mut script = Script::with(MasterConfig::new(JobName::from("ns/job"), 1), Some(head));
    script.hello(0, 0, 1);
    script.seal();
    assert_eq!(script.commits(), [(0, 4, 1)]);
    let under = |k: &_| matches!(k, to_worker::Kind::Commit(c) if c.lineage == "the one before");
    assert_eq!(script.told(under), [0], "not under the lineage of today");
    assert!(script.told(|k| matches!(k, to_worker::Kind::Deploy(_))).is_empty());
    script.committed(0, Epoch(4), vec![done(0)]);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Deploy(_))), [0]);
}

#[test]
fn a_worker_with_another_plan_is_refused_and_told_why() {
    let mut script = Script::new(1);
    let hello = control::Hello { plan_hash: "other".into(), ..control::Hello::default() };
    script.say(5, from_worker::Kind::Hello(hello));
    let why = script.told(
        |k| matches!(k, to_worker::Kind::Shutdown(s) if s.reason.contains("built plan other")),
    );
    assert_eq!(why, [5]);
    assert_eq!(script.actions, [Action::Disconnect { link: LinkId(5) }]);
    assert_eq!(script.master.status().workers, 0);
}

#[test]
fn state_without_a_place_is_refused_unless_it_may_be_dropped() {
    let gone = OperatorCut {
        name: "top ten".into(),
        items: vec![b"x".as_slice().into()],
        ..OperatorCut::default()
    };
    let operators = [(OperatorUid::from("gone"), gone)].into();
    let cut = Cut { operators, max_parallelism: 8, ..Cut::default() };
    let head = Head { version: Version(9), cut, ..Head::default() };
    let mut config = MasterConfig::new(JobName::from("ns/job"), 1);
    let refused = Script::with(config.clone(), Some(head.clone()));
    let Some(Ending::Failed(why)) = refused.master.ending() else { panic!("it was not refused") };
    assert!(why.contains("\"top ten\"") && why.contains("allowDroppedState"), "{why}");
    config.allow_dropped_state.push("top ten".into());
    assert_eq!(Script::with(config, Some(head)).master.ending(), None);
}

#[test]
fn a_split_assigned_after_the_trigger_stays_the_enumerators_at_that_cut() {
    let mut script = Script::running();
    let snapshot = b"2".as_slice().into();
    let found = Found { splits: vec![split("a"), split("b")], snapshot, again: false };
    let (term, vertex) = (script.master.term(), VertexId(0));
    script.on(Event::Discovered { term, vertex, result: Ok(found) });
    let request = control::SplitRequest { vertex: 0, subtask: 0 };
    script.say(0, from_worker::Kind::SplitRequest(request));
    script.tick(10_000);
    let attempt = script.trigger().attempt;
    let request = control::SplitRequest { vertex: 0, subtask: 1 };
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
    let stored = &script.head.cut.operators[&OperatorUid::from("source")];
    assert_eq!(stored.enumerator.as_ref().unwrap().unassigned, [split("b")]);
}

#[test]
fn what_an_old_terms_enumerator_finds_counts_for_nothing() {
    let mut script = Script::running();
    let found = Found { splits: vec![split("a")], snapshot: vec![].into(), again: false };
    script.on(Event::Discovered { term: Term(0), vertex: VertexId(0), result: Ok(found) });
    assert!(script.sent.is_empty());
    assert_eq!(script.master.status().total, 0);
}

#[test]
fn a_source_that_cannot_look_says_why_until_it_has_looked() {
    let mut script = Script::running();
    let (term, vertex) = (script.master.term(), VertexId(0));
    let trouble = |term| Event::NotDiscovered { term, vertex, message: "no broker".into() };
    script.on(trouble(Term(0)));
    assert_eq!(script.master.coordinator_report().source_trouble, "", "an old term's");
    script.on(trouble(term));
    let told = script.master.coordinator_report().source_trouble;
    assert!(told.contains("no broker") && told.starts_with("source \""), "{told}");
    assert_eq!(script.master.status().restarts, 0, "it goes on looking");
    let found = Found { splits: vec![], snapshot: vec![].into(), again: true };
    script.on(Event::Discovered { term, vertex, result: Ok(found) });
    assert_eq!(script.master.coordinator_report().source_trouble, "");
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
    script.publish();
    script.tick(20_000);
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &[]);
    assert!(script.actions.is_empty(), "{:?}", script.actions);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Abandon(_))), [0, 1]);
    assert_eq!(script.master.status().failed_attempts, 0);
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
    script.head.version = script.head.version.next();
    let (version, message) = (script.head.version, "given up".into());
    script.on(Event::Voided { attempt: Attempt(attempt), version, message });
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Abandon(_))), [0, 1]);
}

#[test]
fn eight_versions_with_uncommitted_output_stop_new_attempts() {
    let mut script = Script::running();
    for n in 1..=8 {
        script.tick(n * 10_000);
        let attempt = script.trigger().attempt;
        script.acknowledge(attempt, &["x"]);
        script.publish();
    }
    script.tick(200_000);
    assert!(script.told(|k| matches!(k, to_worker::Kind::Trigger(_))).is_empty());
    script.committed(0, Epoch(2), vec![done(0)]);
    assert_eq!(script.trigger().attempt, 9);
}

#[test]
fn survivors_take_over_at_once_and_the_replacement_gets_its_share_back() {
    let mut script = Script::running();
    script.on(Event::LinkClosed { link: LinkId(1) });
    assert!(script.wants_seal(), "{:?}", script.actions);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Stop(_))), [0]);
    script.seal();
    assert!(script.sent.is_empty(), "its earlier tasks still run");
    script.stopped(&[0]);
    let deploy = script.told(
        |k| matches!(k, to_worker::Kind::Deploy(d) if d.placements.iter().all(|p| p.worker == 0)),
    );
    assert_eq!(deploy, [0]);
    script.deployed(&[0]);
    let status = script.master.status();
    assert_eq!((status.state.as_str(), status.restarts), ("Running", 1));
    assert!(status.operations[0].message.contains("worker 1 was lost"));

    script.hello(1, 2, 1);
    let trigger = script.trigger();
    assert!(trigger.freeze);
    script.acknowledge(trigger.attempt, &[]);
    script.publish();
    assert!(script.wants_seal());
    script.seal();
    script.stopped(&[0]);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Deploy(_))), [0, 2]);
    script.deployed(&[0, 2]);
    assert_eq!(script.master.status().state, "Running");
}

#[test]
fn a_silent_worker_is_lost_after_four_seconds() {
    let mut script = Script::running();
    script.now = 3_900;
    script.say(0, from_worker::Kind::Heartbeat(control::Heartbeat::default()));
    script.now = 4_000;
    script.on(Event::Tick);
    assert!(script.actions.contains(&Action::Disconnect { link: LinkId(1) }));
    assert_eq!(script.master.state_name(), "Recovering");
    assert_eq!(script.master.status().workers, 1);
}

#[test]
fn a_manifest_published_during_recovery_is_the_one_that_is_restored() {
    let mut script = Script::running();
    script.tick(10_000);
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &["x"]);
    let wanted = script.actions.clone();
    script.on(Event::LinkClosed { link: LinkId(1) });
    script.actions = wanted;
    let epoch = script.publish();
    assert!(script.told(|k| matches!(k, to_worker::Kind::Published(_))).is_empty());
    script.seal();
    assert_eq!(script.commits(), [(0, epoch.0, 1)]);
    script.stopped(&[0]);
    assert!(script.told(|k| matches!(k, to_worker::Kind::Deploy(_))).is_empty());
    script.committed(0, epoch, vec![done(0)]);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Deploy(_))), [0]);
}

#[test]
fn a_rescale_freezes_commits_seals_and_only_then_stops_the_old_tasks() {
    let mut script = Script::running();
    script.ask(1, Request::Rescale { parallelism: 4 });
    assert!(script.sent.is_empty(), "it waits for slots");
    script.hello(2, 2, 1);
    script.hello(3, 3, 1);
    let trigger = script.trigger();
    assert!(trigger.freeze && trigger.full.is_empty());
    script.acknowledge(trigger.attempt, &["x"]);
    let epoch = script.publish();
    assert!(!script.wants_seal(), "its output is not committed yet");
    let [(link, _, 1)] = script.commits()[..] else { panic!("{:?}", script.sent) };
    script.now += 50;
    script.committed(link, epoch, vec![done(0)]);
    assert!(script.wants_seal());
    script.head.cut.committables.clear();
    script.seal();
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Stop(_))), [0, 1]);
    script.stopped(&[0, 1]);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Deploy(_))), [0, 1, 2, 3]);
    script.now += 50;
    script.deployed(&[0, 1, 2, 3]);
    let reply = Reply::Rescaled { total_ms: 100, pause_ms: 100, groups_moved: 4 };
    assert_eq!(script.replies(), [&reply]);
}

#[test]
fn a_rescale_whose_seal_fails_goes_on_at_the_old_assignment() {
    let mut script = Script::running();
    script.ask(1, Request::Rescale { parallelism: 1 });
    let trigger = script.trigger();
    script.acknowledge(trigger.attempt, &[]);
    script.publish();
    assert!(script.wants_seal());
    script.on(Event::SealFailed { message: "the store is away".into() });
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Resume(_))), [0, 1]);
    assert_eq!(script.replies(), [&Reply::Refused("the store is away".into())]);
    let status = script.master.status();
    assert_eq!((status.state.as_str(), status.parallelism, status.restarts), ("Running", 2, 0));
}

#[test]
fn a_rescale_goes_forward_after_its_seal_whatever_happens() {
    let mut script = Script::running();
    script.ask(1, Request::Rescale { parallelism: 1 });
    let trigger = script.trigger();
    script.acknowledge(trigger.attempt, &[]);
    script.publish();
    script.seal();
    script.stopped(&[0, 1]);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Deploy(_))), [0]);
    script.on(Event::LinkClosed { link: LinkId(0) });
    assert!(matches!(script.replies()[..], [Reply::Refused(_)]));
    assert!(script.wants_seal());
    script.seal();
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Deploy(d) if d.parallelism == 1)), [1]);
}

#[test]
fn a_rescale_whose_cut_is_declined_releases_the_tasks_and_tries_again() {
    let mut script = Script::running();
    script.ask(1, Request::Rescale { parallelism: 1 });
    for n in 1..=3 {
        let attempt = script.trigger().attempt;
        let reason = "not now".into();
        let declined = control::Declined { attempt, vertex: 0, subtask: 0, reason };
        script.say(0, from_worker::Kind::Declined(declined));
        assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Resume(_))), [0, 1]);
        if n < 3 {
            script.tick(n * 1_000);
        }
    }
    assert!(matches!(script.replies()[..], [Reply::Refused(why)] if why.contains("not now")));
    assert_eq!(script.master.state_name(), "Running");
}

#[test]
fn all_tasks_finished_means_one_last_attempt_and_its_commits() {
    let mut script = Script::running();
    for (vertex, subtask) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let finished = control::TaskFinished { vertex, subtask };
        script.say(0, from_worker::Kind::TaskFinished(finished));
    }
    let trigger = script.trigger();
    assert!(trigger.last);
    script.acknowledge(trigger.attempt, &["x"]);
    let epoch = script.publish();
    assert_eq!(script.master.ending(), None);
    let link = script.commits()[0].0;
    script.committed(link, epoch, vec![done(0)]);
    assert_eq!(script.master.ending(), Some(&Ending::Finished));
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Shutdown(_))), [0, 1]);
}

#[test]
fn a_stop_with_a_savepoint_waits_for_commits_and_for_the_copy() {
    let mut script = Script::running();
    script.ask(7, Request::Savepoint { name: "s".into(), stop: true });
    let trigger = script.trigger();
    assert!(trigger.freeze && trigger.last);
    script.acknowledge(trigger.attempt, &["x"]);
    let epoch = script.publish();
    let link = script.commits()[0].0;
    script.committed(link, epoch, vec![done(0)]);
    let copy = Action::CopySavepoint { name: "s".into(), version: Version(epoch.0) };
    assert!(script.actions.contains(&copy), "{:?}", script.actions);
    let info = SavepointInfo { bytes: 3, path: "there".into() };
    script.on(Event::SavepointDone { name: "s".into(), result: Ok(info.clone()) });
    assert_eq!(script.replies(), [&Reply::Saved { epoch, info, watermark: None }]);
    assert_eq!(script.master.ending(), Some(&Ending::Stopped { savepoint: "there".into() }));
}

#[test]
fn who_is_fenced_says_nothing_more_and_shuts_nobody_down() {
    let mut script = Script::running();
    script.ask(1, Request::Rescale { parallelism: 8 });
    script.on(Event::Fenced { message: "worker 1 took over".into() });
    assert!(script.sent.is_empty());
    let fenced = Ending::Fenced("worker 1 took over".into());
    assert!(script.actions.contains(&Action::End(fenced)));
    assert!(matches!(script.replies()[..], [Reply::Refused(_)]));
    script.hello(5, 5, 1);
    assert!(script.sent.is_empty() && script.actions.is_empty());
    script.ask(2, Request::Rescale { parallelism: 1 });
    assert!(matches!(script.replies()[..], [Reply::Refused(_)]));
}

#[test]
fn who_hands_over_shuts_nobody_down_and_ends_for_others_as_if_it_had_a_successor() {
    let mut script = Script::running();
    script.on(Event::Resign);
    assert_eq!(script.actions, [Action::End(Ending::Resigned)]);
    assert!(script.sent.is_empty(), "the driver tells them: {:?}", script.sent);
    let end = script.master.coordinator_report().end.unwrap();
    assert_eq!(end.kind(), control::job_end::Kind::Fenced, "no end of the job: {end:?}");
}

#[test]
fn a_worker_that_takes_leave_is_replaced_at_once() {
    let mut script = Script::running();
    script.say(1, from_worker::Kind::Leaving(control::Leaving {}));
    assert!(script.actions.contains(&Action::Disconnect { link: LinkId(1) }));
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Stop(_))), [0]);
    script.stopped(&[0]);
    script.more(Event::Tick);
    assert_eq!(script.master.state_name(), "Recovering");
    let failure = script.master.status().failure;
    assert_eq!(failure, "worker 1 was lost: its process was told to end");
}

#[test]
fn messages_of_another_term_change_nothing() {
    let mut script = Script::running();
    let failed = control::Failed { message: "old".into(), ..control::Failed::default() };
    let message = FromWorker { term: 0, kind: Some(from_worker::Kind::Failed(failed)) };
    script.on(Event::Message { link: LinkId(0), message });
    assert_eq!(script.master.state_name(), "Running");
}

#[test]
fn a_failing_job_waits_longer_each_time() {
    let mut script = Script::running();
    for wait in [1_000, 2_000, 4_000] {
        let mut failed = control::Failed { message: "bug".into(), ..control::Failed::default() };
        failed.set_fault(control::Fault::Ours);
        script.say(0, from_worker::Kind::Failed(failed));
        script.stopped(&[0, 1]);
        assert!(!script.wants_seal());
        let at = script.now + wait;
        script.tick(at - 1);
        assert!(!script.wants_seal());
        script.tick(at);
        assert!(script.wants_seal());
        script.seal();
        script.deployed(&[0, 1]);
        assert_eq!(script.master.state_name(), "Running");
    }
}

#[test]
fn a_worker_that_others_could_not_reach_is_named_when_it_is_lost() {
    let mut script = Script::running();
    // Two failures before, so that another one would have to wait.
    for _ in 0..2 {
        let mut failed = control::Failed { message: "away".into(), ..control::Failed::default() };
        failed.set_fault(control::Fault::Outside);
        script.say(0, from_worker::Kind::Failed(failed));
        script.stopped(&[0, 1]);
        let at = script.now + 1_000;
        script.tick(at);
        script.seal();
        script.deployed(&[0, 1]);
        assert_eq!(script.master.state_name(), "Running");
    }
    let message = "worker 1 does not answer".to_owned();
    let mut failed = control::Failed { message, peer: Some(1), ..control::Failed::default() };
    failed.set_fault(control::Fault::Outside);
    script.say(0, from_worker::Kind::Failed(failed));
    assert!(!script.wants_seal());
    assert_eq!(script.master.status().failure, "worker 1 does not answer");
    script.on(Event::LinkClosed { link: LinkId(1) });
    assert!(script.wants_seal(), "survivors go on at once");
    assert_eq!(script.master.status().failure, "worker 1 was lost: its connection ended");
    script.seal();
    script.stopped(&[0]);
    script.deployed(&[0]);
    let status = script.master.status();
    assert_eq!((status.state.as_str(), status.restarts), ("Running", 3));
    let recovered = &status.operations.last().unwrap().message;
    assert!(recovered.starts_with("worker 1 was lost: its connection ended"), "{recovered}");
}

#[test]
fn a_job_that_is_given_up_ends_with_its_first_user_error_as_it_was() {
    let mut config = MasterConfig::new(JobName::from("ns/job"), 1);
    config.restart.max_user_errors = Some(3);
    let mut script = Script::with(config, None);
    script.hello(0, 0, 1);
    script.seal();
    script.deployed(&[0]);
    let first = "task \"count\" 0: row 7: division by zero; use NULLIF";
    for text in [first, "a consequence", "another one"] {
        assert_eq!(script.master.state_name(), "Running");
        let message = text.to_owned();
        let mut failed = control::Failed { message, ..control::Failed::default() };
        failed.set_fault(control::Fault::User);
        script.say(0, from_worker::Kind::Failed(failed));
        if script.master.ending().is_none() {
            assert_eq!(script.master.status().failure, text);
            script.stopped(&[0]);
            let at = script.now + 4_000;
            script.tick(at);
            script.seal();
            script.deployed(&[0]);
        }
    }
    assert_eq!(script.master.ending(), Some(&Ending::Failed(first.to_owned())));
    assert_eq!(script.master.status().failure, first);
}

/// The reports of operations that were asked for, as (kind, id, refused).
fn reports(script: &Script) -> Vec<(String, String, String)> {
    let operations = script.master.status().operations;
    operations.into_iter().map(|o| (o.kind, o.id, o.refused)).collect()
}

#[test]
fn what_came_of_an_operation_stands_under_its_id() {
    let mut script = Script::running();
    let begin = |script: &mut Script, n: u64, id: &str, parallelism| {
        script.on(Event::Request {
            id: RequestId(n),
            request: Request::Rescale { parallelism },
            operation: id.into(),
        });
    };
    begin(&mut script, 1, "op-1", 100);
    let [(kind, id, refused)] = &reports(&script)[..] else { panic!("one report") };
    assert_eq!((kind.as_str(), id.as_str()), ("Rescaled", "op-1"));
    assert!(refused.contains("it can be 1 to 8"), "{refused}");

    begin(&mut script, 2, "op-2", 1);
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &[]);
    script.publish();
    script.head.cut.parallelism = 1;
    script.seal();
    script.stopped(&[0, 1]);
    assert_eq!(reports(&script).len(), 1, "it is under way");
    script.deployed(&[0, 1]);
    assert_eq!(script.master.state_name(), "Running");
    let done = ("Rescaled".to_owned(), "op-2".to_owned(), String::new());
    assert_eq!(reports(&script)[1..], [done], "once, also as the coordinator's own report");
}

#[test]
fn a_drained_job_stops_with_a_savepoint_once_its_sources_have_ended() {
    let mut script = Script::running();
    script.on(Event::Request {
        id: RequestId(1),
        request: Request::Drain { name: "the-end".into() },
        operation: "op-1".into(),
    });
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Drain(_))), [0, 1]);
    assert_eq!(script.master.state_name(), "Running");
    for (vertex, subtask) in (0..2).flat_map(|v| (0..2).map(move |s| (v, s))) {
        let finished = control::TaskFinished { vertex, subtask };
        script.say(0, from_worker::Kind::TaskFinished(finished));
    }
    assert_eq!(script.master.state_name(), "Stopping");
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &[]);
    script.publish();
    let copy = Action::CopySavepoint { name: "the-end".into(), version: script.head.version };
    assert!(script.actions.contains(&copy), "{:?}", script.actions);
    let info = SavepointInfo { bytes: 5, path: "s3://b/savepoints/the-end".into() };
    script.on(Event::SavepointDone { name: "the-end".into(), result: Ok(info) });
    let end = script.master.coordinator_report().end.expect("it has ended");
    assert_eq!(end.kind(), control::job_end::Kind::Stopped);
    assert_eq!((end.savepoint.as_str(), end.bytes), ("the-end", 5));
    assert_eq!(reports(&script), [("Drained".to_owned(), "op-1".to_owned(), String::new())]);
}

#[test]
fn sources_are_drained_again_after_a_failure() {
    let mut script = Script::running();
    script.on(Event::Request {
        id: RequestId(1),
        request: Request::Drain { name: "the-end".into() },
        operation: String::new(),
    });
    let mut failed = control::Failed { message: "away".into(), ..control::Failed::default() };
    failed.set_fault(control::Fault::Outside);
    script.say(0, from_worker::Kind::Failed(failed));
    script.stopped(&[0, 1]);
    script.tick(2_000);
    script.seal();
    script.deployed(&[0, 1]);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Drain(_))), [0, 1]);
}
