//! Rules for those who make keys. They are read and checked like all others, and a verify does not look at them; no
//! snapshot has them.

use super::Realm;
use super::document::Table;
use super::fault::{Fault, KeyPath};
use super::rules::distinct;

/// What the commands that make keys ask of a realm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuing {
    /// Whether a member who is an owner of the tenant must ask for a new key.
    pub owners_only: bool,
    /// Environments whose keys only an approved tenant gets.
    pub approval_required_for: Vec<String>,
    /// The most keys that a tenant has for one credential and environment; `None`: any number.
    pub keys_per_tenant: Option<u64>,
}

const ISSUING: &[&str] = &["owners_only", "approval_required_for", "keys_per_tenant"];

impl Issuing {
    /// What the table `issuing` of a realm says.
    pub(super) fn read(realm: &Table<'_, '_>) -> Result<Self, Fault> {
        let Some(table) = realm.table("issuing")? else {
            return Ok(Self::default());
        };
        table.only(ISSUING, " of the rules for making keys")?;
        Ok(Self {
            owners_only: table.boolean("owners_only")?.unwrap_or(false),
            approval_required_for: table.texts("approval_required_for")?.unwrap_or_default(),
            keys_per_tenant: table.whole("keys_per_tenant")?,
        })
    }

    pub(super) fn check(&self, path: &KeyPath, realm: &Realm) -> Result<(), Fault> {
        let list = path.join("approval_required_for");
        distinct(&list, &self.approval_required_for)?;
        for (index, environment) in self.approval_required_for.iter().enumerate() {
            if !realm.environments.contains(environment) {
                let found = format!("{environment:?} is no environment of the realm");
                return Err(Fault::new(list.join(index), found).among(environment, &realm.environments));
            }
        }
        match self.keys_per_tenant {
            Some(0) => Err(Fault::new(path.join("keys_per_tenant"), "0")
                .expecting("at least 1, or no `keys_per_tenant` for any number")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::realm::{Configuration, CredentialKind};

    fn read(issuing: &str, credential: &str) -> Result<Configuration, String> {
        let text = format!(
            "[realm.shop]\nenvironments = [\"live\", \"test\"]\n[realm.shop.credential.key]\nkind = \"key\"\n\
             source = \"bearer\"\n{credential}\n{issuing}"
        );
        Configuration::read(&text, "keyward.toml").map_err(|error| error.to_string())
    }

    #[test]
    fn rules_are_read_and_no_snapshot_has_them() {
        let issuing = "[realm.shop.issuing]\nowners_only = true\napproval_required_for = [\"live\"]\nkeys_per_tenant = 1";
        let configuration = read(issuing, "retrievable = true").unwrap();
        let realm = &configuration.realms[0];
        assert!(realm.issuing.owners_only);
        assert_eq!(realm.issuing.approval_required_for, ["live"]);
        assert_eq!(realm.issuing.keys_per_tenant, Some(1));
        assert!(matches!(&realm.credentials[0].kind, CredentialKind::Key(rules) if rules.retrievable));
        let carried = serde_json::to_string(&configuration).unwrap();
        assert_eq!(carried, serde_json::to_string(&read("", "").unwrap()).unwrap());
        assert!(!carried.contains("issuing") && !carried.contains("retrievable"));
    }

    #[test]
    fn rules_that_cannot_be_are_refused() {
        for (rule, found) in [
            ("owner_only = true", "did you mean \"owners_only\"?"),
            ("owners_only = 1", "true or false"),
            ("approval_required_for = [\"lvie\"]", "did you mean \"live\"?"),
            ("approval_required_for = [\"live\", \"live\"]", "twice"),
            ("keys_per_tenant = 0", "at least 1"),
        ] {
            let error = read(&format!("[realm.shop.issuing]\n{rule}"), "").unwrap_err();
            assert!(
                error.contains(found) && error.starts_with("keyward.toml:8: realm.shop.issuing."),
                "{error}"
            );
        }
        let error = Configuration::read(
            "[realm.shop.credential.t]\nkind = \"tenant\"\nsource = \"header:T\"\nretrievable = true",
            "f",
        );
        assert!(error.unwrap_err().to_string().contains("retrievable"));
    }
}
