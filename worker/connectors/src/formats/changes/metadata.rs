//! What a record of changes says beside its rows: whence and when it came.
//!
//! | format | keys |
//! |---|---|
//! | `debezium-json` | `schema`, `ingestion-timestamp`, `source.timestamp`, `source.database`, `source.schema`, `source.table`, `source.properties` |
//! | `canal-json` | `database`, `table`, `sql-type`, `pk-names`, `ingestion-timestamp`, `event-timestamp` |
//! | `maxwell-json` | `database`, `table`, `primary-key-columns`, `ingestion-timestamp` |
//! | `ogg-json` | `table`, `primary-keys`, `ingestion-timestamp`, `event-timestamp` |
//!
//! What a record lacks is NULL. Both rows of an update have the record's.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, MapArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, TimeUnit};

use super::Dialect;
use crate::formats::TimestampFormat;
use crate::formats::metadata::{Type, Wanted, cast_metadata};
use crate::formats::time;

/// A metadata column that a format has.
pub(crate) struct Known {
    /// Flink's name for it.
    pub(crate) key: &'static str,
    /// What it is.
    pub(crate) of: Type,
    /// The member of a record that says it.
    member: &'static str,
    said: Said,
}

/// How a member says it.
#[derive(Clone, Copy)]
enum Said {
    /// By what it is.
    Itself,
    /// So many of these milliseconds since 1970.
    Since(i64),
    /// By a member of its own, of this name.
    Property(&'static str),
    /// By a member of its own, which is milliseconds since 1970.
    PropertyMillis(&'static str),
    /// As the text of a time in UTC.
    Time(TimestampFormat),
}

const fn known(key: &'static str, of: Type, member: &'static str, said: Said) -> Known {
    Known { key, of, member, said }
}

const DEBEZIUM: &[Known] = &[
    known("schema", Type::Text, "schema", Said::Itself),
    known("ingestion-timestamp", Type::Millis, "ts_ms", Said::Since(1)),
    known("source.timestamp", Type::Millis, "source", Said::PropertyMillis("ts_ms")),
    known("source.database", Type::Text, "source", Said::Property("db")),
    known("source.schema", Type::Text, "source", Said::Property("schema")),
    known("source.table", Type::Text, "source", Said::Property("table")),
    known("source.properties", Type::TextByText, "source", Said::Itself),
];

const CANAL: &[Known] = &[
    known("database", Type::Text, "database", Said::Itself),
    known("table", Type::Text, "table", Said::Itself),
    known("sql-type", Type::IntByText, "sqlType", Said::Itself),
    known("pk-names", Type::Texts, "pkNames", Said::Itself),
    known("ingestion-timestamp", Type::Millis, "ts", Said::Since(1)),
    known("event-timestamp", Type::Millis, "es", Said::Since(1)),
];

const MAXWELL: &[Known] = &[
    known("database", Type::Text, "database", Said::Itself),
    known("table", Type::Text, "table", Said::Itself),
    known("primary-key-columns", Type::Texts, "primary_key_columns", Said::Itself),
    known("ingestion-timestamp", Type::Millis, "ts", Said::Since(1000)),
];

const OGG: &[Known] = &[
    known("table", Type::Text, "table", Said::Itself),
    known("primary-keys", Type::Texts, "primary_keys", Said::Itself),
    known("ingestion-timestamp", Type::Micros, "current_ts", Said::Time(TimestampFormat::Iso8601)),
    known("event-timestamp", Type::Micros, "op_ts", Said::Time(TimestampFormat::Sql)),
];

impl Dialect {
    /// The metadata columns that its records have.
    pub(crate) fn metadata(self) -> &'static [Known] {
        match self {
            Self::Debezium => DEBEZIUM,
            Self::Ogg => OGG,
            Self::Maxwell => MAXWELL,
            Self::Canal => CANAL,
        }
    }
}

impl Known {
    /// The member, as a column of a record.
    fn field(&self) -> Field {
        let of = match self.said {
            Said::Itself => self.of.data_type(),
            Said::Since(_) => DataType::Int64,
            Said::Property(_) | Said::PropertyMillis(_) => Type::TextByText.data_type(),
            Said::Time(_) => DataType::Utf8,
        };
        Field::new(self.member, of, true)
    }

    /// Whether it stands beside the payload of a record that has one, not in it.
    fn is_beside(&self) -> bool {
        self.of == Type::Text && self.member == "schema"
    }
}

/// The metadata columns that are wanted of a decoder.
#[derive(Default)]
pub(super) struct Columns {
    known: Vec<(&'static Known, Wanted)>,
}

/// By record, why it cannot be read.
pub(super) type Broken = BTreeMap<usize, String>;

impl Columns {
    /// Those of the dialect that are wanted.
    ///
    /// # Errors
    /// When the dialect has no such metadata.
    pub(super) fn new(dialect: Dialect, wanted: &[Wanted]) -> Result<Self, String> {
        let find = |wanted: &Wanted| {
            let known = dialect.metadata().iter().find(|known| known.key == wanted.key);
            known
                .map(|known| (known, wanted.clone()))
                .ok_or_else(|| format!("'{}' has no metadata '{}'", dialect.name(), wanted.key))
        };
        Ok(Self { known: wanted.iter().map(find).collect::<Result<_, _>>()? })
    }

    /// The columns.
    pub(super) fn fields(&self) -> impl Iterator<Item = Arc<Field>> {
        self.known.iter().map(|(_, wanted)| Arc::clone(&wanted.field))
    }

    /// The members that say them, in a payload or (`beside`) beside it.
    pub(super) fn members(&self, beside: bool) -> impl Iterator<Item = Field> {
        let known = self.known.iter().map(|(known, _)| known);
        known.filter(move |known| known.is_beside() == beside).map(|known| known.field())
    }

    /// Their values, one for each record, and which records say none that can be read.
    pub(super) fn values(
        &self,
        records: &RecordBatch,
        payload: Option<&StructArray>,
    ) -> Result<(Vec<ArrayRef>, Broken), String> {
        let mut broken = Broken::new();
        let mut values = Vec::with_capacity(self.known.len());
        for (known, wanted) in &self.known {
            let member = match payload.filter(|_| !known.is_beside()) {
                Some(payload) => payload.column_by_name(known.member),
                None => records.column_by_name(known.member),
            };
            let member = member.ok_or_else(|| format!("no member '{}'", known.member))?;
            let own = known.value(member, &mut broken)?;
            let value = cast_metadata(&own, wanted.field.data_type());
            values.push(value.map_err(|error| error.to_string())?);
        }
        Ok((values, broken))
    }
}

impl Known {
    fn value(&self, member: &ArrayRef, broken: &mut Broken) -> Result<ArrayRef, String> {
        let unreadable = |broken: &mut Broken, record: usize, text: &str| {
            let message = format!(
                "the metadata '{}' of a record cannot be read: '{text}' is no time",
                self.key
            );
            broken.insert(record, message);
        };
        Ok(match self.said {
            Said::Itself => Arc::clone(member),
            Said::Since(unit_ms) => {
                let of = member.as_primitive::<Int64Type>();
                let ms: Int64Array = of.unary_opt(|value| value.checked_mul(unit_ms));
                for record in (0..of.len()).filter(|&at| of.is_valid(at) && ms.is_null(at)) {
                    unreadable(broken, record, &of.value(record).to_string());
                }
                millis(ms.iter())
            }
            Said::Property(name) => {
                let texts = properties(member.as_map(), name);
                Arc::new(texts.into_iter().collect::<StringArray>())
            }
            Said::PropertyMillis(name) => {
                let texts = properties(member.as_map(), name);
                let parsed = texts.iter().enumerate().map(|(record, text)| {
                    let text = (*text)?;
                    let ms = text.parse().ok();
                    if ms.is_none() {
                        unreadable(broken, record, text);
                    }
                    ms
                });
                millis(parsed)
            }
            Said::Time(format) => {
                let texts = member.as_string::<i32>();
                let parsed = texts.iter().enumerate().map(|(record, text)| {
                    let text = text?;
                    let instant = time::parse_timestamp(text.as_bytes(), format, false);
                    let micros = instant.and_then(|at| at.in_unit(TimeUnit::Microsecond));
                    if micros.is_none() {
                        unreadable(broken, record, text);
                    }
                    micros
                });
                let micros: TimestampMicrosecondArray = parsed.collect();
                Arc::new(micros.with_timezone("UTC"))
            }
        })
    }
}

fn millis(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
}

/// The text of this name in each map. Of several of a name the last counts, as in a table of them.
fn properties<'a>(maps: &'a MapArray, name: &str) -> Vec<Option<&'a str>> {
    let keys = maps.keys().as_string::<i32>();
    let values = maps.values().as_string::<i32>();
    let offsets = maps.value_offsets();
    let of = |record: usize| {
        let (from, to) = (*offsets.get(record)?, *offsets.get(record + 1)?);
        let mut entries = (from as usize..to as usize).rev();
        let at = entries.find(|&entry| keys.value(entry) == name)?;
        (maps.is_valid(record) && values.is_valid(at)).then(|| values.value(at))
    };
    (0..maps.len()).map(of).collect()
}
