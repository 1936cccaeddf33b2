//! A folder to work in, and the binary.

pub(crate) use keyward_testkit::program::{assert_code, assert_refused, json, stderr, stdout};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// One realm with all that the tests ask of a configuration.
pub(crate) const CONFIGURATION: &str = r#"
[realm.shop]
title = "Shop"
environments = ["live", "test"]
require_tls = true
default_require = ["key"]
unmatched = "authenticated"

[realm.shop.credential.key]
kind = "key"
source = "bearer"

[realm.shop.credential.pair]
kind = "basic"
source = "basic"

[realm.shop.credential.token]
kind = "token"
source = "bearer"
issuer = "shop"
audience = "shop"

[[realm.shop.route]]
methods = ["POST"]
path = "/orders"
scopes = ["orders:write"]

[[realm.shop.route]]
methods = ["POST"]
path = "/token"
require = ["pair"]

[[realm.shop.route]]
path = "/me"
require = ["token"]

[realm.shop.rate_limit.slow]
requests = 1
period = 60
"#;

/// A secret that a shop key is presented with.
pub(crate) const KEY: &str = "presented-key-0001";
/// The secret half of a pair.
pub(crate) const SECRET: &str = "presented:secret-0002";

/// The keys of the shop.
pub(crate) const KEYS: &str = r#"{"realm":"shop","id":"reader","key":"presented-key-0001","tenant":"acme","environment":"live"}
{"realm":"shop","id":"writer","key":"presented-key-0003","environment":"live","scopes":["orders:write"],"expires_at":1764864000}
{"realm":"shop","id":"slow","key":"presented-key-0004","rate_limit":"slow","environment":"test","expires_at":1764950400}
{"realm":"shop","id":"gone","key":"presented-key-0005","status":"revoked"}
{"realm":"shop","id":"office","key":"presented-key-0006","allow_ips":["203.0.113.0/24"],"expires_at":1704067200}
{"realm":"shop","id":"pair","basic":{"id":"someone","secret":"presented:secret-0002"},"tenant":"acme"}
"#;

/// A folder with a configuration, a keyring, and keys.
pub(crate) struct Shop {
    folder: TempDir,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let shop = Self { folder: TempDir::new().unwrap() };
        shop.write("keyward.toml", CONFIGURATION);
        shop.write("keys.jsonl", KEYS);
        assert_code(&shop.run(["keyring", "new", "-o", "keyring.toml"]), 0);
        let mut keyring = fs::read_to_string(shop.path("keyring.toml")).unwrap();
        keyring.push_str("\n[[token_key]]\nrealm = \"shop\"\nkid = \"k1\"\nalg = \"HS256\"\n");
        keyring.push_str("secret = \"YW4gZXhhbXBsZSBzZWNyZXQgb2YgdGhpcnR5LXR3byE=\"\n");
        shop.write("keyring.toml", &keyring);
        shop
    }

    /// One whose keys are published as `keys.kwd`.
    pub(crate) fn open() -> Self {
        let shop = Self::new();
        assert_code(&shop.build([]), 0);
        shop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(arguments).current_dir(self.folder.path()).env_remove("SOURCE_DATE_EPOCH");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `keyward build` of what is in the folder, and more arguments.
    pub(crate) fn build<const N: usize>(&self, more: [&str; N]) -> Output {
        self.command(BUILD).args(more).output().unwrap()
    }

    /// The same with keys on standard input.
    pub(crate) fn build_from_input(&self, keys: &str) -> Output {
        let arguments = BUILD.map(|argument| if argument == "keys.jsonl" { "-" } else { argument });
        self.with_input(&arguments, keys)
    }

    pub(crate) fn with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// `keyward verify` or the like of a request to the shop.
    pub(crate) fn ask<const N: usize>(&self, command: &str, more: [&str; N]) -> Output {
        let start =
            [command, "keys.kwd", "--keyring", "keyring.toml", "--realm", "shop", "--now", "1764000000"];
        self.command(start).args(more).output().unwrap()
    }
}

/// The arguments of a plain build.
pub(crate) const BUILD: [&str; 9] = [
    "build",
    "--config",
    "keyward.toml",
    "--keyring",
    "keyring.toml",
    "--keys",
    "keys.jsonl",
    "-o",
    "keys.kwd",
];

/// The arguments of a build of a delta.
pub(crate) const BUILD_DELTA: [&str; 9] = [
    "build",
    "--config",
    "keyward.toml",
    "--keyring",
    "keyring.toml",
    "--keys",
    "changes.jsonl",
    "--delta-on",
    "keys.kwd",
];
