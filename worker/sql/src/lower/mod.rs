//! Logical plans → job graph: chains, exchanges, stable names.

mod group;
mod identity;
mod join;
mod late;
mod lookup;
mod names;
mod needs;
mod over;
mod pattern;
mod rank;
mod sessions;
mod sinks;
mod sources;
mod unnest;
mod windows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Field as ArrowField, Schema, SchemaRef};
use weir_connectors::registry::Changes;
use weir_connectors::table::Place;
use weir_engine::graph::{Edge, Exchange, JobGraph, Node, OperatorInfo, Parallelism, Vertex};
use weir_engine::operator::{OperatorFactory, OutputTag};
use weir_protocol::{OperatorUid, VertexId};

use crate::bind::{BoundInsert, BoundProgram};
use crate::calc::{Calc, CalcFactory};
use crate::catalog::TableDef;
use crate::error::{SqlError, Warning};
use crate::expr::{Expr, render};
use crate::rel::{Field, Narrowing, Rel, RelKind};
use crate::{PlanOptions, Planned};

use needs::Needs;
use sinks::{one_of_each, sink_shape};
pub(crate) use sources::at_options;

/// Rows that come out of an operator of the graph.
#[derive(Clone)]
struct Flow {
    vertex: usize,
    operator: usize,
    output: OutputTag,
    schema: SchemaRef,
    /// Nobody else reads it, so that its reader may join the chain.
    open: bool,
}

/// Rows of one schema, from one or more operators.
type Flows = Vec<Flow>;

pub(crate) struct Lowering<'a> {
    options: &'a PlanOptions,
    tables: Vec<Arc<TableDef>>,
    /// Tables that late rows go to, by their whole names.
    late_tables: BTreeMap<String, Arc<TableDef>>,
    needs: Needs,
    graph: JobGraph,
    /// Sources and aggregations that were lowered already, by their identity.
    made: HashMap<String, Flow>,
    /// How often each uid was given.
    uids: HashMap<String, usize>,
    /// Late rows by the table they go to.
    late: BTreeMap<String, late::LateRows>,
    /// After which time state is forgotten that nothing happens to (`table.exec.state.ttl`).
    state_ttl: Option<Duration>,
    /// `table.exec.source.idle-timeout`.
    source_idle: Option<Duration>,
    bounded: bool,
    /// Names of sinks that are given rows which are corrected later.
    corrected: BTreeSet<String>,
    /// Whether results leave when everything was read, and are final.
    batch: bool,
    errors: Vec<SqlError>,
    warnings: Vec<Warning>,
}

/// Lowers a bound program.
pub(crate) fn lower(
    program: &BoundProgram,
    options: &PlanOptions,
) -> Result<Planned, Vec<SqlError>> {
    let program = &narrowed(program);
    let mut lowering = Lowering {
        options,
        tables: program.tables.clone(),
        late_tables: program.late.clone(),
        needs: Needs::of(program),
        graph: JobGraph { max_parallelism: options.max_parallelism, ..JobGraph::default() },
        made: HashMap::new(),
        uids: HashMap::new(),
        late: BTreeMap::new(),
        state_ttl: program.state_ttl,
        source_idle: program.source_idle,
        bounded: true,
        corrected: BTreeSet::new(),
        batch: program.batch,
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    for insert in &program.inserts {
        lowering.insert(insert);
    }
    lowering.late_sinks();
    lowering.unused_options();
    if lowering.errors.is_empty() {
        lowering.finish();
        let Lowering { graph, warnings, bounded, corrected, .. } = lowering;
        Ok(Planned { graph, warnings, bounded, corrected })
    } else {
        Err(lowering.errors)
    }
}

/// The program with joins that keep what is read.
fn narrowed(program: &BoundProgram) -> BoundProgram {
    let mut narrowing = Narrowing::default();
    program.inserts.iter().for_each(|insert| narrowing.read(&insert.rel));
    let narrow = |insert: &BoundInsert| BoundInsert {
        table: insert.table.clone(),
        rel: narrowing.whole(&insert.rel),
        span: insert.span,
    };
    BoundProgram {
        inserts: program.inserts.iter().map(narrow).collect(),
        tables: program.tables.clone(),
        late: program.late.clone(),
        state_ttl: program.state_ttl,
        source_idle: program.source_idle,
        batch: program.batch,
    }
}

/// The Arrow schema of columns; everything may be NULL on the way.
pub(crate) fn schema_of(fields: &[Field]) -> SchemaRef {
    Arc::new(Schema::new(
        fields
            .iter()
            .map(|f| ArrowField::new(&f.name, f.ty.kind.arrow(), true))
            .collect::<Vec<_>>(),
    ))
}

/// What a table's sink takes: its schema, and columns in which NULL is an error.
#[derive(Clone)]
struct Shape {
    schema: SchemaRef,
    not_null: Vec<(usize, String)>,
}

impl Lowering<'_> {
    fn insert(&mut self, insert: &BoundInsert) {
        let table = &insert.table;
        if let Some(by) = insert.rel.corrected_by()
            && table.takes() == Changes::Appended
        {
            let message = format!(
                "table \"{}\" (connector '{}') takes rows that only come, and this query corrects rows that it gave before: {} at {}:{}; {}, or give the table 'format' = 'debezium-json'",
                table.name,
                table.connector(),
                by.what,
                by.span.line,
                by.span.column,
                by.way_out()
            );
            self.errors.push(SqlError::new(insert.span, message));
            return;
        }
        let shape = sink_shape(table, &insert.rel.fields);
        let key = table.key_when_written();
        let rel = one_of_each(&insert.rel, &key, insert.span);
        let Some(flows) = self.rel(&rel, Some(&shape)) else {
            return;
        };
        if rel.corrected_by().is_some() {
            self.corrected.insert(sinks::name(table));
        }
        self.sink(flows, &identity::rows(&rel, false), table, &key);
    }

    /// Appends an operator: to the chain when its input is one open flow, else as a new vertex.
    fn append(
        &mut self,
        flows: &Flows,
        info: OperatorInfo,
        factory: Arc<dyn OperatorFactory>,
        schema: SchemaRef,
    ) -> Flow {
        let node = Node::Operator(factory);
        if let [flow] = flows.as_slice()
            && flow.open
            && flow.output == OutputTag::Main
        {
            let vertex = &mut self.graph.vertices[flow.vertex];
            vertex.chain.push((info, node));
            return Flow {
                vertex: flow.vertex,
                operator: vertex.chain.len() - 1,
                output: OutputTag::Main,
                schema,
                open: true,
            };
        }
        let vertex = self.vertex(info, node);
        for (input, flow) in flows.iter().enumerate() {
            self.edge(flow, vertex, input, Exchange::Forward);
        }
        Flow { vertex, operator: 0, output: OutputTag::Main, schema, open: true }
    }

    fn vertex(&mut self, info: OperatorInfo, node: Node) -> usize {
        let number = self.graph.vertices.len();
        self.graph.vertices.push(Vertex {
            id: VertexId(number as u32),
            name: String::new(),
            parallelism: Parallelism::Job,
            chain: vec![(info, node)],
        });
        number
    }

    fn edge(&mut self, from: &Flow, to: usize, input: usize, exchange: Exchange) {
        self.graph.edges.push(Edge {
            from: VertexId(from.vertex as u32),
            operator: from.operator,
            output: from.output,
            to: VertexId(to as u32),
            input,
            exchange,
            schema: from.schema.clone(),
        });
    }

    /// A uid from an identity; equal ones are told apart by their order.
    fn uid(&mut self, identity: &str) -> OperatorUid {
        let hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(identity.as_bytes()));
        let count = self.uids.entry(hash.clone()).or_insert(0);
        *count += 1;
        OperatorUid(if *count == 1 { hash } else { format!("{hash}-{count}") })
    }

    fn rel(&mut self, rel: &Arc<Rel>, shape: Option<&Shape>) -> Option<Flows> {
        match &rel.kind {
            RelKind::Scan(table) => self.scan(table, rel).map(|flow| vec![flow]),
            RelKind::Values { rows } => self.values(rel, rows).map(|flow| vec![flow]),
            RelKind::Union(branches) => {
                let flows: Vec<Option<Flows>> =
                    branches.iter().map(|b| self.rel(b, shape)).collect();
                Some(flows.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
            }
            RelKind::Calc { input, filter, exprs } => {
                self.calc(rel, input, filter.as_ref(), exprs, shape)
            }
            RelKind::Arrivals { input, time } => self.arrivals(rel, input, *time),
            RelKind::Window { input, time, id, span } => {
                self.window_columns(rel, input, *time, id, *span)
            }
            RelKind::Aggregate(aggregate) => self.aggregate(rel, aggregate).map(|flow| vec![flow]),
            RelKind::Over(over) => self.over(rel, over).map(|flow| vec![flow]),
            RelKind::Rank(rank) => self.rank(rel, rank).map(|flow| vec![flow]),
            RelKind::Join(join) => self.join(rel, join).map(|flow| vec![flow]),
            RelKind::Unnest(unnest) => self.unnest(rel, unnest),
            RelKind::Pattern(pattern) => self.pattern(rel, pattern).map(|flow| vec![flow]),
        }
    }

    fn calc(
        &mut self,
        rel: &Rel,
        input: &Arc<Rel>,
        filter: Option<&Expr>,
        exprs: &[Expr],
        shape: Option<&Shape>,
    ) -> Option<Flows> {
        self.refuse_chance_of_corrected(input, filter.into_iter().chain(exprs));
        let flows = self.rel(input, None)?;
        // A scan gives only the columns that are needed, which have other numbers there.
        let kept = self.kept(input);
        let number = |i: usize| {
            kept.as_ref().map_or(i, |kept| kept.iter().position(|&k| k == i).unwrap_or(i))
        };
        let filter = filter.map(|f| f.renumber(&number));
        let exprs: Vec<Expr> = exprs.iter().map(|e| e.renumber(&number)).collect();
        let width = flows.first().map_or(0, |f| f.schema.fields().len());
        let unchanged = filter.is_none()
            && exprs.len() == width
            && exprs.iter().enumerate().all(|(i, e)| e.as_column() == Some(i));
        let fits = shape.is_none_or(|shape| {
            shape.not_null.is_empty() && flows.iter().all(|f| f.schema == shape.schema)
        });
        if unchanged && fits {
            return Some(flows);
        }
        let names: Vec<Field> = match &kept {
            Some(kept) => kept.iter().map(|&k| input.fields[k].clone()).collect(),
            None => input.fields.clone(),
        };
        let info = self.calc_info(rel, filter.as_ref(), &exprs, &names);
        let schema = shape.map_or_else(|| schema_of(&rel.fields), |shape| shape.schema.clone());
        let mut calc = Calc::new(filter.as_ref(), &exprs, schema.clone());
        if let Some(shape) = shape {
            calc = calc.with_not_null(shape.not_null.clone());
        }
        Some(vec![self.append(&flows, info, Arc::new(CalcFactory(calc)), schema)])
    }

    /// Rows by the time at which they come; what stands behind is a task of its own.
    fn arrivals(&mut self, rel: &Rel, input: &Arc<Rel>, time: usize) -> Option<Flows> {
        let flows = self.rel(input, None)?;
        let name = &rel.fields[time].name;
        let info = OperatorInfo {
            uid: self.uid(&format!("arrivals {}", identity::full(rel, false))),
            name: format!("by processing time {name}"),
            kind: "arrivals",
            details: BTreeMap::from([("time".to_owned(), name.clone())]),
            nondeterministic: Some("rows are told apart by the time at which they come".to_owned()),
            ..OperatorInfo::default()
        };
        let factory = weir_engine::operators::arrivals::operator(time);
        let flow = self.append(&flows, info, factory, schema_of(&rel.fields));
        Some(vec![Flow { open: false, ..flow }])
    }

    fn calc_info(
        &mut self,
        rel: &Rel,
        filter: Option<&Expr>,
        exprs: &[Expr],
        input: &[Field],
    ) -> OperatorInfo {
        let column = crate::rel::names(input);
        let mut details = BTreeMap::new();
        if let Some(filter) = filter {
            details.insert("filter".to_owned(), render::sql(filter, &column));
        }
        let columns: Vec<String> = exprs
            .iter()
            .zip(&rel.fields)
            .map(|(e, f)| {
                let text = render::sql(e, &column);
                if text == f.name { text } else { format!("{text} AS {}", f.name) }
            })
            .collect();
        details.insert("columns".to_owned(), columns.join(", "));
        let nondeterministic = filter.into_iter().chain(exprs).find_map(|e| e.nondeterministic());
        OperatorInfo {
            uid: self.uid(&format!("calc {}", identity::full(rel, false))),
            name: names::calc(filter, exprs, rel, input),
            kind: "calc",
            details,
            state: None,
            tables: Vec::new(),
            nondeterministic: nondeterministic.map(str::to_owned),
        }
    }

    /// A row that is taken back has to be the one that was given.
    fn refuse_chance_of_corrected<'e>(
        &mut self,
        input: &Rel,
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) {
        let chance = |expr: &Expr| expr.nondeterministic().map(|reason| (expr.span, reason));
        let Some((span, reason)) = exprs.into_iter().find_map(chance) else { return };
        if let Some(by) = input.corrected_by() {
            let reason = reason.split(',').next().unwrap_or(reason);
            let message = format!(
                "this {reason}, and would not give the same once more when a row is taken back as it was given ({} at {}:{}); compute it of rows that only come, before that",
                by.what, by.span.line, by.span.column
            );
            let error = SqlError::new(span, message);
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    /// The columns that a scan gives: indices in the table's columns.
    fn kept(&self, rel: &Rel) -> Option<Vec<usize>> {
        match &rel.kind {
            RelKind::Scan(table) => Some(self.needs.columns(table)),
            _ => None,
        }
    }

    fn place(&self, operator: &OperatorInfo) -> Place {
        Place {
            job: self.options.job.clone(),
            operator: operator.clone(),
            base: self.options.base.clone(),
            first_row: None,
        }
    }

    fn finish(&mut self) {
        for vertex in &mut self.graph.vertices {
            let names: Vec<&str> =
                vertex.chain.iter().map(|(info, _)| info.name.as_str()).collect();
            vertex.name = names.join(" → ");
        }
        self.graph.hash = identity::graph_hash(&self.graph, &self.tables);
    }
}
