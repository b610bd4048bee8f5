//! Rows that are given out when everything has come, against the same naive model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::run::{Event, Run};
use super::{any_events, any_spec, cases};
use crate::aggregate::testing::{Row, records};
use crate::operators::rank::spec::TopN;
use crate::operators::rank::window::WindowRank;
use crate::operators::testing::{Bench, GROUPS};
use crate::{Batch, Operator, RowKind};

fn fresh(spec: &TopN) -> Box<dyn Operator> {
    Box::new(WindowRank::new(spec, GROUPS).unwrap())
}

fn check(spec: TopN, events: Vec<Event>) {
    let at_end = TopN { at_end: true, ..spec.clone() };
    let (mut bench, mut model) = (Bench::new(fresh(&at_end)), Run::new(spec));
    for event in events {
        match event {
            Event::Batch(changes) => {
                let batch = model.changed(changes);
                let (rows, kinds): (Vec<Row>, Vec<RowKind>) = batch.into_iter().unzip();
                if !rows.is_empty() {
                    let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
                    let kinds = (!inserts).then(|| kinds.into());
                    bench.batch(Batch::new(records(&rows)).with_kinds(kinds));
                }
            }
            Event::Checkpoint => bench.checkpoint(),
            Event::Trim(want) => bench.trim(want),
            Event::Restore { whole } => bench.restore(fresh(&at_end), whole),
        }
    }
    assert!(bench.out.is_empty(), "rows left before everything had come");
    bench.watermark(i64::MAX);
    let mut given: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    for (kind, row) in bench.out {
        assert_eq!(kind, RowKind::Insert);
        *given.entry(row).or_default() += 1;
    }
    assert_eq!(given, model.wanted());
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn at_the_end_the_first_of_the_rows_that_are_there_leave_once(
        spec in any_spec(true),
        all in any::<bool>(),
        events in any_events(true),
    ) {
        let (from, to) = if all { (1, u64::MAX) } else { (spec.from, spec.to) };
        check(TopN { from, to, ..spec }, events);
    }

    #[test]
    fn at_the_end_the_first_of_rows_that_only_came_leave_once(
        spec in any_spec(false),
        events in any_events(false),
    ) {
        check(spec, events);
    }
}
