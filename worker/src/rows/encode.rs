//! Rows as texts, in one of the forms in which results are written.

use arrow::array::RecordBatch;
use weir_connectors::formats::json::{JsonEncoder, JsonOptions};
use weir_connectors::formats::{RecordEncoder, TimestampFormat};
use weir_connectors::print::cell;
use weir_engine::RowKind;

use super::grid::{NULL, cells};
use crate::cli::Format;

/// The name of the column that says what happens to a row.
const CHANGE: &str = "op";

/// Writes rows in one form.
#[derive(Clone, Copy)]
pub(crate) struct Encoder {
    pub(crate) format: Format,
    /// What happens to each row is a column of its own.
    pub(crate) changes: bool,
}

impl Encoder {
    /// The names of columns as they are shown.
    pub(crate) fn columns(self, names: impl Iterator<Item = String>) -> Vec<String> {
        let change = self.changes.then(|| CHANGE.to_owned());
        change.into_iter().chain(names).collect()
    }

    /// What stands in front of all rows, where that is not a table's head.
    pub(crate) fn header(self, columns: &[String]) -> Option<String> {
        let names = || columns.iter().map(|name| quoted(name)).collect::<Vec<_>>();
        (self.format == Format::Csv).then(|| names().join(","))
    }

    /// Each row as the cells of a table, or as one line.
    ///
    /// # Errors
    /// When a column's type has no place in this form.
    pub(crate) fn rows(
        self,
        records: &RecordBatch,
        kinds: Option<&[RowKind]>,
    ) -> Result<Vec<Vec<String>>, String> {
        let change = |at: usize| change(kinds, at);
        if self.format == Format::Json {
            return self.objects(records, &change);
        }
        if self.format == Format::Table {
            let mut rows = cells(records);
            if self.changes {
                for (at, row) in rows.iter_mut().enumerate() {
                    row.insert(0, change(at).to_owned());
                }
            }
            return Ok(rows);
        }
        let line = |at: usize| {
            let change = self.changes.then(|| change(at).to_owned());
            let columns = records.columns().iter();
            let values = columns.map(|column| match (cell(column.as_ref(), at), self.format) {
                (Some(text), Format::Csv) => quoted(&text),
                (Some(text), _) => text.replace(['\t', '\n', '\r'], " "),
                (None, _) => String::new(),
            });
            let separator = if self.format == Format::Csv { "," } else { "\t" };
            change.into_iter().chain(values).collect::<Vec<_>>().join(separator)
        };
        Ok((0..records.num_rows()).map(|at| vec![line(at)]).collect())
    }

    /// Rows of texts in this form.
    pub(crate) fn texts(
        self,
        columns: &[String],
        rows: &[Vec<Option<String>>],
    ) -> Vec<Vec<String>> {
        let line = |row: &Vec<Option<String>>| match self.format {
            Format::Table => {
                row.iter().map(|text| text.clone().unwrap_or_else(|| NULL.to_owned())).collect()
            }
            Format::Json => {
                let members = columns.iter().zip(row);
                let members =
                    members.map(|(name, text)| format!("{}:{}", json(name), text_or_null(text)));
                vec![format!("{{{}}}", members.collect::<Vec<_>>().join(","))]
            }
            Format::Csv => {
                let values = row.iter().map(|text| text.as_deref().map(quoted).unwrap_or_default());
                vec![values.collect::<Vec<_>>().join(",")]
            }
            Format::Plain => {
                let values = row.iter().map(|text| text.clone().unwrap_or_default());
                vec![values.collect::<Vec<_>>().join("\t")]
            }
        };
        rows.iter().map(line).collect()
    }

    fn objects(
        self,
        records: &RecordBatch,
        change: &dyn Fn(usize) -> &'static str,
    ) -> Result<Vec<Vec<String>>, String> {
        let options = JsonOptions {
            decimal_as_plain_number: true,
            timestamp_format: TimestampFormat::Iso8601,
            ..JsonOptions::default()
        };
        let mut encoder = JsonEncoder::new(records.schema(), options)?;
        let mut rows = Vec::with_capacity(records.num_rows());
        let mut out = Vec::new();
        let mut end = |out: &mut Vec<u8>| {
            let mut line = String::from_utf8_lossy(out).into_owned();
            if self.changes {
                let more = if line.len() > 2 { "," } else { "" };
                line.insert_str(1, &format!("\"{CHANGE}\":\"{}\"{more}", change(rows.len())));
            }
            rows.push(vec![line]);
            out.clear();
        };
        encoder.each_row(records, &mut out, &mut end).map_err(|error| error.message)?;
        Ok(rows)
    }
}

/// What happens to a row, as Flink writes it.
pub(crate) fn change(kinds: Option<&[RowKind]>, at: usize) -> &'static str {
    kinds.map_or(RowKind::Insert, |kinds| kinds[at]).short()
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn text_or_null(text: &Option<String>) -> String {
    text.as_deref().map_or_else(|| "null".to_owned(), json)
}

/// A value of CSV: in quotes where it would mean something else without.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']);
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn lines(format: Format, changes: bool) -> Vec<String> {
        let schema = Schema::new(vec![
            Field::new("s", DataType::Utf8, true),
            Field::new("n", DataType::Int32, true),
        ]);
        let texts = StringArray::from(vec![Some("a,\"b\""), Some(""), None]);
        let numbers = Int32Array::from(vec![Some(1), None, Some(3)]);
        let records =
            RecordBatch::try_new(Arc::new(schema), vec![Arc::new(texts), Arc::new(numbers)]);
        let kinds = [RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter];
        let rows = Encoder { format, changes }.rows(&records.unwrap(), Some(&kinds)).unwrap();
        rows.into_iter().map(|row| row.join("|")).collect()
    }

    #[test]
    fn every_form_tells_null_from_an_empty_text_where_it_can() {
        assert_eq!(lines(Format::Csv, false), ["\"a,\"\"b\"\"\",1", "\"\",", ",3"]);
        assert_eq!(lines(Format::Table, true)[1], "-U||NULL");
        assert_eq!(lines(Format::Plain, false), ["a,\"b\"\t1", "\t", "\t3"]);
        let json = lines(Format::Json, true);
        assert_eq!(json[1], r#"{"op":"-U","s":"","n":null}"#);
        assert_eq!(json[2], r#"{"op":"+U","s":null,"n":3}"#);
    }
}
