//! Workers that go, tasks that fail, and who goes on.

use weir_coordinator::master::{Action, Ending, Event, LinkId, MasterConfig};
use weir_protocol::JobName;
use weir_protocol::control::{self, FromWorker, RunState, ToWorker, from_worker, to_worker};

use crate::script::{Script, assignment, done};

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
        |k| matches!(k, to_worker::Kind::Deploy(d) if assignment(d).placements.iter().all(|p| p.worker.0 == 0)),
    );
    assert_eq!(deploy, [0]);
    script.deployed(&[0]);
    let status = script.master.status();
    assert_eq!((status.state(), status.restarts), (RunState::Running, 1));
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
    assert_eq!(script.master.status().state(), RunState::Running);
}

#[test]
fn a_silent_worker_is_lost_after_four_seconds() {
    let mut script = Script::running();
    script.now = 3_900;
    script.say(0, from_worker::Kind::Heartbeat(control::Heartbeat::default()));
    script.now = 4_000;
    script.on(Event::Tick);
    assert!(script.actions.contains(&Action::Disconnect { link: LinkId(1) }));
    assert_eq!(script.master.run_state(), RunState::Recovering);
    assert_eq!(script.master.status().workers, 1);
}

#[test]
fn a_worker_hears_what_people_look_at_with_each_answer_to_a_heartbeat() {
    let mut script = Script::running();
    let looks = |script: &mut Script, looks: &[&str]| {
        let looks =
            looks.iter().map(|uid| control::Look { uid: (*uid).into(), rows: false }).collect();
        assert_eq!(script.master.on(Event::Look { looks }, script.now), [], "it decides nothing");
        let kind = from_worker::Kind::Heartbeat(control::Heartbeat::default());
        let message = FromWorker { term: script.master.term().0, kind: Some(kind) };
        let actions = script.master.on(Event::Message { link: LinkId(1), message }, script.now);
        let heard = actions.into_iter().find_map(|action| match action {
            Action::Send {
                message: ToWorker { kind: Some(to_worker::Kind::Heard(heard)), .. },
                ..
            } => Some(heard.looks.into_iter().map(|look| look.uid).collect::<Vec<_>>()),
            _ => None,
        });
        heard.expect("an answer")
    };
    assert_eq!(looks(&mut script, &["count"]), ["count"]);
    assert_eq!(looks(&mut script, &["count", "sum"]), ["count", "sum"]);
    assert_eq!(looks(&mut script, &[]), Vec::<String>::new());
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
fn a_process_whose_place_another_one_has_taken_is_turned_away_while_that_is_there() {
    let mut script = Script::running();
    script.hello(1, 2, 1);
    assert_eq!(script.master.status().failure, "worker 1 was lost: its process was started anew");
    script.stopped(&[0]);
    script.seal();
    script.deployed(&[0, 2]);
    assert_eq!(script.master.run_state(), RunState::Running);

    script.hello_of("start of 1", 1, 3, 1);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Shutdown(_))), [3]);
    assert!(script.actions.contains(&Action::Disconnect { link: LinkId(3) }));
    assert_eq!(
        (script.master.run_state(), script.master.status().restarts),
        (RunState::Running, 1)
    );

    script.on(Event::LinkClosed { link: LinkId(2) });
    script.hello_of("start of 1", 1, 4, 1);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Welcome(_))), [4]);
    // Whoever was there before it is older now.
    script.hello_of("start of 2", 1, 5, 1);
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Shutdown(_))), [5]);
}

#[test]
fn a_worker_that_takes_leave_is_replaced_at_once() {
    let mut script = Script::running();
    script.say(1, from_worker::Kind::Leaving(control::Leaving {}));
    assert!(script.actions.contains(&Action::Disconnect { link: LinkId(1) }));
    assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Stop(_))), [0]);
    script.stopped(&[0]);
    script.more(Event::Tick);
    assert_eq!(script.master.run_state(), RunState::Recovering);
    let failure = script.master.status().failure;
    assert_eq!(failure, "worker 1 was lost: its process was told to end");
}

#[test]
fn messages_of_another_term_change_nothing() {
    let mut script = Script::running();
    let failed = control::Failed { message: "old".into(), ..control::Failed::default() };
    let message = FromWorker { term: 0, kind: Some(from_worker::Kind::Failed(failed)) };
    script.on(Event::Message { link: LinkId(0), message });
    assert_eq!(script.master.run_state(), RunState::Running);
}

#[test]
fn a_failing_job_waits_longer_each_time() {
    let mut script = Script::running();
    for wait in [1_000, 2_000, 4_000] {
        let mut failed = control::Failed { message: "bug".into(), ..control::Failed::default() };
        failed.set_fault(control::Fault::Internal);
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
        assert_eq!(script.master.run_state(), RunState::Running);
    }
    assert_eq!(script.master.coordinator_report().task_problem, "bug", "it may fail again");
}

#[test]
fn a_worker_that_others_could_not_reach_is_named_when_it_is_lost() {
    let mut script = Script::running();
    // Two failures before, so that another one would have to wait.
    for _ in 0..2 {
        let mut failed = control::Failed { message: "away".into(), ..control::Failed::default() };
        failed.set_fault(control::Fault::External);
        script.say(0, from_worker::Kind::Failed(failed));
        script.stopped(&[0, 1]);
        let at = script.now + 1_000;
        script.tick(at);
        script.seal();
        script.deployed(&[0, 1]);
        assert_eq!(script.master.run_state(), RunState::Running);
    }
    let message = "worker 1 does not answer".to_owned();
    let mut failed = control::Failed { message, peer: Some(1), ..control::Failed::default() };
    failed.set_fault(control::Fault::External);
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
    assert_eq!((status.state(), status.restarts), (RunState::Running, 3));
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
        assert_eq!(script.master.run_state(), RunState::Running);
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
