//! Orders of the flights: sorted as they come, and three that put event time to the test.

use std::fmt;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::Flight;

const MINUTE_MS: i64 = 60_000;
const SEED: u64 = 2001;

/// An order of rows, and how they are divided into files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// One file, sorted by date.
    Sorted,
    /// One file; a row stands among rows that are at most 50 minutes younger.
    Shuffled,
    /// The shuffled rows cut into 8 files whose names are in random order.
    Files8,
    /// The shuffled rows, 1 % of them moved back 90 minutes to 8 hours: behind a watermark that
    /// allows an hour.
    Late,
}

/// One file's rows, in the order of the file.
#[derive(Clone, Debug)]
pub struct SplitFile {
    /// The file's name without its ending.
    pub name: String,
    /// The rows.
    pub rows: Vec<Flight>,
}

impl fmt::Display for Layout {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Sorted => "sorted",
            Self::Shuffled => "shuffled",
            Self::Files8 => "files8",
            Self::Late => "late",
        })
    }
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 4] = [Self::Sorted, Self::Shuffled, Self::Files8, Self::Late];

    /// Puts sorted flights into this order. The same flights give the same order, always.
    #[must_use]
    pub fn arrange(self, sorted: &[Flight]) -> Vec<SplitFile> {
        let mut rng = StdRng::seed_from_u64(SEED);
        match self {
            Self::Sorted => vec![one_file(sorted.to_vec())],
            Self::Shuffled => vec![one_file(shuffle(sorted, &mut rng, 0.0))],
            Self::Late => vec![one_file(shuffle(sorted, &mut rng, 0.01))],
            Self::Files8 => {
                let rows = shuffle(sorted, &mut rng, 0.0);
                let mut names: Vec<_> = (0..8).map(|i| format!("flights-{i}")).collect();
                names.shuffle(&mut rng);
                let part = rows.len().div_ceil(8).max(1);
                rows.chunks(part)
                    .zip(names)
                    .map(|(rows, name)| SplitFile { name, rows: rows.to_vec() })
                    .collect()
            }
        }
    }
}

fn one_file(rows: Vec<Flight>) -> SplitFile {
    SplitFile { name: "flights".to_owned(), rows }
}

/// Orders rows by their date plus a random wait: under 50 minutes, or, for a share of them,
/// 90 minutes to 8 hours.
fn shuffle(sorted: &[Flight], rng: &mut StdRng, late_share: f64) -> Vec<Flight> {
    let mut keyed: Vec<(i64, Flight)> = sorted
        .iter()
        .map(|flight| {
            let wait = if rng.random_bool(late_share) {
                rng.random_range(90 * MINUTE_MS..8 * 60 * MINUTE_MS)
            } else {
                rng.random_range(0..50 * MINUTE_MS)
            };
            (flight.date_ms + wait, *flight)
        })
        .collect();
    keyed.sort_by_key(|(arrival, _)| *arrival);
    keyed.into_iter().map(|(_, flight)| flight).collect()
}
