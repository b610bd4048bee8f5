//! What was read of a file, in a few numbers: enough to know it again when the file has grown.

use serde::{Deserialize, Serialize};

/// At least so many bytes before a position are compared before a file is read on.
const TAIL: u64 = 64 << 10;

/// Checksums (CRC-32C) of what stands before a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Of everything before the position.
    pub(crate) crc: u32,
    /// Two bytes some way before the position, each with the checksum of everything before it:
    /// so long files need not be read anew. The first is where a comparison begins; the second
    /// takes its place when the position is far enough from it.
    pub(crate) from: [(u64, u32); 2],
}

impl Mark {
    /// Where to begin with the comparison, and with which checksum.
    pub(crate) fn start(self, everything: bool) -> (u64, u32) {
        if everything { (0, 0) } else { self.from[0] }
    }
}

/// Follows a reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marker {
    at: u64,
    mark: Mark,
}

impl Marker {
    pub(crate) fn new(at: u64, mark: Mark) -> Self {
        Self { at, mark }
    }

    /// Byte of the content.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// `bytes` were read.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        self.mark.crc = crc32c::crc32c_append(self.mark.crc, bytes);
        self.at += bytes.len() as u64;
    }

    /// The mark of the present position.
    pub(crate) fn mark(&mut self) -> Mark {
        let [_, second] = self.mark.from;
        if self.at - second.0 >= TAIL {
            self.mark.from = [second, (self.at, self.mark.crc)];
        }
        self.mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_before_a_position_are_known_by_two_checksums() {
        let content: Vec<u8> = (0..400_000_u32).map(|i| (i % 251) as u8).collect();
        for step in [100, 30_000, 70_000, 150_000] {
            let mut marker = Marker::new(0, Mark::default());
            let mut at = 0;
            for bytes in content.chunks(step) {
                marker.read(bytes);
                at += bytes.len();
                let mark = marker.mark();
                assert_eq!(mark.crc, crc32c::crc32c(&content[..at]));
                let (from, crc) = mark.start(false);
                let tail = &content[from as usize..at];
                assert_eq!(crc32c::crc32c_append(crc, tail), mark.crc);
                assert!(tail.len() as u64 >= TAIL.min(at as u64), "{} at {at}", tail.len());
                assert!(tail.len() < 2 * (TAIL as usize + step), "{} at {at}", tail.len());
                // As after a restore.
                marker = Marker::new(at as u64, mark);
            }
        }
    }
}
