//! Keys that never come again, kept for a while: memory and stored state must stay where they are
//! however many have come.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use weir_e2e::job::{Job, Manifest};
use weir_e2e::{cache, page};

use super::{memory, number, rows_of};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rows, each with a key of its own.
    #[arg(long, default_value_t = 100_000_000)]
    rows: u64,
    /// Rows a second.
    #[arg(long, default_value_t = 500_000)]
    rate: u64,
    /// How long a key is kept, in seconds.
    #[arg(long, default_value_t = 5)]
    ttl: u64,
    /// Memory for state, in MiB.
    #[arg(long, default_value_t = 512)]
    memory: u32,
    /// Subtasks.
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
}

/// Looks at the job, from the first rows to the last.
const LOOKS: u64 = 10;
const SOON: Duration = Duration::from_secs(60);

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { rows, parallelism, .. } = *arguments;
    let manifest = Manifest { parallelism, ..Manifest::new("expiry", &program(arguments)) };
    let bound = format!("{}MiB", arguments.memory);
    let mut run = Job::new(manifest)?.with_arguments(&["--memory", &bound]).start(0)?;
    let at = page::address(&run, SOON)?;
    println!("rows, resident memory, stored state:");
    let mut residents = Vec::new();
    for look in 1..=LOOKS {
        // The last look comes before the job has ended.
        let wanted = rows / LOOKS * look - rows / (LOOKS * 5);
        loop {
            if let Some(status) = run.process.poll()? {
                bail!("the job ended with {status}:\n{}", cache::tail(&run.log()));
            }
            let snapshot = page::snapshot(&at)?;
            let read = rows_of(&snapshot, "keys");
            if read >= wanted {
                let resident = memory(&run, "VmRSS")?;
                let stored = number(&snapshot, "/checkpoint/bytes") >> 20;
                println!("{:>6} M {resident:>6} MB {stored:>6} MB", read / 1_000_000);
                residents.push(resident);
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    let (early, late) = residents.split_at(residents.len() / 2);
    let most = |part: &[u64]| part.iter().max().copied().unwrap_or(0);
    println!("at most {} MB in the first half, {} MB in the second", most(early), most(late));
    ensure!(most(late) <= most(early) * 5 / 4, "memory grows");
    run.process.kill_group();
    Ok(())
}

fn program(Arguments { rows, rate, ttl, .. }: &Arguments) -> String {
    format!(
        "SET 'table.exec.state.ttl' = '{ttl} s';
CREATE TABLE keys (k BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '{rate}', 'number-of-rows' = '{rows}',
  'fields.k.kind' = 'sequence', 'fields.k.start' = '1', 'fields.k.end' = '{rows}'
);
CREATE TABLE counts (k BIGINT, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'blackhole');
INSERT INTO counts SELECT k, COUNT(*) FROM keys GROUP BY k;
"
    )
}
