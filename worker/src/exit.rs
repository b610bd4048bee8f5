//! What an exit code tells whoever started the process.

/// The job has finished or was stopped with a savepoint.
pub const DONE: u8 = 0;
/// The job cannot go on; the message was printed.
pub const FAILED: u8 = 1;
/// The manifest, the program or the flags are wrong; nothing was started.
pub const REFUSED: u8 = 2;
/// Another coordinator holds the job: this process must not be started again for it.
pub const FENCED: u8 = 3;

/// The process's pod is being deleted, so that it is not to be started again, and the pod is not to
/// end before it is ended: a kubelet that does not know of the deletion yet would begin anew.
pub const TERMINATED: u8 = 4;

/// Ctrl-C ended what was asked for before it was done, as shells say it of programs.
pub const INTERRUPTED: u8 = 130;

/// Whether a worker process that ended like this is to be started again.
#[must_use]
pub fn wants_restart(code: Option<i32>) -> bool {
    // A signal (no code) or a crash code is an accident; the others are decisions.
    !matches!(code, Some(0..=4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_accidents_are_repeated() {
        assert!(wants_restart(None));
        assert!(wants_restart(Some(101)));
        for decided in [DONE, FAILED, REFUSED, FENCED, TERMINATED] {
            assert!(!wants_restart(Some(i32::from(decided))));
        }
    }
}
