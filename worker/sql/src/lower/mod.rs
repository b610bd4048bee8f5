//! Logical plans → job graph: chains, exchanges, stable names.

mod identity;
mod late;
mod names;
mod needs;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Field as ArrowField, Schema, SchemaRef};
use weir_connectors::table::{FirstRow, Guarantee, Place, Problem};
use weir_engine::graph::{
    Edge, Exchange, JobGraph, Node, OperatorInfo, Parallelism, SourceNode, Vertex,
};
use weir_engine::operator::{OperatorFactory, OutputTag};
use weir_engine::operators::window::spec;
use weir_engine::source::{EventTimes, RowMark, WatermarkRule as EngineRule};
use weir_protocol::{OperatorUid, VertexId};

use crate::bind::{BoundInsert, BoundProgram};
use crate::calc::{Calc, CalcFactory};
use crate::catalog::{ColumnKind, TableDef, WatermarkRule};
use crate::error::{Span, SqlError, Warning};
use crate::event_times::TableTimes;
use crate::expr::{Expr, Style, cast, render};
use crate::rel::{Aggregate, Field, Rel, RelKind};
use crate::types::{Kind, SqlType};
use crate::{PlanOptions, values};

use needs::Needs;

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
    needs: Needs,
    graph: JobGraph,
    /// Sources and aggregations that were lowered already, by their identity.
    made: HashMap<String, Flow>,
    /// How often each uid was given.
    uids: HashMap<String, usize>,
    /// Late rows by the table they go to.
    late: BTreeMap<String, late::LateRows>,
    bounded: bool,
    errors: Vec<SqlError>,
    warnings: Vec<Warning>,
}

/// Lowers a bound program.
pub(crate) fn lower(
    program: &BoundProgram,
    options: &PlanOptions,
) -> Result<(JobGraph, bool, Vec<Warning>), Vec<SqlError>> {
    let mut lowering = Lowering {
        options,
        tables: program.tables.clone(),
        needs: Needs::of(program),
        graph: JobGraph { max_parallelism: options.max_parallelism, ..JobGraph::default() },
        made: HashMap::new(),
        uids: HashMap::new(),
        late: BTreeMap::new(),
        bounded: true,
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
        Ok((lowering.graph, lowering.bounded, lowering.warnings))
    } else {
        Err(lowering.errors)
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

/// How many copies of a row HOP without GROUP BY may make.
const MAX_HOP_COPIES: i64 = 100;

/// Columns of a window function without GROUP BY: the input's, and the bounds of the window
/// that began `copy` slides before the row's last one.
fn window_exprs(
    input: &Rel,
    time: usize,
    slide: i64,
    size: i64,
    offset: i64,
    copy: i64,
    span: Span,
) -> Result<Vec<Expr>, String> {
    use crate::bind::aggregate::{moved, window_start};
    let mut exprs = crate::rel::identity(input);
    let hidden = |expr: Expr, kind: Kind| {
        cast::cast(expr, SqlType::nullable(kind), Style::Hidden, false, span)
    };
    let kind = match exprs[time].kind() {
        Kind::TimestampLtz(_) => Kind::TimestampLtz(3),
        _ => Kind::Timestamp(3),
    };
    let at = hidden(exprs[time].clone(), Kind::Timestamp(3))?;
    let mut start = window_start(at, slide, offset);
    if copy > 0 {
        start = moved(start, -copy * slide, span);
    }
    exprs.push(start.clone());
    exprs.push(moved(start.clone(), size, span));
    exprs.push(hidden(moved(start, size - 1, span), kind)?);
    Ok(exprs)
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
        let shape = sink_shape(table, &insert.rel.fields);
        let Some(flows) = self.rel(&insert.rel, Some(&shape)) else {
            return;
        };
        self.sink(flows, &identity::rows(&insert.rel, false), table);
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
            RelKind::Window { input, time, id, span } => {
                self.window_columns(rel, input, *time, id.window, *span)
            }
            RelKind::Aggregate(aggregate) => self.aggregate(rel, aggregate).map(|flow| vec![flow]),
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
            nondeterministic: nondeterministic.map(str::to_owned),
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

    fn problems(&mut self, table: &TableDef, problems: Vec<Problem>) {
        for problem in problems {
            let span = problem.at.map_or(table.span, |at| self.options_span(table, Span::from(at)));
            let error = SqlError::new(span, problem.message);
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    /// The whole key of an option, where its first character is known.
    fn options_span(&self, table: &TableDef, at: Span) -> Span {
        table.options.iter().find(|(_, o)| Span::from(o.at) == at).map_or(at, |(key, _)| Span {
            end_column: at.column + key.chars().count() as u32 + 1,
            ..at
        })
    }

    fn scan(&mut self, table: &Arc<TableDef>, rel: &Rel) -> Option<Flow> {
        let identity = identity::full(rel, true);
        if let Some(flow) = self.made.get(&identity) {
            return Some(flow.clone());
        }
        let kept = self.needs.columns(table);
        let stored = table.source_columns();
        // What the connector reads: columns that are passed on or computed from.
        let mut read = std::collections::BTreeSet::new();
        let expand = |index: usize| match &table.columns[index].kind {
            ColumnKind::Computed(expr) => expr.clone(),
            _ => Expr::column(index, table.columns[index].ty, Span::default()),
        };
        let mut outputs: Vec<(Expr, String)> =
            kept.iter().map(|&i| (expand(i), table.columns[i].name.clone())).collect();
        let mut mark = None;
        if let Some(watermark) = &table.watermark {
            let column = kept.iter().position(|&k| k == watermark.column).unwrap_or(0);
            let rule = match &watermark.rule {
                WatermarkRule::Delay(delay) => RowMark::Delay(delay.as_millis() as i64),
                WatermarkRule::Expr(expr) => {
                    outputs.push((expr.substitute(&expand), "watermark".to_owned()));
                    RowMark::Column(outputs.len() - 1)
                }
            };
            mark = Some((column, rule));
        }
        for (expr, _) in &outputs {
            expr.columns(&mut read);
        }
        let projection: Vec<usize> =
            read.iter().filter_map(|i| stored.iter().position(|s| s == i)).collect();
        let number = |i: usize| read.iter().position(|&r| r == i).unwrap_or(i);
        let exprs: Vec<Expr> = outputs.iter().map(|(e, _)| e.renumber(&number)).collect();
        let nondeterministic = exprs.iter().find_map(Expr::nondeterministic).map(str::to_owned);

        let mut info = OperatorInfo {
            uid: self.uid(&format!("source {}", identity::source(table))),
            name: format!("{} {}", table.connector(), table.name),
            kind: "source",
            details: BTreeMap::new(),
            state: None,
            nondeterministic,
        };
        let fields: Vec<ArrowField> =
            outputs.iter().map(|(e, name)| ArrowField::new(name, e.kind().arrow(), true)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let same = exprs.len() == projection.len()
            && exprs.iter().enumerate().all(|(i, e)| e.as_column() == Some(i));
        let mut times = TableTimes {
            calc: (!same).then(|| Calc::new(None, &exprs, schema.clone())),
            rule: mark.map(|(column, mark)| EngineRule { column, mark, idle_after: None }),
        };
        let mut place = self.place(&info);
        if times.rule.is_some() {
            let times = times.clone();
            place.first_row = Some(FirstRow(Arc::new(move |rows| times.first_row(rows))));
        }
        let parts = match self.options.parts.source(&table.as_source(), &projection, &place) {
            Ok(parts) => parts,
            Err(problems) => {
                self.problems(table, problems);
                return None;
            }
        };
        if let Some(rule) = &mut times.rule {
            rule.idle_after = parts.idle_after;
        }
        self.bounded &= parts.source.is_bounded();
        info.details.clone_from(&parts.details);
        let listed: Vec<&str> = outputs.iter().map(|(_, name)| name.as_str()).collect();
        info.details.insert("columns".to_owned(), listed.join(", "));
        if let (Some(watermark), Some((_, rule))) = (&table.watermark, &mark) {
            let name = &table.columns[watermark.column].name;
            let text = match rule {
                RowMark::Delay(0) => name.clone(),
                RowMark::Delay(ms) => format!("{name} - {}", names::duration(*ms)),
                RowMark::Column(c) => {
                    render::sql(&outputs[*c].0, &|i| table.columns[i].name.clone())
                }
            };
            info.details.insert("watermark".to_owned(), text);
        }
        let node = SourceNode {
            source: parts.source,
            event_times: Arc::new(move || Box::new(times.clone()) as Box<dyn EventTimes>),
            describe: parts.details,
        };
        let vertex = self.vertex(info, Node::Source(node));
        let open = self.needs.uses(&identity) <= 1;
        let flow = Flow { vertex, operator: 0, output: OutputTag::Main, schema, open };
        self.made.insert(identity, flow.clone());
        Some(flow)
    }

    fn values(&mut self, rel: &Rel, rows: &[Vec<Expr>]) -> Option<Flow> {
        let schema = schema_of(&rel.fields);
        let identity = identity::full(rel, true);
        let source = match values::ValuesSource::new(rows, schema.clone()) {
            Ok(source) => source,
            Err(error) => {
                let span = rows.iter().flatten().next().map_or(Span::default(), |e| e.span);
                self.errors.push(SqlError::new(span, error.message));
                return None;
            }
        };
        let nondeterministic =
            rows.iter().flatten().find_map(Expr::nondeterministic).map(str::to_owned);
        let info = OperatorInfo {
            uid: self.uid(&format!("values {identity}")),
            name: format!("{} values", rows.len()),
            kind: "source",
            details: BTreeMap::from([("rows".to_owned(), rows.len().to_string())]),
            state: None,
            nondeterministic,
        };
        let times = TableTimes { calc: None, rule: None };
        let node = SourceNode {
            source: Arc::new(source),
            event_times: Arc::new(move || Box::new(times.clone()) as Box<dyn EventTimes>),
            describe: BTreeMap::new(),
        };
        let vertex = self.vertex(info, Node::Source(node));
        Some(Flow { vertex, operator: 0, output: OutputTag::Main, schema, open: true })
    }

    /// `SELECT … FROM TABLE(TUMBLE(…))` without GROUP BY: the window's bounds as columns.
    fn window_columns(
        &mut self,
        rel: &Rel,
        input: &Arc<Rel>,
        time: usize,
        window: spec::Window,
        span: Span,
    ) -> Option<Flows> {
        let (slide, size, offset) = match window {
            spec::Window::Tumble { size, offset } => (size, size, offset),
            spec::Window::Hop { size, slide, offset } => (slide, size, offset),
        };
        // Each row once per window that it is in.
        let copies = size / slide;
        if copies > MAX_HOP_COPIES {
            self.errors.push(SqlError::new(span, format!("HOP without GROUP BY would give every row {copies} times; group by window_start, window_end")));
            return None;
        }
        let mut flows = Flows::new();
        for copy in 0..copies {
            let exprs = match window_exprs(input, time, slide, size, offset, copy, span) {
                Ok(exprs) => exprs,
                Err(message) => {
                    self.errors.push(SqlError::new(span, message));
                    return None;
                }
            };
            let calc = crate::rel::calc(input, None, exprs, rel.fields.clone());
            flows.extend(self.rel(&calc, None)?);
        }
        Some(flows)
    }

    fn aggregate(&mut self, rel: &Rel, aggregate: &Aggregate) -> Option<Flow> {
        let identity = identity::full(rel, true);
        if let Some(flow) = self.made.get(&identity) {
            return Some(flow.clone());
        }
        let late = self.late_columns(&aggregate.input);
        let input = match &late {
            Some(late) => late.input.clone(),
            None => aggregate.input.clone(),
        };
        let flows = self.rel(&input, None)?;
        let schema = flows.first()?.schema.clone();
        let window = spec::WindowAggregate {
            input: schema.clone(),
            time: aggregate.time,
            window: aggregate.window,
            keys: aggregate.keys.clone(),
            aggregates: aggregate
                .calls
                .iter()
                .map(|call| spec::AggregateCall {
                    function: call.function,
                    input: call.input,
                    filter: call.filter,
                    distinct: call.distinct,
                    output: call.kind.arrow(),
                    name: call.name.clone(),
                })
                .collect(),
        };
        let parts = match self.options.parts.window(&window) {
            Ok(parts) => parts,
            Err(error) => {
                self.errors.push(SqlError::new(aggregate.span, error.message));
                return None;
            }
        };
        let name = names::aggregate(aggregate, &input.fields);
        let uid = self.uid(&format!("window {}", identity::rows(rel, false)));
        let mut details = BTreeMap::from([
            ("window".to_owned(), names::window(aggregate.window)),
            ("time".to_owned(), input.fields[aggregate.time].name.clone()),
        ]);
        let keys: Vec<&str> =
            aggregate.keys.iter().map(|&k| input.fields[k].name.as_str()).collect();
        if !keys.is_empty() {
            details.insert("keys".to_owned(), keys.join(", "));
        }
        let calls: Vec<&str> = aggregate.calls.iter().map(|c| c.name.as_str()).collect();
        if !calls.is_empty() {
            details.insert("aggregates".to_owned(), calls.join(", "));
        }
        let local = OperatorInfo {
            uid: OperatorUid(format!("{uid}-local")),
            name: format!("{name} (local)"),
            kind: "local window aggregate",
            details: details.clone(),
            state: None,
            nondeterministic: None,
        };
        let local = self.append(&flows, local, parts.local, parts.between.clone());
        if let Some(late) = late {
            self.add_late(
                &late,
                Flow { output: OutputTag::Late, schema, open: false, ..local.clone() },
            );
        }
        let global = OperatorInfo {
            uid,
            name,
            kind: "window aggregate",
            details,
            state: Some(parts.state),
            nondeterministic: None,
        };
        let vertex = self.vertex(global, Node::Operator(parts.global));
        let exchange = Exchange::Hash { columns: parts.exchange, reuse: true };
        self.edge(&local, vertex, 0, exchange);
        let open = self.needs.uses(&identity) <= 1;
        let flow = Flow {
            vertex,
            operator: 0,
            output: OutputTag::Main,
            schema: schema_of(&rel.fields),
            open,
        };
        self.made.insert(identity, flow.clone());
        Some(flow)
    }

    fn sink(&mut self, flows: Flows, identity: &str, table: &Arc<TableDef>) {
        let sink = table.as_sink();
        let mut info = OperatorInfo {
            uid: self.uid(&format!("sink {} of {identity}", identity::sink(table))),
            name: format!("{} {}", table.connector(), table.name),
            kind: "sink",
            details: BTreeMap::new(),
            state: None,
            nondeterministic: None,
        };
        let parts = match self.options.parts.sink(&sink, &self.place(&info)) {
            Ok(parts) => parts,
            Err(problems) => return self.problems(table, problems),
        };
        info.details = parts.details;
        let guarantee = match parts.guarantee {
            Guarantee::ExactlyOnce => "exactly once",
            Guarantee::AtLeastOnce => "at least once",
            Guarantee::None => "none",
        };
        info.details.insert("guarantee".to_owned(), guarantee.to_owned());
        if let Some(committer) = parts.committer {
            self.graph.committers.insert(info.uid.clone(), committer);
        }
        self.append(&flows, info, parts.factory, sink.schema);
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

/// What a table's sink takes, given the columns that come.
fn sink_shape(table: &TableDef, fields: &[Field]) -> Shape {
    let not_null = table
        .sink_columns()
        .into_iter()
        .enumerate()
        .filter(|&(position, column)| {
            !table.columns[column].ty.nullable && fields.get(position).is_some_and(|f| f.ty.nullable)
        })
        .map(|(position, column)| {
            let message = format!(
                "column \"{}\" of table \"{}\" is NOT NULL, but got NULL; filter such rows, or use COALESCE",
                table.columns[column].name, table.name
            );
            (position, message)
        })
        .collect();
    Shape { schema: table.as_sink().schema, not_null }
}
