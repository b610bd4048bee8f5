//! A script as a job of the simulator: its tables are files as ever, what it prints goes to the
//! simulated system outside, so that it is known what was printed once and for all.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use weir_connectors::print;
use weir_connectors::table::{Guarantee, Place, Problem, SinkParts, SourceParts, Table};
use weir_engine::graph::{JobGraph, Node};
use weir_engine::operator::Output;
use weir_engine::{Context, EngineError};
use weir_sim::arrival::Arrivals;
use weir_sim::external::{ExternalSystem, Show, sink_factory};
use weir_sim::job::Job;
use weir_sql::{BuiltIn, Parts, PlanOptions};

use crate::folder;
use crate::paced::Paced;

/// A script that Weir takes.
pub(crate) struct Simulated {
    graph: JobGraph,
    seed: u64,
}

impl Simulated {
    /// Plans a script. Files are written below `home`, prints go to `external`.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn new(
        script: &str,
        home: &Path,
        external: &Arc<ExternalSystem>,
        seed: u64,
    ) -> Result<Self, String> {
        let parts = Outside { home: home.to_owned(), external: Arc::clone(external) };
        let mut options = PlanOptions::new("default/script", 24, folder());
        options.parts = Arc::new(parts);
        let planned = weir_sql::plan(script, &options).map_err(|errors| {
            errors.iter().map(|error| error.render(script)).collect::<Vec<_>>().join("\n")
        })?;
        Ok(Self { graph: planned.graph, seed })
    }
}

impl Job for Simulated {
    fn graph(
        &self,
        _: &Arc<ExternalSystem>,
        _: &Arc<Arrivals>,
    ) -> Result<Arc<JobGraph>, EngineError> {
        let mut graph = self.graph.clone();
        let heads = graph.vertices.iter_mut().filter_map(|vertex| vertex.chain.first_mut());
        for (n, (_, node)) in heads.enumerate() {
            if let Node::Source(source) = node {
                let inner = Arc::clone(&source.source);
                source.source = Arc::new(Paced { inner, seed: self.seed ^ ((n as u64) << 16) });
            }
        }
        Ok(Arc::new(graph))
    }
}

/// The built-in connectors, but for where output goes.
struct Outside {
    home: PathBuf,
    external: Arc<ExternalSystem>,
}

impl Parts for Outside {
    fn source(
        &self,
        table: &Table,
        projection: &[usize],
        place: &Place,
    ) -> Result<SourceParts, Vec<Problem>> {
        BuiltIn.source(table, projection, place)
    }

    fn sink(&self, table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
        let place = Place { base: self.home.clone(), ..place.clone() };
        let parts = BuiltIn.sink(table, &place)?;
        if parts.details.get("connector").is_none_or(|connector| connector != "print") {
            return Ok(parts);
        }
        let table = table.clone();
        let show = move |cx: &Context| printing(&table, cx);
        let factory = sink_factory(&self.external, show);
        let committer = Some(Arc::clone(&self.external) as _);
        Ok(SinkParts { factory, committer, guarantee: Guarantee::ExactlyOnce, ..parts })
    }
}

/// The print connector's own writer, as if it were the only one.
fn printing(table: &Table, cx: &Context) -> Result<Show, EngineError> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let parts = print::sink_to(table, lines.clone(), lines.clone())
        .map_err(|problems| EngineError::internal(format!("{problems:?}")))?;
    let alone = Context {
        uid: cx.uid.clone(),
        name: Arc::clone(&cx.name),
        parallelism: 1,
        key_groups: cx.key_groups,
        clock: cx.clock.clone(),
        io: cx.io.clone(),
        waker: cx.waker.clone(),
        metrics: Arc::clone(&cx.metrics),
        subtask: cx.subtask,
        max_parallelism: cx.max_parallelism,
        term: cx.term,
    };
    let mut writer = parts.factory.create(&alone)?;
    Ok(Box::new(move |cx, batch| {
        let _ = writer.on_batch(cx, 0, batch, &mut Output::default())?;
        let mut lines = lines.lock().map_err(EngineError::internal)?;
        let text = String::from_utf8(std::mem::take(&mut *lines)).map_err(EngineError::internal)?;
        Ok(vec![text])
    }))
}
