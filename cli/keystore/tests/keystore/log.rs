//! The log, which can only be appended to.

use crate::house::{House, actor, add, changed_since, key, log, set_status};
use keyward::record::Status;
use keyward_keystore::{
    Actor, AuditFilter, Entry, Place, Publication, Role, SealedSecret, Store, StoreError,
};
use keyward_testkit::databases::Kind;
use keyward_testkit::on_both;
use keyward_testkit::postgres::Server;
use serde_json::json;
use std::time::Duration;

fn the_log_can_only_be_appended_to(kind: Kind) {
    let (house, mut store) = House::furnished(kind);
    add(&mut store, &mut [key("one", 1)]).unwrap();
    let before = log(&mut store, &AuditFilter::default());
    let mut attempts =
        vec!["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "DELETE FROM audit WHERE number = 1"];
    match house.kind {
        Kind::Sqlite => attempts.push(
            "INSERT OR REPLACE INTO audit SELECT number, 0, 'x', NULL, origin, action, NULL, NULL, NULL, details, \
             NULL FROM audit",
        ),
        Kind::Postgres => attempts.extend([
            "TRUNCATE audit",
            "INSERT INTO audit SELECT * FROM audit ON CONFLICT (number) DO UPDATE SET actor = 'x'",
        ]),
    }
    for attempt in attempts {
        let refused = house.foreign(attempt).unwrap_err();
        assert!(refused.contains("can only be appended to"), "{attempt}: {refused}");
    }
    assert_eq!(log(&mut store, &AuditFilter::default()), before);
}

fn the_log_says_who_what_when_and_where(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    add(&mut store, &mut [key("one", 1)]).unwrap();
    let ada = Actor::current(Some("ada"));
    store
        .change::<_, StoreError>(&ada, |change| {
            let mut key = change.key("shop", "one")?.unwrap();
            key.status = Status::Suspended;
            change.update_key(&mut key)?;
            let details = json!({ "status": ["active", "suspended"] });
            change.log(
                &Entry::new("key.suspend").realm("shop").tenant(Some("acme")).key("one").details(details),
            )
        })
        .unwrap();
    let rows = log(&mut store, &AuditFilter::default());
    let newest = &rows[0];
    assert_eq!((newest.number, newest.action.as_str(), newest.change), (3, "key.suspend", Some(2)));
    assert_eq!((newest.member.as_deref(), newest.key.as_deref()), (Some("ada"), Some("one")));
    assert_eq!(newest.details["status"], json!(["active", "suspended"]));
    assert!(!newest.actor.is_empty() && newest.at > 1_764_000_000);
    assert_eq!(newest.origin["pid"], std::process::id());
    assert!(newest.origin["host"].is_string());
    assert_eq!(newest.origin.get("database_user").is_some(), matches!(kind, Kind::Postgres));
    assert_eq!(rows[2].change, None);

    let mut numbers = |filter: AuditFilter<'_>| -> Vec<i64> {
        log(&mut store, &filter).iter().map(|row| row.number).collect()
    };
    assert_eq!(numbers(AuditFilter { action: Some("key"), ..AuditFilter::default() }), [3, 2]);
    assert_eq!(numbers(AuditFilter { action: Some("key.import"), ..AuditFilter::default() }), [2]);
    assert!(numbers(AuditFilter { action: Some("ke"), ..AuditFilter::default() }).is_empty());
    // What came with an import is found in it.
    assert_eq!(numbers(AuditFilter { key: Some("one"), ..AuditFilter::default() }), [3, 2]);
    assert_eq!(numbers(AuditFilter { who: Some("ada"), ..AuditFilter::default() }), [3]);
    assert_eq!(numbers(AuditFilter { tenant: Some("acme"), ..AuditFilter::default() }), [3, 1]);
    assert_eq!(
        numbers(AuditFilter { newest: Some(2), realm: Some("shop"), ..AuditFilter::default() }),
        [3, 2]
    );
    assert!(numbers(AuditFilter { since: Some(4_000_000_000), ..AuditFilter::default() }).is_empty());
}

on_both!(the_log_can_only_be_appended_to, the_log_says_who_what_when_and_where,);

/// The roles that docs/OPERATIONS.md names can do their work, and nothing to the log.
#[test]
fn roles_have_the_rights_that_they_need() {
    let page = include_str!("../../../../docs/OPERATIONS.md");
    let (_, sql) = page.split_once("```sql\n").unwrap();
    let (sql, _) = sql.split_once("```").unwrap();
    let (house, mut owner) = House::furnished(Kind::Postgres);
    add(&mut owner, &mut [key("one", 1)]).unwrap();
    house.foreign(sql).unwrap();
    let Place::Postgres(url) = &house.place else { panic!("it is PostgreSQL") };
    let as_role = |role: &str| Place::Postgres(url.replace("keyward@", &format!("{role}@")));

    let mut operator = Store::open(&as_role("keyward_operator")).unwrap();
    add(&mut operator, &mut [key("two", 2)]).unwrap();
    set_status(&mut operator, "one", Status::Revoked);
    operator
        .change::<_, StoreError>(&actor(), |change| {
            change.put_sealed_secret("shop", "two", &SealedSecret { sealing_key: 1, sealed: vec![1] })?;
            change.drop_sealed_secret("shop", "two")?;
            change.put_member("shop", "acme", "ada", Role::Owner)?;
            change.approve_tenant("shop", "acme")?;
            change.log(&Entry::new("test"))
        })
        .unwrap();

    let mut publisher = Store::open(&as_role("keyward_publisher")).unwrap();
    assert_eq!(changed_since(&mut publisher, 0).len(), 2);
    assert_eq!(publisher.wait(0, Duration::from_secs(1)).unwrap(), 3);
    let publication = Publication {
        generation: 1,
        base: None,
        change: 3,
        configuration: String::new(),
        keys: 2,
        hash: String::new(),
        published_at: 1,
    };
    publisher
        .change::<_, StoreError>(&actor(), |change| {
            change.add_publication(&publication)?;
            change.log(&Entry::new("publish"))
        })
        .unwrap();
    add(&mut publisher, &mut [key("three", 3)]).unwrap_err();
    assert!(publisher.read(|view| view.sealed_secret("shop", "two")).is_err());

    let database = url.rsplit('/').next().unwrap();
    for role in ["keyward_operator", "keyward_publisher"] {
        for attempt in [
            "DELETE FROM keyward.audit",
            "DROP TRIGGER audit_stays ON keyward.audit",
            "TRUNCATE keyward.audit",
        ] {
            let output = Server::shared().psql(database, &format!("SET ROLE {role}; {attempt}"));
            assert!(!output.status.success(), "{role}: {attempt}");
        }
    }
}
