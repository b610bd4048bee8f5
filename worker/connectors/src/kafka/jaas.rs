//! `sasl.jaas.config`: Java's way of writing a user name and a password.
//!
//! `<class> <flag> key="value" …;` as JAAS login configurations have it. Error texts never show
//! the text itself, since a password is in it.

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// The user.
    pub(super) username: String,
    /// The password.
    pub(super) password: String,
}

/// Reads a login. Classes may carry any package prefix, since Flink relocates them.
pub(super) fn parse(text: &str) -> Result<Login, String> {
    let mut words = words(text)?.into_iter();
    let class = words.next().unwrap_or_default();
    let module = class.rsplit('.').next().unwrap_or_default();
    match module {
        "PlainLoginModule" | "ScramLoginModule" => {}
        "Krb5LoginModule" => {
            return Err("Kerberos is not built in; use PLAIN or SCRAM over SSL".into());
        }
        "OAuthBearerLoginModule" => {
            return Err("OAUTHBEARER is not built in; use PLAIN or SCRAM over SSL".into());
        }
        _ => {
            return Err("it has to begin with the name of a login module, such as 'org.apache.kafka.common.security.plain.PlainLoginModule required username=\"…\" password=\"…\";'".into());
        }
    }
    let flag = words.next().unwrap_or_default();
    if !["required", "requisite", "sufficient", "optional"].contains(&flag.as_str()) {
        return Err(format!("'required' has to follow '{module}'"));
    }
    let (mut username, mut password) = (None, None);
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            return Err("after 'required' only key=\"value\" may stand".into());
        };
        match key {
            "username" => username = Some(value.to_owned()),
            "password" => password = Some(value.to_owned()),
            // Such as SCRAM's `tokenauth`, which asks for a delegation token.
            _ => return Err(format!("'{key}' is not known; give username and password")),
        }
    }
    match (username, password) {
        (Some(username), Some(password)) => Ok(Login { username, password }),
        (None, _) => Err("username=\"…\" is missing".into()),
        (_, None) => Err("password=\"…\" is missing".into()),
    }
}

/// Splits at white space outside of quotes and takes the quotes off; ends at the first `;`.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut ended = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => word.extend(chars.next()),
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => word.push(c),
            (None, '"' | '\'') => quote = Some(c),
            (None, ';') => {
                ended = true;
                break;
            }
            (None, _) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, _) => word.push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".into());
    }
    if !ended {
        return Err("it has to end with ';'".into());
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str) -> Result<(String, String), String> {
        parse(text).map(|login| (login.username, login.password))
    }

    #[test]
    fn logins_are_read_as_java_reads_them() {
        let expected = Ok(("u".to_owned(), "p; w=1".to_owned()));
        for text in [
            r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p; w=1";"#,
            "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.scram.ScramLoginModule required\n  username='u'\n  password='p; w=1';",
        ] {
            assert_eq!(login(text), expected);
        }
        assert_eq!(
            login(r#"PlainLoginModule required username="a\"b" password="c\\d";"#),
            Ok(("a\"b".to_owned(), "c\\d".to_owned()))
        );
    }

    #[test]
    fn wrong_logins_say_what_is_missing_and_never_the_password() {
        for (text, part) in [
            ("", "has to end with ';'"),
            ("x.Y required;", "has to begin with the name of a login module"),
            ("PlainLoginModule username=\"u\";", "'required' has to follow"),
            ("PlainLoginModule required username=\"u\" password=\"s3cret\"", "has to end with ';'"),
            ("PlainLoginModule required username=\"u\" password=\"s3cret;", "not closed"),
            ("PlainLoginModule required password=\"s3cret\";", "username=\"…\" is missing"),
            ("PlainLoginModule required username=\"u\";", "password=\"…\" is missing"),
            ("PlainLoginModule required \"s3cret\";", "only key=\"value\""),
            ("com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true;", "Kerberos"),
        ] {
            let problem = login(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
            assert!(!problem.contains("s3cret"), "{problem}");
        }
    }
}
