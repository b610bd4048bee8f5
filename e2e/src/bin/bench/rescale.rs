//! Save the manifest with another parallelism; how long does output pause?

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::live::Live;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rescales.
    #[arg(long, default_value_t = 20)]
    tries: u32,
    /// Worker processes; 0: one process.
    #[arg(long, default_value_t = 2)]
    workers: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut live = Live::start(2, arguments.workers)?;
    let mut pauses = Vec::new();
    for (parallelism, _) in [4, 2].into_iter().cycle().zip(0..arguments.tries) {
        live.wait_for_windows(20, Duration::from_secs(60))?;
        let saved = Instant::now();
        let seen = live.run.log().matches("rescaled ").count();
        live.job.set_parallelism(parallelism)?;
        weir_e2e::process::wait_for("the line 'rescaled …'", Duration::from_secs(60), || {
            Ok(live.run.log().matches("rescaled ").count() > seen)
        })?;
        live.wait_for_windows(10, Duration::from_secs(60))?;
        pauses.push(live.longest_gap(saved - Duration::from_millis(300)));
    }
    super::print_spread("longest gap in output around a rescale (0.1 s is the calm gap)", pauses);
    Ok(())
}
