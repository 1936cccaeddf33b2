//! `keyward tenant`: who owns keys.

use crate::failure::Failure;
use crate::keystore::issuing::check_tenant;
use crate::keystore::place::{ActorArguments, PlaceArguments, realm};
use crate::keystore::times;
use crate::output::{Output, visible};
use crate::table::Table;
use clap::{Args, Subcommand};
use keyward::record::MAX_TENANT;
use keyward_keystore::{Change, Entry, Tenant, View};
use serde_json::json;
use std::io::Write;

/// Tenants: the accounts or businesses that own keys
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add a tenant
    ///
    /// Its name is what keys carry and what requests name where a realm asks for the tenant. Environments that
    /// the realm's `approval_required_for` lists stay closed to it until it is approved.
    #[command(after_help = "\
Example:\n  keyward tenant add acme --realm built --title 'Acme Ltd'\n\nExit codes: 0 added; 1 it is there already; 2 the command line is wrong; 3 the keystore cannot be used.")]
    Add {
        #[command(flatten)]
        tenant: TenantArguments,
        /// What people call it
        #[arg(long, value_name = "TEXT")]
        title: Option<String>,
        /// Approve it at once
        #[arg(long)]
        approved: bool,
    },
    /// Approve a tenant for the environments that ask for it
    Approve {
        #[command(flatten)]
        tenant: TenantArguments,
    },
    /// Show tenants, their approval and their members
    List {
        /// Only this realm
        #[arg(long, value_name = "NAME")]
        realm: Option<String>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: PlaceArguments,
    },
}

#[derive(Args)]
struct TenantArguments {
    /// The name of the tenant
    tenant: String,
    /// The realm [default: the only one]
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    #[command(flatten)]
    actor: ActorArguments,
    #[command(flatten)]
    place: PlaceArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    match &arguments.command {
        Command::Add { tenant, title, approved } => add(tenant, title.as_deref(), *approved),
        Command::Approve { tenant } => approve(tenant),
        Command::List { realm, json, place } => list(realm.as_deref(), *json, place),
    }
}

fn add(arguments: &TenantArguments, title: Option<&str>, approved: bool) -> Result<bool, Failure> {
    let configuration = arguments.place.configuration()?;
    let realm = realm(&configuration, arguments.realm.as_deref())?;
    let name = &arguments.tenant;
    check_name("a tenant", name, MAX_TENANT)?;
    arguments.place.open()?.change(&arguments.actor.actor(), |change| {
        check_may_approve(change, approved)?;
        if change.tenant(&realm.name, name)?.is_some() {
            return Err(Failure::check(format_args!("realm {:?} has a tenant {name:?} already", realm.name)));
        }
        change.add_tenant(&realm.name, name, title, approved)?;
        let details = json!({ "title": title, "approved": approved });
        Ok(change.log(&Entry::new("tenant.add").realm(&realm.name).tenant(Some(name)).details(details))?)
    })?;
    writeln!(Output::new(), "{}: added to realm {}", visible(name), visible(&realm.name))?;
    Ok(true)
}

/// What names of tenants and members may be, as in records of keys.
pub(crate) fn check_name(what: &str, name: &str, most: usize) -> Result<(), Failure> {
    if name.is_empty() || name.len() > most || name.chars().any(char::is_control) {
        return Err(Failure::usage(format_args!(
            "the name of {what} has 1 to {most} bytes and no control character"
        )));
    }
    Ok(())
}

/// Nobody approves a tenant as a member of one.
fn check_may_approve(change: &Change<'_>, approved: bool) -> Result<(), Failure> {
    if approved && change.actor().member().is_some() {
        return Err(Failure::check(
            "a tenant is approved by those who run the service, and not by its members (--as)",
        ));
    }
    Ok(())
}

fn approve(arguments: &TenantArguments) -> Result<bool, Failure> {
    let configuration = arguments.place.configuration()?;
    let realm = realm(&configuration, arguments.realm.as_deref())?;
    let name = &arguments.tenant;
    let approved = arguments.place.open()?.change(&arguments.actor.actor(), |change| {
        check_tenant(change, realm, name)?;
        check_may_approve(change, true)?;
        let tenant = change.tenant(&realm.name, name)?;
        if tenant.is_some_and(|tenant| tenant.approved_at.is_some()) {
            return Ok(false);
        }
        change.approve_tenant(&realm.name, name)?;
        change.log(&Entry::new("tenant.approve").realm(&realm.name).tenant(Some(name)))?;
        Ok::<_, Failure>(true)
    })?;
    let said = if approved { "approved" } else { "was approved already" };
    writeln!(Output::new(), "{}: {said}", visible(name))?;
    Ok(true)
}

/// A tenant's members as `name (role)`.
fn members(view: &mut View<'_>, tenant: &Tenant) -> Result<Vec<(String, &'static str)>, Failure> {
    let members = view.members(&tenant.realm, &tenant.name)?;
    Ok(members.into_iter().map(|member| (member.name, member.role.name())).collect())
}

fn list(realm: Option<&str>, json: bool, place: &PlaceArguments) -> Result<bool, Failure> {
    let tenants = place.open()?.read(|view| {
        let tenants = view.tenants(realm)?;
        tenants
            .into_iter()
            .map(|tenant| Ok((members(view, &tenant)?, tenant)))
            .collect::<Result<Vec<_>, Failure>>()
    })?;
    let mut output = Output::new();
    if json {
        for (members, tenant) in &tenants {
            let members: Vec<_> =
                members.iter().map(|(name, role)| json!({ "name": name, "role": role })).collect();
            let tenant = json!({
                "realm": tenant.realm,
                "name": tenant.name,
                "title": tenant.title,
                "approved_at": tenant.approved_at,
                "created_at": tenant.created_at,
                "members": members,
            });
            writeln!(output, "{tenant}")?;
        }
        return Ok(true);
    }
    let mut table = Table::default();
    table.row(["realm", "tenant", "title", "approved", "members"]);
    for (members, tenant) in &tenants {
        let members: Vec<String> = members.iter().map(|(name, role)| format!("{name} ({role})")).collect();
        table.row([
            visible(&tenant.realm),
            visible(&tenant.name),
            visible(tenant.title.as_deref().unwrap_or("")),
            times::shown_or(tenant.approved_at, "no"),
            visible(&members.join(", ")),
        ]);
    }
    table.write(&mut output, "")?;
    Ok(true)
}
