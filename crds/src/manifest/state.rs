//! `spec.state`: where state is kept, and how often it is saved.

use super::text_list;
use crate::fields::{Faults, Field, or_default};
use crate::limits;
use crate::spec::{Checkpoint, State};

pub(super) fn read_state(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<State> {
    let known = ["root", "checkpoint", "adopt", "allowDroppedState"];
    let fields = faults.fields(field.node, field.line, &field.path, &known)?;
    let root = match fields.get("root") {
        Some(field) => read_root(&field, faults).map(Some),
        None => Some(None),
    };
    let checkpoint = match fields.get("checkpoint") {
        Some(field) => read_checkpoint(&field, faults),
        None => Some(Checkpoint::default()),
    };
    let allow_dropped_state = match fields.get("allowDroppedState") {
        Some(field) => text_list(&field, faults, "[\"hourly count by origin\"]"),
        None => Vec::new(),
    };
    let adopt = match fields.get("adopt") {
        Some(field) => read_uid(&field, faults).map(Some),
        None => Some(None),
    };
    Some(State { root: root?, checkpoint: checkpoint?, adopt: adopt?, allow_dropped_state })
}

/// A root is a directory or an S3 URL; whether it can be reached is found out when it is opened.
fn read_root(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = faults.text(field)?.text.clone();
    let fault = match text.split_once("://") {
        _ if text.trim().is_empty() => {
            Some("is empty; write a directory or s3://bucket/prefix".to_owned())
        }
        _ if text.len() > limits::ROOT_LEN => {
            Some(format!("{} bytes; at most {}", text.len(), limits::ROOT_LEN))
        }
        None => None,
        Some(("file", path)) if path.starts_with('/') => None,
        Some(("file", _)) => {
            Some(format!("'{text}' is not an absolute path; write file:///path or just the path"))
        }
        Some(("s3", rest)) => {
            let bucket = rest.split('/').next().unwrap_or_default();
            (bucket.len() < 3).then(|| {
                format!(
                    "'{text}' names no bucket of at least 3 characters; write s3://bucket/prefix"
                )
            })
        }
        Some((scheme, _)) => Some(format!(
            "stores of the kind '{scheme}://' are not supported; write a directory or s3://bucket/prefix"
        )),
    };
    match fault {
        None => Some(match text.trim_end_matches('/') {
            "" => text,
            trimmed => trimmed.to_owned(),
        }),
        Some(message) => {
            faults.add(field.line, &field.path, message);
            None
        }
    }
}

/// A UID as Kubernetes gives it: a lower-case UUID.
fn read_uid(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = &faults.text(field)?.text;
    let shape = [8, 4, 4, 4, 12];
    let parts: Vec<_> = text.split('-').collect();
    let fits = parts.len() == shape.len()
        && parts.iter().zip(shape).all(|(part, length)| {
            part.len() == length
                && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        });
    if !fits {
        let shown = crate::yaml::shorten(text);
        let message = format!(
            "'{shown}' is not a UID; write the deleted job's metadata.uid, such as 6f3a0c52-91d4-4d3e-8a1b-2c5e7f90ab12"
        );
        faults.add(field.line, &field.path, message);
        return None;
    }
    Some(text.clone())
}

fn read_checkpoint(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Checkpoint> {
    let known = ["interval", "timeout", "retained", "unhealthyAfter"];
    let fields = faults.fields(field.node, field.line, &field.path, &known)?;
    let defaults = Checkpoint::default();
    let interval = match fields.get("interval") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.interval),
    };
    let timeout = match fields.get("timeout") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.timeout),
    };
    let retained = match fields.get("retained") {
        Some(field) => faults.integer_within(&field, 1, limits::MAX_RETAINED),
        None => Some(defaults.retained),
    };
    let unhealthy_after =
        or_default(fields.get("unhealthyAfter"), defaults.unhealthy_after, |f| faults.duration(f));
    Some(Checkpoint {
        interval: interval?,
        timeout: timeout?,
        retained: retained?,
        unhealthy_after: unhealthy_after?,
    })
}
