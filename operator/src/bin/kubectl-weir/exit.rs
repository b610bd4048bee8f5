//! What an exit code tells scripts. 0 is done, 1 failed, 2 a wrong flag (clap's own), 130 Ctrl-C.

/// Something would change: `plan --exit-code`.
pub(crate) const CHANGES: u8 = 2;
/// It was refused because it would not be safe: `plan`, `savepoint restore`.
pub(crate) const REFUSED: u8 = 3;
/// The job is not well: `status --check`.
pub(crate) const NOT_WELL: u8 = 4;
/// It did not happen in time, and goes on.
pub(crate) const TIMED_OUT: u8 = 124;
