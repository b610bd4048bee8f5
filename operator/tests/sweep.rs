//! The crash sweep: in every scenario the operator dies at each of its writes, and a fresh one
//! goes on. Each run comes to the same end as the calm one: no orphan, no lost savepoint, no
//! revision that takes a running one's place.

#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

mod double;
mod model;

use double::Last;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;
use weir_crds::kube::StreamJob;

use model::stage::{JOB, NS, Operator, Stage};

/// A scenario: what a user and the world do, and what must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
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
    DeleteRetain,
    DeleteState,
    DeleteWhileStarting,
    DeleteNamespace,
}

const ALL: [Scenario; 22] = [
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
    Scenario::DeleteRetain,
    Scenario::DeleteState,
    Scenario::DeleteWhileStarting,
    Scenario::DeleteNamespace,
];

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
        && stage.condition("Ready").0 == "True"
        && stage.pods().len() == parallelism + 1
        && stage.sets().len() == 1
}

/// Suspended, and ready as its spec asks.
fn rests(stage: &Stage) -> bool {
    stage.is("Suspended") && stage.condition("Ready").0 == "True" && stage.pods().is_empty()
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
    async fn play(self, stage: &Stage, operator: &mut Operator) {
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
                        && stage.condition("Ready").0 == "True"
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
            Self::DeleteRetain => {
                start(stage, operator, 2).await;
                stage.cluster.delete::<StreamJob>(NS, JOB);
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
                stage.model.stick("", Some(double::PodOutcome::Unschedulable(full)));
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

/// Plays a scenario in which the operator dies once. Returns what is left, and its writes.
async fn run(scenario: Scenario, death: Option<(u64, Last)>) -> (String, u64) {
    let stage = Stage::new();
    let mut operator = stage.operator();
    let first = operator.connection.clone();
    if let Some((n, how)) = death {
        first.die_after(n, how);
    }
    scenario.play(&stage, &mut operator).await;
    assert_eq!(stage.model.violations(), Vec::<String>::new(), "{scenario:?} {death:?}");
    allowed(&first);
    (stage.summary(), first.writes())
}

/// Every call is one that `rbac.yaml` allows.
fn allowed(connection: &double::Connection) {
    let rules: serde_json::Value =
        serde_yaml_ng::from_str(include_str!("../rbac.yaml")).expect("rbac.yaml is YAML");
    for request in connection.requests() {
        let (group, resource, verb) = permission(&request.method, &request.uri);
        let has = |list: &serde_json::Value, wanted: &str| {
            list.as_array().is_some_and(|items| items.iter().any(|item| item == wanted))
        };
        let fits = rules["rules"].as_array().expect("a list of rules").iter().any(|rule| {
            has(&rule["apiGroups"], &group)
                && has(&rule["resources"], &resource)
                && has(&rule["verbs"], &verb)
        });
        assert!(fits, "{verb} {resource}.{group} is not in rbac.yaml: {}", request.uri);
    }
}

/// Group, resource (with subresource) and verb of a request, as an API server derives them.
fn permission(method: &str, uri: &str) -> (String, String, String) {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let group = if parts[0] == "api" { "" } else { parts[1] };
    parts.drain(..if parts[0] == "api" { 2 } else { 3 });
    if parts[0] == "namespaces" && parts.len() > 2 {
        parts.drain(..2);
    }
    let name = parts.get(1);
    let resource = match parts.get(2) {
        Some(sub) => format!("{}/{sub}", parts[0]),
        None => parts[0].to_owned(),
    };
    let verb = match (method, name) {
        ("GET", _) if query.contains("watch=true") => "watch",
        ("GET", Some(_)) => "get",
        ("GET", None) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        _ => "delete",
    };
    (group.to_owned(), resource, verb.to_owned())
}

#[tokio::test]
async fn every_scenario_comes_to_its_end() {
    for scenario in ALL {
        let (left, writes) = run(scenario, None).await;
        println!("{scenario:?}: {writes} writes\n{left}\n");
    }
}

/// Lets the operator die at each write of a scenario. Returns how many times it died.
async fn sweep(scenario: Scenario) -> usize {
    let (calm, writes) = run(scenario, None).await;
    let mut points = 0;
    for n in 1..=writes {
        for how in [Last::NotSent, Last::Lost] {
            let (left, _) = run(scenario, Some((n, how))).await;
            assert_eq!(left, calm, "{scenario:?}: died at write {n} ({how:?})");
            points += 1;
        }
    }
    println!("{scenario:?}: {writes} writes, {points} crash points");
    points
}

#[test]
fn a_death_at_any_write_changes_no_end() {
    let queue = std::sync::Mutex::new(ALL.to_vec());
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut points = 0;
        loop {
            let next = queue.lock().unwrap().pop();
            let Some(scenario) = next else { return points };
            points += runtime.block_on(sweep(scenario));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, |it| it.get()).min(ALL.len());
    let points: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    println!("crash points: {points}");
    assert!(points >= 300, "only {points} crash points");
}

/// Two operators that both believe to be the active one, taking turns at every round.
#[tokio::test]
async fn a_second_active_operator_changes_no_end() {
    for scenario in ALL {
        let (calm, _) = run(scenario, None).await;
        let mut stage = Stage::new();
        stage.second = Some(stage.operator());
        let mut operator = stage.operator();
        scenario.play(&stage, &mut operator).await;
        assert_eq!(stage.model.violations(), Vec::<String>::new(), "{scenario:?}");
        assert_eq!(stage.summary(), calm, "{scenario:?}");
    }
}

/// One request in twelve fails, reads and writes alike, each time in another way.
#[tokio::test]
async fn an_api_server_that_often_fails_changes_no_end() {
    for scenario in ALL {
        let (calm, _) = run(scenario, None).await;
        let stage = Stage::new();
        let mut operator = stage.operator();
        let mut random = 88_172_645_463_325_252_u64;
        operator.connection.refuse(move |_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let code = [500, 409, 429, 503, 0][(random % 5) as usize];
            random.is_multiple_of(12).then_some(code)
        });
        scenario.play(&stage, &mut operator).await;
        assert_eq!(stage.model.violations(), Vec::<String>::new(), "{scenario:?}");
        assert_eq!(stage.summary(), calm, "{scenario:?}");
    }
}
