//! `plan`: the operator's verdict before anything is applied.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tonic::{Request, Response, Status};
use weir_crds::kube::StreamJob;
use weir_operator::config::Defaults;
use weir_operator::validate::validate;
use weir_protocol::control::worker_server::{Worker, WorkerServer};
use weir_protocol::control::{
    BeginReply, FollowReply, FollowRequest, Operation, PlanReply, PlanRequest, ReportRequest,
    TerminateReply, TerminateRequest, WorkerReport,
};

use crate::fake::{Fake, job};

/// A worker that answers to nothing but plans.
struct Planner {
    reply: PlanReply,
    asked: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl Worker for Planner {
    async fn plan(&self, request: Request<PlanRequest>) -> Result<Response<PlanReply>, Status> {
        self.asked.lock().expect("as made here").push(request.into_inner().manifest);
        Ok(Response::new(self.reply.clone()))
    }

    async fn report(&self, _: Request<ReportRequest>) -> Result<Response<WorkerReport>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn begin(&self, _: Request<Operation>) -> Result<Response<BeginReply>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn follow(&self, _: Request<FollowRequest>) -> Result<Response<FollowReply>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn terminate(
        &self,
        _: Request<TerminateRequest>,
    ) -> Result<Response<TerminateReply>, Status> {
        Err(Status::unimplemented("no"))
    }
}

/// The control port of a worker that answers this, and what it is asked.
fn control(reply: PlanReply) -> (u16, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let planner = Planner { reply, asked: Arc::clone(&asked) };
    let (to, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("as made here");
        runtime.block_on(async move {
            let anywhere = "127.0.0.1:0".parse().expect("as made here");
            let incoming =
                tonic::transport::server::TcpIncoming::bind(anywhere).expect("as made here");
            to.send(incoming.local_addr().expect("as made here").port()).expect("it works");
            let server =
                tonic::transport::Server::builder().add_service(WorkerServer::new(planner));
            server.serve_with_incoming(incoming).await.expect("as made here");
        });
    });
    (port.recv().expect("as made here"), asked)
}

fn defaults() -> Defaults {
    Defaults { image: "weir:1".into(), state_root: "s3://b/weir".into(), ..Defaults::default() }
}

/// `delays` with this program, which it runs.
fn running(sql: &str) -> Value {
    let mut running = job("delays", "Running", &[("Ready", "True", "")]);
    running["spec"]["sql"] = json!(sql);
    running["metadata"]["annotations"] =
        json!({"weir.dev/resolved": serde_json::to_string(&defaults()).expect("as made here")});
    let typed: StreamJob = serde_json::from_value(running.clone()).expect("as made here");
    let accepted = validate(&typed, None, &defaults(), None).expect("as made here");
    running["status"]["revisions"] =
        json!({"current": accepted.revision, "target": accepted.revision});
    running
}

/// A cluster with that job, which makes this of the manifest.
fn cluster(running: &Value, wanted: &Value) -> Fake {
    Fake::new()
        .has("*create --filename=job.yaml --dry-run=client --validate=false --output=json", wanted)
        .has("*--ignore-not-found*", running)
        .has("*apply --filename=job.yaml --dry-run=server --output=json", wanted)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn what_needs_no_restart_is_live_and_nothing_is_unchanged() {
    let running = running("SELECT 1");
    let same = cluster(&running, &running);
    let said = same.weir(&["plan", "-f", "job.yaml", "--exit-code"]).well();
    assert_eq!(said.out, "delays: UNCHANGED, it is so already\n");
    let mut wanted = running.clone();
    wanted["spec"]["parallelism"] = json!(4);
    let live = cluster(&running, &wanted);
    let said = live.weir(&["plan", "-f", "job.yaml"]).well();
    let expected =
        "delays: LIVE, taken over while it runs, without a restart\n  ~ spec.parallelism: 2 → 4\n";
    assert_eq!(said.out, expected);
    assert_eq!(live.weir(&["plan", "-f", "job.yaml", "--exit-code"]).code, Some(2));
    assert!(live.calls().iter().all(|call| !call.contains("port-forward")), "nobody need be asked");
}

#[test]
fn another_program_is_planned_by_the_job_that_runs() {
    let running = running("SELECT 1");
    let mut wanted = running.clone();
    wanted["spec"]["sql"] = json!("SELECT 2");
    let reply =
        PlanReply { kept: names(&["count"]), fresh: names(&["top 10"]), ..PlanReply::default() };
    let (port, asked) = control(reply);
    let fake = cluster(&running, &wanted).forwards("delays-0123abcd-1", port);
    let said = fake.weir(&["plan", "-f", "job.yaml", "-n", "shop"]).well();
    let expected = "delays: RESTART, stopped behind a savepoint and begun again from it\n  ~ spec.sql: \
                    SELECT 1 → SELECT 2\n  + top 10   its state starts empty\n  = count    its state is kept\n";
    assert_eq!(said.out, expected);
    let forwarded = fake.calls().last().cloned().unwrap();
    assert_eq!(forwarded, "--namespace=shop port-forward pod/delays-0123abcd-1 :7101");
    let asked = asked.lock().unwrap().clone();
    assert!(asked.len() == 1 && asked[0].contains("SELECT 2"), "{asked:?}");
    assert!(
        asked[0].contains("root: s3://b/weir"),
        "as the operator asks, with its defaults: {asked:?}"
    );

    let (port, _) = control(PlanReply { dropped: names(&["top 10"]), ..PlanReply::default() });
    let fake = cluster(&running, &wanted).forwards("delays-0123abcd-1", port);
    let refused = fake.weir(&["plan", "-f", "job.yaml"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.out.starts_with("delays: INCOMPATIBLE, it would be refused"), "{refused:?}");
    assert!(refused.out.contains("  - top 10   its state would be dropped\n"), "{refused:?}");
    assert!(refused.out.contains("state.allowDroppedState: [\"top 10\"]"), "{refused:?}");
    let json = fake.weir(&["plan", "-f", "job.yaml", "-o", "json"]).json();
    assert_eq!(json["verdict"], "INCOMPATIBLE");
    assert_eq!(json["state"], json!([{"operator": "top 10", "state": "dropped"}]));

    let (port, _) =
        control(PlanReply { errors: names(&["sql:1:8: no column"]), ..PlanReply::default() });
    let fake = cluster(&running, &wanted).forwards("delays-0123abcd-1", port);
    let refused = fake.weir(&["plan", "-f", "job.yaml"]);
    assert!(
        refused.code == Some(3) && refused.out.contains("  sql:1:8: no column\n"),
        "{refused:?}"
    );
}

#[test]
fn a_plan_says_what_it_could_not_find_out() {
    let running = running("SELECT 1");
    let mut wanted = running.clone();
    wanted["spec"]["image"] = json!("weir:2");
    let (port, _) = control(PlanReply::default());
    let fake = cluster(&running, &wanted).forwards("delays-0123abcd-1", port);
    let said = fake.weir(&["plan", "-f", "job.yaml"]).well();
    assert!(said.out.contains("planned by the image that runs (weir:1)"), "{said:?}");
    let fake = cluster(&running, &wanted).forbids("*port-forward*", "pods/portforward");
    let said = fake.weir(&["plan", "-f", "job.yaml"]);
    assert!(said.code == Some(1) && said.out.starts_with("delays: UNKNOWN, "), "{said:?}");
    let refused = Fake::new().has("create *", &wanted).has("*--ignore-not-found*", &running).does(
        "*apply *",
        "echo 'The StreamJob is invalid: spec.maxParallelism: cannot be changed' >&2; exit 1",
    );
    let said = refused.weir(&["plan", "-f", "job.yaml"]);
    assert!(said.code == Some(3) && said.out.contains("cannot be changed"), "{said:?}");
    let new = Fake::new()
        .has("create *", &wanted)
        .does("*--ignore-not-found*", ":")
        .has("*apply *", &wanted);
    let said = new.weir(&["plan", "-f", "job.yaml"]).well();
    assert!(
        said.out.contains("delays: NEW") && said.out.contains("`weir plan job.yaml`"),
        "{said:?}"
    );
    // Who may only look gets an answer all the same.
    let viewer = Fake::new()
        .has("create *", &wanted)
        .has("*--ignore-not-found*", &running)
        .forbids("*apply *", "streamjobs.weir.dev \"delays\"")
        .forwards("delays-0123abcd-1", port);
    let said = viewer.weir(&["plan", "-f", "job.yaml"]).well();
    assert!(
        said.out.starts_with("delays: RESTART") && said.out.contains("not checked by the cluster"),
        "{said:?}"
    );
}

#[test]
fn what_forbids_a_manifest_is_named_and_is_no_missing_right() {
    let running = running("SELECT 1");
    let refused = |words: &str| {
        Fake::new()
            .has("create *", &running)
            .has("*--ignore-not-found*", &running)
            .does("*apply *", &format!("echo '{words}' >&2; exit 1"))
            .weir(&["plan", "-f", "job.yaml"])
    };
    let said = refused(
        "Error from server (Forbidden): error when patching \"job.yaml\": admission webhook \
         \"policy.example.com\" denied the request: eight at most",
    );
    assert_eq!(said.code, Some(3), "{said:?}");
    let says = "  admission webhook \"policy.example.com\" denies it: eight at most\n";
    assert!(said.out.starts_with("delays: INCOMPATIBLE") && said.out.ends_with(says), "{said:?}");
    let said = refused(
        "Error from server (Forbidden): streamjobs.weir.dev \"delays\" is forbidden: exceeded quota: q",
    );
    assert!(said.code == Some(3) && said.out.contains("denies it: exceeded quota: q"), "{said:?}");
    let said = refused(
        "Error from server (InternalError): Internal error occurred: failed calling webhook \"a.b\": \
         no route",
    );
    assert!(
        said.code == Some(1) && said.out.contains("webhook \"a.b\" was not reached"),
        "{said:?}"
    );
    let viewer = Fake::new()
        .has("create *", &running)
        .has("*--ignore-not-found*", &running)
        .forbids("*apply *", "streamjobs.weir.dev \"delays\"");
    let said = viewer.weir(&["plan", "-f", "job.yaml"]).well();
    let note = "note: not checked by the cluster: user \"ann\" has no right to use streamjobs.weir.dev \
                in namespace shop\n";
    assert!(said.out.starts_with("delays: UNCHANGED") && said.out.contains(note), "{said:?}");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    let running = running("SELECT 1");
    let mut fake = cluster(&running, &running);
    let text = "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: delays}\nspec:\n  sql: \
                SELECT 1\n  paralelism: 4\n";
    let file = fake.file(text).display().to_string();
    let fake = fake
        .has(&format!("*create --filename={file} *"), &running)
        .does("*apply *", "echo 'Error: strict decoding error' >&2; exit 1");
    let said = fake.weir(&["plan", "-f", &file]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.out.contains(&format!("  {file}:6 spec.paralelism")), "{said:?}");
}

#[test]
fn a_name_that_looks_like_a_flag_never_reaches_kubectl() {
    let evil = "--kubeconfig=./evil";
    let plain = running("SELECT 1");
    let with = |path: &[&str], value: &str| {
        let mut manifest = plain.clone();
        let (last, rest) = path.split_last().expect("a path");
        rest.iter().fold(&mut manifest, |at, key| &mut at[*key])[*last] = json!(value);
        manifest
    };
    for (manifest, says) in [
        (with(&["metadata", "name"], evil), "metadata.name"),
        (with(&["metadata", "name"], ""), "metadata.name"),
        (with(&["metadata", "name"], "a/b"), "metadata.name"),
        (with(&["metadata", "namespace"], "a,b"), "metadata.namespace"),
        (with(&["apiVersion"], "other.dev/v1"), "it has to hold one StreamJob"),
    ] {
        let fake = cluster(&plain, &manifest);
        for call in [
            &["plan", "-f", "job.yaml"][..],
            &["savepoint", "restore", "-f", "job.yaml", "--uid", "4be0"][..],
        ] {
            let said = fake.weir(call);
            assert!(said.code == Some(1) && said.err.contains(says), "{said:?}");
        }
        assert!(fake.calls().iter().all(|it| it.contains("create ")), "{:?}", fake.calls());
    }
    let mut wanted = plain.clone();
    wanted["spec"].as_object_mut().unwrap().remove("sql");
    wanted["spec"]["sqlFrom"] = json!({"configMapKeyRef": {"name": evil, "key": "k"}});
    let fake = cluster(&plain, &wanted);
    let said = fake.weir(&["plan", "-f", "job.yaml"]);
    assert!(said.code == Some(1) && said.err.contains("spec.sqlFrom"), "{said:?}");
    assert!(fake.calls().iter().all(|it| !it.contains("evil")), "{:?}", fake.calls());
    for command in [
        &["status", "--", evil][..],
        &["logs", "--", evil],
        &["events", "--", evil],
        &["ui", "--", evil],
        &["suspend", "--", evil],
        &["report", "a,b=c"],
    ] {
        let fake = Fake::new();
        assert_eq!(fake.weir(command).code, Some(2), "{command:?}");
        assert_eq!(fake.calls(), [""; 0], "{command:?}");
    }
}

#[test]
fn a_program_in_a_config_map_is_read_there() {
    let mut running = running("SELECT 1");
    let from = json!({"configMapKeyRef": {"name": "programs", "key": "delays.sql"}});
    let mut wanted = running.clone();
    wanted["spec"].as_object_mut().unwrap().remove("sql");
    wanted["spec"]["sqlFrom"] = from;
    let fake = cluster(&running, &wanted)
        .has("*get configmaps/programs *", &json!({"data": {"delays.sql": "SELECT 1"}}));
    // The order of rules: `--ignore-not-found` is the job's before.
    let said = fake.weir(&["plan", "-f", "job.yaml"]);
    assert!(
        said.out.contains("no key delays.sql"),
        "the job's own object is no ConfigMap: {said:?}"
    );
    running["metadata"]["name"] = json!("delays");
    let fake = Fake::new()
        .has("*get configmaps/programs *", &json!({"data": {"delays.sql": "SELECT 1"}}))
        .has("*create *", &wanted)
        .has("*--ignore-not-found*", &running)
        .has("*apply *", &wanted);
    let said = fake.weir(&["plan", "-f", "job.yaml"]).well();
    assert!(said.out.starts_with("delays: LIVE"), "the same program: {said:?}");
}
