//! Flink's types and what they are in Arrow.

use std::fmt;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use weir_connectors::table::Declared;

pub(crate) use nested::Nested;

mod nested;

/// The kind of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    /// Only NULL so far: an untyped `NULL` literal.
    Null,
    /// `BOOLEAN`.
    Boolean,
    /// `TINYINT`: 8 bits.
    TinyInt,
    /// `SMALLINT`: 16 bits.
    SmallInt,
    /// `INT`: 32 bits.
    Int,
    /// `BIGINT`: 64 bits.
    BigInt,
    /// `FLOAT`: 32 bits.
    Float,
    /// `DOUBLE`: 64 bits.
    Double,
    /// `DECIMAL(precision, scale)`, at most 38 digits.
    Decimal(u8, u8),
    /// `CHAR(n)`, padded with blanks when cast to.
    Char(u32),
    /// `VARCHAR(n)`; `STRING` is the longest.
    VarChar(u32),
    /// `BYTES`, `VARBINARY(n)`, `BINARY(n)`.
    Bytes,
    /// `DATE`.
    Date,
    /// `TIME(p)`, in milliseconds, of which `p` digits of the second count.
    Time(u8),
    /// `TIMESTAMP(p)`: wall-clock time without a zone, `p` digits of a second.
    Timestamp(u8),
    /// `TIMESTAMP_LTZ(p)`: a point in time.
    TimestampLtz(u8),
    /// `ARRAY<t>`, `MAP<k, v>`, `MULTISET<t>`, `ROW<a t, …>`.
    Nested(&'static Nested),
    /// `VARIANT`: a value of JSON, as text without blanks, members sorted.
    Variant,
    /// `BITMAP`: a set of numbers of 32 bits, as [`weir_engine::roaring`] writes it.
    Bitmap,
    /// `INTERVAL DAY TO SECOND`, in milliseconds.
    IntervalMillis,
    /// `INTERVAL YEAR TO MONTH`, in months.
    IntervalMonths,
}

/// Longest `VARCHAR`, which is `STRING`.
pub(crate) const STRING_LENGTH: u32 = i32::MAX as u32;

/// A kind and whether NULL may occur.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SqlType {
    /// What values are.
    pub(crate) kind: Kind,
    /// Whether NULL may occur.
    pub(crate) nullable: bool,
}

impl SqlType {
    /// A type that admits NULL.
    #[must_use]
    pub(crate) fn nullable(kind: Kind) -> Self {
        Self { kind, nullable: true }
    }

    /// A type without NULL.
    #[must_use]
    pub(crate) fn not_null(kind: Kind) -> Self {
        Self { kind, nullable: false }
    }
}

impl Kind {
    /// `STRING`.
    pub(crate) const STRING: Self = Self::VarChar(STRING_LENGTH);

    /// The Arrow type that holds it.
    #[must_use]
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal(p, s) => DataType::Decimal128(p, s as i8),
            Self::Char(_) | Self::VarChar(_) | Self::Variant => DataType::Utf8,
            Self::Bytes | Self::Bitmap => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time(_) => DataType::Time32(TimeUnit::Millisecond),
            Self::Timestamp(p) => DataType::Timestamp(time_unit(p), None),
            Self::TimestampLtz(p) => DataType::Timestamp(time_unit(p), Some("UTC".into())),
            Self::Nested(nested) => nested.arrow(),
            Self::IntervalMillis | Self::IntervalMonths => DataType::Int64,
        }
    }

    /// What it says beyond the Arrow type that holds it.
    #[must_use]
    pub(crate) fn declared(self) -> Declared {
        match self {
            Self::Char(n) => Declared::Text(n),
            Self::VarChar(n) if n != STRING_LENGTH => Declared::Text(n),
            Self::Nested(Nested::Multiset(of)) => Declared::Multiset(Box::new(of.declared())),
            Self::Nested(nested) => {
                Declared::Parts(nested.parts().into_iter().map(Self::declared).collect())
            }
            _ => Declared::Plain,
        }
    }

    /// As [`Kind::arrow`], but for intervals, VARIANT and BITMAP, which only look like integers,
    /// strings and bytes there.
    #[must_use]
    pub(crate) fn exact_arrow(self) -> DataType {
        match self {
            Self::IntervalMillis => DataType::Interval(IntervalUnit::DayTime),
            Self::IntervalMonths => DataType::Interval(IntervalUnit::YearMonth),
            Self::Variant | Self::Bitmap => DataType::Null,
            kind => kind.arrow(),
        }
    }

    /// The kind of all values of an Arrow type, where one is.
    #[must_use]
    pub(crate) fn of_arrow(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::TinyInt,
            DataType::Int16 => Self::SmallInt,
            DataType::Int32 => Self::Int,
            DataType::Int64 => Self::BigInt,
            DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(p, s) => Self::Decimal(*p, u8::try_from(*s).ok()?),
            DataType::Utf8 => Self::STRING,
            DataType::Binary => Self::Bytes,
            DataType::Date32 => Self::Date,
            DataType::List(item) => Nested::array(Self::of_arrow(item.data_type())?),
            _ => return None,
        })
    }

    /// The kind of the values of a column of state: where no type of SQL is the one that an operator
    /// holds them as, the next wider one.
    #[must_use]
    pub(crate) fn of_stored(data_type: &DataType) -> Option<Self> {
        let digits = |unit: &TimeUnit| match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            TimeUnit::Microsecond => 6,
            TimeUnit::Nanosecond => 9,
        };
        Some(match data_type {
            DataType::UInt8 => Self::SmallInt,
            DataType::UInt16 => Self::Int,
            DataType::UInt32 => Self::BigInt,
            DataType::UInt64 => Self::Decimal(20, 0),
            DataType::LargeUtf8 | DataType::Utf8View => Self::STRING,
            DataType::LargeBinary | DataType::BinaryView => Self::Bytes,
            DataType::Date64 => Self::Timestamp(3),
            DataType::Time32(_) | DataType::Time64(_) => Self::Time(3),
            DataType::Timestamp(unit, None) => Self::Timestamp(digits(unit)),
            DataType::Timestamp(unit, Some(_)) => Self::TimestampLtz(digits(unit)),
            DataType::List(item) => Nested::array(Self::of_stored(item.data_type())?),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    let of = |at: usize| Self::of_stored(pair[at].data_type());
                    Nested::Map(of(0)?, of(1)?).kind()
                }
                _ => return None,
            },
            DataType::Struct(fields) => {
                let field = |field: &arrow::datatypes::FieldRef| {
                    Some((field.name().clone(), Self::of_stored(field.data_type())?))
                };
                Nested::Row(fields.iter().map(field).collect::<Option<_>>()?).kind()
            }
            other => return Self::of_arrow(other),
        })
    }

    /// Whether it is such a type, or made of one.
    pub(crate) fn holds(self, is_such: fn(Self) -> bool) -> bool {
        is_such(self)
            || matches!(self, Self::Nested(nested) if nested.parts().iter().any(|part| part.holds(is_such)))
    }

    /// Both kinds of intervals.
    #[must_use]
    pub(crate) fn is_interval(self) -> bool {
        matches!(self, Self::IntervalMillis | Self::IntervalMonths)
    }

    /// What has a text of its own where it is printed, and no place in a connector's rows.
    #[must_use]
    pub(crate) fn is_only_shown(self) -> bool {
        self.is_interval() || self == Self::Bitmap
    }

    /// Integers of any width.
    #[must_use]
    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt)
    }

    /// `FLOAT` and `DOUBLE`.
    #[must_use]
    pub(crate) fn is_approximate(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Anything to calculate with.
    #[must_use]
    pub(crate) fn is_numeric(self) -> bool {
        self.is_integer() || self.is_approximate() || matches!(self, Self::Decimal(..))
    }

    /// Whether it is a time that counts milliseconds.
    pub(crate) fn is_milliseconds(self) -> bool {
        matches!(self, Self::Timestamp(3) | Self::TimestampLtz(3))
    }

    /// `CHAR` and `VARCHAR`.
    #[must_use]
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Char(_) | Self::VarChar(_))
    }

    /// Both kinds of timestamps.
    #[must_use]
    pub(crate) fn is_timestamp(self) -> bool {
        matches!(self, Self::Timestamp(_) | Self::TimestampLtz(_))
    }

    /// Dates, times and timestamps.
    #[must_use]
    pub(crate) fn is_temporal(self) -> bool {
        self.is_timestamp() || matches!(self, Self::Date | Self::Time(_))
    }

    /// Integers as the DECIMAL that holds all of their values; decimals as they are.
    #[must_use]
    pub(crate) fn as_decimal(self) -> Option<(u8, u8)> {
        Some(match self {
            Self::TinyInt => (3, 0),
            Self::SmallInt => (5, 0),
            Self::Int => (10, 0),
            Self::BigInt => (19, 0),
            Self::Decimal(p, s) => (p, s),
            _ => return None,
        })
    }

    fn integer_rank(self) -> Option<u8> {
        Some(match self {
            Self::TinyInt => 0,
            Self::SmallInt => 1,
            Self::Int => 2,
            Self::BigInt => 3,
            _ => return None,
        })
    }

    /// The type that values of both can be brought to without asking, as Calcite's
    /// `leastRestrictive` finds it; `None` when there is none.
    ///
    /// FLOAT and DOUBLE give DOUBLE. In Flink the first operand's type wins (`f + d` is a FLOAT,
    /// `d + f` a DOUBLE), so that the order of operands decides how exact a result is.
    #[must_use]
    pub(crate) fn common(self, other: Self) -> Option<Self> {
        use Kind::{
            Char, Date, Decimal, Double, Float, Null, Time, Timestamp, TimestampLtz, VarChar,
        };
        if self == other {
            return Some(self);
        }
        Some(match (self, other) {
            (Null, kind) | (kind, Null) => kind,
            (a, b) if a.is_integer() && b.is_integer() => {
                if a.integer_rank() >= b.integer_rank() {
                    a
                } else {
                    b
                }
            }
            (Double, b) if b.is_numeric() => Double,
            (a, Double) if a.is_numeric() => Double,
            (Float, Decimal(..)) | (Decimal(..), Float) => Double,
            (Float, b) if b.is_integer() => Float,
            (a, Float) if a.is_integer() => Float,
            (a, b) if a.is_numeric() && b.is_numeric() => {
                let ((p1, s1), (p2, s2)) = (a.as_decimal()?, b.as_decimal()?);
                let scale = s1.max(s2);
                let digits = (p1 - s1).max(p2 - s2);
                Decimal((digits + scale).min(38), scale.min(38u8.saturating_sub(digits)))
            }
            (Char(a), Char(b)) => {
                if a == b {
                    Char(a)
                } else {
                    VarChar(a.max(b))
                }
            }
            (Char(a) | VarChar(a), Char(b) | VarChar(b)) => VarChar(a.max(b)),
            (Time(a), Time(b)) => Time(a.max(b)),
            (Timestamp(a), Timestamp(b)) => Timestamp(a.max(b)),
            (TimestampLtz(a), TimestampLtz(b)) => TimestampLtz(a.max(b)),
            (Timestamp(a), TimestampLtz(b)) | (TimestampLtz(b), Timestamp(a)) => {
                TimestampLtz(a.max(b))
            }
            (Date, Timestamp(p)) | (Timestamp(p), Date) => Timestamp(p),
            (Kind::Nested(a), Kind::Nested(b)) => Kind::Nested(a.common(b)?),
            (Date, TimestampLtz(p)) | (TimestampLtz(p), Date) => TimestampLtz(p),
            _ => return None,
        })
    }
}

/// The coarsest Arrow unit that holds `precision` digits of a second; never seconds, because
/// event time is in milliseconds.
#[must_use]
pub(crate) fn time_unit(precision: u8) -> TimeUnit {
    match precision {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal(p, s) => write!(f, "DECIMAL({p}, {s})"),
            Self::Char(n) => write!(f, "CHAR({n})"),
            Self::VarChar(STRING_LENGTH) => f.write_str("STRING"),
            Self::VarChar(n) => write!(f, "VARCHAR({n})"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Date => f.write_str("DATE"),
            Self::Time(0) => f.write_str("TIME"),
            Self::Time(p) => write!(f, "TIME({p})"),
            Self::Timestamp(p) => write!(f, "TIMESTAMP({p})"),
            Self::TimestampLtz(p) => write!(f, "TIMESTAMP_LTZ({p})"),
            Self::Nested(nested) => nested.fmt(f),
            Self::Variant => f.write_str("VARIANT"),
            Self::Bitmap => f.write_str("BITMAP"),
            Self::IntervalMillis => f.write_str("INTERVAL DAY TO SECOND"),
            Self::IntervalMonths => f.write_str("INTERVAL YEAR TO MONTH"),
        }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, if self.nullable { "" } else { " NOT NULL" })
    }
}
