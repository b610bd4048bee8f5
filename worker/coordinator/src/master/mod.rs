//! The job's coordinator.
//!
//! [`JobMaster`] decides; it has no I/O. The driver does what it says.

mod asks;
mod assemble;
mod attempt;
mod backoff;
mod change;
mod checkpoint;
mod commits;
mod config;
mod driver;
mod event;
mod failure;
mod handle;
mod head;
mod hold;
mod incarnations;
mod journal;
mod machine;
mod manifest_writer;
mod operations;
mod place;
mod plan;
mod prefetch;
mod restorable;
mod restore;
mod splits;
mod state;
mod status;
mod talk;

pub use attempt::{PendingCheckpoint, Stage, TaskId};
pub use backoff::{Backoff, Restart, RestartPolicy};
pub use commits::{Commits, Dispatch, Lost, Outcome};
pub use config::MasterConfig;
pub use event::{Action, Ending, Event, Found, LinkId, Reply, Request, RequestId, SavepointInfo};
pub use handle::{Coordinator, CoordinatorConfig, CoordinatorHandle, NotDone, Rescaled, Saved};
pub use head::Head;
pub use machine::JobMaster;
pub use place::{SlotAssignment, assign_slots, count_moved};
pub use plan::{Plan, PlanOperator, PlanSource, PlanVertex};
pub use restorable::{
    Dropped, Reads, RestoreRefused, Unreadable, find_dropped, validate_restore,
};
