//! What a job that ran has stored: exported, selected and compared, against a naive model.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Running, until};

const PROGRAM: &str = "
CREATE TABLE events (id BIGINT, customer STRING, amount INT, gone BOOLEAN, p AS PROCTIME())
  WITH ('connector' = 'filesystem', 'path' = 'events', 'format' = 'csv',
    'source.monitor-interval' = '100 ms');
CREATE TABLE customers (name STRING, city STRING)
  WITH ('connector' = 'filesystem', 'path' = 'customers', 'format' = 'csv',
    'source.monitor-interval' = '100 ms');
CREATE TABLE seen (id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'seen', 'format' = 'csv',
  'sink.rolling-policy.rollover-interval' = '200 ms', 'sink.rolling-policy.check-interval' = '100 ms');
CREATE TABLE known (name STRING) WITH ('connector' = 'filesystem', 'path' = 'known', 'format' = 'csv',
  'sink.rolling-policy.rollover-interval' = '200 ms', 'sink.rolling-policy.check-interval' = '100 ms');
CREATE TABLE totals (customer STRING, n BIGINT, total INT, largest INT) WITH ('connector' = 'blackhole');
CREATE TABLE placed (id BIGINT, amount INT, city STRING) WITH ('connector' = 'blackhole');
CREATE TABLE largest (customer STRING, id BIGINT, amount INT) WITH ('connector' = 'blackhole');
CREATE VIEW orders AS SELECT id, customer, amount FROM
  (SELECT id, customer, amount, gone FROM
    (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY p DESC) AS rn FROM events) WHERE rn = 1)
  WHERE NOT gone;
EXECUTE STATEMENT SET BEGIN
INSERT INTO seen SELECT id FROM events;
INSERT INTO known SELECT name FROM customers;
INSERT INTO totals SELECT customer, COUNT(*), SUM(amount), MAX(amount) FROM orders GROUP BY customer;
INSERT INTO placed SELECT o.id, o.amount, c.city FROM orders o JOIN customers c ON o.customer = c.name;
INSERT INTO largest SELECT customer, id, amount FROM
  (SELECT *, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY amount DESC, id) AS rn FROM orders)
  WHERE rn <= 2;
END;
";

/// Id, customer, amount, whether the order is gone.
type Event = (u64, String, i64, bool);

/// What orders there are after these events: the last of an id counts.
fn orders(events: &[Event]) -> BTreeMap<u64, (String, i64)> {
    let mut orders = BTreeMap::new();
    for (id, customer, amount, gone) in events {
        if *gone {
            orders.remove(id);
        } else {
            orders.insert(*id, (customer.clone(), *amount));
        }
    }
    orders
}

fn first() -> Vec<Event> {
    (0..2_000).map(|id| (id, format!("c{}", id % 37), (id * 7 % 101) as i64, false)).collect()
}

/// Orders that are new, changed, moved to another customer, and gone; of some customers all.
fn second() -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for id in 0..2_100 {
        let (customer, amount) = (id % 37, (id * 7 % 101) as i64);
        if id >= 2_000 {
            events.push((id, format!("c{}", id % 53), amount, false));
        } else if customer == 5 || id % 7 == 3 {
            events.push((id, format!("c{customer}"), amount, true));
        } else if id % 5 == 0 {
            events.push((id, format!("c{}", id % 40), amount + 1, false));
        }
    }
    // Gone and back again.
    events.push((10, "c10".to_owned(), 3, true));
    events.push((10, "c10".to_owned(), 4, false));
    events
}

/// A job in a folder of its own.
struct Job(TempDir);

const PLACE: &str = "st/default/orders";

impl Job {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let indented = PROGRAM.lines().fold(String::new(), |mut text, line| {
            writeln!(text, "    {line}").expect("written");
            text
        });
        let manifest = format!(
            "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {{name: orders}}
spec:
  parallelism: 2
  state: {{checkpoint: {{interval: 500ms, retained: 100}}}}
  sql: |
{indented}"
        );
        for name in ["events", "customers"] {
            fs::create_dir(folder.path().join(name)).expect("made");
        }
        fs::write(folder.path().join("job.yaml"), manifest).expect("written");
        Self(folder)
    }

    fn weir(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn start(&self) -> Running {
        let mut command = self.weir(&[
            "run",
            "--no-color",
            "--no-page",
            "--retries",
            "1",
            "--state",
            "st",
            "job.yaml",
        ]);
        Running(command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("weir starts"))
    }

    /// What a command writes; it must not fail.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.weir(arguments).output().expect("weir starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a command that is refused says.
    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.weir(arguments).output().expect("weir starts");
        assert!(!output.status.success(), "{arguments:?} worked");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn give(&self, file: &str, rows: impl Iterator<Item = String>) {
        let lines: Vec<String> = rows.collect();
        fs::write(self.0.path().join(".new"), lines.join("\n") + "\n").expect("written");
        fs::rename(self.0.path().join(".new"), self.0.path().join(file)).expect("moved");
    }

    fn give_events(&self, file: &str, events: &[Event]) {
        let row = |(id, customer, amount, gone): &Event| format!("{id},{customer},{amount},{gone}");
        self.give(&format!("events/{file}"), events.iter().map(row));
    }

    /// How many rows of a folder are visible: a checkpoint holds all that came of them.
    fn visible(&self, folder: &str) -> usize {
        let files = fs::read_dir(self.0.path().join(folder)).into_iter().flatten().flatten();
        let visible = files.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            path.is_file() && name.is_some_and(|name| !name.starts_with(['.', '_']))
        });
        visible.map(|path| fs::read_to_string(path).expect("text").lines().count()).sum()
    }

    fn manifest(&self) -> Value {
        serde_json::from_str(&self.says(&["state", "show", PLACE, "-o", "json"])).expect("JSON")
    }

    /// Of the operator that keeps tables whose names begin so, one of which has this column.
    fn operator(&self, tables: &[&str], column: &str) -> String {
        let manifest = self.manifest();
        let operators = manifest["operators"].as_object().expect("operators");
        let fits = |entry: &Value| {
            let own = entry["tables"].as_array().into_iter().flatten();
            let names: Vec<&str> = own.clone().filter_map(|table| table["name"].as_str()).collect();
            let begin = |(name, begins): (&&str, &&str)| name.starts_with(begins);
            names.len() == tables.len()
                && names.iter().zip(tables).all(begin)
                && entry["tables"].to_string().contains(&format!("\"{column}\""))
        };
        let found = operators.iter().find(|(_, entry)| fits(entry));
        let uid = found.expect("an operator that keeps these tables").0;
        uid.clone()
    }

    /// The whole name of an operator's table that begins so.
    fn table(&self, operator: &str, begins: &str) -> String {
        let manifest = self.manifest();
        let tables = manifest["operators"][operator]["tables"].as_array().expect("tables");
        let mut names = tables.iter().filter_map(|table| table["name"].as_str());
        names.find(|name| name.starts_with(begins)).expect("it").to_owned()
    }

    /// Rows of a table as its columns by name, sorted.
    fn export(&self, place: &str, version: Option<u64>, operator: &str, table: &str) -> Table {
        let version = version.map(|version| version.to_string());
        let mut arguments = vec!["state", "export", place];
        arguments.extend(version.as_deref());
        arguments.extend(["--operator", operator, "--table", table, "-o"]);
        self.says(&[arguments.as_slice(), &["rows.csv"]].concat());
        let text = fs::read_to_string(self.0.path().join("rows.csv")).expect("text");
        self.says(&[arguments.as_slice(), &["rows.parquet"]].concat());
        let file = File::open(self.0.path().join("rows.parquet")).expect("a file");
        let text = in_one_way(&text);
        assert!(in_one_way(&from_parquet(file)) == text, "Parquet and CSV");
        let at = version.map(|version| format!(", VERSION => {version}")).unwrap_or_default();
        let query = format!("SELECT * FROM STATE('{place}', '{operator}', '{table}'{at})");
        let table = Table::of(&text);
        let selected = self.says(&["sql", "--format", "csv", "-e", &query]);
        assert!(Table::of(&in_one_way(&selected)) == table, "{query}");
        table
    }
}

/// Rows of texts under names.
#[derive(PartialEq, Eq, Debug)]
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn of(csv: &str) -> Self {
        let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned).collect());
        let names = lines.next().expect("a header");
        let mut rows: Vec<Vec<String>> = lines.collect();
        rows.sort();
        Self { names, rows }
    }

    /// These columns, sorted. What begins and ends a name may be given, with a `*` between.
    fn columns(&self, names: &[&str]) -> Vec<String> {
        let at = |name: &&str| {
            let (begins, ends) = name.split_once('*').unwrap_or((name, ""));
            let is_it = |known: &String| match ends.is_empty() {
                true => known == name,
                false => known.starts_with(begins) && known.ends_with(ends),
            };
            let found = self.names.iter().position(is_it);
            found.expect("a column of this name")
        };
        let at: Vec<usize> = names.iter().map(at).collect();
        let row = |row: &Vec<String>| {
            at.iter().map(|&column| row[column].as_str()).collect::<Vec<_>>().join(",")
        };
        let mut rows: Vec<String> = self.rows.iter().map(row).collect();
        rows.sort();
        rows
    }
}

/// Names of zones are not known where values are shown; an offset is.
fn without_zone(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let there = DataType::Timestamp(*unit, Some("+00:00".into()));
            cast(column, &there).expect("the same points in time")
        }
        _ => column.clone(),
    }
}

/// Rows whose times are written in one way, as on the clock of UTC and without zeros at the end:
/// each form has its own.
fn in_one_way(text: &str) -> String {
    let cell = |cell: &str| {
        if cell.len() < 19 || cell.as_bytes()[4] != b'-' || cell.as_bytes()[13] != b':' {
            return cell.to_owned();
        }
        let time = cell.trim_end_matches('Z').replace('T', " ");
        match time.contains('.') {
            true => time.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => time,
        }
    };
    let line = |line: &str| line.split(',').map(cell).collect::<Vec<_>>().join(",") + "\n";
    text.lines().map(line).collect()
}

/// A Parquet file's rows as the same rows of CSV.
fn from_parquet(file: File) -> String {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let names: Vec<String> =
        builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut text = names.join(",") + "\n";
    let options = FormatOptions::default();
    for batch in builder.build().expect("readable") {
        let batch = batch.expect("readable");
        let columns: Vec<ArrayRef> = batch.columns().iter().map(without_zone).collect();
        let shown = |column| ArrayFormatter::try_new(column, &options).expect("shown");
        let columns: Vec<ArrayFormatter<'_>> = columns.iter().map(|c| shown(c.as_ref())).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|c| c.value(row).to_string()).collect();
            text += &(values.join(",") + "\n");
        }
    }
    text
}

fn sorted(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

/// What each operator must keep of these events.
fn check(job: &Job, place: &str, version: Option<u64>, events: &[Event], cities: &[[String; 2]]) {
    let orders = orders(events);
    let dedup = job.operator(&["rows"], "gone");
    let last: BTreeMap<u64, &Event> = events.iter().map(|event| (event.0, event)).collect();
    let kept = job.export(place, version, &dedup, "rows");
    assert_eq!(
        kept.columns(&["id", "customer", "amount", "gone"]),
        sorted(last.values().map(|(id, c, amount, gone)| format!("{id},{c},{amount},{gone}"))),
        "the last event of each id"
    );

    let mut groups: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut values: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    for (customer, amount) in orders.values() {
        let group = groups.entry(customer).or_default();
        *group = (group.0 + 1, group.1 + amount);
        *values.entry((customer, *amount)).or_default() += 1;
    }
    let grouping = job.operator(&["groups", "values of MAX(amount)"], "customer");
    let kept = job.export(place, version, &grouping, "groups");
    assert_eq!(
        kept.columns(&["customer", "$rows", "SUM(amount)*$sum"]),
        sorted(groups.iter().map(|(customer, (n, total))| format!("{customer},{n},{total}"))),
        "a row per group"
    );
    let values_of = job.table(&grouping, "values of MAX(amount)");
    let kept = job.export(place, version, &grouping, &values_of);
    assert_eq!(
        kept.columns(&["customer", "value", "count"]),
        sorted(values.iter().map(|((customer, value), n)| format!("{customer},{value},{n}"))),
        "what MAX is picked from"
    );

    let join = job.operator(&["left", "right"], "city");
    let kept = job.export(place, version, &join, "left");
    assert_eq!(
        kept.columns(&["customer", "id", "amount"]),
        sorted(orders.iter().map(|(id, (customer, amount))| format!("{customer},{id},{amount}"))),
        "the orders' side"
    );
    let kept = job.export(place, version, &join, "right");
    let expected = cities.iter().map(|[name, city]| format!("{name},{city}"));
    assert_eq!(kept.columns(&["name", "city"]), sorted(expected), "the customers' side");

    // Rows that go may come back, so that all are kept.
    let ranked = job.operator(&["rows"], "$arrival");
    let kept = job.export(place, version, &ranked, "rows");
    assert_eq!(
        kept.columns(&["customer", "amount", "id"]),
        sorted(orders.iter().map(|(id, (customer, amount))| format!("{customer},{amount},{id}"))),
        "rows that are ranked"
    );
}

#[test]
fn what_is_exported_and_selected_is_what_the_operators_keep() {
    let job = Job::new();
    let cities: Vec<[String; 2]> =
        (0..60).map(|n| [format!("c{n}"), format!("city {}", n % 4)]).collect();
    job.give("customers/a.csv", cities.iter().map(|row| row.join(",")));
    let mut events = first();
    job.give_events("a.csv", &events);
    let run = job.start();
    until("the first events and the customers", || {
        job.visible("seen") == events.len() && job.visible("known") == cities.len()
    });
    let before = job.manifest()["version"].as_u64().expect("a version");
    check(&job, PLACE, Some(before), &events, &cities);

    let more = second();
    job.give_events("b.csv", &more);
    let earlier = events.clone();
    events.extend(more);
    until("the second events", || job.visible("seen") == events.len());
    let after = job.manifest()["version"].as_u64().expect("a version");
    check(&job, PLACE, Some(after), &events, &cities);
    // The earlier version is what it was.
    check(&job, PLACE, Some(before), &earlier, &cities);
    differs(&job, before, after, &earlier, &events);
    selects(&job, &events, &cities);
    refuses(&job, after);

    run.signal(Signal::INT);
    let (code, said) = run.end();
    assert_eq!(code, 0, "{said}");
    check(&job, PLACE, None, &events, &cities);
    job.says(&["state", "verify", PLACE]);
    // What it was stopped behind stands by itself.
    let saved = fs::read_dir(job.0.path().join(PLACE).join("savepoints")).expect("savepoints");
    let name = saved.flatten().next().expect("a savepoint").file_name();
    let saved = format!("{PLACE}/savepoints/{}", name.to_string_lossy());
    check(&job, &saved, None, &events, &cities);
    job.says(&["state", "verify", &saved]);
}

#[test]
fn operators_without_tables_are_refused_with_the_reason() {
    let folder = TempDir::new().expect("a folder");
    let manifest = "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {name: hours}
spec:
  parallelism: 1
  sql: |
    CREATE TABLE clicks (k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
      WITH ('connector' = 'filesystem', 'path' = 'clicks.csv', 'format' = 'csv');
    CREATE TABLE hours (k STRING, n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO hours SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' HOUR))
      GROUP BY k, window_start, window_end;
";
    fs::write(folder.path().join("job.yaml"), manifest).expect("written");
    fs::write(folder.path().join("clicks.csv"), "a,2024-01-01 00:00:01\n").expect("written");
    let job = Job(folder);
    job.says(&["run", "--no-color", "--no-page", "--retries", "1", "--state", "st", "job.yaml"]);
    let place = "st/default/hours";
    let shown = job.says(&["state", "show", place, "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let operators = shown["operators"].as_object().expect("operators");
    for (kind, reason) in [
        ("window aggregate", "it keeps partial results of open windows in an encoding of its own"),
        ("source", "it is a source"),
    ] {
        let uid = operators.iter().find(|(_, entry)| entry["kind"] == kind).expect("it").0;
        let said = job.refuses(&["state", "export", place, "--operator", uid, "-o", "x.csv"]);
        assert!(said.contains("has no table to read: ") && said.contains(reason), "{said}");
        let query = format!("SELECT * FROM STATE('{place}', '{uid}')");
        let said = job.refuses(&["sql", "-e", &query]);
        assert!(said.contains("sql:1:41: ") && said.contains(reason), "{said}");
    }
}

/// What differs is counted as the model counts it.
fn differs(job: &Job, before: u64, after: u64, were: &[Event], are: &[Event]) {
    let versions = [before.to_string(), after.to_string()];
    let arguments = ["state", "diff", PLACE, &versions[0], &versions[1]];
    let json = job.says(&[&arguments[..], &["--rows", "-o", "json"]].concat());
    let found: Value = serde_json::from_str(&json).expect("JSON");
    let rows = |uid: &str, name: &str| {
        let operators = found["operators"].as_array().expect("operators");
        let operator = operators.iter().find(|o| o["uid"] == uid).expect("an operator");
        let tables = operator["tables"].as_array().expect("tables");
        let rows = &tables.iter().find(|table| table["name"] == name).expect("a table")["rows"];
        ["added", "removed", "changed", "same"].map(|key| rows[key].as_u64().expect("counted"))
    };
    let (were, are) = (orders(were), orders(are));
    let of = |orders: &BTreeMap<u64, (String, i64)>| -> BTreeMap<(String, u64), i64> {
        let row =
            |(id, (customer, amount)): (&u64, &(String, i64))| ((customer.clone(), *id), *amount);
        orders.iter().map(row).collect()
    };
    let (were, are) = (of(&were), of(&are));
    let count = |is: &dyn Fn(&(String, u64)) -> bool, rows: &BTreeMap<(String, u64), i64>| {
        rows.keys().filter(|row| is(row)).count() as u64
    };
    let expected = [
        count(&|row| !were.contains_key(row), &are),
        count(&|row| !are.contains_key(row), &were),
        count(&|row| were.get(row).is_some_and(|amount| *amount != are[row]), &are),
        count(&|row| were.get(row) == Some(&are[row]), &are),
    ];
    let join = job.operator(&["left", "right"], "city");
    assert_eq!(rows(&join, "left"), expected);
    assert_eq!(rows(&join, "right"), [0, 0, 0, 60]);

    let text = job.says(&arguments);
    assert!(text.contains(&format!("version {before} → {after}")), "{text}");
    assert!(text.contains("  ~ table left: "), "{text}");
    assert!(!text.contains(" as they were"), "rows are counted only if asked: {text}");
    let moved =
        text.lines().any(|line| line.contains(" split ") || line.contains("filesystem events"));
    assert!(moved, "{text}");
}

/// State is a table like any other.
fn selects(job: &Job, events: &[Event], cities: &[[String; 2]]) {
    let orders = orders(events);
    let join = job.operator(&["left", "right"], "city");
    let query = format!(
        "SELECT r.city, COUNT(*), SUM(l.amount) FROM STATE('{PLACE}', '{join}', 'left') l
         JOIN TABLE(STATE('{PLACE}', '{join}', 'right')) r ON l.customer = r.name
         WHERE l.amount > 20 GROUP BY r.city"
    );
    let city_of: BTreeMap<&str, &str> =
        cities.iter().map(|[n, c]| (n.as_str(), c.as_str())).collect();
    let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for (customer, amount) in orders.values().filter(|(_, amount)| *amount > 20) {
        let sum = sums.entry(city_of[customer.as_str()]).or_default();
        *sum = (sum.0 + 1, sum.1 + amount);
    }
    let expected = sorted(sums.iter().map(|(city, (n, sum))| format!("{city},{n},{sum}")));
    let text = job.says(&["sql", "--format", "csv", "-e", &query]);
    assert_eq!(sorted(text.lines().skip(1).map(str::to_owned)), expected);
    // By its name, from a view, with more than one subtask; a path is relative to the script.
    let script = format!(
        "SET 'parallelism.default' = '3';
         CREATE VIEW kept AS SELECT * FROM STATE('../{PLACE}', '{join}', 'left');
         SELECT COUNT(*) FROM kept; SELECT COUNT(*) FROM kept WHERE customer = 'c5';"
    );
    fs::create_dir_all(job.0.path().join("scripts")).expect("made");
    fs::write(job.0.path().join("scripts/s.sql"), script).expect("written");
    let text = job.says(&["sql", "--format", "plain", "-f", "scripts/s.sql"]);
    let of_c5 = orders.values().filter(|(customer, _)| customer == "c5").count();
    assert_eq!(text, format!("{}\n{of_c5}\n", orders.len()));
}

fn refuses(job: &Job, version: u64) {
    let join = job.operator(&["left", "right"], "city");
    let export = |place: &str, operator: &str, more: &[&str]| {
        let arguments = ["state", "export", place, "--operator", operator, "-o", "x.csv"];
        job.refuses(&[&arguments[..], more].concat())
    };
    let check = |said: String, parts: &[&str]| {
        for part in parts {
            assert!(said.contains(part), "{said}");
        }
    };
    check(export("st/default/order", &join, &[]), &["no job has kept state here"]);
    check(export("nowhere/default/orders", &join, &[]), &["nowhere: no such directory"]);
    check(export(PLACE, &join, &["--table", "lefts"]), &["no table 'lefts'; did you mean 'left'?"]);
    check(export(PLACE, &join, &["--table", "zzz"]), &["no table 'zzz'; it has 'left', 'right'"]);
    check(export(PLACE, &join, &[]), &["has several tables; name one of 'left', 'right'"]);
    check(
        export(PLACE, "zzzzzzzzzzzzzzz", &[]),
        &["has no operator 'zzz", "those that keep tables are '"],
    );
    check(export(PLACE, "filesystem events", &[]), &["it is a source, which keeps how far"]);
    let wrong = &join[..join.len() - 1];
    check(export(PLACE, wrong, &[]), &["did you mean '", &join]);
    let output = ["state", "export", PLACE, "--operator", &join, "--table", "left", "-o", "x.txt"];
    check(job.refuses(&output), &["x.txt: the name says how rows are written"]);
    check(
        job.refuses(&["state", "export", PLACE, "9999", "--operator", &join, "-o", "x.csv"]),
        &["version 9999 is not there; kept are ", &version.to_string()],
    );
    assert!(!job.0.path().join("x.csv").exists() && !job.0.path().join("x.csv.part").exists());
    let query = format!("SELECT *\nFROM STATE('{PLACE}', '{join}', 'lefts')");
    check(job.refuses(&["sql", "-e", &query]), &["sql:2:", "did you mean 'left'?"]);
    let shown = job.says(&["state", "show", PLACE]);
    check(shown, &["table left: customer utf8", "rows of customer, "]);
}
