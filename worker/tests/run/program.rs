//! Bounded programs that print: what their rows fold to.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::fold;

/// A program over files, in a folder of its own.
pub(crate) struct Program {
    folder: TempDir,
}

impl Program {
    /// A folder with these files, which tables read as `path`.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        for (name, rows) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, rows).expect("written");
        }
        Self { folder }
    }

    /// Runs a program to its end. Gives the rows that are there then, sorted, each as often as it
    /// is; whatever it printed must fold without a row going that is not there.
    pub(crate) fn rows(&self, parallelism: u32, sql: &str) -> Vec<String> {
        let indented: String = sql.lines().map(|line| format!("    {line}\n")).collect();
        let manifest = format!(
            "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {{name: program}}
spec:
  parallelism: {parallelism}
  state: {{checkpoint: {{interval: 100ms}}}}
  sql: |
{indented}"
        );
        fs::write(self.folder.path().join("job.yaml"), manifest).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["run", "--no-color", "--retries", "1", "--fresh", "--state", "st"]);
        command.arg("job.yaml").current_dir(self.folder.path()).stdin(Stdio::null());
        let output = command.output().expect("weir starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        sorted(&String::from_utf8_lossy(&output.stdout))
    }

    /// The lines of all files that a table wrote, sorted.
    pub(crate) fn written(&self, folder: &str) -> Vec<String> {
        let mut files = vec![self.folder.path().join(folder)];
        let mut lines = Vec::new();
        while let Some(path) = files.pop() {
            let hidden =
                path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(['.', '_']));
            if path.is_dir() {
                files.extend(fs::read_dir(path).expect("readable").flatten().map(|e| e.path()));
            } else if !hidden {
                let text = fs::read_to_string(path).expect("text");
                lines.extend(text.lines().map(ToOwned::to_owned));
            }
        }
        lines.sort();
        lines
    }

    /// As [`Program::rows`], with parallelism 1 and 2, which must agree.
    pub(crate) fn always(&self, sql: &str, expected: &[&str]) {
        for parallelism in [1, 2] {
            let rows = self.rows(parallelism, sql);
            assert_eq!(rows, expected, "with parallelism {parallelism}");
        }
    }
}

fn sorted(lines: &str) -> Vec<String> {
    // Of different subtasks rows may be printed before what they correct.
    let rows = fold(lines);
    assert!(rows.values().all(|count| *count >= 0), "a row went that was never there: {rows:?}");
    let often = |(row, count): (String, i64)| vec![row; usize::try_from(count).expect("checked")];
    rows.into_iter().flat_map(often).collect()
}
