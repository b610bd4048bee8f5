//! Commands that change a job.

use serde_json::{Value, json};
use weir_protocol::view::Snapshot;

use crate::fake::{Fake, coordinates, job, pod};

/// `delays` at a generation, with more said in its status.
fn at(generation: i64, state: &str, more: Value) -> Value {
    let mut job = job("delays", state, &[]);
    job["metadata"]["generation"] = json!(generation);
    job["status"]["observedGeneration"] = json!(generation);
    for (key, value) in more.as_object().expect("fields") {
        job["status"][key] = value.clone();
    }
    job
}

fn conditions(type_: &str, message: &str) -> Value {
    json!([{
        "type": type_, "status": "True", "reason": "Why", "message": message,
        "observedGeneration": 4, "lastTransitionTime": "2026-01-01T00:00:00Z",
    }])
}

/// A cluster where `delays` runs, is patched, and is then seen in these states.
fn changed(seen: &[Value]) -> Fake {
    let mut patched = at(3, "Running", json!({}));
    patched["metadata"]["generation"] = json!(4);
    let seen: String = seen.iter().map(Value::to_string).collect();
    Fake::new()
        .prints("*get streamjobs.weir.dev/delays --watch --output=json", &seen)
        .has("*get streamjobs.weir.dev/delays --output=json", &at(3, "Running", json!({})))
        .has("*patch streamjobs.weir.dev/delays *", &patched)
}

fn patches(fake: &Fake) -> Vec<String> {
    fake.calls().into_iter().filter(|call| call.contains("patch ")).collect()
}

#[test]
fn suspend_sets_the_field_watches_what_becomes_of_it_and_names_the_savepoint() {
    let operation =
        json!({"id": "op-1", "type": "Suspend", "step": "Savepoint", "message": "saving"});
    let saved = json!({"name": "op-1", "path": "s3://b/savepoints/op-1"});
    let fake = changed(&[
        at(3, "Running", json!({})),
        at(4, "Suspending", json!({"operation": operation})),
        at(4, "Suspended", json!({"lastSavepoint": saved})),
    ]);
    let said = fake.weir(&["suspend", "delays", "-n", "shop"]).well();
    assert!(
        said.out.starts_with(
            "delays  saved as op-1 at s3://b/savepoints/op-1; `kubectl weir -n shop resume delays`"
        ),
        "{said:?}"
    );
    assert!(said.out.contains("; it took ") && said.out.ends_with(" ms\n"), "{said:?}");
    assert!(said.err.contains("spec.desiredState: Running → Suspended"), "{said:?}");
    assert!(said.err.contains("Suspending, savepoint: saving"), "{said:?}");
    let patch = r#"--namespace=shop patch streamjobs.weir.dev/delays --type=merge --patch={"spec":{"desiredState":"Suspended"}} --output=json"#;
    assert_eq!(patches(&fake), [patch]);
}

#[test]
fn a_dry_run_asks_the_cluster_and_changes_nothing() {
    for (arguments, change) in [
        (vec!["suspend", "delays"], "spec.desiredState: Running → Suspended"),
        (vec!["drain", "delays"], "spec.desiredState: Running → Drained"),
        (vec!["resume", "delays"], "nothing would change"),
        (vec!["restart", "delays"], "spec.restartToken: none → kubectl-weir "),
        (vec!["scale", "delays", "4"], "spec.parallelism: 2 → 4"),
        (
            vec!["savepoint", "create", "delays", "--suspend"],
            "spec.desiredState: Running → Suspended",
        ),
    ] {
        let fake = changed(&[]);
        let said = fake.weir(&[&arguments[..], &["--dry-run"]].concat()).well();
        assert!(said.out.contains(change) && said.out.contains("(dry run)"), "{said:?}");
        assert!(said.out.contains("kubectl patch sj/delays --type=merge -p '"), "{said:?}");
        let patches = patches(&fake);
        assert!(patches.len() == 1 && patches[0].contains("--dry-run=server"), "{patches:?}");
    }
}

#[test]
fn a_change_that_is_refused_fails_and_one_that_takes_too_long_says_so() {
    let stalled = conditions("Stalled", "sql:9:14: no column \"dist\"");
    let refused =
        changed(&[at(4, "Running", json!({"conditions": stalled}))]).weir(&["restart", "delays"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.ends_with("delays: sql:9:14: no column \"dist\"\n"), "{refused:?}");
    let late =
        changed(&[at(4, "Draining", json!({}))]).weir(&["drain", "delays", "--timeout", "1s"]);
    assert_eq!(late.code, Some(124), "{late:?}");
    assert!(late.err.contains("Draining; it goes on all the same"), "{late:?}");
    let fake = Fake::new()
        .has("get *", &at(3, "Running", json!({})))
        .forbids("patch *", "streamjobs.weir.dev \"delays\"");
    let forbidden = fake.weir(&["suspend", "delays"]);
    assert!(forbidden.code == Some(1) && forbidden.err.contains("(Forbidden)"), "{forbidden:?}");
    let mut patched = at(3, "Running", json!({}));
    patched["metadata"]["generation"] = json!(4);
    let fake = Fake::new()
        .forbids("*--watch*", "watching")
        .has("get *", &at(3, "Running", json!({})))
        .has("patch *", &patched);
    let unseen = fake.weir(&["suspend", "delays"]);
    assert_eq!(unseen.code, Some(1));
    assert!(unseen.err.ends_with("what was asked for goes on all the same\n"), "{unseen:?}");
    assert!(unseen.err.contains("watching is forbidden"), "it says why: {unseen:?}");
    let fake = changed(&[]);
    let asked = fake.weir(&["suspend", "delays", "--no-wait"]).well();
    assert!(asked.out.contains("it is asked for; `kubectl weir status delays`"), "{asked:?}");
    assert!(fake.calls().iter().all(|call| !call.contains("--watch")));
}

#[test]
fn a_change_is_watched_for_as_long_as_it_takes_whatever_becomes_of_the_watches() {
    let cluster = |then: &str| {
        let mut fake = Fake::new();
        let mut patched = at(3, "Running", json!({}));
        patched["metadata"]["generation"] = json!(4);
        let first = at(4, "Suspending", json!({})).to_string();
        // The watch is cut off in the middle of an object.
        let first = fake.file(&format!("{first}{}", &first[..40]));
        let last = fake.file(&at(4, "Suspended", json!({})).to_string());
        let times = fake.file("");
        let script = format!(
            "echo >>'{0}'; case $(wc -l <'{0}') in 1) cat '{1}'; exit 1;; 2) {then};; *) cat '{2}';; esac",
            times.display(),
            first.display(),
            last.display()
        );
        fake.does("*--watch*", &script)
            .has("*get streamjobs.weir.dev/delays *", &at(3, "Running", json!({})))
            .has("*patch *", &patched)
    };
    let said = cluster("echo 'no route' >&2; exit 1").weir(&["suspend", "delays"]).well();
    assert!(said.out.starts_with("delays  its newest checkpoint is kept"), "{said:?}");
    assert!(said.err.contains("Suspending") && said.err.contains("no route"), "{said:?}");
    let gone = cluster("echo 'Error from server (NotFound): no such job' >&2; exit 1");
    let said = gone.weir(&["suspend", "delays"]);
    assert!(
        said.code == Some(1) && said.err.ends_with("delays: it has been deleted\n"),
        "{said:?}"
    );
}

#[test]
fn a_scale_shows_what_the_rescale_cost_and_each_of_its_steps() {
    let operation =
        json!({"id": "op-2", "type": "Rescale", "step": "Workers", "message": "2 → 4 waits"});
    let last = json!({"type": "Rescale", "result": "Succeeded", "downtimeMs": 640});
    let operations = json!([{
        "kind": "Rescale", "message": "2 → 4 in 2.91 s", "steps": [{"name": "restore", "ms": 510}],
    }]);
    let operations = [("/v1/operations", operations.to_string())];
    let pods = [pod(1, "Running")];
    let seen = [
        at(4, "Rescaling", json!({"operation": operation})),
        at(4, "Running", json!({"parallelism": {"actual": 4}, "lastOperation": last})),
    ];
    let fake = changed(&seen)
        .lists("*get pods*", &pods)
        .forwards("delays-0123abcd-1", coordinates(&Snapshot::default(), &operations));
    let said = fake.weir(&["scale", "delays", "4", "--watch"]).well();
    assert!(said.out.starts_with("delays  2 → 4 (output paused 640 ms); it took "), "{said:?}");
    assert!(said.err.contains("Rescaling, workers: 2 → 4 waits"), "{said:?}");
    let steps = "2 → 4 in 2.91 s\n  restore              510 ms\n";
    assert!(said.out.ends_with(steps), "{said:?}");
}

#[test]
fn a_savepoint_is_taken_where_a_job_stops_and_the_user_says_what_follows() {
    let fake = changed(&[]);
    let unsaid = fake.weir(&["savepoint", "create", "delays"]);
    assert!(unsaid.code == Some(2) && unsaid.err.contains("--restart"), "{unsaid:?}");
    assert_eq!(fake.calls(), [""; 0]);
    let restarted = json!({
        "revisions": {"current": "89abcdef", "target": "89abcdef"},
        "conditions": conditions("Ready", ""), "lastSavepoint": {"name": "op-3"},
    });
    let fake = changed(&[at(4, "Running", restarted)]);
    let said = fake.weir(&["savepoint", "create", "delays", "--restart"]).well();
    assert!(said.out.starts_with("delays  saved as op-3, it runs again; it took "), "{said:?}");
    assert!(
        patches(&fake)[0].contains(r#"{"spec":{"restartToken":"kubectl-weir 2"#),
        "{:?}",
        patches(&fake)
    );
}

#[test]
fn savepoints_are_listed_with_their_place() {
    let saved = json!({"lastSavepoint": {
        "name": "op-1", "path": "s3://b/savepoints/op-1", "time": "2026-01-01T00:00:00Z",
    }});
    let jobs = [at(3, "Suspended", saved), job("bids", "Running", &[])];
    let fake = Fake::new().lists("get streamjobs.weir.dev *", &jobs);
    let shown = fake.weir(&["savepoint", "ls"]).well().out;
    assert!(shown.contains("shop/delays   op-1 "), "{shown}");
    assert!(shown.contains("s3://b/savepoints/op-1") && !shown.contains("bids"), "{shown}");
    let json = fake.weir(&["savepoint", "ls", "delays", "-o", "json"]).well().json();
    assert_eq!(json["items"][0]["savepoint"]["name"], "op-1");
    let none = fake.weir(&["savepoint", "ls", "bids"]).well();
    assert!(none.out.is_empty() && none.err.contains("no savepoint"), "{none:?}");
}

#[test]
fn a_deleted_jobs_state_is_taken_over_by_a_job_that_names_its_uid() {
    let manifest = json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "StreamJob",
        "metadata": {"name": "delays", "namespace": "shop"}, "spec": {"sql": "SELECT 1"},
    });
    let ready = json!({"conditions": conditions("Ready", ""), "restoredFrom": {"epoch": 17}});
    let mut fake = Fake::new()
        .has(
            "*create --filename=job.yaml --dry-run=client --validate=false --output=json",
            &manifest,
        )
        .does("*--ignore-not-found*", ":")
        .prints("*--watch*", &at(4, "Running", ready).to_string());
    let applied = fake.file("");
    let answer = fake.file(&at(4, "Pending", json!({})).to_string());
    let script = format!("cat >'{}'; cat '{}'", applied.display(), answer.display());
    fake = fake.does("*apply --filename=- --output=json*", &script);
    let said = fake.weir(&["savepoint", "restore", "-f", "job.yaml", "--uid", "4be0"]).well();
    assert!(said.out.starts_with("delays  it runs, from epoch 17; it took "), "{said:?}");
    assert!(said.err.contains("spec.state.adopt: none → 4be0"), "{said:?}");
    let applied: Value = serde_json::from_slice(&std::fs::read(applied).unwrap()).unwrap();
    assert_eq!(applied["spec"], json!({"sql": "SELECT 1", "state": {"adopt": "4be0"}}));

    for (field, value) in [("spec", json!("SELECT 1")), ("spec", json!({"state": [1]}))] {
        let mut odd = manifest.clone();
        odd[field] = value;
        let fake = Fake::new().has("*create *", &odd).does("*--ignore-not-found*", ":");
        let said = fake.weir(&["savepoint", "restore", "-f", "job.yaml", "--uid", "4be0"]);
        assert!(said.code == Some(1) && said.err.starts_with("job.yaml: spec"), "{said:?}");
    }
    let there = Fake::new()
        .has("*create *", &manifest)
        .prints("*--ignore-not-found*", "streamjob.weir.dev/delays\n");
    let refused = there.weir(&["savepoint", "restore", "-f", "job.yaml", "--uid", "4be0"]);
    assert!(refused.code == Some(3) && refused.err.contains("is there"), "{refused:?}");
    assert!(there.calls().iter().all(|call| !call.contains("apply")), "{:?}", there.calls());
}
