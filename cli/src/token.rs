//! `keyward token`: tokens for keys that may have them.

use crate::failure::Failure;
use crate::output::Output;
use crate::request::RequestArguments;
use crate::verify::{Findings, unavailable, write_verdict};
use clap::{Args, Subcommand};
use keyward::reason::Decision;
use std::io::Write;

/// Issue a token for a key
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Issue(Box<IssueArguments>),
}

/// Decide one request and, where it is allowed, print a token that is bound to its key
///
/// The token is by the rules of the realm's token credential, and signed with a token key of the keyring that
/// has its private half. Revoking the key revokes the token. A request that is denied prints nothing on
/// standard output, and the verdict on standard error.
#[derive(Args)]
#[command(after_help = "\
Example:
  keyward token issue keys.kwd --keyring keyring.toml --realm aver -X POST --path /api/auth -u ID:SECRET

Exit codes: 0 issued; 1 denied; 2 the command line is wrong; 3 nothing could be decided, or
no token of that kind can be issued from this snapshot and keyring.")]
struct IssueArguments {
    #[command(flatten)]
    request: RequestArguments,
    /// The token credential [default: the only one of the realm]
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// The token key to sign with [default: the last one of the realm that can sign]
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    /// Whom the token is about [default: the id of the key]
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let Command::Issue(arguments) = &arguments.command;
    let asked = &arguments.request;
    let engine = asked.engine()?;
    let (headers, scopes, now) = (asked.headers()?, asked.scopes(), asked.now());
    let mut findings = Findings::default();
    let verdict = engine.explain(&asked.request(&headers, &scopes, now), &mut findings);
    match verdict.decision() {
        Decision::Unavailable => Err(unavailable(&findings, &asked.realm)),
        Decision::Deny => {
            write_verdict(&verdict, &mut anstream::stderr())?;
            Ok(false)
        }
        Decision::Allow => {
            let [credential, kid, subject] =
                [&arguments.credential, &arguments.kid, &arguments.subject].map(Option::as_deref);
            let token = verdict.issue(credential, kid, subject, now);
            writeln!(Output::new(), "{}", token.map_err(Failure::data)?)?;
            Ok(true)
        }
    }
}
