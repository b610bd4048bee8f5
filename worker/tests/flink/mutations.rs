//! Texts that are nearly scripts: whatever is written, planning ends soon, with a plan or with what
//! is wrong, and needs no more memory than the text is worth.
//!
//! `MUTATIONS=100000 cargo test -p weir --test flink mutated` tries more; `MUTATIONS_FIRST` says
//! where to begin. `MUTATIONS=1` with `--nocapture` shows its text.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use weir_engine::env::instant;
use weir_sql::PlanOptions;

use crate::independence::setting;
use crate::{folder, scripts};

/// Longer than any of these texts takes on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// What planning may hold beyond what other tests of this process do, in KiB.
const MEMORY: u64 = 1 << 20;
/// As threads have it.
const STACK: usize = 2 << 20;

/// Words, numbers, quoted texts, spaces and signs.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| match first {
            c if c.is_alphanumeric() || c == '_' => 0,
            c if c.is_whitespace() => 1,
            _ => 2,
        } == match c {
            c if c.is_alphanumeric() || c == '_' => 0,
            c if c.is_whitespace() => 1,
            _ => 3,
        };
        let end = match first {
            '\'' | '`' => rest[1..].find(first).map_or(rest.len(), |at| at + 2),
            _ => rest.find(|c| !same(c)).unwrap_or(rest.len()).max(first.len_utf8()),
        };
        let (token, behind) = rest.split_at(end);
        tokens.push(token);
        rest = behind;
    }
    tokens
}

/// What breaks numbers, quotes and nesting.
const ODD: [&str; 30] = [
    "(",
    ")",
    "'",
    "`",
    "\"",
    ",",
    ";",
    ".",
    "*",
    "-",
    "/*",
    "--",
    "NULL",
    "0",
    "-1",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "1e400",
    "0.00000000000000000001",
    "99999999999999999999999999999999999999999",
    "''",
    "'\u{1F600}'",
    "ß",
    "[",
    "]",
    "{1000000000}",
    " NOT ",
    " INTERVAL '999999999' YEAR ",
    "\0",
];

/// A text that a seed makes of one script and pieces of another.
fn mutated(one: &[&str], other: &[&str], rng: &mut StdRng) -> String {
    let mut tokens: Vec<String> = one.iter().map(|&token| token.to_owned()).collect();
    for _ in 0..rng.random_range(1..4) {
        if tokens.is_empty() {
            break;
        }
        let at = rng.random_range(0..tokens.len());
        let end = (at + rng.random_range(1..12)).min(tokens.len());
        match rng.random_range(0..12) {
            0 => drop(tokens.drain(at..end)),
            1 => tokens.insert(at, ODD[rng.random_range(0..ODD.len())].to_owned()),
            2 => tokens[at] = ODD[rng.random_range(0..ODD.len())].to_owned(),
            3 | 4 => {
                let from = rng.random_range(0..other.len());
                let to = (from + rng.random_range(1..20)).min(other.len());
                tokens.splice(at..end, other[from..to].iter().map(|&token| token.to_owned()));
            }
            5 => tokens[at] = other[rng.random_range(0..other.len())].to_owned(),
            6 => {
                let piece = tokens[at..end].to_vec();
                let times = [1, 2, 30, 500][rng.random_range(0..4)];
                tokens.splice(at..at, std::iter::repeat_n(piece, times).flatten());
            }
            7 => {
                let deep = [1, 5, 150, 3_000][rng.random_range(0..4)];
                let (open, close) = [
                    ("(", ")"),
                    ("NOT (", ")"),
                    ("-(", ")"),
                    ("ARRAY[", "]"),
                    ("ROW(", ")"),
                    ("(SELECT ", ")"),
                    ("CASE WHEN ", " END"),
                    ("ABS(", ")"),
                    ("CAST(", " AS INT)"),
                    ("ARRAY<", ">"),
                    ("UPPER(", ")"),
                    ("(SELECT * FROM ", ")"),
                ][rng.random_range(0..12)];
                tokens.insert(end, close.repeat(deep));
                tokens.insert(at, open.repeat(deep));
            }
            8 => {
                let to = rng.random_range(0..tokens.len());
                tokens.swap(at, to);
            }
            9 => tokens.truncate(at),
            _ => {
                let token = &tokens[at];
                let mut chars: Vec<char> = token.chars().collect();
                let place = rng.random_range(0..chars.len().max(1));
                let odd = ['0', '9', '-', '\'', 'x', ' ', '\u{e9}'][rng.random_range(0..7)];
                match chars.get_mut(place) {
                    Some(c) => *c = odd,
                    None => chars.push(odd),
                }
                tokens[at] = chars.into_iter().collect();
            }
        }
    }
    let mut text = tokens.concat();
    // Longer ones say nothing new and take their time.
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at < 60_000).last();
    text.truncate(end.unwrap_or_default());
    text
}

/// The most that this process has held, in KiB, where the system tells.
fn most_held() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

#[test]
fn mutated_texts_never_panic_hang_or_exhaust_memory() {
    let part = std::env::var("FLINK_SCRIPT").ok();
    let scripts = scripts(part.as_deref());
    let all: Vec<_> = scripts.iter().map(|script| tokens(&script.text)).collect();
    let (first, count) = (setting("MUTATIONS_FIRST", 0), setting("MUTATIONS", 20_000));
    let (next, planned) = (AtomicU64::new(first), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let before = most_held();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let lane = || {
                let options = PlanOptions::new("default/script", 24, folder());
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let mut rng = StdRng::seed_from_u64(seed);
                    let mut any = || &all[rng.random_range(0..all.len())];
                    let (one, other) = (any(), any());
                    let text = mutated(one, other, &mut rng);
                    if count == 1 {
                        // An overflow of the stack leaves no time to say so afterwards.
                        println!("{text}");
                    }
                    let began = instant();
                    let plan = || weir_sql::plan(&text, &options).map(|_| ());
                    let ended = catch_unwind(AssertUnwindSafe(plan));
                    let took = began.elapsed();
                    planned.fetch_add(usize::from(matches!(ended, Ok(Ok(())))), Ordering::Relaxed);
                    let problem = match ended {
                        Err(_) => "panics".to_owned(),
                        Ok(_) if took > SOON => format!("takes {took:?}"),
                        Ok(Err(errors)) if errors.is_empty() => "is refused silently".to_owned(),
                        Ok(_) => continue,
                    };
                    wrong.lock().expect("whole").push(format!("seed {seed} {problem}:\n{text}"));
                }
            };
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, lane).expect("runs");
        }
    });
    let wrong = wrong.into_inner().expect("whole");
    assert!(wrong.is_empty(), "{} texts\n\n{}", wrong.len(), wrong.join("\n\n"));
    let planned = planned.into_inner() as u64;
    assert!(planned * 200 > count, "only {planned} of {count} could be planned: nothing is tried");
    if let (Some(before), Some(after)) = (before, most_held()) {
        assert!(after < before + MEMORY, "planning held {} KiB", after - before);
    }
}
