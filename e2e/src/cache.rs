//! The folder for downloads and derived data. Nothing in it is precious: whatever is missing is
//! made again, and two processes that make the same thing at once wait for each other.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// `$WEIR_TESTBED`, or `~/.cache/weir-testbed`.
///
/// # Errors
/// When there is no home directory or the folder cannot be made.
pub fn root() -> Result<PathBuf> {
    let root = match (std::env::var_os("WEIR_TESTBED"), std::env::var_os("HOME")) {
        (Some(chosen), _) => PathBuf::from(chosen),
        (None, Some(home)) => PathBuf::from(home).join(".cache/weir-testbed"),
        (None, None) => bail!("neither WEIR_TESTBED nor HOME is set"),
    };
    fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
    Ok(root)
}

/// The folder `name` of the cache, filled by `make` if it is not there yet.
///
/// `make` gets an empty folder beside the final one; only when it succeeds is that renamed, so
/// what exists is complete.
///
/// # Errors
/// Those of `make`, and of the file system.
pub fn folder(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let root = root()?;
    let done = root.join(name);
    if done.exists() {
        return Ok(done);
    }
    let lock_name = format!("{}.lock", name.replace('/', "-"));
    let lock =
        File::create(root.join(&lock_name)).with_context(|| format!("create {lock_name}"))?;
    lock.lock().with_context(|| format!("lock {lock_name}"))?;
    if done.exists() {
        return Ok(done);
    }
    let partial = root.join(format!("{}.partial", name.replace('/', "-")));
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    make(&partial).with_context(|| format!("make {}", done.display()))?;
    if let Some(parent) = done.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(&partial, &done).with_context(|| format!("rename to {}", done.display()))?;
    Ok(done)
}

/// A word that changes with the content of these files: part of the name of what is made of them.
///
/// # Errors
/// When one cannot be read.
pub fn fingerprint(files: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file).with_context(|| format!("read {}", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Like [`folder`], but `make` gets the final path: for what does not survive a rename, such as
/// a Python environment. A mark file says that it is complete.
///
/// # Errors
/// Those of `make`, and of the file system.
pub fn folder_in_place(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let root = root()?;
    let path = root.join(name);
    folder(&format!("{name}.complete"), |_| {
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        make(&path)
    })?;
    Ok(path)
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or fails; the message holds its last lines.
pub fn run(command: &mut Command) -> Result<String> {
    finish(command, None).map(|output| String::from_utf8_lossy(&output).into_owned())
}

/// Runs a command to its end, which reads `input`.
///
/// # Errors
/// Those of [`run`].
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Result<String> {
    finish(command, Some(input)).map(|output| String::from_utf8_lossy(&output).into_owned())
}

/// Runs a command to its end, which reads `input` and writes what is no text.
///
/// # Errors
/// Those of [`run`].
pub fn run_with_input_to(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    finish(command, Some(input))
}

fn finish(command: &mut Command, input: Option<&[u8]>) -> Result<Vec<u8>> {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {shown}"))?;
    // Beside it: a program that answers while it reads would wait for its reader otherwise.
    let output = std::thread::scope(|scope| {
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            // One that ends before it has read all says why itself.
            scope.spawn(move || drop(pipe.write_all(input)));
        }
        child.wait_with_output()
    })
    .with_context(|| format!("wait for {shown}"))?;
    if !output.status.success() {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} ended with {}:\n{}\n{}", output.status, tail(&stdout), tail(&stderr));
    }
    Ok(output.stdout)
}

/// The last lines of a text.
#[must_use]
pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A Python environment with the given packages.
///
/// # Errors
/// When Python 3 with `venv` is missing or a package cannot be installed.
pub fn python(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let home = folder_in_place(name, |home| {
        run(Command::new("python3").args(["-m", "venv"]).arg(home))?;
        run(Command::new(home.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(packages))?;
        Ok(())
    })?;
    Ok(home)
}
