//! The command line: what `weir` understands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Streaming jobs, exactly once and fast.
#[derive(Debug, Parser)]
#[command(name = "weir", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `weir` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a job on this machine, from its newest checkpoint if it has one.
    Run(RunArgs),
    /// Show what a job would do, and everything that is wrong with it.
    Plan(PlanArgs),
    /// Look at stored state.
    State(StateArgs),
    /// Run one worker process of a job; started by `weir run --workers` and by the operator.
    #[command(hide = true)]
    Worker(WorkerArgs),
}

/// `weir run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The job's manifest. Saving it with another parallelism rescales the running job.
    pub manifest: PathBuf,
    /// Run that many worker processes instead of one process for everything.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: Option<u32>,
    /// Where state is kept unless the manifest says so: a directory or s3://bucket/prefix.
    #[arg(long, value_name = "ROOT", default_value = ".weir")]
    pub state: String,
    /// Start over: forget the job's state. Output that is already visible stays.
    #[arg(long)]
    pub fresh: bool,
    /// Give up after that many errors of the program or its data in a row; 0 never gives up.
    /// What may mend itself, such as a store that is away, is tried again for ever.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub retries: u32,
    /// Memory for state, such as 512MiB; half of what the machine (or container) has otherwise.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// How to report progress.
    #[arg(short, long, value_enum, default_value_t = Report::Text)]
    pub output: Report,
    /// Never use colours or redraw lines.
    #[arg(long)]
    pub no_color: bool,
}

/// `weir plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The job's manifest.
    pub manifest: PathBuf,
    /// How to show the plan.
    #[arg(short, long, value_enum, default_value_t = Report::Text)]
    pub output: Report,
}

/// `weir state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What `weir state` does.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List the jobs under a root, or the versions of one job.
    Ls {
        /// `<root>` or `<root>/<namespace>/<name>`; a directory or s3://bucket/prefix.
        place: String,
        /// How to show it.
        #[arg(short, long, value_enum, default_value_t = Report::Text)]
        output: Report,
    },
    /// Show what one version of a job's state holds.
    Show {
        /// `<root>/<namespace>/<name>`.
        place: String,
        /// The version; the newest otherwise.
        version: Option<u64>,
        /// How to show it.
        #[arg(short, long, value_enum, default_value_t = Report::Text)]
        output: Report,
    },
    /// Read everything that the newest version needs and check it.
    Verify {
        /// `<root>/<namespace>/<name>`.
        place: String,
    },
}

/// `weir worker`.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// The job's manifest.
    pub manifest: PathBuf,
    /// Which worker this is; worker 0 also coordinates.
    #[arg(long)]
    pub ordinal: u32,
    /// How many workers there are at the start.
    #[arg(long)]
    pub workers: u32,
    /// Where the coordinator listens, host:port.
    #[arg(long)]
    pub coordinator: String,
    /// Where this worker's data exchange listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub exchange: String,
    /// Where state is kept unless the manifest says so.
    #[arg(long)]
    pub state: String,
    /// Give up after that many failures in a row; 0 never gives up.
    #[arg(long, default_value_t = 0)]
    pub retries: u32,
    /// Memory for state.
    #[arg(long)]
    pub memory: Option<String>,
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// For people.
    Text,
    /// For programs.
    Json,
}
