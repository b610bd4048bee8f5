//! How splits are handed out, taken back and dealt out anew.

use weir_checkpoint::OperatorState;

use super::*;

fn split(id: &str, lower_bound: Option<i64>) -> Split {
    Split { id: id.into(), position: Bytes::new(), watermark: None, lower_bound, size: 1 }
}

fn source(assignment: Assignment, bounded: bool, parallelism: u32) -> SourceSplits {
    SourceSplits::restore(PlanSource { bounded, assignment }, parallelism, None)
}

fn stored(enumerator: EnumeratorState, splits: Vec<Split>) -> OperatorEntry {
    let state = OperatorState { splits, ..OperatorState::default() };
    OperatorEntry { state, enumerator: Some(enumerator), ..OperatorEntry::default() }
}

fn found_all(splits: Vec<Split>) -> Found {
    Found { splits, ..Found::default() }
}

fn found_some(splits: Vec<Split>) -> Found {
    Found { again: true, ..found_all(splits) }
}

fn ids(message: &ToReader) -> Vec<&str> {
    message.1.splits.iter().map(|s| s.id.as_str()).collect()
}

#[test]
fn pull_answers_requests_in_split_order_and_tells_everyone_what_remains() {
    let mut splits = source(Assignment::Pull, true, 2);
    let first = splits.start();
    assert_eq!(first.len(), 2);
    assert!(first.iter().all(|(_, a)| a.pending == Pending::Unknown && a.splits.is_empty()));
    assert!(splits.requested(Subtask(1), vec![]).is_empty());
    let found = vec![split("a", Some(10)), split("b", Some(20)), split("c", Some(30))];
    let sent = splits.discovered(found_all(found));
    assert_eq!(ids(&sent[1]), ["a"]);
    assert_eq!(sent[0].1.pending, Pending::Above(20));
    let sent = splits.requested(Subtask(0), vec![]);
    assert_eq!((ids(&sent[0]), sent[0].1.pending), (vec!["b"], Pending::Above(30)));
    assert_eq!((ids(&sent[1]), sent[1].1.pending), (vec![], Pending::Above(30)));
    let sent = splits.requested(Subtask(1), vec![]);
    assert_eq!(ids(&sent[1]), ["c"]);
    assert!(sent.iter().all(|(_, a)| a.pending == Pending::Ended));
    assert!(splits.requested(Subtask(0), vec![]).is_empty(), "it knows already that nothing comes");
}

#[test]
fn eager_spreads_partitions_evenly_and_always_alike() {
    let mut splits = source(Assignment::Eager, false, 3);
    splits.start();
    let found: Vec<_> = (0..9).map(|p| split(&format!("t/{p}"), None)).collect();
    let sent = splits.discovered(found_some(found.clone()));
    assert!(sent.iter().all(|(_, a)| a.splits.len() == 3 && a.pending == Pending::None));
    let mut again = source(Assignment::Eager, false, 3);
    again.start();
    assert_eq!(again.discovered(found_some(found)), sent);
    assert!(splits.at_cut().unassigned.is_empty());
}

#[test]
fn every_reader_is_told_that_splits_were_found_whoever_gets_them() {
    let mut splits = source(Assignment::Pull, false, 3);
    splits.start();
    splits.discovered(found_some(vec![]));
    for subtask in 0..3 {
        splits.requested(Subtask(subtask), vec![]);
    }
    let sent = splits.discovered(found_some(vec![split("a", None)]));
    assert_eq!(sent.iter().map(ids).collect::<Vec<_>>(), [vec!["a"], vec![], vec![]]);
    assert!(sent.iter().all(|(_, a)| (a.pending, a.round) == (Pending::None, Round(1))));
    assert!(splits.discovered(found_some(vec![])).is_empty());
}

#[test]
fn a_split_is_the_readers_or_the_enumerators_at_a_cut_and_never_both() {
    let mut splits = source(Assignment::Pull, true, 1);
    splits.start();
    splits.discovered(found_all(vec![split("a", None), split("b", None)]));
    let before = splits.requested(Subtask(0), vec![]);
    assert_eq!(ids(&before[0]), ["a"]);
    let cut = splits.at_cut();
    let after = splits.requested(Subtask(0), vec![]);
    assert_eq!(ids(&after[0]), ["b"]);
    // The cut holds what was assigned after it, and only that.
    assert_eq!(cut.unassigned, [split("b", None)]);
    let mut restored = SourceSplits::restore(
        PlanSource { bounded: true, assignment: Assignment::Pull },
        1,
        Some(&stored(cut, vec![split("a", None)])),
    );
    assert!(restored.is_complete());
    restored.start();
    assert_eq!(ids(&restored.requested(Subtask(0), vec![])[0]), ["a"]);
    assert_eq!(ids(&restored.requested(Subtask(0), vec![])[0]), ["b"]);
    assert!(restored.requested(Subtask(0), vec![]).is_empty());
}

#[test]
fn a_bounded_source_that_was_read_to_its_end_ends_again_after_a_restore() {
    let ended = EnumeratorState {
        format: 1,
        snapshot: Some(Bytes::new().into()),
        complete: true,
        ..EnumeratorState::default()
    };
    let plan = PlanSource { bounded: true, assignment: Assignment::Pull };
    let mut splits = SourceSplits::restore(plan, 2, Some(&stored(ended, vec![])));
    assert!(splits.start().iter().all(|(_, a)| a.pending == Pending::Ended));
}

#[test]
fn the_rest_is_above_the_smallest_bound_left_and_unknown_while_one_has_none() {
    let mut splits = source(Assignment::Pull, true, 1);
    splits.start();
    let bounds = [Some(30), None, Some(10), Some(40), Some(10), Some(20)];
    let found = bounds.iter().zip(["a", "b", "c", "d", "e", "f"]);
    let found = found.map(|(bound, id)| split(id, *bound)).collect();
    let sent = splits.discovered(found_all(found));
    assert!(sent.is_empty(), "the reader knows already that nothing is known");
    assert_eq!((splits.unassigned_size(), splits.pending()), (6, Pending::Unknown));
    let rest = [
        Pending::Unknown,
        Pending::Above(10),
        Pending::Above(10),
        Pending::Above(10),
        Pending::Above(20),
        Pending::Ended,
    ];
    for (pending, left) in rest.into_iter().zip((0..6).rev()) {
        let sent = splits.requested(Subtask(0), vec![]);
        assert_eq!((splits.unassigned_size(), sent[0].1.pending), (left, pending));
    }
}

#[test]
fn a_half_read_split_holds_the_watermark_at_what_it_had_shown() {
    let mut half = split("a", Some(5));
    half.watermark = Some(50);
    let plan = PlanSource { bounded: true, assignment: Assignment::Pull };
    let ended = EnumeratorState { complete: true, ..EnumeratorState::default() };
    let mut splits = SourceSplits::restore(plan, 1, Some(&stored(ended, vec![half])));
    assert_eq!(splits.start()[0].1.pending, Pending::Above(50));
}

#[test]
fn a_split_that_was_given_back_is_in_every_cut_at_one_place() {
    let mut splits = source(Assignment::Pull, false, 2);
    splits.start();
    splits.requested(Subtask(0), vec![]);
    splits.discovered(found_some(vec![split("a", None)]));
    assert!(splits.at_cut().returned.is_empty(), "the reader has it");
    // What it could not read holds everyone's watermark at what the split had shown.
    let back = Split { watermark: Some(7), size: 3, ..split("a", None) };
    let told = splits.requested(Subtask(0), vec![back.clone()]);
    let [(first, a), (second, b)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((first.0, a.taken_back, a.pending), (0, 1, Pending::Above(7)));
    assert_eq!((second.0, b.taken_back, b.pending), (1, 0, Pending::Above(7)));
    let cut = splits.at_cut();
    assert_eq!(cut.returned, std::slice::from_ref(&back));
    let plan = PlanSource { bounded: false, assignment: Assignment::Pull };
    let restored = SourceSplits::restore(plan, 1, Some(&stored(cut, vec![])));
    assert_eq!((restored.returned(), restored.pending()), (vec![back], Pending::Above(7)));
    // The enumerator knows of it, and waits for more.
    let known = Found { taken_back: 1, held: Some(7), ..found_some(vec![]) };
    assert_eq!(splits.discovered(known), [], "nothing is new for readers");
    assert_eq!((splits.at_cut().returned.len(), splits.at_cut().held), (0, Some(7)));
    // It goes on, at any reader.
    let told = splits.discovered(found_some(vec![split("a", Some(7))]));
    assert_eq!((ids(&told[0]), told[0].1.taken_back), (vec!["a"], 1));
    assert!(told.iter().all(|(_, a)| a.pending == Pending::None));
    let read = Split { size: 0, ..split("b", None) };
    let told = splits.requested(Subtask(0), vec![read; 2]);
    assert_eq!((told.len(), told[0].1.taken_back), (1, 3), "it is told, though it gets nothing");
}
