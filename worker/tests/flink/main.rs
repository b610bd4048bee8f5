//! Flink SQL scripts give the rows that Flink 2.3 gives: see README.md of this folder.

mod fold;
mod independence;
mod mutations;
mod paced;
mod run;
mod simulated;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use run::{Outcome, run};

/// Of all scripts together: most of a script's time is waiting.
const AT_ONCE: usize = 8;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flink")
}

/// A script and what is to come of it.
struct Script {
    /// `topic/name`.
    name: String,
    path: PathBuf,
    text: String,
}

impl Script {
    /// Whether Weir means to differ from Flink here; the script's first line says why.
    fn differs(&self) -> bool {
        self.text.starts_with("-- differs: ")
    }

    /// What Flink gave, or what Weir means to give instead.
    fn expected(&self) -> Result<Outcome, String> {
        let flink = self.recorded("")?;
        match (self.differs(), self.recorded("weir.")) {
            (false, Ok(_)) => {
                Err("has rows of its own, but does not begin with \"-- differs: why\"".into())
            }
            (false, Err(_)) => Ok(flink),
            (true, Ok(weir)) if weir != flink => Ok(weir),
            (true, Ok(_)) => Err("is said to differ, but its own rows are Flink's".into()),
            (true, Err(missing)) => Err(missing),
        }
    }

    fn recorded(&self, whose: &str) -> Result<Outcome, String> {
        let read =
            |end: &str| fs::read_to_string(self.path.with_extension(format!("{whose}{end}")));
        match (read("rows"), read("error")) {
            (Ok(rows), Err(_)) => Ok(Outcome::rows(&rows)),
            (Err(_), Ok(error)) => Outcome::error(&error),
            (Err(_), Err(_)) => {
                Err(format!("no recording: .{whose}rows or .{whose}error is missing"))
            }
            (Ok(_), Ok(_)) => Err(format!("two recordings: .{whose}rows and .{whose}error")),
        }
    }
}

/// Scripts below the folder, or those alone whose name has this part.
fn scripts(part: Option<&str>) -> Vec<Script> {
    let entries =
        |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path());
    let mut scripts = Vec::new();
    for path in entries(&folder()).filter(|path| path.is_dir()).flat_map(|topic| entries(&topic)) {
        if path.extension().is_none_or(|end| end != "sql") {
            continue;
        }
        let name = path.strip_prefix(folder()).expect("below it").with_extension("");
        let name = name.to_str().expect("a name of letters").to_owned();
        if part.is_none_or(|part| name.contains(part)) {
            let text = fs::read_to_string(&path).expect("readable");
            scripts.push(Script { name, path, text });
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    scripts
}

/// `topic/name: reason` a line.
fn not_yet() -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join("not_yet.txt")).expect("the list");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let known = lines.map(|line| {
        let (name, reason) = line.split_once(": ").expect("a script, a colon and the reason");
        (name.to_owned(), reason.to_owned())
    });
    known.collect()
}

/// What is wrong with a script, if anything.
fn problem(script: &Script, reason: Option<&String>) -> Option<String> {
    let found = run(&script.text);
    let expected = match script.expected() {
        Ok(expected) => expected,
        Err(wrong) => return Some(format!("{wrong}\n{}", found.describe())),
    };
    match (expected.difference(&found), reason) {
        (None, None) | (Some(_), Some(_)) => None,
        (Some(difference), None) => Some(difference),
        (None, Some(_)) => Some("runs: take it off not_yet.txt".to_owned()),
    }
}

/// `FLINK_SCRIPT` chooses scripts by a part of their name.
#[test]
fn scripts_give_the_rows_that_flink_gives() {
    let part = std::env::var("FLINK_SCRIPT").ok();
    let scripts = scripts(part.as_deref());
    assert!(!scripts.is_empty(), "no script has {part:?} in its name");
    let not_yet = not_yet();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(problem) = problem(script, not_yet.get(&script.name)) {
                        wrong.lock().expect("whole").insert(script.name.clone(), problem);
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("whole");
    for name in not_yet.keys().filter(|_| part.is_none()) {
        if !scripts.iter().any(|script| script.name == *name) {
            wrong.insert(name.clone(), "is on not_yet.txt, but there is no such script".to_owned());
        }
    }
    let shown: Vec<_> = wrong.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} scripts:\n\n{}",
        wrong.len(),
        scripts.len(),
        shown.join("\n")
    );
}

/// Longer than any script here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
