//! The program as the coordinator's decisions see it: names and numbers, nothing executable.

use std::collections::BTreeMap;

use weir_engine::graph::{JobGraph, Parallelism};
use weir_engine::operator::StateSchema;
use weir_engine::source::Assignment;
use weir_protocol::{OperatorUid, Subtask, VertexId};
use weir_state::table::TableSpec;

/// A task by vertex and subtask.
pub(super) type TaskId = (VertexId, Subtask);

/// A job graph without its code.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// [`JobGraph::hash`]: what workers must agree on.
    pub hash: String,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// [`JobGraph::replaces`].
    pub replaces: Option<String>,
    /// Vertices; position = id.
    pub vertices: Vec<PlanVertex>,
}

/// A chain of operators.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanVertex {
    /// Its number.
    pub id: VertexId,
    /// Name for people.
    pub name: String,
    /// Always one subtask.
    pub single: bool,
    /// The chain's operators, in order.
    pub operators: Vec<PlanOperator>,
    /// Set when the chain begins with a source.
    pub source: Option<PlanSource>,
}

/// An operator of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanOperator {
    /// Stable name of its state.
    pub uid: OperatorUid,
    /// Name for people.
    pub name: String,
    /// What sort of operator it is.
    pub kind: &'static str,
    /// Its keyed state beside tables, when it keeps some.
    pub state: Option<StateSchema>,
    /// Its state tables.
    pub tables: Vec<TableSpec>,
}

/// What matters about a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanSource {
    /// It ends by itself.
    pub bounded: bool,
    /// How splits reach readers.
    pub assignment: Assignment,
}

impl Plan {
    /// The plan of a graph.
    #[must_use]
    pub fn of(graph: &JobGraph) -> Self {
        let sources: BTreeMap<VertexId, PlanSource> = graph
            .sources()
            .map(|(vertex, _, node)| {
                let source = PlanSource {
                    bounded: node.source.is_bounded(),
                    assignment: node.source.assignment(),
                };
                (vertex.id, source)
            })
            .collect();
        let vertices = graph
            .vertices
            .iter()
            .map(|vertex| PlanVertex {
                id: vertex.id,
                name: vertex.name.clone(),
                single: vertex.parallelism == Parallelism::Single,
                operators: vertex
                    .chain
                    .iter()
                    .map(|(info, _)| PlanOperator {
                        uid: info.uid.clone(),
                        name: info.name.clone(),
                        kind: info.kind,
                        state: info.state.clone(),
                        tables: info.tables.clone(),
                    })
                    .collect(),
                source: sources.get(&vertex.id).copied(),
            })
            .collect();
        Self {
            hash: graph.hash.clone(),
            max_parallelism: graph.max_parallelism,
            replaces: graph.replaces.clone(),
            vertices,
        }
    }

    /// Number of subtasks of a vertex at this parallelism.
    #[must_use]
    pub fn subtasks(&self, vertex: VertexId, parallelism: u32) -> u32 {
        match self.vertices.get(vertex.0 as usize) {
            Some(v) if v.single => 1,
            Some(_) => parallelism,
            None => 0,
        }
    }

    /// Every task of the job at this parallelism, in order.
    pub fn tasks(&self, parallelism: u32) -> impl Iterator<Item = (VertexId, Subtask)> + '_ {
        self.vertices.iter().flat_map(move |v| {
            (0..self.subtasks(v.id, parallelism)).map(move |s| (v.id, Subtask(s)))
        })
    }

    /// Vertices that read a source, in order.
    pub fn sources(&self) -> impl Iterator<Item = (&PlanVertex, PlanSource)> {
        self.vertices.iter().filter_map(|v| v.source.map(|source| (v, source)))
    }

    /// A vertex's name for people; empty where there is none.
    #[must_use]
    pub(super) fn vertex_name(&self, vertex: VertexId) -> &str {
        self.vertices.get(vertex.0 as usize).map_or("", |v| v.name.as_str())
    }

    /// A task's name for people.
    #[must_use]
    pub(super) fn task_name(&self, vertex: VertexId, subtask: Subtask) -> String {
        let name = self.vertices.get(vertex.0 as usize).map_or("?", |v| v.name.as_str());
        format!("task \"{name}\" {subtask}")
    }

    /// The vertex that runs this operator, and the operator.
    #[must_use]
    pub fn operator(&self, uid: &OperatorUid) -> Option<(&PlanVertex, &PlanOperator)> {
        self.vertices
            .iter()
            .find_map(|v| v.operators.iter().find(|o| o.uid == *uid).map(|operator| (v, operator)))
    }
}

impl PlanVertex {
    /// The name under which the chain's own state (splits, watermark) is kept: its first
    /// operator's.
    #[must_use]
    pub fn head(&self) -> OperatorUid {
        self.operators.first().map(|o| o.uid.clone()).unwrap_or_default()
    }
}
