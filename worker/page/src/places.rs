//! Which statements of a program an operator comes from: the `CREATE TABLE` that it reads or writes,
//! and the `INSERT`s whose rows pass it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use weir_protocol::view::{EdgeView, OperatorView, VertexView};

use crate::render::tokens;

/// What a statement is about.
#[derive(Clone, PartialEq, Eq, Debug)]
enum About {
    Table(String),
    Insert(String),
}

/// By operator (uid): where in the text it comes from, in bytes, in the order of the text.
#[must_use]
pub fn places(
    sql: &str,
    vertices: &[VertexView],
    edges: &[EdgeView],
) -> BTreeMap<String, Vec<Range<usize>>> {
    let statements = statements(sql);
    let mut places = BTreeMap::new();
    for vertex in vertices {
        for (at, operator) in vertex.operators.iter().enumerate() {
            let sinks = sinks(vertices, edges, vertex, at);
            let own = matches!(operator.kind.as_str(), "source" | "sink").then(|| table(operator));
            let is_of = |about: &About| match about {
                About::Table(name) => own == Some(name),
                About::Insert(name) => sinks.contains(name.as_str()),
            };
            let found = statements.iter().filter(|(about, _)| is_of(about));
            let found: Vec<Range<usize>> = found.map(|(_, place)| place.clone()).collect();
            if !found.is_empty() {
                places.insert(operator.uid.clone(), found);
            }
        }
    }
    places
}

/// The table of a source or sink, which is called `kafka flights`.
fn table(operator: &OperatorView) -> &str {
    operator.name.split_once(' ').map_or(operator.name.as_str(), |(_, table)| table)
}

/// Tables into which rows of the operator at this place of a chain come.
fn sinks<'a>(
    vertices: &'a [VertexView],
    edges: &'a [EdgeView],
    vertex: &'a VertexView,
    at: usize,
) -> BTreeSet<&'a str> {
    let mut sinks = BTreeSet::new();
    let (mut seen, mut to_see) = (BTreeSet::new(), vec![(vertex, at)]);
    while let Some((vertex, at)) = to_see.pop() {
        if !seen.insert((vertex.id, at)) {
            continue;
        }
        let rest = vertex.operators.get(at..).unwrap_or_default();
        sinks.extend(rest.iter().filter(|o| o.kind == "sink").map(table));
        let from = edges.iter().filter(|edge| edge.from == vertex.id);
        let from = from.filter(|edge| rest.iter().any(|o| o.uid == edge.operator));
        to_see.extend(from.filter_map(|edge| Some((vertices.get(edge.to as usize)?, 0))));
    }
    sinks
}

/// Statements that make tables or fill them; those of a statement set each for itself.
fn statements(sql: &str) -> Vec<(About, Range<usize>)> {
    let mut found = Vec::new();
    let mut words: Vec<(usize, &str)> = Vec::new();
    for (at, token) in tokens(sql).into_iter().chain([(sql.len(), ";")]) {
        if token == ";" {
            found.extend(about(&words));
            words.clear();
        } else if !token.trim().is_empty() && !token.starts_with("--") && !token.starts_with("/*") {
            words.push((at, token));
        }
    }
    found
}

fn about(words: &[(usize, &str)]) -> Option<(About, Range<usize>)> {
    let is = |at: usize, word: &str| words.get(at).is_some_and(|w| w.1.eq_ignore_ascii_case(word));
    let end = words.last().map(|(at, token)| at + token.len())?;
    let (begin, name) = match is(0, "CREATE") {
        true => {
            let at = if is(1, "TEMPORARY") { 2 } else { 1 };
            let name = if is(at + 1, "IF") { at + 4 } else { at + 1 };
            (is(at, "TABLE").then_some(0)?, name)
        }
        // What a statement set has before its first one is no part of it.
        false => {
            let at = (0..words.len()).find(|&at| is(at, "INSERT"))?;
            (at, at + 2)
        }
    };
    let place = words[begin].0..end;
    let name = qualified(words.get(name..)?);
    let is_table = begin == 0 && is(0, "CREATE");
    Some((if is_table { About::Table(name) } else { About::Insert(name) }, place))
}

/// The last part of a name such as `` default_catalog.`db`.flights ``.
fn qualified(words: &[(usize, &str)]) -> String {
    let mut last = words.first().map_or("", |word| word.1);
    let mut at = 1;
    while words.get(at).is_some_and(|word| word.1 == ".") {
        last = words.get(at + 1).map_or(last, |word| word.1);
        at += 2;
    }
    last.trim_matches('`').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(id: u32, operators: &[(&str, &str)]) -> VertexView {
        let operator = |(name, kind): &(&str, &str)| OperatorView {
            uid: format!("uid {name}"),
            name: (*name).into(),
            kind: (*kind).into(),
            ..OperatorView::default()
        };
        VertexView {
            id,
            operators: operators.iter().map(operator).collect(),
            ..VertexView::default()
        }
    }

    #[test]
    fn an_operator_comes_from_its_table_and_the_inserts_behind_it() {
        let sql = "-- CREATE TABLE no; \nCREATE TABLE `a` (x INT) WITH ('k' = 'a;b');\n\
                   CREATE TEMPORARY TABLE IF NOT EXISTS c.d.b (x INT);\n\
                   EXECUTE STATEMENT SET BEGIN INSERT INTO b SELECT x FROM a; insert into e VALUES (1); END;";
        let vertices = [
            vertex(0, &[("kafka a", "source"), ("calc", "calc")]),
            vertex(1, &[("print b", "sink")]),
            vertex(2, &[("print e", "sink")]),
        ];
        let edge = |from, operator: &str, to| EdgeView {
            from,
            operator: operator.into(),
            to,
            ..EdgeView::default()
        };
        let edges = [edge(0, "uid calc", 1), edge(0, "uid kafka a", 2)];
        let places = places(sql, &vertices, &edges);
        let texts = |name: &str| {
            places[&format!("uid {name}")].iter().map(|p| &sql[p.clone()]).collect::<Vec<_>>()
        };
        let (a, b) =
            ("CREATE TABLE `a` (x INT) WITH ('k' = 'a;b')", "INSERT INTO b SELECT x FROM a");
        assert_eq!(texts("kafka a"), [a, b, "insert into e VALUES (1)"]);
        assert_eq!(texts("calc"), [b]);
        assert_eq!(texts("print b"), ["CREATE TEMPORARY TABLE IF NOT EXISTS c.d.b (x INT)", b]);
        assert_eq!(texts("print e"), ["insert into e VALUES (1)"]);
    }
}
