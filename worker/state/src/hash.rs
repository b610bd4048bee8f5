//! The canonical key hash: `xxh3_64` of the canonical bytes, from which key groups follow.

use arrow::array::{ArrayRef, UInt64Array};
use xxhash_rust::xxh3::xxh3_64;

use crate::canonical::KeyColumn;

/// The canonical hash of each row's key.
///
/// A column of a type that cannot be part of a key ([`crate::canonical::Shape::of`]) counts as
/// NULL: equal keys still meet, and the table behind the exchange refuses the type.
#[must_use]
pub fn hash_columns(columns: &[ArrayRef], rows: usize) -> UInt64Array {
    let columns: Vec<KeyColumn<'_>> =
        columns.iter().map(|c| KeyColumn::new(c.as_ref()).unwrap_or(KeyColumn::NULL)).collect();
    if let [column] = columns.as_slice()
        && let Some((tag, width, words)) = column.words()
    {
        return hash_words(column, tag, width, words);
    }
    let mut key = Vec::with_capacity(64);
    let hashes: Vec<u64> = (0..rows)
        .map(|row| {
            key.clear();
            columns.iter().for_each(|column| column.encode(row, &mut key));
            xxh3_64(&key)
        })
        .collect();
    hashes.into()
}

/// One number, date or time: no buffer, one length known to the loop.
fn hash_words(column: &KeyColumn<'_>, tag: u8, width: usize, words: &[u64]) -> UInt64Array {
    let mut hashes: Vec<u64> = if width == 8 {
        words.iter().map(|word| xxh3_64(&tagged::<9>(tag, *word))).collect()
    } else {
        words.iter().map(|word| xxh3_64(&tagged::<9>(tag, *word)[..=width])).collect()
    };
    if column.has_nulls() {
        let null = xxh3_64(&[0]);
        for (row, hash) in hashes.iter_mut().enumerate() {
            if column.is_null(row) {
                *hash = null;
            }
        }
    }
    hashes.into()
}

#[inline]
fn tagged<const N: usize>(tag: u8, word: u64) -> [u8; N] {
    let mut bytes = [tag; N];
    bytes[1..9].copy_from_slice(&word.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;

    use super::*;
    use crate::canonical::encode_rows;

    fn hash(columns: Vec<ArrayRef>) -> Vec<u64> {
        let rows = columns[0].len();
        hash_columns(&columns, rows).values().to_vec()
    }

    /// These values are stored in every checkpoint; a change would lose state.
    #[test]
    fn golden_hashes_never_change() {
        let golden = |name: &str, column: ArrayRef| {
            hash(vec![column]).iter().map(|h| format!("{name} {h:016x}\n")).collect::<String>()
        };
        let all = [
            golden("bool", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            golden("i32", Arc::new(Int32Array::from(vec![Some(0), Some(-1), None]))),
            golden("i64", Arc::new(Int64Array::from(vec![0, -1, i64::MAX]))),
            golden("f64", Arc::new(Float64Array::from(vec![0.0, 1.5, f64::NAN]))),
            golden(
                "utf8",
                Arc::new(StringArray::from(vec!["", "key", "a string of more than sixteen bytes"])),
            ),
            golden("date", Arc::new(Date32Array::from(vec![19_000]))),
            golden("ts", Arc::new(TimestampMillisecondArray::from(vec![1_700_000_000_000]))),
            golden(
                "decimal",
                Arc::new(
                    Decimal128Array::from(vec![12_345]).with_precision_and_scale(10, 2).unwrap(),
                ),
            ),
        ]
        .concat();
        expect_test::expect![[r#"
            bool 070d80d6a76865f3
            bool c44bdff4074eecdb
            i32 8978bc5fbc70dc4e
            i32 96b293da4f7364e9
            i32 c44bdff4074eecdb
            i64 aa269631f2ca76e1
            i64 595db188307f368e
            i64 ec3b4c77948b7989
            f64 ac1c88d277b74a88
            f64 71e1a7e096cbf015
            f64 cdc82f3cd4793ab2
            utf8 3e506201e8fbcf5e
            utf8 7813916759d4be18
            utf8 6fc6afee8194c31f
            date d62554b82b50bf47
            ts 3d63863d2bb5ed8a
            decimal bcf9392779a533ad
        "#]]
        .assert_eq(&all);
    }

    #[test]
    fn equal_keys_hash_equally_whatever_their_representation() {
        let text = ["x", "", "a string that does not fit into a view's twelve bytes"];
        let utf8 = hash(vec![Arc::new(StringArray::from(text.to_vec()))]);
        assert_eq!(utf8, hash(vec![Arc::new(LargeStringArray::from(text.to_vec()))]));
        assert_eq!(utf8, hash(vec![Arc::new(StringViewArray::from(text.to_vec()))]));
        let zeros = hash(vec![Arc::new(Float64Array::from(vec![
            0.0,
            -0.0,
            f64::NAN,
            -f64::NAN,
            f64::from_bits(f64::NAN.to_bits() | 1),
        ]))]);
        assert_eq!((zeros[0], zeros[2], zeros[2]), (zeros[1], zeros[3], zeros[4]));
        assert_ne!(zeros[0], zeros[2]);
    }

    #[test]
    fn widths_and_nulls_are_part_of_the_key() {
        let narrow = hash(vec![Arc::new(Int32Array::from(vec![1]))]);
        assert_ne!(narrow, hash(vec![Arc::new(Int64Array::from(vec![1]))]));
        let nulls = hash(vec![Arc::new(Int64Array::from(vec![None, Some(0)]))]);
        assert_ne!(nulls[0], nulls[1]);
        assert_eq!(nulls[0], hash(vec![Arc::new(StringArray::from(vec![None::<&str>]))])[0]);
    }

    #[test]
    fn the_fast_path_agrees_with_the_general_one() {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int16Array::from(vec![Some(7), None, Some(-7)])),
            Arc::new(UInt64Array::from(vec![7, u64::MAX, 0])),
            Arc::new(Time32SecondArray::from(vec![Some(1), Some(2), None])),
        ];
        for column in columns {
            let mut general = Vec::new();
            encode_rows(&[Arc::clone(&column)], 3, &mut Vec::new(), |key| {
                general.push(xxh3_64(key));
                key.clear();
            })
            .unwrap();
            assert_eq!(hash(vec![column]), general);
        }
    }
}
