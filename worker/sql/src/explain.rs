//! A job graph for people and for tools: what `weir plan` shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use weir_engine::graph::{Edge, Exchange, JobGraph, Parallelism, Vertex};
use weir_engine::operator::{OutputTag, StateSchema, TableSpec};

/// A job graph as data; field names are part of the output format.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Hash of everything that must agree between processes.
    pub hash: String,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Chains in topological order.
    pub chains: Vec<Chain>,
    /// Connections between chains.
    pub edges: Vec<Connection>,
}

/// Operators that run in one task.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// Its number.
    pub id: u32,
    /// `job`, or `1`.
    pub parallelism: &'static str,
    /// In the order in which rows pass.
    pub operators: Vec<ExplainedOperator>,
}

/// One operator.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedOperator {
    /// Stable name of its state.
    pub uid: String,
    /// Name for people.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Expressions, options, guarantee.
    pub details: BTreeMap<String, String>,
    /// Its keyed state beside tables, when it keeps some.
    pub state: Option<StateSchema>,
    /// Its state tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableSpec>,
    /// Why its result does not depend on the data alone.
    pub nondeterministic: Option<String>,
}

/// A connection between chains.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The producing chain.
    pub from: u32,
    /// The uid of the producing operator.
    pub operator: String,
    /// `main`, `late` or `errors`.
    pub output: &'static str,
    /// The consuming chain.
    pub to: u32,
    /// `forward`, `hash`, `rebalance`, `broadcast` or `single`.
    pub exchange: &'static str,
    /// Columns that a hash is of.
    pub by: Vec<String>,
    /// Columns that travel, with their Arrow types.
    pub columns: Vec<(String, String)>,
}

/// The graph as data.
#[must_use]
pub fn explain(graph: &JobGraph) -> Explained {
    Explained {
        hash: graph.hash.clone(),
        max_parallelism: graph.max_parallelism,
        chains: graph.vertices.iter().map(chain).collect(),
        edges: graph.edges.iter().map(|edge| connection(graph, edge)).collect(),
    }
}

/// The graph as JSON.
#[must_use]
pub fn json(graph: &JobGraph) -> serde_json::Value {
    // Maps with text keys and plain values always become JSON.
    serde_json::to_value(explain(graph)).unwrap_or_default()
}

fn chain(vertex: &Vertex) -> Chain {
    Chain {
        id: vertex.id.0,
        parallelism: match vertex.parallelism {
            Parallelism::Job => "job",
            Parallelism::Single => "1",
        },
        operators: vertex
            .chain
            .iter()
            .map(|(info, _)| ExplainedOperator {
                uid: info.uid.0.clone(),
                name: info.name.clone(),
                kind: info.kind.to_owned(),
                details: info.details.clone(),
                state: info.state.clone(),
                tables: info.tables.clone(),
                nondeterministic: info.nondeterministic.clone(),
            })
            .collect(),
    }
}

fn connection(graph: &JobGraph, edge: &Edge) -> Connection {
    let (exchange, by): (_, &[usize]) = match &edge.exchange {
        Exchange::Forward => ("forward", &[]),
        Exchange::Hash { columns, .. } => ("hash", columns),
        Exchange::Rebalance => ("rebalance", &[]),
        Exchange::Broadcast => ("broadcast", &[]),
        Exchange::Single => ("single", &[]),
    };
    let fields = edge.schema.fields();
    let operator = graph
        .vertex(edge.from)
        .and_then(|v| v.chain.get(edge.operator))
        .map(|(info, _)| info.uid.0.clone())
        .unwrap_or_default();
    Connection {
        from: edge.from.0,
        operator,
        output: output(edge.output),
        to: edge.to.0,
        exchange,
        by: by.iter().filter_map(|&i| fields.get(i)).map(|f| f.name().clone()).collect(),
        columns: fields.iter().map(|f| (f.name().clone(), f.data_type().to_string())).collect(),
    }
}

fn output(tag: OutputTag) -> &'static str {
    match tag {
        OutputTag::Main => "main",
        OutputTag::Late => "late",
        OutputTag::Errors => "errors",
    }
}

/// The graph as text: one block per chain, its inputs above it.
#[must_use]
pub fn text(graph: &JobGraph) -> String {
    let explained = explain(graph);
    let mut out = String::new();
    for chain in &explained.chains {
        if chain.id > 0 {
            out.push('\n');
        }
        for edge in explained.edges.iter().filter(|e| e.to == chain.id) {
            let from = explained
                .chains
                .get(edge.from as usize)
                .and_then(|c| c.operators.iter().find(|o| o.uid == edge.operator))
                .map_or("?", |o| o.name.as_str());
            let what = if edge.output == "main" {
                String::new()
            } else {
                format!("{} rows of ", edge.output)
            };
            let how = match edge.exchange {
                "hash" if edge.by.is_empty() => "══► to one subtask: ".to_owned(),
                "hash" => format!("══► by {}: ", edge.by.join(", ")),
                "forward" => "──► ".to_owned(),
                other => format!("══► {other}: "),
            };
            let _ = writeln!(out, "{how}{what}{from}");
        }
        for operator in &chain.operators {
            let _ = writeln!(out, "  {}", operator.name);
            let _ = writeln!(out, "    {} {}", operator.kind, operator.uid);
            for (key, value) in &operator.details {
                let _ = writeln!(out, "    {key}: {value}");
            }
            if let Some(state) = &operator.state {
                let columns: Vec<String> =
                    state.columns.iter().map(|(name, ty)| format!("{name} {ty}")).collect();
                let _ = writeln!(out, "    state v{}: {}", state.version, columns.join(", "));
            }
            for table in &operator.tables {
                let _ = writeln!(out, "    table {table}");
            }
            if let Some(reason) = &operator.nondeterministic {
                let _ = writeln!(out, "    not deterministic: {reason}");
            }
        }
    }
    out
}

/// The graph in a line per sink: where its rows come from, and what is done to them on the way.
/// Steps that only shape rows are left out; [`text`] has them.
#[must_use]
pub fn flow(graph: &JobGraph) -> String {
    let mut out = String::new();
    for vertex in &graph.vertices {
        for (at, (info, _)) in vertex.chain.iter().enumerate() {
            if info.kind == "sink" {
                let _ = writeln!(out, "  {}", path(graph, vertex, at).join(" ──► "));
            }
        }
    }
    out
}

/// Names of the operators up to the one at `last` in the vertex's chain, sources first.
fn path(graph: &JobGraph, vertex: &Vertex, last: usize) -> Vec<String> {
    let mut before: Vec<Vec<String>> = Vec::new();
    for edge in graph.edges.iter().filter(|edge| edge.to == vertex.id) {
        // An edge goes from a vertex to a later one, so this ends.
        if let Some(from) = graph.vertex(edge.from).filter(|from| from.id < vertex.id) {
            before.push(path(graph, from, edge.operator));
        }
    }
    let mut names = match before.len() {
        0 | 1 => before.pop().unwrap_or_default(),
        _ => vec![before.iter().map(|path| path.join(" ──► ")).collect::<Vec<_>>().join(" + ")],
    };
    for (info, _) in vertex.chain.iter().take(last + 1) {
        if !matches!(info.kind, "calc" | "local window aggregate") {
            names.push(info.name.clone());
        }
        if info.kind == "source" && info.details.contains_key("watermark") {
            names.push("watermark".to_owned());
        }
    }
    names
}
