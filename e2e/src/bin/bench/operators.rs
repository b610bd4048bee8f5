//! One operator that keeps state at a time, from JSON files and from generated rows, Weir and
//! Flink on the same script in one run.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use weir_e2e::oracle::flink;

use super::json::run_weir;
use super::nexmark::events;
use super::rates::{Sizes, Table, rates};

/// Where rows come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Input {
    /// Events of Nexmark in files.
    Json,
    /// `datagen` of each engine.
    Generated,
}

impl Input {
    const ALL: [Self; 2] = [Self::Json, Self::Generated];

    /// Declares `bid` and `auction`.
    fn tables(self) -> &'static str {
        match self {
            Self::Json => include_str!("operators/json.sql"),
            Self::Generated => include_str!("operators/generated.sql"),
        }
    }
}

/// What is measured, and the statements that do it over `bid` and `auction`.
const SCRIPTS: [(&str, &str); 5] = [
    ("aggregate", include_str!("operators/aggregate.sql")),
    ("join", include_str!("operators/join.sql")),
    ("top-n", include_str!("operators/top-n.sql")),
    ("over", include_str!("operators/over.sql")),
    ("match", include_str!("operators/match.sql")),
];

/// Bids for each auction of the generated ones.
const BIDS: u64 = 10;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sizes: Sizes,
    /// Only from here.
    #[arg(long, value_enum)]
    from: Option<Input>,
    /// Subtasks, and files of the input.
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
    /// Which; all otherwise.
    operators: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { from, parallelism, ref sizes, ref operators } = *arguments;
    if let Some(unknown) = operators.iter().find(|o| !SCRIPTS.iter().any(|(name, _)| name == o)) {
        bail!("there is no {unknown}: {:?}", SCRIPTS.map(|(name, _)| name));
    }
    let mut table = Table::begin("operator");
    for (name, script) in SCRIPTS {
        if !operators.is_empty() && !operators.iter().any(|o| o == name) {
            continue;
        }
        for source in Input::ALL {
            if from.is_none_or(|from| from == source) {
                let measured = rates(
                    sizes,
                    |rows| weir_cpu(name, script, source, rows, parallelism),
                    |rows| flink_cpu(script, source, rows, parallelism),
                )?;
                table.add(&format!("{name}, {source:?}"), &measured);
            }
        }
    }
    table.end();
    Ok(())
}

fn program(script: &str, source: Input, rows: u64, parallelism: u32) -> Result<String> {
    let auctions = (rows / BIDS).max(1);
    let mut tables = source.tables().to_owned();
    if source == Input::Json {
        let events = events(rows, parallelism)?;
        tables = tables.replace("{events}", &events.display().to_string());
    }
    let tables = tables
        .replace("{rows}", &rows.to_string())
        .replace("{auctions}", &auctions.to_string())
        .replace("{last_auction}", &(auctions - 1).to_string());
    Ok(tables + script)
}

fn weir_cpu(
    name: &str,
    script: &str,
    source: Input,
    rows: u64,
    parallelism: u32,
) -> Result<Duration> {
    let program = program(script, source, rows, parallelism)?;
    let (summary, cpu) = run_weir(name, &program, parallelism)?;
    ensure!(summary.rows_in >= rows, "{summary:?} of {rows} rows");
    Ok(cpu)
}

fn flink_cpu(script: &str, source: Input, rows: u64, parallelism: u32) -> Result<Duration> {
    Ok(flink::run(&program(script, source, rows, parallelism)?, parallelism)?.cpu)
}
