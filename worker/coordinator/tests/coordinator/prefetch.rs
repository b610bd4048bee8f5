//! What workers read ahead of a rescale: asked for while the job runs, never waited for too long.

use std::collections::BTreeSet;

use weir_checkpoint::manifest::{Assignment, MAX_DELTA_DEPTH, Place};
use weir_checkpoint::{Manifest, OperatorEntry, OperatorState, SegmentRef};
use weir_coordinator::master::{Action, Event, Head, LinkId, MasterConfig, Request};
use weir_protocol::control::{self, RunState, from_worker, to_worker};
use weir_protocol::{JobName, KeyGroup, KeyGroupRange, StateSchema, Term, Version};
use weir_state::segment::{BlockIndex, SegmentKind};

use crate::script::{Script, entry, head, restores};

const PREFETCH_MS: u64 = 5_000;

/// Segments in an object, each with a block for each of the eight key groups: so many that a full
/// one is due.
fn segments(object: &str) -> impl Iterator<Item = SegmentRef> {
    let block = |group| BlockIndex { group: KeyGroup(group), offset: 0, len: 1, crc: 0 };
    let segment = move |offset| SegmentRef {
        place: Place::Object { path: object.to_owned(), offset },
        len: 8,
        schema: 1,
        kind: SegmentKind::Delta,
        range: KeyGroupRange::all(8),
        blocks: (0..8).map(block).collect(),
    };
    (0..=MAX_DELTA_DEPTH as u64).map(segment)
}

fn count(objects: &[&str]) -> OperatorEntry {
    let segments = objects.iter().flat_map(|object| segments(object)).collect();
    let schema = StateSchema { version: 1, ..StateSchema::default() };
    let state = OperatorState { segments, ..OperatorState::default() };
    OperatorEntry { schema, ..entry(state) }
}

/// A job of parallelism 2 on workers 0 and 1 whose counter's state lies in `data/1/base`.
fn running() -> Script {
    let mut config = MasterConfig::new(JobName::from("ns/job"), 2);
    config.prefetch_ms = PREFETCH_MS;
    config.checkpoint_interval_ms = 1_000;
    let head = Manifest {
        term: Term(1),
        state_of: Some(Version(5)),
        assignment: Assignment { parallelism: 2, ..Assignment::default() },
        ..head([("count", count(&["data/1/base"]))])
    };
    let mut script = Script::with(config, Some(Head::new(head.into())));
    script.hello(0, 0, 1);
    script.hello(1, 1, 1);
    script.seal();
    script.deployed(&[0, 1]);
    assert_eq!(script.master.run_state(), RunState::Running);
    script
}

/// A link, the id of what it was asked, and the objects of each subtask.
type Asked = (u64, u64, Vec<(u32, Vec<String>)>);

/// Who was told to read ahead, with the subtasks and objects that each was told of.
fn prefetches(script: &Script) -> Vec<Asked> {
    let told = script.sent.iter().filter_map(|(link, kind)| match kind {
        to_worker::Kind::Prefetch(wanted) => {
            assert_eq!(wanted.parallelism, 4);
            let restores = restores(&wanted.restore_json).into_iter().map(|restore| {
                let objects: BTreeSet<_> =
                    restore.state.segments.iter().filter_map(SegmentRef::object).collect();
                (restore.subtask.0, objects.into_iter().map(str::to_owned).collect())
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
        Action::Publish { body } => Some(body.attempt),
        _ => None,
    });
    let attempt = published.expect("every task has acknowledged");
    let head = script.head_mut();
    head.version = head.version.next();
    head.operators.insert("count".into(), count(objects));
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
    assert_eq!(script.master.run_state(), RunState::Running);
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
