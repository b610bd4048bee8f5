//! Bids for benchmarks: about 200 bytes each, seven fields of which a query wants two, keys that
//! are 64 bits wide and not dense, no two rows alike.

use std::path::Path;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::dealt::write_dealt;

/// Distinct auctions.
pub const BID_KEYS: u64 = 10_000;

/// Microseconds of event time from one bid to the next: 100,000 rows a window of 10 s.
const STEP_US: i64 = 100;

/// Writes `rows` bids as JSON lines into `files` files of a folder, dealt out in turn, so that
/// all files cover the same time; the same bids for the same numbers. Returns the bytes.
///
/// # Errors
/// Those of the file system.
pub fn write_bids(folder: &Path, rows: u64, files: usize) -> Result<u64> {
    let mut rng = StdRng::seed_from_u64(42);
    let channels = ["Google", "Facebook", "Baidu", "Apple"];
    let start_us = 1_767_225_600_000_000;
    let mut line = |row: u64| -> Result<String> {
        let auction = spread(rng.random_range(0..BID_KEYS));
        let bidder = spread(rng.random::<u64>());
        let price = rng.random_range(100..10_000_000);
        let channel = channels[rng.random_range(0..channels.len())];
        let item: u64 = rng.random();
        let extra: u64 = rng.random();
        let ms = (start_us + i64::try_from(row)? * STEP_US) / 1000;
        let date = chrono::DateTime::from_timestamp_millis(ms)
            .context("a date out of range")?
            .format("%Y-%m-%d %H:%M:%S%.3f");
        Ok(format!(
            r#"{{"auction":{auction},"bidder":{bidder},"price":{price},"channel":"{channel}","url":"https://www.nexmark.com/{item:016x}","dateTime":"{date}","extra":"{extra:016x}"}}"#
        ))
    };
    write_dealt(folder, "bids", files, (0..rows).map(&mut line))
}

/// Spreads small numbers over 63 bits, one to one (the finalizer of splitmix64, less its sign).
fn spread(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) >> 1
}
