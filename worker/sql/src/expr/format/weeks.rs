//! Weeks as Java counts them where English is spoken in the United States, which is what Flink's
//! locale gives: they begin on Sunday, and the first one of a year is that of the 1st of January.

/// A day by its place in its year.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day {
    pub(super) year: i64,
    /// Days of that year.
    pub(super) days: i64,
    /// From 0.
    pub(super) of_year: i64,
    /// From 1.
    pub(super) of_month: i64,
    /// Sunday is 0.
    pub(super) of_week: i64,
}

impl Day {
    /// The year whose week it is in, and which of its weeks.
    pub(super) fn week(self) -> (i64, i64) {
        let last_of_week = self.of_year + 6 - self.of_week;
        if last_of_week >= self.days {
            return (self.year + 1, 1);
        }
        let first = (self.of_week - self.of_year).rem_euclid(7);
        (self.year, (self.of_year + first) / 7 + 1)
    }

    /// Which of the month's weeks it is in.
    pub(super) fn week_of_month(self) -> i64 {
        let first = (self.of_week - (self.of_month - 1)).rem_euclid(7);
        (self.of_month - 1 + first) / 7 + 1
    }
}
