//! The coordinator's decisions, and coordinator and members together over a store in memory.

mod decisions;
mod end_to_end;
mod fake;
