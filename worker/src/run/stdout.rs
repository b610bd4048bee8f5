//! Whether anybody still reads what the job prints.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Returns when the reader of standard output has gone: `weir run job.yaml | head` ends then, as
/// any other program does. Never returns when standard output is not a pipe.
pub(crate) async fn closed() {
    while !is_closed() {
        tokio::time::sleep(LOOK).await;
    }
}

fn is_closed() -> bool {
    let output = std::io::stdout();
    // Nothing is asked for: a pipe without a reader reports an error unasked.
    let mut look = [PollFd::new(&output, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut look, Some(&at_once)).is_ok() && look[0].revents().contains(PollFlags::ERR)
}
