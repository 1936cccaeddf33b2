//! Slips of those who work on a keystore, and what keeps them from doing harm.

use crate::desk::{Desk, Kind, on_both};
use crate::support::assert_refused;

fn no_rotation_makes_a_key_that_cannot_be_published(kind: Kind) {
    let desk = Desk::new(kind, "plain");
    desk.create("later", ["--environment", "live", "--not-before", "+7d"]);
    let ended = desk.refused(2, ["key", "rotate", "later", "--overlap", "1h"]);
    assert!(ended.contains("never be valid"), "{ended}");
    let endless = desk.refused(2, ["key", "rotate", "later", "--overlap", "20000000d"]);
    assert!(endless.contains("expires_at"), "{endless}");
    desk.ok(["publish"]);
    // What has not begun begins no sooner.
    desk.ok(["key", "rotate", "later", "--new-id", "next"]);
    assert_eq!(desk.shown("next")["not_before"], desk.shown("later")["not_before"]);
    assert!(desk.shown("next")["not_before"].is_u64());
    desk.ok(["publish"]);
}

/// A limit that the configuration has no more, of a key that is revoked, keeps nothing from being published.
fn a_revoked_key_is_published_whatever_it_had(kind: Kind) {
    let desk = Desk::new(kind, "onebalance");
    desk.ok(["tenant", "add", "one"]);
    let key = desk.create("one", ["--tenant", "one", "--limit", "production"]);
    desk.ok(["publish"]);
    let rules = std::fs::read_to_string(desk.path("keyward.toml")).unwrap();
    assert!(rules.contains("rate_limit.production"));
    desk.write("keyward.toml", &rules.replace("rate_limit.production", "rate_limit.business"));
    assert!(desk.refused(3, ["publish"]).contains("key \"one\" of realm \"onebalance\""));
    desk.ok(["key", "revoke", "one"]);
    desk.ok(["publish"]);
    let header = format!("x-api-key: {key}");
    assert_eq!(desk.reason("onebalance", ["-H", &header, "--path", "/"]), "revoked");
}

fn members_do_what_their_role_allows(kind: Kind) {
    let desk = Desk::new(kind, "built");
    desk.ok(["tenant", "add", "acme"]);
    for (name, role) in [("ada", "owner"), ("bob", "developer"), ("eve", "viewer")] {
        desk.ok(["member", "add", "acme", name, "--role", role]);
    }
    for asks in ["bob", "eve", "nobody"] {
        let raise = ["member", "add", "acme", asks, "--role", "owner", "--as", asks];
        let said = desk.refused(1, raise);
        assert!(["owners", "may look", "no member"].iter().any(|why| said.contains(why)), "{said}");
    }
    for asks in ["ada", "eve"] {
        assert!(desk.refused(1, ["tenant", "approve", "acme", "--as", asks]).contains("--as"));
    }
    desk.write("keys.jsonl", "{\"realm\":\"built\",\"id\":\"k\",\"key\":\"imported-0123456789abcdef\",\"tenant\":\"acme\",\"environment\":\"staging\"}\n");
    for asks in ["eve", "nobody", "bob"] {
        assert_eq!(desk.run(["key", "import", "keys.jsonl", "--as", asks]).status.code(), Some(1));
    }
    assert!(desk.refused(1, ["tenant", "add", "self", "--approved", "--as", "eve"]).contains("--as"));
    desk.create("k", ["--tenant", "acme", "--environment", "staging", "--as", "ada"]);
    assert!(desk.refused(1, ["key", "show", "k", "--as", "nobody"]).contains("no member"));
    desk.ok(["key", "show", "k", "--as", "eve"]);
    desk.ok(["key", "revoke", "k", "--as", "bob"]);
    desk.refused(1, ["key", "revoke", "k", "--as", "nobody"]);
    assert_eq!(desk.json(["key", "list", "--json"]).len(), 1);
    desk.ok(["member", "add", "acme", "bob", "--role", "owner", "--as", "ada"]);
}

fn no_key_is_opened_to_the_world_in_passing(kind: Kind) {
    let desk = Desk::new(kind, "plain");
    desk.create("k", ["--environment", "live", "--ip", "203.0.113.0/24"]);
    let said = desk.refused(1, ["key", "ips", "k", "--remove", "203.0.113.0/24"]);
    assert!(said.contains("--none"), "{said}");
    assert_eq!(desk.shown("k")["allow_ips"][0], "203.0.113.0/24");
    desk.ok(["key", "ips", "k", "--remove", "203.0.113.0/24", "--add", "198.51.100.7"]);
    desk.ok(["key", "ips", "k", "--none"]);
    desk.write("keys.csv", "realm,id,sha256,environment,allow_ips\napi,i,00,live, ;\napi,j,00\n");
    let refused = desk.run(["key", "import", "keys.csv"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = crate::support::stdout(&refused) + &crate::support::stderr(&refused);
    assert!(said.contains("`allow_ips` has no address in it"), "{said}");
    assert!(said.contains("line 3: the line has 3 cells, and the heading 5"), "{said}");
}

fn a_key_is_given_no_more_than_its_tenant_may_have(kind: Kind) {
    let desk = Desk::new(kind, "interstellas");
    desk.ok(["tenant", "add", "north"]);
    let production = ["--tenant", "north", "--environment", "production"];
    desk.create("one", production);
    desk.ok(["key", "rotate", "one", "--new-id", "two", "--overlap", "1h"]);
    assert!(desk.refused(1, ["key", "expire", "one", "never"]).contains("was replaced by \"two\""));
    desk.ok(["key", "expire", "one", "now"]);
    desk.ok(["key", "expire", "two", "now"]);
    desk.create("three", production);
    assert!(desk.refused(1, ["key", "expire", "two", "+7d"]).contains("three"));
    desk.ok(["key", "revoke", "three"]);
    desk.ok(["key", "expire", "two", "+7d"]);
}

/// Whoever may only say why makes no line of the log, and a slip in the configuration keeps nobody from revoking.
fn the_log_and_the_end_of_a_key_do_not_depend_on_others(kind: Kind) {
    let desk = Desk::new(kind, "plain");
    desk.create("k", ["--environment", "live"]);
    desk.ok(["key", "suspend", "k", "--reason", "a\n99  2026-11-23T00:31:17Z  root  key.reveal"]);
    assert_eq!(desk.ok(["audit"]).lines().count(), 3);
    desk.append("keyward.toml", "\nslip\n");
    desk.ok(["key", "revoke", "k"]);
    assert!(desk.refused(3, ["publish"]).contains("keyward.toml"));
}

/// With another pepper under the same id every key would be unknown: nothing is published, and no leak is called none.
fn a_wrong_keyring_is_noticed(kind: Kind) {
    let desk = Desk::new(kind, "plain");
    let key = desk.create("k", ["--environment", "live"]);
    desk.ok(["publish"]);
    let own = std::fs::read_to_string(desk.path("keyring.toml")).unwrap();
    std::fs::remove_file(desk.path("keyring.toml")).unwrap();
    assert_refused(&desk.run(["init", "."]), 3, "holds keys (1)");
    assert!(!desk.path("keyring.toml").exists());
    desk.ok(["keyring", "new", "-o", "keyring.toml"]);
    desk.write("leak.txt", &key);
    let wrong = "pepper 1 is not the one";
    assert!(desk.refused(3, ["publish", "--full", "--yes"]).contains(wrong));
    assert!(desk.refused(3, ["scan", "leak.txt"]).contains(wrong));
    assert!(desk.refused(3, ["scan", "--snapshot", "keys.kwd", "leak.txt"]).contains("pepper 1"));
    let status = desk.run(["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(crate::support::stdout(&status).contains(wrong), "{}", crate::support::stdout(&status));
    desk.write("keyring.toml", &own);
    desk.ok(["publish", "--full"]);
    assert_eq!(desk.run(["scan", "leak.txt"]).status.code(), Some(1));
}

on_both!(
    no_rotation_makes_a_key_that_cannot_be_published,
    a_revoked_key_is_published_whatever_it_had,
    members_do_what_their_role_allows,
    no_key_is_opened_to_the_world_in_passing,
    a_key_is_given_no_more_than_its_tenant_may_have,
    the_log_and_the_end_of_a_key_do_not_depend_on_others,
    a_wrong_keyring_is_noticed,
);
