//! Sets of numbers of 32 bits in the portable form of Roaring bitmaps (its specification:
//! github.com/RoaringBitmap/RoaringFormatSpec): numbers with equal upper halves are together, as a
//! list, as a row of bits or as runs, whichever is shortest.

/// First word where no part has runs.
const PLAIN: u32 = 12_346;
/// Lower half of the first word where some have.
const WITH_RUNS: u32 = 12_347;
/// Numbers of a part that is a list.
const LONGEST_LIST: usize = 4096;
/// Bytes of a row of bits.
const BITS: usize = 8192;
/// Numbers that are read of one: 256 MiB.
const MOST: usize = 1 << 26;
/// Parts from which on their offsets are written, if some have runs.
const OFFSETS_FROM: usize = 4;

/// `{1,2,3}`.
pub fn text(set: &[u32]) -> String {
    let numbers: Vec<String> = set.iter().map(u32::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

/// Numbers that are sorted and different.
pub fn write(set: &[u32]) -> Vec<u8> {
    let parts: Vec<&[u32]> = set.chunk_by(|a, b| a >> 16 == b >> 16).collect();
    let bodies: Vec<(bool, Vec<u8>)> = parts.iter().map(|part| body(part)).collect();
    let with_runs = bodies.iter().any(|(runs, _)| *runs);
    let mut out = Vec::new();
    if with_runs {
        let count = (parts.len() - 1) as u32;
        out.extend_from_slice(&(WITH_RUNS | count << 16).to_le_bytes());
        for eight in bodies.chunks(8) {
            let bits = eight.iter().enumerate().map(|(at, (runs, _))| u8::from(*runs) << at);
            out.push(bits.sum());
        }
    } else {
        out.extend_from_slice(&PLAIN.to_le_bytes());
        out.extend_from_slice(&(parts.len() as u32).to_le_bytes());
    }
    for part in &parts {
        out.extend_from_slice(&((part[0] >> 16) as u16).to_le_bytes());
        out.extend_from_slice(&((part.len() - 1) as u16).to_le_bytes());
    }
    if !with_runs || parts.len() >= OFFSETS_FROM {
        let mut offset = out.len() + 4 * parts.len();
        for (_, body) in &bodies {
            out.extend_from_slice(&(offset as u32).to_le_bytes());
            offset += body.len();
        }
    }
    for (_, body) in bodies {
        out.extend_from_slice(&body);
    }
    out
}

/// Whether a part is written as runs, and its bytes.
fn body(part: &[u32]) -> (bool, Vec<u8>) {
    let low = |number: &u32| (number & 0xFFFF) as u16;
    let runs: Vec<&[u32]> = part.chunk_by(|a, b| a + 1 == *b).collect();
    let plain = if part.len() > LONGEST_LIST { BITS } else { 2 * part.len() };
    if 2 + 4 * runs.len() < plain {
        let mut out = (runs.len() as u16).to_le_bytes().to_vec();
        for run in runs {
            out.extend_from_slice(&low(&run[0]).to_le_bytes());
            out.extend_from_slice(&((run.len() - 1) as u16).to_le_bytes());
        }
        return (true, out);
    }
    if part.len() <= LONGEST_LIST {
        return (false, part.iter().flat_map(|number| low(number).to_le_bytes()).collect());
    }
    let mut bits = vec![0u8; BITS];
    for number in part {
        let at = usize::from(low(number));
        bits[at / 8] |= 1 << (at % 8);
    }
    (false, bits)
}

/// The numbers in order.
///
/// # Errors
/// Bytes of another form.
pub fn read(bytes: &[u8]) -> Result<Vec<u32>, String> {
    let mut rest = Rest(bytes);
    let first = rest.word()?;
    let (count, runs) = if first == PLAIN {
        (rest.word()? as usize, Vec::new())
    } else if first & 0xFFFF == WITH_RUNS {
        let count = (first >> 16) as usize + 1;
        (count, rest.take(count.div_ceil(8))?.to_vec())
    } else {
        return Err(broken());
    };
    if count > 1 << 16 {
        return Err(broken());
    }
    let mut parts = Vec::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        parts.push((u32::from(rest.half()?) << 16, usize::from(rest.half()?) + 1));
    }
    if runs.is_empty() || count >= OFFSETS_FROM {
        rest.take(4 * count)?;
    }
    // A few bytes may stand for very many numbers.
    if parts.iter().map(|(_, length)| length).sum::<usize>() > MOST {
        return Err(format!("a bitmap of more than {MOST} numbers is not supported"));
    }
    let mut set: Vec<u32> = Vec::new();
    for (at, (high, length)) in parts.into_iter().enumerate() {
        let before = set.len();
        if runs.get(at / 8).is_some_and(|bits| bits & 1 << (at % 8) != 0) {
            for _ in 0..rest.half()? {
                let (start, more) = (u32::from(rest.half()?), u32::from(rest.half()?));
                let all = set.len() - before + more as usize + 1;
                if start + more > 0xFFFF || all > length {
                    return Err(broken());
                }
                set.extend((start..=start + more).map(|low| high | low));
            }
        } else if length <= LONGEST_LIST {
            for _ in 0..length {
                set.push(high | u32::from(rest.half()?));
            }
        } else {
            for (byte, bits) in rest.take(BITS)?.iter().enumerate() {
                let ones = (0..8).filter(|bit| bits & 1 << bit != 0);
                set.extend(ones.map(|bit| high | (byte * 8 + bit) as u32));
            }
        }
        if set.len() != before + length {
            return Err(broken());
        }
    }
    match set.is_sorted_by(|a, b| a < b) {
        true => Ok(set),
        false => Err(broken()),
    }
}

fn broken() -> String {
    "the bytes are no bitmap: they have another form than that of 32-bit Roaring bitmaps".to_owned()
}

/// Bytes that are still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(broken)?;
        self.0 = rest;
        Ok(taken)
    }

    fn half(&mut self) -> Result<u16, String> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn word(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_every_form_are_read_as_they_were_written() {
        let sets: [Vec<u32>; 7] = [
            vec![],
            vec![1, 2, 3, u32::MAX],
            (0..10).collect(),
            (0..100_000).collect(),
            (0..20_000).map(|n| n * 3).collect(),
            (0..9).flat_map(|part| [part << 16, part << 16 | 7, (part << 16) + 8]).collect(),
            (0..5).flat_map(|part| (0..50).map(move |n| part << 16 | n)).collect(),
        ];
        for set in sets {
            let bytes = write(&set);
            assert_eq!(read(&bytes).as_ref(), Ok(&set));
            for cut in 0..bytes.len().min(300) {
                assert!(read(&bytes[..cut]).is_err(), "{cut} bytes of {}", set.len());
            }
        }
    }

    #[test]
    fn what_is_no_bitmap_is_refused() {
        for bytes in [&[0u8; 8][..], b"hello", &[0x3A, 0x30, 0, 0, 255, 255, 255, 255]] {
            assert!(read(bytes).is_err());
        }
    }
}
