//! The terminal that a running job shares: one line at the bottom that is redrawn, and above it
//! everything that is said, logged and printed.
//!
//! One for the process, as standard output is: rows come from the threads of tasks, lines of the log
//! from anywhere.

use std::io::{IsTerminal, Write, stderr, stdout};

use parking_lot::Mutex;

/// What stands at the bottom, if anything.
static LINE: Mutex<Option<String>> = Mutex::new(None);

const ERASE: &str = "\r\x1b[2K";

/// Lets something be written above the line.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    let line = LINE.lock();
    if line.is_some() {
        eprint!("{ERASE}");
    }
    let written = write();
    if let Some(line) = &*line {
        eprint!("{line}");
        let _ = stderr().flush();
    }
    written
}

/// Puts this at the bottom.
pub(super) fn draw(text: String) {
    let mut line = LINE.lock();
    eprint!("{ERASE}{text}");
    let _ = stderr().flush();
    *line = Some(text);
}

/// Takes the line away.
pub(super) fn clear() {
    if LINE.lock().take().is_some() {
        eprint!("{ERASE}");
    }
}

/// Whether rows and progress share a terminal.
pub(super) fn is_shared() -> bool {
    stdout().is_terminal() && stderr().is_terminal()
}

/// Columns and rows of the terminal; what is usual where it does not say.
pub(crate) fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
}
