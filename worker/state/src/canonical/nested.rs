//! Values that are made of others, in the canonical encoding.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Fields, Float32Type, Float64Type};
use arrow::error::ArrowError;

use super::{DecodeError, Decoder, Form, KeyColumn, to_words};
use crate::UnsupportedType;

/// The types that a type is made of; none where it is not made of others.
#[must_use]
pub fn parts(data_type: &DataType) -> Vec<&DataType> {
    match data_type {
        DataType::List(item) => vec![item.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::Map(entries, _) => parts(entries.data_type()),
        _ => Vec::new(),
    }
}

/// As [`to_words`], but with the bits of a float as they are.
pub(super) fn exact_words(array: &dyn Array) -> Result<ScalarBuffer<u64>, UnsupportedType> {
    match array.data_type() {
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            Ok(values.iter().map(|v| u64::from(v.to_bits())).collect())
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            Ok(ScalarBuffer::from(values.inner().clone()))
        }
        _ => to_words(array),
    }
}

/// The columns that a nested column is made of.
pub(super) enum Parts<'a> {
    List { offsets: &'a OffsetBuffer<i32>, items: Box<KeyColumn<'a>> },
    Struct(Vec<KeyColumn<'a>>),
    Map { offsets: &'a OffsetBuffer<i32>, entries: Box<[KeyColumn<'a>; 2]>, form: Form },
}

impl<'a> Parts<'a> {
    pub(super) fn of(array: &'a dyn Array, form: Form) -> Result<Self, UnsupportedType> {
        let column = |array: &'a ArrayRef| KeyColumn::of(array.as_ref(), form);
        match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let items = Box::new(column(list.values())?);
                Ok(Self::List { offsets: list.offsets(), items })
            }
            DataType::Struct(_) => {
                let fields = array.as_struct().columns().iter().map(column);
                Ok(Self::Struct(fields.collect::<Result<_, _>>()?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let entries = Box::new([column(map.keys())?, column(map.values())?]);
                Ok(Self::Map { offsets: map.offsets(), entries, form })
            }
            other => Err(UnsupportedType(other.clone())),
        }
    }

    /// Appends what a row that is not NULL is made of.
    pub(super) fn encode(&self, row: usize, out: &mut Vec<u8>) {
        let range = |offsets: &OffsetBuffer<i32>| offsets[row] as usize..offsets[row + 1] as usize;
        match self {
            Self::Struct(fields) => fields.iter().for_each(|field| field.encode(row, out)),
            Self::List { offsets, items } => {
                let range = range(offsets);
                out.extend_from_slice(&(range.len() as u32).to_le_bytes());
                range.for_each(|item| items.encode(item, out));
            }
            Self::Map { offsets, entries, form } => {
                let range = range(offsets);
                out.extend_from_slice(&(range.len() as u32).to_le_bytes());
                let encode = |entry: usize, out: &mut Vec<u8>| {
                    entries.iter().for_each(|column| column.encode(entry, out));
                };
                if *form == Form::Value {
                    range.for_each(|entry| encode(entry, out));
                    return;
                }
                let mut sorted: Vec<Vec<u8>> = range
                    .map(|entry| {
                        let mut bytes = Vec::new();
                        encode(entry, &mut bytes);
                        bytes
                    })
                    .collect();
                sorted.sort_unstable();
                sorted.iter().for_each(|entry| out.extend_from_slice(entry));
            }
        }
    }
}

/// What nested values are made of, as it is read.
pub(super) enum Decoded<'a> {
    /// Elements, and how many each value has.
    List(Box<Decoder<'a>>, Vec<usize>),
    Struct(Vec<Decoder<'a>>),
    Map(Box<[Decoder<'a>; 2]>, Vec<usize>),
}

impl<'a> Decoded<'a> {
    pub(super) fn new(data_type: &'a DataType) -> Result<Self, UnsupportedType> {
        let decoder = |part: &'a DataType| Decoder::new(part, 0);
        match (data_type, parts(data_type).as_slice()) {
            (DataType::List(_), [item]) => Ok(Self::List(Box::new(decoder(item)?), Vec::new())),
            (DataType::Map(..), [key, value]) => {
                Ok(Self::Map(Box::new([decoder(key)?, decoder(value)?]), Vec::new()))
            }
            (DataType::Struct(_), fields) => {
                let fields = fields.iter().map(|field| decoder(field));
                Ok(Self::Struct(fields.collect::<Result<_, _>>()?))
            }
            _ => Err(UnsupportedType(data_type.clone())),
        }
    }

    /// Takes what a value is made of off the front of `bytes`.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let count = |bytes: &mut &[u8]| {
            let (count, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            // Each takes a byte at least: no count that is damaged makes this run for long.
            Some(u32::from_le_bytes(*count) as usize).filter(|count| *count <= rest.len())
        };
        match self {
            Self::Struct(fields) => fields.iter_mut().try_for_each(|field| field.take(bytes)),
            Self::List(items, lengths) => {
                let count = count(bytes)?;
                lengths.push(count);
                (0..count).try_for_each(|_| items.take(bytes))
            }
            Self::Map(entries, lengths) => {
                let count = count(bytes)?;
                lengths.push(count);
                (0..count)
                    .try_for_each(|_| entries.iter_mut().try_for_each(|column| column.take(bytes)))
            }
        }
    }

    /// Notes a NULL.
    pub(super) fn take_null(&mut self) -> Option<()> {
        match self {
            Self::Struct(fields) => {
                fields.iter_mut().try_for_each(|f| f.take(&mut &[super::NULL][..]))
            }
            Self::List(_, lengths) | Self::Map(_, lengths) => {
                lengths.push(0);
                Some(())
            }
        }
    }

    pub(super) fn finish(
        self,
        data_type: &DataType,
        rows: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, DecodeError> {
        let mismatch = || DecodeError::Mismatch(data_type.clone());
        match (self, data_type) {
            (Self::List(items, lengths), DataType::List(field)) => {
                let (offsets, items) = (offsets(&lengths)?, items.finish()?);
                Ok(Arc::new(ListArray::try_new(field.clone(), offsets, items, nulls)?))
            }
            (Self::Struct(fields), DataType::Struct(types)) => {
                let columns = fields.into_iter().map(Decoder::finish).collect::<Result<_, _>>()?;
                Ok(Arc::new(structs(types, columns, rows, nulls)?))
            }
            (Self::Map(entries, lengths), DataType::Map(field, sorted)) => {
                let DataType::Struct(types) = field.data_type() else { return Err(mismatch()) };
                let offsets = offsets(&lengths)?;
                let columns = entries.into_iter().map(Decoder::finish);
                let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
                let entries =
                    structs(types, columns, offsets.last().map_or(0, |&n| n as usize), None)?;
                let map = MapArray::try_new(field.clone(), offsets, entries, nulls, *sorted)?;
                Ok(Arc::new(map))
            }
            _ => Err(mismatch()),
        }
    }
}

fn structs(
    types: &Fields,
    columns: Vec<ArrayRef>,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Result<StructArray, ArrowError> {
    if columns.is_empty() {
        return Ok(StructArray::new_empty_fields(rows, nulls));
    }
    StructArray::try_new(types.clone(), columns, nulls)
}

fn offsets(lengths: &[usize]) -> Result<OffsetBuffer<i32>, ArrowError> {
    let all: usize = lengths.iter().sum();
    if i32::try_from(all).is_err() {
        return Err(ArrowError::OffsetOverflowError(all));
    }
    Ok(OffsetBuffer::from_lengths(lengths.iter().copied()))
}

#[cfg(test)]
mod tests {
    use arrow::array::*;
    use arrow::datatypes::{Field, Int64Type};

    use super::super::{nested_from_bytes, nested_to_bytes};
    use super::*;

    /// The entries of a map.
    type Entries<'a> = &'a [(&'a str, Option<f64>)];

    fn map(entries: &[Option<Entries<'_>>]) -> ArrayRef {
        let names =
            MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
        let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), Float64Builder::new());
        for map in entries {
            for (key, value) in map.iter().copied().flatten() {
                maps.keys().append_value(key);
                maps.values().append_option(*value);
            }
            maps.append(map.is_some()).unwrap();
        }
        Arc::new(maps.finish())
    }

    fn lists(of: Vec<Option<Vec<Option<i64>>>>) -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(of))
    }

    fn rows(columns: Vec<ArrayRef>, nulls: Option<Vec<bool>>) -> ArrayRef {
        let fields = columns.iter().zip(["a", "b", "c"]);
        let fields =
            fields.map(|(column, name)| Field::new(name, column.data_type().clone(), true));
        Arc::new(StructArray::new(fields.collect(), columns, nulls.map(NullBuffer::from)))
    }

    fn hex(array: &ArrayRef, form: Form) -> Vec<String> {
        let bytes = nested_to_bytes(array.as_ref(), form).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes.iter().map(|bytes| bytes.map_or("NULL".to_owned(), hex)).collect()
    }

    /// State is stored under such keys, and in such rows.
    #[test]
    fn golden_bytes_never_change() {
        let list = lists(vec![Some(vec![Some(1), None]), Some(vec![]), None]);
        let int: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None, Some(9)]));
        let row = rows(vec![int, list.clone()], Some(vec![true, true, false]));
        let map = map(&[Some(&[("b", Some(-0.0)), ("a", None)]), None, Some(&[])]);
        let all = [
            hex(&list, Form::Key),
            hex(&row, Form::Key),
            hex(&map, Form::Key),
            hex(&map, Form::Value),
        ];
        expect_test::expect![[r#"
            190200000005010000000000000000
            1900000000
            NULL
            1a0407000000190200000005010000000000000000
            1a001900000000
            NULL
            1b020000000c0100000061000c01000000620b0000000000000000
            NULL
            1b00000000
            1b020000000c01000000620b00000000000000800c010000006100
            NULL
            1b00000000"#]]
        .assert_eq(&all.concat().join("\n"));
    }

    #[test]
    fn keys_do_not_distinguish_what_sql_does_not() {
        let (a, b) = (("a", Some(0.0)), ("b", Some(f64::NAN)));
        let (zero, nan) = (("a", Some(-0.0)), ("b", Some(-f64::NAN)));
        let maps = map(&[Some(&[a, b]), Some(&[nan, zero]), Some(&[a]), Some(&[("a", None)])]);
        let keys = hex(&maps, Form::Key);
        assert_eq!(keys[0], keys[1]);
        assert!(keys[0] != keys[2] && keys[2] != keys[3]);
        let values = hex(&maps, Form::Value);
        assert_ne!(values[0], values[1]);
        let lists = lists(vec![None, Some(vec![]), Some(vec![None]), Some(vec![None, None])]);
        let mut keys = hex(&lists, Form::Key);
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 4, "NULL, nothing and a NULL are different");
    }

    #[test]
    fn values_come_back_as_they_were_and_damage_is_told() {
        let inner =
            lists(vec![Some(vec![Some(1), None]), Some(vec![]), None, Some(vec![Some(-1)])]);
        let floats: ArrayRef =
            Arc::new(Float32Array::from(vec![Some(-0.0), Some(f32::MIN), None, Some(0.5)]));
        let map = map(&[Some(&[("b", Some(-0.0)), ("a", None)]), None, Some(&[]), None]);
        let row = rows(vec![inner, floats, map], Some(vec![true, true, true, false]));
        let offsets = OffsetBuffer::from_lengths([2, 0, 2]);
        let field = Arc::new(Field::new_list_field(row.data_type().clone(), true));
        let all: ArrayRef = Arc::new(ListArray::new(field, offsets, row.clone(), None));
        for array in [row.slice(1, 3), row, all.slice(1, 2), all] {
            let bytes = nested_to_bytes(array.as_ref(), Form::Value).unwrap();
            assert_eq!(&nested_from_bytes(array.data_type(), bytes.iter()).unwrap(), &array);
            let Some(whole) = bytes.iter().flatten().next() else { continue };
            for cut in 0..whole.len() {
                nested_from_bytes(array.data_type(), [Some(&whole[..cut])].into_iter())
                    .unwrap_err();
            }
            let more = [whole, &[0]].concat();
            nested_from_bytes(array.data_type(), [Some(&more[..])].into_iter()).unwrap_err();
        }
    }

    #[test]
    fn what_state_cannot_hold_is_not_held_inside_of_others_either() {
        let runs = DataType::Duration(arrow::datatypes::TimeUnit::Second);
        let list = DataType::List(Arc::new(Field::new_list_field(runs.clone(), true)));
        let error = super::super::Shape::of(&list).unwrap_err();
        assert_eq!(error, UnsupportedType(runs));
    }
}
