//! Watermarks of the session's clock, for windows over points in time: days of a zone begin and end
//! when its clock shows it.

use arrow::array::Int64Array;
use weir_engine::operator::OperatorFactory;
use weir_engine::{Batch, Context, Operator, OperatorError, Output, Progress, Watermark};

use crate::zone::Zone;

/// Which watermarks come, and which leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// Points in time come, and leave as what the clock shows.
    There,
    Back,
}

/// Makes operators that pass rows as they are, and watermarks as another clock has them.
pub(crate) struct ClockFactory {
    pub(crate) zone: Zone,
    pub(crate) way: Way,
}

impl OperatorFactory for ClockFactory {
    fn create(&self, _: &Context) -> Result<Box<dyn Operator>, OperatorError> {
        Ok(Box::new(Clock { zone: self.zone, way: self.way }))
    }
}

struct Clock {
    zone: Zone,
    way: Way,
}

impl Clock {
    fn moved(&self, mark: i64) -> i64 {
        match self.way {
            Way::There => self.zone.over_at(mark),
            Way::Back => self.zone.begins_at(mark),
        }
    }
}

impl Operator for Clock {
    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        let behind = batch.behind().map(|marks| -> Int64Array {
            marks.iter().map(|mark| mark.map(|mark| self.moved(mark))).collect()
        });
        out.push(batch.with_behind(behind));
        Ok(Progress::Done)
    }

    fn outgoing(&self, mark: Watermark) -> Watermark {
        match mark {
            Watermark::MIN | Watermark::MAX => mark,
            Watermark(mark) => Watermark(self.moved(mark)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::time::parse_timestamp;

    #[test]
    fn the_first_and_the_last_watermark_are_of_no_clock() {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let clock = Clock { zone, way: Way::There };
        let ms = |text: &str| Watermark(parse_timestamp(text).unwrap().millis());
        assert_eq!(clock.outgoing(ms("2024-01-01 00:00:00")), ms("2024-01-01 08:00:00"));
        assert_eq!(clock.outgoing(Watermark::MAX), Watermark::MAX);
        assert_eq!(clock.outgoing(Watermark::MIN), Watermark::MIN);
    }
}
