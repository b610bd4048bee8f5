//! The program `weir`: runs jobs on this machine, plans them, looks at their state.
//!
//! ```text
//!  weir run ──► load (manifest → plan) ──► coordinator ──┬── member in this process
//!                     │                                  └── weir worker × N (--workers N)
//!                     └── watch (edits) ──► rescale
//!
//!  weir sql ──► session (statement → answer, or plan) ──► coordinator and member in this process
//!
//!  weir pod ──► weir worker (of a cluster) ──► member, sometimes coordinator
//! ```
//!
//! What always holds: every refusal names the place, the cause and the fix, and comes before
//! anything is started; the exit code says whether starting again can help ([`exit`]).

pub mod cli;
mod cluster;
pub mod exit;
pub mod host;
pub mod load;
mod local;
mod logging;
mod memory;
mod monitor;
mod plan;
mod pod;
mod printing;
mod rows;
pub mod run;
mod segments;
mod signals;
mod sql;
mod state;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let plain = match &cli.command {
        Command::Run(args) => args.no_color,
        Command::Sql(args) => args.no_color,
        _ => false,
    };
    logging::start(plain);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("weir: cannot start threads: {error}");
            return ExitCode::from(exit::FAILED);
        }
    };
    let outcome = runtime.block_on(async {
        match &cli.command {
            Command::Run(args) => run::run(args).await,
            Command::Sql(args) => sql::run(args).await,
            Command::Plan(args) => plan::run(args).await.map(|(text, code)| {
                print(&text);
                code
            }),
            Command::State(args) => state::run(&args.command).await.map(|text| print(&text)),
            Command::Worker(args) => worker::run(args).await,
            Command::Pod(args) => pod::run(args).await,
        }
    });
    // Blocking reads (standard input) would hold an orderly shutdown up.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{}", weir_engine::veil::hide(&format!("{error:#}")));
            ExitCode::from(exit::REFUSED)
        }
    }
}

fn print(text: &str) -> u8 {
    print!("{text}");
    exit::DONE
}
