//! Where a row of a file stands: looked up only for a message, since counting lines all along
//! would cost every reader what only an error needs.

use super::fetch::{Content, Growing, Start};
use super::mark::Mark;
use super::position::FileInfo;
use crate::formats::RecordDecoder;

/// Up to this offset lines are counted; further on, the byte has to do.
const COUNTED: u64 = 1 << 30;
const STEP: usize = 64 << 10;

/// The line, from 1, of row `row` behind byte `from` of a local file's content; of a record with
/// several lines, its last. Blocks. `None` when it cannot be found.
pub(crate) fn line_of_row(
    io: &tokio::runtime::Handle,
    file: &FileInfo,
    mut decoder: Box<dyn RecordDecoder>,
    from: u64,
    row: usize,
) -> Option<u64> {
    if file.is_remote() || from > COUNTED {
        return None;
    }
    // The rows were read already: whatever has become of the file since is told elsewhere.
    let growing = Growing { mark: Mark::default(), compare: false, may_be_cut: true, lines: true };
    let start = Start { offset: 0, growing: Some(growing) };
    let mut content = Content::open(io, file.clone(), None, start).ok()?;
    let mut lines = 1 + content.pass(from).ok()?;
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        let filled = data.len();
        data.resize(filled + STEP, 0);
        let end = content.fill(&mut data, filled).ok()?;
        data.truncate(end);
        let last = end < filled + STEP;
        at += decoder.decode(data.get(at..)?, row + 1, last).ok()?.consumed;
        if decoder.rows() > row {
            // Without the newline behind it.
            let record = data.get(..at.saturating_sub(1))?;
            lines += memchr::memchr_iter(b'\n', record).count() as u64;
            return Some(lines);
        }
        if last {
            return None;
        }
    }
}

/// `file:line`, or what is known instead.
pub(crate) fn shown(file: &FileInfo, line: Option<u64>, from: u64, row: usize) -> String {
    match line {
        Some(line) => format!("{}:{line}", file.path),
        None => format!("{}: row {} behind byte {from}", file.path, row + 1),
    }
}
