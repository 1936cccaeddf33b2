//! `keyward member`: who may ask for what, where a realm's rules say that roles count.

use crate::failure::Failure;
use crate::keystore::issuing::{check_member, check_tenant};
use crate::keystore::place::{ActorArguments, PlaceArguments, realm};
use crate::keystore::tenant::check_name;
use crate::output::{Output, visible};
use clap::{Args, Subcommand, ValueEnum};
use keyward_keystore::{Entry, Role};
use serde_json::json;
use std::io::Write;

/// The longest name of a member, in bytes: an address for mail fits.
const MAX_MEMBER: usize = 320;

/// Members of tenants, and their roles
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Add(AddArguments),
}

/// Add a member to a tenant, or give one another role
///
/// An owner may do everything. A developer may do all but make keys where the realm's `owners_only` is set. A
/// viewer may change nothing. Roles count where a command is told who asks (--as).
#[derive(Args)]
#[command(after_help = "\
Example:
  keyward member add acme ada@example.com --role owner --realm built

Exit codes: 0 done; 1 there is no such tenant; 2 the command line is wrong; 3 the keystore cannot be used.")]
struct AddArguments {
    /// The tenant
    tenant: String,
    /// The name of the member
    member: String,
    /// What they may do
    #[arg(long, value_enum)]
    role: RoleName,
    /// The realm [default: the only one]
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    #[command(flatten)]
    actor: ActorArguments,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Owner,
    Developer,
    Viewer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Owner => Self::Owner,
            RoleName::Developer => Self::Developer,
            RoleName::Viewer => Self::Viewer,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let Command::Add(arguments) = &arguments.command;
    let configuration = arguments.place.configuration()?;
    let realm = realm(&configuration, arguments.realm.as_deref())?;
    let (tenant, member, role) = (&arguments.tenant, &arguments.member, Role::from(arguments.role));
    check_name("a member", member, MAX_MEMBER)?;
    arguments.place.open()?.change(&arguments.actor.actor(), |change| {
        check_tenant(change, realm, tenant)?;
        let actor = change.actor().clone();
        if check_member(change, &realm.name, Some(tenant), &actor)?.is_some_and(|role| role != Role::Owner) {
            return Err(Failure::check(format_args!("members of tenant {tenant:?} are added by its owners")));
        }
        let before = change.role(&realm.name, tenant, member)?;
        if before == Some(role) {
            return Ok(());
        }
        change.put_member(&realm.name, tenant, member, role)?;
        let details =
            json!({ "member": member, "role": { "from": before.map(Role::name), "to": role.name() } });
        change.log(&Entry::new("member.add").realm(&realm.name).tenant(Some(tenant)).details(details))?;
        Ok::<_, Failure>(())
    })?;
    writeln!(Output::new(), "{}: {} of {}", visible(member), role.name(), visible(tenant))?;
    Ok(true)
}
