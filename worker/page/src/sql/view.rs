//! What the page and its server say to each other, as JSON. Offsets count UTF-16 code units.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// A text.
#[derive(Clone, Debug, Deserialize)]
pub struct Text {
    /// All of the editor's.
    pub text: String,
}

/// What could stand at a place?
#[derive(Clone, Debug, Deserialize)]
pub struct CompleteAsked {
    /// All of the editor's text.
    pub text: String,
    /// Where the cursor is.
    pub offset: usize,
}

/// A text is to be run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunAsked {
    /// All of the editor's text.
    pub text: String,
    /// Only the statements that this stretch touches, with the declarations in front of them;
    /// everything otherwise.
    #[serde(default)]
    pub only: Option<(usize, usize)>,
}

/// A run is to end.
#[derive(Clone, Debug, Deserialize)]
pub struct StopAsked {
    /// Its name.
    pub run: String,
}

/// A text is to become a manifest.
#[derive(Clone, Debug, Deserialize)]
pub struct ManifestAsked {
    /// All of the editor's text.
    pub text: String,
    /// The job's name.
    pub name: String,
    /// The job's parallelism.
    pub parallelism: u32,
}

/// Why a run does not begin.
#[derive(Clone, PartialEq, Debug)]
pub enum Refused {
    /// What is wrong with the text.
    Wrong(Vec<Diagnostic>),
    /// Too many go on already; says what to do.
    Busy(String),
}

/// What an editor sets off.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Words {
    /// Words of the language.
    pub keywords: Vec<&'static str>,
    /// Functions.
    pub functions: Vec<&'static str>,
}

/// Something about a stretch of a text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnostic {
    /// Its first character.
    pub from: usize,
    /// Behind its last.
    pub to: usize,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// Cause and fix.
    pub message: String,
}

/// What a text would come to.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Checked {
    /// Everything that is wrong, and what should be known.
    pub diagnostics: Vec<Diagnostic>,
    /// Its statements.
    pub statements: Vec<StatementView>,
    /// What its tables and views are, by name.
    pub tables: Vec<TableView>,
}

/// A statement, as it is understood.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StatementView {
    /// Its first character.
    pub from: usize,
    /// Behind its last.
    pub to: usize,
    /// `query`, `insert`, `told` or `declares`.
    pub kind: &'static str,
    /// The columns that it asks for, with their types.
    pub schema: Vec<ColumnView>,
    /// The plan, where it would be a job.
    pub plan: String,
    /// Whether it ends by itself.
    pub bounded: bool,
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ColumnView {
    /// Its name.
    pub name: String,
    /// Its type, as SQL writes it.
    #[serde(rename = "type")]
    pub ty: String,
}

/// A table or view.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TableView {
    /// Its name.
    pub name: String,
    /// Names of its columns.
    pub columns: Vec<String>,
}

/// What could stand somewhere.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Completed {
    /// The first character of what is replaced.
    pub from: usize,
    /// Behind the last.
    pub to: usize,
    /// What could stand there, the likeliest first.
    pub candidates: Vec<CandidateView>,
}

/// One of what could stand somewhere.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CandidateView {
    /// As it is written.
    pub text: String,
    /// What it is: `table`, `column`, `function`, `keyword`, `option`, `value` …
    pub what: &'static str,
}

/// What has happened in a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Update {
    /// How far it is.
    State(RunState),
    /// Rows of one of its statements.
    Rows(RowsUpdate),
}

/// How far a run is.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct RunState {
    /// In order.
    pub statements: Vec<StatementState>,
    /// Nothing more comes.
    pub ended: bool,
    /// How many rows of a statement are kept.
    pub most: usize,
    /// And of how many bytes, with their changes.
    #[serde(rename = "mostBytes")]
    pub most_bytes: usize,
}

/// How far a statement is.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementState {
    /// Its beginning, for people.
    pub title: String,
    /// `query`, `insert`, `told` or `declares`.
    pub kind: &'static str,
    /// `waiting`, `running`, `done`, `stopped`, `failed` or `skipped`.
    pub state: &'static str,
    /// What was said of it, such as why it failed.
    pub message: String,
    /// A text that it asked for, such as a plan.
    pub text: String,
    /// Columns of its rows.
    pub columns: Vec<ColumnView>,
    /// Rows that were given are taken back and replaced.
    pub corrected: bool,
    /// How long it has run, or ran.
    pub took_ms: u64,
    /// Rows that its sources have read.
    pub rows_in: u64,
    /// The same in a second, of late.
    pub rate: f64,
    /// Changes that it gave.
    pub changes: u64,
    /// Rows that are there after them.
    pub rows: u64,
    /// Of those that are there, so many are kept.
    pub kept: usize,
    /// Of more rows than are kept the newest are, not the first.
    pub newest: bool,
}

/// Rows of a statement, in the order in which they came.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct RowsUpdate {
    /// Which of the run's statements.
    pub statement: usize,
    /// All rows that are kept, where what was sent before does not count any more.
    pub reset: Option<Vec<KeyedRow>>,
    /// Between what was sent before and these changes there were more, of rows that are not kept.
    pub missed: bool,
    /// What has happened since; on a reset what is kept of the last.
    pub changes: Vec<Change>,
}

/// A row under the key that it has in a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct KeyedRow {
    /// A row that takes another's place has its key.
    pub key: u64,
    /// Texts of its values; nothing for NULL.
    pub row: Cells,
}

/// Texts of values; nothing for NULL. Many hold the same ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cells(pub Arc<[Option<String>]>);

impl Serialize for Cells {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

/// What happens to a row.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// `+I`, `-U`, `+U`, `-D`; or `x`: the row stays, and is not kept any more.
    pub op: &'static str,
    /// Of the row in the table; nothing where it is not kept.
    pub key: Option<u64>,
    /// The row.
    pub row: Cells,
}
