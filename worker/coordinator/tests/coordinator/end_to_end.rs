//! Coordinator and members over a store in memory, with a fake program; time is tokio's, paused.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use weir_protocol::control::RunState;
use weir_protocol::control::{OperationKind, OperationOutcome};

use weir_coordinator::grpc::{GrpcConnect, serve};
use weir_coordinator::{Ending, MemberEnd, Request};
use weir_engine::source::Assignment;

use crate::fake::{MAX_PARALLELISM, World, graph, graph_with_a_vertex_in_front, user_error};
use crate::job::{Job, end, local, shown, until};

fn finished(end: &MemberEnd) -> bool {
    let MemberEnd::Shutdown { reason, end } = end;
    let kind = end.as_ref().map(weir_protocol::control::JobEnd::kind);
    reason == "finished" && kind == Some(weir_protocol::control::job_end::Kind::Finished)
}

#[tokio::test(start_paused = true)]
async fn a_bounded_job_shows_each_row_once_and_finishes() {
    let world = World::with_rows(7, 30);
    let job = Job::new(&world, 2, true, Assignment::Pull);
    let handle = job.start();
    let worker = job.worker(0, 8, local(&handle));
    assert_eq!(end(&handle).await, Ending::Finished);
    assert!(finished(&worker.await.unwrap()));
    assert_eq!(world.rows(), world.expected());
    assert_eq!(job.counted().await, 210);
    let lineage = job.head().await.lineage.0;
    assert_eq!(*world.lineages.lock().unwrap(), [lineage].into());
    let status = handle.status();
    assert_eq!((status.state(), status.restarts), (RunState::Finished, 0));
    assert!(status.epoch > 2, "checkpoints were taken on the way: {status:?}");
    let steps = handle.steps();
    assert!(steps["published"] > 2 && steps["ended"] == 1, "{steps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_worker_is_survived_and_its_replacement_gets_its_share_back() {
    let world = World::with_rows(40, 40);
    let job = Job::new(&world, 2, true, Assignment::Pull);
    let handle = job.start();
    let _first = job.worker(0, 1, local(&handle));
    let second = job.worker(1, 1, local(&handle));
    until(&handle, |s| s.epoch >= 4).await;
    second.abort();
    until(&handle, |s| s.restarts == 1 && s.state() == RunState::Running).await;
    assert_eq!(handle.status().workers, 1);
    let _third = job.worker(1, 1, local(&handle));
    until(&handle, |s| s.operations.iter().any(|o| o.kind() == OperationKind::Rescale)).await;
    assert_eq!(end(&handle).await, Ending::Finished);
    assert_eq!(world.rows(), world.expected());
    assert_eq!(job.counted().await, 1600);
    assert_eq!(shown(&handle.status()), (1600, 1600), "what was read again counts once");
    assert!(world.restored.load(Ordering::SeqCst) >= 4);
    let kinds: Vec<_> = handle.status().operations.iter().map(|o| o.kind()).collect();
    assert_eq!(kinds, [OperationKind::Recovery, OperationKind::Rescale]);
}

#[tokio::test(start_paused = true)]
async fn a_live_rescale_moves_half_of_the_groups_and_loses_no_row() {
    let world = World::with_rows(30, 40);
    let job = Job::new(&world, 2, true, Assignment::Eager);
    let handle = job.start();
    let _worker = job.worker(0, 8, local(&handle));
    until(&handle, |s| s.epoch >= 3).await;
    let wider = handle.rescale(4).await.unwrap();
    assert_eq!(wider.groups_moved, MAX_PARALLELISM / 2);
    assert_eq!(handle.status().parallelism, 4);
    until(&handle, |s| s.epoch >= 8).await;
    handle.rescale(1).await.unwrap();
    assert_eq!(end(&handle).await, Ending::Finished);
    assert_eq!(world.rows(), world.expected());
    assert_eq!(job.counted().await, 1200);
    assert_eq!(shown(&handle.status()), (1200, 1200));
    assert_eq!(handle.status().restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_stopped_with_a_savepoint_goes_on_where_it_was() {
    let world = World::with_rows(4, 200);
    let job = Job::new(&world, 2, true, Assignment::Pull);
    let handle = job.start();
    let worker = job.worker(0, 2, local(&handle));
    until(&handle, |s| s.epoch >= 4).await;
    let saved = handle.savepoint("before-lunch", true).await.unwrap();
    assert!(saved.info.path.ends_with("savepoints/before-lunch"), "{saved:?}");
    assert!(matches!(end(&handle).await, Ending::Stopped { .. }));
    assert!(matches!(worker.await.unwrap(), MemberEnd::Shutdown { .. }));
    let before = world.rows();
    assert!(!before.is_empty() && before.len() < 800);
    assert_eq!(job.counted().await, before.len() as u64, "everything up to it is visible");
    let counted = (before.len() as u64, before.len() as u64);

    let again = job.start();
    let _worker = job.worker(0, 2, local(&again));
    until(&again, |s| shown(s) == counted).await;
    assert_eq!(end(&again).await, Ending::Finished);
    assert_eq!(world.rows(), world.expected());
    assert_eq!(job.counted().await, 800);
    assert_eq!(shown(&again.status()), (800, 800));
}

/// Ends all sources and stops; the operation's report says that it was done.
async fn drain(handle: &weir_coordinator::CoordinatorHandle) {
    let request = Request::Drain { name: "the-end".into() };
    handle.begin("op", request).await.unwrap();
    assert!(matches!(end(handle).await, Ending::Stopped { .. }));
    let operations = handle.status().operations;
    let drained = operations.iter().find(|o| o.id == "op").unwrap();
    assert_eq!((drained.kind(), drained.outcome()), (OperationKind::Drain, OperationOutcome::Done));
}

#[tokio::test(start_paused = true)]
async fn a_drained_job_goes_on_behind_its_last_row_and_time_begins_anew() {
    let world = World::with_rows(4, 200);
    let job = Job::new(&world, 2, false, Assignment::Eager);
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    until(&handle, |s| s.epoch >= 4).await;
    drain(&handle).await;
    let before = world.rows().len();
    assert!(before > 0 && before < 800, "{before}");
    world.marks.lock().unwrap().clear();
    let again = job.start();
    let _worker = job.worker(0, 2, local(&again));
    let expected = world.expected();
    while world.rows() != expected {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(*world.marks.lock().unwrap(), [].into(), "no row is late to a job that was drained");
    until(&again, |s| shown(s) == (800, 800)).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_the_next_cut_and_survives_a_failure_on_its_way() {
    let world = World::with_rows(4, 400);
    let job = Job::new(&world, 2, false, Assignment::Eager);
    let handle = job.start();
    let _first = job.worker(0, 1, local(&handle));
    let second = job.worker(1, 1, local(&handle));
    until(&handle, |s| s.epoch >= 4).await;
    world.deaf.store(true, Ordering::SeqCst);
    let request = Request::Drain { name: "the-end".into() };
    handle.begin("op", request).await.unwrap();
    until(&handle, |s| s.state() == RunState::Stopping).await;
    second.abort();
    world.deaf.store(false, Ordering::SeqCst);
    until(&handle, |s| s.restarts == 1).await;
    assert!(matches!(end(&handle).await, Ending::Stopped { .. }));
    let chain = job.head().await;
    assert_eq!(
        chain.watermarks,
        [("numbers".into(), i64::MAX.into())].into(),
        "all had ended at its cut"
    );
    let drained = handle.status().operations.into_iter().find(|o| o.id == "op").unwrap();
    assert_eq!((drained.kind(), drained.outcome()), (OperationKind::Drain, OperationOutcome::Done));
}

#[tokio::test(start_paused = true)]
async fn a_plan_with_an_added_vertex_restores_each_chains_watermark() {
    let world = World::with_rows(4, 200);
    let mut job = Job::new(&world, 1, true, Assignment::Pull);
    let handle = job.start();
    let worker = job.worker(0, 1, local(&handle));
    until(&handle, |s| s.epoch >= 4).await;
    let mark = handle.savepoint("upgrade", true).await.unwrap().watermark.unwrap();
    worker.await.unwrap();
    assert!(mark > 0);
    assert_eq!(job.head().await.watermarks, [("numbers".into(), mark.into())].into());

    job.graph = graph_with_a_vertex_in_front(&world);
    let again = job.start();
    let _worker = job.worker(0, 1, local(&again));
    until(&again, |s| s.state() == RunState::Running).await;
    let marks = world.marks.lock().unwrap().clone();
    let chain = ["numbers", "counter", "sink"].map(|uid| (uid.into(), mark));
    assert_eq!(marks, chain.into(), "nothing for the new vertex, everything for the old one");
}

#[tokio::test(start_paused = true)]
async fn a_savepoint_is_copied_behind_the_running_job() {
    let world = World::with_rows(4, 300);
    let job = Job::new(&world, 2, true, Assignment::Pull);
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    until(&handle, |s| s.epoch >= 3).await;
    let saved = handle.savepoint("nightly", false).await.unwrap();
    assert_eq!(handle.status().state(), RunState::Running);
    assert_eq!(end(&handle).await, Ending::Finished);
    assert!(job.head().await.version.0 > saved.epoch.0);
    assert_eq!(world.rows(), world.expected());
}

#[tokio::test(start_paused = true)]
async fn attempts_that_fail_hand_their_rows_on_to_the_next_one() {
    let world = World::with_rows(4, 200);
    let mut job = Job::new(&world, 2, true, Assignment::Pull);
    job.config.master.checkpoint_timeout_ms = 50;
    let handle = job.start();
    let _first = job.worker(0, 1, local(&handle));
    let _second = job.worker(1, 1, local(&handle));
    until(&handle, |s| s.epoch >= 3).await;
    world.deaf.store(true, Ordering::SeqCst);
    until(&handle, |s| s.failed_attempts >= 2).await;
    world.deaf.store(false, Ordering::SeqCst);
    assert_eq!(end(&handle).await, Ending::Finished);
    assert_eq!(handle.status().restarts, 0);
    assert_eq!(world.rows(), world.expected());
    assert_eq!(job.counted().await, 800);
    assert_eq!(shown(&handle.status()), (800, 800));
}

#[tokio::test(start_paused = true)]
async fn commits_are_repeated_until_the_sink_takes_them() {
    let world = World::with_rows(4, 100);
    world.retries.store(9, Ordering::SeqCst);
    let job = Job::new(&world, 2, true, Assignment::Pull);
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    assert_eq!(end(&handle).await, Ending::Finished);
    assert_eq!(world.rows(), world.expected());
}

#[tokio::test(start_paused = true)]
async fn lost_output_fails_the_job_and_names_the_sink() {
    let world = World::with_rows(4, 100);
    world.lost.store(true, Ordering::SeqCst);
    let job = Job::new(&world, 1, true, Assignment::Pull);
    let handle = job.start();
    let _worker = job.worker(0, 1, local(&handle));
    let Ending::Failed(why) = end(&handle).await else { panic!("it did not fail") };
    assert!(why.contains("sink \"sink\"") && why.contains("the upload is gone"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_failing_task_restarts_and_a_user_error_that_repeats_ends_the_job() {
    let world = World::with_rows(4, 200);
    let mut job = Job::new(&world, 2, true, Assignment::Pull);
    job.config.master.restart.max_user_errors = Some(2);
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    until(&handle, |s| s.epoch >= 3).await;
    *world.failure.lock().unwrap() = Some(user_error("division by zero"));
    until(&handle, |s| s.restarts == 1 && s.state() == RunState::Running).await;
    until(&handle, |s| s.operations.iter().any(|o| o.message.contains("division by zero"))).await;
    *world.failure.lock().unwrap() = Some(user_error("division by zero"));
    let Ending::Failed(why) = end(&handle).await else { panic!("it did not fail") };
    assert!(why.contains("task \"numbers, counter, sink\"") && why.contains("zero"), "{why}");
    let rows = world.rows();
    let mut once = rows.clone();
    once.dedup();
    assert_eq!(rows, once, "no row is visible twice");
}

#[tokio::test(start_paused = true)]
async fn a_second_coordinator_fences_the_first() {
    let world = World::with_rows(4, 500);
    let job = Job::new(&world, 1, true, Assignment::Pull);
    let first = job.start();
    let _worker = job.worker(0, 1, local(&first));
    until(&first, |s| s.epoch >= 3).await;
    let second = job.start();
    let _other = job.worker(7, 1, local(&second));
    let Ending::Fenced(why) = end(&first).await else { panic!("it was not fenced") };
    assert!(why.starts_with("another process runs this job with this state (it took"), "{why}");
    assert_eq!(end(&second).await, Ending::Finished);
    assert_eq!(world.rows(), world.expected());
    assert_eq!(job.counted().await, 2000);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_published_says_at_once_that_its_state_is_gone() {
    let world = World::with_rows(4, 20);
    let mut job = Job::new(&world, 1, true, Assignment::Pull);
    job.config.must_exist = true;
    let Ending::Failed(why) = end(&job.start()).await else { panic!("it started empty") };
    assert!(why.contains("default/numbers is gone") && why.contains("from a backup"), "{why}");

    job.config.must_exist = false;
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    assert_eq!(end(&handle).await, Ending::Finished);
    let store = job.chain().store().clone();
    for name in store.list("chain", None).await.unwrap() {
        store.delete(&name).await.unwrap();
    }
    let Ending::Failed(why) = end(&job.start()).await else { panic!("it started empty") };
    assert!(why.contains("default/numbers is damaged: chain/ is empty or gone"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn only_the_end_of_all_sources_is_an_end() {
    let uid = weir_protocol::OperatorUid::from("numbers");
    let world = World::with_rows(4, 100);
    let job = Job::new(&world, 2, true, Assignment::Pull);
    let finished = async || job.head().await.has_finished([&uid]);
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    until(&handle, |s| s.epoch >= 3).await;
    assert!(!finished().await);
    drain(&handle).await;
    assert!(!finished().await, "there is more to read");
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    assert_eq!(end(&handle).await, Ending::Finished);
    assert!(finished().await);
    let head = job.head().await;
    assert!(!head.has_finished([&uid, &"another".into()]), "a source that is new");
    assert!(!head.has_finished([]));
}

#[tokio::test(start_paused = true)]
async fn splits_found_later_are_read_from_an_unbounded_source() {
    let world = World::with_rows(3, 50);
    let job = Job::new(&world, 2, false, Assignment::Eager);
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    until(&handle, |s| s.epoch >= 3).await;
    world.splits.lock().unwrap().push(("late".into(), 9_000, 9_050));
    let expected = world.expected();
    let seen = async {
        while world.rows() != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.expect("all rows become visible");
    assert_eq!(handle.status().state(), RunState::Running);
    // Nothing changes any more, so nothing is published any more.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let epoch = handle.status().epoch;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(handle.status().epoch, epoch);
}

/// A job whose rows are all read and visible, and which reads on.
async fn idle(world: &Arc<World>, job: &Job) -> weir_coordinator::CoordinatorHandle {
    let handle = job.start();
    job.worker(0, 8, local(&handle));
    let expected = world.expected();
    let seen = async {
        while world.rows() != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.expect("all rows become visible");
    handle
}

#[tokio::test(start_paused = true)]
async fn an_idle_jobs_chain_learns_what_was_committed() {
    let world = World::with_rows(3, 50);
    let job = Job::new(&world, 2, false, Assignment::Eager);
    let handle = idle(&world, &job).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(job.head().await.pending.is_empty());
    assert_eq!(handle.status().state(), RunState::Running);
}

#[tokio::test(start_paused = true)]
async fn every_end_tells_the_chain_what_was_committed() {
    let world = World::with_rows(3, 50);
    let job = Job::new(&world, 2, true, Assignment::Pull);
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    assert_eq!(end(&handle).await, Ending::Finished);
    assert_eq!(job.head().await.pending, [], "finished");
    assert_eq!(job.head().await.epoch().map(|e| e.0), Some(handle.status().epoch));

    let world = World::with_rows(3, 50);
    let mut job = Job::new(&world, 2, false, Assignment::Eager);
    // Nothing is published but what has to be.
    job.config.master.checkpoint_interval_ms = 100_000;
    let handle = idle(&world, &job).await;
    let saved = handle.savepoint("lunch", true).await.unwrap();
    assert!(matches!(end(&handle).await, Ending::Stopped { .. }));
    let head = job.head().await;
    assert_eq!(head.pending, [], "stopped");
    let pins = head.retained.iter().filter(|r| r.pinned_by.is_some()).count();
    assert_eq!((head.pinned_by, pins), (None, 0), "the copy needs no version any more");
    assert_eq!(head.state_of.map(|v| v.0), Some(saved.epoch.0), "it is that of the savepoint");

    let handle = idle(&world, &job).await;
    world.splits.lock().unwrap().push(("more".into(), 9_000, 9_005));
    let expected = world.expected();
    while world.rows() != expected {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    handle.step_down().await;
    assert_eq!(job.head().await.pending, [], "handed over");
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_the_same_process_ends_with_a_coordinator_that_hands_its_job_over() {
    let world = World::with_rows(3, 50);
    let job = Job::new(&world, 2, false, Assignment::Eager);
    let handle = job.start();
    let worker = job.worker(0, 2, local(&handle));
    until(&handle, |s| s.epoch >= 1).await;
    handle.step_down().await;
    let end = tokio::time::timeout(Duration::from_secs(60), worker).await.unwrap().unwrap();
    let MemberEnd::Shutdown { reason, end } = end;
    assert_eq!(end, None, "the job goes on elsewhere");
    assert!(reason.contains("the coordinator has ended"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_for_good_has_told_the_chain_what_was_committed() {
    let world = World::with_rows(4, 200);
    let mut job = Job::new(&world, 2, true, Assignment::Pull);
    job.config.master.restart.max_user_errors = Some(1);
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    until(&handle, |s| s.epoch >= 3).await;
    *world.failure.lock().unwrap() = Some(user_error("division by zero"));
    assert!(matches!(end(&handle).await, Ending::Failed(_)));
    let head = job.head().await;
    let told: Vec<_> = head.pending.iter().map(|p| p.id()).collect();
    let visible = world.visible.lock().unwrap();
    let hidden = head.pending.iter().filter(|p| {
        let (name, _): (String, Vec<u64>) = serde_json::from_slice(&p.committable.payload).unwrap();
        !visible.contains_key(&name)
    });
    assert_eq!(hidden.count(), told.len(), "only what nobody has seen yet is listed: {told:?}");
}

#[tokio::test(start_paused = true)]
async fn the_term_after_a_rescale_has_nothing_to_commit_again() {
    let world = World::with_rows(3, 50);
    let mut job = Job::new(&world, 2, false, Assignment::Eager);
    let handle = idle(&world, &job).await;
    job.config.master.checkpoint_interval_ms = 100_000;
    world.splits.lock().unwrap().push(("more".into(), 9_000, 9_050));
    let expected = world.expected();
    handle.rescale(4).await.unwrap();
    assert_eq!(job.head().await.pending, [], "the seal has said so");
    while world.rows() != expected {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_can_be_taken_out_of_a_job_that_was_stopped() {
    let world = World::with_rows(4, 200);
    let mut job = Job::new(&world, 2, true, Assignment::Pull);
    let handle = job.start();
    let _worker = job.worker(0, 2, local(&handle));
    until(&handle, |s| s.epoch >= 4).await;
    handle.savepoint("before the edit", true).await.unwrap_err();
    handle.savepoint("before-the-edit", true).await.unwrap();
    end(&handle).await;
    let mut graph = Arc::into_inner(graph(&world, true, Assignment::Pull)).unwrap();
    graph.committers.clear();
    graph.hash = "plan-2".into();
    job.graph = Arc::new(graph);
    let again = job.start();
    let _worker = job.worker(0, 2, local(&again));
    until(&again, |s| s.state() == RunState::Running).await;
}

#[tokio::test]
async fn workers_attach_over_grpc() {
    let world = World::with_rows(8, 150);
    let job = Job::new(&world, 2, true, Assignment::Pull);
    let handle = job.start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(serve(listener, handle.clone()));
    let connect = GrpcConnect::new(&address);
    let first = job.worker(0, 1, Arc::new(connect.clone()));
    let _second = job.worker(1, 1, Arc::new(connect.clone()));
    until(&handle, |s| s.epoch >= 3).await;
    assert_eq!(handle.status().workers, 2);
    let refused = handle.rescale(99).await.unwrap_err();
    assert!(refused.to_string().contains("1 to 8"), "{refused}");
    assert_eq!(end(&handle).await, Ending::Finished);
    assert!(finished(&first.await.unwrap()));
    assert_eq!(world.rows(), world.expected());
    server.abort();
}
