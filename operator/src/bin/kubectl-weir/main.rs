//! `kubectl weir`: jobs at a glance, their pages, and what is done with them, by nothing but the
//! user's own rights.
//!
//! Everything goes through the user's `kubectl`, and so through its configuration, contexts and
//! credentials. No command can do more than its user could by hand: those that change a job set
//! the field that a user would edit, and watch what the operator makes of it.

mod ask;
mod change;
mod completion;
mod events;
mod exit;
mod jobs;
mod kubectl;
mod list;
mod logs;
mod out;
mod plan;
mod report;
mod rights;
mod status;
mod top;
mod ui;
mod version;
mod watch;

use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use ask::{Cluster, Connection};
use change::Wish;
use out::Colour;

/// Streaming jobs at a glance.
///
/// For example: `kubectl weir list -A`, `kubectl weir status airport-delays`
#[derive(Debug, Parser)]
#[command(name = "kubectl-weir", bin_name = "kubectl weir", version)]
struct Cli {
    #[command(flatten)]
    connection: Connection,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All jobs, the worst first.
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// One screen that says whether a job is well.
    Status(status::StatusArgs),
    /// A job's operators on this terminal, drawn anew each second.
    Top(top::TopArgs),
    /// Open a job's page, or without a name a page of all jobs, until Ctrl-C.
    Ui(ui::UiArgs),
    /// What happened to a job and its pods, in order.
    Events(events::EventArgs),
    /// What all pods of a job write, each line with its pod.
    Logs(logs::LogArgs),
    /// What applying a manifest would do: LIVE, RESTART or INCOMPATIBLE, and what becomes of state.
    Plan(plan::PlanArgs),
    /// Stop a job behind a savepoint; its state is kept.
    Suspend(change::ChangeArgs),
    /// Let a suspended or drained job go on from where it stopped.
    Resume(change::ChangeArgs),
    /// End the sources of a job where they are, write every result, and stop.
    Drain(change::ChangeArgs),
    /// Stop a job behind a savepoint and begin again from it.
    Restart(change::ChangeArgs),
    /// Change a job's parallelism while it runs.
    Scale(change::ScaleArgs),
    /// Save jobs, and make jobs from what was saved.
    #[command(subcommand)]
    Savepoint(change::savepoint::SavepointCommand),
    /// Everything that helps to understand a job, in one archive without secrets.
    Report(report::ReportArgs),
    /// Versions of this program, the operator and the jobs' images.
    Version(version::VersionArgs),
    /// A script that completes this program's arguments.
    Completion(completion::CompletionArgs),
}

/// Which job.
#[derive(Debug, Args)]
struct JobName {
    /// Its name.
    #[arg(value_parser = crate::ask::job_name)]
    job: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

fn main() -> ExitCode {
    let done = match completion::asked(std::env::args_os()) {
        Some(words) => completion::answer(&words),
        None => run(parse()),
    };
    kubectl::end_all();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            out::tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What was asked for; a wrong flag ends the process with code 2.
fn parse() -> Cli {
    let matches = rights::explained(Cli::command()).get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    let cluster = Cluster::new(&cli.connection);
    match cli.command {
        Command::List(args) => list::run(&cluster, &args, cli.color),
        Command::Status(args) => status::run(&cluster, &args),
        Command::Top(args) => top::run(&cluster, &args),
        Command::Ui(args) => ui::run(&cluster, &args),
        Command::Events(args) => events::run(&cluster, &args, cli.color),
        Command::Logs(args) => logs::run(&cluster, &args, cli.color),
        Command::Plan(args) => plan::run(&cluster, &args),
        Command::Suspend(args) => change::run(&cluster, &args, Wish::Suspend),
        Command::Resume(args) => change::run(&cluster, &args, Wish::Resume),
        Command::Drain(args) => change::run(&cluster, &args, Wish::Drain),
        Command::Restart(args) => change::run(&cluster, &args, Wish::Restart),
        Command::Scale(args) => change::scale(&cluster, &args),
        Command::Savepoint(command) => change::savepoint::run(&cluster, &command),
        Command::Report(args) => report::run(&cluster, &args),
        Command::Version(args) => version::run(&cluster, &args),
        Command::Completion(args) => completion::run(&args),
    }
}
