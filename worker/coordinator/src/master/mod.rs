//! The job's coordinator.
//!
//! [`JobMaster`] decides; it has no I/O. The driver does what it says. It owns a machine for each
//! thing that it decides about, which takes events, gives back what comes of them, and knows none
//! of the others:
//!
//! | folder | decides |
//! |---|---|
//! | `owner` | which of them an event is for, and whose event comes of it |
//! | `lifecycle` | where the job is between terms, what is due there, when a failed job restarts |
//! | `workers` | who is attached, who is overdue |
//! | `placement` | which worker runs and restores what |
//! | `sources` | which reader gets which split |
//! | `checkpoints` | when an attempt begins, and what becomes of it |
//! | `commits` | which output is made visible next, and by whom |
//! | `requests` | which savepoint, stop or rescale begins, and how it is answered |

mod checkpoints;
mod commits;
mod config;
mod driver;
mod event;
mod handle;
mod head;
mod journal;
mod lifecycle;
mod manifest_writer;
mod owner;
mod placement;
mod plan;
mod requests;
mod restorable;
mod sources;
mod workers;

pub use config::MasterConfig;
pub use event::{Action, Ending, Event, Found, LinkId, Reply, Request, RequestId, SavepointInfo};
pub use handle::{Coordinator, CoordinatorConfig, CoordinatorHandle, NotDone, Rescaled, Saved};
pub use head::Head;
pub use lifecycle::RestartPolicy;
pub use owner::JobMaster;
pub use plan::{Plan, PlanOperator, PlanSource, PlanVertex};
pub use restorable::{Dropped, Reads, RestoreRefused, Unreadable, find_dropped, validate_restore};
