//! `report`: what it holds, and what it must not.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use weir_protocol::view::{JobView, Snapshot};

use crate::fake::{Fake, coordinates, job, pod};

/// Files of an archive by their names in its one folder.
fn unpacked(file: &Path) -> BTreeMap<String, String> {
    let packed = std::fs::File::open(file).expect("as made here");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let mut files = BTreeMap::new();
    for entry in archive.entries().expect("as made here") {
        let mut entry = entry.expect("as made here");
        let name = entry.path().expect("as made here").to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("as made here");
        files.insert(
            name.strip_prefix("weir-report-delays/").expect("as made here").to_owned(),
            text,
        );
    }
    files
}

#[test]
fn a_report_holds_what_helps_and_none_of_the_planted_secrets() {
    let mut planted =
        job("delays", "Running", &[("Degraded", "True", "kafka://bob:canary-1@k is gone")]);
    planted["spec"]["sql"] = json!(
        "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'properties.sasl.jaas.config' = 'x \
         password=\"canary-2\";', 'password' = 'canary-3')"
    );
    planted["spec"]["deep"] = json!({
        "passwd": ["canary-14", 1], "args": ["--token", "canary-15"], "config": "a: 1\npwd: |\n  canary-16\n",
    });
    planted["spec"]["workers"] = json!({"env": [{"name": "GREETING", "value": "canary-4"}]});
    planted["metadata"]["annotations"] = json!({
        "kubectl.kubernetes.io/last-applied-configuration": "{\"greeting\":\"canary-5\"}",
        "api-token": "canary-6",
    });
    let mut worker = pod(1, "Running");
    worker["spec"]["containers"][0]["env"] = json!([
        {"name": "DSN", "value": "canary-7"}, {"name": "WEIR_LOG", "value": "weir=info"},
    ]);
    worker["status"]["containerStatuses"][0]["restartCount"] = json!(1);
    let event = json!({
        "involvedObject": {"kind": "StreamJob", "name": "delays"}, "metadata": {}, "reason": "Failed",
        "message": "Authorization: Bearer canary-8-canary-8 was refused", "type": "Warning",
    });
    let view = JobView { failure: "login with canary-7 failed".into(), ..JobView::default() };
    let snapshot = Snapshot { job: view, ..Snapshot::default() };
    let failures = json!([{"message": "token=canary-9 is too old"}]);
    let mut fake = Fake::new()
        .has("get streamjobs.weir.dev/delays *", &planted)
        .lists("get pods *", &[worker])
        .forbids("get statefulsets.apps *", "statefulsets.apps")
        .lists("get events *", &[event])
        .forwards(
            "delays-0123abcd-1",
            coordinates(&snapshot, &[("/v1/failures", failures.to_string())]),
        );
    let before = concat!(
        "2026-01-01T00:00:00Z thread panicked: canary-4\n",
        "2026-01-01T00:00:00Z connect { password: Some(\"canary-12\"), url: \"a://b:c/canary-13@d\" }\n",
        "2026-01-01T00:00:00Z -----BEGIN RSA PRIVATE KEY-----\n",
        "2026-01-01T00:00:00Z Proc-Type: 4,ENCRYPTED\n",
        "2026-01-01T00:00:00Z \n",
        "2026-01-01T00:00:00Z canarycanarycanarycanary\n",
        "2026-01-01T00:00:00Z -----END RSA PRIVATE KEY-----\n",
    );
    let now = concat!(
        r#"2026-01-01T00:00:01Z {"fields":{"message":"said hello to canary-4","password":"canary-10"}}"#,
        "\n2026-01-01T00:00:02Z the key is AKIAIOSFODNN7CANARY1 and eyJhbGciOiJIUzI1.canary.eleven\n",
    );
    fake = fake
        .prints("logs pod/delays-0123abcd-1 *--previous*", before)
        .prints("logs pod/delays-0123abcd-1 *", now);
    let file = fake.folder().join("report.tar.gz");
    let said = fake.weir(&["report", "delays", "-o", &file.display().to_string()]).well();
    assert!(said.out.contains("secrets are taken out as far as they can be told"), "{said:?}");
    assert!(
        said.err.contains("not read: statefulsets.json: Error from server (Forbidden)"),
        "{said:?}"
    );
    let files = unpacked(&file);
    let expected = [
        "checkpoints.json",
        "events.json",
        "failures.json",
        "history.json",
        "job.json",
        "logs/delays-0123abcd-1.log",
        "logs/delays-0123abcd-1.previous.log",
        "operations.json",
        "pods.json",
        "report.json",
        "snapshot.json",
    ];
    assert_eq!(files.keys().collect::<Vec<_>>(), expected);
    for (name, text) in &files {
        assert!(!text.to_lowercase().contains("canary"), "{name}: {text}");
    }
    let kept = |name: &str| serde_json::from_str::<Value>(&files[name]).unwrap();
    assert_eq!(kept("job.json")["status"]["lastCheckpoint"]["epoch"], 12);
    assert!(kept("job.json")["spec"]["sql"].as_str().unwrap().contains("'connector' = 'kafka'"));
    assert_eq!(kept("snapshot.json")["job"]["failure"], "login with *** failed");
    assert_eq!(kept("report.json")["missing"].as_array().map(Vec::len), Some(1));
    assert!(files["logs/delays-0123abcd-1.log"].contains("said hello to ***"));
}

#[test]
fn a_report_of_a_job_that_is_not_there_is_none_and_says_what_to_do() {
    let nothing = || {
        Fake::new()
            .lists("*get pods *", &[])
            .lists("*get statefulsets*", &[])
            .lists("*get events*", &[])
    };
    let fake = nothing();
    let file = fake.folder().join("report.tar.gz");
    let file = file.display().to_string();
    let said = fake.weir(&["report", "none", "-n", "shop", "-o", &file]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.starts_with("none: no such job is in namespace shop"), "{said:?}");
    assert!(said.err.contains("`kubectl weir list -A`"), "{said:?}");
    let said = fake.weir(&["report", "none", "-o", &file]);
    assert!(said.err.contains("in the namespace of the current context"), "{said:?}");
    assert!(!Path::new(&file).exists());
    // What a job left behind is worth a report.
    let left = Fake::new().lists("*get pods *", &[pod(1, "Running")]).prints("logs *", "");
    let said = left.weir(&["report", "delays", "-o", &file]).well();
    assert!(said.err.contains("not read: job.json"), "{said:?}");
    let hidden = nothing().forbids("*get streamjobs*", "streamjobs.weir.dev");
    let said = hidden.weir(&["report", "delays", "-o", "never.tar.gz"]);
    assert!(said.code == Some(1) && said.err.contains("nothing of it could be read"), "{said:?}");
    assert!(said.err.contains("(Forbidden)"), "{said:?}");
}
