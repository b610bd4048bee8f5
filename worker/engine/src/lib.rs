//! The dataflow engine: batches, event time, channels, tasks, operators.
//!
//! ```text
//!  Source ──► chain ──► partition ═══ channels ═══► task ──► chain ──► partition ═══► …
//!  (splits)   (operators called directly)      (aligns barriers, merges watermarks)
//! ```
//!
//! What enters: a [`graph::JobGraph`], an assignment of subtasks to workers, restored state.
//! What leaves: [`task::TaskEvent`]s: frozen snapshots, finished and failed tasks.
//!
//! What always holds:
//! - A task is stepped: it takes at most one message, does bounded work and never blocks.
//!   Threads step tasks in production, a seeded scheduler steps them in the simulator.
//! - Barriers, alignment and watermark merging belong to the task; an operator sees data, time
//!   and a moment to snapshot.
//! - Data-plane code neither panics nor unwraps; every failure is an [`EngineError`] that ends
//!   the attempt.
//!
//! Deliberately absent: any decision about checkpoints (the coordinator's), any I/O to the
//! store (the member's), any knowledge of SQL.

pub mod aggregate;
pub mod batch;
pub mod env;
pub mod error;
pub mod exchange;
pub mod graph;
pub mod group_load;
pub mod lookup;
pub mod message;
pub mod operator;
pub mod operators;
pub mod roaring;
pub mod rows;
pub mod runtime;
pub mod sink;
pub mod source;
pub mod task;
pub mod time;
pub mod veil;

pub use batch::{Batch, RowKind};
pub use error::{EngineError, Fault, OperatorError};
pub use message::{Barrier, Message};
pub use operator::{Context, Operator, Output, Progress, Restored, Snapshot};
pub use time::{EventTime, Watermark};
