//! One script on the `weir` program, in a folder of its own where `in` is the suite's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use weir_engine::env::instant;

use crate::fold::{self, Rows};
use crate::{LIMIT, folder};

/// What comes of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The final rows.
    Rows(Rows),
    /// It was not started; why.
    Refused(String),
    /// It ended with an error; which.
    Failed(String),
}

impl Outcome {
    /// Rows as they are recorded, one a line.
    pub(crate) fn rows(recorded: &str) -> Self {
        let mut rows = Rows::new();
        for line in recorded.lines() {
            *rows.entry(line.to_owned()).or_default() += 1;
        }
        Self::Rows(rows)
    }

    /// An error as it is recorded: `refused: why` or `failed: why`.
    pub(crate) fn error(recorded: &str) -> Result<Self, String> {
        match recorded.trim_end().split_once(": ") {
            Some(("refused", why)) => Ok(Self::Refused(why.to_owned())),
            Some(("failed", why)) => Ok(Self::Failed(why.to_owned())),
            _ => {
                Err("the recorded error begins with neither \"refused: \" nor \"failed: \"".into())
            }
        }
    }

    /// How `found` differs from this. Errors are alike whatever they say.
    pub(crate) fn difference(&self, found: &Self) -> Option<String> {
        match (self, found) {
            (Self::Rows(expected), Self::Rows(found)) => {
                fold::difference(expected, found).map(|rows| format!("other rows\n{rows}"))
            }
            (Self::Refused(_), Self::Refused(_)) | (Self::Failed(_), Self::Failed(_)) => None,
            (expected, found) => Some(format!(
                "not as expected\n  expected {}\n  found {}",
                expected.describe(),
                found.describe()
            )),
        }
    }

    /// In a few lines.
    pub(crate) fn describe(&self) -> String {
        let indented = |text: &str| text.trim_end().replace('\n', "\n    ");
        match self {
            Self::Rows(rows) => {
                let shown: Vec<_> = rows.keys().take(20).map(String::as_str).collect();
                format!("rows\n    {}", shown.join("\n    "))
            }
            Self::Refused(why) => format!("refused: {}", indented(why)),
            Self::Failed(why) => format!("failed: {}", indented(why)),
        }
    }
}

/// Runs a script to its end.
pub(crate) fn run(script: &str) -> Outcome {
    let home = tempfile::tempdir().expect("a folder");
    symlink(folder().join("in"), home.path().join("in")).expect("made");
    let indented: String = script.lines().map(|line| format!("    {line}\n")).collect();
    let manifest = format!(
        "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {{name: script}}\nspec:\n  \
         parallelism: 1\n  sql: |\n{indented}"
    );
    fs::write(home.path().join("job.yaml"), manifest).expect("written");
    let create = |name: &str| fs::File::create(home.path().join(name)).expect("made");
    let mut job = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args([
            "run",
            "--no-color",
            "--retries",
            "1",
            "--memory",
            "64MiB",
            "--state",
            "state",
            "job.yaml",
        ])
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(create("printed"))
        .stderr(create("said"))
        .spawn()
        .expect("weir starts");
    let deadline = instant() + LIMIT;
    let code = loop {
        if let Some(status) = job.try_wait().expect("it can be asked") {
            break status.code();
        }
        if instant() > deadline {
            job.kill().expect("it ends");
            job.wait().expect("it ended");
            break None;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap_or_default();
    match code {
        Some(0) => match fold::fold(&read("printed")) {
            Ok(mut rows) => {
                add_files(&mut rows, home.path(), Path::new("out"));
                Outcome::Rows(rows)
            }
            Err(wrong) => Outcome::Failed(wrong),
        },
        Some(2) => Outcome::Refused(read("said")),
        Some(_) => Outcome::Failed(read("said")),
        None => Outcome::Failed(format!("did not end in {LIMIT:?}")),
    }
}

/// The lines of visible files, each behind the folder that it is in.
pub(crate) fn add_files(rows: &mut Rows, home: &Path, below: &Path) {
    for entry in fs::read_dir(home.join(below)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_hidden = name.to_string_lossy().starts_with(['.', '_']);
        if is_hidden {
            // Staged by a writer that is gone.
            continue;
        }
        if entry.path().is_dir() {
            add_files(rows, home, &below.join(name));
        } else {
            let text = fs::read_to_string(entry.path()).expect("lines of text");
            for line in text.lines() {
                *rows.entry(format!("{}: {line}", below.display())).or_default() += 1;
            }
        }
    }
}
