//! A list of byte strings in one buffer.

/// Byte strings one after another, without an allocation each.
#[derive(Clone, Default, Debug)]
pub struct Strings {
    data: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    /// An empty list with room for `rows` strings of `each` bytes.
    #[must_use]
    pub fn with_capacity(rows: usize, each: usize) -> Self {
        Self { data: Vec::with_capacity(rows * each), ends: Vec::with_capacity(rows) }
    }

    /// Forgets all strings; keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
    }

    /// Number of strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends a string.
    pub fn push(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.end();
    }

    /// Where the next string is written; [`Strings::end`] ends it.
    pub(crate) fn open(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Ends the string that was written to [`Strings::open`].
    pub(crate) fn end(&mut self) {
        self.ends.push(self.data.len());
    }

    /// The string at `i`; like an index out of range, one that is not there is a bug.
    #[must_use]
    #[inline]
    pub fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.data[start..self.ends[i]]
    }

    /// All strings.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i))
    }
}
