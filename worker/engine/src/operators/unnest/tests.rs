//! The operator beside a naive model: a loop over rows and elements.

use arrow::array::{ArrayRef, ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use arrow::array::{Int32Builder, Int64Array, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Schema;
use proptest::prelude::*;

use super::*;
use crate::RowKind;
use crate::operators::join::spec::Test;
use crate::operators::testing::{Bench, kind};

/// A row: a number, and its elements with how often each is there.
#[derive(Clone, Debug)]
struct Row {
    n: i64,
    elements: Option<Vec<(Option<String>, i32)>>,
    kind: RowKind,
}

fn map_names() -> MapFieldNames {
    MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() }
}

/// `n`, a list of the elements, and a map from them to how often they are there, in which none is NULL.
fn batch(rows: &[Row]) -> Batch {
    let mut lists = ListBuilder::new(StringBuilder::new());
    let mut maps = MapBuilder::new(Some(map_names()), StringBuilder::new(), Int32Builder::new());
    for row in rows {
        for (element, count) in row.elements.iter().flatten() {
            lists.values().append_option(element.as_ref());
            if let Some(element) = element {
                maps.keys().append_value(element);
                maps.values().append_value(*count);
            }
        }
        lists.append(row.elements.is_some());
        maps.append(row.elements.is_some()).unwrap();
    }
    let n: Int64Array = rows.iter().map(|row| Some(row.n)).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("n", Arc::new(n)), ("list", Arc::new(lists.finish())), ("map", Arc::new(maps.finish()))];
    let records =
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, c)| (name, c, true)));
    let kinds: Vec<RowKind> = rows.iter().map(|row| row.kind).collect();
    let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
    Batch::new(records.unwrap()).with_kinds((!inserts).then(|| kinds.into()))
}

fn bench(spec: &Unnest) -> Bench {
    let plan = Arc::new(Plan::new(spec).unwrap());
    Bench::new(Box::new(Unnesting { plan, todo: None }))
}

fn spec(elements: Elements, kept: &[usize], outer: bool, ordinality: bool) -> Unnest {
    let input = batch(&[]).records().schema();
    let own: &[&str] = match elements {
        Elements::Entries => &["key", "value"],
        Elements::Times => &[],
        Elements::Items { .. } | Elements::Counted { .. } => &["element"],
    };
    let numbers = ordinality.then_some("number");
    Unnest {
        input,
        column: match elements {
            Elements::Times => 0,
            Elements::Items { .. } => 1,
            Elements::Entries | Elements::Counted { .. } => 2,
        },
        elements,
        kept: kept.to_vec(),
        names: own.iter().copied().chain(numbers).map(ToOwned::to_owned).collect(),
        outer,
        condition: None,
        ordinality,
    }
}

/// That the first of these columns, an integer, is even.
fn even(column: usize) -> Condition {
    let test: Test = Arc::new(|pairs| {
        let numbers = pairs.column(0).as_primitive::<Int32Type>();
        Ok(numbers.iter().map(|number| Some(number? % 2 == 0)).collect())
    });
    Condition { columns: vec![column], test }
}

fn expected(spec: &Unnest, rows: &[Row]) -> Vec<(RowKind, Vec<String>)> {
    let shown = |element: &Option<String>| element.clone().unwrap_or_else(|| "NULL".to_owned());
    let mut out = Vec::new();
    for row in rows {
        let mut elements: Vec<Vec<String>> = Vec::new();
        for (element, count) in row.elements.iter().flatten() {
            match spec.elements {
                Elements::Items { .. } => elements.push(vec![shown(element)]),
                _ if element.is_none() => {}
                Elements::Times => {}
                Elements::Entries => elements.push(vec![shown(element), count.to_string()]),
                Elements::Counted { .. } => {
                    elements.extend((0..*count).map(|_| vec![shown(element)]));
                }
            }
        }
        if spec.elements == Elements::Times {
            elements = vec![Vec::new(); row.n as usize];
        }
        if spec.ordinality {
            elements.iter_mut().zip(1..).for_each(|(e, n): (_, i32)| e.push(n.to_string()));
        }
        if spec.condition.is_some() {
            elements.retain(|e| e.last().is_some_and(|n| n.parse::<i32>().unwrap() % 2 == 0));
        }
        if elements.is_empty() && spec.outer {
            elements.push(vec!["NULL".to_owned(); spec.names.len()]);
        }
        let kept = spec.kept.iter().map(|_| row.n.to_string()).collect::<Vec<_>>();
        out.extend(elements.into_iter().map(|e| (row.kind, [kept.clone(), e].concat())));
    }
    out
}

fn any_row() -> impl Strategy<Value = Row> {
    let element = (prop::option::weighted(0.8, "[a-c]{1,2}"), 0_i32..3);
    let elements = prop::option::weighted(0.8, prop::collection::vec(element, 0..5));
    (0_i64..9, elements, any::<bool>(), any::<bool>()).prop_map(|(n, elements, comes, other)| Row {
        n,
        elements,
        kind: kind(comes, other),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_row_leaves_once_for_each_of_its_elements(
        elements in prop::sample::select(vec![
            Elements::Items { flat: false },
            Elements::Entries,
            Elements::Counted { flat: true },
            Elements::Times,
        ]),
        kept in prop::sample::select(vec![vec![0], vec![], vec![0, 0]]),
        outer in any::<bool>(),
        ordinality in any::<bool>(),
        conditioned in any::<bool>(),
        rows in prop::collection::vec(any_row(), 0..20),
        from in 0_usize..20,
    ) {
        let mut spec = spec(elements, &kept, outer, ordinality);
        if ordinality && conditioned {
            spec.condition = Some(even(kept.len() + spec.names.len() - 1));
        }
        let mut bench = bench(&spec);
        // A part of a batch, whose values begin somewhere.
        let from = from.min(rows.len());
        bench.batch(batch(&rows).slice(from, rows.len() - from));
        prop_assert_eq!(&bench.out, &expected(&spec, &rows[from..]));
    }
}

#[test]
fn long_values_leave_in_steps() {
    let count = (ROWS * TOGETHER + 7) as i32;
    let elements = Some(vec![(Some("a".to_owned()), count), (Some("b".to_owned()), 2)]);
    let row = Row { n: 1, elements, kind: RowKind::Insert };
    let spec = spec(Elements::Counted { flat: false }, &[0], false, true);
    let mut bench = bench(&spec);
    let mut out = Output::default();
    let step = bench.operator.on_batch(&mut bench.cx, 0, batch(&[row]), &mut out).unwrap();
    assert_eq!((step, out.take().len()), (Progress::More, TOGETHER));
    assert_eq!(bench.operator.resume(&mut bench.cx, &mut out).unwrap(), Progress::Done);
    let last = out.take().pop().unwrap().1.into_records();
    let numbers = last.column(2).as_primitive::<Int32Type>();
    assert_eq!(numbers.values().to_vec(), (count - 6..=count + 2).collect::<Vec<_>>());
}

#[test]
fn a_row_whose_elements_leave_in_steps_is_kept_once_if_none_of_them_counts() {
    let count = (ROWS + 7) as i32;
    let row =
        |n| Row { n, elements: Some(vec![(Some("a".to_owned()), count)]), kind: RowKind::Insert };
    for (counted, wanted) in [(false, 2), (true, 2 * ((ROWS + 7) / 2))] {
        let test: Test = Arc::new(move |pairs| {
            let numbers = pairs.column(0).as_primitive::<Int32Type>();
            Ok(numbers.iter().map(|number| Some(counted && number? % 2 == 0)).collect())
        });
        let condition = Some(Condition { columns: vec![2], test });
        let spec =
            Unnest { condition, ..spec(Elements::Counted { flat: false }, &[0], true, true) };
        let mut bench = bench(&spec);
        bench.batch(batch(&[row(1), row(2)]));
        assert_eq!(bench.out.len(), wanted);
    }
}

#[test]
fn fields_of_a_row_are_columns_and_no_row_is_no_element() {
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let fields = vec![Field::new("x", DataType::Int64, true)];
    let rows = StructArray::new(
        fields.into(),
        vec![inner],
        Some(NullBuffer::from(vec![true, false, true])),
    );
    let item = Arc::new(Field::new_list_field(rows.data_type().clone(), true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([3]);
    let list: ArrayRef =
        Arc::new(arrow::array::ListArray::new(item, offsets, Arc::new(rows), None));
    let input = Arc::new(Schema::new(vec![Field::new("list", list.data_type().clone(), true)]));
    let spec = Unnest {
        input: Arc::clone(&input),
        column: 0,
        elements: Elements::Items { flat: true },
        kept: Vec::new(),
        names: vec!["x".to_owned(), "number".to_owned()],
        outer: false,
        condition: None,
        ordinality: true,
    };
    let mut bench = bench(&spec);
    bench.batch(Batch::new(RecordBatch::try_new(input, vec![list]).unwrap()));
    let rows: Vec<String> = bench.out.iter().map(|(_, row)| row.join(" ")).collect();
    assert_eq!(rows, ["1 1", "3 3"]);
    assert!(operator(&Unnest { elements: Elements::Entries, ..spec }).is_err());
}
