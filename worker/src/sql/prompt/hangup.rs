//! Whether the terminal is still there.
//!
//! Whoever ignores SIGHUP, as under `nohup`, outlives its terminal, and the line editor then reads
//! nothing again and again for ever. It cannot be interrupted, so that the process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::exit;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Ends the process when the terminal is gone and keys are waited for. A statement that runs is not
/// cut off.
#[derive(Default)]
pub(super) struct Hangup(Arc<AtomicBool>);

impl Hangup {
    /// Looks at the terminal from now on.
    pub(super) fn watched() -> Self {
        let watched = Self::default();
        let waits = Arc::clone(&watched.0);
        tokio::spawn(async move {
            loop {
                if waits.load(Ordering::Acquire) && is_gone() {
                    std::process::exit(exit::DONE.into());
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        watched
    }

    /// Waits for keys.
    pub(super) fn during<T>(&self, read: impl FnOnce() -> T) -> T {
        self.0.store(true, Ordering::Release);
        let typed = read();
        self.0.store(false, Ordering::Release);
        typed
    }
}

fn is_gone() -> bool {
    let keys = std::io::stdin();
    // Nothing is asked for: a terminal that is gone says so unasked.
    let mut look = [PollFd::new(&keys, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    poll(&mut look, Some(&at_once)).is_ok() && look[0].revents().intersects(gone)
}
