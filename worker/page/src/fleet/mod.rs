//! The fleet page: one row a job, the worst first; what `kubectl weir ui` shows without a name.
//!
//! - **In**: rows, whenever whoever looks at the cluster has looked again.
//! - **Out**: one page, kept new by a stream, and the same as JSON.
//! - **Always**: as of a job's page: on loopback, for this machine's browser alone, read-only. To
//!   open a job is left to whoever serves the page ([`Opens`]), who knows the way to it.

mod serve;

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::html::{Html, put};
use crate::serve::ASSETS;
use crate::words::{duration, rate};

/// How a job does, for its colour and mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Tone {
    /// A person has to look.
    Bad,
    /// Something is under way, or is not as it should be.
    Busy,
    /// It is well.
    Good,
    /// It is at rest.
    #[default]
    Calm,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Busy => "busy",
            Self::Good => "good",
            Self::Calm => "calm",
        }
    }
}

/// A job.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetRow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How it does.
    pub tone: Tone,
    /// In a word.
    pub verdict: String,
    /// As `kubectl get` shows it.
    pub state: String,
    /// Subtasks, or from what to what.
    pub parallelism: String,
    /// Restarts so far.
    pub restarts: u64,
    /// Seconds since its newest checkpoint.
    pub checkpoint_age_s: Option<f64>,
    /// Rows that its sources read a second, where it says so.
    pub in_rate: Option<f64>,
    /// Seconds that its event time is behind the clock.
    pub behind_s: Option<f64>,
    /// Why it is no better.
    pub why: String,
    /// It has a page that can be opened.
    pub has_page: bool,
}

/// All jobs at one moment, the worst first.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetMoment {
    /// When it was looked.
    pub at_ms: u64,
    /// Where: a namespace, or all.
    pub place: String,
    /// The jobs.
    pub rows: Vec<FleetRow>,
    /// Why there is nothing newer; empty when all is well.
    pub problem: String,
}

/// Opens the page of a job, by namespace and name: where it is then, or why it cannot be opened.
pub type Opens = Arc<dyn Fn(&str, &str) -> Result<String, String> + Send + Sync>;

/// The newest moment, for those who look.
#[derive(Clone, Debug)]
pub struct Fleet(watch::Sender<Arc<Shown>>);

/// A moment, and since when it is shown. Its own time is that of another clock than the reader's.
#[derive(Debug)]
struct Shown {
    moment: FleetMoment,
    since: Instant,
}

impl Shown {
    fn age_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Fleet {
    /// Of what was seen first.
    #[must_use]
    pub fn new(moment: FleetMoment) -> Self {
        Self(watch::Sender::new(Arc::new(Shown { moment, since: Instant::now() })))
    }

    /// What was seen now.
    pub fn show(&self, moment: FleetMoment) {
        self.0.send_replace(Arc::new(Shown { moment, since: Instant::now() }));
    }

    /// Nothing was seen now, and why: what was seen before is shown on, as old as it is.
    pub fn is_silent(&self, problem: &str) {
        let before = self.shown();
        let moment = FleetMoment { problem: problem.to_owned(), ..before.moment.clone() };
        self.0.send_replace(Arc::new(Shown { moment, since: before.since }));
    }

    /// Whether somebody has the page open, so that it is worth looking.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// The pages and `/v1/…`.
    pub fn router(&self, opens: Opens) -> axum::Router {
        serve::router(self.clone(), opens)
    }

    fn shown(&self) -> Arc<Shown> {
        self.0.borrow().clone()
    }
}

/// Parts of the page by the id of their element.
fn fragments(moment: &FleetMoment) -> [(&'static str, Html); 2] {
    [("verdict", summary(moment)), ("fleet", table(moment))]
}

fn summary(moment: &FleetMoment) -> Html {
    let mut out = Html::new();
    if !moment.problem.is_empty() {
        put!(
            out,
            "<div class=\"card finding critical\"><h2><i></i>The cluster does not answer</h2><p>{}</p></div>",
            moment.problem
        );
        return out;
    }
    let count = |tone| moment.rows.iter().filter(|row| row.tone == tone).count();
    let [bad, busy, good, calm] = [Tone::Bad, Tone::Busy, Tone::Good, Tone::Calm].map(count);
    let tone = match (bad, busy) {
        (0, 0) if good + calm == 0 => "calm",
        (0, 0) => "good",
        (0, _) => "busy",
        _ => "bad",
    };
    // A verdict has no bad form of its own: that is a finding's.
    match tone {
        "bad" => out.raw("<div class=\"card finding critical\"><h2><i></i>"),
        "busy" => out.raw("<div class=\"card verdict busy\"><h2><i></i>"),
        "good" => out.raw("<div class=\"card verdict good\"><h2><i></i>"),
        _ => out.raw("<div class=\"card verdict calm\"><h2><i></i>"),
    }
    put!(
        out,
        "{} in trouble, {} changing, {} well, {} at rest</h2><p>{}</p></div>",
        bad,
        busy,
        good,
        calm,
        moment.place
    );
    out
}

fn table(moment: &FleetMoment) -> Html {
    let mut out = Html::new();
    if moment.rows.is_empty() {
        out.raw(
            "<div class=\"card\"><h2>No StreamJob here</h2><p class=\"quiet\">A job is a manifest: \
             <code>kubectl apply -f crds/examples/generated-bids.yaml</code> makes one.</p></div>",
        );
        return out;
    }
    out.raw(
        "<div class=\"card scroll\"><table class=\"fleet\"><thead><tr><th scope=\"col\">Job</th><th scope=\"col\">How it does</th>\
         <th scope=\"col\">State</th><th class=\"r\" scope=\"col\">Behind</th><th class=\"r\" scope=\"col\">Rows/s</th>\
         <th class=\"r\" scope=\"col\">Parallelism</th><th class=\"r\" scope=\"col\">Checkpoint</th>\
         <th class=\"r\" scope=\"col\">Restarts</th><th scope=\"col\">Why</th></tr></thead><tbody>",
    );
    for row in &moment.rows {
        // An id keeps a row the same one where others come and go.
        put!(out, "<tr id=\"job-{}/{}\"><th scope=\"row\">", row.namespace, row.name);
        let label = format!("{} / {}", row.namespace, row.name);
        match row.has_page {
            true => put!(out, "<a href=\"/jobs/{}/{}\">{}</a>", row.namespace, row.name, label),
            false => put!(out, "{}", label),
        }
        let seconds = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), duration);
        put!(
            out,
            "</th><td><span class=\"state {}\">{}</span></td><td>{}</td><td class=\"r\">{}</td>\
             <td class=\"r\">{}</td><td class=\"r\">{}</td><td class=\"r\">{}</td><td class=\"r\">{}</td>\
             <td class=\"why\" title=\"{}\">{}</td></tr>",
            row.tone.class(),
            row.verdict,
            row.state,
            seconds(row.behind_s),
            row.in_rate.map_or_else(|| "–".to_owned(), rate),
            row.parallelism,
            seconds(row.checkpoint_age_s),
            row.restarts,
            row.why,
            row.why.lines().next().unwrap_or_default(),
        );
    }
    out.raw("</tbody></table></div>");
    out
}

/// The whole page.
fn page(moment: &FleetMoment, age_ms: u64) -> Html {
    let tag = |name: &str| ASSETS.iter().find(|a| a.name == name).map_or("", |a| a.tag.as_str());
    let mut out = Html::new();
    put!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Jobs – Weir</title>\
         <link rel=\"icon\" href=\"/assets/icon.svg?{}\"><link rel=\"stylesheet\" href=\"/assets/page.css?{}\">\
         <script type=\"module\" src=\"/assets/page.js?{}\"></script></head>\
         <body data-stream=\"/v1/stream\" data-at=\"{}\" data-age=\"{}\"><a class=\"skip\" href=\"#main\">To the content</a>\
         <header class=\"top\"><a class=\"brand\" href=\"/\" aria-label=\"Weir, all jobs\">≋</a>\
         <div id=\"head\"><h1>Jobs</h1></div>\
         <div class=\"age\" role=\"status\" aria-live=\"off\"><i></i><span id=\"age\"></span></div>\
         <button id=\"theme\" type=\"button\" title=\"Light or dark (t)\" aria-label=\"Light or dark\">◐</button>\
         </header><main id=\"main\">",
        tag("icon.svg"),
        tag("page.css"),
        tag("page.js"),
        moment.at_ms,
        age_ms,
    );
    for (id, html) in fragments(moment) {
        if id == "fleet" {
            out.raw(
                "<input id=\"filter\" type=\"search\" placeholder=\"Jobs that contain …\" \
                 aria-label=\"Jobs that contain\">",
            );
        }
        put!(out, "<section id=\"{}\" class=\"part-{}\">", id, id);
        out.add(&html);
        out.raw("</section>");
    }
    out.raw(
        "</main><footer><span><a href=\"/v1/fleet\">this page as JSON</a></span>\
         <span class=\"keys\"><kbd>t</kbd> light or dark</span></footer></body></html>",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_says_how_many_are_well_and_names_each() {
        let row = |name: &str, tone, why: &str| FleetRow {
            namespace: "shop".into(),
            name: name.into(),
            tone,
            verdict: "stalled".into(),
            why: why.into(),
            has_page: tone != Tone::Calm,
            in_rate: Some(1_000.0),
            ..FleetRow::default()
        };
        let rows = vec![
            row("bad", Tone::Bad, "no column <dist>\n  9 | SELECT"),
            row("good", Tone::Good, ""),
            row("asleep", Tone::Calm, ""),
        ];
        let moment = FleetMoment { rows, place: "namespace shop".into(), ..FleetMoment::default() };
        let text = page(&moment, 7_000).into_string();
        assert!(text.contains("1 in trouble, 0 changing, 1 well, 1 at rest"), "{text}");
        assert!(text.contains("<a href=\"/jobs/shop/bad\">shop / bad</a>"), "{text}");
        assert!(text.contains(">no column &lt;dist&gt;</td>"), "{text}");
        assert!(text.contains("scope=\"row\">shop / asleep</th>"), "it has no page: {text}");
        assert!(text.find("shop / bad") < text.find("shop / good"), "{text}");
        assert!(text.contains("data-age=\"7000\""), "how old it is: {text}");
        let empty = page(&FleetMoment::default(), 0).into_string();
        assert!(empty.contains("No StreamJob here"), "{empty}");
        let problem = "no <right>".to_owned();
        let broken = page(&FleetMoment { problem, ..FleetMoment::default() }, 0).into_string();
        assert!(broken.contains("no &lt;right&gt;"), "{broken}");
    }

    #[test]
    fn rows_of_other_namespaces_are_other_rows() {
        let row = |namespace: &str, name: &str| FleetRow {
            namespace: namespace.into(),
            name: name.into(),
            ..FleetRow::default()
        };
        let rows = vec![row("a", "b-c"), row("a-b", "c")];
        let text = page(&FleetMoment { rows, ..FleetMoment::default() }, 0).into_string();
        let ids = text.split("<tr id=\"").skip(1).filter_map(|rest| rest.split('"').next());
        assert_eq!(ids.collect::<Vec<_>>(), ["job-a/b-c", "job-a-b/c"]);
    }

    #[tokio::test]
    async fn what_could_not_be_seen_anew_stays_as_old_as_it_is() {
        let row = FleetRow { name: "delays".into(), ..FleetRow::default() };
        let first = FleetMoment { at_ms: 5, rows: vec![row], ..FleetMoment::default() };
        let fleet = Fleet::new(first.clone());
        let since = fleet.shown().since;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        fleet.is_silent("no route");
        let shown = fleet.shown();
        assert_eq!((shown.since, shown.moment.at_ms), (since, 5));
        assert_eq!((&shown.moment.rows, shown.moment.problem.as_str()), (&first.rows, "no route"));
        assert!(shown.age_ms() >= 20, "{shown:?}");
        fleet.show(first);
        assert!(fleet.shown().since > since && fleet.shown().moment.problem.is_empty());
    }
}
