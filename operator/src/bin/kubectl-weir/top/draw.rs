//! A screen as a function of what is known: pure.

use std::collections::VecDeque;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};
use weir_page::words::{bytes, count, duration, on_one_line, percent, plural, rate};
use weir_page::{checkpoints, mark};
use weir_protocol::Counter;
use weir_protocol::view::{Severity, Snapshot, SubtaskView, VertexView};

use crate::out::first_line;

/// Points of the line of rates.
const POINTS: usize = 300;
/// Data is called old from here on.
const OLD: Duration = Duration::from_secs(5);
/// Subtasks that a strip shows; of more each cell is the busiest of some.
const CELLS: usize = 16;
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What is shown.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    snapshot: Snapshot,
    rates: VecDeque<u64>,
    /// Since the newest snapshot.
    pub(crate) age: Duration,
    /// Why there is no newer one.
    pub(crate) silent: Option<String>,
    pub(crate) help: bool,
    /// The busiest operators first, not in the order in which rows pass.
    pub(crate) busiest: bool,
}

impl Screen {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        let mut screen = Self {
            snapshot: Snapshot::default(),
            rates: VecDeque::new(),
            age: Duration::ZERO,
            silent: None,
            help: false,
            busiest: false,
        };
        screen.push(snapshot);
        screen
    }

    /// A newer snapshot.
    pub(crate) fn push(&mut self, snapshot: Snapshot) {
        if self.rates.len() == POINTS {
            self.rates.pop_front();
        }
        self.rates.push_back(snapshot.totals.in_rate.max(0.0).round() as u64);
        self.snapshot = snapshot;
        self.silent = None;
    }

    fn is_old(&self) -> bool {
        self.age >= OLD || self.silent.is_some()
    }
}

/// Draws it.
pub(crate) fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let found = u16::try_from(screen.snapshot.findings.len().clamp(1, 3)).unwrap_or(1);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(found),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Length(1),
    ]);
    let [head, findings, _, table, line, saved, keys] = rows.areas(frame.area());
    frame.render_widget(head_line(screen), head);
    frame.render_widget(Paragraph::new(finding_lines(&screen.snapshot)), findings);
    if screen.help {
        frame.render_widget(Paragraph::new(help()), table);
    } else {
        frame.render_widget(operators(screen), table);
    }
    let [title, curve] =
        Layout::horizontal([Constraint::Length(14), Constraint::Min(10)]).areas(line);
    let most = screen.rates.iter().copied().max().unwrap_or(0);
    let words = format!("rows in/s\n≤ {}", count(most));
    frame.render_widget(Paragraph::new(words), title);
    let wide = usize::from(curve.width);
    let skip = screen.rates.len().saturating_sub(wide);
    let points: Vec<u64> = screen.rates.iter().skip(skip).copied().collect();
    frame.render_widget(Sparkline::default().data(&points).style(Color::Cyan), curve);
    frame.render_widget(Paragraph::new(checkpoints(&screen.snapshot)), saved);
    let hint = "q quit   s sort   ? help";
    frame.render_widget(Paragraph::new(hint).style(Modifier::DIM), keys);
}

fn head_line(screen: &Screen) -> Line<'static> {
    let Snapshot { job, at_ms, totals, .. } = &screen.snapshot;
    let up = at_ms.saturating_sub(job.began_at_ms) as f64 / 1e3;
    let mut spans = vec![
        Span::styled(on_one_line(&job.name), Modifier::BOLD),
        Span::raw(format!("   {}", on_one_line(&job.state))),
    ];
    if screen.is_old() {
        let why = screen.silent.clone().unwrap_or_else(|| "no answer".to_owned());
        let age = duration(screen.age.as_secs_f64());
        let words = format!("   {age} old: {}", first_line(&why, usize::MAX));
        spans.push(Span::styled(words, Color::Red));
    }
    let workers = match job.workers == job.parallelism {
        true => plural(u64::from(job.workers), "worker"),
        false => format!("{} at {}", plural(u64::from(job.workers), "worker"), job.parallelism),
    };
    spans.push(Span::raw(format!(
        "   {workers}   up {}   restarts {}   {} → {} rows/s",
        duration(up),
        job.restarts,
        rate(totals.in_rate),
        rate(totals.out_rate),
    )));
    if let Some(behind) = totals.freshness_s {
        spans.push(Span::raw(format!("   {} behind", duration(behind))));
    }
    let style = if screen.is_old() { Style::from(Modifier::DIM) } else { Style::default() };
    Line::from(spans).style(style)
}

fn finding_lines(snapshot: &Snapshot) -> Vec<Line<'static>> {
    if snapshot.findings.is_empty() {
        return vec![Line::styled("well", Color::Green)];
    }
    let line = |it: &weir_protocol::view::Finding| {
        let colour = match it.severity {
            Severity::Critical => Color::Red,
            Severity::Warning => Color::Yellow,
            Severity::Note => Color::Blue,
        };
        let fix = if it.fix.is_empty() { String::new() } else { format!(" → {}", it.fix) };
        let said = on_one_line(&format!("{} {}{fix}", it.place, it.cause));
        Line::styled(format!("{} {said}", mark(it.severity)), colour)
    };
    snapshot.findings.iter().take(3).map(line).collect()
}

fn operators(screen: &Screen) -> Table<'static> {
    let mut vertices: Vec<&VertexView> = screen.snapshot.vertices.iter().collect();
    if screen.busiest {
        vertices.sort_by(|a, b| b.most(|t| t.busy).total_cmp(&a.most(|t| t.busy)));
    }
    let mut rows = Vec::new();
    for vertex in vertices {
        for (at, operator) in vertex.operators.iter().enumerate() {
            let first = at == 0;
            let name = format!("{} {}", if first { '┌' } else { '│' }, on_one_line(&operator.name));
            let (busy, held) = (vertex.most(|t| t.busy).min(1.0), vertex.most(|t| t.held).min(1.0));
            let of_chain = |text: String| if first { text } else { String::new() };
            let waiting =
                if operator.backlog > 0 { count(operator.backlog) } else { String::new() };
            let late = operator.counts[Counter::Late];
            let late = if late > 0 { count(late) } else { String::new() };
            let state = if operator.stateful { bytes(operator.state_bytes) } else { String::new() };
            rows.push(Row::new([
                Cell::from(name),
                Cell::from(if first { strip(&vertex.subtasks) } else { Line::default() }),
                Cell::from(of_chain(percent(busy))).style(shade(busy)),
                Cell::from(of_chain(percent(held))).style(if held >= 0.5 {
                    Color::Red
                } else {
                    Color::Reset
                }),
                Cell::from(rate(operator.in_rate)),
                Cell::from(rate(operator.out_rate)),
                Cell::from(waiting),
                Cell::from(state),
                Cell::from(late),
            ]));
        }
    }
    let widths = [
        Constraint::Min(20),
        Constraint::Length(CELLS as u16),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(6),
    ];
    let head =
        ["OPERATOR", "SUBTASKS", "BUSY", "HELD", "IN/S", "OUT/S", "WAITING", "STATE", "LATE"];
    let style = if screen.is_old() { Style::from(Modifier::DIM) } else { Style::default() };
    Table::new(rows, widths).header(Row::new(head).style(Modifier::BOLD)).style(style)
}

/// A cell for each subtask: its height is how busy it is, its colour whether it is held back.
fn strip(subtasks: &[SubtaskView]) -> Line<'static> {
    let some = subtasks.len().div_ceil(CELLS).max(1);
    let cell = |some: &[SubtaskView]| {
        let most = |share: fn(&SubtaskView) -> f64| some.iter().map(share).fold(0.0, f64::max);
        let (busy, held) = (most(|it| it.time.busy).min(1.0), most(|it| it.time.held));
        let step = ((busy * 7.0).round() as usize).min(7);
        let style = if held >= 0.5 { Style::from(Color::Red) } else { shade(busy) };
        Span::styled(STEPS[step].to_string(), style)
    };
    Line::from(subtasks.chunks(some).map(cell).collect::<Vec<_>>())
}

fn shade(busy: f64) -> Style {
    Style::from(match busy {
        b if b >= 0.9 => Color::Yellow,
        b if b >= 0.3 => Color::Cyan,
        _ => Color::Reset,
    })
}

fn help() -> &'static str {
    "SUBTASKS  one cell each: its height is how busy it is, red is held back by what comes behind\n\
     BUSY      of the busiest subtask: the share of its time with rows at hand\n\
     HELD      of the subtask that is held back most\n\
     WAITING   rows (or bytes, of files) that a source knows of and has not read\n\
     LATE      rows dropped as late\n\
     An operator under ┌ runs in the same thread as those marked │ below it."
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use weir_page::example::airport_delays;

    use super::*;

    fn drawn(screen: &Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(110, 16)).unwrap();
        terminal.draw(|frame| draw(frame, screen)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let lines = buffer.content().chunks(110).map(|line| {
            let text: String = line.iter().map(|cell| cell.symbol()).collect();
            format!("{}\n", text.trim_end())
        });
        lines.collect()
    }

    #[test]
    fn a_screen_shows_operators_their_subtasks_and_what_is_wrong() {
        let mut screen = Screen::new(airport_delays());
        screen.push(airport_delays());
        expect![[r#"
            airport-delays   Running   4 workers   up 3 h 12 min   restarts 1   112 k → 1,900 rows/s   4.0 s behind
            ▲ hourly count is the bottleneck → run it at a higher parallelism

            OPERATOR                         SUBTASKS         BUSY   HELD   IN/S      OUT/S     WAITING   STATE     LATE
            ┌ kafka flights                  ▂▃               30 %   80 %   1,900     112 k     1,204
            ┌ hourly count                   ▁▂▂▃▃▃▄▄▅▅▆▆▆▇▇█ 97 %   0 %    1,900     1,900               48.0 MB
            │ filesystem delays                                             1,900     0




            rows in/s     ██
            ≤ 112 k       ██
                          ██
            checkpoints  every 10 s   last 2.0 s ago, 38 ms, 1.2 MB   0 failed
            q quit   s sort   ? help
        "#]].assert_eq(&drawn(&screen));
    }

    #[test]
    fn old_data_is_called_old_and_the_busiest_can_stand_first() {
        let mut screen = Screen::new(airport_delays());
        screen.age = Duration::from_secs(7);
        assert!(drawn(&screen).contains("7.0 s old: no answer"), "{}", drawn(&screen));
        screen.silent = Some("none of its 2 pods coordinates it now\nmore".to_owned());
        assert!(drawn(&screen).contains("old: none of its 2"), "{}", drawn(&screen));
        screen.push(airport_delays());
        screen.age = Duration::ZERO;
        assert!(!drawn(&screen).contains("old:"));
        screen.busiest = true;
        let text = drawn(&screen);
        let place = |name: &str| text.find(name).unwrap();
        assert!(place("┌ hourly count") < place("┌ kafka flights"), "{text}");
        screen.help = true;
        assert!(drawn(&screen).contains("held back by what comes behind"));
    }

    #[test]
    fn what_others_say_has_no_effect_on_the_terminal() {
        let evil = "a\x1b]0;b\x07\u{9b}2Jc";
        let mut said = airport_delays();
        evil.clone_into(&mut said.job.name);
        evil.clone_into(&mut said.job.state);
        evil.clone_into(&mut said.vertices[0].operators[0].name);
        evil.clone_into(&mut said.findings[0].cause);
        evil.clone_into(&mut said.checkpoint.problem);
        let mut screen = Screen::new(said);
        screen.silent = Some(evil.to_owned());
        let drawn = drawn(&screen);
        assert!(drawn.chars().all(|c| c == '\n' || !c.is_control()), "{drawn:?}");
        assert_eq!(drawn.matches("a ]0;b  2Jc").count(), 6, "{drawn:?}");
    }

    #[test]
    fn a_small_terminal_is_no_reason_to_fail() {
        let mut terminal = Terminal::new(TestBackend::new(20, 4)).unwrap();
        terminal.draw(|frame| draw(frame, &Screen::new(airport_delays()))).unwrap();
    }
}
