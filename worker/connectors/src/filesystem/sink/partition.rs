//! Deals a batch's rows to directories: `day=2024-01-01/hour=7`.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use weir_engine::EngineError;

use crate::filesystem::location::escape;
use crate::formats::partition;

/// The columns that make directories, and those that are written.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Indices and names, in the order of the directories.
    pub(crate) directories: Vec<(usize, String)>,
    /// Indices of the other columns, in order.
    pub(crate) written: Vec<usize>,
    /// The other columns.
    pub(crate) schema: SchemaRef,
    /// The directory's value for NULL and for empty text.
    pub(crate) default: String,
}

impl Layout {
    /// The rows of every directory, in their order, without the directories' columns.
    pub(crate) fn split(
        &self,
        records: &RecordBatch,
    ) -> Result<Vec<(String, RecordBatch)>, EngineError> {
        if self.directories.is_empty() {
            return Ok(vec![(String::new(), records.clone())]);
        }
        // Behind the table's columns may stand the kinds of rows.
        let kinds = self.directories.len() + self.written.len()..records.num_columns();
        let written =
            records.project(&self.written.iter().copied().chain(kinds).collect::<Vec<_>>())?;
        let texts: Vec<StringArray> =
            self.directories.iter().map(|(i, _)| partition::write(records.column(*i))).collect();
        let mut groups: Vec<(String, Vec<u32>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut current = 0;
        for row in 0..records.num_rows() {
            // Neighbours mostly share their directory.
            if row == 0 || !texts.iter().all(|t| same(t, row - 1, row)) {
                let directory = self.directory(&texts, row);
                current = *known.entry(directory.clone()).or_insert_with(|| {
                    groups.push((directory, Vec::new()));
                    groups.len() - 1
                });
            }
            if let Some((_, rows)) = groups.get_mut(current) {
                rows.push(row as u32);
            }
        }
        let take = |(directory, rows): (String, Vec<u32>)| {
            let part = if rows.len() == written.num_rows() {
                written.clone()
            } else {
                take_record_batch(&written, &UInt32Array::from(rows))?
            };
            Ok((directory, part))
        };
        groups.into_iter().map(take).collect()
    }

    /// The directory whose files `INSERT OVERWRITE` takes the place of, where `PARTITION (…)` gives
    /// these columns their values: all of the sink's where it has no partitions, a partition where
    /// all of its columns have one; none where only the rows say which partitions are meant.
    pub(crate) fn replaced(&self, fixed: &[(usize, ArrayRef)]) -> Option<String> {
        let value = |column: &usize| fixed.iter().find(|(known, _)| known == column);
        let values: Option<Vec<StringArray>> =
            self.directories.iter().map(|(i, _)| Some(partition::write(&value(i)?.1))).collect();
        values.map(|texts| self.directory(&texts, 0))
    }

    fn directory(&self, texts: &[StringArray], row: usize) -> String {
        let mut directory = String::new();
        for ((_, name), text) in self.directories.iter().zip(texts) {
            if !directory.is_empty() {
                directory.push('/');
            }
            let value = if text.is_null(row) { "" } else { text.value(row) };
            let value = if value.is_empty() { &self.default } else { value };
            directory.push_str(&format!("{}={}", escape(name), escape(value)));
        }
        directory
    }
}

fn same(texts: &StringArray, a: usize, b: usize) -> bool {
    texts.is_null(a) == texts.is_null(b) && (texts.is_null(a) || texts.value(a) == texts.value(b))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Date32Array, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    #[test]
    fn rows_are_dealt_to_their_directories_in_order() {
        let layout = Layout {
            directories: vec![(1, "day".into()), (0, "to/from".into())],
            written: vec![2],
            schema: Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)])),
            default: "__DEFAULT_PARTITION__".into(),
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "to/from",
                Arc::new(StringArray::from(vec![Some("A/B"), None, Some("A/B"), Some("")])),
            ),
            ("day", Arc::new(Date32Array::from(vec![19_723; 4]))),
            ("n", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
        ];
        let parts = layout.split(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        let parts: Vec<_> = parts
            .into_iter()
            .map(|(d, r)| {
                (d, r.num_columns(), r.column(0).as_primitive::<Int64Type>().values().to_vec())
            })
            .collect();
        assert_eq!(
            parts,
            [
                ("day=2024-01-01/to%2Ffrom=A%2FB".to_owned(), 1, vec![1, 3]),
                ("day=2024-01-01/to%2Ffrom=__DEFAULT_PARTITION__".to_owned(), 1, vec![2, 4]),
            ]
        );
    }
}
