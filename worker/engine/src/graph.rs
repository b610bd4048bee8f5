//! The job graph: what a program becomes, and what tasks are built from.
//!
//! A vertex is a chain of operators that need no exchange between them. Chaining has already
//! happened when a graph is made. A graph is the same in every process that builds it from the
//! same program; [`JobGraph::hash`] lets the coordinator check that.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_protocol::{OperatorUid, VertexId};
use weir_state::table::TableSpec;

use crate::operator::{OperatorFactory, OutputTag, StateSchema};
use crate::sink::Committer;
use crate::source::{EventTimes, Source};

/// How rows of an edge find their subtask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exchange {
    /// Subtask i to subtask i; both ends have the same parallelism.
    Forward,
    /// By canonical key hash of these columns of the producer's output. Hashes already in the
    /// batch are used when `reuse` says that they are of these columns.
    Hash {
        /// Column indices, in key order.
        columns: Vec<usize>,
        /// The producer has attached the hashes of exactly these columns.
        reuse: bool,
    },
    /// Batch by batch in turn.
    Rebalance,
    /// Every batch to every subtask.
    Broadcast,
    /// Everything to subtask 0.
    Single,
}

/// A connection between two vertices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Producing vertex.
    pub from: VertexId,
    /// Which operator of its chain gives the rows: its position; the last one for `Main`.
    pub operator: usize,
    /// Which of that operator's outputs.
    pub output: OutputTag,
    /// Consuming vertex.
    pub to: VertexId,
    /// Which input of the consuming chain's first operator.
    pub input: usize,
    /// How rows find their subtask.
    pub exchange: Exchange,
    /// Columns that travel.
    pub schema: SchemaRef,
}

/// How many subtasks a vertex has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parallelism {
    /// The job's parallelism.
    Job,
    /// Always one.
    Single,
}

/// The head of a chain that reads a source.
#[derive(Clone)]
pub struct SourceNode {
    /// The connector.
    pub source: Arc<dyn Source>,
    /// Makes the per-split projection and the watermark rule.
    pub event_times: Arc<dyn Fn() -> Box<dyn EventTimes> + Send + Sync>,
}

/// What an operator is, for people and for the check at restore.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OperatorInfo {
    /// Stable name of its state.
    pub uid: OperatorUid,
    /// Name for people: `hourly count by origin`.
    pub name: String,
    /// The kind of operator: `source`, `calc`, `window aggregate`, `sink`, …
    pub kind: &'static str,
    /// Details for `weir plan`: expressions, options, guarantee.
    pub details: BTreeMap<String, String>,
    /// Its keyed state beside tables; `None` when it keeps none.
    pub state: Option<StateSchema>,
    /// The tables of its instances ([`crate::Operator::tables`]).
    pub tables: Vec<TableSpec>,
    /// Why its result does not depend on the data alone; `None` when it does.
    pub nondeterministic: Option<String>,
}

impl OperatorInfo {
    /// Whether it keeps state by key.
    #[must_use]
    pub fn keeps_keys(&self) -> bool {
        self.state.is_some() || !self.tables.is_empty()
    }
}

/// An operator of a chain.
#[derive(Clone)]
pub enum Node {
    /// Reads a source; only at the head of a chain.
    Source(SourceNode),
    /// Anything else.
    Operator(Arc<dyn OperatorFactory>),
}

/// A chain of operators.
#[derive(Clone)]
pub struct Vertex {
    /// Its number, equal to its position in the graph.
    pub id: VertexId,
    /// Name for people: the operators' names joined.
    pub name: String,
    /// How many subtasks it has.
    pub parallelism: Parallelism,
    /// The operators, in order.
    pub chain: Vec<(OperatorInfo, Node)>,
}

/// A whole job.
#[derive(Clone, Default)]
pub struct JobGraph {
    /// Vertices in topological order; position = id.
    pub vertices: Vec<Vertex>,
    /// Edges in the order in which the consumer's inputs are numbered.
    pub edges: Vec<Edge>,
    /// Committers of the sinks that stage output.
    pub committers: BTreeMap<OperatorUid, Arc<dyn Committer>>,
    /// The sink, by its name for people, whose rows take the place of others once the input has
    /// ended: half of them must not.
    pub replaces: Option<String>,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Hash of everything that must agree between processes.
    pub hash: String,
}

impl JobGraph {
    /// The vertex with this id.
    #[must_use]
    pub fn vertex(&self, id: VertexId) -> Option<&Vertex> {
        self.vertices.get(id.0 as usize)
    }

    /// Number of subtasks of a vertex when the job runs at `parallelism`.
    #[must_use]
    pub fn subtasks(&self, id: VertexId, parallelism: u32) -> u32 {
        match self.vertex(id).map(|v| v.parallelism) {
            Some(Parallelism::Job) => parallelism,
            Some(Parallelism::Single) => 1,
            None => 0,
        }
    }

    /// Whether whatever control reaches one subtask of a vertex reaches all of them: it stands
    /// behind an exchange, and no source feeds a subtask of its own.
    #[must_use]
    pub(crate) fn hears_alike(&self, id: VertexId) -> bool {
        let mut edges = self.edges.iter().filter(|e| e.to == id).peekable();
        edges.peek().is_some()
            && edges.all(|e| e.exchange != Exchange::Forward || self.hears_alike(e.from))
    }

    /// The operator with this stable name.
    #[must_use]
    pub fn operator(&self, uid: &OperatorUid) -> Option<(&Vertex, usize)> {
        self.vertices.iter().find_map(|v| {
            v.chain.iter().position(|(info, _)| info.uid == *uid).map(|position| (v, position))
        })
    }

    /// The operator's name for people; its stable name where this program has no such operator.
    #[must_use]
    pub fn name<'a>(&'a self, uid: &'a OperatorUid) -> &'a str {
        let found = self.operator(uid).and_then(|(vertex, at)| vertex.chain.get(at));
        found.map_or(uid.0.as_str(), |(info, _)| info.name.as_str())
    }

    /// Vertices whose chain begins with a source.
    pub fn sources(&self) -> impl Iterator<Item = (&Vertex, &OperatorInfo, &SourceNode)> {
        self.vertices.iter().filter_map(|v| match v.chain.first() {
            Some((info, Node::Source(source))) => Some((v, info, source)),
            _ => None,
        })
    }
}
