//! Images: those of the cluster itself, and those under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use super::Tools;
use crate::cache;
use crate::job::repository;
use crate::programs;

/// The image of `weir` under test.
pub const WORKER_IMAGE: &str = "weir.test/weir:e2e";
/// The image of the operator under test.
pub const OPERATOR_IMAGE: &str = "weir.test/weir-operator:e2e";

/// Archives of what a cluster runs by itself.
pub(super) struct System {
    pub(super) pause: PathBuf,
    pub(super) dns: PathBuf,
}

pub(super) fn system(tools: &Tools) -> Result<System> {
    let source = repository().join("e2e/cluster/pause.c");
    let made_of = cache::fingerprint(&[source.clone(), tools.coredns.clone()])?;
    let folder = cache::folder(&format!("cluster-images-{made_of}"), |folder| {
        let pause = folder.join("pause");
        cache::run(Command::new("cc").args(["-static", "-Os", "-o"]).arg(&pause).arg(&source))?;
        pack("weir.test/pause:1", &folder.join("pause.tar"), &pause, "pause")?;
        pack("weir.test/coredns:1", &folder.join("coredns.tar"), &tools.coredns, "coredns")
    })?;
    Ok(System { pause: folder.join("pause.tar"), dns: folder.join("coredns.tar") })
}

/// Archives of the programs under test.
pub(super) struct Programs {
    _folder: TempDir,
    pub(super) archives: [PathBuf; 2],
}

/// Packs the programs under test as they are built now.
pub(super) fn programs() -> Result<Programs> {
    let (weir, operator) = (programs::weir()?, programs::operator()?);
    let folder = TempDir::with_prefix("weir-images-")?;
    let archives = [folder.path().join("weir.tar"), folder.path().join("weir-operator.tar")];
    pack(WORKER_IMAGE, &archives[0], &weir, "weir")?;
    pack(OPERATOR_IMAGE, &archives[1], &operator, "weir-operator")?;
    Ok(Programs { _folder: folder, archives })
}

/// Packs a program, whatever its file is called, as `/usr/local/bin/INSIDE`.
pub(super) fn pack(name: &str, archive: &Path, program: &Path, inside: &str) -> Result<()> {
    let script = repository().join("e2e/images/pack.sh");
    let program = format!("{}:/usr/local/bin/{inside}", program.display());
    cache::run(Command::new(script).arg(name).arg(archive).arg(program))?;
    Ok(())
}
