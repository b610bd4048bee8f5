//! Which slots changed since the last freeze.

/// One bit per slot that existed at the last freeze; slots added since then are all changed.
#[derive(Clone, Debug, Default)]
pub struct Dirty {
    /// Slots below this were part of the last freeze.
    frozen: usize,
    words: Vec<u64>,
    any: bool,
}

impl Dirty {
    /// Marks slots as changed.
    #[inline]
    pub fn mark(&mut self, slots: &[u32]) {
        if self.frozen == 0 {
            return;
        }
        for &slot in slots {
            if let Some(word) = self.words.get_mut(slot as usize >> 6) {
                *word |= 1 << (slot & 63);
                self.any |= (slot as usize) < self.frozen;
            }
        }
    }

    /// Whether any of `len` slots changed.
    #[must_use]
    pub fn any(&self, len: usize) -> bool {
        self.any || len > self.frozen
    }

    /// The changed slots of `len`, ascending.
    #[must_use]
    pub fn slots(&self, len: usize) -> Vec<u32> {
        let mut slots = Vec::new();
        for (i, &word) in self.words.iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                let slot = i * 64 + rest.trailing_zeros() as usize;
                if slot < self.frozen {
                    slots.push(slot as u32);
                }
                rest &= rest - 1;
            }
        }
        slots.extend(self.frozen as u32..len as u32);
        slots
    }

    /// The marks so far; from now on nothing of the first `len` slots counts as changed.
    #[must_use]
    pub fn freeze(&mut self, len: usize) -> Self {
        let fresh = Self { frozen: len, words: vec![0; len.div_ceil(64)], any: false };
        std::mem::replace(self, fresh)
    }

    /// Memory in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.words.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_slots_count_when_marked_and_new_slots_always() {
        let mut dirty = Dirty::default();
        dirty.mark(&[0, 1]);
        assert_eq!(dirty.slots(3), vec![0, 1, 2]);
        let _ = dirty.freeze(3);
        assert!(!dirty.any(3));
        assert_eq!(dirty.slots(3), Vec::<u32>::new());
        dirty.mark(&[1, 3]);
        assert!(dirty.any(4));
        assert_eq!(dirty.slots(4), vec![1, 3]);
        assert_eq!(dirty.freeze(4).slots(4), vec![1, 3]);
        assert!(!dirty.any(4));
    }
}
