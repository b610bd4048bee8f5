//! A job's workers as their pods start them, as processes of this machine without Kubernetes.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::cache;
use crate::job::Manifest;
use crate::process::{Process, free_port};
use crate::programs;

/// The workers of one job; they end with it.
#[derive(Debug)]
pub struct Workers {
    folder: TempDir,
    job: String,
    ports: Vec<[u16; 4]>,
    running: Vec<Option<Process>>,
}

impl Workers {
    /// Starts a worker for each subtask of a job, whose state is in a folder of its own.
    ///
    /// # Errors
    /// When the manifest is wrong or the program cannot be started.
    pub fn start(mut manifest: Manifest) -> Result<Self> {
        ensure!(manifest.root.is_none(), "the workers' state is in their folder");
        let folder = TempDir::with_prefix("weir-workers-")?;
        manifest.root = Some(folder.path().join("state").display().to_string());
        fs::write(folder.path().join("job.yaml"), manifest.yaml()?)?;
        let ports = || Ok([free_port()?, free_port()?, free_port()?, free_port()?]);
        let ports: Vec<_> = (0..manifest.parallelism).map(|_| ports()).collect::<Result<_>>()?;
        let running = ports.iter().map(|_| None).collect();
        let mut workers = Self { folder, job: manifest.name, ports, running };
        (0..workers.ports.len()).try_for_each(|pod| workers.restart(pod))?;
        Ok(workers)
    }

    /// What the pod of a worker would be called.
    #[must_use]
    pub fn pod(&self, pod: usize) -> String {
        format!("{}-r1-{pod}", self.job)
    }

    /// Where a worker answers `/metrics`, `host:port`.
    #[must_use]
    pub fn http(&self, pod: usize) -> String {
        address(self.ports[pod][2])
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ports.len()
    }

    /// Kills a worker, if it runs.
    pub fn kill(&mut self, pod: usize) {
        self.running[pod] = None;
    }

    /// Starts a worker where there is none, as Kubernetes does a container that has ended.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self, pod: usize) -> Result<()> {
        self.kill(pod);
        let local = self.path(&format!("local-{pod}"));
        fs::create_dir_all(&local)?;
        let log = File::options().create(true).append(true).open(self.log_file(pod))?;
        let [control, exchange, http, page] = self.ports[pod].map(address);
        let mut command = Command::new(programs::weir()?);
        command
            .arg("worker")
            .env("WEIR_MANIFEST", self.path("job.yaml"))
            .env("WEIR_POD_NAME", self.pod(pod))
            .env("WEIR_REVISION", "r1")
            .env("WEIR_JOB_UID", "uid-1")
            .env("WEIR_COORDINATOR", address(self.ports[0][0]))
            .env("WEIR_CONTROL", control)
            .env("WEIR_EXCHANGE", exchange)
            .env("WEIR_HTTP", http)
            .env("WEIR_PAGE", page)
            .env("WEIR_LOCAL_DIR", local)
            .env("WEIR_MEMORY", "64MiB")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let name = format!("worker {pod}");
        self.running[pod] = Some(Process::start(&name, &mut command).context(name)?);
        Ok(())
    }

    /// The last that each worker has written.
    #[must_use]
    pub fn logs(&self) -> String {
        let logs = (0..self.count()).map(|pod| {
            let text = fs::read_to_string(self.log_file(pod)).unwrap_or_default();
            format!("{}:\n{}\n", self.pod(pod), cache::tail(&text))
        });
        logs.collect()
    }

    fn log_file(&self, pod: usize) -> std::path::PathBuf {
        self.path(&format!("{pod}.log"))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
