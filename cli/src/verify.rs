//! `keyward verify` and `keyward explain`: what an engine decides about one request.

use crate::failure::Failure;
use crate::output::{Output, visible};
use crate::request::RequestArguments;
use crate::table::Table;
use crate::verdict::fields;
use anstyle::{AnsiColor, Style};
use clap::Args;
use http::StatusCode;
use keyward::engine::Verdict;
use keyward::gates::{Finding, Gate, Observer};
use keyward::reason::Decision;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Decide one request, written as for curl, and print the verdict and the answer
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward verify keys.kwd --keyring keyring.toml --realm billoget \\
    -X POST --path /v1/api/public/budgets -H 'Authorization: Bearer bk_live_0123456789abcdef'
  keyward verify keys.kwd --keyring keyring.toml --realm aver -X POST --path /api/auth -u ID:SECRET
  keyward verify keys.kwd --keyring keyring.toml --realm built --host web.builtaccounting.com \\
    --ip 203.0.113.7 -H @headers.txt --json

Exit codes: 0 allowed; 1 denied; 2 the command line is wrong; 3 nothing could be decided:
the snapshot or the keyring cannot be used, or the verdict is `unavailable`.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    request: RequestArguments,
    /// Print one JSON object, with the names of the vector files; null where there is nothing
    #[arg(long)]
    json: bool,
}

/// The same as verify, and what each gate saw; never a secret
#[derive(Args)]
#[command(after_help = "\
Example:
  keyward explain keys.kwd --keyring keyring.toml --realm billoget \\
    -X POST --path /v1/api/public/budgets -H 'Authorization: Bearer bk_live_0123456789abcdef'

Gates are printed in the order in which they were passed; the last one decided. What a request
presented is not printed, so the output can be put into a ticket.

Exit codes: as of `keyward verify`.")]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    arguments: Arguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    decide(arguments, false)
}

pub(crate) fn explain(arguments: &ExplainArguments) -> Result<bool, Failure> {
    decide(&arguments.arguments, true)
}

fn decide(arguments: &Arguments, explained: bool) -> Result<bool, Failure> {
    let asked = &arguments.request;
    let engine = asked.engine()?;
    let (headers, scopes) = (asked.headers()?, asked.scopes());
    let request = asked.request(&headers, &scopes, asked.now());
    for _ in 1..asked.repeat {
        engine.verify(&request);
    }
    let mut findings = Findings::default();
    let verdict = engine.explain(&request, &mut findings);
    let mut output = Output::new();
    if arguments.json {
        let mut object = fields(&verdict);
        if explained {
            object.insert("gates".to_owned(), findings.0.iter().map(Seen::to_json).collect());
        }
        writeln!(output, "{}", Value::Object(object))?;
    } else {
        if explained {
            findings.write(&mut output)?;
        }
        write_verdict(&verdict, &mut output)?;
    }
    match verdict.decision() {
        Decision::Allow => Ok(true),
        Decision::Deny => Ok(false),
        Decision::Unavailable => Err(unavailable(&findings, &asked.realm)),
    }
}

/// Says why nothing could be decided.
pub(crate) fn unavailable(findings: &Findings, realm: &str) -> Failure {
    let why = findings.0.last().map_or("nothing could be decided", |seen| &seen.detail);
    Failure::data(format_args!("realm {realm:?}: {why}"))
}

/// What one gate saw.
struct Seen {
    gate: Gate,
    outcome: &'static str,
    detail: String,
}

impl Seen {
    fn to_json(&self) -> Value {
        json!({ "gate": self.gate.name(), "outcome": self.outcome, "detail": self.detail })
    }
}

/// What every gate saw, in the order of the gates.
#[derive(Default)]
pub(crate) struct Findings(Vec<Seen>);

impl Observer for Findings {
    fn saw(&mut self, gate: Gate, finding: Finding<'_>) {
        let (outcome, detail) = match finding {
            Finding::Passed(why) => ("passed", why.to_owned()),
            Finding::Generation(generation) => ("passed", format!("generation {generation}")),
            Finding::Route(path) => ("passed", format!("route {path}")),
            Finding::Credential(name, what) => ("passed", format!("{name}: {what}")),
            Finding::RefusedCredential(name, reason) => ("refused", format!("{name}: {}", reason.name())),
            Finding::Saw(what, why) => ("saw", format!("{what}: {why}")),
            Finding::Refused(reason, why) => ("refused", format!("{}: {why}", reason.name())),
            Finding::MissingScope(scope) => {
                ("refused", format!("insufficient_scope: \"{scope}\" is missing"))
            }
            Finding::RetryAfter(seconds) => ("refused", format!("rate_limited: again after {seconds} s")),
        };
        self.0.push(Seen { gate, outcome, detail });
    }
}

impl Findings {
    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let mut table = Table::default();
        for seen in &self.0 {
            table.row([seen.gate.name(), seen.outcome, &visible(&seen.detail)]);
        }
        table.write(output, "")?;
        writeln!(output)
    }
}

/// The colour of a decision.
pub(crate) fn style(decision: Decision) -> Style {
    let colour = match decision {
        Decision::Allow => AnsiColor::Green,
        Decision::Deny => AnsiColor::Red,
        Decision::Unavailable => AnsiColor::Yellow,
    };
    colour.on_default().bold()
}

/// The status and its standard phrase.
pub(crate) fn status_line(status: u16) -> String {
    let phrase = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    phrase.map_or_else(|| status.to_string(), |phrase| format!("{status} {phrase}"))
}

pub(crate) fn write_verdict(verdict: &Verdict<'_>, output: &mut impl Write) -> io::Result<()> {
    let style = style(verdict.decision());
    let reason = verdict.reason();
    writeln!(
        output,
        "{style}{}{style:#}  {}: {}",
        verdict.decision().name(),
        reason.name(),
        reason.message()
    )?;
    let mut table = Table::default();
    let known = [
        ("key", verdict.key_id()),
        ("tenant", verdict.tenant()),
        ("environment", verdict.environment()),
        ("subject", verdict.subject()),
        ("missing scope", verdict.scope()),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            table.row([name.to_owned(), visible(value)]);
        }
    }
    if let Some(generation) = verdict.generation() {
        table.row(["generation".to_owned(), generation.to_string()]);
    }
    table.write(output, "  ")?;
    if verdict.is_allowed() {
        return writeln!(output, "\nThe request goes on to the server.");
    }
    let answer = verdict.answer();
    writeln!(output, "\n{}", status_line(answer.status))?;
    let headers = [
        ("WWW-Authenticate", answer.www_authenticate),
        ("Retry-After", answer.retry_after.map(|seconds| seconds.to_string())),
        ("Content-Type", answer.content_type),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            writeln!(output, "{name}: {}", visible(&value))?;
        }
    }
    writeln!(output, "\n{}", visible(&answer.body.unwrap_or_default()))
}
