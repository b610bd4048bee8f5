//! Records what Flink 2.3 gives for the SQL scripts of `worker/tests/flink`, each beside its script:
//!
//! ```text
//! cargo run -p weir-e2e --bin record                 # scripts without a recording
//! cargo run -p weir-e2e --bin record -- joins        # those whose path has this part
//! cargo run -p weir-e2e --bin record -- --all        # all of them; git shows what has changed
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;
use weir_e2e::job::repository;
use weir_e2e::oracle::flink;

const RUNNER: &str = include_str!("../../../flink/FlinkScripts.java");

#[derive(Parser)]
#[command(about = "Records what Flink gives for the SQL scripts of worker/tests/flink")]
struct Arguments {
    /// Parts of paths: scripts that have one are recorded, whether they were before or not.
    parts: Vec<String>,
    /// Every script.
    #[arg(long)]
    all: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = repository().join("worker/tests/flink");
    let scripts = scripts(&folder)?;
    let wanted: Vec<&str> = scripts
        .iter()
        .map(String::as_str)
        .filter(|script| {
            let named = arguments.parts.iter().any(|part| script.contains(part.as_str()));
            let is_new = arguments.parts.is_empty() && recordings(&folder, script).is_empty();
            arguments.all || named || is_new
        })
        .collect();
    if wanted.is_empty() {
        bail!("no script to record in {}", folder.display());
    }
    // Scripts read "in/…" and write "out/…", both seen from where Flink runs.
    let scratch = tempfile::tempdir()?;
    for topic in fs::read_dir(&folder)?.flatten().filter(|entry| entry.path().is_dir()) {
        std::os::unix::fs::symlink(topic.path(), scratch.path().join(topic.file_name()))?;
    }
    let answers = scratch.path().join("answers");
    let answers_name = answers.to_str().context("a folder's name is not UTF-8")?;
    let mut given = vec![answers_name];
    given.extend(&wanted);
    flink::run_java("FlinkScripts.java", RUNNER, scratch.path(), &given)?;
    for script in wanted {
        let found = recordings(&answers, script);
        let [answer] = found.as_slice() else {
            bail!("Flink's answer to {script} is missing");
        };
        for old in recordings(&folder, script) {
            fs::remove_file(old)?;
        }
        let to = folder.join(answer.strip_prefix(&answers)?);
        fs::copy(answer, &to).with_context(|| format!("write {}", to.display()))?;
        let text = fs::read_to_string(answer)?;
        let is_error = answer.extension().is_some_and(|end| end == "error");
        let outcome = if is_error {
            text.trim_end().to_owned()
        } else {
            format!("{} rows", text.lines().count())
        };
        println!("{script}: {outcome}");
    }
    Ok(())
}

/// Scripts as `topic/name.sql`, sorted.
fn scripts(folder: &Path) -> Result<Vec<String>> {
    let mut scripts = Vec::new();
    for topic in fs::read_dir(folder)?.flatten().filter(|entry| entry.path().is_dir()) {
        for file in fs::read_dir(topic.path())?.flatten() {
            let path = file.path();
            if path.extension().is_some_and(|end| end == "sql") {
                let name = path.strip_prefix(folder)?.to_str().context("not UTF-8")?;
                scripts.push(name.to_owned());
            }
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// What is recorded of a script below a folder: one file, or none.
fn recordings(folder: &Path, script: &str) -> Vec<PathBuf> {
    let path = folder.join(script);
    ["rows", "error"]
        .map(|end| path.with_extension(end))
        .into_iter()
        .filter(|p| p.exists())
        .collect()
}
