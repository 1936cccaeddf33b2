//! What the client is told: docs/DECISIONS.md section 8.

use super::plan::{Plan, RealmPlan};
use super::verdict::{Challenge, Verdict};
use crate::realm::AnswerOverride;
use crate::reason::Reason;
use crate::request::credential::Source;
use hashbrown::HashMap;
use http::StatusCode;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Deref;

/// The answer to a refused request. An allowed one has status 200 and nothing else: it is the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type` of the body.
    pub content_type: Option<String>,
    /// The body.
    pub body: Option<String>,
    /// The `WWW-Authenticate` header.
    pub www_authenticate: Option<String>,
    /// The `Retry-After` header, in seconds.
    pub retry_after: Option<u64>,
}

/// The answer of a realm for one reason, before what is particular to a request.
pub(super) struct Template {
    status: u16,
    content_type: String,
    body: String,
}

/// What a default body is (RFC 9457).
const PROBLEM: &str = "application/problem+json";

impl Template {
    /// The template of every reason but `ok`: the reason's, then its group's, then the default.
    pub(super) fn all(errors: &BTreeMap<String, AnswerOverride>) -> HashMap<&'static str, Self> {
        let reasons = Reason::ALL.into_iter().filter_map(|reason| Some((reason, reason.group()?)));
        let templates = reasons.map(|(reason, group)| {
            let given: Vec<_> =
                [reason.name(), group.name()].iter().filter_map(|name| errors.get(*name)).collect();
            let status = given.iter().find_map(|given| given.status).unwrap_or(group.status());
            let content_type =
                given.iter().find_map(|given| given.content_type.as_deref()).unwrap_or(PROBLEM);
            let body = given.iter().find_map(|given| given.body.clone()).unwrap_or_else(|| problem(status));
            (reason.name(), Self { status, content_type: content_type.to_owned(), body })
        });
        templates.collect()
    }
}

/// The default body for a status: its standard phrase, and nothing that tells more than the status does.
fn problem(status: u16) -> String {
    let phrase = |status| StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    // A status without a phrase is treated as the x00 of its class (RFC 9110 section 15).
    let title = phrase(status).or_else(|| phrase(status / 100 * 100)).unwrap_or_default();
    format!(r#"{{"type":"about:blank","title":"{title}","status":{status}}}"#)
}

impl<P: Deref<Target = Plan>> Verdict<'_, P> {
    /// What the client is told.
    pub fn answer(&self) -> Answer {
        if self.is_allowed() {
            return Answer {
                status: 200,
                content_type: None,
                body: None,
                www_authenticate: None,
                retry_after: None,
            };
        }
        let realm = self.plan.as_deref().and_then(|plan| plan.realm_by_number(self.outcome.realm?));
        let reason = self.outcome.reason;
        let Some((realm, template)) = realm.and_then(|realm| Some((realm, realm.template(reason)?))) else {
            // No realm has a say.
            return Answer {
                status: reason.status(),
                content_type: Some(PROBLEM.to_owned()),
                body: Some(problem(reason.status())),
                www_authenticate: None,
                retry_after: None,
            };
        };
        Answer {
            status: template.status,
            content_type: Some(template.content_type.clone()),
            body: Some(self.body(realm, template)),
            www_authenticate: self.challenge(realm, template.status),
            retry_after: self.outcome.retry_after,
        }
    }

    /// The body with its placeholders replaced, in one pass: what is put in is not looked at again.
    fn body(&self, realm: &RealmPlan, template: &Template) -> String {
        let reason = self.outcome.reason;
        let mut body = String::with_capacity(template.body.len() + 64);
        let mut rest = template.body.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            body.push_str(before);
            let (name, next) = after.split_once('}').unwrap_or_default();
            rest = next;
            match name {
                "reason" => escape(&mut body, reason.name()),
                "message" => escape(&mut body, reason.message()),
                "realm" => escape(&mut body, &realm.name),
                "scope" => escape(&mut body, self.scope().unwrap_or_default()),
                "status" => body.push_str(&template.status.to_string()),
                "retry_after" => {
                    let seconds = self.outcome.retry_after.map(|seconds| seconds.to_string());
                    body.push_str(&seconds.unwrap_or_default());
                }
                // Any other brace stays.
                _ => {
                    body.push('{');
                    rest = after;
                }
            }
        }
        body.push_str(rest);
        body
    }

    fn challenge(&self, realm: &RealmPlan, status: u16) -> Option<String> {
        let outcome = &self.outcome;
        let source = |challenge: &Challenge| {
            realm.credential(challenge.credential)?.sources.get(usize::from(challenge.source))
        };
        match (status, outcome.reason) {
            (401, _) => {
                let challenge = outcome.challenge.as_ref()?;
                let error = if challenge.missing { None } else { Some("invalid_token") };
                Some(match source(challenge)? {
                    Source::Bearer => bearer(realm, error, None),
                    Source::Basic => format!("Basic realm={}, charset=\"UTF-8\"", quoted(&realm.title)),
                    Source::Header(_) => format!("ApiKey realm={}", quoted(&realm.title)),
                })
            }
            (400, Reason::AmbiguousCredential) => match source(outcome.challenge.as_ref()?)? {
                Source::Bearer => Some(bearer(realm, Some("invalid_request"), None)),
                Source::Basic | Source::Header(_) => None,
            },
            (403, Reason::InsufficientScope) => match source(outcome.scopes_of.as_ref()?)? {
                Source::Bearer => Some(bearer(realm, Some("insufficient_scope"), self.scope())),
                Source::Basic | Source::Header(_) => None,
            },
            _ => None,
        }
    }
}

/// A challenge of RFC 6750 section 3. A scope that a quoted string of it cannot hold is left out.
fn bearer(realm: &RealmPlan, error: Option<&str>, scope: Option<&str>) -> String {
    let mut challenge = format!("Bearer realm={}", quoted(&realm.title));
    if let Some(error) = error {
        challenge.push_str(", error=");
        challenge.push_str(&quoted(error));
    }
    if let Some(scope) = scope.filter(|scope| scope.bytes().all(|byte| matches!(byte, 0x20..=0x7e))) {
        challenge.push_str(", scope=");
        challenge.push_str(&quoted(scope));
    }
    challenge
}

/// A quoted string (RFC 9110 section 5.6.4).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Appends `text` with the least escaping that RFC 8259 section 7 asks of a JSON string.
fn escape(target: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => target.push_str("\\\""),
            '\\' => target.push_str("\\\\"),
            '\u{8}' => target.push_str("\\b"),
            '\u{c}' => target.push_str("\\f"),
            '\n' => target.push_str("\\n"),
            '\r' => target.push_str("\\r"),
            '\t' => target.push_str("\\t"),
            // Writing to a String cannot fail.
            control if control < ' ' => {
                let _ = write!(target, "\\u{:04x}", u32::from(control));
            }
            other => target.push(other),
        }
    }
}
