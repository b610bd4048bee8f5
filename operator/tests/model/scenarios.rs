//! What users and the world do to a job, and what must come of it, played by whoever sweeps over it.
#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::ResourceExt;
use serde_json::json;
use weir_crds::kube::StreamJob;

use super::stage::{JOB, NS, Operator, Stage};

/// A scenario: what a user and the world do, and what must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    Start,
    KillPod,
    RescaleUp,
    RescaleDown,
    SuspendResume,
    Drain,
    Finish,
    ChangedProgram,
    ThereAndBack,
    RestartAndRescale,
    ChangedWhileSuspended,
    ChangedImage,
    RefusedImage,
    MissingImage,
    Proven,
    RefusedProgram,
    RefusedFirst,
    RefusedSavepoint,
    LostChain,
    DeleteRetain,
    DeleteInForeground,
    DeleteOrphaning,
    DeleteState,
    DeleteWhileStarting,
    DeleteNamespace,
}

pub const ALL: [Scenario; 25] = [
    Scenario::Start,
    Scenario::KillPod,
    Scenario::RescaleUp,
    Scenario::RescaleDown,
    Scenario::SuspendResume,
    Scenario::Drain,
    Scenario::Finish,
    Scenario::ChangedProgram,
    Scenario::ThereAndBack,
    Scenario::RestartAndRescale,
    Scenario::ChangedWhileSuspended,
    Scenario::ChangedImage,
    Scenario::RefusedImage,
    Scenario::MissingImage,
    Scenario::Proven,
    Scenario::RefusedProgram,
    Scenario::RefusedFirst,
    Scenario::RefusedSavepoint,
    Scenario::LostChain,
    Scenario::DeleteRetain,
    Scenario::DeleteInForeground,
    Scenario::DeleteOrphaning,
    Scenario::DeleteState,
    Scenario::DeleteWhileStarting,
    Scenario::DeleteNamespace,
];

/// Does something with every scenario, on as many threads as there are cores. The sum of what
/// comes of it.
pub fn for_each<F: Future<Output = usize>>(work: impl Fn(Scenario) -> F + Sync) -> usize {
    let queue = std::sync::Mutex::new(ALL.to_vec());
    let take = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut sum = 0;
        loop {
            let next = queue.lock().unwrap().pop();
            let Some(scenario) = next else { return sum };
            sum += runtime.block_on(work(scenario));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, |it| it.get()).min(ALL.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}

fn runs(stage: &Stage, parallelism: u32) -> bool {
    let status = stage.status();
    stage.is("Running")
        && stage.condition("Ready").0 == "True"
        && status.parallelism.is_some_and(|it| it.actual == parallelism)
        && status.revisions.is_some_and(|it| it.current == it.target && it.current.is_some())
        && stage.pods().len() == parallelism as usize
        && stage.sets().len() == 1
}

/// A new spec is refused for `reason`; what ran before runs, beside the pod that planned.
fn keeps_running(stage: &Stage, reason: &str, parallelism: usize) -> bool {
    stage.condition("Stalled").0 == "True"
        && stage.condition("SpecAccepted").1 == reason
        && stage.condition("Ready").1 == "SpecRefused"
        && stage.is("Running")
        && stage.pods().len() == parallelism + 1
        && stage.sets().len() == 1
}

/// Suspended, as its spec asks: there is nothing to be ready for.
fn rests(stage: &Stage) -> bool {
    stage.is("Suspended") && stage.condition("Ready").0.is_empty() && stage.pods().is_empty()
}

fn gone(stage: &Stage) -> bool {
    stage.job().is_none() && stage.pods().is_empty() && stage.sets().is_empty()
}

async fn start(stage: &Stage, operator: &mut Operator, parallelism: u32) {
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "parallelism": parallelism}));
    stage.until(operator, "Running", |stage| runs(stage, parallelism)).await;
}

fn saved(stage: &Stage) -> usize {
    stage.model.chain(NS, JOB).map_or(0, |chain| chain.savepoints.len())
}

impl Scenario {
    pub async fn play(self, stage: &Stage, operator: &mut Operator) {
        match self {
            Self::Start => start(stage, operator, 2).await,
            Self::KillPod => {
                start(stage, operator, 2).await;
                let pod = stage.pods()[0].name_any();
                stage.cluster.delete::<Pod>(NS, &pod);
                stage.until(operator, "Running again", |stage| runs(stage, 2)).await;
            }
            Self::RescaleUp => {
                start(stage, operator, 2).await;
                stage.edit(|spec| spec["parallelism"] = json!(4));
                stage.until(operator, "4", |stage| runs(stage, 4)).await;
                stage.edit(|spec| spec["parallelism"] = json!(3));
                stage.until(operator, "3", |stage| runs(stage, 3)).await;
                stage.edit(|spec| spec["parallelism"] = json!(4));
                stage.until(operator, "4 again", |stage| runs(stage, 4)).await;
            }
            Self::RescaleDown => {
                start(stage, operator, 4).await;
                stage.edit(|spec| spec["parallelism"] = json!(1));
                stage.until(operator, "1", |stage| runs(stage, 1)).await;
            }
            Self::SuspendResume => {
                start(stage, operator, 2).await;
                stage.edit(|spec| spec["desiredState"] = json!("Suspended"));
                stage.until(operator, "Suspended", rests).await;
                assert_eq!(saved(stage), 1);
                stage.edit(|spec| spec["desiredState"] = json!("Running"));
                stage.until(operator, "Running again", |stage| runs(stage, 2)).await;
                stage.edit(|spec| spec["desiredState"] = json!("Suspended"));
                stage.until(operator, "Suspended again", rests).await;
                assert_eq!(saved(stage), 2);
            }
            Self::Drain => {
                start(stage, operator, 2).await;
                stage.edit(|spec| spec["desiredState"] = json!("Drained"));
                let rests = |stage: &Stage| stage.is("Drained") && stage.pods().is_empty();
                stage.until(operator, "Drained", rests).await;
                assert_eq!(saved(stage), 1);
                assert_eq!(stage.condition("Ready").0, "", "nothing runs");
                let rows = |stage: &Stage| stage.model.chain(NS, JOB).unwrap().rows;
                let before = rows(stage);
                stage.edit(|spec| spec["desiredState"] = json!("Running"));
                stage.until(operator, "Running again", |stage| runs(stage, 2)).await;
                assert!(rows(stage) > before, "it goes on");
            }
            Self::Finish => {
                stage.apply(json!({"sql": "INSERT INTO a SELECT 1 FROM BOUNDED"}));
                let ends = |stage: &Stage| {
                    stage.is("Finished")
                        && stage.pods().is_empty()
                        && stage.condition("Complete").0 == "True"
                };
                stage.until(operator, "Finished", ends).await;
            }
            Self::ChangedProgram => {
                start(stage, operator, 2).await;
                let was = stage.status().revisions.unwrap().current;
                stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT 2"));
                stage.until(operator, "the new program", |stage| runs(stage, 2)).await;
                assert_ne!(stage.status().revisions.unwrap().current, was);
                assert_eq!(saved(stage), 1);
            }
            Self::ThereAndBack => {
                start(stage, operator, 1).await;
                for sql in ["INSERT INTO a SELECT 2", "INSERT INTO a SELECT 1"] {
                    stage.edit(|spec| spec["sql"] = json!(sql));
                    stage.until(operator, sql, |stage| runs(stage, 1)).await;
                }
                assert_eq!(saved(stage), 2);
            }
            Self::RestartAndRescale => {
                start(stage, operator, 2).await;
                stage.edit(|spec| {
                    spec["restartToken"] = json!("again");
                    spec["parallelism"] = json!(3);
                });
                stage.until(operator, "restarted", |stage| runs(stage, 3)).await;
                assert_eq!(saved(stage), 1);
            }
            Self::ChangedWhileSuspended => {
                start(stage, operator, 2).await;
                stage.edit(|spec| spec["desiredState"] = json!("Suspended"));
                stage.until(operator, "Suspended", rests).await;
                stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT 3"));
                stage.until(operator, "still Suspended", rests).await;
                stage.edit(|spec| spec["desiredState"] = json!("Running"));
                stage.until(operator, "the new program", |stage| runs(stage, 2)).await;
            }
            Self::ChangedImage => {
                start(stage, operator, 2).await;
                let was = stage.status().revisions.unwrap().current;
                stage.edit(|spec| spec["image"] = json!("weir-worker:2"));
                stage.until(operator, "the new image", |stage| runs(stage, 2)).await;
                assert_ne!(stage.status().revisions.unwrap().current, was);
                assert_eq!(saved(stage), 1);
            }
            Self::RefusedImage => {
                start(stage, operator, 2).await;
                let bad = "INSERT INTO a SELECT BAD";
                stage.edit(|spec| {
                    spec["image"] = json!("weir-worker:2");
                    spec["sql"] = json!(bad);
                });
                let refused = |stage: &Stage| keeps_running(stage, "DoesNotPlan", 2);
                stage.until(operator, "refused, and still running", refused).await;
                assert_eq!(saved(stage), 0);
                stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT 4"));
                stage.until(operator, "the corrected program", |stage| runs(stage, 2)).await;
            }
            Self::MissingImage => {
                start(stage, operator, 2).await;
                stage.edit(|spec| spec["image"] = json!("weir-worker:missing"));
                let refused = |stage: &Stage| keeps_running(stage, "NotPlanned", 2);
                stage.until(operator, "refused, and still running", refused).await;
                let message = stage.condition("Stalled").2;
                assert!(message.contains("weir-worker:missing"), "{message}");
                assert!(message.contains("spec.image"), "{message}");
                assert_eq!(saved(stage), 0);
                stage.edit(|spec| spec["image"] = json!("weir-worker:1"));
                stage.until(operator, "back", |stage| runs(stage, 2)).await;
                assert_eq!(saved(stage), 0, "it never stopped");
            }
            Self::Proven => {
                start(stage, operator, 1).await;
                let first = stage.status().revisions.unwrap();
                assert_eq!(first.stable, None);
                stage.pass(std::time::Duration::from_secs(60));
                let proven = |stage: &Stage| {
                    let revisions = stage.status().revisions.unwrap_or_default();
                    runs(stage, 1) && revisions.stable == revisions.current
                };
                stage.until(operator, "stable", proven).await;
                stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT 2"));
                stage.until(operator, "the new program", |stage| runs(stage, 1)).await;
                let second = stage.status().revisions.unwrap();
                assert_eq!(second.stable, first.current, "the new one has yet to prove itself");
            }
            Self::RefusedProgram => {
                start(stage, operator, 2).await;
                stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT BAD"));
                let refused = |stage: &Stage| {
                    stage.condition("Stalled").0 == "True"
                        && stage.condition("SpecAccepted").1 == "DoesNotPlan"
                        && stage.condition("Ready").1 == "SpecRefused"
                        && stage.is("Running")
                        && stage.pods().len() == 2
                };
                stage.until(operator, "refused, and still running", refused).await;
                assert_eq!(saved(stage), 0);
                stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT 4"));
                stage.until(operator, "the corrected program", |stage| runs(stage, 2)).await;
            }
            Self::RefusedFirst => {
                stage.apply(json!({"sql": "INSERT INTO a SELECT BAD"}));
                let refused = |stage: &Stage| {
                    stage.is("Failed") && stage.condition("SpecAccepted").1 == "DoesNotPlan"
                };
                stage.until(operator, "refused", refused).await;
                assert!(stage.condition("Stalled").2.contains("sql:1:8"));
                stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT 5"));
                stage.until(operator, "the corrected program", |stage| runs(stage, 1)).await;
            }
            Self::RefusedSavepoint => {
                start(stage, operator, 1).await;
                stage.model.refuse_savepoints(2);
                stage.edit(|spec| spec["desiredState"] = json!("Suspended"));
                stage.until(operator, "Suspended at last", rests).await;
                assert_eq!(saved(stage), 1);
            }
            Self::LostChain => {
                start(stage, operator, 2).await;
                stage.edit(|spec| spec["desiredState"] = json!("Suspended"));
                stage.until(operator, "Suspended", rests).await;
                stage.model.lose_chain(NS, JOB);
                stage.edit(|spec| spec["desiredState"] = json!("Running"));
                let says = |stage: &Stage| {
                    stage.is("Failed") && stage.condition("Stalled").2.contains("is gone")
                };
                stage.until(operator, "its state is gone", says).await;
            }
            Self::DeleteRetain | Self::DeleteInForeground | Self::DeleteOrphaning => {
                start(stage, operator, 2).await;
                let propagation = match self {
                    Self::DeleteInForeground => "Foreground",
                    Self::DeleteOrphaning => "Orphan",
                    _ => "Background",
                };
                stage.cluster.delete_by::<StreamJob>(NS, JOB, propagation);
                stage.cluster.settle();
                assert_eq!(stage.pods().len(), 2, "no pod goes before the savepoint");
                stage.until(operator, "gone", gone).await;
                assert_eq!(saved(stage), 1);
            }
            Self::DeleteState => {
                let deletion = json!({"stateRetention": "Delete"});
                stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "deletion": deletion}));
                stage.until(operator, "Running", |stage| runs(stage, 1)).await;
                stage.cluster.delete::<StreamJob>(NS, JOB);
                stage.until(operator, "gone", gone).await;
                assert!(stage.model.chain(NS, JOB).is_none(), "its state is deleted");
            }
            Self::DeleteWhileStarting => {
                stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "parallelism": 2}));
                let full = "0/3 nodes are available".to_owned();
                stage.model.stick("", Some(crate::double::PodOutcome::Unschedulable(full)));
                let waits = |stage: &Stage| stage.condition("Degraded").0 == "True";
                stage.until(operator, "pods without a node", waits).await;
                stage.cluster.delete::<StreamJob>(NS, JOB);
                stage.until(operator, "gone", gone).await;
            }
            Self::DeleteNamespace => {
                start(stage, operator, 2).await;
                stage.cluster.delete::<Namespace>("", NS);
                let all =
                    |stage: &Stage| gone(stage) && stage.cluster.get::<Namespace>("", NS).is_none();
                stage.until(operator, "gone with its namespace", all).await;
            }
        }
    }
}
