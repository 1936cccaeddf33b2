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

/// The scheme that a challenge names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer` (RFC 6750).
    Bearer,
    /// `Basic` (RFC 7617).
    Basic,
    /// `ApiKey`, of a credential in a header of its own.
    ApiKey,
}

impl From<&Source> for Scheme {
    fn from(source: &Source) -> Self {
        match source {
            Source::Bearer => Self::Bearer,
            Source::Basic => Self::Basic,
            Source::Header(_) => Self::ApiKey,
        }
    }
}

/// What a verdict adds to the realm's own words in an answer. It outlives the generation that decided, so
/// that an answer can be rendered later ([`Plan::answer`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerParts<'a> {
    /// Why.
    pub reason: Reason,
    /// The scheme of the credential that a 401 or a 400 challenges for.
    pub challenge: Option<Scheme>,
    /// Whether that credential is missing, or counts as if it were.
    pub missing: bool,
    /// The scheme of the credential whose scopes were too few.
    pub scopes_of: Option<Scheme>,
    /// The scope that is missing.
    pub scope: Option<&'a str>,
    /// Seconds after which the key may come again.
    pub retry_after: Option<u64>,
}

impl<P: Deref<Target = Plan>> Verdict<'_, P> {
    fn realm_plan(&self) -> Option<&RealmPlan> {
        self.plan.as_deref()?.realm_by_number(self.outcome.realm?)
    }

    /// What this verdict adds to the realm's words.
    pub fn answer_parts(&self) -> AnswerParts<'_> {
        let outcome = &self.outcome;
        let scheme = |challenge: &Challenge| {
            let credential = self.realm_plan()?.credential(challenge.credential)?;
            credential.sources.get(usize::from(challenge.source)).map(Scheme::from)
        };
        AnswerParts {
            reason: outcome.reason,
            challenge: outcome.challenge.as_ref().and_then(scheme),
            missing: outcome.challenge.is_none_or(|challenge| challenge.missing),
            scopes_of: outcome.scopes_of.as_ref().and_then(scheme),
            scope: self.scope(),
            retry_after: outcome.retry_after(),
        }
    }

    /// What the client is told.
    pub fn answer(&self) -> Answer {
        render(self.realm_plan(), &self.answer_parts())
    }
}

impl Plan {
    /// What the client is told of a verdict that another generation may have decided, in the words that
    /// this one has for the realm.
    pub fn answer(&self, realm: &str, parts: &AnswerParts<'_>) -> Answer {
        render(self.realm(realm).map(|(_, realm)| realm), parts)
    }
}

impl Answer {
    /// What the client is told where no realm has a say.
    pub fn of_nobody(reason: Reason) -> Self {
        let refused = reason != Reason::Ok;
        Self {
            status: reason.status(),
            content_type: refused.then(|| PROBLEM.to_owned()),
            body: refused.then(|| problem(reason.status())),
            www_authenticate: None,
            retry_after: None,
        }
    }
}

fn render(realm: Option<&RealmPlan>, parts: &AnswerParts<'_>) -> Answer {
    // There is no template for `ok`.
    let Some((realm, template)) = realm.and_then(|realm| Some((realm, realm.template(parts.reason)?))) else {
        return Answer::of_nobody(parts.reason);
    };
    Answer {
        status: template.status,
        content_type: Some(template.content_type.clone()),
        body: Some(body(realm, template, parts)),
        www_authenticate: challenge(realm, template.status, parts),
        retry_after: parts.retry_after,
    }
}

/// The body with its placeholders replaced, in one pass: what is put in is not looked at again.
fn body(realm: &RealmPlan, template: &Template, parts: &AnswerParts<'_>) -> String {
    let mut body = String::with_capacity(template.body.len() + 64);
    let mut rest = template.body.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        body.push_str(before);
        let (name, next) = after.split_once('}').unwrap_or_default();
        rest = next;
        match name {
            "reason" => escape(&mut body, parts.reason.name()),
            "message" => escape(&mut body, parts.reason.message()),
            "realm" => escape(&mut body, &realm.name),
            "scope" => escape(&mut body, parts.scope.unwrap_or_default()),
            "status" => body.push_str(&template.status.to_string()),
            "retry_after" => {
                let seconds = parts.retry_after.map(|seconds| seconds.to_string());
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

/// The `WWW-Authenticate` header, by the status that is sent.
fn challenge(realm: &RealmPlan, status: u16, parts: &AnswerParts<'_>) -> Option<String> {
    match (status, parts.reason) {
        (401, _) => {
            let error = if parts.missing { None } else { Some("invalid_token") };
            Some(match parts.challenge? {
                Scheme::Bearer => bearer(realm, error, None),
                Scheme::Basic => format!("Basic realm={}, charset=\"UTF-8\"", quoted(&realm.title)),
                Scheme::ApiKey => format!("ApiKey realm={}", quoted(&realm.title)),
            })
        }
        (400, Reason::AmbiguousCredential) if parts.challenge == Some(Scheme::Bearer) => {
            Some(bearer(realm, Some("invalid_request"), None))
        }
        (403, Reason::InsufficientScope) if parts.scopes_of == Some(Scheme::Bearer) => {
            Some(bearer(realm, Some("insufficient_scope"), parts.scope))
        }
        _ => None,
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
