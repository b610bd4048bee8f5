//! A change of parallelism, step by step.

use weir_coordinator::master::{Event, LinkId, Reply, Request};
use weir_protocol::control::{self, RunState, from_worker, to_worker};

use crate::script::{Script, done, parallelism};

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
    script.head_mut().pending.clear();
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
    assert_eq!((status.state(), status.parallelism, status.restarts), (RunState::Running, 2, 0));
}

/// Else it would run for ever with tasks that are not there.
#[test]
fn a_rescale_whose_seal_fails_after_a_worker_was_lost_restarts_the_job() {
    let losses: [fn(&mut Script); 3] = [
        |script| script.on(Event::LinkClosed { link: LinkId(0) }),
        |script| script.hello_of("a new process", 0, 7, 1),
        |script| {
            let failed = control::Failed { message: "a full disk".into(), ..Default::default() };
            script.say(0, from_worker::Kind::Failed(failed));
        },
    ];
    for lose in losses {
        let mut script = Script::running();
        script.ask(1, Request::Rescale { parallelism: 1 });
        let trigger = script.trigger();
        script.acknowledge(trigger.attempt, &[]);
        script.publish();
        assert!(script.wants_seal());
        lose(&mut script);
        assert!(!script.wants_seal());
        script.on(Event::SealFailed { message: "the store is away".into() });
        assert_eq!(script.replies(), [&Reply::Refused("the store is away".into())]);
        let status = script.master.status();
        assert_eq!((status.parallelism, status.restarts), (2, 1), "{:?}", status.state());
        assert_ne!(status.state(), RunState::Running);
    }
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
    assert_eq!(
        script.told(|k| matches!(k, to_worker::Kind::Deploy(d) if parallelism(d) == 1)),
        [1]
    );
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
    assert_eq!(script.master.run_state(), RunState::Running);
}
