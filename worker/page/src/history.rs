//! What a job was like: 600 points a second apart and 1,440 a minute apart, in rings of a fixed
//! size. A job of twenty chains takes 1.3 MB.

use std::collections::VecDeque;
use std::sync::Arc;

use weir_protocol::view::{History, JobPoint, Snapshot, VertexPoint};

const SECONDS: usize = 600;
const MINUTES: usize = 1_440;

/// Both rings.
#[derive(Clone, Debug, Default)]
pub struct Rings {
    seconds: Ring,
    minutes: Ring,
    /// Those of the minute that is not over.
    minute: Vec<Point>,
}

#[derive(Clone, Debug, Default)]
struct Point {
    job: JobPoint,
    /// Chains by the uid of their first operator, for numbers change with the program. Points share
    /// them: on their own they would take more than all figures.
    uids: Arc<[String]>,
    /// In the same order.
    vertices: Box<[VertexPoint]>,
}

#[derive(Clone, Debug, Default)]
struct Ring(VecDeque<Point>);

impl Ring {
    fn push(&mut self, point: Point, most: usize) {
        if self.0.len() >= most {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    fn history(&self, step_s: u32, since_ms: u64) -> History {
        let mut history = History { step_s, ..History::default() };
        for point in self.0.iter().filter(|point| point.job.at_ms > since_ms) {
            // Chains that appear later are drawn from their first point on.
            let known = history.job.len();
            history.at_ms = point.job.at_ms;
            history.job.push(point.job);
            for (uid, vertex) in point.uids.iter().zip(&point.vertices) {
                let series = history.vertices.entry(uid.clone()).or_default();
                series.resize(known, VertexPoint::default());
                series.push(*vertex);
            }
        }
        let length = history.job.len();
        history.vertices.values_mut().for_each(|s| s.resize(length, VertexPoint::default()));
        history
    }
}

impl Rings {
    /// Takes the next point, a second after the last one.
    pub fn push(&mut self, snapshot: &Snapshot) {
        let point = Point::of(snapshot, self.seconds.0.back().map(|point| &point.uids));
        let minute = |ms: u64| ms / 60_000;
        if self.minute.first().is_some_and(|p| minute(p.job.at_ms) != minute(point.job.at_ms)) {
            let over = std::mem::take(&mut self.minute);
            self.minutes.extend(mean(over));
        }
        self.minute.push(point.clone());
        self.seconds.push(point, SECONDS);
    }

    /// The last ten minutes.
    #[must_use]
    pub fn seconds(&self, since_ms: u64) -> History {
        self.seconds.history(1, since_ms)
    }

    /// The last day, up to the last full minute.
    #[must_use]
    pub fn minutes(&self, since_ms: u64) -> History {
        self.minutes.history(60, since_ms)
    }
}

impl Ring {
    fn extend(&mut self, point: Option<Point>) {
        if let Some(point) = point {
            self.push(point, MINUTES);
        }
    }
}

impl Point {
    /// The vertex whose first operator this is.
    fn vertex(&self, uid: &str) -> Option<&VertexPoint> {
        self.vertices.get(self.uids.iter().position(|known| known == uid)?)
    }

    /// `known`: uids of the point before.
    fn of(snapshot: &Snapshot, known: Option<&Arc<[String]>>) -> Self {
        let totals = &snapshot.totals;
        let splits = snapshot.vertices.iter().flat_map(|v| &v.subtasks).flat_map(|s| &s.splits);
        let marks: Vec<i64> = splits.filter(|s| !s.idle).filter_map(|s| s.watermark).collect();
        let watermarks = marks.iter().min().copied().zip(marks.iter().max().copied());
        let sources = snapshot.vertices.iter().flat_map(|v| &v.operators);
        let job = JobPoint {
            at_ms: snapshot.at_ms,
            in_rate: totals.in_rate as f32,
            out_rate: totals.out_rate as f32,
            freshness_s: totals.freshness_s.map(|s| s as f32),
            watermarks,
            backlog: sources.map(|o| o.backlog).sum::<u64>() as f32,
            state_bytes: snapshot.memory.state_bytes as f32,
            epoch: snapshot.checkpoint.epoch,
            checkpoint_ms: snapshot.checkpoint.took_ms as f32,
        };
        let vertices = snapshot.vertices.iter().filter(|vertex| !vertex.operators.is_empty());
        let uids = vertices.clone().filter_map(|v| v.operators.first()).map(|o| &o.uid);
        let uids = match known.filter(|known| known.iter().eq(uids.clone())) {
            Some(known) => Arc::clone(known),
            None => uids.cloned().collect(),
        };
        let vertices = vertices.map(|vertex| VertexPoint {
            in_rate: vertex.in_rate() as f32,
            out_rate: vertex.out_rate() as f32,
            busy: vertex.most(|time| time.busy) as f32,
            held: vertex.most(|time| time.held) as f32,
            state_bytes: vertex.state_bytes() as f32,
        });
        Self { job, uids, vertices: vertices.collect() }
    }
}

/// A minute's points as one: means of rates, the worst of what is worse when larger.
fn mean(points: Vec<Point>) -> Option<Point> {
    let n = points.len() as f32;
    let last = points.last()?.clone();
    let over = |value: fn(&JobPoint) -> f32| points.iter().map(|p| value(&p.job)).sum::<f32>() / n;
    let freshness = points.iter().filter_map(|p| p.job.freshness_s);
    let job = JobPoint {
        in_rate: over(|p| p.in_rate),
        out_rate: over(|p| p.out_rate),
        freshness_s: freshness.reduce(f32::max),
        checkpoint_ms: points.iter().map(|p| p.job.checkpoint_ms).fold(0.0, f32::max),
        ..last.job
    };
    let vertices = last.uids.iter().zip(&last.vertices).map(|(uid, last)| {
        let of: Vec<&VertexPoint> = points.iter().filter_map(|point| point.vertex(uid)).collect();
        let mean = |value: fn(&VertexPoint) -> f32| {
            of.iter().map(|p| value(p)).sum::<f32>() / of.len().max(1) as f32
        };
        VertexPoint {
            in_rate: mean(|p| p.in_rate),
            out_rate: mean(|p| p.out_rate),
            busy: mean(|p| p.busy),
            held: mean(|p| p.held),
            ..*last
        }
    });
    let (uids, vertices) = (Arc::clone(&last.uids), vertices.collect());
    Some(Point { job, uids, vertices })
}

#[cfg(test)]
mod tests {
    use weir_protocol::view::{OperatorView, SubtaskView, TotalsView, VertexView};

    use super::*;

    fn snapshot(second: u64, in_rate: f64) -> Snapshot {
        let operator = OperatorView { uid: "a".into(), ..OperatorView::default() };
        Snapshot {
            at_ms: second * 1000,
            totals: TotalsView { in_rate, ..TotalsView::default() },
            vertices: vec![VertexView { operators: vec![operator], ..VertexView::default() }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn rings_keep_ten_minutes_and_a_day() {
        let mut rings = Rings::default();
        for second in 0..100_000 {
            rings.push(&snapshot(second, if second % 2 == 0 { 0.0 } else { 100.0 }));
        }
        let seconds = rings.seconds(0);
        assert_eq!((seconds.job.len(), seconds.step_s, seconds.at_ms), (600, 1, 99_999_000));
        assert_eq!(seconds.vertices["a"].len(), 600);
        let minutes = rings.minutes(0);
        assert_eq!((minutes.job.len(), minutes.step_s), (1_440, 60));
        assert!((minutes.job[7].in_rate - 50.0).abs() < 0.01, "{:?}", minutes.job[7]);
        assert_eq!(rings.seconds(99_989_000).job.len(), 10);
    }

    #[test]
    fn a_chain_that_comes_later_is_drawn_from_its_first_point_on() {
        let mut rings = Rings::default();
        rings.push(&snapshot(1, 7.0));
        let mut more = snapshot(2, 7.0);
        let operator = OperatorView { uid: "b".into(), ..OperatorView::default() };
        let subtasks = vec![SubtaskView { in_rate: 5.0, ..SubtaskView::default() }];
        let operators = vec![operator];
        more.vertices.insert(0, VertexView { operators, subtasks, ..VertexView::default() });
        rings.push(&more);
        let seconds = rings.seconds(0);
        let rates = |uid: &str| seconds.vertices[uid].iter().map(|p| p.in_rate).collect::<Vec<_>>();
        assert_eq!((rates("a"), rates("b")), (vec![0.0, 0.0], vec![0.0, 5.0]));
    }
}
