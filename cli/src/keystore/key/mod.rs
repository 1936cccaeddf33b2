//! `keyward key`: the life of a key.

mod change;
mod create;
mod find;
mod import;
mod lists;
mod print;
mod reveal;
mod rotate;
mod rows;
mod show;

use crate::failure::Failure;
use clap::{Args, Subcommand};

/// Keys: made, shown once, rotated, revoked
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Create(Box<create::Arguments>),
    List(Box<show::ListArguments>),
    Show(show::Arguments),
    Rotate(rotate::Arguments),
    Suspend(change::SuspendArguments),
    Resume(change::ResumeArguments),
    Revoke(change::RevokeArguments),
    Expire(change::ExpireArguments),
    Scopes(lists::ScopesArguments),
    Ips(lists::IpsArguments),
    Import(Box<import::Arguments>),
    Reveal(reveal::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    match &arguments.command {
        Command::Create(arguments) => create::run(arguments),
        Command::List(arguments) => show::list(arguments),
        Command::Show(arguments) => show::show(arguments),
        Command::Rotate(arguments) => rotate::run(arguments),
        Command::Suspend(arguments) => change::suspend(arguments),
        Command::Resume(arguments) => change::resume(arguments),
        Command::Revoke(arguments) => change::revoke(arguments),
        Command::Expire(arguments) => change::expire(arguments),
        Command::Scopes(arguments) => lists::scopes(arguments),
        Command::Ips(arguments) => lists::ips(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Reveal(arguments) => reveal::run(arguments),
    }
}
