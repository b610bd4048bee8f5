//! What the scenarios measure: one line a figure, printed where it arises and again at the end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How often each fault strikes and each change is made: `WEIR_E2E_TRIES`, otherwise 10.
pub(crate) fn tries() -> usize {
    std::env::var("WEIR_E2E_TRIES").ok().and_then(|tries| tries.parse().ok()).unwrap_or(10)
}

/// Durations of one kind.
pub(crate) struct Figure {
    what: &'static str,
    tries: Vec<Duration>,
}

impl Figure {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, tries: Vec::new() }
    }

    pub(crate) fn add(&mut self, try_took: Duration) {
        self.tries.push(try_took);
    }

    /// Prints it, and keeps it for [`print_all`].
    pub(crate) fn done(self) {
        let line = format!("{}: {}", self.what, summary(self.tries));
        println!("  {line}");
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// Prints every figure of the run.
pub(crate) fn print_all() {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    if !lines.is_empty() {
        println!("\nfigures of this run\n  {}", lines.join("\n  "));
    }
}

fn summary(mut tries: Vec<Duration>) -> String {
    tries.sort_unstable();
    let Some(worst) = tries.last() else { return "no try".to_owned() };
    // Of n tries, the smallest that is not exceeded by this share of them.
    let at = |percent: usize| tries[(tries.len() * percent).div_ceil(100).max(1) - 1].as_secs_f64();
    let (p50, p90, worst) = (at(50), at(90), worst.as_secs_f64());
    format!("p50 {p50:.2} s, p90 {p90:.2} s, worst {worst:.2} s of {} tries", tries.len())
}
