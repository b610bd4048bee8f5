//! Pods of one job as processes on loopback, with a local state root.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use weir_coordinator::grpc::GrpcConnect;
use weir_protocol::control::{
    BeginReply, CoordinatorReport, Operation, PlanReply, PlanRequest, ReportRequest,
    TerminateRequest, WorkerReport, operation,
};

/// Nothing here takes longer, unless it never ends.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A job's pods. Dropping it ends every process.
pub(crate) struct Pods {
    pub(crate) folder: TempDir,
    ports: Vec<[u16; 3]>,
    running: Vec<Option<Child>>,
    environment: Vec<(String, String)>,
}

/// A port that nobody listens at, below those that the kernel gives to whoever asks for any: a
/// connection of a test beside this one would take such a port before its pod listens.
fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u32 = 5_000;
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // Processes that test side by side begin far from each other.
    let start = std::process::id().wrapping_mul(7919);
    let mut ports = (0..COUNT).map(|_| {
        let offset = start.wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed)) % COUNT;
        FIRST + u16::try_from(offset).unwrap_or_default()
    });
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port")
}

/// UID of a pod.
pub(crate) fn pod_uid(pod: usize) -> String {
    format!("pod-{pod}")
}

/// Numbers, each written to a file once: `rows` of them, or without an end.
pub(crate) fn manifest(
    folder: &Path,
    parallelism: u32,
    per_second: u32,
    rows: Option<u64>,
) -> String {
    let kind = match rows {
        Some(rows) => {
            format!("'kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{rows}'")
        }
        None => "'kind' = 'random', 'fields.n.min' = '1', 'fields.n.max' = '9'".to_owned(),
    };
    let kind = kind.replace("'kind'", "'fields.n.kind'");
    let folder = folder.display();
    format!(
        "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {{name: numbers}}
spec:
  parallelism: {parallelism}
  state:
    root: {folder}/state
    checkpoint: {{interval: 500ms}}
  sql: |
    CREATE TABLE numbers (n BIGINT) WITH (
      'connector' = 'datagen', 'rows-per-second' = '{per_second}',
      {kind});
    CREATE TABLE seen (n BIGINT) WITH (
      'connector' = 'filesystem', 'path' = '{folder}/out', 'format' = 'json',
      'sink.rolling-policy.rollover-interval' = '200 ms',
      'sink.rolling-policy.check-interval' = '100 ms');
    INSERT INTO seen SELECT n FROM numbers;
"
    )
}

impl Pods {
    /// Places for `count` pods of the job that `manifest` describes.
    pub(crate) fn new(count: usize, manifest: impl FnOnce(&Path) -> String) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("job.yaml"), manifest(folder.path())).expect("written");
        Self {
            folder,
            ports: (0..count).map(|_| [free_port(), free_port(), free_port()]).collect(),
            running: (0..count).map(|_| None).collect(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn control(&self, pod: usize) -> String {
        format!("127.0.0.1:{}", self.ports[pod][0])
    }

    /// Starts `weir worker` or `weir pod` in the place of a pod.
    pub(crate) fn start(&mut self, pod: usize, command: &str) {
        let local = self.path(&format!("local-{pod}"));
        fs::create_dir_all(&local).expect("made");
        let log = File::options().create(true).append(true).open(self.path(&format!("{pod}.log")));
        let [control, exchange, http] = self.ports[pod].map(|port| format!("127.0.0.1:{port}"));
        let child = Command::new(env!("CARGO_BIN_EXE_weir"))
            .arg(command)
            .env("WEIR_MANIFEST", self.path("job.yaml"))
            .env("WEIR_POD_NAME", format!("numbers-r1-{pod}"))
            .env("WEIR_POD_UID", pod_uid(pod))
            .env("WEIR_REVISION", "r1")
            .env("WEIR_JOB_UID", "uid-1")
            .env("WEIR_COORDINATOR", self.control(0))
            .env("WEIR_CONTROL", control)
            .env("WEIR_EXCHANGE", exchange)
            .env("WEIR_HTTP", http)
            .env("WEIR_LOCAL_DIR", local)
            .env("WEIR_TERMINATION_LOG", self.path(&format!("last-words-{pod}")))
            .env("WEIR_LOG", "info")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("weir starts");
        self.running[pod] = Some(child);
    }

    /// A new pod in the place of one that is gone: other addresses, and nothing remembered.
    pub(crate) fn replace(&mut self, pod: usize, command: &str) {
        self.ports[pod] = [free_port(), free_port(), free_port()];
        fs::remove_dir_all(self.path(&format!("local-{pod}"))).expect("removed");
        self.start(pod, command);
    }

    pub(crate) fn start_all(&mut self, command: &str) {
        (0..self.ports.len()).for_each(|pod| self.start(pod, command));
    }

    /// SIGKILL to the process of the pod itself.
    pub(crate) fn kill(&mut self, pod: usize) {
        if let Some(mut child) = self.running[pod].take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    /// The worker below a pod's supervisor.
    pub(crate) fn worker_below(&self, pod: usize) -> Option<i32> {
        let parent = self.running[pod].as_ref()?.id();
        let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        listed.split_whitespace().next()?.parse().ok()
    }

    /// How the pod's process ended.
    pub(crate) async fn ended(&mut self, pod: usize) -> ExitStatus {
        let child = self.running[pod].as_mut().expect("it was started");
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = child.try_wait().expect("it can be asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "the pod still runs");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn process(&self, pod: usize) -> i32 {
        let child = self.running[pod].as_ref().expect("it was started");
        i32::try_from(child.id()).expect("a process id")
    }

    pub(crate) fn last_words(&self, pod: usize) -> String {
        fs::read_to_string(self.path(&format!("last-words-{pod}"))).unwrap_or_default()
    }

    pub(crate) fn log(&self, pod: usize) -> String {
        fs::read_to_string(self.path(&format!("{pod}.log"))).unwrap_or_default()
    }

    pub(crate) async fn report(&self, pod: usize) -> Option<WorkerReport> {
        let connect = GrpcConnect::new(&self.control(pod));
        let asked =
            async { connect.worker().await.ok()?.report(ReportRequest::default()).await.ok() };
        Some(timeout(Duration::from_secs(2), asked).await.ok()??.into_inner())
    }

    /// What the pod says as coordinator.
    pub(crate) async fn coordinating(&self, pod: usize) -> Option<CoordinatorReport> {
        self.report(pod).await?.coordinating
    }

    /// The report in which `is` holds of the coordinator.
    pub(crate) async fn until(
        &self,
        pod: usize,
        what: &str,
        is: impl Fn(&CoordinatorReport) -> bool,
    ) -> CoordinatorReport {
        let found = eventually(what, async || self.coordinating(pod).await.filter(|c| is(c))).await;
        assert!(found.is_some(), "never {what}:\n{}", self.log(pod));
        found.expect("what was just looked at")
    }

    pub(crate) async fn begin(
        &self,
        pod: usize,
        id: &str,
        term: u64,
        kind: operation::Kind,
    ) -> String {
        let mut client = GrpcConnect::new(&self.control(pod)).worker().await.expect("it answers");
        let asked = Operation { id: id.into(), term, kind: Some(kind) };
        let BeginReply { refused } = client.begin(asked).await.expect("it answers").into_inner();
        refused
    }

    pub(crate) async fn plan(&self, pod: usize, manifest: &str) -> PlanReply {
        let mut client = GrpcConnect::new(&self.control(pod)).worker().await.expect("it answers");
        let manifest = manifest.to_owned();
        client.plan(PlanRequest { manifest }).await.expect("it answers").into_inner()
    }

    /// Tells a process that the pod of this UID is being deleted. Returns why it stays.
    pub(crate) async fn terminate(&self, pod: usize, pod_uid: &str) -> String {
        let mut client = GrpcConnect::new(&self.control(pod)).worker().await.expect("it answers");
        let request = TerminateRequest { pod_uid: pod_uid.into() };
        client.terminate(request).await.expect("it answers").into_inner().refused
    }

    /// Status code and body of a page.
    pub(crate) fn get(&self, pod: usize, path: &str) -> (u16, String) {
        use std::io::{Read, Write};
        let address = format!("127.0.0.1:{}", self.ports[pod][2]);
        let Ok(mut stream) = std::net::TcpStream::connect(address) else {
            return (0, String::new());
        };
        write!(stream, "GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        let code = text.split_whitespace().nth(1).and_then(|c| c.parse().ok()).unwrap_or(0);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (code, body.to_owned())
    }

    /// Committed numbers, sorted; repeated ones stay repeated.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self
            .files()
            .iter()
            .flat_map(|file| {
                let text = fs::read_to_string(file).expect("readable");
                let rows = text.lines().map(|line| {
                    let row: serde_json::Value = serde_json::from_str(line).expect("a row");
                    row["n"].as_u64().expect("a number")
                });
                rows.collect::<Vec<_>>()
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("out")).into_iter().flatten().flatten();
        let visible = entries.map(|e| e.path()).filter(|path| {
            path.is_file()
                && !path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(['.', '_']))
        });
        visible.collect()
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        for pod in 0..self.running.len() {
            // A supervisor's worker ends when its standard input does.
            self.kill(pod);
        }
    }
}

/// What `found` finds within the limit.
pub(crate) async fn eventually<T>(
    what: &str,
    mut found: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = found().await {
            return Some(found);
        }
        if Instant::now() > deadline {
            eprintln!("waited in vain for {what}");
            return None;
        }
        sleep(Duration::from_millis(20)).await;
    }
}
