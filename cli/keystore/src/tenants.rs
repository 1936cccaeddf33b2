//! Tenants and their members.

use crate::session::{Row, query, query_first, values};
use crate::{Change, StoreError, View};

/// Who owns keys: an account or a business, in one realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The realm.
    pub realm: String,
    /// The name that keys and requests give.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// When it was approved, if it was.
    pub approved_at: Option<u64>,
    /// When it was added.
    pub created_at: u64,
}

/// What a member may do where the realm's rules say that roles count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Owner,
    /// All but making keys.
    Developer,
    /// Looking.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Developer, Self::Viewer];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Somebody who belongs to a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name, such as an address for mail.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they were added.
    pub created_at: u64,
}

fn tenant(mut row: Row) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        realm: row.text()?,
        name: row.text()?,
        title: row.optional_text()?,
        approved_at: row.optional_time()?,
        created_at: row.time()?,
    })
}

fn role(row: &mut Row) -> Result<Role, StoreError> {
    Role::from_name(&row.text()?).ok_or(StoreError::Unreadable("a member has a role that is none"))
}

const TENANT: &str = "SELECT realm, name, title, approved_at, created_at FROM tenant";

impl View<'_> {
    /// The tenant of that name.
    pub fn tenant(&mut self, realm: &str, name: &str) -> Result<Option<Tenant>, StoreError> {
        let sql = format!("{TENANT} WHERE realm = $1 AND name = $2");
        query_first(self.session, &sql, values![realm, name], tenant)
    }

    /// All tenants, of one realm where it is named, by realm and name.
    pub fn tenants(&mut self, realm: Option<&str>) -> Result<Vec<Tenant>, StoreError> {
        let mut conditions = crate::view::Conditions::new();
        conditions.equal("realm", realm);
        let sql = format!("{TENANT}{conditions} ORDER BY realm, name");
        query(self.session, &sql, conditions.values(), tenant)
    }

    /// The members of a tenant, by name.
    pub fn members(&mut self, realm: &str, tenant: &str) -> Result<Vec<Member>, StoreError> {
        let sql = "SELECT name, role, created_at FROM member WHERE realm = $1 AND tenant = $2 ORDER BY name";
        query(self.session, sql, values![realm, tenant], |mut row| {
            Ok(Member { name: row.text()?, role: role(&mut row)?, created_at: row.time()? })
        })
    }

    /// The role of a member of a tenant.
    pub fn role(&mut self, realm: &str, tenant: &str, member: &str) -> Result<Option<Role>, StoreError> {
        let sql = "SELECT role FROM member WHERE realm = $1 AND tenant = $2 AND name = $3";
        query_first(self.session, sql, values![realm, tenant, member], |mut row| role(&mut row))
    }
}

impl Change<'_> {
    /// Adds a tenant that is not there.
    pub fn add_tenant(
        &mut self,
        realm: &str,
        name: &str,
        title: Option<&str>,
        approved: bool,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let sql =
            "INSERT INTO tenant (realm, name, title, approved_at, created_at) VALUES ($1, $2, $3, $4, $5)";
        self.writing().execute(sql, values![realm, name, title, approved.then_some(now), now])?;
        Ok(())
    }

    /// Approves a tenant.
    pub fn approve_tenant(&mut self, realm: &str, name: &str) -> Result<(), StoreError> {
        let sql = "UPDATE tenant SET approved_at = $1 WHERE realm = $2 AND name = $3";
        let now = self.now();
        self.writing().execute(sql, values![now, realm, name])?;
        Ok(())
    }

    /// Adds a member, or gives one that is there another role.
    pub fn put_member(
        &mut self,
        realm: &str,
        tenant: &str,
        name: &str,
        role: Role,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let sql = "INSERT INTO member (realm, tenant, name, role, created_at) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (realm, tenant, name) DO UPDATE SET role = excluded.role";
        self.writing().execute(sql, values![realm, tenant, name, role.name(), now])?;
        Ok(())
    }
}
