//! Whole programs: their plans, and what is wrong with wrong ones.

mod cases;
mod declarations;
mod drafts;
mod errors;
mod fake;
mod functions;
mod join_errors;
mod operators;
mod pattern_errors;
mod plans;
mod secrets;
mod session;
mod stored;
mod subqueries;
mod tables;
mod window_errors;
mod zones;

use std::sync::Arc;

use crate::{PlanOptions, Planned, plan, render};

pub(crate) fn options() -> PlanOptions {
    PlanOptions {
        job: "default/test".to_owned(),
        max_parallelism: 720,
        base: "/jobs".into(),
        env: Box::new(|name| {
            (name == "BUCKET").then(|| crate::Variable::Value("s3://bucket".to_owned()))
        }),
        parts: Arc::new(fake::Fake),
    }
}

pub(crate) fn planned(sql: &str) -> Planned {
    match plan(sql, &options()) {
        Ok(planned) => planned,
        Err(errors) => panic!("{}", render(&errors, sql)),
    }
}
