//! `kubectl weir` beside a kubectl that is a script and pods that are threads of this test.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use weir_protocol::view::{Finding, JobView, Severity, Snapshot};

/// A pod's page: what it answers to `/v1/snapshot`.
fn pod(status: &'static str, body: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 1024];
            let n = stream.read(&mut request).expect("a request");
            let is_snapshot =
                String::from_utf8_lossy(&request[..n]).starts_with("GET /v1/snapshot ");
            let body = if is_snapshot { body.as_str() } else { "[]" };
            write!(stream, "HTTP/1.0 {status}\r\n\r\n{body}").expect("answered");
        }
    });
    port
}

/// A kubectl that knows two pods of `delays`.
fn kubectl(folder: &Path, ports: [u16; 2]) {
    let [first, second] = ports;
    let script = format!(
        r#"#!/bin/sh
echo "$@" >>"{log}"
case "$*" in
  *"get pods"*weir.dev/job=delays,*)
    echo '{{"items": [{{"metadata": {{"name": "delays-1a-1"}}, "status": {{"phase": "Running"}}}},
      {{"metadata": {{"name": "delays-1a-0"}}, "status": {{"phase": "Running"}}}},
      {{"metadata": {{"name": "delays-1a-2"}}, "status": {{"phase": "Pending"}}}}]}}';;
  *"get pods"*weir.dev/job=secret,*) echo 'Error: pods is forbidden' >&2; exit 1;;
  *"get pods"*) echo '{{"items": []}}';;
  *"port-forward pod/delays-1a-0"*) echo "Forwarding from 127.0.0.1:{first} -> 7104"; exec sleep 30;;
  *"port-forward pod/delays-1a-1"*) echo "Forwarding from 127.0.0.1:{second} -> 7104"; exec sleep 30;;
esac
"#,
        log = folder.join("log").display()
    );
    let file = folder.join("kubectl");
    fs::write(&file, script).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("made a program");
}

fn weir(folder: &Path, arguments: &[&str]) -> Output {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a PATH"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-weir"));
    command.args(arguments).env("PATH", path).output().expect("it starts")
}

#[test]
fn status_finds_the_pod_that_coordinates_and_says_whether_the_job_is_well() {
    let folder = std::env::temp_dir().join(format!("kubectl-weir-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let finding = Finding {
        severity: Severity::Warning,
        place: "kafka flights".into(),
        cause: "is held back".into(),
        ..Finding::default()
    };
    let job = JobView { name: "delays".into(), state: "Running".into(), ..JobView::default() };
    let snapshot = Snapshot { job, findings: vec![finding], ..Snapshot::default() };
    let coordinates = pod("200 OK", serde_json::to_string(&snapshot).unwrap());
    let follows = pod("503 Service Unavailable", "coordinated by another\n".to_owned());
    kubectl(&folder, [follows, coordinates]);

    let shown = weir(&folder, &["status", "delays", "-n", "shop"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(text.starts_with("delays   Running"), "{text}");
    assert!(text.contains("▲ kafka flights is held back"), "{text}");
    assert_eq!(weir(&folder, &["status", "delays", "--check"]).status.code(), Some(4));
    let json = weir(&folder, &["status", "delays", "-o", "json"]);
    assert_eq!(serde_json::from_slice::<Snapshot>(&json.stdout).unwrap(), snapshot);
    let asked = fs::read_to_string(folder.join("log")).unwrap();
    assert!(asked.starts_with("--namespace=shop get pods "), "{asked}");

    for (name, says) in [("none", "no pod of such a job runs"), ("secret", "pods is forbidden")] {
        let refused = weir(&folder, &["status", name]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && text.contains(says), "{text}");
    }
    kubectl(&folder, [follows, follows]);
    let alone = weir(&folder, &["status", "delays"]);
    let text = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(
        text.contains("none of its 2 pods coordinates it now: coordinated by another"),
        "{text}"
    );
    fs::remove_dir_all(&folder).unwrap();
}
