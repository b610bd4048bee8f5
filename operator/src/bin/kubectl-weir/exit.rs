//! What an exit code tells scripts. 0 is done, 1 failed, 2 a wrong flag (clap's own), 130 Ctrl-C.

/// The job is not well: `status --check`.
pub(crate) const NOT_WELL: u8 = 4;
