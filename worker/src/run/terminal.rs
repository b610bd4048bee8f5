//! The terminal that a running job shares: some lines at the bottom that are redrawn, and above them
//! everything that is said, logged and printed.
//!
//! One for the process, as standard output is: rows come from the threads of tasks, lines of the log
//! from anywhere.

use std::io::{IsTerminal, Write, stderr, stdout};

use parking_lot::Mutex;

/// What stands at the bottom, if anything.
static LINE: Mutex<Option<String>> = Mutex::new(None);

/// What takes this away: the cursor stands at its end.
fn erase(text: &str) -> String {
    match text.matches('\n').count() {
        0 => "\r\x1b[2K".to_owned(),
        lines => format!("\r\x1b[{lines}A\x1b[J"),
    }
}

/// Lets something be written above what is drawn.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    let line = LINE.lock();
    if let Some(line) = &*line {
        eprint!("{}", erase(line));
    }
    let written = write();
    if let Some(line) = &*line {
        eprint!("{line}");
        let _ = stderr().flush();
    }
    written
}

/// Puts this at the bottom: no more lines than the terminal has, none of which wraps.
pub(super) fn draw(text: String) {
    let mut line = LINE.lock();
    // At once, so that nothing flickers.
    eprint!("{}{text}", line.as_deref().map_or_else(|| erase(""), erase));
    let _ = stderr().flush();
    *line = Some(text);
}

/// Takes it away.
pub(super) fn clear() {
    if let Some(line) = LINE.lock().take() {
        eprint!("{}", erase(&line));
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
