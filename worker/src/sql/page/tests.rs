//! What comes of texts, without a browser.

use futures::StreamExt;
use tokio::time::timeout;
use weir_page::sql::view::StatementState;

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

/// Rows that come for ever.
const LIVE: &str = "CREATE TABLE orders (item BIGINT, amount BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '500',
  'fields.item.min' = '1', 'fields.item.max' = '3'
);
";
const COUNTED: &str = "SELECT item, COUNT(*) AS n FROM orders GROUP BY item;";

fn bench(before: &str, patience: Duration) -> (Arc<Bench>, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.csv"), "ATL,1\nORD,\n").unwrap();
    let mut base = Session::new();
    let options = options(folder.path().to_path_buf(), DRAFT.to_owned(), &Taker::default());
    for entry in base.read(before).unwrap() {
        base.answer(&entry, &options).map(drop).unwrap();
    }
    let before = base.declared();
    let path = folder.path().to_path_buf();
    let begun = Begun { base, before, text: String::new(), folder: path, memory: None };
    (Bench::new(begun, patience), folder)
}

fn asked(text: &str) -> RunAsked {
    RunAsked { text: text.to_owned(), only: None }
}

/// What a page makes of a run: its rows by statement and key, and how far each statement is.
#[derive(Default)]
struct Seen {
    rows: Vec<std::collections::BTreeMap<u64, Vec<String>>>,
    state: RunState,
    changes: usize,
}

impl Seen {
    fn take(&mut self, update: Update) {
        match update {
            Update::State(state) => {
                self.rows.resize(state.statements.len(), Default::default());
                self.state = state;
            }
            Update::Rows(update) => {
                let rows = &mut self.rows[update.statement];
                let texts = |cells: &weir_page::sql::view::Cells| -> Vec<String> {
                    let text = |value: &Option<String>| value.clone().unwrap_or("NULL".into());
                    cells.0.iter().map(text).collect()
                };
                self.changes += update.changes.len();
                if let Some(all) = &update.reset {
                    *rows = all.iter().map(|row| (row.key, texts(&row.row))).collect();
                    return;
                }
                for change in update.changes {
                    let Some(key) = change.key else { continue };
                    match change.op {
                        "+I" | "+U" => drop(rows.insert(key, texts(&change.row))),
                        _ => drop(rows.remove(&key)),
                    }
                }
            }
        }
    }

    fn states(&self) -> Vec<&str> {
        self.state.statements.iter().map(|statement| statement.state).collect()
    }
}

/// Follows a run until something is seen, or to its end.
async fn until(bench: &Bench, run: &str, done: impl Fn(&Seen) -> bool) -> Seen {
    let mut updates = bench.follow(run).unwrap();
    let mut seen = Seen::default();
    let looking = async {
        while let Some(update) = updates.next().await {
            seen.take(update);
            if done(&seen) {
                return;
            }
        }
    };
    timeout(LIMIT, looking).await.expect("it comes");
    seen
}

fn has_ended(seen: &Seen) -> bool {
    seen.state.ended
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_change_under_their_keys_until_the_run_is_stopped() {
    let (bench, _folder) = bench(LIVE, LIMIT);
    let run = bench.run(&asked(COUNTED)).unwrap();
    let three = until(&bench, &run, |seen| seen.rows.first().is_some_and(|r| r.len() == 3)).await;
    let sum = |seen: &Seen| -> u64 {
        seen.rows[0].values().map(|row| row[1].parse::<u64>().unwrap()).sum()
    };
    let before = sum(&three);
    let later = until(&bench, &run, |seen| {
        seen.rows.first().is_some_and(|rows| rows.len() == 3) && sum(seen) > before + 500
    })
    .await;
    assert_eq!(later.rows[0].keys().collect::<Vec<_>>(), three.rows[0].keys().collect::<Vec<_>>());
    let statement = &later.state.statements[0];
    assert!(statement.corrected && statement.rows == 3 && statement.state == "running");
    assert!(bench.stop(&run));
    let ended = until(&bench, &run, has_ended).await;
    assert_eq!(ended.states(), ["stopped"]);
    assert!(sum(&ended) > before, "its last result stays");
    assert!(!bench.stop("another"));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_run_in_order_and_the_first_that_fails_is_the_last() {
    let (bench, folder) = bench("", LIMIT);
    let text = "CREATE TABLE a (code STRING, n INT) WITH ('connector' = 'filesystem', 'path' = 'a.csv', 'format' = 'csv', 'csv.null-literal' = '');
CREATE TABLE b (code STRING) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'csv');
INSERT INTO b SELECT code FROM a;
SHOW TABLES;
SELECT * FROM a;
EXPLAIN SELECT code FROM a;
SELECT CAST(code AS INT) FROM a;
SELECT 1;";
    let run = bench.run(&asked(text)).unwrap();
    let seen = until(&bench, &run, has_ended).await;
    let states = ["done", "done", "done", "done", "done", "done", "failed", "skipped"];
    assert_eq!(seen.states(), states, "{:?}", seen.state);
    let of = |at: usize| -> &StatementState { &seen.state.statements[at] };
    assert!(of(2).message.starts_with("2 rows written in"), "{:?}", of(2));
    assert_eq!(seen.rows[3].values().flatten().collect::<Vec<_>>(), ["a", "b"]);
    let rows: Vec<&Vec<String>> = seen.rows[4].values().collect();
    assert_eq!(rows, [&["ATL", "1"], &["ORD", "NULL"]]);
    assert!(of(5).text.contains("filesystem a"), "{:?}", of(5));
    assert!(of(6).message.contains("ATL"), "{:?}", of(6));
    assert!(folder.path().join("out").is_dir(), "paths are relative to the folder");
    // Nothing runs where something cannot mean anything.
    let wrong = bench.run(&asked("SELECT 1; SELECT 𝄞nothing FROM a;")).unwrap_err();
    let Refused::Wrong(wrong) = wrong else { panic!("{wrong:?}") };
    assert!(wrong[0].from >= 10, "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_at_the_cursor_runs_behind_its_declarations_alone() {
    let (bench, _folder) = bench("", LIMIT);
    let text = format!(
        "{LIVE}INSERT INTO nowhere SELECT 1;\nSELECT 1 AS one;\nSELECT 2 AS two; SELECT FROM;"
    );
    let at = |what: &str| text.find(what).unwrap();
    let only = |from: usize, to: usize| RunAsked { text: text.clone(), only: Some((from, to)) };
    for (from, to, expected) in [
        (at("2 AS"), at("2 AS"), &["SELECT 2 AS two;"][..]),
        (at("1 AS"), at("2 AS"), &["SELECT 1 AS one;", "SELECT 2 AS two;"]),
    ] {
        let run = bench.run(&only(from, to)).unwrap();
        let seen = until(&bench, &run, has_ended).await;
        let jobs = seen.state.statements.iter().filter(|s| s.kind == "query");
        assert_eq!(jobs.map(|s| s.title.as_str()).collect::<Vec<_>>(), expected);
        assert!(seen.states().iter().all(|state| *state == "done"), "{:?}", seen.state);
    }
    let end = text.len();
    assert!(matches!(bench.run(&only(end, end)), Err(Refused::Wrong(_))));
    assert!(matches!(bench.run(&asked("-- nothing")), Err(Refused::Wrong(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_looks_at_ends_and_only_so_many_go_on() {
    let (bench, _folder) = bench(LIVE, Duration::from_secs(2));
    let runs: Vec<String> = (0..MAX_RUNS).map(|_| bench.run(&asked(COUNTED)).unwrap()).collect();
    let looked_at = bench.follow(&runs[0]).unwrap();
    let Err(Refused::Busy(why)) = bench.run(&asked(COUNTED)) else { panic!("a fifth") };
    assert!(why.contains("stop one"), "{why}");
    let others = async {
        while runs[1..].iter().any(|run| !bench.find(run).unwrap().has_ended()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LIMIT, others).await.expect("they end");
    assert!(!bench.find(&runs[0]).unwrap().has_ended(), "somebody looks at it");
    let left = until(&bench, &runs[1], has_ended).await;
    assert!(left.state.statements[0].message.contains("nobody looked"), "{:?}", left.state);
    drop(looked_at);
    bench.stop(&runs[0]);
    until(&bench, &runs[0], has_ended).await;
    // What is over is not kept for ever.
    for _ in 0..2 * MAX_ENDED {
        let run = bench.run(&asked("SELECT 1;")).unwrap();
        until(&bench, &run, has_ended).await;
    }
    assert!(bench.runs.lock().len() <= MAX_ENDED + 1);
    assert!(bench.follow(&runs[1]).is_none());
    bench.end().await;
    assert!(bench.run(&asked("SELECT 1;")).is_err(), "the process ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_end_goes_on_beside_what_follows() {
    let (bench, _folder) = bench(LIVE, LIMIT);
    let text = "CREATE TABLE out (item BIGINT) WITH ('connector' = 'print');
INSERT INTO out SELECT item FROM orders;
SELECT 1 AS one;";
    let run = bench.run(&asked(text)).unwrap();
    let printed =
        |seen: &Seen| seen.states() == ["done", "running", "done"] && seen.rows[1].len() > 100;
    let seen = until(&bench, &run, printed).await;
    assert!(seen.rows[1].values().all(|row| row[0].starts_with("+I[")), "{:?}", seen.rows[1]);
    bench.stop(&run);
    let ended = until(&bench, &run, has_ended).await;
    assert_eq!(ended.states(), ["done", "stopped", "done"]);
    assert!(ended.state.statements[1].message.contains("what was read until then is written"));
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_those_of_the_editor() {
    let (bench, _folder) = bench(LIVE, LIMIT);
    let text = "-- 𝄞\nSELECT itm FROM orders;\nSELECT item FROM orders;";
    let unit = |what: &str| units(&text[..text.find(what).unwrap()]);
    let checked = bench.check(text);
    assert_eq!(checked.diagnostics.len(), 1, "{checked:?}");
    let found = &checked.diagnostics[0];
    assert_eq!((found.from, found.to), (unit("itm"), unit("itm") + 3));
    assert!(found.message.contains("did you mean \"item\"?"), "{found:?}");
    let second = &checked.statements[1];
    assert_eq!((second.from, second.to), (unit("SELECT item"), units(text)));
    assert!(second.plan.contains("orders") && !second.bounded, "{second:?}");
    assert_eq!(second.schema[0].ty, "BIGINT");
    assert_eq!(checked.tables[0].name, "orders");

    let typed = "-- 𝄞\nCREATE TABLE k (a INT) WITH ('connector' = 'kaf')";
    let at = units(typed) - 2;
    let completed = bench.complete(typed, at);
    assert_eq!((completed.from, completed.to), (at - 3, at + 1), "the quote is there already");
    assert_eq!(completed.candidates[0].text, "kafka'");
    let joined = "SELECT o. FROM orders AS o; SELECT";
    let columns = bench.complete(joined, 9).candidates;
    assert_eq!(columns.iter().map(|c| c.text.as_str()).collect::<Vec<_>>(), ["item", "amount"]);
    assert!(bench.words().keywords.contains(&"SELECT"));
}
