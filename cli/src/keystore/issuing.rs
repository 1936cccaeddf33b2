//! The rules of `[realm.NAME.issuing]`, and what roles of members allow.

use crate::failure::Failure;
use keyward::realm::Realm;
use keyward_keystore::{Actor, Role, StoreError, View};

/// A key that is to be made.
pub(crate) struct Wanted<'w> {
    pub(crate) credential: &'w str,
    pub(crate) tenant: Option<&'w str>,
    pub(crate) environment: Option<&'w str>,
    /// The key whose place it takes.
    pub(crate) replaces: Option<&'w str>,
}

/// That the member who asks may change the keys of this tenant: who looks only may not.
pub(crate) fn check_member(
    view: &mut View<'_>,
    realm: &str,
    tenant: Option<&str>,
    actor: &Actor,
) -> Result<Option<Role>, Failure> {
    let Some(member) = actor.member() else {
        return Ok(None);
    };
    let Some(tenant) = tenant else {
        return Err(Failure::check(format_args!(
            "--as {member:?}: the key has no tenant, so nobody is a member of it"
        )));
    };
    match view.role(realm, tenant, member)? {
        Some(Role::Viewer) => Err(Failure::check(format_args!(
            "{member:?} may look at the keys of tenant {tenant:?}, and not change them"
        ))),
        Some(role) => Ok(Some(role)),
        None => Err(Failure::check(format_args!(
            "{member:?} is no member of tenant {tenant:?}; `keyward member add` adds one"
        ))),
    }
}

/// That the tenant is there.
pub(crate) fn check_tenant(view: &mut View<'_>, realm: &Realm, tenant: &str) -> Result<(), Failure> {
    match view.tenant(&realm.name, tenant)? {
        Some(_) => Ok(()),
        None => Err(Failure::check(format_args!(
            "realm {:?} has no tenant {tenant:?}; `keyward tenant add` adds one",
            realm.name
        ))),
    }
}

/// That the environment's keys are for this tenant: some only for approved ones. `None`: they are.
pub(crate) fn unapproved(
    view: &mut View<'_>,
    realm: &Realm,
    tenant: Option<&str>,
    environment: Option<&str>,
) -> Result<Option<String>, StoreError> {
    let guarded =
        environment.filter(|name| realm.issuing.approval_required_for.iter().any(|listed| listed == name));
    let Some(environment) = guarded else {
        return Ok(None);
    };
    let Some(name) = tenant else {
        return Ok(Some(format!(
            "keys of environment {environment:?} are for approved tenants, and it has no tenant"
        )));
    };
    let approved = view.tenant(&realm.name, name)?.is_some_and(|tenant| tenant.approved_at.is_some());
    Ok((!approved).then(|| {
        format!("tenant {name:?} is not approved for keys of environment {environment:?}; `keyward tenant approve` does it")
    }))
}

/// That the realm's rules allow the key.
pub(crate) fn check(
    view: &mut View<'_>,
    realm: &Realm,
    wanted: &Wanted<'_>,
    actor: &Actor,
) -> Result<(), Failure> {
    if let Some(tenant) = wanted.tenant {
        check_tenant(view, realm, tenant)?;
    }
    let role = check_member(view, &realm.name, wanted.tenant, actor)?;
    if realm.issuing.owners_only && role != Some(Role::Owner) {
        let name = &realm.name;
        return Err(Failure::check(match actor.member() {
            None => format!(
                "keys of realm {name:?} are made for an owner of the tenant alone: name one with --as"
            ),
            Some(member) => {
                format!(
                    "keys of realm {name:?} are made for an owner of the tenant alone, and {member:?} is none"
                )
            }
        }));
    }
    if let Some(refusal) = unapproved(view, realm, wanted.tenant, wanted.environment)? {
        return Err(Failure::check(refusal));
    }
    check_room(view, realm, wanted)
}

/// That the tenant may have one more such key.
pub(crate) fn check_room(view: &mut View<'_>, realm: &Realm, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let (Some(most), Some(tenant)) = (realm.issuing.keys_per_tenant, wanted.tenant) else {
        return Ok(());
    };
    let now = crate::keystore::times::now();
    let mut standing = view.standing_keys(&realm.name, wanted.credential, tenant, wanted.environment, now)?;
    standing.retain(|id| Some(id.as_str()) != wanted.replaces);
    if (standing.len() as u64) < most {
        return Ok(());
    }
    Err(Failure::check(format_args!(
        "tenant {tenant:?} has {} of at most {most} such keys: {}; rotate or revoke one",
        standing.len(),
        standing.join(", ")
    )))
}
