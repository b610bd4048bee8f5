//! Tables that are asked for rows by key: `JOIN t FOR SYSTEM_TIME AS OF` processing time.
//!
//! [`LookupSource`] is what a connector implements whose outside can be asked: a database answers
//! [`Lookup::lookup`] by queries of its own. A table that can only be read is read as a whole and
//! kept in memory, by key ([`Whole`]).

mod index;
mod whole;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use weir_engine::lookup::{Found, Lookup, LookupSource};

pub use self::whole::{Project, Whole};
use crate::options::Options;
use crate::table::{Problem, Table};

const CACHE: &str = "lookup.cache";
const RETRIES: &str = "lookup.max-retries";
const STRATEGY: &str = "lookup.full-cache.reload-strategy";
const INTERVAL: &str = "lookup.full-cache.periodic-reload.interval";
const MODE: &str = "lookup.full-cache.periodic-reload.schedule-mode";
/// Options of Flink's that say how parts of a table are kept, or when in the day it is read.
const OTHERS: [&str; 6] = [
    "lookup.full-cache.timed-reload.iso-time",
    "lookup.full-cache.timed-reload.interval-in-days",
    "lookup.partial-cache.expire-after-access",
    "lookup.partial-cache.expire-after-write",
    "lookup.partial-cache.cache-missing-key",
    "lookup.partial-cache.max-rows",
];

/// How often a table that is read as a whole is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caching {
    /// When it is read again; `None` for once.
    pub reload: Option<Reload>,
    /// How often reading is tried again that failed, before the job is told.
    pub retries: u32,
}

/// When a table is read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reload {
    /// From the end of one reading to the beginning of the next one, or between two beginnings.
    pub interval: Duration,
    /// Between two beginnings.
    pub fixed_rate: bool,
}

/// Makes the options known, for a source whose table may also be looked up in.
pub(crate) fn allow(options: &mut Options<'_>) {
    [CACHE, RETRIES, STRATEGY, INTERVAL, MODE].iter().chain(&OTHERS).for_each(|key| {
        options.allow(key);
    });
}

/// What a table's options say of a lookup in it that reads it as a whole.
///
/// # Errors
/// Every problem with these options.
pub fn caching(table: &Table) -> Result<Caching, Vec<Problem>> {
    let mut options = Options::new(table);
    // Everything else is the source's.
    options.prefixed("");
    let whole =
        "this table cannot be asked for rows, only read: it is read as a whole and kept in memory";
    let cache = options.choice(
        CACHE,
        "FULL",
        &[("FULL", "FULL"), ("PARTIAL", "PARTIAL"), ("NONE", "NONE")],
    );
    if cache != "FULL" {
        options.refuse(CACHE, format!("{whole}; write '{CACHE}' = 'FULL', or leave it out"));
    }
    let timed = options.choice(STRATEGY, false, &[("PERIODIC", false), ("TIMED", true)]);
    if timed {
        options.refuse(
            STRATEGY,
            format!("'{STRATEGY}' = 'TIMED' is not supported; write 'PERIODIC' and '{INTERVAL}'"),
        );
    }
    for key in OTHERS {
        if options.is_given(key) {
            options.refuse(
                key,
                format!("'{key}' is not supported: {whole}; '{INTERVAL}' says how often"),
            );
        }
    }
    let interval = options.duration(INTERVAL);
    if interval.is_some_and(|interval| interval.is_zero()) {
        options.refuse(INTERVAL, format!("'{INTERVAL}' is longer than nothing, such as '10 min'"));
    }
    let fixed_rate = options.choice(MODE, false, &[("FIXED_DELAY", false), ("FIXED_RATE", true)]);
    if interval.is_none() {
        options.only_with(MODE, &format!("'{INTERVAL}'"));
    }
    let retries = options.number(RETRIES).unwrap_or(3);
    let problems = options.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    let reload = interval.map(|interval| Reload { interval, fixed_rate });
    Ok(Caching { reload, retries: u32::try_from(retries).unwrap_or(u32::MAX) })
}
