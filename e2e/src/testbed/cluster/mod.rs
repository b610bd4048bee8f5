//! A real Kubernetes of two nodes on one machine, each node in a network namespace of its own.
//!
//! - **In**: a Debian machine with root, or `KUBECONFIG` of any cluster; `WEIR_E2E_NO_CLUSTER=1`
//!   for none.
//! - **Out**: [`Cluster`], with `kubectl`, `helm`, images on every node, and the faults that only
//!   a whole cluster has.
//! - **Always**: one cluster a machine at a time, others wait; its name stands in a file before
//!   a thing is made; it is taken down with its owner, by whatever death that dies; the
//!   machine's own firewall and routes stay as they are.
//! - **Deliberately absent**: cgroup v2, enforced NetworkPolicies, attached volumes.
//!
//! ```text
//!   this machine        node 0: weir-e2e-0                      node 1: weir-e2e-1
//!   10.250.0.1 ──────── 10.250.0.2  etcd, API server, S3,       10.250.1.2
//!     tests              │          Kafka, kubelet …             │  kubelet, containerd, proxy
//!                        └── 10.250.1.1 ─────────────────────────┘
//!                       pods 10.244.0.0/24                      pods 10.244.1.0/24
//! ```

pub mod checkers;
mod control_plane;
mod images;
mod install;
mod kubectl;
mod network;
mod node;
mod stage;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::{NamedTempFile, TempPath};

use crate::cache;
use crate::job::repository;
use crate::process::{Process, wait_for};
use crate::testbed::Place;

pub use checkers::{Checkers, GitOps, Health};
pub use images::{OPERATOR_IMAGE, WORKER_IMAGE};
pub use install::{Tools, ensure_installed};
pub use kubectl::{Kubectl, condition, is_true};
pub use network::{API_SERVER, HOST, Node};
pub use stage::{Namespace, READY, RELEASE, Stage};

/// Where the cluster lives while it is up. One a machine: its addresses are fixed.
const FOLDER: &str = "/var/lib/weir-e2e";
const LOCK: &str = "/var/lib/weir-e2e.lock";
const NODES: u8 = 2;
/// What the chart leaves behind so that jobs outlive it.
pub const DEFINITION: &str = "streamjobs.weir.dev";

/// What the environment asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// A cluster made for this run.
    Own,
    /// The cluster of this kubeconfig.
    Existing(PathBuf),
    /// None: what needs one is skipped, and says so.
    Nothing,
}

impl Wanted {
    /// Reads `WEIR_E2E_NO_CLUSTER` and `KUBECONFIG`.
    #[must_use]
    pub fn from_environment() -> Self {
        let no = std::env::var_os("WEIR_E2E_NO_CLUSTER").is_some_and(|no| !no.is_empty());
        match std::env::var_os("KUBECONFIG") {
            _ if no => Self::Nothing,
            Some(file) if !file.is_empty() => Self::Existing(file.into()),
            _ => Self::Own,
        }
    }
}

/// A cluster that answers, with DNS.
#[derive(Debug)]
pub struct Cluster {
    tools: Tools,
    kubeconfig: PathBuf,
    made: Option<Made>,
    /// The kubeconfig, when it is a copy of someone else's.
    _copy: Option<TempPath>,
}

/// What has to go with the owner. Fields are dropped in this order.
#[derive(Debug)]
struct Made {
    _watchdog: Watchdog,
    daemons: Vec<Process>,
    _lock: File,
}

/// Takes the cluster down when its standard input ends: at our drop, or our death.
#[derive(Debug)]
struct Watchdog(Child);

impl Watchdog {
    /// `lock` is held by it too, so that nobody starts a cluster before this one is gone.
    fn start(folder: &Path, lock: &File) -> Result<Self> {
        // A session of its own: whoever kills ours must not kill it.
        let child = Command::new("setsid")
            .arg("bash")
            .arg(down_script())
            .arg(folder)
            .arg("when-closed")
            .stdin(Stdio::piped())
            .stdout(lock.try_clone()?)
            .stderr(Stdio::null())
            .spawn()
            .context("start the cluster's watchdog")?;
        Ok(Self(child))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn down_script() -> PathBuf {
    repository().join("e2e/cluster/down.sh")
}

impl Cluster {
    /// Brings up what is [`Wanted`]; `None` when that is nothing.
    ///
    /// # Errors
    /// When it cannot be installed, built or started; the message holds the daemons' last words.
    pub fn start() -> Result<Option<Self>> {
        match Wanted::from_environment() {
            Wanted::Nothing => Ok(None),
            Wanted::Existing(kubeconfig) => Self::join(&kubeconfig).map(Some),
            Wanted::Own => Self::make().map(Some),
        }
    }

    fn join(kubeconfig: &Path) -> Result<Self> {
        let tools = ensure_installed(false)?;
        // A copy, since tests choose a namespace in it; whole, wherever its certificates are.
        let copy = NamedTempFile::with_prefix("weir-kubeconfig-")?;
        let whole = ["kubectl", "config", "view", "--raw", "--flatten", "--minify"];
        let mut view = Command::new(&tools.kubernetes);
        let text = cache::run(view.args(whole).env("KUBECONFIG", kubeconfig))?;
        fs::write(copy.path(), text)?;
        let cluster = Self {
            tools,
            kubeconfig: copy.path().to_owned(),
            made: None,
            _copy: Some(copy.into_temp_path()),
        };
        cluster.kubectl().run(&["get", "nodes"]).context("the cluster of KUBECONFIG")?;
        let used = cluster.kubectl().run(&["get", "crd", DEFINITION, "--ignore-not-found"])?;
        ensure!(
            used.is_empty(),
            "the cluster of KUBECONFIG has Weir already: the tests would replace it. Take another \
             cluster, or, if nobody uses it there: `helm uninstall {RELEASE} -n {RELEASE}; kubectl \
             delete crd {DEFINITION}`"
        );
        Ok(cluster)
    }

    /// Takes what the scenarios installed out of a cluster that stays.
    ///
    /// # Errors
    /// When something holds it.
    pub fn leave(&self) -> Result<()> {
        if self.is_own() {
            return Ok(());
        }
        let kubectl = self.kubectl();
        let release = ["uninstall", RELEASE, "-n", RELEASE, "--ignore-not-found", "--wait"];
        self.helm(&release)?;
        for (kind, name) in [("namespace", RELEASE), ("crd", DEFINITION)] {
            kubectl.run(&["delete", kind, name, "--ignore-not-found", "--timeout=120s"])?;
        }
        Ok(())
    }

    fn make() -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a cluster of its own needs root: run as root, set KUBECONFIG to use another one, or \
             WEIR_E2E_NO_CLUSTER=1 to go without"
        );
        let tools = ensure_installed(true)?;
        let lock = File::create(LOCK).with_context(|| format!("create {LOCK}"))?;
        lock.lock().with_context(|| format!("wait for {LOCK}: another cluster is up"))?;
        let folder = Path::new(FOLDER);
        // What a machine that lost its power left behind.
        cache::run(Command::new("bash").arg(down_script()).arg(folder))?;
        fs::create_dir_all(folder).with_context(|| format!("create {FOLDER}"))?;
        let nodes: Vec<Node> = (0..NODES).map(Node).collect();
        for node in &nodes {
            node.refuse_to_share()?;
        }
        let names: String = nodes.iter().map(Node::names).collect();
        fs::write(folder.join("names"), names)?;
        let watchdog = Watchdog::start(folder, &lock)?;
        let made = Made { _watchdog: watchdog, daemons: Vec::new(), _lock: lock };
        let kubeconfig = folder.join("kubeconfig");
        let mut cluster = Self { tools, kubeconfig, made: Some(made), _copy: None };
        cluster.bring_up(folder, &nodes).map_err(|error| match daemons_last_words(folder) {
            Ok(words) => error.context(words),
            Err(_) => error,
        })?;
        Ok(cluster)
    }

    fn bring_up(&mut self, folder: &Path, nodes: &[Node]) -> Result<()> {
        let system = images::system(&self.tools)?;
        for node in nodes {
            node.connect()?;
        }
        let mut daemons = control_plane::start(folder, &self.tools)?;
        for node in nodes {
            daemons.extend(node.start(folder, &self.tools)?);
            if *node == Node(0) {
                node.wait_for_kubelet()?;
            }
        }
        if let Some(made) = &mut self.made {
            made.daemons = daemons;
        }
        for node in nodes {
            node.import(folder, &system.pause)?;
        }
        Node(0).import(folder, &system.dns)?;
        let kubectl = self.kubectl();
        let dns = repository().join("e2e/cluster/dns.yaml");
        kubectl.run(&["apply", "-f", &dns.display().to_string()])?;
        wait_for("nodes to join", Duration::from_secs(60), || {
            let joined = kubectl.run(&["get", "nodes", "-o", "name"])?;
            Ok(joined.lines().count() == nodes.len())
        })?;
        kubectl.run(&["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s"])?;
        kubectl.run(&[
            "-n",
            "kube-system",
            "rollout",
            "status",
            "deploy/coredns",
            "--timeout=60s",
        ])?;
        Ok(())
    }

    /// Whether it was made for this run: only such a cluster loses nodes and containers.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.made.is_some()
    }

    /// Where servers run that its pods reach: inside node 0 of a cluster of its own. For a
    /// cluster of `KUBECONFIG`, `WEIR_E2E_HOST` is this machine's address as pods know it.
    ///
    /// # Errors
    /// When `WEIR_E2E_HOST` is needed and not set.
    pub fn server_place(&self) -> Result<Place> {
        if self.is_own() {
            return Ok(Place::node(Node(0)));
        }
        let host = std::env::var("WEIR_E2E_HOST").context(
            "pods of the cluster of KUBECONFIG must reach this machine: set WEIR_E2E_HOST to its \
             address as they know it, such as that of kind's bridge",
        )?;
        Ok(Place::address(&host))
    }

    /// Its kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `kubectl`, without a namespace.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.tools.kubernetes, &self.kubeconfig)
    }

    /// Runs Helm.
    ///
    /// # Errors
    /// What Helm says.
    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        let mut helm = Command::new(&self.tools.helm);
        helm.args(arguments).env("KUBECONFIG", &self.kubeconfig);
        cache::run(&mut helm)
    }

    /// Puts the images of `weir` and of the operator on every node, built first if need be.
    ///
    /// # Errors
    /// When a program cannot be built or an image cannot be imported.
    pub fn load_images(&self) -> Result<()> {
        let programs = images::programs()?;
        programs.archives.iter().try_for_each(|archive| self.load_image(archive))
    }

    /// Puts an image archive on every node. For a cluster of `KUBECONFIG`,
    /// `WEIR_E2E_LOAD_IMAGE` holds the command that does it, such as `kind load image-archive`.
    ///
    /// # Errors
    /// When it cannot be imported.
    pub fn load_image(&self, archive: &Path) -> Result<()> {
        if self.is_own() {
            return (0..NODES).try_for_each(|i| Node(i).import(Path::new(FOLDER), archive));
        }
        let Ok(command) = std::env::var("WEIR_E2E_LOAD_IMAGE") else {
            bail!(
                "the cluster of KUBECONFIG has no {}: set WEIR_E2E_LOAD_IMAGE to the command that \
                 loads an image archive, such as 'kind load image-archive'",
                archive.display()
            );
        };
        let mut words = command.split_whitespace();
        let program = words.next().context("WEIR_E2E_LOAD_IMAGE is empty")?;
        cache::run(Command::new(program).args(words).arg(archive))?;
        Ok(())
    }

    /// Cuts a node off from everything, or lets it back. Node 0 holds the control plane and is
    /// never cut off.
    ///
    /// # Errors
    /// When the cluster is not ours.
    pub fn partition(&self, node: Node, away: bool) -> Result<()> {
        ensure!(self.is_own(), "only a cluster of its own is partitioned");
        ensure!(node.0 > 0, "node 0 holds the control plane");
        node.set_connected(!away)
    }

    /// Ids, on this machine, of all processes in a container, its supervisor included.
    ///
    /// # Errors
    /// When the pod has no such container or the cluster is not ours.
    pub fn container_processes(&self, namespace: &str, pod: &str) -> Result<Vec<u32>> {
        ensure!(self.is_own(), "containers of another cluster run elsewhere");
        let path = "{.status.containerStatuses[0].containerID} {.spec.nodeName}";
        let kubectl = self.kubectl().in_namespace(namespace);
        let text = kubectl.run(&["get", "pod", pod, "-o", &format!("jsonpath={path}")])?;
        let (id, node) = text.trim().split_once(' ').with_context(|| format!("'{text}'"))?;
        let id = id.rsplit('/').next().unwrap_or(id);
        Node::named(node)?.processes_of_container(id)
    }
}

/// The ends of the daemons' logs.
fn daemons_last_words(folder: &Path) -> Result<String> {
    let mut words = String::new();
    for node in 0..NODES {
        for entry in fs::read_dir(folder.join(node.to_string()).join("log"))? {
            let path = entry?.path();
            let text = fs::read_to_string(&path)?;
            let lines: Vec<_> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(6)..].join("\n");
            words.push_str(&format!("--- {}\n{last}\n", path.display()));
        }
    }
    Ok(words)
}
