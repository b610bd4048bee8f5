//! What an operator says about a table: names, types, order, expiry.

use std::fmt;

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use super::CellKind;
use super::type_text::to_text;
use crate::canonical::Shape;

/// A named column.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Its name, by which it is found again in stored rows.
    pub name: String,
    /// Its type, one that state can hold.
    #[serde(rename = "type", with = "super::type_text")]
    pub data_type: DataType,
    /// Whether it may be NULL.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nullable: bool,
    /// What rows hold that were stored before the column was added; nothing is NULL, which a
    /// column that cannot be NULL must not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Scalar>,
}

impl Field {
    /// A column without a default.
    #[must_use]
    pub fn new(name: &str, data_type: DataType, nullable: bool) -> Self {
        Self { name: name.to_owned(), data_type, nullable, default: None }
    }

    /// The column with this default.
    #[must_use]
    pub fn with_default(self, default: Scalar) -> Self {
        Self { default: Some(default), ..self }
    }
}

/// A value of a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    /// A boolean, integer, date or time.
    Integer(i64),
    /// A floating-point number.
    Double(f64),
    /// A DECIMAL without its point.
    Decimal(#[serde(with = "decimal_text")] i128),
    /// A string.
    Text(String),
}

/// Doubles by their bits, so that a schema equals itself.
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Scalar {}

/// As text, because numbers of JSON do not have 128 bits everywhere.
mod decimal_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &i128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i128, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// A column by which the rows of a key are sorted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderField {
    /// The column.
    #[serde(flatten)]
    pub field: Field,
    /// Whether the largest comes first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub descending: bool,
    /// Whether NULL comes before all values instead of after them, whatever their direction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nulls_first: bool,
}

impl OrderField {
    /// Smallest first.
    #[must_use]
    pub fn ascending(name: &str, data_type: DataType) -> Self {
        let field = Field::new(name, data_type, false);
        Self { field, descending: false, nulls_first: false }
    }

    /// Largest first.
    #[must_use]
    pub fn descending(name: &str, data_type: DataType) -> Self {
        Self { descending: true, ..Self::ascending(name, data_type) }
    }
}

/// How the rows of a key are told apart.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Not at all: a key has one row. The table is a [`super::Keyed`].
    #[default]
    None,
    /// By these columns, which must be unique within a key: an operator whose rows can be equal
    /// adds a number of its own. The table is a [`super::Ordered`].
    By(Vec<OrderField>),
    /// By when they are due: [`super::Timers`].
    Due,
}

/// When rows go by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// Never.
    #[default]
    Never,
    /// When the first order column falls below a bound that the operator raises.
    ByOrder,
    /// This many seconds after they were last written, by the table's clock.
    Ttl(u32),
}

impl Expiry {
    /// Whether rows carry the time at which they were written.
    #[must_use]
    pub fn is_ttl(self) -> bool {
        matches!(self, Self::Ttl(_))
    }
}

/// A table, as its operator declares it and as its segments carry it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableSpec {
    /// Unique within the operator.
    pub name: String,
    /// Columns of the key; none is a table with one key.
    pub key: Vec<Field>,
    /// How the rows of a key are told apart.
    #[serde(default)]
    pub order: Order,
    /// Columns of the row.
    #[serde(default)]
    pub columns: Vec<Field>,
    /// When rows go by themselves.
    #[serde(default)]
    pub expiry: Expiry,
    /// Whether segments get a filter. Pays off where keys are often looked for in vain.
    #[serde(default)]
    pub filter: bool,
}

/// For people: `groups: k int64 → n int64, total float64; rows go 60 s after they were written`.
impl fmt::Display for TableSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |fields: &[&Field]| {
            let named = |field: &&Field| format!("{} {}", field.name, to_text(&field.data_type));
            fields.iter().map(named).collect::<Vec<_>>().join(", ")
        };
        let key: Vec<&Field> = self.key.iter().collect();
        let columns: Vec<&Field> = self.columns.iter().collect();
        write!(
            f,
            "{}: {}",
            self.name,
            if key.is_empty() { "one key".to_owned() } else { list(&key) }
        )?;
        match &self.order {
            Order::None => {}
            Order::By(fields) => {
                let fields: Vec<&Field> = fields.iter().map(|order| &order.field).collect();
                write!(f, ", by {}", list(&fields))?;
            }
            Order::Due => f.write_str(", by when it is due")?,
        }
        if !columns.is_empty() {
            write!(f, " → {}", list(&columns))?;
        }
        match self.expiry {
            Expiry::Never => Ok(()),
            Expiry::ByOrder => f.write_str("; rows go as time passes their order"),
            Expiry::Ttl(seconds) => write!(f, "; rows go {seconds} s after they were written"),
        }
    }
}

/// Most columns of a row: a block counts columns in a byte, of which four are not the row's.
const MOST_COLUMNS: usize = 251;

/// A table that cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("state table {table}: {problem}")]
pub struct SpecError {
    /// The table's name.
    pub table: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// The columns, all of different names.
pub(crate) fn numbered(mut columns: Vec<Field>) -> Vec<Field> {
    for at in 1..columns.len() {
        let (before, rest) = columns.split_at_mut(at);
        let taken = |name: &str| before.iter().any(|other| other.name == name);
        let Some(column) = rest.first_mut().filter(|column| taken(&column.name)) else { continue };
        let free = (2..).map(|number| format!("{}#{number}", column.name)).find(|n| !taken(n));
        column.name = free.unwrap_or_default();
    }
    columns
}

impl TableSpec {
    /// A table with one row per key that never expires. Of columns that are called alike, as both
    /// sides of a join may have them, all but the first get a number (`extra#2`), since stored
    /// columns are found again by name.
    #[must_use]
    pub fn keyed(name: &str, key: Vec<Field>, columns: Vec<Field>) -> Self {
        let (order, expiry) = (Order::None, Expiry::Never);
        let columns = numbered(columns);
        Self { name: name.to_owned(), key, order, columns, expiry, filter: true }
    }

    /// A table with rows per key and order that never expire.
    #[must_use]
    pub fn ordered(
        name: &str,
        key: Vec<Field>,
        order: Vec<OrderField>,
        columns: Vec<Field>,
    ) -> Self {
        Self { order: Order::By(order), ..Self::keyed(name, key, columns) }
    }

    /// Whether all rows are always in memory.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.order == Order::Due
    }

    /// Timers of keys.
    #[must_use]
    pub fn timers(name: &str, key: Vec<Field>) -> Self {
        // Timers are found by time, never by key.
        Self { order: Order::Due, filter: false, ..Self::keyed(name, key, Vec::new()) }
    }

    /// The table with rows that go by themselves.
    #[must_use]
    pub fn with_expiry(self, expiry: Expiry) -> Self {
        Self { expiry, ..self }
    }

    /// Whether rows have an order.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.order != Order::None
    }

    /// The order columns; empty without, and for timers, whose order is their own.
    #[must_use]
    pub fn order_fields(&self) -> &[OrderField] {
        if let Order::By(fields) = &self.order { fields } else { &[] }
    }

    /// Types of the key's columns.
    #[must_use]
    pub fn key_types(&self) -> Vec<DataType> {
        self.key.iter().map(|field| field.data_type.clone()).collect()
    }

    /// How the row's columns are held.
    #[must_use]
    pub fn kinds(&self) -> Vec<CellKind> {
        self.columns.iter().map(|field| CellKind::of(&field.data_type)).collect()
    }

    /// Position of the row's column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|field| field.name == name)
    }

    /// Checks what no table can be without.
    ///
    /// # Errors
    /// Names the first thing that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        let wrong = |problem| Err(SpecError { table: self.name.clone(), problem });
        let orders = self.order_fields();
        let fields = || {
            let orders = orders.iter().map(|order| &order.field);
            self.key.iter().chain(orders).chain(&self.columns)
        };
        for field in fields() {
            if let Err(unsupported) = Shape::of(&field.data_type) {
                return wrong(format!("column {}: {unsupported}", field.name));
            }
        }
        for (i, field) in self.columns.iter().enumerate() {
            if self.columns[..i].iter().any(|other| other.name == field.name) {
                return wrong(format!("there are two columns {}; rename one", field.name));
            }
        }
        if self.columns.len() > MOST_COLUMNS {
            let columns = self.columns.len();
            return wrong(format!(
                "a row of {columns} columns is too wide; {MOST_COLUMNS} are the most"
            ));
        }
        if self.order == Order::By(Vec::new()) {
            return wrong("an order without columns tells no rows apart; name at least one".into());
        }
        match self.expiry {
            Expiry::Ttl(0) => wrong("a time to live of 0 seconds keeps nothing; give at least 1".into()),
            Expiry::ByOrder => match orders.first() {
                Some(first) if first.is_bound() => Ok(()),
                _ => wrong(
                    "rows can expire by order only if the first order column is an ascending integer, date or time that is never NULL"
                        .into(),
                ),
            },
            Expiry::Ttl(_) | Expiry::Never => Ok(()),
        }
    }
}

impl OrderField {
    /// Whether the first eight bytes of the encoded order are this column, as a signed number.
    fn is_bound(&self) -> bool {
        let signed = !matches!(
            self.field.data_type,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64
        );
        let kind = CellKind::of(&self.field.data_type);
        let integer = matches!(kind, CellKind::Int | CellKind::Long);
        integer && signed && !self.descending && !self.field.nullable
    }
}

impl Expiry {
    /// Whether a row that was last written at `stamp` is gone at `now`, both in seconds.
    #[must_use]
    #[inline]
    pub fn is_over(self, stamp: u32, now: u32) -> bool {
        matches!(self, Self::Ttl(ttl) if u64::from(stamp) + u64::from(ttl) <= u64::from(now))
    }
}
