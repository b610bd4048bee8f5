//! The simulator: the same engine, coordinator and chain, stepped by a seed.
//!
//! ```text
//!            seed
//!             │ who is stepped, what strikes when, which messages are late
//!             ▼
//!  coordinators ── control links ── workers (stepped executors) ── net ── workers
//!       │                      │
//!       └── gate ── lying store (in memory)      gate ── external system (stage, commit)
//! ```
//!
//! What always holds: one thread, a paused clock, and every choice from the seed, so a run can
//! be repeated; a process that dies or sleeps is cut off at its gates, never tidied up; what is
//! visible in the external system at the end equals a naive model of the job's input.
//!
//! A seed also chooses the job: files that are all there, a watched folder into which files come in
//! bursts, or partitions of which some are silent; one or two sources; windows that tumble or hop.
//! What a window is made of is compared row by row: sums of numbers that no other row has. Behind
//! the windows an operator keeps state tables of every kind and holds them against each other.
//!
//! The tests run 200 seeds; `WEIR_SIM_SEEDS=5000 cargo test -p weir-sim --test seeds` runs more,
//! beginning with `WEIR_SIM_FIRST`.
//!
//! Deliberately absent: any simulated version of engine or protocol code.

pub mod arrival;
pub mod bug;
pub mod cluster;
pub mod external;
mod host;
pub mod job;
mod link;
pub mod net;
pub mod process;
pub mod run;
mod running;
mod signal;
mod source;
