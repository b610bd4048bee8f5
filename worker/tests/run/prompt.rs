//! `weir sql` and `weir run` at a terminal: keys are typed, the screen is looked at.

use std::fs;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::until;

const ROWS: u16 = 40;
const COLUMNS: u16 = 100;

/// A terminal in which `weir` runs.
struct Terminal {
    child: Child,
    keys: Arc<Mutex<ChildStdin>>,
    screen: Arc<Mutex<vt100::Parser>>,
}

/// A program asks where the cursor is.
const WHERE: &[u8] = b"\x1b[6n";

impl Terminal {
    fn start(folder: &Path) -> Self {
        Self::running(folder, "sql")
    }

    fn running(folder: &Path, arguments: &str) -> Self {
        Self::behind(folder, "", arguments)
    }

    /// After the shell has done something.
    fn behind(folder: &Path, before: &str, arguments: &str) -> Self {
        let command = format!(
            "stty cols {COLUMNS} rows {ROWS}; {before}exec {} {arguments}; echo gone",
            env!("CARGO_BIN_EXE_weir")
        );
        // It gives the program a terminal of its own, which it is in control of.
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--return", "--command", &command, "/dev/null"]);
        script.current_dir(folder).env("TERM", "xterm").env_remove("NO_COLOR");
        script.env("XDG_STATE_HOME", folder.join("state")).env("TMPDIR", folder);
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().expect("script starts");
        let keys = Arc::new(Mutex::new(child.stdin.take().expect("a pipe")));
        let size = |lines: u16| NonZero::new(lines).expect("a terminal has some");
        let screen = vt100::Parser::new(size(ROWS), size(COLUMNS), 1_000);
        let screen = Arc::new(Mutex::new(screen));
        let mut out = child.stdout.take().expect("a pipe");
        let (shown, answers) = (Arc::clone(&screen), Arc::clone(&keys));
        std::thread::spawn(move || {
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                seen.extend_from_slice(&buffer[..count]);
                while let Some(at) = seen.windows(WHERE.len()).position(|part| part == WHERE) {
                    let before: Vec<u8> = seen.drain(..at + WHERE.len()).collect();
                    let mut screen = shown.lock().expect("no panic");
                    screen.process(&before[..at]);
                    let (row, column) = screen.screen().cursor_position();
                    let answer = format!("\x1b[{};{}R", row + 1, column + 1);
                    answers.lock().expect("no panic").write_all(answer.as_bytes()).ok();
                }
                // The question may come in two parts.
                let whole = seen.iter().rposition(|b| *b == 0x1b).filter(|at| seen.len() - at < 4);
                let rest = seen.split_off(whole.unwrap_or(seen.len()));
                shown.lock().expect("no panic").process(&seen);
                seen = rest;
            }
        });
        Self { child, keys, screen }
    }

    fn keys(&self, keys: &str) {
        let mut to = self.keys.lock().expect("no panic");
        to.write_all(keys.as_bytes()).and_then(|()| to.flush()).expect("it reads");
    }

    fn shown(&self) -> String {
        let screen = self.screen.lock().expect("no panic");
        let lines: Vec<String> =
            screen.screen().rows(0, COLUMNS).map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Types, and waits until the screen shows a text.
    fn typed(&self, keys: &str, expected: &str) -> String {
        self.keys(keys);
        self.until(expected, |shown| shown.contains(expected))
    }

    fn until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let deadline = weir_engine::env::instant() + super::LIMIT;
        loop {
            let shown = self.shown();
            if is(&shown) {
                return shown;
            }
            assert!(
                weir_engine::env::instant() < deadline,
                "waited in vain for {what}; the screen:\n{shown}"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Waits for an empty prompt at the bottom.
    fn ready(&self) {
        self.until("the prompt", |shown| shown.ends_with("weir>"));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_session_that_outlives_its_terminal_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut terminal = Terminal::behind(folder.path(), "trap '' HUP; echo $$ > process; ", "sql");
    terminal.ready();
    let process = fs::read_to_string(folder.path().join("process")).expect("the shell wrote it");
    terminal.child.kill().expect("it runs");
    terminal.child.wait().expect("it was killed");
    let left = Left(process.trim().to_owned());
    super::until("the end of a process without a terminal", || left.has_ended());
}

/// A process, by its id, that nobody waits for; killed when this is dropped.
struct Left(String);

impl Left {
    fn has_ended(&self) -> bool {
        // Who has ended may wait for somebody to ask for its code.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0));
        stat.map_or(true, |stat| stat.contains(") Z "))
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if !self.has_ended() {
            Command::new("kill").args(["-9", &self.0]).status().ok();
        }
    }
}

#[test]
fn a_session_is_typed() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("flights.csv"), "ATL,5\nORD,-3\nATL,12\n").expect("written");
    let mut terminal = Terminal::start(folder.path());
    terminal.until("the first prompt", |shown| shown.contains("Ctrl-D leaves"));
    terminal.ready();

    // A statement of several lines: Enter ends it only behind the semicolon.
    terminal.typed("CREATE TABLE flights (origin STRING, delay INT)\r", "\n   >");
    terminal.typed(
        "WITH ('connector' = 'filesystem', 'path' = 'flights.csv', 'format' = 'csv');\r",
        "table \"flights\" is declared",
    );
    terminal.ready();
    terminal
        .typed("SELECT origin, SUM(delay) AS delay FROM flights GROUP BY origin;\r", "2 rows in");
    let shown = terminal.shown();
    assert!(
        shown.contains("origin  delay\n──────  ─────\nATL        17\nORD        -3\n"),
        "{shown}"
    );
    terminal.ready();

    // An error marks its place, and the session goes on.
    let shown = terminal.typed("SELECT dely FROM flights;\r", "did you mean \"delay\"?");
    assert!(shown.contains("| SELECT dely FROM flights;\n    |        ^^^^"), "{shown}");
    terminal.ready();

    // Tab completes a table, a column and an option.
    terminal.typed("DESCRIBE fl\t", "DESCRIBE flights");
    terminal.typed(";\r", "delay   INT");
    terminal.ready();
    terminal.typed("CREATE TABLE t (a INT) WITH ('connector' = 'data\t", "'datagen'");
    terminal.typed(", 'rows-\t", "'rows-per-second'");
    // Ctrl-C gives up what was typed.
    terminal.keys("\x03");
    terminal.ready();

    terminal.typed(".mode json\r.tables\r", "{\"table name\":\"flights\"}");
    terminal.ready();
    terminal.typed(".mod\r", "did you mean .mode?");
    terminal.ready();
    terminal.keys("quit\r");
    until("the end", || terminal.child.try_wait().expect("it can be asked").is_some());
    assert!(terminal.child.wait().expect("it has ended").success());
    let history = fs::read_to_string(folder.path().join("state/weir/sql-history")).expect("kept");
    assert!(history.contains("SELECT dely FROM flights;"), "{history}");
}

#[test]
fn a_query_without_an_end_is_drawn_again_and_ctrl_c_ends_it_alone() {
    let folder = TempDir::new().expect("a folder");
    let terminal = Terminal::start(folder.path());
    terminal.ready();
    terminal.typed(
        "CREATE TABLE n (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100', 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000');\r",
        "is declared",
    );
    terminal.ready();
    terminal.keys("SELECT MOD(n, 2) AS odd, COUNT(*) AS n FROM n GROUP BY MOD(n, 2);\r");
    let counts = |shown: &str| -> Vec<u64> {
        let rows = shown.lines().skip_while(|line| !line.starts_with("───")).skip(1);
        rows.filter_map(|line| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            if cells.len() == 2 { cells[1].parse().ok() } else { None }
        })
        .collect()
    };
    let first = terminal.until("rows", |shown| shown.contains("\n2 rows\n"));
    let before = counts(&first);
    assert_eq!(before.len(), 2, "{first}");
    let later = terminal.until("more", |shown| {
        let now = counts(shown);
        now.len() == 2 && now[0] > before[0] && now[1] > before[1]
    });
    assert_eq!(later.matches("odd").count(), first.matches("odd").count(), "drawn over:\n{later}");
    let shown = terminal.typed("\x03", "2 rows until it was interrupted after");
    assert!(!shown.contains("rows/s"), "what was drawn is gone:\n{shown}");
    assert_eq!(counts(&shown).len(), 2, "the last result stays:\n{shown}");
    terminal.ready();
    // As changes, for those who want to see them.
    terminal.typed("SET 'sql-client.execution.result-mode' = 'changelog';\r", "= 'changelog'");
    terminal.ready();
    terminal.keys("SELECT COUNT(*) AS n FROM n;\r");
    terminal.until("changes", |shown| shown.matches("\n+U").count() > 3);
    terminal.typed("\x03", "rows until");
    terminal.ready();
    terminal.typed("SELECT 41 + 1 AS answer;\r", "\n+I      42");
}

#[test]
fn rows_of_a_live_job_that_are_corrected_are_a_table_and_those_that_only_come_are_lines() {
    let folder = TempDir::new().expect("a folder");
    let job = "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {name: parity}
spec:
  sql: |
    CREATE TABLE n (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100',
      'fields.n.min' = '1', 'fields.n.max' = '1000');
    CREATE TABLE counts (odd BIGINT, many BIGINT) WITH ('connector' = 'print');
    CREATE TABLE tens (n BIGINT) WITH ('connector' = 'print');
    EXECUTE STATEMENT SET BEGIN
      INSERT INTO counts SELECT MOD(n, 2), COUNT(*) FROM n GROUP BY MOD(n, 2);
      INSERT INTO tens SELECT n FROM n WHERE MOD(n, 10) = 0;
    END;
";
    fs::write(folder.path().join("job.yaml"), job).expect("written");
    let terminal = Terminal::running(folder.path(), "run --state st --no-page job.yaml");
    let many = |shown: &str| -> Vec<u64> {
        let rows =
            shown.lines().rev().skip_while(|line| !line.trim_start().starts_with(['0', '1']));
        let rows = rows.take_while(|line| !line.contains("many"));
        rows.filter_map(|line| line.split_whitespace().nth(1)?.parse().ok()).collect()
    };
    let shown = terminal.until("both", |shown| {
        shown.contains("odd") && shown.contains("\n+I[") && many(shown).len() == 2
    });
    assert!(!shown.contains("+U[") && !shown.contains("-U["), "no changes as lines:\n{shown}");
    let before = many(&shown);
    let later = terminal.until("more", |shown| {
        let now = many(shown);
        now.len() == 2 && now[0] > before[0] && now[1] > before[1]
    });
    assert_eq!(later.matches("odd").count(), 1, "drawn over:\n{later}");
    let shown = terminal.typed("\x03", "run it again to go on from there");
    assert_eq!(many(&shown).len(), 2, "the last rows stay:\n{shown}");
}
