//! Requests, without a job that carries them out.

use weir_protocol::JobName;

use super::*;

/// Slots for a parallelism of 2, which is in force.
const ROOM: Room = Room { slots: 2, parallelism: 2 };

fn requests() -> Requests {
    let config = MasterConfig::new(JobName::from("ns/job"), 2);
    Requests::new(Arc::new(config), 8)
}

fn ask(requests: &mut Requests, id: u64, request: Request) -> Vec<Outcome> {
    let operation = format!("operation {id}");
    requests.on(Event::Asked { id: RequestId(id), request, operation }, 0)
}

fn savepoint(name: &str) -> Request {
    Request::Savepoint { name: name.into(), stop: false }
}

fn refused(id: u64, why: &str) -> Outcome {
    Outcome::Reply { id: RequestId(id), reply: Reply::Refused(why.into()) }
}

fn begin(requests: &mut Requests, room: Room, now_ms: u64) -> Option<Ask> {
    match requests.on(Event::Idle(room), now_ms).pop()? {
        Outcome::Begin(ask) => Some(ask),
        other => panic!("{other:?}"),
    }
}

fn wanted(workers: &[u32]) -> BTreeMap<WorkerId, Vec<SubtaskRestore>> {
    workers.iter().map(|worker| (WorkerId(*worker), Vec::new())).collect()
}

#[test]
fn the_newest_rescale_counts_and_one_that_is_not_possible_replaces_none() {
    let mut requests = requests();
    assert_eq!(ask(&mut requests, 1, Request::Rescale { parallelism: 3 }), []);
    let impossible =
        "parallelism 9 is not possible; it can be 1 to 8 for this job (maxParallelism)";
    let outcomes = ask(&mut requests, 2, Request::Rescale { parallelism: 9 });
    assert_eq!(outcomes, [refused(2, impossible)]);
    assert_eq!(ask(&mut requests, 3, savepoint("s")), []);
    let outcomes = ask(&mut requests, 4, Request::Rescale { parallelism: 4 });
    assert_eq!(outcomes, [refused(1, "superseded by a rescale to 4")]);
    assert_eq!(requests.next_rescale().map(|(rescale, _)| rescale.target), Some(4));
}

#[test]
fn a_rescale_begins_when_its_slots_are_there_and_read_ahead_or_when_its_patience_is_over() {
    let mut requests = requests();
    ask(&mut requests, 1, Request::Rescale { parallelism: 4 });
    assert_eq!(begin(&mut requests, ROOM, 0), None);
    assert_eq!(requests.next_ms().collect::<Vec<_>>(), [300_000]);
    let enough = Room { slots: 4, ..ROOM };
    assert_eq!(begin(&mut requests, enough, 0), None, "nobody has read ahead");
    requests.on(Event::ReadEnough, 0);
    assert_eq!(begin(&mut requests, ROOM, 299_999), None, "the slots have gone");
    assert!(begin(&mut requests, enough, 0).is_some_and(|ask| ask.is_rescale()));

    ask(&mut requests, 2, Request::Rescale { parallelism: 4 });
    assert!(begin(&mut requests, ROOM, 300_000).is_some(), "to be refused");
}

#[test]
fn what_comes_to_nothing_is_tried_three_times_and_before_everything_else() {
    let mut requests = requests();
    ask(&mut requests, 1, savepoint("first"));
    ask(&mut requests, 2, savepoint("second"));
    let why = "task \"sink\" 0 declined: not now";
    for tries in 1..=3 {
        let first = begin(&mut requests, ROOM, 0).unwrap();
        assert_eq!(first.request(), Some(RequestId(1)));
        let outcomes = requests.on(Event::Again { ask: first, why: why.into() }, 0);
        assert_eq!(outcomes, if tries < 3 { vec![] } else { vec![refused(1, why)] });
    }
    assert_eq!(begin(&mut requests, ROOM, 0).unwrap().request(), Some(RequestId(2)));
}

#[test]
fn a_rebalance_that_came_to_nothing_is_not_tried_again_for_a_while() {
    let mut requests = requests();
    assert!(requests.may_rebalance(0));
    requests.on(Event::Rebalance { parallelism: 2 }, 0);
    assert!(!requests.may_rebalance(0), "it waits");
    requests.on(Event::ReadEnough, 0);
    let ask = begin(&mut requests, ROOM, 0).unwrap();
    assert_eq!(requests.on(Event::Again { ask, why: "no".into() }, 1_000), []);
    assert!(!requests.may_rebalance(30_999) && requests.may_rebalance(31_000));
}

#[test]
fn while_sources_end_only_another_drain_begins() {
    let mut requests = requests();
    ask(&mut requests, 1, Request::Drain { name: "one".into() });
    let Some(Ask::Drain(one)) = begin(&mut requests, ROOM, 0) else { panic!("a drain begins") };
    requests.on(Event::Draining(one), 0);
    ask(&mut requests, 2, savepoint("s"));
    assert_eq!(begin(&mut requests, ROOM, 0), None);
    ask(&mut requests, 3, Request::Drain { name: "two".into() });
    let Some(Ask::Drain(two)) = begin(&mut requests, ROOM, 0) else { panic!("a drain begins") };
    let outcomes = requests.on(Event::Draining(two.clone()), 0);
    assert_eq!(outcomes, [refused(1, "superseded by another drain")]);
    assert_eq!(requests.on(Event::AllFinished, 0), [Outcome::End { drain: Some(two) }]);
}

#[test]
fn whatever_waits_is_answered_when_the_work_ends() {
    let mut requests = requests();
    ask(&mut requests, 1, savepoint("waits"));
    requests.on(Event::Draining(Saving::new("drains".into(), RequestId(2))), 0);
    let copying = Copying { request: RequestId(3), version: Default::default(), watermark: None };
    requests.on(Event::Copying { name: "is copied".into(), copying }, 0);
    let why = "the job has ended: another process runs it";
    let reason = "another process runs it".to_owned();
    let expected = [1, 2, 3].map(|id| refused(id, why));
    assert_eq!(requests.on(Event::Ended { reason }, 0), expected);
}

#[test]
fn workers_are_asked_for_what_is_new_in_three_rounds_within_one_patience() {
    let mut requests = requests();
    ask(&mut requests, 1, Request::Rescale { parallelism: 4 });
    assert_eq!(requests.decide_prefetch(false, true, 0), None);
    let mut before = BTreeSet::new();
    for round in 1..=3 {
        let read = Prefetch::Read { parallelism: 4, before: before.clone() };
        assert_eq!(requests.decide_prefetch(true, true, 0), Some(read));
        before.insert(format!("object {round}"));
        let asked = Event::ReadAhead { wanted: wanted(&[0, 1]), objects: before.clone() };
        assert_eq!(requests.on(asked, 1_000 * (round - 1)).len(), 2);
        assert_eq!(requests.decide_prefetch(true, true, 59_999), None, "they read");
        assert_eq!(requests.decide_prefetch(true, true, 60_000), Some(Prefetch::GiveUp));
        // One answers, the other is lost; what another round was asked for says nothing.
        requests.on(Event::Prefetched { worker: WorkerId(1), id: round + 1 }, 0);
        requests.on(Event::Prefetched { worker: WorkerId(0), id: round }, 0);
        assert_eq!(requests.decide_prefetch(true, true, 0), None);
        requests.on(Event::WorkerLost(WorkerId(1)), 0);
    }
    assert_eq!(requests.decide_prefetch(true, true, 0), Some(Prefetch::Skip));
    requests.on(Event::TasksFailed, 0);
    assert!(!requests.reads_ahead(), "tasks may be placed in another way");
}

#[test]
fn a_reply_and_the_report_of_the_same_operation_are_one() {
    let mut requests = requests();
    ask(&mut requests, 1, Request::Rescale { parallelism: 4 });
    let report = OperationReport { message: "2 → 4".into(), ..OperationReport::default() };
    let report = OperationReport { kind: OperationKind::Rescale.into(), ..report };
    requests.on(Event::Reported(report), 500);
    let reply = Reply::Rescaled { total_ms: 500, pause_ms: 100, groups_moved: 4 };
    requests.on(Event::Answered { id: RequestId(1), reply }, 500);
    let [report] = requests.reports() else { panic!("{:?}", requests.reports()) };
    assert_eq!((report.id.as_str(), report.message.as_str()), ("operation 1", "2 → 4"));

    ask(&mut requests, 2, savepoint("s"));
    requests.on(Event::Answered { id: RequestId(2), reply: Reply::Refused("no".into()) }, 600);
    let report = &requests.reports()[1];
    assert_eq!((report.number, report.message.as_str(), report.total_ms), (2, "no", 600));
}
