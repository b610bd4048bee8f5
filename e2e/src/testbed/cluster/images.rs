//! Images: those of the cluster itself, and those under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Tools;
use crate::cache;
use crate::job::{repository, weir_binary};

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
    let folder = cache::folder("cluster-images-1", |folder| {
        let pause = folder.join("pause");
        cache::run(Command::new("cc").args(["-static", "-Os", "-o"]).arg(&pause).arg(&source))?;
        pack("weir.test/pause:1", &folder.join("pause.tar"), &pause)?;
        pack("weir.test/coredns:1", &folder.join("coredns.tar"), &tools.coredns)
    })?;
    Ok(System { pause: folder.join("pause.tar"), dns: folder.join("coredns.tar") })
}

/// Archives of the programs under test, as they are built now.
pub(super) fn programs() -> Result<Vec<PathBuf>> {
    let weir = weir_binary()?;
    let folder = std::env::temp_dir().join(format!("weir-images-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut archives = vec![folder.join("weir.tar")];
    pack(WORKER_IMAGE, &archives[0], &weir)?;
    if let Some(operator) = operator_binary(&weir)? {
        archives.push(folder.join("weir-operator.tar"));
        pack(OPERATOR_IMAGE, &archives[1], &operator)?;
    }
    Ok(archives)
}

/// `$WEIR_OPERATOR_BIN`, else built with the profile that built `weir`.
fn operator_binary(weir: &Path) -> Result<Option<PathBuf>> {
    if let Some(chosen) = std::env::var_os("WEIR_OPERATOR_BIN") {
        return Ok(Some(PathBuf::from(chosen)));
    }
    if !repository().join("operator/Cargo.toml").exists() {
        return Ok(None);
    }
    let profile = weir.parent().context("weir is in no folder")?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--package", "weir-operator", "--bin", "weir-operator"]);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    cache::run(build.current_dir(repository()))?;
    let binary = profile.join("weir-operator");
    ensure!(binary.exists(), "cargo did not build {}", binary.display());
    Ok(Some(binary))
}

fn pack(name: &str, archive: &Path, program: &Path) -> Result<()> {
    let script = repository().join("e2e/images/pack.sh");
    cache::run(Command::new(script).arg(name).arg(archive).arg(program))?;
    Ok(())
}
