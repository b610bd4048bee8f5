//! The index of a window: where its unescaped quotes and its newlines stand.
//!
//! 64 bytes at a time become bitmaps, the bitmaps a list of positions, as in simdjson's first
//! stage (Langdale and Lemire, "Parsing Gigabytes of JSON per Second"). Two things differ: a
//! newline always ends a record, so nothing has to know whether a byte lies inside a string;
//! and structural characters are left to the predicted [`super::layout::Layout`], which checks
//! them eight and sixteen at a time.
//!
//! This is the one module of the formats with `unsafe` code, because intrinsics need it: what
//! AVX2 code is called only after the processor was asked for AVX2, and every pointer is
//! derived from a slice whose length was checked just before. The portable version next to it
//! computes the same, and a test compares the two.
#![allow(unsafe_code)]

/// Positions of quotes and newlines in a window, and what else its bytes are.
#[derive(Default)]
pub(super) struct Index {
    /// Unescaped quotes and all newlines, ascending.
    pub(super) entries: Vec<u32>,
    /// One bit per byte of the window that is a backslash.
    backslashes: Vec<u64>,
    /// Whether any byte is a backslash.
    pub(super) any_backslash: bool,
    /// Whether any byte is outside ASCII.
    pub(super) any_non_ascii: bool,
}

/// Bitmaps of 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Block {
    quotes: u64,
    newlines: u64,
    backslashes: u64,
    non_ascii: u64,
}

/// What a block leaves to the next.
#[derive(Clone, Copy, Default)]
struct Carry {
    /// 1 when the next block's first byte is escaped.
    escaped: u64,
    backslash: u64,
    non_ascii: u64,
}

impl Index {
    /// Indexes a window that starts at a record.
    pub(super) fn build(&mut self, window: &[u8]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("popcnt")
        {
            // SAFETY: the processor has AVX2, BMI1 and POPCNT, asked in the lines above.
            unsafe { self.build_avx2(window) };
            return;
        }
        self.build_portable(window);
    }

    /// Whether a backslash stands in `start .. end` of the window.
    #[inline]
    pub(super) fn has_backslash(&self, start: usize, end: usize) -> bool {
        if !self.any_backslash || start >= end {
            return false;
        }
        let (first, last) = (start / 64, (end - 1) / 64);
        let from = u64::MAX << (start % 64);
        let to = u64::MAX >> (63 - (end - 1) % 64);
        let Some(words) = self.backslashes.get(first..=last) else { return true };
        match words {
            [only] => only & from & to != 0,
            [head, middle @ .., tail] => {
                head & from != 0 || tail & to != 0 || middle.iter().any(|&word| word != 0)
            }
            [] => false,
        }
    }

    fn clear(&mut self, window: &[u8]) {
        self.entries.clear();
        self.backslashes.clear();
        // Every byte may be a quote, and positions are written eight at a time.
        self.entries.reserve(window.len() + 64 + 8);
        self.backslashes.reserve(window.len() / 64 + 1);
    }

    fn build_portable(&mut self, window: &[u8]) {
        self.clear(window);
        let mut carry = Carry::default();
        let mut blocks = window.chunks_exact(64);
        let mut base = 0;
        for bytes in &mut blocks {
            self.add(block_portable(bytes), &mut carry, base);
            base += 64;
        }
        let rest = blocks.remainder();
        if !rest.is_empty() {
            let mut padded = [b' '; 64];
            padded[..rest.len()].copy_from_slice(rest);
            self.add(block_portable(&padded), &mut carry, base);
        }
        self.any_backslash = carry.backslash != 0;
        self.any_non_ascii = carry.non_ascii != 0;
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,popcnt")]
    fn build_avx2(&mut self, window: &[u8]) {
        self.clear(window);
        let mut carry = Carry::default();
        let mut blocks = window.chunks_exact(64);
        let mut base = 0;
        for bytes in &mut blocks {
            prefetch(bytes.as_ptr().wrapping_add(AHEAD));
            self.add(block_avx2(bytes), &mut carry, base);
            base += 64;
        }
        let rest = blocks.remainder();
        if !rest.is_empty() {
            let mut padded = [b' '; 64];
            padded[..rest.len()].copy_from_slice(rest);
            self.add(block_avx2(&padded), &mut carry, base);
        }
        self.any_backslash = carry.backslash != 0;
        self.any_non_ascii = carry.non_ascii != 0;
    }

    /// Adds a block's positions. The caller has reserved room for every byte of the window.
    #[inline(always)]
    fn add(&mut self, block: Block, carry: &mut Carry, base: u32) {
        let mut quotes = block.quotes;
        if block.backslashes | carry.escaped != 0 {
            quotes &= !escaped(block.backslashes, &mut carry.escaped);
        }
        carry.backslash |= block.backslashes;
        carry.non_ascii |= block.non_ascii;
        self.backslashes.push(block.backslashes);
        let mut bits = quotes | block.newlines;
        let count = bits.count_ones() as usize;
        let length = self.entries.len();
        if self.entries.capacity() < length + count + 8 {
            // Never taken after `clear`; here so that the writes below need no promise.
            self.entries.reserve(count + 8);
        }
        let mut at = 0;
        while at < count {
            // Eight at a time without a branch each: what is beyond `count` is overwritten.
            for lane in 0..8 {
                // SAFETY: at < count is a multiple of 8, so at + lane < count + 8, for which
                // there is capacity.
                unsafe {
                    let slot = self.entries.as_mut_ptr().add(length + at + lane);
                    slot.write(base + bits.trailing_zeros());
                }
                bits &= bits.wrapping_sub(1);
            }
            at += 8;
        }
        // SAFETY: the first `count` entries from `length` on were written just above.
        unsafe { self.entries.set_len(length + count) };
    }
}

/// Bytes that follow an odd number of backslashes.
#[inline(always)]
fn escaped(backslashes: u64, carry: &mut u64) -> u64 {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    // A backslash that is escaped itself does not escape.
    let potential = backslashes & !*carry;
    let maybe = potential << 1;
    // Subtraction carries through each run of backslashes and leaves alternating bits.
    let codes = ((maybe | ODD).wrapping_sub(potential)) ^ ODD;
    let escaped = codes ^ (backslashes | *carry);
    *carry = (codes & backslashes) >> 63;
    escaped
}

fn block_portable(bytes: &[u8]) -> Block {
    let mut block = Block::default();
    for (lane, &byte) in bytes.iter().enumerate().take(64) {
        block.quotes |= u64::from(byte == b'"') << lane;
        block.newlines |= u64::from(byte == b'\n') << lane;
        block.backslashes |= u64::from(byte == b'\\') << lane;
        block.non_ascii |= u64::from(byte >= 0x80) << lane;
    }
    block
}

/// Input comes from memory in bursts, a window at a time; asking for it this many bytes before
/// it is needed hides most of the wait.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 4_096;

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which the processor drops for an address that is not mapped; nothing is
    // read, and SSE is part of every x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast::<i8>()) };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn block_avx2(bytes: &[u8]) -> Block {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8,
    };
    assert!(bytes.len() >= 64, "a block has 64 bytes");
    let pointer = bytes.as_ptr().cast::<__m256i>();
    // SAFETY: the slice has at least 64 bytes, asserted above; the loads need no alignment.
    let (low, high) = unsafe { (_mm256_loadu_si256(pointer), _mm256_loadu_si256(pointer.add(1))) };
    let join = |low: __m256i, high: __m256i| {
        let low = _mm256_movemask_epi8(low).cast_unsigned();
        let high = _mm256_movemask_epi8(high).cast_unsigned();
        u64::from(low) | u64::from(high) << 32
    };
    let equal = |byte: u8| {
        let wanted = _mm256_set1_epi8(byte.cast_signed());
        join(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted))
    };
    Block {
        quotes: equal(b'"'),
        newlines: equal(b'\n'),
        backslashes: equal(b'\\'),
        non_ascii: join(low, high),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(window: &[u8]) -> Vec<u32> {
        let mut run = 0;
        let mut entries = Vec::new();
        for (at, &byte) in window.iter().enumerate() {
            if byte == b'\n' || (byte == b'"' && run % 2 == 0) {
                entries.push(u32::try_from(at).unwrap());
            }
            run = if byte == b'\\' { run + 1 } else { 0 };
        }
        entries
    }

    proptest! {
        #[test]
        fn both_versions_find_what_a_plain_loop_finds(
            window in prop::collection::vec(prop::sample::select(b"\\\\\\\"\"\na{\xc3".to_vec()), 0..300),
            start in 0usize..300,
            length in 0usize..200,
        ) {
            let mut fast = Index::default();
            fast.build(&window);
            let mut portable = Index::default();
            portable.build_portable(&window);
            prop_assert_eq!(&fast.entries, &naive(&window));
            prop_assert_eq!(&portable.entries, &naive(&window));
            prop_assert_eq!(fast.any_non_ascii, !window.is_ascii());
            prop_assert_eq!(portable.any_non_ascii, !window.is_ascii());
            let start = start.min(window.len());
            let end = (start + length).min(window.len());
            let there = window[start..end].contains(&b'\\');
            prop_assert_eq!(fast.has_backslash(start, end), there);
            prop_assert_eq!(portable.has_backslash(start, end), there);
        }
    }
}
