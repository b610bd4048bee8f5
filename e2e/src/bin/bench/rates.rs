//! Rows per CPU-second of Weir and of Flink: how they are taken, and how they are shown.

use std::time::Duration;

use anyhow::{Result, ensure};

/// What is measured: two sizes of input, how often, and for whom.
#[derive(clap::Args)]
pub(crate) struct Sizes {
    /// Rows of the smaller input; must be more than 64 MB.
    #[arg(long, default_value_t = 2_000_000)]
    pub(crate) small: u64,
    /// Rows of the larger input.
    #[arg(long, default_value_t = 8_000_000)]
    pub(crate) large: u64,
    /// Runs of each; the fastest counts.
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: u32,
    /// Measure one of the two only.
    #[arg(long, value_enum)]
    pub(crate) only: Option<Engine>,
}

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    Weir,
    Flink,
}

/// Rows per CPU-second of each that was measured.
pub(crate) struct Rates {
    pub(crate) weir: Option<f64>,
    pub(crate) flink: Option<f64>,
}

impl Rates {
    /// How often Flink's rate goes into Weir's.
    pub(crate) fn ratio(&self) -> Option<f64> {
        Some(self.weir? / self.flink?)
    }
}

/// Prints both rates and their ratio. The closures run one program over so many rows and return
/// its CPU time.
pub(crate) fn compare(
    sizes: &Sizes,
    weir: impl Fn(u64) -> Result<Duration>,
    flink: impl Fn(u64) -> Result<Duration>,
) -> Result<()> {
    println!("{:10} {:>11} {:>13}", "", "rows/CPU-s", "CPU ns/row");
    let rates = rates(sizes, weir, flink)?;
    for (name, rate) in [("Weir", rates.weir), ("Flink 2.3", rates.flink)] {
        if let Some(rate) = rate {
            println!("{name:10} {:>9.2} M {:>13.0}", rate / 1e6, 1e9 / rate);
        }
    }
    if let Some(ratio) = rates.ratio() {
        println!("ratio      {ratio:>9.1} ×");
    }
    Ok(())
}

/// Both rates; the closures as of [`compare`].
pub(crate) fn rates(
    sizes: &Sizes,
    weir: impl Fn(u64) -> Result<Duration>,
    flink: impl Fn(u64) -> Result<Duration>,
) -> Result<Rates> {
    let Sizes { small, large, runs, only } = *sizes;
    ensure!(small < large, "the smaller input must have fewer rows");
    let wants = |engine| only.is_none_or(|only| only == engine);
    Ok(Rates {
        weir: wants(Engine::Weir).then(|| slope(small, large, weir, runs)).transpose()?,
        flink: wants(Engine::Flink).then(|| slope(small, large, flink, runs.min(2))).transpose()?,
    })
}

/// Rows per CPU-second between two sizes; the least CPU time of `runs` counts for each.
fn slope(small: u64, large: u64, cpu: impl Fn(u64) -> Result<Duration>, runs: u32) -> Result<f64> {
    let least = |rows| -> Result<Duration> {
        let mut least = Duration::MAX;
        for _ in 0..runs {
            least = least.min(cpu(rows)?);
        }
        Ok(least)
    };
    let (few, many) = (least(small)?, least(large)?);
    ensure!(many > few, "{large} rows took {many:?}, {small} rows {few:?}: take larger inputs");
    Ok((large - small) as f64 / (many - few).as_secs_f64())
}

/// Prints a row as soon as it was measured, and the median ratio in the end.
pub(crate) struct Table {
    ratios: Vec<f64>,
}

impl Table {
    pub(crate) fn begin(what: &str) -> Self {
        println!("rows per CPU-second\n| {what} | Weir | Flink 2.3 | ratio |\n|---|---|---|---|");
        Self { ratios: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: &str, rates: &Rates) {
        let in_k = |rate: Option<f64>| rate.map_or("–".into(), |r| format!("{:.0} k", r / 1e3));
        let ratio = rates.ratio().map_or("–".into(), |ratio| format!("{ratio:.1} ×"));
        println!("| {what} | {} | {} | {ratio} |", in_k(rates.weir), in_k(rates.flink));
        self.ratios.extend(rates.ratio());
    }

    pub(crate) fn end(mut self) {
        self.ratios.sort_by(f64::total_cmp);
        if !self.ratios.is_empty() {
            println!("median {:.1} ×", super::quantile(&self.ratios, 0.5));
        }
    }
}
