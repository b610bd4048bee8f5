//! A kubectl that is a script, and pods that are threads of a test.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use weir_protocol::view::Snapshot;

/// A cluster as `kubectl` shows it.
pub(crate) struct Fake {
    folder: PathBuf,
    files: u32,
}

impl Fake {
    /// One that answers nothing.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("kubectl-weir-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("rules"), "").expect("written");
        fs::write(folder.join("calls"), "").expect("written");
        Self { folder, files: 0 }
    }

    /// Calls whose arguments fit a pattern of the shell do this; the first rule that fits counts.
    pub(crate) fn does(mut self, pattern: &str, script: &str) -> Self {
        self.add(pattern, script);
        self
    }

    fn add(&mut self, pattern: &str, script: &str) {
        let file = self.folder.join("rules");
        let mut rules = fs::read_to_string(&file).expect("rules");
        let pattern = pattern.replace(' ', "\\ ");
        writeln!(rules, "case \"$*\" in {pattern}) {script}\nexit 0;; esac").expect("a text");
        fs::write(file, rules).expect("written");
    }

    /// They print this.
    pub(crate) fn prints(mut self, pattern: &str, text: &str) -> Self {
        let file = self.file(text);
        self.add(pattern, &format!("cat '{}'", file.display()));
        self
    }

    /// They print this object.
    pub(crate) fn has(self, pattern: &str, object: &Value) -> Self {
        self.prints(pattern, &object.to_string())
    }

    /// They print these objects as a list.
    pub(crate) fn lists(self, pattern: &str, objects: &[Value]) -> Self {
        self.prints(pattern, &json!({"items": objects}).to_string())
    }

    /// They are refused.
    pub(crate) fn forbids(self, pattern: &str, what: &str) -> Self {
        let resource = what.split(' ').next().unwrap_or_default();
        let words = format!(
            "Error from server (Forbidden): {what} is forbidden: User \"ann\" cannot use resource \
             \"{resource}\" in API group \"\" in the namespace \"shop\""
        );
        self.does(pattern, &format!("echo '{words}' >&2; exit 1"))
    }

    /// A way to this pod ends at a port of this machine.
    pub(crate) fn forwards(self, pod: &str, port: u16) -> Self {
        let script = format!("echo 'Forwarding from 127.0.0.1:{port} -> 7104'; exec sleep 30");
        self.does(&format!("*port-forward pod/{pod} *"), &script)
    }

    /// A file that rules may name.
    pub(crate) fn file(&mut self, text: &str) -> PathBuf {
        self.files += 1;
        let file = self.folder.join(format!("file-{}", self.files));
        fs::write(&file, text).expect("written");
        file
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The plugin, to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugin/bin");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-weir"));
        command.args(arguments).env("PATH", path).env("FAKE", &self.folder).stdin(Stdio::null());
        command
    }

    /// Runs the plugin.
    pub(crate) fn weir(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().expect("it starts"))
    }

    /// Whether none of the kubectls that were called so far runs any more.
    pub(crate) fn is_at_rest(&self) -> bool {
        let processes = fs::read_to_string(self.folder.join("processes")).unwrap_or_default();
        processes.lines().all(|id| {
            // One that has ended and whose parent has not asked yet runs no more.
            let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        })
    }

    /// What kubectl was called with so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder.join("calls")).expect("calls");
        calls.lines().map(str::to_owned).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What the plugin said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code() }
    }

    /// It ended well.
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("JSON")
    }
}

/// A pod's page: what it answers to paths; to others that nothing was done.
pub(crate) fn page(status: &'static str, answers: &[(&'static str, String)]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let answers = answers.to_vec();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 1024];
            let n = stream.read(&mut request).expect("a request");
            let request = String::from_utf8_lossy(&request[..n]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let body = answers.iter().find(|(of, _)| *of == path).map_or("[]", |(_, body)| body);
            // Whoever asked may have gone.
            let _ = write!(stream, "HTTP/1.0 {status}\r\n\r\n{body}");
        }
    });
    port
}

/// The page of a pod that coordinates.
pub(crate) fn coordinates(snapshot: &Snapshot, more: &[(&'static str, String)]) -> u16 {
    let snapshot = ("/v1/snapshot", serde_json::to_string(snapshot).expect("a snapshot"));
    page("200 OK", &[&[snapshot], more].concat())
}

/// The page of a pod that does not.
pub(crate) fn follows() -> u16 {
    let says = ("/v1/snapshot", "coordinated by another\n".to_owned());
    page("503 Service Unavailable", &[says])
}

/// A worker pod of `delays` in this phase.
pub(crate) fn pod(ordinal: u32, phase: &str) -> Value {
    json!({
        "metadata": {
            "name": format!("delays-0123abcd-{ordinal}"), "namespace": "shop",
            "uid": format!("uid-{ordinal}"), "labels": {"weir.dev/job": "delays"},
        },
        "spec": {"containers": [{"name": "worker", "image": "weir:0.1.0"}]},
        "status": {
            "phase": phase,
            "containerStatuses": match phase {
                "Running" => json!([{"name": "worker", "restartCount": 0, "state": {"running": {}}}]),
                _ => json!([]),
            },
        },
    })
}

/// A job whose conditions have these statuses and messages.
pub(crate) fn job(name: &str, state: &str, conditions: &[(&str, &str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(type_, status, message)| {
            json!({
                "type": type_, "status": status, "reason": "Why", "message": message,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "StreamJob",
        "metadata": {
            "name": name, "namespace": "shop", "generation": 3, "uid": "4be0",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"sql": "SELECT 1", "parallelism": 2, "desiredState": "Running"},
        "status": {
            "observedGeneration": 3, "state": state, "conditions": conditions, "restarts": 1,
            "parallelism": {"actual": 2}, "workers": {"ready": 2, "replicas": 2},
            "coordinator": {"pod": "delays-0123abcd-1", "process": "p", "restarts": 0},
            "revisions": {"current": "0123abcd", "target": "0123abcd"},
            "lastCheckpoint": {"epoch": 12, "time": "2026-01-01T00:00:00Z"},
        },
    })
}
