//! A folder with a keystore, in a file or on a PostgreSQL server that the tests start.

use crate::support::{assert_code, stderr, stdout};
use keyward_keystore::{Place, Store, StoreError};
use keyward_testkit::postgres::Server;
pub(crate) use keyward_testkit::{databases::Kind, on_both};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub(crate) struct Desk {
    folder: TempDir,
    url: Option<String>,
}

impl Desk {
    /// A folder that `keyward init` has made, of that profile.
    pub(crate) fn new(kind: Kind, profile: &str) -> Self {
        let desk = Self::empty(kind);
        assert_code(&desk.run(["init", ".", "--profile", profile]), 0);
        desk
    }

    pub(crate) fn empty(kind: Kind) -> Self {
        Self::at((kind == Kind::Postgres).then(|| Server::shared().database()))
    }

    /// A folder whose keystore is at that URL, or in a file.
    pub(crate) fn at(url: Option<String>) -> Self {
        Self { folder: TempDir::new().unwrap(), url }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_remove("KEYWARD_DIR").env_remove("KEYWARD_STORE").env_remove("SOURCE_DATE_EPOCH");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(url) = &self.url {
            command.env("KEYWARD_STORE", url);
        }
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints where it goes well.
    #[track_caller]
    pub(crate) fn ok<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let output = self.run(arguments);
        assert_code(&output, 0);
        stdout(&output)
    }

    /// What it says where it is refused with that code.
    #[track_caller]
    pub(crate) fn refused<A: AsRef<OsStr>>(
        &self,
        code: i32,
        arguments: impl IntoIterator<Item = A>,
    ) -> String {
        let output = self.run(arguments);
        assert_code(&output, code);
        assert_eq!(stdout(&output), "");
        stderr(&output)
    }

    /// The JSON objects that it prints, one a line.
    #[track_caller]
    pub(crate) fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Vec<Value> {
        self.ok(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Makes a key of that id, and returns it.
    #[track_caller]
    pub(crate) fn create<const N: usize>(&self, id: &str, more: [&str; N]) -> String {
        let printed = self.ok(["key", "create", "--id", id].into_iter().chain(more));
        let key = printed.strip_suffix('\n').unwrap();
        assert!(!key.is_empty() && !key.contains(['\n', ' ']), "{printed:?}");
        key.to_owned()
    }

    /// What `key show` knows of it.
    #[track_caller]
    pub(crate) fn shown(&self, id: &str) -> Value {
        self.json(["key", "show", id, "--json"]).remove(0)
    }

    pub(crate) fn store(&self) -> Store {
        let place = match &self.url {
            Some(url) => Place::Postgres(url.clone()),
            None => Place::Sqlite(self.path("keystore.sqlite")),
        };
        Store::open(&place).unwrap()
    }

    /// A snapshot of what the keystore holds.
    pub(crate) fn publish(&self) {
        let mut lines = String::new();
        let collect = |key: keyward_keystore::StoredKey| {
            lines.extend([&key.record(), "\n"]);
            Ok::<_, StoreError>(())
        };
        self.store().read(|view| view.keys_changed_since(0, collect)).unwrap();
        self.write("keys.jsonl", &lines);
        assert_code(&self.run(crate::support::BUILD), 0);
    }

    /// The reason of a verify of a request with these arguments.
    #[track_caller]
    pub(crate) fn reason<const N: usize>(&self, realm: &str, more: [&str; N]) -> String {
        let start = ["verify", "keys.kwd", "--keyring", "keyring.toml", "--json", "--realm", realm];
        let output = self.run(start.into_iter().chain(more));
        let verdict: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}{}", stdout(&output), stderr(&output)));
        verdict["reason"].as_str().unwrap().to_owned()
    }

    /// Everything that the keystore has stored, as bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match &self.url {
            None => {
                let mut bytes = Vec::new();
                for entry in std::fs::read_dir(self.folder.path()).unwrap() {
                    let path = entry.unwrap().path();
                    if path.file_name().unwrap().to_str().unwrap().starts_with("keystore.sqlite") {
                        bytes.extend(std::fs::read(path).unwrap());
                    }
                }
                bytes
            }
            Some(url) => {
                let database = url.rsplit('/').next().unwrap();
                let sql = "SELECT t::text FROM keyward.api_key t UNION ALL SELECT t::text FROM keyward.audit t \
                           UNION ALL SELECT encode(sealed, 'escape') FROM keyward.sealed_secret";
                let output = Server::shared().psql(database, sql);
                assert!(output.status.success());
                output.stdout
            }
        }
    }
}
