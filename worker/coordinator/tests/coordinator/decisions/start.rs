//! From nothing, or from a head, to tasks that run.

use weir_checkpoint::manifest::Place;
use weir_checkpoint::{
    EnumeratorState, Manifest, OperatorEntry, OperatorState, PendingCommit, SegmentRef,
};
use weir_coordinator::master::{Action, Ending, Head, LinkId, MasterConfig, PlanSource};
use weir_engine::source::Assignment;
use weir_protocol::control::{self, RunState, from_worker, to_worker};
use weir_protocol::{Epoch, JobName, KeyGroupRange, StateSchema, Term, Version};
use weir_state::segment::SegmentKind;

use crate::script::{Script, done, entry, head, item, parallelism, restores};

#[test]
fn a_job_starts_once_its_slots_are_there_and_after_its_patience_with_fewer() {
    let mut script = Script::new(2);
    script.hello(0, 0, 1);
    assert!(!script.wants_seal());
    script.tick(9_999);
    assert_eq!(script.master.run_state(), RunState::Starting);
    script.tick(10_000);
    assert!(script.wants_seal());
    script.seal();
    let deploys = script.told(|k| matches!(k, to_worker::Kind::Deploy(d) if parallelism(d) == 2));
    assert_eq!(deploys, [0]);
}

#[test]
fn what_the_head_lists_is_committed_before_a_task_starts() {
    let (epoch, lineage) = (Version(4), Some("the one before".into()));
    let pending = vec![PendingCommit { epoch, lineage, index: 0, committable: item("x") }];
    let head = Manifest { term: Term(3), version: Version(5), pending, ..head([]) };
    let head = Head::new(head.into());
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
fn a_worker_of_another_version_of_the_protocol_is_refused_and_told_why() {
    let mut script = Script::new(1);
    let hello = control::Hello { plan_hash: "plan".into(), version: 1, ..Default::default() };
    script.say(5, from_worker::Kind::Hello(hello));
    let told =
        |k: &_| matches!(k, to_worker::Kind::Shutdown(s) if s.reason.contains("version 1 of"));
    assert_eq!(script.told(told), [5]);
    assert_eq!(script.master.status().workers, 0);
}

#[test]
fn state_without_a_place_is_refused_unless_it_may_be_dropped() {
    let state = OperatorState { items: vec![b"x".to_vec().into()], ..OperatorState::default() };
    let gone = OperatorEntry { name: "top ten".into(), ..entry(state) };
    let head = Head::new(head([("gone", gone)]).into());
    let mut config = MasterConfig::new(JobName::from("ns/job"), 1);
    let refused = Script::with(config.clone(), Some(head.clone()));
    let Some(Ending::Failed(why)) = refused.master.ending() else { panic!("it was not refused") };
    assert!(why.contains("\"top ten\"") && why.contains("allowDroppedState"), "{why}");
    config.allow_dropped_state.push("top ten".into());
    assert_eq!(Script::with(config, Some(head)).master.ending(), None);
}

/// A head in which the operator "count" of another program has kept another column.
fn changed() -> Head {
    let schema = |column: &str| StateSchema {
        version: 1,
        columns: [(column.to_owned(), "Int64".to_owned())].into(),
    };
    let segment = SegmentRef {
        place: Place::Object { path: "data/1/x".into(), offset: 0 },
        len: 1,
        schema: 1,
        kind: SegmentKind::Full,
        range: KeyGroupRange::all(8),
        blocks: Vec::new(),
    };
    let state = OperatorState { segments: vec![segment], ..OperatorState::default() };
    let (name, schema) = ("the sum".into(), schema("SUM(n)$sum"));
    Head::new(head([("count", OperatorEntry { name, schema, ..entry(state) })]).into())
}

#[test]
fn state_that_its_operator_cannot_read_is_refused_and_begun_anew_by_any_of_its_names() {
    let mut plan = crate::script::plan();
    if let Some(schema) = &mut plan.vertices[1].operators[0].state {
        schema.columns = [("COUNT(*)$count".to_owned(), "Int64".to_owned())].into();
    }
    let config = MasterConfig::new(JobName::from("ns/job"), 1);
    let refused = Script::of(plan.clone(), config.clone(), Some(changed()));
    let Some(Ending::Failed(why)) = refused.master.ending() else { panic!("it was not refused") };
    assert!(why.contains("\"the sum\" (count)") && why.contains("\"the count\""), "{why}");
    assert!(why.contains("state.allowDroppedState: [\"the sum\"]"), "{why}");
    for name in ["the sum", "the count", "count"] {
        let mut config = config.clone();
        config.allow_dropped_state.push(name.into());
        let mut script = Script::of(plan.clone(), config, Some(changed()));
        script.hello(0, 0, 1);
        script.seal();
        let restored = script.sent.iter().find_map(|(_, kind)| match kind {
            to_worker::Kind::Deploy(deploy) => Some(restores(&deploy.restore_json)),
            _ => None,
        });
        let restored = restored.expect("it is deployed");
        let segments = restored.iter().map(|restore| restore.state.segments.len());
        assert_eq!(segments.sum::<usize>(), 0, "{name}");
        script.deployed(&[0]);
        script.tick(100);
        let attempt = script.trigger().attempt;
        script.acknowledge(attempt, &["out"]);
        let renewed = script.actions.iter().find_map(|action| match action {
            Action::Publish { body } => Some(body.renewed.iter().map(ToString::to_string)),
            _ => None,
        });
        let renewed: Vec<String> = renewed.expect("it is published").collect();
        assert_eq!(renewed, ["count"], "nothing of what is stored goes on");
    }
}

#[test]
fn a_source_that_had_an_end_is_not_read_on_from_nowhere() {
    let ended = EnumeratorState { complete: true, ..EnumeratorState::default() };
    let source =
        OperatorEntry { name: "topic".into(), enumerator: Some(ended), ..OperatorEntry::default() };
    let head = Head::new(head([("source", source)]).into());
    let started = |assignment, bounded| {
        let mut plan = crate::script::plan();
        plan.vertices[0].source = Some(PlanSource { bounded, assignment });
        let config = MasterConfig::new(JobName::from("ns/job"), 1);
        Script::of(plan, config, Some(head.clone())).master.ending().cloned()
    };
    for assignment in [Assignment::Eager, Assignment::Pull] {
        let Some(Ending::Failed(why)) = started(assignment, false) else { panic!("not refused") };
        assert!(why.contains("source \"the source\" had an end in version 9"), "{why}");
        assert_eq!(started(assignment, true), None, "it ends again");
    }
}
