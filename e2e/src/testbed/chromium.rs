//! A real browser without a window: Debian's `chromium-headless-shell`, driven over its own protocol
//! (Chrome DevTools) through a pair of pipes, so that nothing listens anywhere.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cache;
use crate::process::{Process, wait_for};

const PACKAGE: &str = "chromium-headless-shell";
/// An answer takes no longer, a page's first load included.
const ANSWER: Duration = Duration::from_secs(30);
/// axe-core, which finds what a page lacks for those who do not see or point.
const AXE: &str = "axe-core@4.14.1";

/// A running browser with one page.
#[derive(Debug)]
pub struct Browser {
    _process: Process,
    _folder: TempDir,
    to: File,
    from: Receiver<Value>,
    /// What came while an answer was awaited.
    events: VecDeque<Value>,
    last: u64,
    session: String,
}

impl Browser {
    /// Starts a browser whose page is so many pixels wide and high, fetched first if need be.
    ///
    /// # Errors
    /// When it cannot be had or does not answer.
    pub fn start(width: u32, height: u32) -> Result<Self> {
        let (program, libraries) = program()?;
        let folder = TempDir::with_prefix("weir-chromium-")?;
        let pipes = ["in", "out"].map(|name| folder.path().join(name));
        cache::run(Command::new("mkfifo").args(&pipes))?;
        let log = File::create(folder.path().join("log"))?;
        let mut command = Command::new("sh");
        command
            // The browser reads commands from its third and writes answers to its fourth file.
            .args(["-c", r#"in=$1 out=$2; shift 2; exec "$@" 3<"$in" 4>"$out""#, "sh"])
            .args(&pipes)
            .arg(program)
            .args(["--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--disable-dev-shm-usage", "--no-first-run", "--force-color-profile=srgb"])
            // A name of another site that leads to this machine.
            .arg("--host-resolver-rules=MAP evil.example 127.0.0.1")
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg("about:blank")
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(libraries) = libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let process = Process::start("chromium", &mut command)?;
        let (to, answers) = (File::options().write(true).open(&pipes[0])?, File::open(&pipes[1])?);
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0).map_while(Result::ok) {
                let Ok(value) = serde_json::from_slice(&message) else { continue };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            _process: process,
            _folder: folder,
            to,
            from,
            events: VecDeque::new(),
            last: 0,
            session: String::new(),
        };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))?;
        let id = target["targetId"].as_str().context("a page")?.to_owned();
        let attached =
            browser.ask("Target.attachToTarget", json!({"targetId": id, "flatten": true}))?;
        browser.session = attached["sessionId"].as_str().context("a session")?.to_owned();
        browser.ask("Page.enable", json!({}))?;
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        browser.ask("Emulation.setDeviceMetricsOverride", size)?;
        Ok(browser)
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes())?;
        loop {
            let value =
                self.from.recv_timeout(ANSWER).with_context(|| format!("{method}: no answer"))?;
            if value["id"] == self.last {
                ensure!(value.get("error").is_none(), "{method}: {}", value["error"]);
                return Ok(value["result"].clone());
            }
            self.events.push_back(value);
            self.events.truncate(1_000);
        }
    }

    /// Opens a page and waits until it has loaded.
    ///
    /// # Errors
    /// When it cannot be loaded at all.
    pub fn open(&mut self, url: &str) -> Result<()> {
        self.events.clear();
        let opened = self.ask("Page.navigate", json!({"url": url}))?;
        if let Some(error) = opened["errorText"].as_str() {
            bail!("{url}: {error}");
        }
        wait_for(&format!("{url} to load"), ANSWER, || {
            Ok(self.evaluate("document.readyState")? == "complete")
        })
    }

    /// The value of an expression in the page.
    ///
    /// # Errors
    /// When it throws.
    pub fn evaluate(&mut self, script: &str) -> Result<Value> {
        let params = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", params)?;
        ensure!(
            answer.get("exceptionDetails").is_none(),
            "{script}: {}",
            answer["exceptionDetails"]
        );
        Ok(answer["result"]["value"].clone())
    }

    /// The text of the first element that a selector finds; empty when there is none.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn text(&mut self, selector: &str) -> Result<String> {
        let script = format!("document.querySelector({})?.textContent ?? ''", json!(selector));
        Ok(self.evaluate(&script)?.as_str().unwrap_or_default().to_owned())
    }

    /// Presses a key.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let text = if key.len() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            self.ask("Input.dispatchKeyEvent", json!({"type": kind, "key": key, "text": text}))?;
        }
        Ok(())
    }

    /// Presses a key while another is held: `ctrl`, or `ctrl+shift`.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn chord(&mut self, key: &str, held: &str) -> Result<()> {
        let held: u32 = [("ctrl", 2), ("shift", 8)]
            .iter()
            .filter(|(n, _)| held.contains(n))
            .map(|(_, b)| b)
            .sum();
        for kind in ["rawKeyDown", "keyUp"] {
            let params = json!({"type": kind, "key": key, "modifiers": held});
            self.ask("Input.dispatchKeyEvent", params)?;
        }
        Ok(())
    }

    /// Writes a text where the cursor is, all at once.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn insert(&mut self, text: &str) -> Result<()> {
        self.ask("Input.insertText", json!({"text": text})).map(drop)
    }

    /// Writes a text where the cursor is, key by key.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn type_keys(&mut self, text: &str) -> Result<()> {
        text.chars().try_for_each(|c| self.press(&c.to_string()))
    }

    /// Clicks the first element that a selector finds.
    ///
    /// # Errors
    /// When there is none.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let script = format!(
            "(() => {{ const found = document.querySelector({}); found?.click(); return Boolean(found); }})()",
            json!(selector)
        );
        ensure!(self.evaluate(&script)? == true, "nothing to click at: {selector}");
        Ok(())
    }

    /// What the browser complains of since the page was opened: errors of scripts, and what they or
    /// the page may not do or load.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn complaints(&mut self) -> Result<Vec<String>> {
        self.ask("Log.enable", json!({}))?;
        self.ask("Runtime.enable", json!({}))?;
        // They come with the answers that follow.
        self.evaluate("null")?;
        let complaint = |event: &Value| match event["method"].as_str() {
            Some("Log.entryAdded") if event["params"]["entry"]["level"] == "error" => {
                Some(event["params"]["entry"]["text"].to_string())
            }
            Some("Runtime.exceptionThrown") => {
                Some(event["params"]["exceptionDetails"].to_string())
            }
            Some("Runtime.consoleAPICalled") if event["params"]["type"] == "error" => {
                Some(event["params"]["args"].to_string())
            }
            _ => None,
        };
        Ok(self.events.iter().filter_map(complaint).collect())
    }

    /// Lets the system's word be dark or light.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn prefer(&mut self, scheme: &str) -> Result<()> {
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", json!({"features": feature})).map(drop)
    }

    /// Takes a picture of the whole page.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn picture(&mut self, file: &Path) -> Result<()> {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.ask("Page.captureScreenshot", params)?;
        let encoded = taken["data"].as_str().context("a picture")?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let picture =
            cache::run_with_input_to(Command::new("base64").arg("-d"), encoded.as_bytes())?;
        fs::write(file, picture).with_context(|| format!("write {}", file.display()))
    }

    /// What axe-core finds wrong with the page, of what it calls serious or critical.
    ///
    /// # Errors
    /// When it cannot be had or does not run.
    pub fn faults(&mut self) -> Result<Vec<String>> {
        let folder = cache::folder(&AXE.replace('@', "-"), |folder| {
            cache::run(Command::new("npm").args(["pack", "--silent", AXE]).current_dir(folder))?;
            let packed = format!("{}.tgz", AXE.replace('@', "-"));
            cache::run(Command::new("tar").args(["xzf", &packed]).current_dir(folder)).map(drop)
        })?;
        let script = fs::read_to_string(folder.join("package/axe.min.js"))?;
        self.evaluate(&format!("{script}; null"))?;
        let found = self.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations \
             .filter((fault) => ['serious', 'critical'].includes(fault.impact)) \
             .map((fault) => `${fault.id}: ${fault.help}: ${fault.nodes.map((n) => n.html.slice(0, 160)).slice(0, 3).join(' | ')}`))",
        )?;
        let faults = found.as_array().context("a list")?;
        Ok(faults.iter().filter_map(|fault| fault.as_str().map(str::to_owned)).collect())
    }
}

/// The program, and where its libraries are unless the system has them.
fn program() -> Result<(PathBuf, Option<PathBuf>)> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    for name in [PACKAGE, "chromium", "chromium-browser", "google-chrome"] {
        if let Some(found) =
            std::env::split_paths(&places).map(|p| p.join(name)).find(|p| p.is_file())
        {
            return Ok((found, None));
        }
    }
    // Without installing anything: the packages that are missing, unpacked beside each other.
    let folder = cache::folder(PACKAGE, |folder| {
        let simulate = ["install", "--simulate", "--no-install-recommends", PACKAGE];
        let missing = || cache::run(Command::new("apt-get").args(simulate));
        let listed = match missing() {
            Ok(listed) => listed,
            Err(_) => {
                cache::run(Command::new("apt-get").args(["update", "-q"]))?;
                missing()?
            }
        };
        let names = listed.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
        let names: Vec<&str> = names.collect();
        ensure!(!names.is_empty(), "apt knows no {PACKAGE}");
        cache::run(Command::new("apt-get").arg("download").args(&names).current_dir(folder))?;
        for entry in fs::read_dir(folder)? {
            let package = entry?.path();
            if package.extension().is_some_and(|end| end == "deb") {
                cache::run(Command::new("dpkg").arg("-x").arg(&package).arg(folder))?;
                fs::remove_file(&package)?;
            }
        }
        Ok(())
    })
    .context("no Chromium in PATH, and Debian's could not be fetched; install chromium")?;
    let libraries = folder.join("usr/lib/x86_64-linux-gnu");
    let below = libraries.join("pulseaudio");
    let libraries = format!("{}:{}", libraries.display(), below.display());
    let program = folder.join("usr/lib/chromium/chromium-headless-shell");
    let program = if program.is_file() { program } else { folder.join("usr/bin").join(PACKAGE) };
    Ok((program, Some(PathBuf::from(libraries))))
}
