//! Dashboards for Grafana, each written down briefly and readably in `e2e/dashboards/*.yaml`; what
//! Grafana reads is made of that, and kept in the chart.
//!
//! What always holds: every panel says what to do; every query of a dashboard is known here
//! ([`Dashboard::queries`]), so that tests can put each to Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::job::repository;

/// Version of the form that Grafana 10 and later read; they bring it up to date themselves.
const SCHEMA: u32 = 39;
/// A dashboard is so wide.
const COLUMNS: u32 = 24;

/// A dashboard as it is written down.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// Name of its file, without the ending.
    #[serde(skip)]
    pub name: String,
    uid: String,
    title: String,
    description: String,
    /// What is chosen above the panels, beside the data source.
    #[serde(default)]
    variables: Vec<Variable>,
    /// Words that stand for label matchers in its queries.
    #[serde(default)]
    shorthands: BTreeMap<String, String>,
    #[serde(default)]
    marks: Vec<Mark>,
    sections: Vec<Section>,
}

/// A choice: the values of a label.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    label: String,
    /// The series that have the label.
    of: String,
    tag: String,
    /// Several, or all, may be chosen.
    #[serde(default)]
    many: bool,
}

/// Vertical lines across all panels.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    name: String,
    color: String,
    #[serde(default)]
    off: bool,
    /// Where they stand is what the query says, in milliseconds, not when it says so.
    #[serde(default)]
    at_value: bool,
    expr: String,
    title: String,
    #[serde(default)]
    quiet: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default)]
    title: String,
    panels: Vec<Panel>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A number with what it was like.
    Stat,
    /// The name of a series.
    Word,
    Lines,
    /// Areas that add up.
    Stack,
    Bars,
    /// What is now, a row for each series.
    Table,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    title: String,
    /// What it means, and what to do.
    says: String,
    kind: Kind,
    #[serde(default)]
    unit: String,
    /// Of [`COLUMNS`].
    width: u32,
    #[serde(default)]
    height: Option<u32>,
    /// Where the axis ends.
    #[serde(default)]
    top: Option<f64>,
    /// From here on it is yellow, and red.
    #[serde(default)]
    warning: Option<f64>,
    #[serde(default)]
    critical: Option<f64>,
    /// Columns by which a table is sorted, the largest first.
    #[serde(default)]
    sort: Vec<String>,
    /// The dashboard of a job to which a table's `streamjob` leads.
    #[serde(default)]
    opens: Option<String>,
    queries: Vec<Asked>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    expr: String,
    #[serde(default)]
    legend: String,
    /// What a table calls its values.
    #[serde(default)]
    column: Option<String>,
    #[serde(default)]
    unit: String,
    /// A table shows its labels only.
    #[serde(default)]
    hide_value: bool,
    /// Of what it says nothing, rightly.
    #[serde(default)]
    quiet: Option<String>,
}

/// A query of a dashboard, with the variables of Grafana in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Dashboard and panel.
    pub place: String,
    /// In Prometheus' language.
    pub expr: String,
    /// Texts beside it that name its labels: `{{task}}`.
    pub legend: String,
    /// What it says nothing of, rightly; every other query has an answer when a job runs.
    pub quiet: Option<String>,
}

impl Query {
    /// As Grafana would ask it of one job. `every`: over how long rates are.
    #[must_use]
    pub fn of_job(&self, namespace: &str, job: &str, every: &str) -> String {
        let known = [
            ("$__rate_interval", every),
            ("$__range", every),
            ("$namespace", namespace),
            ("$streamjob", job),
        ];
        known.iter().fold(self.expr.clone(), |expr, (name, value)| expr.replace(name, value))
    }
}

/// All dashboards, by name.
///
/// # Errors
/// When a file is not what one is written in.
pub fn all() -> Result<Vec<Dashboard>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(repository().join("e2e/dashboards"))? {
        files.push(entry?.path());
    }
    files.sort();
    files.iter().map(Dashboard::read).collect()
}

impl Dashboard {
    fn read(file: &PathBuf) -> Result<Self> {
        let text = fs::read_to_string(file)?;
        let mut read: Self =
            serde_yaml_ng::from_str(&text).with_context(|| file.display().to_string())?;
        read.name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for section in &read.sections {
            let wide: u32 = section.panels.iter().map(|panel| panel.width).sum();
            let name = &section.title;
            ensure!(wide.is_multiple_of(COLUMNS), "{}: `{name}` has ragged rows", file.display());
        }
        Ok(read)
    }

    /// Where the chart keeps it.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        repository().join(format!("charts/weir/files/dashboards/{}.json", self.name))
    }

    fn expand(&self, expr: &str) -> String {
        let mut names: Vec<_> = self.shorthands.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.iter().fold(expr.to_owned(), |expr, (name, text)| expr.replace(*name, text))
    }

    /// Everything that it asks Prometheus for.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        let query = |place: &str, expr: &str, legend: &str, quiet: &Option<String>| Query {
            place: format!("{}: {place}", self.title),
            expr: self.expand(expr),
            legend: legend.to_owned(),
            quiet: quiet.clone(),
        };
        let panels = self.sections.iter().flat_map(|section| &section.panels);
        let asked = panels.flat_map(|panel| panel.queries.iter().map(move |asked| (panel, asked)));
        let asked = asked
            .map(|(panel, asked)| query(&panel.title, &asked.expr, &asked.legend, &asked.quiet));
        let marks =
            self.marks.iter().map(|mark| query(&mark.name, &mark.expr, &mark.title, &mark.quiet));
        let variables = self.variables.iter().map(|variable| {
            let expr = format!("count by ({}) ({})", variable.tag, variable.of);
            query(&variable.name, &expr, "", &None)
        });
        asked.chain(marks).chain(variables).collect()
    }

    /// As Grafana reads it, with a line's end behind it.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{:#}\n", self.json())
    }

    fn json(&self) -> Value {
        let mut panels = Vec::new();
        let (mut x, mut y, mut tallest) = (0, 0, 0);
        for section in &self.sections {
            if !section.title.is_empty() {
                panels.push(json!({
                    "id": panels.len() + 1,
                    "type": "row",
                    "title": section.title,
                    "collapsed": false,
                    "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
                    "panels": [],
                }));
                y += 1;
            }
            for panel in &section.panels {
                let height = panel.height();
                let at = json!({"x": x, "y": y, "w": panel.width, "h": height});
                panels.push(self.panel(panel, panels.len() + 1, &at));
                (x, tallest) = (x + panel.width, height.max(tallest));
                if x == COLUMNS {
                    (x, y, tallest) = (0, y + tallest, 0);
                }
            }
        }
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["weir"],
            "schemaVersion": SCHEMA,
            "editable": true,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [{
                "type": "dashboards", "tags": ["weir"], "title": "Weir", "asDropdown": false,
                "keepTime": true, "includeVars": true, "icon": "", "targetBlank": false, "tooltip": "",
            }],
            "templating": {"list": self.choices()},
            "annotations": {"list": self.marks.iter().map(|mark| self.mark(mark)).collect::<Vec<_>>()},
            "panels": panels,
        })
    }

    fn choices(&self) -> Vec<Value> {
        let mut list = vec![json!({
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        })];
        list.extend(self.variables.iter().map(|variable| {
            let query = format!("label_values({}, {})", variable.of, variable.tag);
            let mut choice = json!({
                "name": variable.name,
                "label": variable.label,
                "type": "query",
                "datasource": source(),
                "query": {"query": query, "refId": variable.name},
                "definition": query,
                "refresh": 2,
                "sort": 1,
                "multi": variable.many,
                "includeAll": variable.many,
            });
            if variable.many {
                choice["allValue"] = ".*".into();
                choice["current"] = json!({"text": ["All"], "value": ["$__all"]});
            }
            choice
        }));
        list
    }

    fn mark(&self, mark: &Mark) -> Value {
        json!({
            "name": mark.name,
            "datasource": source(),
            "enable": !mark.off,
            "iconColor": mark.color,
            "expr": self.expand(&mark.expr),
            "titleFormat": mark.title,
            "useValueForTime": mark.at_value,
        })
    }

    fn panel(&self, panel: &Panel, id: usize, at: &Value) -> Value {
        let mut targets = Vec::new();
        for (asked, letter) in panel.queries.iter().zip('A'..='Z') {
            let mut target = json!({
                "refId": letter.to_string(),
                "datasource": source(),
                "expr": self.expand(&asked.expr),
                "legendFormat": asked.legend,
            });
            match panel.kind {
                Kind::Table => {
                    target["format"] = "table".into();
                    target["instant"] = true.into();
                }
                _ => target["range"] = true.into(),
            }
            targets.push(target);
        }
        let mut drawn = json!({
            "id": id,
            "type": panel.kind.grafana(),
            "title": panel.title,
            "description": panel.says,
            "datasource": source(),
            "gridPos": at,
            "targets": targets,
            "options": panel.options(),
            "fieldConfig": {"defaults": panel.defaults(), "overrides": panel.overrides()},
        });
        if panel.kind == Kind::Table {
            drawn["transformations"] = panel.transformations();
        }
        drawn
    }
}

/// The data source that is chosen above the panels.
fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Kind {
    fn grafana(self) -> &'static str {
        match self {
            Self::Stat | Self::Word => "stat",
            Self::Lines | Self::Stack | Self::Bars => "timeseries",
            Self::Table => "table",
        }
    }
}

impl Panel {
    fn height(&self) -> u32 {
        self.height.unwrap_or(match self.kind {
            Kind::Stat | Kind::Word => 4,
            _ => 8,
        })
    }

    fn options(&self) -> Value {
        match self.kind {
            Kind::Stat | Kind::Word => json!({
                "reduceOptions": {"calcs": ["lastNotNull"], "values": false},
                "colorMode": if self.warning.is_some() { "background" } else { "value" },
                "graphMode": if self.kind == Kind::Stat { "area" } else { "none" },
                "textMode": if self.kind == Kind::Word { "name" } else { "auto" },
            }),
            Kind::Lines | Kind::Stack | Kind::Bars => json!({
                "legend": {
                    "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [],
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Kind::Table => {
                let sort = self.sort.iter().map(|name| json!({"displayName": name, "desc": true}));
                json!({"showHeader": true, "sortBy": sort.collect::<Vec<_>>()})
            }
        }
    }

    fn defaults(&self) -> Value {
        let mut steps = vec![json!({"color": "green", "value": null})];
        let limits = [("yellow", self.warning), ("red", self.critical)];
        steps.extend(limits.iter().filter_map(|(color, limit)| {
            limit.map(|limit| json!({"color": color, "value": limit}))
        }));
        let mut defaults = json!({
            "unit": if self.unit.is_empty() { "none" } else { &self.unit },
            "thresholds": {"mode": "absolute", "steps": steps},
            "noValue": "–",
        });
        if let Some(top) = self.top {
            defaults["max"] = top.into();
        }
        if self.kind != Kind::Table && self.unit != "dateTimeAsIso" {
            defaults["min"] = 0.into();
        }
        let style = match self.kind {
            Kind::Lines => json!({"drawStyle": "line", "lineWidth": 1, "fillOpacity": 5}),
            Kind::Stack => json!({
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": 40,
                "stacking": {"mode": "normal", "group": "A"},
            }),
            Kind::Bars => json!({
                "drawStyle": "bars", "fillOpacity": 60, "stacking": {"mode": "normal", "group": "A"},
            }),
            _ => return defaults,
        };
        defaults["custom"] = style;
        defaults
    }

    /// What a table calls the values of a query, before they are renamed.
    fn value_of(&self, letter: char) -> String {
        match self.queries.len() {
            1 => "Value".to_owned(),
            _ => format!("Value #{letter}"),
        }
    }

    fn transformations(&self) -> Value {
        let mut hidden = json!({"Time": true});
        let mut names = json!({});
        for (asked, letter) in self.queries.iter().zip('A'..='Z') {
            let value = self.value_of(letter);
            match &asked.column {
                Some(name) => names[value] = name.as_str().into(),
                None if asked.hide_value => hidden[value] = true.into(),
                None => {}
            }
        }
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": hidden, "renameByName": names}},
        ])
    }

    fn overrides(&self) -> Vec<Value> {
        let of = |column: &str, id: &str, value: Value| {
            json!({
                "matcher": {"id": "byName", "options": column},
                "properties": [{"id": id, "value": value}],
            })
        };
        let units = self.queries.iter().filter(|asked| !asked.unit.is_empty());
        let mut overrides: Vec<Value> = units
            .filter_map(|asked| {
                Some(of(asked.column.as_deref()?, "unit", asked.unit.as_str().into()))
            })
            .collect();
        if let Some(uid) = &self.opens {
            let url = format!(
                "/d/{uid}?var-datasource=${{datasource}}\
                 &var-namespace=${{__data.fields.namespace}}\
                 &var-streamjob=${{__data.fields.streamjob}}"
            );
            let link = json!([{"title": "The job's dashboard", "url": url}]);
            overrides.push(of("streamjob", "links", link));
        }
        overrides
    }
}
