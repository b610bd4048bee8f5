//! Finished, stopped, drained, fenced; and what came of it.

use weir_checkpoint::manifest::{Assignment, ChainWatermark, END_OF_TIME};
use weir_checkpoint::{EnumeratorState, Manifest, OperatorEntry};
use weir_coordinator::master::{
    Action, Ending, Event, Head, MasterConfig, Plan, Reply, Request, RequestId, SavepointInfo,
};
use weir_protocol::control::{
    self, OperationKind, OperationOutcome, RunState, from_worker, to_worker,
};
use weir_protocol::{JobName, Placement, Subtask, Version, VertexId, WorkerId};

use crate::script::{Script, done, head, plan};

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

/// What the coordinator says of its end where it found this head, and read nothing.
fn words_at_the_end_after(over: bool, plan_hash: &str) -> String {
    let ended = EnumeratorState { complete: true, ..EnumeratorState::default() };
    let source = OperatorEntry { enumerator: Some(ended), ..OperatorEntry::default() };
    let placed = Placement { vertex: VertexId(0), subtask: Subtask(0), worker: WorkerId(0) };
    let at = ChainWatermark::Even(if over { END_OF_TIME } else { 7 });
    let head = Manifest {
        plan_hash: plan_hash.into(),
        state_of: Some(Version(7)),
        assignment: Assignment { placements: vec![placed], ..Assignment::default() },
        watermarks: [("source".into(), at)].into(),
        ..head([("source", source)])
    };
    let head = Some(Head::new(head.into()));
    let mut script = Script::with(MasterConfig::new(JobName::from("ns/job"), 1), head);
    script.hello(0, 0, 1);
    script.seal();
    script.deployed(&[0]);
    for vertex in [0, 1] {
        let finished = control::TaskFinished { vertex, subtask: 0 };
        script.say(0, from_worker::Kind::TaskFinished(finished));
    }
    script.acknowledge(script.trigger().attempt, &[]);
    script.publish();
    assert_eq!(script.master.ending(), Some(&Ending::Finished));
    script.master.coordinator_report().end.expect("it has ended").message
}

#[test]
fn a_changed_program_that_finds_everything_read_says_that_it_has_written_nothing() {
    let words = words_at_the_end_after(true, "another plan");
    assert!(words.contains("finished with checkpoint 7") && words.contains("nothing"), "{words}");
    for (over, plan) in [(true, "plan"), (false, "another plan")] {
        let words = words_at_the_end_after(over, plan);
        assert_eq!(words, "all sources have ended and every result is written", "{plan}");
    }
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
    script.on(Event::StepDown);
    assert_eq!(script.actions, [Action::End(Ending::SteppedDown)]);
    assert!(script.sent.is_empty(), "the driver tells them: {:?}", script.sent);
    let end = script.master.coordinator_report().end.unwrap();
    assert_eq!(end.kind(), control::job_end::Kind::Fenced, "no end of the job: {end:?}");
}

/// The reports of operations that were asked for.
fn reports(script: &Script) -> Vec<(OperationKind, String, OperationOutcome)> {
    let operations = script.master.status().operations;
    operations.into_iter().map(|o| (o.kind(), o.id.clone(), o.outcome())).collect()
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
    let refused = (OperationKind::Rescale, "op-1".to_owned(), OperationOutcome::Refused);
    assert_eq!(reports(&script), [refused]);
    let why = &script.master.status().operations[0].message;
    assert!(why.contains("it can be 1 to 8"), "{why}");

    begin(&mut script, 2, "op-2", 1);
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &[]);
    script.publish();
    script.head_mut().assignment.parallelism = 1;
    script.seal();
    script.stopped(&[0, 1]);
    assert_eq!(reports(&script).len(), 1, "it is under way");
    script.deployed(&[0, 1]);
    assert_eq!(script.master.run_state(), RunState::Running);
    let done = (OperationKind::Rescale, "op-2".to_owned(), OperationOutcome::Done);
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
    assert_eq!(script.master.run_state(), RunState::Running);
    for (vertex, subtask) in (0..2).flat_map(|v| (0..2).map(move |s| (v, s))) {
        let finished = control::TaskFinished { vertex, subtask };
        script.say(0, from_worker::Kind::TaskFinished(finished));
    }
    assert_eq!(script.master.run_state(), RunState::Stopping);
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &[]);
    script.publish();
    let copy =
        Action::CopySavepoint { name: "the-end".into(), version: script.head.manifest.version };
    assert!(script.actions.contains(&copy), "{:?}", script.actions);
    let info = SavepointInfo { bytes: 5, path: "s3://b/savepoints/the-end".into() };
    script.on(Event::SavepointDone { name: "the-end".into(), result: Ok(info) });
    let end = script.master.coordinator_report().end.expect("it has ended");
    assert_eq!(end.kind(), control::job_end::Kind::Stopped);
    assert_eq!((end.savepoint.as_str(), end.bytes), ("the-end", 5));
    let done = (OperationKind::Drain, "op-1".to_owned(), OperationOutcome::Done);
    assert_eq!(reports(&script), [done]);
}

#[test]
fn a_job_that_overwrites_is_not_drained_with_half_of_its_input() {
    let mut script =
        Script::running_with(Plan { replaces: Some("filesystem sums".into()), ..plan() });
    let request = Request::Drain { name: "the-end".into() };
    script.on(Event::Request { id: RequestId(1), request, operation: "op-1".into() });
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Drain(_))), [] as [u64; 0]);
    let is_refused = |action: &Action| match action {
        Action::Reply { reply: Reply::Refused(why), .. } => {
            why.contains("filesystem sums overwrites") && why.contains("suspend it")
        }
        _ => false,
    };
    assert!(script.actions.iter().any(is_refused), "{:?}", script.actions);
    assert_eq!(script.master.run_state(), RunState::Running, "and goes on");
}

#[test]
fn no_attempt_but_the_last_is_taken_while_sources_are_ending() {
    let mut script = Script::running();
    let drain = Request::Drain { name: "the-end".into() };
    script.on(Event::Request { id: RequestId(1), request: drain, operation: String::new() });
    script.say(0, from_worker::Kind::TaskFinished(control::TaskFinished { vertex: 0, subtask: 0 }));
    script.ask(2, Request::Savepoint { name: "s".into(), stop: false });
    script.tick(60_000);
    let triggers = script.told(|k| matches!(k, to_worker::Kind::Trigger(_)));
    assert!(triggers.is_empty(), "one source has ended, the other not: no time to go on from");
}

#[test]
fn a_drain_that_cannot_be_saved_lets_the_job_go_on() {
    let mut script = Script::running();
    let drain = Request::Drain { name: "the-end".into() };
    script.on(Event::Request { id: RequestId(1), request: drain, operation: "op-1".into() });
    for n in 1..=3 {
        for (vertex, subtask) in (0..2).flat_map(|v| (0..2).map(move |s| (v, s))) {
            let finished = control::TaskFinished { vertex, subtask };
            script.say_more(0, from_worker::Kind::TaskFinished(finished));
        }
        assert_eq!(script.master.run_state(), RunState::Stopping);
        let attempt = script.trigger().attempt;
        let reason = "no space left".into();
        let declined = control::Declined { attempt, vertex: 0, subtask: 0, reason };
        script.say(0, from_worker::Kind::Declined(declined));
        if n < 3 {
            assert_eq!(script.master.run_state(), RunState::Running);
            script.tick(script.now + 1_000);
            assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Drain(_))), [0, 1]);
        }
    }
    let refused = (OperationKind::Drain, "op-1".to_owned(), OperationOutcome::Refused);
    assert_eq!(reports(&script), [refused]);
    let why = &script.master.status().operations[0].message;
    assert!(why.contains("no space left"), "{why}");
    assert_eq!(
        script.master.run_state(),
        RunState::Recovering,
        "its tasks had ended, the job has not"
    );
    script.stopped(&[0, 1]);
    script.tick(script.now + 5_000);
    script.seal();
    script.deployed(&[0, 1]);
    assert_eq!(script.master.run_state(), RunState::Running);
    assert!(script.told(|k| matches!(k, to_worker::Kind::Drain(_))).is_empty());
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
    failed.set_fault(control::Fault::External);
    script.say(0, from_worker::Kind::Failed(failed));
    script.stopped(&[0, 1]);
    script.tick(2_000);
    script.seal();
    script.deployed(&[0, 1]);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Drain(_))), [0, 1]);
}
