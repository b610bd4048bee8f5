//! The command line: what `weir` understands.

use std::path::PathBuf;
use std::time::Duration;

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
    /// Ask in SQL: a prompt, a script, or a statement, for use in shells.
    Sql(SqlArgs),
    /// Show what a job would do, and everything that is wrong with it.
    Plan(PlanArgs),
    /// Look at stored state.
    State(StateArgs),
    /// Run one worker process of a job; started by `weir run --workers` and by the operator.
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Keep one worker of a cluster running: the first process of a pod.
    #[command(hide = true)]
    Pod(PodArgs),
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
    /// Where the job's page listens, on loopback; the first free port from 8081 on 127.0.0.1
    /// otherwise.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "no_page")]
    pub page: Option<String>,
    /// Serve no page.
    #[arg(long)]
    pub no_page: bool,
    /// How to report progress.
    #[arg(short, long, value_enum, default_value_t = Report::Text)]
    pub output: Report,
    /// Never use colours or redraw lines.
    #[arg(long)]
    pub no_color: bool,
}

/// `weir sql`.
///
/// Statements are those of Flink's SQL client. Without -e and -f they are read from standard
/// input, at a prompt where that is a terminal.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir sql -e \"SELECT 1 + 1\"
  weir sql -f script.sql --format json
  weir sql --page
  echo \"SHOW FUNCTIONS LIKE 'json%';\" | weir sql")]
pub struct SqlArgs {
    /// Run these statements, separated by semicolons.
    #[arg(short, long, value_name = "SQL", conflicts_with = "file")]
    pub execute: Option<String>,
    /// Run the statements of this file. Paths in it are relative to its folder.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Run the statements of this file first, such as declarations.
    #[arg(short, long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// Serve a page for statements instead, on loopback: at this address, or at the first free port
    /// from 8081 on 127.0.0.1. What -e or -f give stands in its editor, and is not run.
    #[arg(long, value_name = "HOST:PORT", num_args = 0..=1, default_missing_value = "")]
    pub page: Option<String>,
    /// How rows are written: a table on a terminal, CSV elsewhere, unless this is said.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Answer another program, such as a notebook: requests and answers are JSON, one a line, on
    /// standard input and output.
    #[arg(long, conflicts_with_all = ["execute", "file", "init", "format", "page"])]
    pub stdio: bool,
    /// Memory for state, such as 512MiB; half of what the machine (or container) has otherwise.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Never use colours or redraw lines.
    #[arg(long)]
    pub no_color: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// In columns, under their names.
    Table,
    /// CSV with a header; NULL is empty, an empty text is "".
    Csv,
    /// A JSON object a line.
    Json,
    /// Values separated by tabs, without a header.
    Plain,
}

/// `weir plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The job's manifest.
    pub manifest: PathBuf,
    /// Also refuse a program that would drop state of this job: <root>/<namespace>/<name>.
    #[arg(long, value_name = "PLACE")]
    pub against: Option<String>,
    /// How to show the plan.
    #[arg(short, long, value_enum, default_value_t = Report::Text)]
    pub output: Report,
    /// Plan for somebody who may not know the values of variables: the names of those that are
    /// set, separated by commas.
    #[arg(long, hide = true, value_name = "NAMES")]
    pub withhold: Option<String>,
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
        /// `<root>/<namespace>/<name>`, or the folder of a savepoint.
        place: String,
        /// The version; the newest otherwise.
        version: Option<u64>,
        /// How to show it.
        #[arg(short, long, value_enum, default_value_t = Report::Text)]
        output: Report,
    },
    /// Show what became of a job's state from one version to another.
    Diff {
        /// `<root>/<namespace>/<name>`.
        place: String,
        /// The earlier version.
        #[arg(value_name = "A")]
        from: u64,
        /// The later version.
        #[arg(value_name = "B")]
        to: u64,
        /// Read both versions, and count the rows of each table that came, went and changed.
        #[arg(long)]
        rows: bool,
        /// How to show it.
        #[arg(short, long, value_enum, default_value_t = Report::Text)]
        output: Report,
    },
    /// Write the rows of an operator's table to a file. `SELECT * FROM STATE('<place>',
    /// '<operator>', '<table>')` of `weir sql` gives the same rows.
    Export {
        /// `<root>/<namespace>/<name>`, or the folder of a savepoint.
        place: String,
        /// The version; the newest otherwise.
        version: Option<u64>,
        /// The operator's uid or name, as `weir state show` lists them.
        #[arg(long, value_name = "UID")]
        operator: String,
        /// The table; not needed where the operator has one.
        #[arg(long, value_name = "NAME")]
        table: Option<String>,
        /// The file, .parquet or .csv.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Delete everything of one job, if it is still the job with this UID. Repeating it is
    /// harmless.
    Delete {
        /// `<root>/<namespace>/<name>`.
        place: String,
        /// UID of the StreamJob that owned the state.
        #[arg(long)]
        uid: String,
    },
    /// Read everything that the newest version needs and check it.
    Verify {
        /// `<root>/<namespace>/<name>`, or the folder of a savepoint.
        place: String,
    },
}

/// `weir worker`.
///
/// With an ordinal it is a process of `weir run --workers`; without, one of a cluster.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// The job's manifest.
    #[arg(env = "WEIR_MANIFEST")]
    pub manifest: PathBuf,
    /// Which worker this is, for `weir run`; a worker of a cluster is named by its pod.
    #[arg(long, requires = "coordinator")]
    pub ordinal: Option<u32>,
    /// How many workers there are at the start.
    #[arg(long)]
    pub workers: Option<u32>,
    /// Where the coordinator listens, host:port; in a cluster, where somebody knows who it is.
    #[arg(long, env = "WEIR_COORDINATOR")]
    pub coordinator: Option<String>,
    /// Where state is kept unless the manifest says so.
    #[arg(long, default_value = ".weir")]
    pub state: String,
    /// Give up after that many failures in a row; 0 never gives up.
    #[arg(long, default_value_t = 0)]
    pub retries: u32,
    /// Memory for state.
    #[arg(long, env = "WEIR_MEMORY")]
    pub memory: Option<String>,
    /// What only a worker of a cluster needs.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What a worker of a cluster is told by its pod.
#[derive(Debug, Clone, Args)]
pub struct ClusterArgs {
    /// The pod's name; its end is the worker's ordinal.
    #[arg(long, env = "WEIR_POD_NAME")]
    pub pod_name: Option<String>,
    /// The pod's UID.
    #[arg(long, env = "WEIR_POD_UID", default_value = "")]
    pub pod_uid: String,
    /// Where others reach this pod.
    #[arg(long, env = "WEIR_POD_IP", default_value = "127.0.0.1")]
    pub pod_ip: String,
    /// The revision of the job that this worker runs.
    #[arg(long, env = "WEIR_REVISION", default_value = "")]
    pub revision: String,
    /// Revisions that the operator has ended in favour of this one: their state may be taken over.
    #[arg(long, env = "WEIR_SUPERSEDES", value_delimiter = ',')]
    pub supersedes: Vec<String>,
    /// UID of the StreamJob.
    #[arg(long, env = "WEIR_JOB_UID", default_value = "")]
    pub job_uid: String,
    /// UID of a deleted StreamJob whose state may be taken over.
    #[arg(long, env = "WEIR_ADOPT_UID")]
    pub adopt_uid: Option<String>,
    /// The job has published before, as whoever starts this process knows by a record of its own:
    /// where no manifest is, it fails and says so instead of starting empty. Without it the same
    /// holds where anything of a job is left beside its chain.
    #[arg(long, env = "WEIR_MUST_EXIST", action = clap::ArgAction::Set, num_args = 0..=1,
          default_value_t = false, default_missing_value = "true")]
    pub must_exist: bool,
    /// Parallelism of a job that has no state yet.
    #[arg(long, env = "WEIR_PARALLELISM")]
    pub parallelism: Option<u32>,
    /// Where the control protocol listens.
    #[arg(long, env = "WEIR_CONTROL", default_value = "0.0.0.0:7101")]
    pub control: String,
    /// Where the data exchange listens; `weir run` has it on loopback.
    #[arg(long, env = "WEIR_EXCHANGE", default_value = "0.0.0.0:7102")]
    pub exchange: String,
    /// Where /livez, /readyz and /metrics are.
    #[arg(long, env = "WEIR_HTTP", default_value = "0.0.0.0:7103")]
    pub http: String,
    /// Where the page of the job is that this worker coordinates: on loopback, reached by
    /// `kubectl port-forward`. A port that is taken leaves the worker without one.
    #[arg(long, env = "WEIR_PAGE", default_value = "127.0.0.1:7104")]
    pub page: String,
    /// The page may show the newest rows of an operator while somebody looks at them.
    #[arg(long, env = "WEIR_SHOW_ROWS", action = clap::ArgAction::Set, num_args = 0..=1,
          default_value_t = false, default_missing_value = "true")]
    pub show_rows: bool,
    /// Seconds after which a worker gives up that has never reached the job's state.
    #[arg(long, env = "WEIR_STORE_PATIENCE_SECONDS", default_value = "60", value_parser = seconds)]
    pub store_patience: Duration,
    /// A directory that lives as long as the pod.
    #[arg(long, env = "WEIR_LOCAL_DIR")]
    pub local_dir: Option<PathBuf>,
    /// Never coordinate.
    #[arg(long)]
    pub member_only: bool,
    /// End when standard input ends.
    #[arg(long)]
    pub supervised: bool,
}

/// `weir pod`.
#[derive(Debug, Clone, Args)]
pub struct PodArgs {
    /// Where the worker's last words go when the pod ends for good.
    #[arg(long, env = "WEIR_TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub termination_log: PathBuf,
    /// Seconds that a worker has to end after SIGTERM before it is killed.
    #[arg(long, env = "WEIR_GRACE_SECONDS", default_value = "20", value_parser = seconds)]
    pub grace: Duration,
    /// Arguments of `weir worker`, behind `--`; the environment suffices in a pod.
    #[arg(last = true)]
    pub worker: Vec<String>,
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn flags_that_ask_for_two_things_at_once_are_refused_by_name() {
        Cli::command().debug_assert();
        for other in [&["--page"][..], &["--page", "127.0.0.1:0"], &["-e", "SELECT 1"]] {
            let words = ["weir", "sql", "--stdio"].iter().chain(other);
            let error = Cli::try_parse_from(words).expect_err("one of them would be ignored");
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{other:?}");
            assert!(error.to_string().contains(other[0].trim_start_matches('-')), "{error}");
        }
        assert!(Cli::try_parse_from(["weir", "sql", "--page", "-e", "SELECT 1"]).is_ok());
    }
}
