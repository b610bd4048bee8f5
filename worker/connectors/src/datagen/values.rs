//! What made-up columns hold: the number of a row in, its value out.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, BooleanBuilder, Float64Array, Int64Array,
    ListArray, MapArray, StringArray, StructArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, nullif, take};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::row::{RowConverter, SortField};
use weir_engine::EngineError;

use super::column::{Column, Kind};

/// Numbers of values: a row's own, or those of the elements in it.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) numbers: &'a [u64],
    /// So many follow one another for each row.
    pub(super) per_row: u64,
}

impl Numbers<'_> {
    fn iter(&self) -> impl Iterator<Item = u64> {
        self.numbers.iter().copied()
    }

    /// Those of `length` elements in each.
    fn elements(&self, length: u64) -> Vec<u64> {
        let of =
            |number: u64| (0..length).map(move |k| number.wrapping_mul(length).wrapping_add(k));
        self.iter().flat_map(of).collect()
    }
}

impl Column {
    /// The values of these numbers.
    pub(super) fn make(&self, of: Numbers<'_>, start_ms: i64) -> Result<ArrayRef, EngineError> {
        let salt = self.salt;
        let random = move |number: u64| mix(salt ^ number);
        let plain: ArrayRef = match &self.kind {
            Kind::Sequence { start, .. } => Arc::new(
                of.iter().map(|row| start.wrapping_add_unsigned(row)).collect::<Int64Array>(),
            ),
            Kind::Integer { min, max } => {
                let span = u128::from(min.abs_diff(*max)) + 1;
                Arc::new(Int64Array::from_iter_values(of.iter().map(|number| {
                    min.wrapping_add_unsigned(((u128::from(random(number)) * span) >> 64) as u64)
                })))
            }
            Kind::Float { min, max } => {
                Arc::new(Float64Array::from_iter_values(of.iter().map(|number| {
                    let part = (random(number) >> 11) as f64 / (1u64 << 53) as f64;
                    // The span itself may not be finite.
                    min * (1.0 - part) + max * part
                })))
            }
            Kind::Boolean => Arc::new(
                of.iter().map(|number| Some(random(number) & 1 == 1)).collect::<BooleanArray>(),
            ),
            Kind::Text { length, vary } => {
                let texts = of.iter().map(|number| {
                    let seed = random(number);
                    let length = if *vary && *length > 0 {
                        1 + (mix(seed) % *length as u64) as usize
                    } else {
                        *length
                    };
                    hex(seed, length)
                });
                match self.data_type {
                    DataType::Binary => Arc::new(BinaryArray::from_iter_values(texts)),
                    _ => Arc::new(StringArray::from_iter_values(texts)),
                }
            }
            Kind::Time { start_ms: own, per_second, max_past_ms } => {
                let start = own.unwrap_or(start_ms);
                let times = of.iter().map(|number| {
                    let row = u128::from(number / of.per_row);
                    let at = start + (row * 1000 / u128::from(*per_second)) as i64;
                    let past = (u128::from(random(number)) * (*max_past_ms as u128 + 1)) >> 64;
                    at - past as i64
                });
                self.times(Int64Array::from_iter_values(times))?
            }
            Kind::Row(fields) => self.rows(fields, of, start_ms)?,
            Kind::List(length, element) => self.lists(*length, element, of, start_ms)?,
            Kind::Map(length, key, value) => self.maps(*length, [key, value], of, start_ms)?,
        };
        let array = if plain.data_type() == &self.data_type {
            plain
        } else {
            cast(&plain, &self.data_type)?
        };
        if self.nulls == 0 {
            return Ok(array);
        }
        let mut mask = BooleanBuilder::with_capacity(of.numbers.len());
        for number in of.iter() {
            mask.append_value(mix(!random(number)) <= self.nulls);
        }
        Ok(nullif(&array, &mask.finish())?)
    }

    fn rows(
        &self,
        columns: &[Column],
        of: Numbers<'_>,
        start_ms: i64,
    ) -> Result<ArrayRef, EngineError> {
        let DataType::Struct(fields) = &self.data_type else { return Err(self.disagrees()) };
        let made: Result<Vec<_>, _> =
            columns.iter().map(|column| column.make(of, start_ms)).collect();
        let rows = of.numbers.len();
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), made?, None, rows)?))
    }

    fn lists(
        &self,
        length: u64,
        element: &Column,
        of: Numbers<'_>,
        start_ms: i64,
    ) -> Result<ArrayRef, EngineError> {
        let DataType::List(item) = &self.data_type else { return Err(self.disagrees()) };
        let numbers = of.elements(length);
        let within = Numbers { numbers: &numbers, per_row: of.per_row * length.max(1) };
        let lengths = std::iter::repeat_n(length as usize, of.numbers.len());
        let offsets = OffsetBuffer::from_lengths(lengths);
        let items = element.make(within, start_ms)?;
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, None)?))
    }

    /// Of equal keys in one map the first one counts, so that a map may have fewer.
    fn maps(
        &self,
        length: u64,
        [key, value]: [&Column; 2],
        of: Numbers<'_>,
        start_ms: i64,
    ) -> Result<ArrayRef, EngineError> {
        let DataType::Map(entries, _) = &self.data_type else { return Err(self.disagrees()) };
        let DataType::Struct(fields) = entries.data_type() else { return Err(self.disagrees()) };
        let numbers = of.elements(length);
        let within = Numbers { numbers: &numbers, per_row: of.per_row * length.max(1) };
        let keys = key.make(within, start_ms)?;
        let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
        let compared = converter.convert_columns(std::slice::from_ref(&keys))?;
        let mut kept: Vec<u64> = Vec::with_capacity(numbers.len());
        let mut lengths = Vec::with_capacity(of.numbers.len());
        let length = length as usize;
        let mut seen = HashSet::with_capacity(length);
        for row in 0..of.numbers.len() {
            let before = kept.len();
            seen.clear();
            let places = row * length..(row + 1) * length;
            kept.extend(places.filter(|&at| seen.insert(compared.row(at))).map(|at| at as u64));
            lengths.push(kept.len() - before);
        }
        let kept = UInt64Array::from(kept);
        let columns =
            vec![take(&keys, &kept, None)?, take(&value.make(within, start_ms)?, &kept, None)?];
        let pairs = StructArray::try_new(fields.clone(), columns, None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, None, false)?))
    }

    fn disagrees(&self) -> EngineError {
        EngineError::internal(format!("datagen: values of another form than {}", self.data_type))
    }

    /// Milliseconds as a point in time that casts to the column's type.
    fn times(&self, ms: Int64Array) -> Result<ArrayRef, EngineError> {
        const DAY_MS: i64 = 86_400_000;
        Ok(match self.data_type {
            DataType::Time32(_) => {
                let of_day = ms.unary::<_, arrow::datatypes::Time32MillisecondType>(|ms| {
                    ms.rem_euclid(DAY_MS) as i32
                });
                Arc::new(of_day)
            }
            DataType::Date32 => {
                let days =
                    ms.unary::<_, arrow::datatypes::Date32Type>(|ms| ms.div_euclid(DAY_MS) as i32);
                Arc::new(days)
            }
            _ => {
                let zone = match &self.data_type {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                let nulls: Option<NullBuffer> = None;
                let values =
                    arrow::array::TimestampMillisecondArray::new(ms.values().clone(), nulls);
                let values: ArrayRef = Arc::new(values.with_timezone_opt(zone.clone()));
                cast(&values, &DataType::Timestamp(TimeUnit::Millisecond, zone))?
            }
        })
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over its increment: every bit of the
/// input moves every bit of the output.
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn hex(seed: u64, length: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(length);
    let (mut state, mut bits) = (seed, seed);
    for i in 0..length {
        if i % 16 == 0 && i > 0 {
            state = mix(state);
            bits = state;
        }
        text.push(char::from(DIGITS[(bits & 15) as usize]));
        bits >>= 4;
    }
    text
}
