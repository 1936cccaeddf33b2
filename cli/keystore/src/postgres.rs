//! A keystore on a server: PostgreSQL.
//!
//! TLS is rustls with the system's roots, and the server's name is always checked. It is required to every host but
//! the loopback, unless the URL says `sslmode=disable`; to the loopback and over a Unix socket it is not used.

use crate::StoreError;
use crate::session::{Begin, Dialect, Row, Session, Value};
use bytes::BytesMut;
use postgres::config::{Host, SslMode};
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, Statement};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres_rustls::MakeRustlsConnect;

pub(crate) const DIALECT: Dialect = Dialect {
    // By bytes, as SQLite compares and sorts.
    words: &[
        ("{text}", "TEXT COLLATE \"C\""),
        ("{integer}", "BIGINT"),
        ("{bytes}", "BYTEA"),
        ("{strict}", ""),
    ],
    own: |migration| migration.postgres,
};

/// How long a server is waited for that does not answer.
const CONNECT: Duration = Duration::from_secs(10);

/// A server that is gone without a word, as in a power cut, is noticed after so long.
const SILENCE: Duration = Duration::from_secs(20);
/// The advisory lock of whoever publishes: "kwdp".
const PUBLISHER: i64 = 0x6b77_6470;

/// What a session starts with. Tables stand in a schema of their own, so that an application's database can be used;
/// nothing of a temporary schema is taken for them. A change waits for another at most as long as with SQLite.
const SETTINGS: &str = "\
    SET search_path TO keyward, pg_temp; SET lock_timeout TO '10s'; \
    SET client_min_messages TO warning; SET synchronous_commit TO on;";

pub(crate) struct Postgres {
    client: Client,
    statements: HashMap<String, Statement>,
    listening: bool,
}

impl Postgres {
    pub(crate) fn connect(url: &str) -> Result<Self, StoreError> {
        // The text of a URL may hold a password, so no message repeats it.
        let mut config: Config = url.parse().map_err(|_| StoreError::Url)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.application_name("keyward");
        let local =
            config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
        // `prefer`, which is what is meant where nothing is said, goes on in plain text where somebody on the way asks
        // for it.
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(if local { SslMode::Disable } else { SslMode::Require });
        }
        let mut client = match config.get_ssl_mode() {
            SslMode::Disable => config.connect(NoTls)?,
            _ => config.connect(tls()?)?,
        };
        client.batch_execute(SETTINGS)?;
        Ok(Self { client, statements: HashMap::new(), listening: false })
    }

    fn statement(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
    }
}

fn tls() -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(StoreError::Tls(
            "this system has no root certificates, so no server can be trusted".to_owned(),
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql_checked(kind, out),
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Bytes(bytes) => bytes.to_sql_checked(kind, out),
        }
    }

    /// What does not fit is refused by the type of the value that there is.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        match *kind {
            Type::INT8 => i64::from_sql(kind, raw).map(Self::Integer),
            Type::BYTEA => Ok(Self::Bytes(raw.to_vec())),
            _ => String::from_sql(kind, raw).map(Self::Text),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::BYTEA) || <String as FromSql<'_>>::accepts(kind)
    }
}

fn parameters(values: &[Value]) -> impl ExactSizeIterator<Item = &(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync))
}

impl Session for Postgres {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.client.batch_execute(sql)?)
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let statement = self.statement(sql)?;
        Ok(self.client.execute(&statement, &parameters(values).collect::<Vec<_>>())?)
    }

    fn rows(
        &mut self,
        sql: &str,
        values: &[Value],
        each: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let statement = self.statement(sql)?;
        let mut rows = self.client.query_raw(&statement, parameters(values))?;
        while let Some(row) = rows.next()? {
            let values = (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>()?;
            each(Row::new(values))?;
        }
        Ok(())
    }

    fn begin(&mut self, begin: Begin) -> Result<(), StoreError> {
        self.batch(match begin {
            Begin::Reading => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            // Each statement sees what was committed before it; the first one takes the lock of all changes.
            Begin::Changing => "BEGIN ISOLATION LEVEL READ COMMITTED",
        })
    }

    fn lock_schema(&mut self) -> Result<(), StoreError> {
        // "kwds", as the application id of a file.
        self.batch("SELECT pg_catalog.pg_advisory_xact_lock(x'6b776473'::bigint)")?;
        let missing = "SELECT pg_catalog.to_regnamespace('keyward') IS NULL";
        if self.client.query_one(missing, &[])?.try_get(0)? {
            self.batch("CREATE SCHEMA keyward")?;
        }
        Ok(())
    }

    fn has_table(&mut self, name: &str) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'keyward' AND tablename = $1";
        let count: i64 = self.client.query_one(sql, &[&name])?.try_get(0)?;
        Ok(count > 0)
    }

    fn announce(&mut self, change: i64) -> Result<(), StoreError> {
        self.execute("SELECT pg_catalog.pg_notify('keyward', $1)", &[Value::Text(change.to_string())])?;
        Ok(())
    }

    fn wait(&mut self, most: Duration) -> Result<(), StoreError> {
        if !self.listening {
            self.client.batch_execute("LISTEN keyward")?;
            self.listening = true;
            // What was committed before anybody listened was announced to nobody.
            return Ok(());
        }
        let mut notifications = self.client.notifications();
        notifications.timeout_iter(most).next()?;
        while notifications.iter().next()?.is_some() {}
        drop(notifications);
        // An end of the connection looks like nothing having happened.
        self.client.check_connection()?;
        Ok(())
    }

    fn lock_publisher(&mut self) -> Result<bool, StoreError> {
        let sql = format!("SELECT pg_catalog.pg_try_advisory_lock({PUBLISHER})");
        Ok(self.client.query_one(&sql, &[])?.try_get(0)?)
    }

    fn unlock_publisher(&mut self) -> Result<(), StoreError> {
        self.batch(&format!("SELECT pg_catalog.pg_advisory_unlock({PUBLISHER})"))
    }

    fn origin(&mut self) -> Result<Map<String, Json>, StoreError> {
        let sql = "SELECT session_user::text, host(inet_client_addr())";
        let row = self.client.query_one(sql, &[])?;
        let (user, address): (Value, Value) = (row.try_get(0)?, row.try_get(1)?);
        let texts = [("database_user", user), ("client_address", address)].into_iter();
        let texts = texts.filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name.to_owned(), Json::String(text))),
            _ => None,
        });
        Ok(texts.collect())
    }
}
