//! Requests: which object and which verb a path and a query mean, and the answer.

use std::collections::BTreeMap;

use http::Method;
use http::request::Parts;
use serde_json::{Value, json};

use super::connection::Connection;
use super::kinds::{self, Kind};
use super::refuse::Refusal;
use super::selector::{fields_fit, labels_fit};
use super::store::{Key, PatchKind, Store};

/// A request that was understood.
pub(super) struct Call {
    verb: Verb,
    pub(super) kind: Kind,
    namespace: Option<String>,
    pub(super) name: Option<String>,
    subresource: Option<String>,
    params: BTreeMap<String, String>,
    body: Value,
    content_type: String,
    /// Only metadata is wanted.
    pub(super) partial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

/// What is answered.
pub(super) enum Answer {
    /// A status code and a JSON body.
    Json(u16, Value),
    /// A stream of watch events.
    Watch(Box<Call>),
}

impl Call {
    pub(super) fn read(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        let segments: Vec<String> =
            parts.uri.path().split('/').filter(|segment| !segment.is_empty()).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return Err(Refusal::no_such_path()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..]
                if !matches!(*plural, "status" | "finalize") =>
            {
                (Some((*namespace).to_owned()), [&[*plural], rest].concat())
            }
            rest => (None, rest.to_vec()),
        };
        let [plural, rest @ ..] = rest.as_slice() else {
            return Err(Refusal::no_such_path());
        };
        let kind = kinds::find(group, plural).ok_or_else(Refusal::no_such_path)?;
        let name = rest.first().map(|name| (*name).to_owned());
        let subresource = rest.get(1).map(|name| (*name).to_owned());
        let params = read_query(parts.uri.query().unwrap_or_default());
        let watching = matches!(params.get("watch").map(String::as_str), Some("true" | "1"));
        let verb = match (&parts.method, &name) {
            (&Method::GET, _) if watching => Verb::Watch,
            (&Method::GET, Some(_)) => Verb::Get,
            (&Method::GET, None) => Verb::List,
            (&Method::POST, None) => Verb::Create,
            (&Method::PUT, Some(_)) => Verb::Update,
            (&Method::PATCH, Some(_)) => Verb::Patch,
            (&Method::DELETE, Some(_)) => Verb::Delete,
            (&Method::DELETE, None) => Verb::DeleteCollection,
            _ => return Err(Refusal::method_not_allowed()),
        };
        let header = |name| {
            let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let body = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(body).map_err(|error| {
                Refusal::bad_request(format!("the request's body is not JSON: {error}"))
            })?,
        };
        Ok(Self {
            verb,
            kind,
            namespace,
            name,
            subresource,
            params,
            body,
            content_type: header("content-type"),
            partial: header("accept").contains("as=PartialObjectMetadata"),
        })
    }

    /// Whether it can change something: dry runs cannot.
    pub(super) fn is_write(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List | Verb::Watch) && !self.is_dry()
    }

    /// A parameter of the query; empty where there is none.
    pub(super) fn param(&self, name: &str) -> &str {
        self.params.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The namespace; empty for all of them.
    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    fn is_dry(&self) -> bool {
        self.param("dryRun") == "All" || self.body["dryRun"] == json!(["All"])
    }

    pub(super) fn key(&self) -> Key {
        Key::new(&self.kind, self.namespace(), self.name.as_deref().unwrap_or_default())
    }

    fn subresource(&self) -> Option<&str> {
        self.subresource.as_deref()
    }

    fn patch_kind(&self) -> Result<PatchKind, Refusal> {
        match self.content_type.as_str() {
            "application/merge-patch+json" => Ok(PatchKind::Merge),
            "application/json-patch+json" => Ok(PatchKind::Json),
            "application/strategic-merge-patch+json" => Ok(PatchKind::Strategic),
            "application/apply-patch+yaml" => {
                if self.param("fieldManager").is_empty() {
                    return Err(Refusal::bad_request(
                        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
                    ));
                }
                Ok(PatchKind::Apply { force: self.param("force") == "true" })
            }
            _ => Err(Refusal::unsupported_patch()),
        }
    }
}

/// Serves a call.
pub(super) fn serve(connection: &Connection, call: Call, stale_at: Option<u64>) -> Answer {
    if call.verb == Verb::Watch {
        return Answer::Watch(Box::new(call));
    }
    let mut store = connection.store.lock();
    let manager = match call.param("fieldManager") {
        "" => connection.name.to_string(),
        manager => manager.to_owned(),
    };
    let created = store.version;
    match answer(&mut store, &call, &manager, stale_at) {
        Ok(body) => {
            let new = call.verb == Verb::Create
                || call.verb == Verb::Patch && store.version > created && is_new(&store, &call);
            Answer::Json(if new { 201 } else { 200 }, render(&body, call.partial))
        }
        Err(refusal) => refusal.into(),
    }
}

fn is_new(store: &Store, call: &Call) -> bool {
    let newest = store.log.last();
    newest.is_some_and(|change| {
        change.key == call.key() && change.happened == super::store::Happened::Added
    })
}

fn answer(
    store: &mut Store,
    call: &Call,
    manager: &str,
    stale_at: Option<u64>,
) -> Result<Value, Refusal> {
    let key = call.key();
    let dry = call.is_dry();
    if let (Some("scale"), Some(field)) = (call.subresource(), call.kind.scale) {
        return scale(store, call, &key, field, manager, dry);
    }
    match call.subresource() {
        None => {}
        Some("status") if call.kind.status => {}
        Some(_) => return Err(Refusal::no_such_path()),
    }
    match call.verb {
        Verb::Get => store.get(&key).cloned().ok_or_else(|| Refusal::not_found(&key)),
        Verb::List | Verb::Watch => list(store, call, stale_at),
        Verb::Create => {
            let stated = call.body["metadata"]["namespace"].as_str();
            if call.kind.namespaced && stated.is_some_and(|stated| stated != call.namespace()) {
                return Err(Refusal::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            store.create(&call.kind, call.namespace(), call.body.clone(), manager, dry)
        }
        Verb::Update => store.update(&key, call.subresource(), call.body.clone(), manager, dry),
        Verb::Patch => {
            let how = call.patch_kind()?;
            store.patch(&key, call.subresource(), &call.body, how, manager, dry)
        }
        Verb::Delete => Ok(match store.delete(&key, &call.body, dry)? {
            Some(value) => value,
            None => json!({
                "apiVersion": "v1",
                "kind": "Status",
                "metadata": {},
                "status": "Success",
                "details": {"name": key.name, "kind": call.kind.plural},
            }),
        }),
        Verb::DeleteCollection => {
            let listed = list(store, call, None)?;
            let items = listed["items"].as_array().into_iter().flatten();
            for name in items.filter_map(|item| item["metadata"]["name"].as_str()) {
                let key = Key::new(&call.kind, call.namespace(), name);
                store.delete(&key, &call.body, dry)?;
            }
            Ok(listed)
        }
    }
}

fn list(store: &Store, call: &Call, stale_at: Option<u64>) -> Result<Value, Refusal> {
    let any_version = call.param("resourceVersion") == "0";
    let (version, values): (u64, Vec<Value>) = match stale_at {
        Some(version) if any_version => (version, store.at(version, &call.kind, call.namespace())),
        _ => {
            let found = store.of_kind(&call.kind, call.namespace());
            (store.version, found.into_iter().map(|(_, value)| value.clone()).collect())
        }
    };
    let fits = |value: &&Value| {
        labels_fit(value, call.param("labelSelector"))
            && fields_fit(value, call.param("fieldSelector"))
    };
    let items: Vec<Value> =
        values.iter().filter(fits).map(|value| render(value, call.partial)).collect();
    Ok(json!({
        "apiVersion": call.kind.api_version(),
        "kind": format!("{}List", call.kind.kind),
        "metadata": {"resourceVersion": version.to_string()},
        "items": items,
    }))
}

fn scale(
    store: &mut Store,
    call: &Call,
    key: &Key,
    field: &str,
    manager: &str,
    dry: bool,
) -> Result<Value, Refusal> {
    let live = store.get(key).cloned().ok_or_else(|| Refusal::not_found(key))?;
    let shown = |value: &Value| {
        let (replicas, selector) = match key.kind.kind {
            "StreamJob" => (
                value["status"]["workers"]["replicas"].as_i64(),
                value["status"]["workers"]["selector"].as_str().unwrap_or_default().to_owned(),
            ),
            _ => (value["status"]["replicas"].as_i64(), String::new()),
        };
        json!({
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "uid": value["metadata"]["uid"],
                "resourceVersion": value["metadata"]["resourceVersion"],
                "creationTimestamp": value["metadata"]["creationTimestamp"],
            },
            "spec": {"replicas": value["spec"][field]},
            "status": {"replicas": replicas.unwrap_or(0), "selector": selector},
        })
    };
    let replicas = match call.verb {
        Verb::Get => return Ok(shown(&live)),
        Verb::Update => call.body["spec"]["replicas"].clone(),
        Verb::Patch => {
            let mut scaled = shown(&live);
            match call.patch_kind()? {
                PatchKind::Json => super::apply::json_patch(&mut scaled, &call.body)
                    .map_err(Refusal::bad_request)?,
                _ => super::apply::merge_patch(&mut scaled, &call.body),
            }
            scaled["spec"]["replicas"].clone()
        }
        _ => return Err(Refusal::method_not_allowed()),
    };
    let mut value = live;
    if call.verb == Verb::Update {
        value["metadata"]["resourceVersion"] = call.body["metadata"]["resourceVersion"].clone();
    }
    value["spec"][field] = replicas;
    let changed = store.update(key, None, value, manager, dry)?;
    Ok(shown(&changed))
}

/// The object as it is asked for: whole, or its metadata only.
pub(super) fn render(value: &Value, partial: bool) -> Value {
    if !partial || value["metadata"].is_null() || value["kind"] == "Status" {
        return value.clone();
    }
    if value["items"].is_array() {
        let mut list = value.clone();
        list["apiVersion"] = "meta.k8s.io/v1".into();
        list["kind"] = "PartialObjectMetadataList".into();
        return list;
    }
    json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": value["metadata"],
    })
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Json(refusal.code, refusal.body())
    }
}

fn read_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Percent-decoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = |bytes: &[u8]| {
            let digits = std::str::from_utf8(bytes.get(..2)?).ok()?;
            u8::from_str_radix(digits, 16).ok()
        };
        match (byte, hex(tail)) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
