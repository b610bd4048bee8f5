//! The way from term to term, without workers, store or tasks.

use weir_protocol::JobName;

use super::*;
use crate::master::event::RequestId;

/// Two workers with a slot each, at parallelism 2; nothing holds the job up.
const READY: Facts =
    Facts { workers: 2, slots: 2, parallelism: 2, is_committed: true, have_stopped: true };

fn started() -> Lifecycle {
    let config = MasterConfig::new(JobName::from("ns/job"), 2);
    let mut job = Lifecycle::new(Arc::new(config));
    job.on(Event::Opened { has_workers: true }, 0);
    job
}

fn deploying(why: Why) -> Lifecycle {
    let mut job = started();
    job.on(Event::Sealing(why), 0);
    job.on(Event::Sealed, 0);
    job.on(Event::Deploying { workers: [WorkerId(0), WorkerId(1)].into(), moved: 3 }, 0);
    job
}

fn running() -> Lifecycle {
    let mut job = deploying(Why::Start);
    job.on(Event::Deployed(WorkerId(0)), 0);
    assert_eq!(job.decide_due(READY, 0), None, "worker 1 has not restored its tasks");
    job.on(Event::Deployed(WorkerId(1)), 0);
    assert_eq!(job.decide_due(READY, 0), Some(Due::Run));
    job.on(Event::Running, 0);
    assert_eq!(job.run_state(), RunState::Running);
    job
}

fn rescale() -> Rescale {
    Rescale::new(Some(RequestId(7)), 4, 100)
}

fn held(hold: Hold) -> Lifecycle {
    let mut job = running();
    job.on(Event::Held(hold), 200);
    assert_eq!(job.decide_due(READY, 200), None, "its checkpoint is not published");
    job.on(Event::Published { attempt: Attempt(5) }, 300);
    job
}

fn failed(message: &str, cause: Cause) -> Event {
    Event::TasksFailed { message: message.into(), cause }
}

#[test]
fn a_start_waits_for_slots_or_for_its_patience_and_never_runs_without_workers() {
    let job = started();
    let lacking = Facts { slots: 1, workers: 1, ..READY };
    assert_eq!(job.decide_due(READY, 0), Some(Due::Seal(Why::Start)));
    assert_eq!(job.decide_due(lacking, 9_999), None);
    assert_eq!(job.next_ms(true), Some(10_000));
    assert_eq!(job.decide_due(lacking, 10_000), Some(Due::Seal(Why::Start)));
    let nobody = Facts { slots: 0, workers: 0, ..READY };
    assert_eq!(job.decide_due(nobody, 10_000), None);
}

#[test]
fn tasks_are_built_only_when_no_earlier_one_runs_and_everything_is_committed() {
    let mut job = started();
    job.on(Event::Sealing(Why::Start), 0);
    assert_eq!(job.decide_due(READY, 0), None, "the seal does not count yet");
    let began = Outcome::TermBegan { is_first: true, parallelism: None };
    assert_eq!(job.on(Event::Sealed, 0), [began]);
    let unstopped = Facts { have_stopped: false, ..READY };
    let uncommitted = Facts { is_committed: false, ..READY };
    assert_eq!((job.decide_due(unstopped, 0), job.decide_due(uncommitted, 0)), (None, None));
    assert_eq!(job.decide_due(READY, 0), Some(Due::Deploy));
    assert_eq!(job.on(Event::Sealed, 0), [], "a term begins once");
}

#[test]
fn nothing_fails_where_no_task_runs() {
    let lost = || failed("worker 1 was lost", Cause::LostWorker);
    let mut job = started();
    assert_eq!(job.on(lost(), 0), []);
    let mut job = running();
    assert_eq!(job.on(lost(), 0).last(), Some(&Outcome::StopTasks));
    assert_eq!(job.on(failed("a consequence", Cause::error(Fault::User)), 0), []);
    assert_eq!((job.restarts(), job.task_problem(0).as_str()), (1, ""));
}

#[test]
fn a_rescale_that_is_not_sealed_goes_on_and_says_what_has_happened_to_its_tasks_meanwhile() {
    let mut job = held(Hold::Rescale { rescale: rescale(), frozen_ms: 200 });
    let why = Why::Rescale { rescale: rescale(), from: 2, frozen_ms: 200 };
    assert_eq!(job.decide_due(READY, 300), Some(Due::Seal(why.clone())));
    job.on(Event::Sealing(why), 300);
    assert_eq!(job.on(failed("first", Cause::LostWorker), 300), []);
    assert_eq!(job.on(failed("second", Cause::LostWorker), 300), []);
    let away = "the store is away".to_owned();
    let goes_on = Outcome::GoesOn {
        rescale: rescale(),
        why: away.clone(),
        failed: Some(("first".into(), Cause::LostWorker)),
    };
    assert_eq!(job.on(Event::SealFailed { message: away }, 300), [goes_on]);
    assert_eq!(job.run_state(), RunState::Running);
}

#[test]
fn a_sealed_rescale_goes_forward_whatever_fails() {
    let why = Why::Rescale { rescale: rescale(), from: 2, frozen_ms: 200 };
    let mut job = deploying(why.clone());
    let by = "worker 1 was lost".to_owned();
    let what = Interrupted::Deploying(why);
    let outcomes = job.on(failed(&by, Cause::LostWorker), 500);
    let interrupted = Outcome::Interrupted { by: by.clone(), what };
    assert_eq!(outcomes, [interrupted, Outcome::StopTasks]);
    let recover = Why::Recover { began_ms: 500, message: by, blamed: None };
    assert_eq!(job.decide_due(READY, 500), Some(Due::Seal(recover)));
}

#[test]
fn a_rescale_does_not_wait_for_commits_for_ever_and_the_jobs_end_does() {
    let (uncommitted, until_ms) = (Facts { is_committed: false, ..READY }, 300_300);
    let job = held(Hold::Rescale { rescale: rescale(), frozen_ms: 200 });
    assert_eq!(job.decide_due(uncommitted, until_ms - 1), None);
    assert_eq!(job.next_ms(true), Some(until_ms));
    let resume = Due::Resume { attempt: Attempt(5) };
    assert_eq!(job.decide_due(uncommitted, until_ms), Some(resume));

    let saving = Saving::new("last".into(), RequestId(1));
    let mut job = held(Hold::Save(saving.clone()));
    assert_eq!(job.decide_due(uncommitted, until_ms), None);
    assert_eq!(job.decide_due(READY, until_ms), Some(Due::Copy { name: "last".into() }));
    assert_eq!(job.copying("last"), None);
    job.on(Event::Copying, until_ms);
    assert_eq!(job.copying("last"), Some((&saving, Attempt(5))));
    assert_eq!(job.copying("another"), None);

    let job = held(Hold::Finish);
    assert_eq!(job.decide_due(READY, 300), Some(Due::Finish));
}

#[test]
fn the_loss_of_the_worker_that_is_blamed_ends_the_wait_and_is_what_others_see() {
    let unreachable = Cause::Error { fault: Fault::External, blamed: Some(WorkerId(1)) };
    let mut job = running();
    job.on(failed("no answer", Cause::error(Fault::External)), 0);
    job.on(Event::Sealing(Why::Start), 0);
    job.on(Event::Sealed, 0);
    job.on(Event::Deploying { workers: BTreeSet::new(), moved: 0 }, 0);
    job.on(Event::Running, 0);
    job.on(failed("worker 1 does not answer", unreachable), 0);
    assert_eq!(job.decide_due(READY, 0), None, "a second failure in a row waits");
    let lost = |worker| Event::WorkerLost { worker, message: "worker 1 was lost".into() };
    assert_eq!(job.on(lost(WorkerId(0)), 10), []);
    assert_eq!(job.decide_due(READY, 10), None);
    let explained = Outcome::Explained("worker 1 was lost".into());
    assert_eq!(job.on(lost(WorkerId(1)), 10), [explained]);
    let recover = Why::Recover { began_ms: 0, message: "worker 1 was lost".into(), blamed: None };
    assert_eq!(job.decide_due(READY, 10), Some(Due::Seal(recover)));
}
