//! The job's page: what a running job looks like in a browser, and the data behind it.
//!
//! - **In**: snapshots ([`weir_protocol::view`]) once a second, records of checkpoints, what was
//!   done with the job and what went wrong.
//! - **Out**: `/v1/…` as JSON and as a stream, pages that are complete without a script, findings
//!   ([`diagnose`]); and a page of many jobs ([`fleet`]), of rows that somebody else gathers.
//!   What is over goes to a collector of traces ([`traces`]), where there is one.
//!   Where a person has it on their own machine, [`sql`]: statements are written, run and looked at.
//! - **While somebody looks**: key groups of an operator, and a few of its rows where those may be
//!   shown ([`Program::shows_rows`]). Who feeds the hub asks it what is looked at ([`Hub::looks`]).
//! - **Always**: read-only, but for [`sql`], which has rules of its own; nobody waits for a viewer; every memory here has a bound; nothing is
//!   loaded from elsewhere; no other web site gets an answer.
//!
//! ```text
//!  coordinator ──► snapshot, once a second ──► hub ──► diagnose, rings ──► pages, fragments, JSON
//! ```

pub mod diagnose;
#[doc(hidden)]
pub mod example;
pub mod fleet;
pub mod history;
mod html;
mod hub;
mod places;
mod render;
mod serve;
pub mod sql;
mod status;
pub mod traces;
pub mod words;

pub use diagnose::diagnose;
pub use hub::{Hub, Ledger, Look, Program};
pub use places::places;
pub use serve::{router, serve};
pub use status::{checkpoints, mark, status};
