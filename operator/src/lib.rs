//! The operator: turns `StreamJob` resources into running jobs, and keeps them so.
//!
//! - **In**: what the API server holds (jobs, their children, pods) and what coordinators report.
//! - **Out**: desired children by server-side apply, calls to coordinators, one status a round.
//! - **Always**: every step is idempotent and may be the last one of this process.
//! - **Deliberately absent**: the data path, the object store, and any record that only this
//!   process holds.
//!
//! ```text
//!  observe ──► validate ──► decide ──► build ──► apply ──► status
//!  (reads)      (pure)      (pure)     (pure)   (writes)   (one patch)
//! ```
