//! One request of the demo, and the row that it becomes.

use keyward::engine::{Engine, Verdict};
use keyward::request::{Peer, Request};

/// A request, and the status that the API's document has for it.
pub(super) struct Scene {
    realm: &'static str,
    method: &'static str,
    path: &'static str,
    what: &'static str,
    expected: u16,
    host: Option<&'static str>,
    peer: Peer,
    tls: bool,
    environment: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
    repeat: u32,
    /// What comes of it where it is allowed.
    outcome: String,
}

impl Scene {
    pub(super) fn new(
        realm: &'static str,
        (method, path): (&'static str, &'static str),
        what: &'static str,
        expected: u16,
    ) -> Self {
        Self {
            realm,
            method,
            path,
            what,
            expected,
            host: None,
            peer: Peer::Unknown,
            tls: true,
            environment: None,
            headers: Vec::new(),
            repeat: 1,
            outcome: String::new(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn bearer(self, credential: &str) -> Self {
        self.header("Authorization", format!("Bearer {credential}"))
    }

    pub(super) const fn host(mut self, host: &'static str) -> Self {
        self.host = Some(host);
        self
    }

    pub(super) fn from(mut self, address: &str) -> Self {
        self.peer = Peer::parse(address.as_bytes());
        self
    }

    pub(super) const fn expecting(mut self, environment: &'static str) -> Self {
        self.environment = Some(environment);
        self
    }

    pub(super) const fn without_tls(mut self) -> Self {
        self.tls = false;
        self
    }

    pub(super) const fn times(mut self, repeat: u32) -> Self {
        self.repeat = repeat;
        self
    }

    pub(super) fn outcome(mut self, outcome: String) -> Self {
        self.outcome = outcome;
        self
    }

    /// Asks the engine, and hands the last verdict on.
    pub(super) fn decide<T>(&self, engine: &Engine, look: impl FnOnce(&Verdict<'_>) -> T) -> T {
        let request = Request {
            method: Some(self.method.as_bytes()),
            path: Some(self.path.as_bytes()),
            host: self.host.map(str::as_bytes),
            peer: self.peer,
            tls: self.tls,
            environment: self.environment,
            ..Request::new(self.realm, self.headers.as_slice())
        };
        for _ in 1..self.repeat {
            engine.verify(&request);
        }
        look(&engine.verify(&request))
    }

    /// Asks the engine, and says what it answered.
    pub(super) fn play(&self, engine: &Engine) -> Row {
        self.decide(engine, |verdict| {
            let answer = verdict.answer();
            let body = answer.body.map_or_else(|| self.outcome.clone(), |body| one_line(&body));
            Row {
                realm: self.realm,
                request: format!("{} {}", self.method, self.path),
                what: self.what,
                status: answer.status,
                reason: verdict.reason().name(),
                body,
                as_documented: answer.status == self.expected,
            }
        })
    }
}

/// What was asked and answered.
pub(super) struct Row {
    pub(super) realm: &'static str,
    pub(super) request: String,
    pub(super) what: &'static str,
    pub(super) status: u16,
    pub(super) reason: &'static str,
    pub(super) body: String,
    /// Whether the status is the one that the API's document has for it.
    pub(super) as_documented: bool,
}

/// A body on one line.
fn one_line(body: &str) -> String {
    body.split_whitespace().collect::<Vec<_>>().join(" ")
}
