//! How values of one schema become values of columns: decided once, before any is read.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

use super::schema::{Id, Logical, Schema, Type};
use crate::formats::column::sql_type;

/// Types looked at. A short schema can name one type inside of another so often that a value has 2⁴⁰
/// parts.
const MOST_LOOKS: u32 = 100_000;
/// Names that a message lists.
const LISTED: usize = 20;

/// How a value is read into a column.
#[derive(Debug)]
pub(super) enum Plan {
    Boolean,
    /// An int.
    Int,
    /// A long.
    Long,
    Float,
    Double,
    /// Bytes or a string.
    Bytes,
    /// So many bytes.
    Fixed(usize),
    /// A symbol of this enum.
    Enum(Id),
    /// Digits as bytes, or as so many bytes; so many zeros go behind them.
    Decimal {
        size: Option<usize>,
        zeros: u32,
    },
    Date,
    /// Of the unit.
    Time(TimeUnit),
    Timestamp(TimeUnit),
    /// The value of the type null.
    Null,
    /// By branch.
    Union(Vec<Branch>),
    Row(Row),
    List(Box<Plan>),
    /// Values and their type.
    Map(Box<Plan>, Id),
}

#[derive(Debug)]
pub(super) enum Branch {
    Read(Plan),
    /// Its values cannot be read, and why.
    Wrong(String),
}

/// How a record becomes columns.
#[derive(Debug)]
pub(super) struct Row {
    /// A field after the other.
    pub(super) steps: Vec<Step>,
    /// Columns that the record does not have.
    pub(super) missing: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Into the column of this number.
    Read(usize, Plan),
    Skip(Id),
}

/// How the records of a schema become these columns.
///
/// # Errors
/// Column and both types, where one cannot become the other.
pub(super) fn resolve(schema: &Schema, columns: &[FieldRef]) -> Result<Row, String> {
    let root = schema.root();
    let mut resolver = Resolver { schema, looks: 0 };
    match &schema.node(root).of {
        Type::Record(_, fields) => resolver.row(fields, columns, ""),
        _ => Err(format!(
            "rows are records, and there are values of the type {}",
            schema.shown(root)
        )),
    }
}

struct Resolver<'a> {
    schema: &'a Schema,
    looks: u32,
}

impl Resolver<'_> {
    fn row(
        &mut self,
        fields: &[(String, Id)],
        columns: &[FieldRef],
        path: &str,
    ) -> Result<Row, String> {
        let mut steps = Vec::with_capacity(fields.len());
        let mut found = vec![false; columns.len()];
        for (name, of) in fields {
            self.look(path)?;
            match columns.iter().position(|column| column.name() == name) {
                Some(at) => {
                    found[at] = true;
                    let path = inside(path, name);
                    steps.push(Step::Read(at, self.value(*of, &columns[at], &path)?));
                }
                None => steps.push(Step::Skip(*of)),
            }
        }
        let missing: Vec<usize> = (0..columns.len()).filter(|at| !found[*at]).collect();
        if let Some(column) = missing.iter().map(|at| &columns[*at]).find(|c| !c.is_nullable()) {
            let names = fields.iter().map(|(name, _)| name.as_str());
            let more = if fields.len() > LISTED { ", …" } else { "" };
            return Err(format!(
                "column `{}` is NOT NULL, but there is no field of this name; there are {}{more}",
                inside(path, column.name()),
                names.take(LISTED).collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(Row { steps, missing })
    }

    fn look(&mut self, path: &str) -> Result<(), String> {
        self.looks += 1;
        match self.looks > MOST_LOOKS {
            true => Err(format!("column `{path}`: its type has more than {MOST_LOOKS} parts")),
            false => Ok(()),
        }
    }

    fn value(&mut self, id: Id, field: &Field, path: &str) -> Result<Plan, String> {
        self.look(path)?;
        let schema = self.schema;
        let node = schema.node(id);
        match (&node.of, field.data_type()) {
            (Type::Union(branches), _) => {
                let mut read = Vec::with_capacity(branches.len());
                for branch in branches {
                    read.push(match self.value(*branch, field, path) {
                        Ok(plan) => Branch::Read(plan),
                        Err(why) => Branch::Wrong(why),
                    });
                }
                let null = |branch: &Branch| matches!(branch, Branch::Read(Plan::Null));
                let only_null = read.iter().all(null);
                let fits = |branch: &Branch| matches!(branch, Branch::Read(_)) && !null(branch);
                if only_null || read.iter().any(fits) {
                    return Ok(Plan::Union(read));
                }
                // With one that may be NULL, the other says more than the union would.
                let mut reasons = read.into_iter().filter_map(|branch| match branch {
                    Branch::Wrong(why) => Some(why),
                    Branch::Read(_) => None,
                });
                match (reasons.next(), reasons.next()) {
                    (Some(why), None) => Err(why),
                    _ => Err(self.differ(id, field, path)),
                }
            }
            (Type::Null, _) => Ok(Plan::Null),
            (Type::Record(_, fields), DataType::Struct(columns)) => {
                Ok(Plan::Row(self.row(fields, columns, path)?))
            }
            (Type::Array(of), DataType::List(item)) => {
                Ok(Plan::List(Box::new(self.value(*of, item, path)?)))
            }
            (Type::Map(of), DataType::Map(entries, _)) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    Ok(Plan::Map(Box::new(self.value(*of, &pair[1], path)?), *of))
                }
                _ => Err(self.differ(id, field, path)),
            },
            (Type::Enum(..), DataType::Utf8 | DataType::Utf8View) => Ok(Plan::Enum(id)),
            _ => scalar(&node.of, node.logical, field.data_type())
                .ok_or_else(|| self.differ(id, field, path)),
        }
    }

    fn differ(&self, id: Id, field: &Field, path: &str) -> String {
        let node = self.schema.node(id);
        let fix = match (&node.of, node.logical) {
            (_, Some(Logical::Decimal { precision, scale })) => {
                format!("DECIMAL({precision}, {scale})")
            }
            (_, Some(Logical::Date)) => "DATE".to_owned(),
            (_, Some(Logical::TimeMillis | Logical::TimeMicros)) => "TIME".to_owned(),
            (_, Some(Logical::Timestamp(_) | Logical::LocalTimestamp(_))) => {
                "TIMESTAMP(3)".to_owned()
            }
            (Type::Boolean, _) => "BOOLEAN".to_owned(),
            (Type::Int, _) => "INT".to_owned(),
            (Type::Long, _) => "BIGINT".to_owned(),
            (Type::Float, _) => "FLOAT".to_owned(),
            (Type::Double, _) => "DOUBLE".to_owned(),
            (Type::Bytes | Type::Fixed(..), _) => "BYTES".to_owned(),
            (Type::String | Type::Enum(..), _) => "STRING".to_owned(),
            (Type::Record(..), _) => "ROW".to_owned(),
            (Type::Array(_), _) => "ARRAY".to_owned(),
            (Type::Map(_), _) => "MAP".to_owned(),
            (Type::Null | Type::Union(_), _) => "one of these".to_owned(),
        };
        format!(
            "column `{path}` is {} in the table, but {} in the data, which cannot be read as that without loss; declare it as {fix} and CAST in the query",
            sql_type(field),
            self.schema.shown(id)
        )
    }
}

pub(super) fn inside(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn scalar(of: &Type, logical: Option<Logical>, wanted: &DataType) -> Option<Plan> {
    use DataType as D;
    Some(match (of, logical, wanted) {
        (Type::Boolean, _, D::Boolean) => Plan::Boolean,
        (
            Type::Bytes,
            Some(Logical::Decimal { precision, scale }),
            D::Decimal128(most, scale_of),
        ) => decimal(None, (precision, scale), (*most, *scale_of))?,
        (
            Type::Fixed(size),
            Some(Logical::Decimal { precision, scale }),
            D::Decimal128(most, scale_of),
        ) => decimal(Some(*size), (precision, scale), (*most, *scale_of))?,
        (Type::Int, Some(Logical::Date), D::Date32) => Plan::Date,
        (Type::Int, Some(Logical::TimeMillis), D::Time32(_)) => Plan::Time(TimeUnit::Millisecond),
        (Type::Long, Some(Logical::TimeMicros), D::Time32(_)) => Plan::Time(TimeUnit::Microsecond),
        (
            Type::Long,
            Some(Logical::Timestamp(unit) | Logical::LocalTimestamp(unit)),
            D::Timestamp(..),
        ) => Plan::Timestamp(unit),
        (Type::Int, _, D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::Float32 | D::Float64) => {
            Plan::Int
        }
        (Type::Long, _, D::Int64 | D::Float32 | D::Float64) => Plan::Long,
        (Type::Float, _, D::Float32 | D::Float64) => Plan::Float,
        (Type::Double, _, D::Float64) => Plan::Double,
        (Type::Bytes, None, D::Utf8 | D::Utf8View) | (Type::Bytes, _, D::Binary) => Plan::Bytes,
        (Type::String, _, D::Utf8 | D::Utf8View | D::Binary) => Plan::Bytes,
        (Type::Fixed(size), _, D::Binary) => Plan::Fixed(*size),
        _ => return None,
    })
}

/// As many digits on both sides of the point, or more.
fn decimal(size: Option<usize>, (precision, scale): (u8, u8), wanted: (u8, i8)) -> Option<Plan> {
    let scale_of = u8::try_from(wanted.1).ok()?;
    let zeros = scale_of.checked_sub(scale)?;
    let whole = wanted.0.checked_sub(scale_of)?;
    (precision - scale <= whole).then_some(Plan::Decimal { size, zeros: u32::from(zeros) })
}
