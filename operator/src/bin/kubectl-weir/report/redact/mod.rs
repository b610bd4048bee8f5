//! Takes secrets out of what a report holds. Pure.
//!
//! A value that is known to be secret, by the name of what it is given to, goes wherever it occurs,
//! also in logs; and what looks like one goes where it stands. JSON and YAML are read as such, also
//! where they are a text in a text; what has no such form is searched ([`text`]). Every value of a
//! pod's environment counts as secret, apart from those that Weir itself sets.

mod names;
mod text;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use names::{is_placeholder, is_secret};

/// What stands in its place.
pub(crate) const HIDDEN: &str = "***";
/// Shorter values go where they stand only: they occur everywhere by chance.
const KNOWN: usize = 6;
/// Lines of a secret of several, such as a key, go by themselves from here on.
const LINE: usize = 16;
/// Variables that say nothing of their pod's user.
const OWN: [&str; 4] = ["TMPDIR", "AWS_REGION", "AWS_ENDPOINT_URL", "MIMALLOC_PURGE_DELAY"];

/// What `kubectl logs --timestamps` puts before each line.
static STAMP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-][\d:]+) ").ok());

/// What is known to be secret.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redactor {
    /// The longest first, so that none is cut by another.
    known: BTreeSet<(std::cmp::Reverse<usize>, String)>,
}

impl Redactor {
    /// Learns what an object says is secret.
    pub(crate) fn learn(&mut self, object: &Value) {
        let mut found = Vec::new();
        self.hide(&mut object.clone(), &mut found);
        found.iter().for_each(|secret| self.note(secret));
    }

    fn note(&mut self, secret: &str) {
        let secret = secret.trim();
        let mut forms = BTreeSet::from([secret.to_owned()]);
        // As it was meant, where it stood in a text in a text, and as it stands in one.
        forms.insert(secret.replace("''", "'"));
        forms.insert(secret.replace('\'', "''"));
        if let Ok(meant) = serde_json::from_str::<String>(&format!("\"{secret}\"")) {
            forms.insert(meant);
        }
        let written = serde_json::to_string(secret).unwrap_or_default();
        forms.insert(written.trim_matches('"').to_owned());
        forms.insert(in_address(secret));
        forms
            .extend(secret.lines().map(str::trim).filter(|it| it.len() >= LINE).map(str::to_owned));
        for form in forms {
            let says_nothing = ["default", "Running"].contains(&form.as_str());
            let is_hidden = form.contains(HIDDEN) || is_placeholder(&form);
            if form.len() >= KNOWN && !says_nothing && !is_hidden {
                self.known.insert((std::cmp::Reverse(form.len()), form));
            }
        }
    }

    /// The text without what is secret.
    pub(crate) fn text(&self, text: &str) -> String {
        self.without(text, &mut Vec::new())
    }

    /// Lines of a pod, each with its time or without, of which each may be JSON. There are as many
    /// as before.
    pub(crate) fn log(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        // Lines that follow each other and are no JSON: a secret may have several.
        let mut plain: Vec<(&str, &str)> = Vec::new();
        let flush = |plain: &mut Vec<(&str, &str)>, out: &mut String| {
            let lines: Vec<&str> = plain.iter().map(|(_, line)| *line).collect();
            let lines = self.searched(&lines.join("\n"), &mut Vec::new());
            for ((stamp, _), line) in plain.drain(..).zip(lines.split('\n')) {
                out.push_str(&format!("{stamp}{line}\n"));
            }
        };
        for line in text.lines() {
            let stamp = STAMP.as_ref().and_then(|it| it.find(line)).map_or(0, |it| it.end());
            let (stamp, line) = line.split_at(stamp);
            match self.as_json(line, &mut Vec::new()) {
                None => plain.push((stamp, line)),
                Some(said) => {
                    flush(&mut plain, &mut out);
                    out.push_str(&format!("{stamp}{said}\n"));
                }
            }
        }
        flush(&mut plain, &mut out);
        out
    }

    /// The object without what is secret, and without the copy of it that `kubectl apply` keeps.
    pub(crate) fn object(&self, object: &Value) -> Value {
        let mut object = object.clone();
        self.hide(&mut object, &mut Vec::new());
        object
    }

    /// Hides what is secret; what was hidden is added to `found`, here and below.
    fn hide(&self, value: &mut Value, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => self.hide_items(items, found),
            Value::Object(fields) => {
                fields.remove("kubectl.kubernetes.io/last-applied-configuration");
                fields.remove("managedFields");
                let is_variable = names_a_secret(fields);
                let holds = |name: &String| self.known.iter().any(|(_, it)| name.contains(it));
                let names: Vec<String> = fields.keys().filter(|it| holds(it)).cloned().collect();
                for name in names {
                    if let Some(value) = fields.remove(&name) {
                        fields.insert(self.searched(&name, found), value);
                    }
                }
                for (name, value) in fields {
                    // A volume of Kubernetes is an object of this name.
                    let is_volume = name == "secret" && value.is_object();
                    match is_secret(name) && !is_volume || is_variable && name == "value" {
                        true => self.hide_all(value, found),
                        false => self.hide(value, found),
                    }
                }
            }
            Value::String(text) => *text = self.without(text, found),
            Value::Number(number) => {
                let number = number.to_string();
                if self.known.contains(&(std::cmp::Reverse(number.len()), number)) {
                    *value = Value::from(HIDDEN);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Hides all that is given to a name of secrets.
    fn hide_all(&self, value: &mut Value, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_all(item, found)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match name.starts_with("secret") && !is_secret(name) {
                        // It only says where the secret is.
                        true => self.hide(value, found),
                        false => self.hide_all(value, found),
                    }
                }
            }
            Value::String(text) if is_placeholder(text) => {}
            Value::String(text) => {
                // What it holds may occur without the rest.
                self.without(text, found);
                found.push(std::mem::replace(text, HIDDEN.to_owned()));
            }
            Value::Number(number) => {
                found.push(number.to_string());
                *value = Value::from(HIDDEN);
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Items, which may be arguments: a flag and its value, or both in one; or a name and its value.
    fn hide_items(&self, items: &mut [Value], found: &mut Vec<String>) {
        let mut is_next = false;
        let mut is_pair = items.len() == 2;
        for item in items {
            let Value::String(text) = item else {
                is_next = false;
                self.hide(item, found);
                continue;
            };
            if std::mem::take(&mut is_next) {
                self.hide_all(item, found);
                continue;
            }
            let in_name = |c: char| c.is_alphanumeric() || "_.-".contains(c);
            let is_name = |name: &str| name.chars().all(in_name) && is_secret(name);
            match text.split_once('=') {
                Some((name, secret)) if is_name(name) && !is_placeholder(secret) => {
                    found.push(secret.to_owned());
                    *text = format!("{name}={HIDDEN}");
                }
                _ => {
                    is_next = (text.starts_with('-') || is_pair) && is_name(text);
                    is_pair = false;
                    *text = self.without(text, found);
                }
            }
        }
    }

    /// The text without what is secret, read as what it is.
    fn without(&self, text: &str, found: &mut Vec<String>) -> String {
        let read = self.as_json(text, found).or_else(|| self.as_yaml(text, found));
        read.unwrap_or_else(|| self.searched(text, found))
    }

    /// The same of a text that is JSON. Where nothing in it is secret it is searched as a text all the
    /// same: of equal names a tree has the last alone.
    fn as_json(&self, text: &str, found: &mut Vec<String>) -> Option<String> {
        if !text.trim_start().starts_with(['{', '[']) {
            return None;
        }
        let read: Value = serde_json::from_str(text).ok()?;
        let mut value = read.clone();
        self.hide(&mut value, found);
        Some(if value == read { self.searched(text, found) } else { value.to_string() })
    }

    /// The same of a text of several lines that is YAML and holds a secret.
    fn as_yaml(&self, text: &str, found: &mut Vec<String>) -> Option<String> {
        if !text.trim_end().contains('\n') {
            return None;
        }
        let documents = serde_yaml_ng::Deserializer::from_str(text);
        let read: Vec<Value> = documents.map(Value::deserialize).collect::<Result<_, _>>().ok()?;
        let mut values = read.clone();
        let mut seen = Vec::new();
        values.iter_mut().for_each(|value| self.hide(value, &mut seen));
        let is_tree = read.iter().all(|it| it.is_object() || it.is_array());
        if !is_tree || values == read {
            return None;
        }
        found.append(&mut seen);
        let written = values.iter().map(serde_yaml_ng::to_string);
        Some(written.collect::<Result<Vec<_>, _>>().ok()?.join("---\n"))
    }

    /// The text without what is known to be secret or looks like it. It keeps its lines.
    fn searched(&self, text: &str, found: &mut Vec<String>) -> String {
        let mut hidden = text::secrets(text);
        found.extend(hidden.iter().map(|range| text[range.clone()].to_owned()));
        for (_, secret) in &self.known {
            hidden.extend(text.match_indices(secret.as_str()).map(|(at, it)| at..at + it.len()));
        }
        hidden.sort_by_key(|range| range.start);
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for Range { start, end } in hidden {
            if end <= at {
                continue;
            }
            // One that overlaps with the one before is a part of it.
            if start >= at {
                out.push_str(&text[at..start]);
                out.push_str(HIDDEN);
            }
            let lines = text[start.max(at)..end].matches('\n').count();
            out.extend(std::iter::repeat_n(format!("\n{HIDDEN}"), lines));
            at = end;
        }
        out.push_str(&text[at..]);
        out
    }
}

/// Whether these are the name and the value of a variable of a pod that its user has set, or of
/// something else that is secret, such as a header.
fn names_a_secret(fields: &serde_json::Map<String, Value>) -> bool {
    let name = fields.get("name").or(fields.get("key")).and_then(Value::as_str);
    let Some(name) = name.filter(|_| fields.contains_key("value")) else { return false };
    let is_own = name.starts_with("WEIR_") || OWN.contains(&name);
    is_secret(name) || (!is_own && fields.contains_key("name"))
}

/// As it stands in an address.
fn in_address(secret: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escaped = secret.bytes().map(|byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_goes_wherever_it_occurs() {
        let pod = json!({
            "spec": {"containers": [{"env": [
                {"name": "GREETING", "value": "canary-of-env"},
                {"name": "WEIR_LOG", "value": "weir=info"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "weir-s3", "key": "k"}}},
            ]}]},
            "metadata": {"annotations": {
                "weir.dev/resolved": "{\"credentialsSecret\":\"weir-s3\"}",
                "kubectl.kubernetes.io/last-applied-configuration": "{\"x\":\"canary-applied\"}",
            }},
        });
        let job = json!({"spec": {
            "sql": "CREATE TABLE t (a INT) WITH (\n 'properties.sasl.jaas.config' = 'x.Login required \
                    password=\"canary-of-jaas\";',\n 'password' = 'canary''quoted',\n 'key.format' = 'json',\n \
                    'token' = '${env:TOKEN}')",
            "restartToken": "kubectl-weir 2026",
        }});
        let mut redactor = Redactor::default();
        redactor.learn(&pod);
        redactor.learn(&job);
        for object in [&pod, &job] {
            let text = redactor.object(object).to_string();
            assert!(!text.contains("canary"), "{text}");
        }
        let kept = redactor.object(&job)["spec"].clone();
        assert_eq!(kept["restartToken"], "kubectl-weir 2026");
        let sql = kept["sql"].as_str().unwrap();
        assert!(sql.contains("'key.format' = 'json'") && sql.contains("${env:TOKEN}"), "{sql}");
        let kept = redactor.object(&pod)["spec"]["containers"][0]["env"].clone();
        assert_eq!(kept[1]["value"], "weir=info");
        assert_eq!(kept[2]["valueFrom"]["secretKeyRef"]["name"], "weir-s3");
        let line = redactor.text("connecting as canary-of-env, then with canary-of-jaas");
        assert_eq!(line, "connecting as ***, then with ***");
    }

    #[test]
    fn what_looks_like_a_secret_goes_though_nobody_named_it() {
        let redactor = Redactor::default();
        for (text, hidden) in [
            ("postgres://bob:canary@db/x failed", "postgres://***@db/x failed"),
            ("Authorization: Bearer canary-canary", "Authorization: ***"),
            ("sent authorization: Bearer canary-canary", "sent authorization: ***"),
            ("got AKIAIOSFODNN7CANARY1 back", "got *** back"),
            (r#"{"fields":{"api_key":"canary"}}"#, r#"{"fields":{"api_key":"***"}}"#),
            (r#"said {\"password\":\"canary\"}"#, r#"said {\"password\":\"***\"}"#),
            ("said password: canary next", "said password: *** next"),
            ("said token=canary, 3 times", "said token=***, 3 times"),
            ("(token=canary) and more", "(token=***) and more"),
            ("jwt eyJhbGciOiJIUzI1.canary.sig end", "jwt *** end"),
            ("GET /x?token=canary&a=1", "GET /x?token=***&a=1"),
        ] {
            assert_eq!(redactor.text(text), hidden);
        }
        for plain in ["window closed at 14:00", "'key.fields' = 'origin'", "s3://bucket/weir/shop"]
        {
            assert_eq!(redactor.text(plain), plain);
        }
    }

    /// A text in which every secret has the word `canary`, read in every way that a report reads one.
    #[track_caller]
    fn check(text: &str) {
        let redactor = Redactor::default();
        let value = redactor.object(&json!({"spec": {"sql": text}, "items": [text]})).to_string();
        for shown in [redactor.text(text), redactor.log(text), value] {
            assert!(!shown.contains("canary"), "{text}\n→ {shown}");
        }
        let stamped: String =
            text.lines().map(|line| format!("2026-01-01T00:00:00.5Z {line}\n")).collect();
        let shown = redactor.log(&stamped);
        assert!(!shown.contains("canary"), "{stamped}\n→ {shown}");
        assert_eq!(shown.lines().count(), stamped.lines().count(), "{shown}");
    }

    #[test]
    fn trees_hide_names_pairs_and_what_stands_twice() {
        let mut redactor = Redactor::default();
        let env = json!({"name": "GREETING", "value": "canary-of-env"});
        redactor.learn(&json!({"spec": {"containers": [{"env": [env]}]}}));
        for text in [
            r#"{"fields":{"message":"got canary-of-env","message":"ok"}}"#,
            r#"{"password":"canary","password":null}"#,
            r#"{"canary-of-env":1,"x":{"canary-of-env":2}}"#,
            r#"["authorization","canary x"]"#,
            r#"{"headers":[["password","canary"],["accept","text"]]}"#,
        ] {
            for shown in [redactor.text(text), redactor.log(text)] {
                assert!(!shown.contains("canary"), "{text}\n→ {shown}");
            }
        }
    }

    #[test]
    fn passwords_in_addresses_may_hold_what_ought_to_be_escaped() {
        for text in [
            "kafka://bob:canary@canary@k:9092 is gone",
            "url: jdbc:postgresql://bob:canary/canary@db:5432/x",
            "'url' = 'jdbc:mysql://db:3306/x?user=bob&password=can/canary&ssl=true'",
            "jdbc:sqlserver://db;user=bob;password=x/canary;encrypt=true",
            "jdbc:oracle:thin:scott/canary@//db:1521/x",
            "mongodb://a:canary@h1,b:canary@h2/x",
        ] {
            check(text);
        }
        let redactor = Redactor::default();
        for kept in ["https://host/a@b/c", "http://host:8080/x", "https://host/x?mail=a"] {
            assert_eq!(redactor.text(kept), kept);
        }
        let said = redactor.text("jdbc:sqlserver://db;password=x;encrypt=true");
        assert_eq!(said, "jdbc:sqlserver://db;password=***;encrypt=true");
    }

    #[test]
    fn secrets_of_sql_go_whatever_stands_around_them() {
        for text in [
            "WITH ('password' /* old: canary */ = -- canary\n 'canary')",
            "WITH ('password' = 'it''s canary', 'x' = 'y')",
            "WITH ('password' = 'can' || 'canary', 'x' = 'y')",
            "WITH ('password' = U&'\\0041canary')",
            "WITH ('password' = 'two\nlines, canary\n')",
            "WITH ('password' = 'back\\', 'token' = 'canary')",
            "SET 'fs.azure.account.key.x.net' = 'canary';",
            "SET pwd = canary;",
            "WITH ('basic.auth.user.info' = 'bob:canary', 'ssl.keystore.key' = 'canary')",
            "WITH ('sasl.jaas.config' = 'x required username=\"a\" password=\"canary\\\"canary\";')",
            "WITH ('passwd'='canary')",
            "WITH ('key.pem' = '-----BEGIN KEY-----\ncanary\n-----END KEY-----')",
        ] {
            // A comment between them is no value.
            check(&text.replace("old: canary", "old").replace("-- canary", "-- it"));
        }
        let redactor = Redactor::default();
        let sql = "WITH ('password' /* x */ = -- y\n 'secret', 'key.fields' = 'a')";
        let shown = "WITH ('password' /* x */ = -- y\n '***', 'key.fields' = 'a')";
        assert_eq!(redactor.text(sql), shown);
    }

    #[test]
    fn keys_in_pem_go_with_their_headers_whole_or_cut_off() {
        let body = "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5canary+/Y2FuYXJ5Y2FuYXJ5";
        let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,canary-canary\n\n";
        for label in ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP MESSAGE"] {
            let (begin, end) =
                (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
            check(&format!("read\n{begin}\n{headers}{body}\n{body}\n{end}\nand went on"));
            check(&format!("{begin}\n{body}\n{body}"));
            check(&format!("{body}\n{body}\n{end}"));
        }
        let mut redactor = Redactor::default();
        let key = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        redactor.learn(&json!({"ssl": {"key.pem": key}}));
        assert_eq!(redactor.text(&format!("line 2: {body}")), "line 2: ***");
    }

    #[test]
    fn secrets_in_values_of_every_form_go() {
        for text in [
            r#"Login { user: "bob", password: Some("canary") }"#,
            r#"Login { password: Some(Secret("can\"canary")), user: "bob" }"#,
            "Login { password: Some(canary), user: bob }",
            r#"said {"password": "can\"canary", "a": 1}"#,
            r#"said "{\"password\":\"can\\\"canary\"}" and more"#,
            r#"said {"tokens": ["canary", "canary"], "a": 1}"#,
            r#"said {"credentials": {"user": "canary", "x": ["canary"]}}"#,
            r#"{"tokens": ["canary", {"x": "canary"}], "a": "password=canary"}"#,
            r#"{"outer": "{\"password\": \"can\\\"canary\"}"}"#,
            "password=[canary]canary end",
            "connect host=a,password=can,canary,user=b",
            "exec --token=canary --password canary --user bob",
            r#"args: ["--password", "canary", "--x"]"#,
            "args:\n- --password\n- canary\n- --x\n",
            "env:\n- name: DB_PASSWORD\n  value: canary\n",
            r#"said {"name":"DB_PASSWORD","value":"canary"} here"#,
            "set cookie: a=canary; b=canary",
            "-Djavax.net.ssl.keyStorePassword=canary",
        ] {
            check(text);
        }
        let redactor = Redactor::default();
        let number = redactor.object(&json!({"pwd": 12, "passwd": true, "tokens": ["a", 2]}));
        assert_eq!(number, json!({"pwd": "***", "passwd": true, "tokens": ["***", "***"]}));
        let arguments = json!(["--password", "x", "--token=two words", "--user", "bob", "A_PWD=x"]);
        let shown = json!(["--password", "***", "--token=***", "--user", "bob", "A_PWD=***"]);
        assert_eq!(redactor.object(&arguments), shown);
        let failed = "InvalidTokenException: it is too old\n    at a line";
        assert_eq!(redactor.text(failed), failed, "a failure is what a report is for");
    }

    #[test]
    fn secrets_of_several_lines_go_with_all_of_them() {
        for text in [
            "a: 1\npassword: |\n  canary one\n\n  canary two\nb: 2\n",
            "a: 1\n- token: >-\n    canary one\n    canary two\n  b: 2\n",
            "password: canary and\n  canary\nb: 2\n",
            "password: \"canary and\n  canary\"\nb: 2\n",
            "password:\n  canary\nb: 2\n",
            "tokens:\n- canary\n- canary\nb: 2\n",
            "# password: canary canary\nb: 2\n",
            "x.password=can\\\n  canary\nb=2",
            "---\na: {b: [1, {password: canary}]}\n---\ntoken: canary canary\n",
        ] {
            check(text);
        }
        let redactor = Redactor::default();
        let shown = redactor.log("password: |\n  one\n  two\nb: 2\n");
        assert_eq!(shown, "password: |***\n***\n***\nb: 2\n");
    }

    #[test]
    fn every_text_can_be_searched_and_keeps_its_lines() {
        let pieces = [
            "password",
            "token",
            "--",
            "'",
            "\"",
            "\\",
            ":",
            "=",
            "\n",
            " ",
            "  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "(",
            ")",
            "|",
            ",",
            ";",
            "&",
            "?",
            "@",
            "://",
            "/",
            "é",
            "x",
            "Some(",
            "value",
            "/*",
            "*/",
            "-----BEGIN X-----",
            "-----END X-----",
            "${",
            "#",
        ];
        let mut seed = 7_u64;
        let mut next = |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let redactor = Redactor::default();
        for _ in 0..20_000 {
            let text: String = (0..next(14)).map(|_| pieces[next(pieces.len())]).collect();
            let shown = redactor.searched(&text, &mut Vec::new());
            assert_eq!(
                shown.matches('\n').count(),
                text.matches('\n').count(),
                "{text:?} → {shown:?}"
            );
            assert_eq!(redactor.log(&text).lines().count(), text.lines().count(), "{text:?}");
        }
    }

    #[test]
    fn what_is_known_goes_in_every_spelling() {
        let mut redactor = Redactor::default();
        redactor.learn(&json!({"password": "it's a\"p@ss/word"}));
        redactor.learn(&json!({"spec": "'pwd' = 'don''t tell'"}));
        for text in [
            "it's a\"p@ss/word",
            r#"it's a\"p@ss/word"#,
            "it''s a\"p@ss/word",
            "it%27s%20a%22p%40ss%2Fword",
            "don't tell",
        ] {
            assert_eq!(redactor.text(&format!("with {text}.")), "with ***.");
        }
    }
}
