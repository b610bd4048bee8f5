//! What a cluster needs: Debian's packages, and programs built from their Go modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Checkers, GitOps};
use crate::cache;
use crate::job::repository;

/// The Go module that pins what no distribution ships. One, so that the programs share the
/// libraries of Kubernetes: built apart, each would compile its own version of them.
const PROGRAMS: &str = "e2e/cluster/programs";

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
    // One after the other: each build takes all processors, and the later ones find most of what
    // they need compiled.
    let kubernetes = program("kubernetes", "./kubernetes")?;
    let helm = program("helm", "helm.sh/helm/v3/cmd/helm")?;
    let coredns = program("coredns", "./coredns")?;
    Checkers::install()?;
    GitOps::install()?;
    Ok(Tools { kubernetes, helm, coredns })
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

/// Builds a program of the module, unless it is there.
pub(super) fn program(name: &str, package: &str) -> Result<PathBuf> {
    let module = repository().join(PROGRAMS);
    let source = module.join(package).join("main.go");
    let mut files = vec![module.join("go.mod"), module.join("go.sum"), module.join("build.sh")];
    files.extend(source.exists().then_some(source));
    let folder = cache::folder(&format!("{name}-{}", cache::fingerprint(&files)?), |folder| {
        eprintln!("building {name}; Kubernetes itself takes 8 minutes on 2 cores, the rest one");
        let mut build = Command::new(module.join("build.sh"));
        build.arg("-o").arg(std::path::absolute(folder)?.join(name)).arg(package);
        cache::run(&mut build).map(drop)
    })?;
    Ok(folder.join(name))
}
