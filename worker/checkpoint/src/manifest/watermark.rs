//! Where chains of operators stand in event time at a cut, and where their key groups go on.

use serde::{Deserialize, Serialize};
use weir_protocol::{KeyGroupRange, Subtask};

/// What a source says once it has ended, by itself or because the job is drained, so that every
/// window closes.
pub const END_OF_TIME: i64 = i64::MAX;

/// Where the subtasks of a chain of operators stand in event time, in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ChainWatermark {
    /// All at the same watermark; of a source's chain the smallest.
    Even(i64),
    /// Each at its own, in the order of subtasks; absent where none was received. Subtasks that
    /// are told of idle splits in another order do not pass every watermark at the same cut.
    Uneven(Vec<Option<i64>>),
}

/// Where one subtask goes on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reached {
    /// What all of its key groups have reached.
    pub least: Option<i64>,
    /// Those of them that were further.
    pub ahead: Vec<(KeyGroupRange, i64)>,
}

impl ChainWatermark {
    /// What subtasks say of themselves; `None` when none of them has received any.
    #[must_use]
    pub fn of(marks: &[Option<i64>]) -> Option<Self> {
        let first = marks.first()?;
        if marks.iter().any(|mark| mark != first) {
            return Some(Self::Uneven(marks.to_vec()));
        }
        first.map(Self::Even)
    }

    /// What subtasks say of themselves, but for key groups that were ahead of that `before`: a rescale
    /// gave them to a subtask that is behind, and windows that they have given out stay closed.
    #[must_use]
    pub fn not_behind(
        marks: &[Option<i64>],
        before: Option<&Self>,
        max_parallelism: u32,
    ) -> Option<Self> {
        let Some(Self::Uneven(before)) = before else { return Self::of(marks) };
        let (before, now) = (by_group(before, max_parallelism), by_group(marks, max_parallelism));
        if before.iter().zip(&now).all(|(before, now)| before <= now) {
            return Self::of(marks);
        }
        // As many as there are key groups: each stands for itself.
        let furthest = before.iter().zip(&now).map(|(before, now)| *before.max(now));
        Self::of(&furthest.collect::<Vec<_>>())
    }

    /// What all of them have reached.
    #[must_use]
    pub fn least(&self) -> Option<i64> {
        match self {
            Self::Even(mark) => Some(*mark),
            Self::Uneven(marks) => marks.iter().copied().min().flatten(),
        }
    }

    /// What counts where whoever has reached `end` is to begin anew.
    #[must_use]
    pub fn before(&self, end: i64) -> Option<Self> {
        let below = |mark: Option<i64>| mark.filter(|mark| *mark < end);
        match self {
            Self::Even(mark) => below(Some(*mark)).map(Self::Even),
            Self::Uneven(marks) => Self::of(&marks.iter().copied().map(below).collect::<Vec<_>>()),
        }
    }

    /// Where the subtask that has these key groups now goes on.
    #[must_use]
    pub fn reached_by(&self, range: KeyGroupRange, max_parallelism: u32) -> Reached {
        let marks = match self {
            Self::Even(mark) => return Reached { least: Some(*mark), ahead: Vec::new() },
            Self::Uneven(marks) => marks,
        };
        let stored = (0..).map(Subtask).zip(marks);
        let parts: Vec<(KeyGroupRange, Option<i64>)> = stored
            .map(|(subtask, mark)| {
                let own = KeyGroupRange::of_subtask(subtask, marks.len() as u32, max_parallelism);
                (own.intersection(range), *mark)
            })
            .filter(|(part, _)| !part.is_empty())
            .collect();
        let least = parts.iter().map(|(_, mark)| *mark).min().flatten();
        let ahead = parts.into_iter().filter(|(_, mark)| *mark > least);
        Reached { least, ahead: ahead.filter_map(|(part, mark)| Some((part, mark?))).collect() }
    }
}

/// A subtask's watermark for each of its key groups.
fn by_group(marks: &[Option<i64>], max_parallelism: u32) -> Vec<Option<i64>> {
    let subtasks = marks.len() as u32;
    let ranges = (0..subtasks)
        .map(|subtask| KeyGroupRange::of_subtask(Subtask(subtask), subtasks, max_parallelism));
    ranges.zip(marks).flat_map(|(range, mark)| std::iter::repeat_n(*mark, range.len())).collect()
}

impl From<i64> for ChainWatermark {
    fn from(mark: i64) -> Self {
        Self::Even(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(mark: &ChainWatermark, range: KeyGroupRange) -> (Option<i64>, Vec<(u16, u16, i64)>) {
        let Reached { least, ahead } = mark.reached_by(range, 24);
        (least, ahead.into_iter().map(|(range, at)| (range.start, range.end, at)).collect())
    }

    #[test]
    fn key_groups_go_on_from_the_watermark_of_the_subtask_that_had_them() {
        let mark = ChainWatermark::Uneven(vec![Some(30), None, Some(10)]);
        let all = KeyGroupRange::all(24);
        assert_eq!(reached(&mark, all), (None, vec![(0, 8, 30), (16, 24, 10)]));
        for (subtask, own) in [Some(30), None, Some(10)].into_iter().enumerate() {
            let range = KeyGroupRange::of_subtask(Subtask(subtask as u32), 3, 24);
            assert_eq!(reached(&mark, range), (own, vec![]), "at the same parallelism");
        }
        assert_eq!(reached(&ChainWatermark::Even(7), all), (Some(7), vec![]));
    }

    /// Else a second failure before all have met lets windows open again that were given out.
    #[test]
    fn key_groups_that_a_rescale_left_ahead_are_ahead_at_the_next_cut_too() {
        use ChainWatermark::{Even, Uneven};
        let at = |marks: &[i64]| Some(Uneven(marks.iter().copied().map(Some).collect()));
        let next = |marks: &[i64], before: &Option<ChainWatermark>| {
            let marks: Vec<_> = marks.iter().copied().map(Some).collect();
            ChainWatermark::not_behind(&marks, before.as_ref(), 4)
        };
        let now = next(&[10], &at(&[30, 10]));
        assert_eq!(now, at(&[30, 30, 10, 10]));
        let all = now.as_ref().expect("a watermark").reached_by(KeyGroupRange::all(4), 4);
        let ahead: Vec<_> = all.ahead.iter().map(|(r, at)| (r.start, r.end, *at)).collect();
        assert_eq!((all.least, ahead), (Some(10), vec![(0, 1, 30), (1, 2, 30)]));

        let later = next(&[20], &now);
        assert_eq!(later, at(&[30, 30, 20, 20]));
        let met = next(&[40], &later);
        assert_eq!(met, Some(Even(40)));
        assert_eq!(next(&[50, 60], &met), at(&[50, 60]));
    }
}
