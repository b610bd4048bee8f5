//! The operator against a naive model: any rows that come and go, in any batches, on either side.

mod run;

use proptest::prelude::*;

use crate::RowKind::{self, Delete, Insert, UpdateAfter, UpdateBefore};
use crate::aggregate::InputRows;
use crate::operators::join::spec::JoinKind;

use run::{Change, Event, Row, Run, Unique, Wanted};

const KINDS: [JoinKind; 6] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::Semi,
    JoinKind::Anti,
];

fn any_row() -> impl Strategy<Value = Row> {
    (
        prop::option::weighted(0.9, 0_i64..4),
        prop::option::weighted(0.9, 0_i32..4),
        prop::option::weighted(
            0.8,
            prop::sample::select(vec!["", "a", "a text too long to inline"]),
        ),
    )
        .prop_map(|(k, n, text)| Row { k, n, text: text.map(str::to_owned) })
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => any_row().prop_map(Change::Come),
        4 => any::<prop::sample::Index>().prop_map(|index| Change::Go(index.index(1_000))),
        1 => any_row().prop_map(Change::Stray),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => (0_usize..2, prop::collection::vec(any_change(), 1..10))
            .prop_map(|(side, changes)| Event::Batch(side, changes)),
        2 => Just(Event::Checkpoint),
        2 => prop::sample::select(vec![0, 1, usize::MAX]).prop_map(Event::Trim),
        1 => any::<bool>().prop_map(|whole| Event::Restore { whole }),
    ]
}

fn any_join(kind: JoinKind) -> impl Strategy<Value = Wanted> {
    let unique = prop::sample::select(vec![Unique::No, Unique::No, Unique::N, Unique::K]);
    let rows =
        prop::sample::select(vec![InputRows::Retracted, InputRows::Retracted, InputRows::Appended]);
    (
        prop::bool::weighted(0.8),
        any::<bool>(),
        any::<bool>(),
        [unique.clone(), unique],
        [rows.clone(), rows],
        // So long that nothing expires, but matches are counted.
        prop::option::weighted(0.2, Just(1_000_000)),
    )
        .prop_map(move |(keyed, null_safe, conditioned, unique, rows, ttl)| {
            // A row with a NULL is not kept, so that nothing can take its place.
            let null_safe = null_safe || unique != [Unique::No; 2];
            Wanted { kind, keyed, null_safe, conditioned, unique, rows, ttl }
        })
}

/// One property per kind, so that a failure names it.
macro_rules! folds_to_the_join {
    ($($name:ident: $kind:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig {
                failure_persistence: None,
                cases: 500,
                ..ProptestConfig::default()
            })]
            $(
                #[test]
                fn $name(wanted in any_join($kind), events in prop::collection::vec(any_event(), 1..20)) {
                    let mut run = Run::new(wanted);
                    events.into_iter().for_each(|event| run.on(event));
                }
            )*
        }
    };
}

folds_to_the_join! {
    what_an_inner_join_gives_folds_to_the_pairs: JoinKind::Inner;
    what_a_left_join_gives_folds_to_it: JoinKind::Left;
    what_a_right_join_gives_folds_to_it: JoinKind::Right;
    what_a_full_join_gives_folds_to_it: JoinKind::Full;
    what_a_semi_join_gives_folds_to_rows_with_a_match: JoinKind::Semi;
    what_an_anti_join_gives_folds_to_rows_without_one: JoinKind::Anti;
}

fn join(kind: JoinKind) -> Wanted {
    Wanted {
        kind,
        keyed: true,
        null_safe: false,
        conditioned: false,
        unique: [Unique::No; 2],
        rows: [InputRows::Retracted; 2],
        ttl: None,
    }
}

fn row(k: i64, n: i32) -> Row {
    Row { k: Some(k), n: Some(n), text: None }
}

fn shown(out: Vec<(RowKind, Vec<String>)>) -> Vec<(RowKind, String)> {
    out.into_iter().map(|(kind, row)| (kind, row.join(" ").replace(" NULL", "."))).collect()
}

fn expected(rows: &[(RowKind, &str)]) -> Vec<(RowKind, String)> {
    rows.iter().map(|(kind, row)| (*kind, (*row).to_owned())).collect()
}

#[test]
fn a_row_without_a_match_is_taken_back_before_its_first_pair_is_given() {
    let mut run = Run::new(join(JoinKind::Left));
    let out = run.take_in(0, &[(row(1, 5), Insert)]);
    assert_eq!(shown(out), expected(&[(Insert, "1 5....")]));
    let out = run.take_in(1, &[(row(1, 7), Insert), (row(1, 8), Insert)]);
    let pairs = [(Delete, "1 5...."), (Insert, "1 5. 1 7."), (Insert, "1 5. 1 8.")];
    assert_eq!(shown(out), expected(&pairs));
    // While one is left nothing is given for having none.
    let out = run.take_in(1, &[(row(1, 7), Delete)]);
    assert_eq!(shown(out), expected(&[(Delete, "1 5. 1 7.")]));
    let out = run.take_in(1, &[(row(1, 8), Delete)]);
    assert_eq!(shown(out), expected(&[(Delete, "1 5. 1 8."), (Insert, "1 5....")]));
}

#[test]
fn an_update_of_a_match_does_not_show_the_row_without_one() {
    let mut run = Run::new(join(JoinKind::Left));
    let _ = run.take_in(0, &[(row(1, 5), Insert)]);
    let _ = run.take_in(1, &[(row(1, 7), Insert)]);
    let out = run.take_in(1, &[(row(1, 7), UpdateBefore), (row(1, 8), UpdateAfter)]);
    let update = [(UpdateBefore, "1 5. 1 7."), (UpdateAfter, "1 5. 1 8.")];
    assert_eq!(shown(out), expected(&update));
}

#[test]
fn all_that_is_taken_back_leaves_before_all_that_is_given() {
    let mut run = Run::new(Wanted { unique: [Unique::N, Unique::No], ..join(JoinKind::Inner) });
    let _ = run.take_in(1, &[(row(1, 7), Insert), (row(2, 8), Insert)]);
    let _ = run.take_in(0, &[(row(2, 5), Insert), (row(1, 6), Insert)]);
    let swap = [
        (row(2, 5), UpdateBefore),
        (row(1, 5), UpdateAfter),
        (row(1, 6), UpdateBefore),
        (row(2, 6), UpdateAfter),
    ];
    let kinds: Vec<RowKind> = run.take_in(0, &swap).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [Delete, Delete, Insert, Insert]);
}

#[test]
fn what_came_and_went_in_one_batch_leaves_nothing() {
    for kind in KINDS {
        let mut run = Run::new(join(kind));
        let _ = run.take_in(1, &[(row(1, 7), Insert)]);
        let _ = run.take_in(0, &[(row(1, 7), Insert)]);
        for side in 0..2 {
            assert_eq!(run.take_in(side, &[(row(1, 3), Insert), (row(1, 3), Delete)]), []);
            let again = [(row(1, 7), UpdateBefore), (row(1, 7), UpdateAfter)];
            assert_eq!(run.take_in(side, &again), []);
        }
    }
}

#[test]
fn rows_that_only_add_to_what_is_there_say_nothing_to_who_asks_whether_there_are_any() {
    for kind in [JoinKind::Semi, JoinKind::Anti] {
        let mut run = Run::new(join(kind));
        let _ = run.take_in(0, &[(row(1, 1), Insert), (row(2, 2), Insert)]);
        let out = run.take_in(1, &[(row(1, 7), Insert), (row(1, 7), Insert)]);
        assert_eq!(out.len(), 1, "{out:?}");
        assert_eq!(run.take_in(1, &[(row(1, 8), Insert)]), []);
        assert_eq!(run.take_in(1, &[(row(1, 7), Delete), (row(1, 8), Delete)]), []);
        let out = run.take_in(1, &[(row(1, 7), Delete)]);
        assert_eq!(out.len(), 1, "{out:?}");
    }
}

#[test]
fn inputs_that_only_add_make_inserts_of_pairs() {
    let wanted = Wanted { rows: [InputRows::Appended; 2], ..join(JoinKind::Inner) };
    let mut run = Run::new(wanted);
    let _ = run.take_in(0, &[(row(1, 5), Insert), (row(1, 5), Insert)]);
    let out = run.take_in(1, &[(row(1, 7), Insert)]);
    assert_eq!(shown(out), expected(&[(Insert, "1 5. 1 7."), (Insert, "1 5. 1 7.")]));
}

#[test]
fn rows_that_expired_match_nothing() {
    let mut run = Run::new(Wanted { ttl: Some(10), ..join(JoinKind::Left) });
    let _ = run.take_in(0, &[(row(1, 5), Insert)]);
    run.now = 8;
    // A match is something that happens to a row.
    let out = run.take_in(1, &[(row(1, 7), Insert)]);
    assert_eq!(shown(out), expected(&[(Delete, "1 5...."), (Insert, "1 5. 1 7.")]));
    run.now = 12;
    let out = run.take_in(1, &[(row(1, 8), Insert)]);
    assert_eq!(shown(out), expected(&[(Insert, "1 5. 1 8.")]));
    run.now = 30;
    assert_eq!(run.take_in(1, &[(row(1, 9), Insert)]), []);
    let out = run.take_in(0, &[(row(1, 6), Insert)]);
    assert_eq!(shown(out), expected(&[(Insert, "1 6. 1 9.")]));
}

#[test]
fn a_key_with_many_rows_is_joined_in_steps() {
    let mut run = Run::new(join(JoinKind::Full));
    let many: Vec<_> = (0..300).map(|n| (row(1, n), Insert)).collect();
    let _ = run.take_in(0, &many);
    let out = run.take_in(1, &many);
    assert_eq!(out.len(), 300 * 300 + 300);
    assert_eq!(run.folded.len(), 300 * 300);
    let gone: Vec<_> = (0..300).map(|n| (row(1, n), Delete)).collect();
    let out = run.take_in(0, &gone);
    assert_eq!(out.len(), 300 * 300 + 300);
    assert_eq!(run.folded.len(), 300);
}
