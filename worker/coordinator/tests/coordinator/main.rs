//! The coordinator's decisions, and coordinator and members together over a store in memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests: a failure here is the test's"
)]

mod decisions;
mod end_to_end;
mod fake;
mod job;
mod prefetch;
mod read_ahead;
mod rescale;
mod script;
mod silence;
mod slow;
