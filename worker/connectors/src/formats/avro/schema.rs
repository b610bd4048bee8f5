//! A schema's JSON → types that refer to each other by number.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow::datatypes::TimeUnit;
use serde_json::{Map, Value};

use super::cursor::{Cursor, Fail, wrong};

/// A type's number in its schema.
pub(super) type Id = usize;

/// Values within values within values, where they are passed over.
const DEEPEST: usize = 64;
/// Types of one schema.
const MOST_TYPES: usize = 100_000;
/// Bytes of a name: each is repeated wherever it is spoken of.
const LONGEST_NAME: usize = 1_000;
/// Branches that a message lists.
const LISTED: usize = 8;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(String, Vec<String>),
    Record(String, Vec<(String, Id)>),
    Array(Id),
    Map(Id),
    Union(Vec<Id>),
}

/// What the bytes stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Logical {
    Decimal { precision: u8, scale: u8 },
    Date,
    TimeMillis,
    TimeMicros,
    Timestamp(TimeUnit),
    LocalTimestamp(TimeUnit),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    pub(super) of: Type,
    pub(super) logical: Option<Logical>,
}

/// All types of a schema.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Schema {
    nodes: Vec<Node>,
    root: Id,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let mut parser = Parser { nodes: Vec::new(), names: BTreeMap::new() };
        let root = parser.parse(&value, "")?;
        Ok(Self { nodes: parser.nodes, root })
    }

    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        // Numbers are only made together with what they stand for.
        &self.nodes[id]
    }

    /// A type as messages show it.
    pub(super) fn shown(&self, id: Id) -> String {
        let node = self.node(id);
        let of = match &node.of {
            Type::Null => "null".to_owned(),
            Type::Boolean => "boolean".to_owned(),
            Type::Int => "int".to_owned(),
            Type::Long => "long".to_owned(),
            Type::Float => "float".to_owned(),
            Type::Double => "double".to_owned(),
            Type::Bytes => "bytes".to_owned(),
            Type::String => "string".to_owned(),
            Type::Fixed(size) => format!("fixed of {size} bytes"),
            Type::Enum(name, _) => format!("enum {name}"),
            Type::Record(name, _) => format!("record {name}"),
            Type::Array(_) => "array".to_owned(),
            Type::Map(_) => "map".to_owned(),
            Type::Union(branches) => {
                let shown = branches.iter().take(LISTED).map(|id| self.shown(*id));
                let more = if branches.len() > LISTED { ", …" } else { "" };
                format!("union of {}{more}", shown.collect::<Vec<_>>().join(", "))
            }
        };
        let unit = |unit| match unit {
            TimeUnit::Second | TimeUnit::Millisecond => "millis",
            TimeUnit::Microsecond => "micros",
            TimeUnit::Nanosecond => "nanos",
        };
        match node.logical {
            None => of,
            Some(Logical::Decimal { precision, scale }) => {
                format!("{of} (decimal({precision}, {scale}))")
            }
            Some(Logical::Date) => format!("{of} (date)"),
            Some(Logical::TimeMillis) => format!("{of} (time-millis)"),
            Some(Logical::TimeMicros) => format!("{of} (time-micros)"),
            Some(Logical::Timestamp(of_unit)) => format!("{of} (timestamp-{})", unit(of_unit)),
            Some(Logical::LocalTimestamp(of_unit)) => {
                format!("{of} (local-timestamp-{})", unit(of_unit))
            }
        }
    }

    /// Passes over a value.
    pub(super) fn skip(&self, id: Id, cursor: &mut Cursor<'_>) -> Result<(), Fail> {
        self.skip_at(id, DEEPEST, cursor)
    }

    fn skip_at(&self, id: Id, deeper: usize, cursor: &mut Cursor<'_>) -> Result<(), Fail> {
        cursor.step()?;
        let Some(deeper) = deeper.checked_sub(1) else {
            return wrong(format!("values within values, more than {DEEPEST} deep"));
        };
        match &self.node(id).of {
            Type::Null => {}
            Type::Boolean => {
                cursor.boolean()?;
            }
            Type::Int => {
                cursor.int()?;
            }
            Type::Long => {
                cursor.long()?;
            }
            Type::Float => {
                cursor.float()?;
            }
            Type::Double => {
                cursor.double()?;
            }
            Type::Bytes | Type::String => {
                cursor.bytes()?;
            }
            Type::Fixed(size) => {
                cursor.take(*size)?;
            }
            Type::Enum(..) => {
                self.symbol(id, cursor)?;
            }
            Type::Record(_, fields) => {
                for (_, of) in fields {
                    self.skip_at(*of, deeper, cursor)?;
                }
            }
            Type::Array(of) | Type::Map(of) => {
                let is_map = matches!(self.node(id).of, Type::Map(_));
                loop {
                    let (count, size) = cursor.block()?;
                    if count == 0 {
                        break;
                    }
                    if let Some(size) = size {
                        cursor.take(size)?;
                        continue;
                    }
                    for _ in 0..count {
                        let before = cursor.at();
                        if is_map {
                            cursor.bytes()?;
                        }
                        self.skip_at(*of, deeper, cursor)?;
                        cursor.count_empty(before)?;
                    }
                }
            }
            Type::Union(branches) => {
                self.skip_at(*branch(branches, cursor)?, deeper, cursor)?;
            }
        }
        Ok(())
    }

    /// The symbol of an enum's value.
    pub(super) fn symbol(&self, id: Id, cursor: &mut Cursor<'_>) -> Result<&str, Fail> {
        let Type::Enum(_, symbols) = &self.node(id).of else {
            return wrong("a symbol of what is no enum; this is a bug");
        };
        let number = cursor.int()?;
        let found = usize::try_from(number).ok().and_then(|number| symbols.get(number));
        found.map(String::as_str).map_or_else(
            || wrong(format!("symbol {number} of an enum that has {}", symbols.len())),
            Ok,
        )
    }
}

/// The branch of a union's value.
pub(super) fn branch<'a, B>(branches: &'a [B], cursor: &mut Cursor<'_>) -> Result<&'a B, Fail> {
    let number = cursor.long()?;
    let found = usize::try_from(number).ok().and_then(|number| branches.get(number));
    found.map_or_else(
        || wrong(format!("branch {number} of a union that has {}", branches.len())),
        Ok,
    )
}

struct Parser {
    nodes: Vec<Node>,
    names: BTreeMap<String, Id>,
}

impl Parser {
    fn add(&mut self, of: Type, logical: Option<Logical>) -> Result<Id, String> {
        if self.nodes.len() >= MOST_TYPES {
            return Err(format!("it has more than {MOST_TYPES} types"));
        }
        self.nodes.push(Node { of, logical });
        Ok(self.nodes.len() - 1)
    }

    fn parse(&mut self, value: &Value, namespace: &str) -> Result<Id, String> {
        match value {
            Value::String(name) => self.named(name, namespace, None),
            Value::Array(branches) => {
                let branches: Vec<Id> = branches
                    .iter()
                    .map(|branch| self.parse(branch, namespace))
                    .collect::<Result<_, _>>()?;
                if branches.iter().any(|id| matches!(self.nodes[*id].of, Type::Union(_))) {
                    return Err("a union is a branch of a union".to_owned());
                }
                self.check_branches(&branches)?;
                self.add(Type::Union(branches), None)
            }
            Value::Object(object) => self.object(object, namespace),
            other => Err(format!("{other} is no type")),
        }
    }

    /// A union has each type once, and as many as it likes of those that have names.
    fn check_branches(&self, branches: &[Id]) -> Result<(), String> {
        let mut named = BTreeSet::new();
        let mut others = HashSet::new();
        for id in branches {
            let of = &self.nodes[*id].of;
            let is_new = match of {
                Type::Record(..) | Type::Enum(..) | Type::Fixed(_) => named.insert(*id),
                _ => others.insert(std::mem::discriminant(of)),
            };
            if !is_new {
                return Err("a union has one type twice".to_owned());
            }
        }
        Ok(())
    }

    fn named(
        &mut self,
        name: &str,
        namespace: &str,
        logical: Option<Logical>,
    ) -> Result<Id, String> {
        let of = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::String,
            name => {
                check_length(name)?;
                let full = full_name(name, namespace);
                let found = self.names.get(&full).or_else(|| self.names.get(name));
                return found.copied().ok_or_else(|| format!("the type '{name}' is unknown"));
            }
        };
        self.add(of, logical)
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Id, String> {
        let name = match object.get("type") {
            Some(Value::String(name)) => name.as_str(),
            Some(of @ (Value::Object(_) | Value::Array(_))) => return self.parse(of, namespace),
            _ => return Err("a type without 'type'".to_owned()),
        };
        match name {
            "array" | "map" => {
                let key = if name == "array" { "items" } else { "values" };
                let of = object.get(key).ok_or_else(|| format!("an {name} without '{key}'"))?;
                let of = self.parse(of, namespace)?;
                self.add(if name == "array" { Type::Array(of) } else { Type::Map(of) }, None)
            }
            "record" | "error" | "enum" | "fixed" => self.definition(name, object, namespace),
            name => self.named(name, namespace, logical(name, 0, object)),
        }
    }

    fn definition(
        &mut self,
        kind: &str,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<Id, String> {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let name = text("name").ok_or_else(|| format!("a type '{kind}' without 'name'"))?;
        let full = full_name(name, text("namespace").unwrap_or(namespace));
        check_length(&full)?;
        let inner = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        if self.names.contains_key(&full) {
            return Err(format!("the type '{full}' is defined twice"));
        }
        let list = |key: &str| {
            let list = object.get(key).and_then(Value::as_array);
            list.ok_or_else(|| format!("the type '{full}' has no '{key}'"))
        };
        match kind {
            "enum" => {
                let symbols = list("symbols")?.iter().map(|symbol| symbol.as_str());
                let symbols: Option<Vec<_>> =
                    symbols.map(|symbol| symbol.map(str::to_owned)).collect();
                let symbols = symbols.ok_or_else(|| format!("a symbol of '{full}' is no text"))?;
                symbols.iter().try_for_each(|symbol| check_length(symbol))?;
                let id = self.add(Type::Enum(full.clone(), symbols), None)?;
                self.names.insert(full, id);
                Ok(id)
            }
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64);
                let size = size.and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| format!("the type '{full}' has no 'size'"))?;
                let id = self.add(Type::Fixed(size), logical(kind, size, object))?;
                self.names.insert(full, id);
                Ok(id)
            }
            _ => {
                let declared = list("fields")?;
                // Its own fields may refer to it.
                let id = self.add(Type::Record(full.clone(), Vec::new()), None)?;
                self.names.insert(full.clone(), id);
                let mut fields = Vec::with_capacity(declared.len());
                let mut known = BTreeSet::new();
                for field in declared {
                    let name = field.get("name").and_then(Value::as_str);
                    let (Some(name), Some(of)) = (name, field.get("type")) else {
                        return Err(format!("a field of '{full}' without 'name' or 'type'"));
                    };
                    check_length(name)?;
                    if !known.insert(name) {
                        return Err(format!("'{full}' has two fields '{name}'"));
                    }
                    fields.push((name.to_owned(), self.parse(of, &inner)?));
                }
                self.nodes[id].of = Type::Record(full, fields);
                Ok(id)
            }
        }
    }
}

fn check_length(name: &str) -> Result<(), String> {
    match name.len() > LONGEST_NAME {
        true => Err(format!("a name has more than {LONGEST_NAME} bytes")),
        false => Ok(()),
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        return name.to_owned();
    }
    format!("{namespace}.{name}")
}

/// The logical type of an object; one that is unknown or has no meaning there is none, as Avro says.
fn logical(of: &str, size: usize, object: &Map<String, Value>) -> Option<Logical> {
    let name = object.get("logicalType").and_then(Value::as_str)?;
    Some(match (of, name) {
        ("bytes" | "fixed", "decimal") => {
            let number = |key: &str, default| {
                let given = object.get(key).map_or(Some(default), Value::as_u64)?;
                u8::try_from(given).ok()
            };
            let (precision, scale) = (number("precision", 0)?, number("scale", 0)?);
            // So many digits fixed bytes cannot hold. (Of 16 bytes and more, more than we need.)
            let fits = of == "bytes" || size >= 16 || {
                let most = (1_u128 << (8 * size.max(1) - 1)) - 1;
                precision > 0 && 10_u128.checked_pow(u32::from(precision))? - 1 <= most
            };
            if precision == 0 || scale > precision || !fits {
                return None;
            }
            Logical::Decimal { precision, scale }
        }
        ("int", "date") => Logical::Date,
        ("int", "time-millis") => Logical::TimeMillis,
        ("long", "time-micros") => Logical::TimeMicros,
        ("long", "timestamp-millis") => Logical::Timestamp(TimeUnit::Millisecond),
        ("long", "timestamp-micros") => Logical::Timestamp(TimeUnit::Microsecond),
        ("long", "timestamp-nanos") => Logical::Timestamp(TimeUnit::Nanosecond),
        ("long", "local-timestamp-millis") => Logical::LocalTimestamp(TimeUnit::Millisecond),
        ("long", "local-timestamp-micros") => Logical::LocalTimestamp(TimeUnit::Microsecond),
        ("long", "local-timestamp-nanos") => Logical::LocalTimestamp(TimeUnit::Nanosecond),
        _ => return None,
    })
}
