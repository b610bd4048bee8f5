//! The programs under test: chosen by the environment, else built as the rest of the workspace is.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use crate::cache;
use crate::job::repository;

/// The `weir` program: `$WEIR_BIN`, else built with the profile that this program was built with.
///
/// # Errors
/// When it cannot be built.
pub fn weir() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    chosen_or_built("WEIR_BIN", "weir", &BUILT)
}

/// The `weir-operator` program: `$WEIR_OPERATOR_BIN`, else built like [`weir`].
///
/// # Errors
/// When it cannot be built.
pub fn operator() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    chosen_or_built("WEIR_OPERATOR_BIN", "weir-operator", &BUILT)
}

/// The plugin of `kubectl`: `$WEIR_PLUGIN_BIN`, else built like [`weir`].
///
/// # Errors
/// When it cannot be built.
pub fn plugin() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    chosen_or_built("WEIR_PLUGIN_BIN", "kubectl-weir", &BUILT)
}

fn chosen_or_built(variable: &str, name: &str, built: &OnceLock<PathBuf>) -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os(variable) {
        return Ok(PathBuf::from(chosen));
    }
    if let Some(built) = built.get() {
        return Ok(built.clone());
    }
    // Either target/PROFILE/deps/test-… or target/PROFILE/bench.
    let me = std::env::current_exe()?;
    let profile = me
        .ancestors()
        .find(|folder| folder.ends_with("debug") || folder.ends_with("release"))
        .with_context(|| format!("{} is not in a target folder", me.display()))?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_package(&mut build);
    // Of the whole workspace, as its tests are: for one package cargo would ask for fewer features of
    // shared dependencies, and compile most of them again.
    build.args(["build", "--quiet", "--workspace", "--bin", name]);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    cache::run(build.current_dir(repository()))?;
    let binary = profile.join(name);
    ensure!(binary.exists(), "cargo did not build {}", binary.display());
    Ok(built.get_or_init(|| binary).clone())
}

/// Takes away what cargo tells a test about its own package. Build scripts of dependencies depend on
/// these variables: a cargo that saw them would compile whatever stands on such a dependency again.
pub fn forget_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let known = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| known.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}
