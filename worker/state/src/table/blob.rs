//! A string or bytes in a cell.

use std::sync::Arc;

/// Bytes that a cell holds by itself.
const INLINE: usize = 22;

/// Bytes of any length; short ones take no allocation. Copies share long ones.
///
/// Not in an arena as keys are: cells are overwritten and removed one by one, and what they held
/// must be free at once.
#[derive(Clone)]
pub(crate) enum Blob {
    Inline(u8, [u8; INLINE]),
    Long(Arc<[u8]>),
}

impl Default for Blob {
    fn default() -> Self {
        Self::Inline(0, [0; INLINE])
    }
}

impl Blob {
    #[inline]
    pub(crate) fn new(bytes: &[u8]) -> Self {
        if bytes.len() <= INLINE {
            let mut inline = [0; INLINE];
            inline[..bytes.len()].copy_from_slice(bytes);
            Self::Inline(bytes.len() as u8, inline)
        } else {
            Self::Long(bytes.into())
        }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline(len, bytes) => &bytes[..usize::from(*len).min(INLINE)],
            Self::Long(bytes) => bytes,
        }
    }

    /// Memory outside of the cell, in bytes: two counts and the content, in units of 8.
    #[inline]
    pub(crate) fn heap(&self) -> usize {
        match self {
            Self::Inline(..) => 0,
            Self::Long(bytes) => (16 + bytes.len()).next_multiple_of(8),
        }
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_bytes().fmt(f)
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Blob {}

impl PartialOrd for Blob {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Blob {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}
