//! A tree of YAML against a schema: what it says, and every fault.
//!
//! First the shape of everything, then the rules, which are silent about what depends on a value
//! that is at fault itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::cel::Unanswered;
use super::schema::{Kind, ListType, Rule, Schema};
use super::words;
use crate::ManifestError;
use crate::scalar::Meaning;
use crate::yaml::{Node, Scalar, Value, shorten};

/// A value in its place.
pub(super) struct Place<'n> {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) node: &'n Node,
}

/// The faults found so far in one file.
pub(super) struct Faults<'f> {
    file: &'f str,
    found: Vec<ManifestError>,
    /// Which of them are about a value that can be told better once all is known.
    bounds: Vec<(usize, Json)>,
}

impl<'f> Faults<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, found: Vec::new(), bounds: Vec::new() }
    }

    pub(super) fn add(&mut self, line: usize, path: &str, message: impl Into<String>) {
        self.found.push(ManifestError {
            file: self.file.to_owned(),
            line,
            path: path.to_owned(),
            message: message.into(),
        });
    }

    /// Every fault in the order of the lines.
    pub(super) fn into_sorted(mut self) -> Vec<ManifestError> {
        self.found.sort_by_key(|fault| fault.line);
        self.found
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What `node`, a whole manifest, says by `schema`, its defaults filled in. What is at fault is
    /// null in it.
    pub(super) fn read(&mut self, node: &Node, schema: &Schema) -> Json {
        let place = Place { path: String::new(), line: node.line, node };
        let tree = self.value(&place, schema);
        for (index, value) in std::mem::take(&mut self.bounds) {
            let fault = &mut self.found[index];
            if let Some(better) = words::better(&fault.path, &value, node, &tree) {
                (fault.path, fault.message) = better;
            }
        }
        self.rules(node, schema, &tree, &tree);
        tree
    }

    fn value(&mut self, place: &Place<'_>, schema: &Schema) -> Json {
        let read = match schema.kind {
            _ if schema.number_or_text => self.number_or_text(place, schema),
            Kind::Object => self.object(place, schema),
            Kind::Array => self.array(place, schema),
            Kind::String => self.text(place, schema),
            Kind::Integer => self.integer(place, schema),
            Kind::Boolean => self.boolean(place),
        };
        read.unwrap_or_default()
    }

    fn object(&mut self, place: &Place<'_>, schema: &Schema) -> Option<Json> {
        let Value::Mapping(entries) = &place.node.value else {
            self.expected(place, &words::mapping(&place.path, schema));
            return None;
        };
        if let Some(most) = schema.max_properties.filter(|most| entries.len() > *most) {
            self.add(place.line, &place.path, format!("{} entries; at most {most}", entries.len()));
        }
        let mut read = Map::new();
        let mut fields: BTreeMap<&str, (usize, &Node)> = BTreeMap::new();
        let known = words::in_order(&place.path, schema);
        for (key, node) in entries {
            let path = path_of(&place.path, &key.name);
            if let Some((first, _)) = fields.get(key.name.as_str()) {
                let message = format!("is given twice, first in line {first}; keep one");
                self.add(key.line, &path, message);
                continue;
            }
            fields.insert(&key.name, (key.line, node));
            if schema.properties.contains_key(&key.name) {
                continue;
            }
            match &schema.additional_properties {
                Some(_) if key.meaning() != Meaning::Text => {
                    let (name, json) = (&key.name, key.meaning().to_json(&key.name));
                    let message = format!("the key {name} is {json} to kubectl; write \"{name}\"");
                    self.add(key.line, &path, message);
                }
                Some(values) => {
                    let value = self.value(&Place { path, line: key.line, node }, values);
                    read.insert(key.name.clone(), value);
                }
                None if schema.open => {
                    read.insert(key.name.clone(), node.to_json());
                }
                None => self.add(key.line, &path, words::unknown_field(&key.name, &known)),
            }
        }
        for name in known {
            let (path, field) = (path_of(&place.path, name), &schema.properties[name]);
            let value = match fields.get(name) {
                Some((line, node)) if !node.is_null() => {
                    Some(self.value(&Place { path, line: *line, node }, field))
                }
                // Like an API server, we read null as absent.
                null if schema.required.iter().any(|required| required == name) => {
                    let (line, what) =
                        null.map_or((place.line, "is missing"), |(line, _)| (*line, "is empty"));
                    self.add(line, &path, format!("{what}; {}", words::what_belongs(&path)));
                    Some(Json::Null)
                }
                _ => default_of(field),
            };
            if let Some(value) = value {
                read.insert(name.to_owned(), value);
            }
        }
        Some(Json::Object(read))
    }

    fn array(&mut self, place: &Place<'_>, schema: &Schema) -> Option<Json> {
        let (Value::Sequence(items), Some(of)) = (&place.node.value, &schema.items) else {
            self.expected(place, &words::list(&place.path));
            return None;
        };
        if let Some(most) = schema.max_items.filter(|most| items.len() > *most) {
            self.add(place.line, &place.path, format!("{} entries; at most {most}", items.len()));
            return None;
        }
        let mut read: Vec<Json> = Vec::new();
        for (index, node) in items.iter().enumerate() {
            let path = format!("{}[{index}]", place.path);
            let item = Place { path, line: node.line, node };
            let value = self.value(&item, of);
            if let Some(first) = read.iter().position(|other| same(schema, other, &value)) {
                let message = match schema.list_map_keys.join(" and ") {
                    keys if keys.is_empty() => format!("is the same as [{first}]; keep one"),
                    keys => format!("has the same {keys} as [{first}]; keep one"),
                };
                self.add(item.line, &item.path, message);
            }
            read.push(value);
        }
        Some(Json::Array(read))
    }

    /// A text. A number or boolean without quotes is refused, as an API server refuses it.
    fn text(&mut self, place: &Place<'_>, schema: &Schema) -> Option<Json> {
        let scalar = self.scalar(place, "text")?;
        let value = Json::String(scalar.text.clone());
        if scalar.meaning() != Meaning::Text {
            if words::is_duration(&place.path) {
                self.out_of_bounds(place, value, "is not a duration".to_owned());
                return None;
            }
            let found = place.node.describe();
            let message = format!("expected text, found {found}; write \"{}\"", scalar.text);
            self.add(place.line, &place.path, message);
            return None;
        }
        let length = scalar.text.chars().count();
        let (least, most) =
            (schema.min_length.unwrap_or(0), schema.max_length.unwrap_or(usize::MAX));
        if !(least..=most).contains(&length) {
            let message = format!("{length} characters; {least} to {most} are possible");
            self.out_of_bounds(place, value, message);
            return None;
        }
        if !schema.choices.is_empty() && !schema.choices.contains(&scalar.text) {
            let known: Vec<&str> = schema.choices.iter().map(String::as_str).collect();
            let message = words::unknown_choice(&scalar.text, &known);
            self.out_of_bounds(place, value, message);
            return None;
        }
        self.matches(place, schema, &scalar.text)?;
        Some(value)
    }

    fn matches(&mut self, place: &Place<'_>, schema: &Schema, text: &str) -> Option<()> {
        match &schema.pattern {
            Some(pattern) if !pattern.is_match(text) => {
                let message = format!("'{}' does not match {pattern}", shorten(text));
                self.out_of_bounds(place, text.into(), message);
                None
            }
            _ => Some(()),
        }
    }

    fn integer(&mut self, place: &Place<'_>, schema: &Schema) -> Option<Json> {
        let scalar = self.scalar(place, "a whole number")?;
        let number = match scalar.meaning() {
            Meaning::Whole(number) => i64::try_from(number).ok(),
            _ => None,
        };
        let Some(number) = number else {
            match scalar.text.trim().parse::<i64>() {
                Ok(number) if scalar.meaning() == Meaning::Text => {
                    let text = &scalar.text;
                    let message = format!(
                        "expected a whole number, found the text \"{text}\"; write {number} without quotes"
                    );
                    self.add(place.line, &place.path, message);
                }
                _ => self.expected(place, "a whole number"),
            }
            return None;
        };
        if let Some(message) = words::another_notation(&scalar.text, number) {
            self.add(place.line, &place.path, message);
            return None;
        }
        let (least, most) =
            (schema.minimum.unwrap_or(i64::MIN), schema.maximum.unwrap_or(i64::MAX));
        if !(least..=most).contains(&number) {
            let name = place.path.rsplit('.').next().unwrap_or_default();
            let message = format!("{number} is out of range; {name} can be {least} to {most}");
            self.out_of_bounds(place, number.into(), message);
            return None;
        }
        Some(number.into())
    }

    fn boolean(&mut self, place: &Place<'_>) -> Option<Json> {
        let scalar = self.scalar(place, "true or false")?;
        if let Meaning::Bool(value) = scalar.meaning() {
            return Some(value.into());
        }
        match scalar.text.to_lowercase().as_str() {
            word @ ("true" | "false") => {
                let message =
                    format!("expected true or false, found text; write {word} without quotes");
                self.add(place.line, &place.path, message);
            }
            _ => self.expected(place, "true or false"),
        }
        None
    }

    fn number_or_text(&mut self, place: &Place<'_>, schema: &Schema) -> Option<Json> {
        let scalar = self.scalar(place, "text or a whole number")?;
        match scalar.meaning() {
            Meaning::Whole(_) => Some(scalar.meaning().to_json(&scalar.text)),
            Meaning::Text => {
                self.matches(place, schema, &scalar.text)?;
                Some(scalar.text.clone().into())
            }
            _ => {
                let found = place.node.describe();
                let message = format!(
                    "expected text or a whole number, found {found}; write \"{}\"",
                    scalar.text
                );
                self.add(place.line, &place.path, message);
                None
            }
        }
    }

    /// Asks the rules of `schema` and of all below it, whose values are `value` and `tree` whole.
    fn rules(&mut self, root: &Node, schema: &Schema, value: &Json, tree: &Json) {
        for Rule { rule, message } in &schema.rules {
            let Some(rule) = rule else { continue };
            if let Ok(true) | Err(Unanswered::Faulty) = rule.holds(value) {
                continue;
            }
            // Every message begins with the field at fault.
            let (path, message) = message.split_once(' ').unwrap_or(("", message));
            let found = path.split('.').fold(tree, |tree, name| &tree[name]);
            if super::is_taken_here(path, found) {
                continue;
            }
            let (path, message) = words::better(path, found, root, tree)
                .unwrap_or_else(|| (path.to_owned(), message.to_owned()));
            let line = line_of(root, &path, rule.first_broken(value));
            if !self.found.iter().any(|fault| fault.path == path) {
                self.add(line, &path, message);
            }
        }
        for (name, field) in &schema.properties {
            match value.get(name) {
                None | Some(Json::Null) => {}
                Some(value) => self.rules(root, field, value, tree),
            }
        }
        if let (Some(of), Json::Array(items)) = (&schema.items, value) {
            items.iter().for_each(|item| self.rules(root, of, item, tree));
        }
        if let (Some(of), Json::Object(fields)) = (&schema.additional_properties, value) {
            fields.values().for_each(|value| self.rules(root, of, value, tree));
        }
    }

    fn scalar<'n>(&mut self, place: &Place<'n>, wanted: &str) -> Option<&'n Scalar> {
        match &place.node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => {
                self.expected(place, wanted);
                None
            }
        }
    }

    fn out_of_bounds(&mut self, place: &Place<'_>, value: Json, message: String) {
        self.bounds.push((self.found.len(), value));
        self.add(place.line, &place.path, message);
    }

    fn expected(&mut self, place: &Place<'_>, wanted: &str) {
        let message = format!("expected {wanted}, found {}", place.node.describe());
        self.add(place.line, &place.path, message);
    }
}

fn path_of(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The line of the field, or of the nearest around it that is there; in a list that of an item.
pub(super) fn line_of(root: &Node, path: &str, item: Option<usize>) -> usize {
    let (mut node, mut line) = (root, root.line);
    for name in path.split('.') {
        let Value::Mapping(entries) = &node.value else { break };
        let Some((key, value)) = entries.iter().find(|(key, _)| key.name == name) else { break };
        (node, line) = (value, key.line);
    }
    match (&node.value, item) {
        (Value::Sequence(items), Some(item)) => items.get(item).map_or(line, |item| item.line),
        _ => line,
    }
}

/// Whether a list may not have both items.
fn same(list: &Schema, a: &Json, b: &Json) -> bool {
    match list.list_type {
        ListType::Atomic => false,
        ListType::Set => a == b && !a.is_null(),
        ListType::Map => {
            a.is_object()
                && list.list_map_keys.iter().all(|key| a[key] == b[key] && !a[key].is_null())
        }
    }
}

/// What an API server fills in: an object that is a default has those of its fields.
fn default_of(schema: &Schema) -> Option<Json> {
    let default = schema.default.clone()?;
    let Json::Object(mut fields) = default else { return Some(default) };
    for (name, field) in &schema.properties {
        if let (false, Some(default)) = (fields.contains_key(name), default_of(field)) {
            fields.insert(name.clone(), default);
        }
    }
    Some(Json::Object(fields))
}
