//! What a cluster needs: Debian's packages, and programs built from their Go modules.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::ScopedJoinHandle;

use anyhow::{Context, Result, bail};

use super::Checkers;
use crate::cache;
use crate::job::repository;

const KUBERNETES: &str = "1.34.4";
const HELM: &str = "3.22.0";
const COREDNS: &str = "1.14.7";

/// A program, and the Debian package that ships it.
const PACKAGES: [(&str, &str); 10] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("etcd", "etcd-server"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("conntrack", "conntrack"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("openssl", "openssl"),
    ("cc", "build-essential"),
];

/// Programs that no distribution ships.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Every component of Kubernetes, and `kubectl`: the first argument chooses.
    pub kubernetes: PathBuf,
    /// Helm.
    pub helm: PathBuf,
    /// The cluster's DNS server.
    pub coredns: PathBuf,
}

/// Installs and builds what is missing. `own` asks also for what runs a cluster on this machine.
///
/// # Errors
/// When a package cannot be installed or a program cannot be built.
pub fn ensure_installed(own: bool) -> Result<Tools> {
    if own {
        install_packages()?;
    }
    // At once: downloads wait for the network, builds for the processor.
    let helm = || go_install("helm", HELM, "helm.sh/helm/v3/cmd/helm");
    let coredns = || go_install("coredns", COREDNS, "github.com/coredns/coredns");
    std::thread::scope(|scope| {
        let (helm, coredns) = (scope.spawn(helm), scope.spawn(coredns));
        let checkers = scope.spawn(Checkers::install);
        let kubernetes = kubernetes();
        joined(checkers)?;
        Ok(Tools { kubernetes: kubernetes?, helm: joined(helm)?, coredns: joined(coredns)? })
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| bail!("an installation panicked"))
}

fn install_packages() -> Result<()> {
    let missing: Vec<_> =
        PACKAGES.iter().filter(|(program, _)| !is_there(program)).map(|(_, p)| *p).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", missing.join(" "));
    cache::run(Command::new("apt-get").args(["update", "-qq"]))?;
    cache::run(
        Command::new("apt-get")
            .args(["install", "-qq", "-y", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .with_context(|| format!("a cluster of its own needs {}", missing.join(" ")))?;
    Ok(())
}

fn is_there(program: &str) -> bool {
    Path::new(program).is_absolute() && Path::new(program).exists()
        || std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path)
                .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
                .any(|folder| folder.join(program).exists())
        })
}

fn kubernetes() -> Result<PathBuf> {
    let folder = cache::folder(&format!("kubernetes-{KUBERNETES}"), |folder| {
        eprintln!("building Kubernetes {KUBERNETES}: about 6 minutes on 2 cores");
        let mut version = KUBERNETES.split('.');
        let (major, minor) = (version.next().unwrap_or("1"), version.next().unwrap_or("0"));
        let set = "-X k8s.io/component-base/version";
        cache::run(
            go("build")
                .arg("-ldflags")
                .arg(format!(
                    "-s -w {set}.gitVersion=v{KUBERNETES} {set}.gitMajor={major} {set}.gitMinor={minor}"
                ))
                .arg("-o")
                .arg(std::path::absolute(folder)?.join("kubernetes"))
                .arg(".")
                .current_dir(repository().join("e2e/cluster/kubernetes")),
        )?;
        Ok(())
    })?;
    Ok(folder.join("kubernetes"))
}

pub(super) fn go_install(name: &str, version: &str, module: &str) -> Result<PathBuf> {
    let folder = cache::folder(&format!("{name}-{version}"), |folder| {
        eprintln!("building {name} {version}: about 2 minutes on 2 cores");
        cache::run(
            go("install")
                .args(["-ldflags", "-s -w"])
                .arg(format!("{module}@v{version}"))
                .env("GOBIN", std::path::absolute(folder)?),
        )?;
        Ok(())
    })?;
    Ok(folder.join(name))
}

pub(super) fn go(what: &str) -> Command {
    let mut command = Command::new("go");
    command.args([what, "-trimpath"]).env("CGO_ENABLED", "0").stdin(Stdio::null());
    command
}
