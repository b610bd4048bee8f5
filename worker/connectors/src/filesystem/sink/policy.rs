//! When a file is full enough, old enough or quiet enough to be closed.

/// `sink.rolling-policy.*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    /// Bytes, as encoded.
    pub(crate) file_size: u64,
    /// Since the first row.
    pub(crate) rollover_ms: i64,
    /// Since the last row.
    pub(crate) inactivity_ms: i64,
    /// How often the two are looked at, besides at every barrier.
    pub(crate) check_ms: i64,
}

/// What the policy looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Age {
    pub(crate) bytes: u64,
    pub(crate) opened_ms: i64,
    pub(crate) written_ms: i64,
}

impl Policy {
    /// Whether the file holds enough.
    pub(crate) fn is_full(&self, age: Age) -> bool {
        age.bytes >= self.file_size
    }

    /// Whether its time has come. A clock that steps back only delays it.
    pub(crate) fn is_due(&self, age: Age, now_ms: i64) -> bool {
        now_ms - age.opened_ms >= self.rollover_ms || now_ms - age.written_ms >= self.inactivity_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_rolled_by_size_age_and_inactivity() {
        let policy = Policy { file_size: 100, rollover_ms: 50, inactivity_ms: 20, check_ms: 1 };
        let age = Age { bytes: 99, opened_ms: 1000, written_ms: 1010 };
        assert!(!policy.is_full(age) && policy.is_full(Age { bytes: 100, ..age }));
        assert!(!policy.is_due(age, 1029) && policy.is_due(age, 1030));
        let busy = Age { written_ms: 1049, ..age };
        assert!(!policy.is_due(busy, 1049) && policy.is_due(busy, 1050));
        assert!(!policy.is_due(age, 0));
    }
}
