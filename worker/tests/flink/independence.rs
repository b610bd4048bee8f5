//! Every script again in the simulator: the final rows depend on the input alone, whatever the
//! parallelism, the sizes of batches, what is in memory, and whatever dies or moves meanwhile.
//!
//! A seed decides all of that (`weir_sim`): one to five subtasks on three workers, rescales on the
//! way, killed and stopped workers and coordinators, lost answers, a store that lies, state tables
//! that leave memory after every turn, one to seven rows at once or all.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use weir_sim::bug::InjectedBug;
use weir_sim::external::ExternalSystem;
use weir_sim::run::{RunSpec, run_job};

use crate::run::{Outcome, add_files};
use crate::simulated::Simulated;
use crate::{Script, fold, not_yet, scripts};

/// Scripts whose rows Flink leaves open, and why; `script: reason` a line.
const OPEN: &str = include_str!("open.txt");

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What a script's final rows are in the run of this seed.
fn simulate(script: &Script, seed: u64) -> Result<Outcome, String> {
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let external = Arc::new(ExternalSystem::default());
    let job = Simulated::new(&script.text, home.path(), &external, seed)?;
    let spec = RunSpec { seed, calm: false, bug: InjectedBug::None };
    run_job(Arc::new(job), Arc::clone(&external), spec).map_err(|error| error.to_string())?;
    let printed: String = external
        .visible()
        .into_iter()
        .map(|(lines, times)| lines.repeat(usize::try_from(times).unwrap_or_default()))
        .collect();
    let mut rows = fold::fold(&printed)?;
    add_files(&mut rows, home.path(), Path::new("out"));
    Ok(Outcome::Rows(rows))
}

/// What is wrong with a script's rows in the run of this seed, if anything.
fn problem(script: &Script, seed: u64) -> Option<String> {
    let expected = script.expected().ok()?;
    if !matches!(expected, Outcome::Rows(_)) {
        return None;
    }
    match simulate(script, seed) {
        Ok(found) => expected.difference(&found),
        Err(problem) => Some(problem),
    }
}

/// The seeds of a script begin where no other's do, so that one run of all meets many.
fn seed(script: &Script, n: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    script.name.hash(&mut hasher);
    hasher.finish() % 100_000 + n
}

/// `INDEPENDENCE_SEEDS` runs each script under so many seeds; `INDEPENDENCE_FIRST` says where to
/// begin, `FLINK_SCRIPT` chooses scripts by a part of their name.
#[test]
fn rows_depend_on_the_input_alone() {
    let part = std::env::var("FLINK_SCRIPT").ok();
    let (first, count) = (setting("INDEPENDENCE_FIRST", 0), setting("INDEPENDENCE_SEEDS", 1));
    let open: BTreeMap<&str, &str> = OPEN.lines().filter_map(|l| l.split_once(": ")).collect();
    let not_yet = not_yet();
    let runs = |name: &str| !open.contains_key(name) && !not_yet.contains_key(name);
    let scripts: Vec<_> =
        scripts(part.as_deref()).into_iter().filter(|script| runs(&script.name)).collect();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let seeds = (first..first + count).map(|n| seed(script, n));
                    let mut found = seeds.filter_map(|n| Some((n, problem(script, n)?)));
                    if let Some((seed, problem)) = found.next() {
                        let others = found.count();
                        wrong.lock().expect("whole").insert(
                            script.name.clone(),
                            format!("seed {seed} (and {others} others): {problem}"),
                        );
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("whole");
    let shown: Vec<_> = wrong.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    assert!(wrong.is_empty(), "{} scripts:\n\n{}", wrong.len(), shown.join("\n"));
}
