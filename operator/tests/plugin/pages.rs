//! What is looked at for a while: the page of all jobs, and `top` on a terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;
use weir_protocol::view::{JobView, OperatorView, Snapshot, SubtaskView, TotalsView, VertexView};

use crate::fake::{Fake, coordinates, job, pod};

/// Tries of what has to come about soon, 50 ms apart.
const TRIES: usize = 200;

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let found = (0..TRIES).find_map(|_| {
        look().or_else(|| {
            std::thread::sleep(Duration::from_millis(50));
            None
        })
    });
    found.expect(what)
}

fn snapshot() -> Snapshot {
    let operator = OperatorView {
        name: "kafka flights".into(),
        kind: "source".into(),
        out_rate: 4_321.0,
        ..OperatorView::default()
    };
    let vertex = VertexView {
        operators: vec![operator],
        subtasks: vec![SubtaskView::default()],
        ..VertexView::default()
    };
    Snapshot {
        job: JobView { name: "delays".into(), state: "Running".into(), ..JobView::default() },
        totals: TotalsView { in_rate: 4_321.0, ..TotalsView::default() },
        vertices: vec![vertex],
        ..Snapshot::default()
    }
}

/// Head and body of an answer.
fn get(address: &str, path: &str, host: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_page_of_all_jobs_is_for_this_machine_and_leads_to_each_jobs_page() {
    let page = coordinates(&snapshot(), &[]);
    let jobs = [
        job("delays", "Running", &[("Ready", "True", "")]),
        job("bad", "Failed", &[("Stalled", "True", "no column <dist>")]),
    ];
    let fake = Fake::new()
        .lists("*get streamjobs.weir.dev --all-namespaces*", &jobs)
        .forwards("delays-0123abcd-1", page);
    let mut command = fake.command(&["ui", "-A", "--port", "0"]);
    let mut ui = Ended(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(ui.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{line}");

    let (head, body) = get(address, "/", address);
    assert!(head.starts_with("HTTP/1.0 200") && head.contains("content-security-policy"), "{head}");
    assert!(body.find("shop / bad") < body.find("shop / delays"), "the worst first: {body}");
    assert!(body.contains("1 in trouble, 0 changing, 1 well, 0 at rest"), "{body}");
    assert!(body.contains("no column &lt;dist&gt;"), "{body}");
    for other in ["evil.example", "10.0.0.1:80"] {
        let (head, _) = get(address, "/", other);
        assert!(head.starts_with("HTTP/1.0 403"), "{other}: {head}");
    }
    let (head, _) = get(address, "/jobs/shop/delays", address);
    let location = format!("location: http://127.0.0.1:{page}/");
    assert!(head.starts_with("HTTP/1.0 303") && head.contains(&location), "{head}");
    assert!(get(address, "/jobs/shop/none", address).0.starts_with("HTTP/1.0 404"));

    // Whoever has it open is told what the jobs say themselves.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    write!(stream, "GET /v1/stream HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut heard = String::new();
    eventually("a row with its rate", || {
        let mut some = [0; 4096];
        let n = stream.read(&mut some).unwrap_or(0);
        heard.push_str(&String::from_utf8_lossy(&some[..n]));
        heard.contains(">4,321<").then_some(())
    });
    let (_, body) = get(address, "/v1/fleet", address);
    let data: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(data["rows"][1]["inRate"], 4_321.0);
    let ways = fake.calls().iter().filter(|call| call.contains("port-forward")).count();
    assert!(ways <= 2, "a way is kept open: {:?}", fake.calls());
}

#[test]
fn the_page_of_all_jobs_says_how_old_it_is_and_leads_to_pages_that_answer() {
    let page = coordinates(&snapshot(), &[]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut fake = Fake::new();
    let jobs = fake.file(
        &serde_json::json!({"items": [job("delays", "Running", &[("Ready", "True", "")])]})
            .to_string(),
    );
    let away = fake.folder().join("away");
    let (times, away_now) = (fake.file(""), away.display().to_string());
    let get = format!(
        "[ -e '{away_now}' ] && {{ echo 'no route' >&2; exit 1; }}; cat '{}'",
        jobs.display()
    );
    // The way that is opened first leads nowhere any more.
    let forward = format!(
        "echo >>'{0}'; case $(wc -l <'{0}') in 1) port={closed};; *) port={page};; esac; \
         echo \"Forwarding from 127.0.0.1:$port -> 7104\"; exec sleep 30",
        times.display()
    );
    let fake = fake.does("*get streamjobs.weir.dev *", &get).does("*port-forward *", &forward);
    let mut command = fake.command(&["ui", "--port", "0"]);
    let mut ui = Ended(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(ui.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap();
    let (head, body) = self::get(address, "/jobs/shop/delays", address);
    let location = format!("location: http://127.0.0.1:{page}/");
    assert!(head.starts_with("HTTP/1.0 303") && head.contains(&location), "{head}{body}");

    std::fs::write(&away, "").unwrap();
    let (head, body) = self::get(address, "/jobs/shop/delays", address);
    assert!(head.starts_with("HTTP/1.0 502") && body.contains("no route"), "{head}{body}");
    let data =
        || -> Value { serde_json::from_str(&self::get(address, "/v1/fleet", address).1).unwrap() };
    let before = data()["atMs"].clone();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    write!(stream, "GET /v1/stream HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut heard = String::new();
    eventually("an age that grows while the page is heard", || {
        let mut some = [0; 4096];
        let n = stream.read(&mut some).unwrap_or(0);
        heard.push_str(&String::from_utf8_lossy(&some[..n]));
        let ages = heard.split("\"ageMs\":").skip(1).filter_map(|rest| rest.split(',').next());
        let ages: Vec<u64> = ages.filter_map(|age| age.parse().ok()).collect();
        ages.iter().any(|age| *age > 2_000).then_some(())
    });
    let silent = data();
    assert_eq!(
        (&silent["atMs"], &silent["problem"]),
        (&before, &Value::from("no route")),
        "{heard}"
    );
    assert_eq!(silent["rows"][0]["name"], "delays", "{silent}");
}

#[test]
fn top_draws_a_job_on_a_terminal_until_q() {
    let fake = Fake::new()
        .lists("get pods *", &[pod(1, "Running")])
        .forwards("delays-0123abcd-1", coordinates(&snapshot(), &[]));
    let refused = fake.weir(&["top", "delays"]);
    assert!(refused.code == Some(1) && refused.err.contains("top needs a terminal"), "{refused:?}");

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize { ws_row: 24, ws_col: 110, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
    let terminal = File::options().read(true).write(true).custom_flags(flags).open(name).unwrap();
    let same = || Stdio::from(terminal.try_clone().unwrap());
    let mut command = fake.command(&["top", "delays"]);
    command.stdin(same()).stdout(same()).stderr(same()).env("TERM", "xterm-256color");
    let mut top = Ended(command.spawn().unwrap());
    drop((command, terminal));
    let mut keys = File::from(master);
    let mut screen = keys.try_clone().unwrap();
    let seen = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = screen.read(&mut some) {
            written.lock().unwrap().push_str(&String::from_utf8_lossy(&some[..n]));
        }
    });
    let has = |text: &str| seen.lock().unwrap().contains(text).then_some(());
    eventually("the job", || has("kafka").and(has("4,321")));
    keys.write_all(b"?").unwrap();
    eventually("the help", || has("SUBTASKS").and(has("held")));
    keys.write_all(b"q").unwrap();
    let ended = eventually("its end", || top.0.try_wait().unwrap());
    assert!(ended.success(), "{ended}: {}", seen.lock().unwrap());
    eventually("the old screen", || has("\u{1b}[?1049l"));
    eventually("no kubectl is left", || fake.is_at_rest().then_some(()));
}

/// Ends a process by a signal, as `kill` and the end of a session do.
fn signal(process: &Child, name: &str) {
    let id = process.id().to_string();
    let sent = std::process::Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.expect("kill").success());
}

#[test]
fn no_way_stays_open_when_what_uses_it_is_ended() {
    let page = coordinates(&snapshot(), &[]);
    let cluster = || {
        Fake::new()
            .lists(
                "*get streamjobs.weir.dev*",
                &[job("delays", "Running", &[("Ready", "True", "")])],
            )
            .lists("*get pods *", &[pod(1, "Running")])
            .forwards("delays-0123abcd-1", page)
            .does("logs *", "while :; do echo '2026-01-01T00:00:00Z on and on'; sleep 0.05; done")
            .does("*--watch*", "exec sleep 30")
    };
    for (command, name, code) in [
        (&["ui", "delays", "--port", "0"][..], "TERM", 143),
        (&["ui", "delays", "--port", "0"], "INT", 130),
        (&["logs", "delays", "-f"], "HUP", 129),
    ] {
        let fake = cluster();
        let mut process = fake.command(command).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty() && !fake.is_at_rest(), "{command:?}: {line}");
        signal(&process, name);
        let ended = eventually("its end", || process.try_wait().unwrap());
        assert_eq!(ended.code(), Some(code), "{command:?}");
        eventually("no kubectl is left", || fake.is_at_rest().then_some(()));
    }
    // `… | head -n 1`
    let fake = cluster();
    let mut process =
        fake.command(&["logs", "delays", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ended = eventually("its end", || process.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    eventually("no kubectl is left", || fake.is_at_rest().then_some(()));
}
