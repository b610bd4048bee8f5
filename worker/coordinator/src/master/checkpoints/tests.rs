//! Attempts, without a job around them.

use weir_checkpoint::TaskSnapshot;
use weir_protocol::{JobName, Version};

use super::*;
use crate::master::event::RequestId;
use crate::master::head::Head;
use crate::master::plan::{PlanOperator, PlanVertex};
use crate::master::requests::Saving;

const TASK: TaskId = (VertexId(0), Subtask(0));

fn checkpoints() -> Checkpoints {
    let operator = PlanOperator {
        uid: "count".into(),
        name: "count".into(),
        kind: "test",
        ..PlanOperator::default()
    };
    let vertex = PlanVertex {
        id: VertexId(0),
        name: "count".into(),
        single: true,
        operators: vec![operator],
        source: None,
    };
    let plan =
        Plan { hash: String::new(), max_parallelism: 8, replaces: None, vertices: vec![vertex] };
    let config = MasterConfig::new(JobName::from("ns/job"), 1);
    let mut checkpoints = Checkpoints::new(Arc::new(config), Arc::new(plan));
    checkpoints.on(Event::TasksBegan, 0);
    checkpoints
}

/// What the chain says after a checkpoint of that job.
fn head() -> Head {
    let operators = [(OperatorUid::from("count"), Default::default())].into();
    let version = Version(3);
    Head::new(Manifest { version, operators, ..Manifest::default() }.into())
}

fn saving() -> Saving {
    Saving::new("before".into(), RequestId(1))
}

fn begin(checkpoints: &mut Checkpoints, purpose: Purpose, now_ms: u64) -> control::Trigger {
    let (full, enumerators, tasks) = (Vec::new(), BTreeMap::new(), vec![TASK]);
    match checkpoints.on(Event::Begin { purpose, full, enumerators, tasks }, now_ms) {
        Some(Outcome::Trigger(trigger)) => trigger,
        other => panic!("{other:?}"),
    }
}

/// Its task acknowledges that it has nothing to add to the head.
fn acknowledge(checkpoints: &mut Checkpoints, attempt: u64) -> Option<Outcome> {
    let mut ack = control::Ack { attempt, ..control::Ack::default() };
    ack.snapshot_json = serde_json::to_vec(&TaskSnapshot::default()).unwrap();
    let acknowledged = checkpoints.on(Event::Acknowledged(ack), 0);
    assert_eq!(acknowledged, Some(Outcome::AllAcknowledged));
    let head = &head();
    checkpoints.on(Event::Assemble { head, parallelism: 1, uncommitted: 0 }, 0)
}

#[test]
fn attempts_of_new_tasks_come_soon_and_then_less_often_up_to_the_interval() {
    let mut checkpoints = checkpoints();
    let mut due = Vec::new();
    for _ in 0..10 {
        let at = checkpoints.next_ms(true, 0).unwrap();
        assert!(!checkpoints.is_due(at - 1) && checkpoints.is_due(at));
        let attempt = begin(&mut checkpoints, Purpose::Interval, at).attempt;
        assert!(!checkpoints.is_due(u64::MAX), "one is under way");
        acknowledge(&mut checkpoints, attempt);
        due.push(at);
    }
    let waits: Vec<u64> = due.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(due[0], 100);
    assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
}

#[test]
fn a_worker_that_fills_up_has_the_next_attempt_at_once_and_one_under_way_goes_on() {
    let mut checkpoints = checkpoints();
    assert_eq!(checkpoints.on(Event::Wanted, 7), None);
    assert!(!checkpoints.is_due(6) && checkpoints.is_due(7));
    let attempt = begin(&mut checkpoints, Purpose::Interval, 7).attempt;
    assert_eq!(checkpoints.on(Event::Wanted, 8), None);
    acknowledge(&mut checkpoints, attempt);
    assert!(!checkpoints.is_due(8), "it was asked for before that one was done");
}

#[test]
fn an_attempt_without_news_is_published_only_for_somebody_who_waits_for_it() {
    let mut checkpoints = checkpoints();
    let attempt = begin(&mut checkpoints, Purpose::Interval, 0).attempt;
    let unchanged = Outcome::Unchanged { attempt: Attempt(attempt) };
    assert_eq!(acknowledge(&mut checkpoints, attempt), Some(unchanged));

    let trigger = begin(&mut checkpoints, Purpose::Savepoint(saving()), 0);
    assert!(trigger.last && !trigger.freeze);
    let Some(Outcome::Publish(body)) = acknowledge(&mut checkpoints, trigger.attempt) else {
        panic!("a savepoint is published");
    };
    assert_eq!((body.attempt.0, body.pin.as_deref()), (trigger.attempt, Some("before")));

    checkpoints.on(Event::TasksBegan, 0);
    let trigger = begin(&mut checkpoints, Purpose::Hold { is_last: false, pin: None }, 0);
    assert!(trigger.freeze && !trigger.last);
    let acknowledged = acknowledge(&mut checkpoints, trigger.attempt);
    assert!(matches!(acknowledged, Some(Outcome::Publish(_))), "a rescale waits for its version");
    assert_eq!((checkpoints.tally().unchanged, checkpoints.tally().failed), (1, 0));
}

#[test]
fn time_gives_up_tasks_that_do_not_answer_and_not_what_is_on_its_way_to_the_store() {
    let mut checkpoints = checkpoints();
    let purpose = Purpose::Hold { is_last: false, pin: None };
    let attempt = begin(&mut checkpoints, purpose.clone(), 0).attempt;
    assert_eq!(checkpoints.on(Event::Tick, 299_999), None);
    let why = "task \"count\" 0 and 0 more did not answer within 300 s".to_owned();
    let abandoned = Outcome::Abandoned { attempt: Attempt(attempt), purpose, why };
    assert_eq!(checkpoints.on(Event::Tick, 300_000), Some(abandoned));
    assert!(!checkpoints.may_begin(300_999) && checkpoints.may_begin(301_000));

    let attempt = begin(&mut checkpoints, Purpose::Savepoint(saving()), 400_000).attempt;
    acknowledge(&mut checkpoints, attempt);
    assert_eq!(checkpoints.on(Event::Tick, 900_000), None);
    assert_eq!(checkpoints.under_way(), Some(Attempt(attempt)));
}

#[test]
fn what_is_published_after_its_tasks_have_ended_counts_and_nobody_is_told() {
    let mut checkpoints = checkpoints();
    let attempt = Attempt(begin(&mut checkpoints, Purpose::Savepoint(saving()), 0).attempt);
    acknowledge(&mut checkpoints, attempt.0);
    let why = "worker 1 was lost".to_owned();
    let interrupted = Outcome::Interrupted { saving: saving(), why: why.clone() };
    assert_eq!(checkpoints.on(Event::TasksEnded { why }, 10), Some(interrupted));
    let (before, head) = (Manifest::default(), head());
    let published = Event::Published { attempt, before: &before, head: &head, wall_ms: 20 };
    assert_eq!(checkpoints.on(published, 20), None);
    assert_eq!((checkpoints.tally().epoch, checkpoints.tally().published), (Epoch(3), 1));
}
