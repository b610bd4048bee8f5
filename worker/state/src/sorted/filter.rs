//! A split-block Bloom filter over prefixes.
//!
//! As in Putze, Sanders and Singler, "Cache-, hash- and space-efficient Bloom filters" (2007),
//! in the form that Parquet uses: a key sets one bit in each of the eight words of one block of
//! 32 bytes, so that a question costs one cache line. At 12 bits a key about one absent key in
//! two hundred is taken for present.
//!
//! A part is: CRC-32C of what follows, 0 as u32, then the blocks. It belongs to one index page.

use super::{Place, SegmentError};

const BITS_PER_KEY: usize = 12;
const HEADER: usize = 8;
const BLOCK: usize = 32;
/// Odd multipliers that pick a bit per word; part of the format.
const SALTS: [u32; 8] = [
    0x47B6_137B,
    0x4497_4D91,
    0x8824_AD5B,
    0xA2B7_289D,
    0x7054_95C7,
    0x2DF1_424B,
    0x9EFC_4947,
    0x5C6B_FB31,
];

/// Spreads a prefix over 64 bits; part of the format. The prefixes of one part are close to each
/// other, because rows are sorted by them, so that no bits of theirs could be used as they are.
fn spread(prefix: u64) -> u64 {
    let wide = u128::from(prefix ^ 0x9E37_79B9_7F4A_7C15) * 0xA076_1D64_78BD_642F;
    (wide as u64) ^ ((wide >> 64) as u64)
}

fn masks(hash: u64) -> impl Iterator<Item = u32> {
    SALTS.into_iter().map(move |salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

fn block_of(hash: u64, blocks: usize) -> usize {
    (((hash >> 32) * blocks as u64) >> 32) as usize
}

/// Appends the filter of these prefixes.
pub(crate) fn write(prefixes: &[u64], out: &mut Vec<u8>) {
    let blocks = (prefixes.len() * BITS_PER_KEY).div_ceil(BLOCK * 8).max(1);
    let start = out.len();
    out.resize(start + HEADER + blocks * BLOCK, 0);
    let words = &mut out[start + HEADER..];
    for &prefix in prefixes {
        let hash = spread(prefix);
        let at = block_of(hash, blocks) * BLOCK;
        for (word, mask) in words[at..at + BLOCK].chunks_exact_mut(4).zip(masks(hash)) {
            let set = u32_at(word, 0) | mask;
            word.copy_from_slice(&set.to_le_bytes());
        }
    }
    let crc = crc32c::crc32c(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Checks a part that was read.
///
/// # Errors
/// When it is not what was written.
pub(crate) fn check(part: &[u8], segment: u128, page: u32) -> Result<(), SegmentError> {
    let whole = part.len() > HEADER && (part.len() - HEADER).is_multiple_of(BLOCK);
    if whole && u32_at(part, 0) == crc32c::crc32c(&part[4..]) {
        return Ok(());
    }
    let problem = "its checksum differs";
    Err(SegmentError::Damaged { segment, place: Place::Filter(page), problem })
}

/// Whether the prefix may be among those that the part was made from; `false` is certain.
pub(crate) fn may_hold(part: &[u8], prefix: u64) -> bool {
    let words = &part[HEADER..];
    let hash = spread(prefix);
    let at = block_of(hash, words.len() / BLOCK) * BLOCK;
    words[at..at + BLOCK].chunks_exact(4).zip(masks(hash)).all(|(w, mask)| u32_at(w, 0) & mask != 0)
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_never_denies_what_it_holds_and_seldom_confirms_what_it_does_not() {
        for keys in [0_u64, 1, 5, 1_000, 40_000] {
            // Prefixes as they are in one part: close to each other.
            let prefix = |i: u64| 7 << 48 | 0xABCD << 32 | (i * 0x1_0001);
            let held: Vec<u64> = (0..keys).map(prefix).collect();
            let mut part = vec![9; 16];
            write(&held, &mut part);
            let part = &part[16..];
            check(part, 0, 0).unwrap();
            assert!(held.iter().all(|&p| may_hold(part, p)));
            let wrong = (keys..keys + 100_000).filter(|&i| may_hold(part, prefix(i))).count();
            assert!(wrong < 1_200, "{wrong} of 100,000 with {keys} keys");
            let mut damaged = part.to_vec();
            damaged[part.len() / 2] ^= 4;
            check(&damaged, 0, 0).unwrap_err();
        }
    }
}
