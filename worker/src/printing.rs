//! The connectors that are built in, with somebody who takes what is printed to standard output.

use weir_connectors::print::{self, Taker};
use weir_connectors::table::{Place, Problem, SinkParts, SourceParts, Table};
use weir_sql::{BuiltIn, Parts};

/// See the module.
pub(crate) struct Printing(pub(crate) Taker);

impl Parts for Printing {
    fn source(
        &self,
        table: &Table,
        projection: &[usize],
        place: &Place,
    ) -> Result<SourceParts, Vec<Problem>> {
        BuiltIn.source(table, projection, place)
    }

    fn sink(&self, table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
        match table.options.get("connector").and_then(|option| option.value.reveal()) {
            Some("print") => print::sink_for(table, &self.0),
            _ => BuiltIn.sink(table, place),
        }
    }
}
