//! The cost of checkpoints: the same input with none, one every ten seconds, one every second.

use std::time::Duration;

use anyhow::Result;
use weir_e2e::job::{Job, Manifest};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rows of the input; enough for some ten seconds.
    #[arg(long, default_value_t = 40_000_000)]
    rows: u64,
    /// Subtasks, and files of the input.
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
    /// Runs of each, in turn; the fastest counts.
    #[arg(long, default_value_t = 5)]
    runs: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { rows, parallelism, runs } = *arguments;
    let program = super::bids_count(&super::files(&super::bids(rows, parallelism)?));
    let intervals = [("none", 3600), ("every 10 s", 10), ("every 1 s", 1)];
    let mut least = [Duration::MAX; 3];
    // In turn, so that a slow minute of the machine does not fall on one of them.
    for _ in 0..runs {
        for (at, (_, seconds)) in intervals.iter().enumerate() {
            let interval = Duration::from_secs(*seconds);
            let manifest =
                Manifest { parallelism, interval, ..Manifest::new("overhead", &program) };
            let (_, cpu) = Job::new(manifest)?.start(0)?.finish_with_cpu()?;
            least[at] = least[at].min(cpu);
        }
    }
    println!("{:12} {:>10} {:>10}", "checkpoints", "CPU", "overhead");
    for ((name, _), cpu) in intervals.iter().zip(least) {
        let overhead = cpu.as_secs_f64() / least[0].as_secs_f64() - 1.0;
        println!("{name:12} {:>8.2} s {:>8.1} %", cpu.as_secs_f64(), overhead * 100.0);
    }
    Ok(())
}
