//! Pages in parts: each part is rendered for itself, so that a stream can send those that change.

mod charts;
mod checkpoints;
mod graph;
mod happened;
mod job;
mod key_groups;
mod operator;
mod program;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use program::tokens;
pub(crate) use rows::ROWS_ARE_HIDDEN;
use weir_protocol::view::Snapshot;

use crate::html::{Html, put};
use crate::hub::{Hub, Moment};
use crate::serve::ASSETS;
use crate::words::time_of_day;

/// Parts of a page by the id of the element that holds them, in the order of the page.
pub(crate) type Fragments = Vec<(&'static str, Html)>;

/// What a page is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// The job.
    Job,
    /// An operator, by uid.
    Operator(String),
    /// Checkpoints, and one attempt in detail.
    Checkpoints(Option<u64>),
    /// Text and plan.
    Program,
    /// The last lines of the log.
    Log,
}

/// What is looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct View {
    pub(crate) subject: Subject,
    /// Charts show a day instead of ten minutes.
    pub(crate) by_minute: bool,
    /// The operator whose drawer is open, or whose part of the program is lit.
    pub(crate) operator: Option<String>,
    /// The newest rows of the operator are looked at.
    pub(crate) rows: bool,
}

impl View {
    /// The parts as they are at a moment.
    pub(crate) fn render(&self, hub: &Hub, moment: &Moment) -> Fragments {
        let snapshot = &moment.snapshot;
        let mut parts = vec![("head", head(moment))];
        if !moment.elsewhere.is_empty() {
            parts.push(("verdict", elsewhere(&moment.elsewhere)));
            return parts;
        }
        parts.push(("foot", foot(snapshot)));
        match &self.subject {
            Subject::Job => {
                parts.push(("verdict", job::verdict(snapshot)));
                parts.push(("numbers", job::numbers(snapshot)));
                parts.push(("graph", graph::graph(snapshot, self.operator.as_deref())));
                let history = hub.history(self.by_minute, 0);
                parts.push(("charts", charts::charts(&history, moment, self.by_minute)));
                parts.push(("happened", happened::happened(moment)));
                let uid = self.operator.as_deref();
                let open = uid.map(|uid| operator::operator(hub, snapshot, uid, self));
                parts.push(("drawer", open.unwrap_or_default()));
            }
            Subject::Operator(uid) => {
                parts.push(("operator", operator::operator(hub, snapshot, uid, self)));
            }
            Subject::Checkpoints(attempt) => {
                parts.push(("strip", checkpoints::strip(moment, *attempt)));
                parts.push(("gantt", checkpoints::detail(moment, *attempt)));
            }
            Subject::Program => {
                let lit = self.operator.as_deref();
                parts.push(("program", program::program(&hub.program, snapshot, lit)));
            }
            Subject::Log => parts.push(("log", log(&hub.lines()))),
        }
        parts
    }

    fn name(&self) -> &'static str {
        match self.subject {
            Subject::Job => "job",
            Subject::Operator(_) => "operator",
            Subject::Checkpoints(_) => "checkpoints",
            Subject::Program => "program",
            Subject::Log => "log",
        }
    }

    /// The stream that keeps the page new.
    fn stream(&self) -> String {
        let mut url = format!("/v1/stream?view={}", self.name());
        if self.by_minute {
            url.push_str("&range=24h");
        }
        let operator = match &self.subject {
            Subject::Operator(uid) => Some(uid),
            _ => self.operator.as_ref(),
        };
        if let Some(uid) = operator {
            url.push_str(&format!("&operator={uid}"));
        }
        if self.rows {
            url.push_str("&rows=1");
        }
        if let Subject::Checkpoints(Some(attempt)) = self.subject {
            url.push_str(&format!("&attempt={attempt}"));
        }
        url
    }
}

/// A whole page around its parts.
pub(crate) fn page(view: &View, moment: &Moment, parts: &Fragments) -> Html {
    let job = &moment.snapshot.job;
    let tag = |name: &str| ASSETS.iter().find(|a| a.name == name).map_or("", |a| a.tag.as_str());
    let mut out = Html::new();
    put!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} – Weir</title>\
         <link rel=\"icon\" href=\"/assets/icon.svg?{}\"><link rel=\"stylesheet\" href=\"/assets/page.css?{}\">\
         <script type=\"module\" src=\"/assets/page.js?{}\"></script></head>",
        if job.name.is_empty() { "no job" } else { &job.name },
        tag("icon.svg"),
        tag("page.css"),
        tag("page.js"),
    );
    put!(
        out,
        "<body data-stream=\"{}\" data-at=\"{}\"><a class=\"skip\" href=\"#main\">To the content</a>\
         <header class=\"top\"><a class=\"brand\" href=\"/\" aria-label=\"Weir, the job\">{}</a>",
        view.stream(),
        moment.snapshot.at_ms,
        "≋"
    );
    let part = |out: &mut Html, element: &'static str, id: &str| {
        let Some((_, html)) = parts.iter().find(|(name, _)| *name == id) else { return };
        put!(out, "<{} id=\"{}\" class=\"part-{}\">", element, id, id);
        out.add(html);
        put!(out, "</{}>", element);
    };
    part(&mut out, "div", "head");
    out.raw("<nav aria-label=\"Pages\">");
    for (path, name, label) in [
        ("/", "job", "Job"),
        ("/checkpoints", "checkpoints", "Checkpoints"),
        ("/program", "program", "Program"),
        ("/log", "log", "Log"),
    ] {
        let here = name == view.name();
        put!(out, "<a href=\"{}\"{}>{}</a>", path, Current(here).word(), label);
    }
    out.raw(
        "</nav><div class=\"age\" role=\"status\" aria-live=\"off\"><i></i><span id=\"age\"></span></div>\
         <button id=\"theme\" type=\"button\" title=\"Light or dark (t)\" aria-label=\"Light or dark\">◐</button>\
         </header><main id=\"main\">",
    );
    for (id, _) in parts.iter().filter(|(id, _)| !matches!(*id, "head" | "foot" | "drawer")) {
        part(&mut out, "section", id);
    }
    out.raw("</main>");
    part(&mut out, "aside", "drawer");
    out.raw("<footer>");
    part(&mut out, "div", "foot");
    out.raw(
        "<span><a href=\"?format=json\">this page as JSON</a></span>\
         <span class=\"keys\"><kbd>j</kbd> job <kbd>c</kbd> checkpoints <kbd>p</kbd> program <kbd>l</kbd> log \
         <kbd>t</kbd> light or dark <kbd>Esc</kbd> close</span></footer></body></html>",
    );
    out
}

struct Current(bool);

impl Current {
    /// An attribute without a value to escape.
    fn word(&self) -> &'static str {
        if self.0 { " aria-current=page" } else { "" }
    }
}

fn head(moment: &Moment) -> Html {
    let mut out = Html::new();
    let job = &moment.snapshot.job;
    if moment.elsewhere.is_empty() {
        put!(out, "<h1>{}</h1>", job.name);
        let class = match job.state.as_str() {
            "Running" => "good",
            "Finished" | "Stopped" => "calm",
            "Failed" | "Fenced" => "bad",
            _ => "busy",
        };
        put!(out, "<span class=\"state {}\">{}</span>", class, job.state);
    } else {
        out.raw("<h1>Weir</h1>");
    }
    out
}

/// Who runs it.
fn foot(snapshot: &Snapshot) -> Html {
    let mut out = Html::new();
    let job = &snapshot.job;
    put!(
        out,
        "<span>{} / {}, term {}, {} at parallelism {}</span>",
        job.namespace,
        job.name,
        job.term,
        crate::words::plural(u64::from(job.workers), "worker"),
        job.parallelism
    );
    out
}

fn elsewhere(why: &str) -> Html {
    let mut out = Html::new();
    put!(out, "<div class=\"card finding note\"><h2>Nothing to show here</h2><p>{}</p></div>", why);
    out
}

fn log(lines: &[String]) -> Html {
    let mut out = Html::new();
    out.raw("<div class=\"card\"><h2>Log</h2>");
    if lines.is_empty() {
        out.raw("<p class=\"quiet\">Nothing was logged. <code>WEIR_LOG=info</code> says more.</p>");
    } else {
        out.raw(
            "<input id=\"filter\" type=\"search\" placeholder=\"Lines that contain …\" \
             aria-label=\"Lines that contain\"><pre class=\"log\" tabindex=\"0\">",
        );
        for line in lines {
            put!(out, "<span>{}\n</span>", line);
        }
        out.raw("</pre>");
    }
    out.raw("</div>");
    out
}

/// A moment as an element that a script turns into local time.
fn time(out: &mut Html, at_ms: u64, snapshot: &Snapshot) {
    put!(out, "<time data-at=\"{}\">{} UTC</time>", at_ms, time_of_day(at_ms, snapshot.at_ms));
}
