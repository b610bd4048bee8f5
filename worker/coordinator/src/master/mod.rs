//! The job's coordinator.
//!
//! [`Master`] decides; it has no I/O. The driver does what it says.

mod asks;
mod attempt;
mod backoff;
mod change;
mod checkpoint;
mod commits;
mod config;
mod convert;
mod cut;
mod driver;
mod event;
mod failure;
mod handle;
mod hold;
mod incarnations;
mod journal;
mod keeper;
mod machine;
mod operations;
mod place;
mod plan;
mod prefetch;
mod splits;
mod state;
mod status;
mod talk;

pub use attempt::{Flight, Stage, TaskAck, TaskId, TaskPart};
pub use backoff::{Backoff, Restart, RestartPolicy};
pub use commits::{Commits, Dispatch, Lost, Outcome};
pub use config::MasterConfig;
pub use cut::{Body, Cut, Head, OperatorCut, Pending, RestoreRefused, validate_restore};
pub use event::{Action, Ending, Event, Found, LinkId, Reply, Request, RequestId, SavepointInfo};
pub use handle::{Coordinator, CoordinatorConfig, CoordinatorHandle, NotDone, Rescaled, Saved};
pub use machine::Master;
pub use place::{Spread, count_moved, decide_spread};
pub use plan::{Plan, PlanOperator, PlanSource, PlanVertex};
pub use splits::EnumeratorState;
