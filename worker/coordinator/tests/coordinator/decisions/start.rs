//! From nothing, or from a head, to tasks that run.

use weir_coordinator::master::{
    Action, Cut, Ending, Head, LinkId, MasterConfig, OperatorCut, Pending,
};
use weir_protocol::control::{self, from_worker, to_worker};
use weir_protocol::{Epoch, JobName, OperatorUid, Term, Version};

use crate::script::{Script, done, item};

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
