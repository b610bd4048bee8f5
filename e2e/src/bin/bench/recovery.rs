//! Kill a worker's process; how long until the job says something new?

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tokio::time::Instant;
use weir_e2e::process::{signal, wait_for};

use super::live::Live;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Kills.
    #[arg(long, default_value_t = 20)]
    tries: u32,
    /// Worker processes, and subtasks.
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// Which worker is killed: 0 coordinates.
    #[arg(long, default_value_t = 1)]
    ordinal: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.ordinal < arguments.workers, "there is no such worker");
    let mut live = Live::start(arguments.workers, arguments.workers)?;
    let mut seconds = Vec::new();
    for _ in 0..arguments.tries {
        live.wait_for_windows(30, Duration::from_secs(60))?;
        let victim = live.run.worker(arguments.ordinal);
        let victim = victim.context("no worker process of that ordinal")?;
        let killed = Instant::now();
        signal(victim, Signal::KILL)?;
        // The window that was just being written may still come; one further than the next
        // needs the watermark of the killed worker's subtasks.
        let (_, before) = live.newest().context("output")?;
        let mut first = None;
        wait_for("new output", Duration::from_secs(60), || {
            first = live.since(killed).into_iter().filter(|(_, window)| *window > before).nth(2);
            Ok(first.is_some())
        })?;
        seconds.push(first.context("output")?.0.duration_since(killed).as_secs_f64());
    }
    super::print_spread("kill of a worker → third new window (each 0.1 s long)", seconds);
    Ok(())
}
