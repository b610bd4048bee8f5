//! What workers read ahead of a rescale: asked for while the job runs, never waited for too long.

use weir_coordinator::master::{
    Action, Cut, Event, Head, LinkId, MasterConfig, OperatorCut, Request,
};
use weir_protocol::control::{self, from_worker, to_worker};
use weir_protocol::{Epoch, JobName, Term, Version};

use crate::script::Script;

const PREFETCH_MS: u64 = 5_000;

/// A segment in an object, with a block for each of the eight key groups.
fn segment(object: &str) -> control::SegmentRef {
    let block = |group| control::BlockRef { group, ..control::BlockRef::default() };
    control::SegmentRef {
        path: object.into(),
        range_end: 8,
        blocks: (0..8).map(block).collect(),
        ..control::SegmentRef::default()
    }
}

fn count(objects: &[&str]) -> OperatorCut {
    let segments = objects.iter().map(|o| segment(o)).collect();
    OperatorCut { segments, ..OperatorCut::default() }
}

/// A job of parallelism 2 on workers 0 and 1 whose counter's state lies in `data/1/base`.
fn running() -> Script {
    let mut config = MasterConfig::new(JobName::from("ns/job"), 2);
    config.prefetch_ms = PREFETCH_MS;
    config.checkpoint_interval_ms = 1_000;
    let cut = Cut {
        parallelism: 2,
        max_parallelism: 8,
        plan_hash: "plan".into(),
        operators: [("count".into(), count(&["data/1/base"]))].into(),
        write_full: vec!["count".into()],
        ..Cut::default()
    };
    let head = Head { term: Term(1), version: Version(5), epoch: Epoch(5), cut, ..Head::default() };
    let mut script = Script::with(config, Some(head));
    script.hello(0, 0, 1);
    script.hello(1, 1, 1);
    script.seal();
    script.deployed(&[0, 1]);
    assert_eq!(script.master.state_name(), "Running");
    script
}

/// A link, the id of what it was asked, and the objects of each subtask.
type Asked = (u64, u64, Vec<(u32, Vec<String>)>);

/// Who was told to read ahead, with the subtasks and objects that each was told of.
fn prefetches(script: &Script) -> Vec<Asked> {
    let told = script.sent.iter().filter_map(|(link, kind)| match kind {
        to_worker::Kind::Prefetch(wanted) => {
            assert_eq!(wanted.parallelism, 4);
            let restores = wanted.restore.iter().map(|r| {
                let state = r.state.as_ref().expect("a prefetch is for state");
                (r.subtask, state.segments.iter().map(|s| s.path.clone()).collect())
            });
            Some((*link, wanted.id, restores.collect()))
        }
        _ => None,
    });
    told.collect()
}

fn answer(script: &mut Script, link: u64, id: u64) {
    script.say(link, from_worker::Kind::Prefetched(control::Prefetched { id, bytes: 1 }));
}

fn triggers(script: &Script) -> Vec<&control::Trigger> {
    let triggers = script.sent.iter().filter_map(|(link, kind)| match kind {
        to_worker::Kind::Trigger(trigger) if *link == 0 => Some(trigger),
        _ => None,
    });
    triggers.collect()
}

/// The counter's subtasks add `object`, and what the attempt made is published.
fn publish(script: &mut Script, objects: &[&str]) {
    let attempt = script.trigger().attempt;
    script.acknowledge(attempt, &["row"]);
    let published = script.actions.iter().find_map(|action| match action {
        Action::Publish { attempt, .. } => Some(*attempt),
        _ => None,
    });
    let attempt = published.expect("every task has acknowledged");
    script.head.version = script.head.version.next();
    script.head.cut.operators.insert("count".into(), count(objects));
    script.on(Event::Published { attempt, head: script.head.clone() });
}

fn rescale(script: &mut Script) {
    script.ask(1, Request::Rescale { parallelism: 4 });
    script.hello(2, 2, 1);
    assert_eq!(prefetches(script), [], "it waits for its slots");
    script.hello(3, 3, 1);
}

#[test]
fn tasks_freeze_once_every_worker_has_read_what_will_be_its_own() {
    let mut script = running();
    rescale(&mut script);
    let base = |subtask| vec![(subtask, vec!["data/1/base".to_owned()])];
    // Workers 0 and 1 keep a half of what each has, 2 and 3 take the others.
    assert_eq!(
        prefetches(&script),
        [(0, 1, base(0)), (1, 1, base(2)), (2, 1, base(1)), (3, 1, base(3))]
    );
    assert_eq!(triggers(&script).len(), 0, "the job runs");
    for link in [0, 1, 2] {
        answer(&mut script, link, 1);
        answer(&mut script, 3, 99);
        assert_eq!(triggers(&script).len(), 0, "worker 3 reads, whatever it says of another one");
    }
    answer(&mut script, 3, 1);
    assert!(matches!(triggers(&script)[..], [trigger] if trigger.freeze));
}

#[test]
fn checkpoints_go_on_meanwhile_without_compaction_and_what_they_add_is_read_too() {
    let mut script = running();
    rescale(&mut script);
    script.tick(1_000);
    let trigger = script.trigger();
    assert!(!trigger.freeze && trigger.full.is_empty(), "{trigger:?}");
    publish(&mut script, &["data/1/base", "data/2/delta"]);
    for link in 0..4 {
        assert_eq!(prefetches(&script), [], "the first round is under way");
        answer(&mut script, link, 1);
    }
    let second = prefetches(&script);
    assert_eq!(second.len(), 4);
    for (link, id, restores) in second {
        assert!(restores.iter().all(|(_, objects)| objects == &["data/2/delta"]), "{restores:?}");
        answer(&mut script, link, id);
    }
    assert!(script.trigger().freeze);
}

#[test]
fn a_slow_prefetch_is_given_up() {
    let mut script = running();
    rescale(&mut script);
    for link in 0..3 {
        answer(&mut script, link, 1);
    }
    let due = script.master.next_deadline().expect("something is due");
    assert!(due <= PREFETCH_MS, "{due}");
    script.tick(PREFETCH_MS - 1);
    while let [trigger] = triggers(&script)[..]
        && !trigger.freeze
    {
        publish(&mut script, &["data/1/base"]);
    }
    assert_eq!(script.master.state_name(), "Running");
    script.tick(PREFETCH_MS);
    assert!(script.trigger().freeze);
}

#[test]
fn a_worker_that_is_gone_is_not_waited_for() {
    let mut script = running();
    rescale(&mut script);
    for link in 0..3 {
        answer(&mut script, link, 1);
    }
    script.on(Event::LinkClosed { link: LinkId(3) });
    assert_eq!(triggers(&script).len(), 0, "its slot is missing");
    script.hello(3, 4, 1);
    assert!(script.trigger().freeze, "what it had read is lost with it, and not waited for again");
}

#[test]
fn workers_are_told_which_objects_the_head_no_longer_lists() {
    let mut script = running();
    script.tick(1_000);
    assert_eq!(script.trigger().full, ["count"]);
    publish(&mut script, &["data/3/full"]);
    let dropped = script.sent.iter().find_map(|(_, kind)| match kind {
        to_worker::Kind::Published(published) => Some(published.dropped.clone()),
        _ => None,
    });
    assert_eq!(dropped, Some(vec!["data/1/base".to_owned()]));
}
