//! A request on the command line, written as for curl.

use crate::failure::Failure;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use keyward::engine::{Engine, Options, ReloadError};
use keyward::keyring::Keyring;
use keyward::request::{Peer, Request};
use keyward::time::Timestamp;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Rate-limit state for the one key of one request.
const LIMITER_SLOTS: usize = 64;

/// A snapshot, a keyring and a request.
#[derive(Args)]
pub(crate) struct RequestArguments {
    /// The snapshot
    snapshot: PathBuf,
    /// The keyring that it was built with (mode 0600)
    #[arg(long, value_name = "FILE")]
    keyring: PathBuf,
    /// The realm that the request is for
    #[arg(long, value_name = "NAME")]
    pub(crate) realm: String,

    /// The method [default: GET]
    #[arg(
        short = 'X',
        long = "request",
        visible_alias = "method",
        value_name = "METHOD",
        help_heading = "Request"
    )]
    method: Option<OsString>,
    /// A header, its bytes as given; may be repeated. `@FILE` reads one a line, `@-` from standard input, which
    /// keeps secrets out of the list of processes
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", help_heading = "Request")]
    headers: Vec<OsString>,
    /// An `Authorization: Basic` header
    #[arg(short, long, value_name = "ID:SECRET", help_heading = "Request")]
    user: Option<OsString>,
    /// The request target, as sent. Without it routing is left out: what the realm requires by default counts,
    /// and the scopes that --scope names
    #[arg(long, value_name = "PATH", help_heading = "Request")]
    path: Option<OsString>,
    /// What the client asked for as host; a Host header is not looked at
    #[arg(long, value_name = "HOST", help_heading = "Request")]
    host: Option<OsString>,
    /// Who is at the other end of the connection: an IP address, or `unix:` for a Unix socket [default: unknown]
    #[arg(long, value_name = "ADDRESS", help_heading = "Request")]
    ip: Option<OsString>,
    /// The environment that keys must be of, whatever the host says
    #[arg(long, value_name = "NAME", help_heading = "Request")]
    environment: Option<String>,
    /// A scope to ask for besides the route's; may be repeated
    #[arg(long = "scope", value_name = "NAME", help_heading = "Request")]
    scopes: Vec<String>,
    /// The time to decide at, in Unix seconds, fractions allowed [default: the clock's]
    #[arg(long, value_name = "SECONDS", help_heading = "Request")]
    now: Option<Timestamp>,
    /// The request came without TLS
    #[arg(long, help_heading = "Request")]
    no_tls: bool,
    /// Count it in this state file, as a server does; made where it is not there
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Send it so many times and tell of the last, to see a rate limit
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Request")]
    pub(crate) repeat: u32,
}

/// A header list of our own.
pub(crate) type Headers = Vec<(Vec<u8>, Vec<u8>)>;

impl RequestArguments {
    /// The engine to ask.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        let keyring = Keyring::load(&self.keyring)?;
        let state = self.state.clone();
        let options = Options { limiter_slots: LIMITER_SLOTS, state, ..Options::default() };
        Engine::open(&self.snapshot, keyring, options).map_err(|error| match error {
            ReloadError::Io { .. } | ReloadError::State(_) => error.into(),
            other => Failure::file(&self.snapshot, other),
        })
    }

    /// The headers that were given. No message repeats any of them.
    pub(crate) fn headers(&self) -> Result<Headers, Failure> {
        let mut headers = Headers::new();
        for (given, number) in self.headers.iter().zip(1..) {
            let bytes = given.as_bytes();
            match bytes.strip_prefix(b"@") {
                Some(file) => read_headers(Path::new(OsStr::from_bytes(file)), &mut headers)?,
                None => headers.push(header(bytes).ok_or_else(|| {
                    Failure::usage(format_args!(
                        "-H number {number} has no colon; write -H 'Name: value', or -H @FILE"
                    ))
                })?),
            }
        }
        if let Some(user) = &self.user {
            let pair = user.as_bytes();
            if !pair.contains(&b':') {
                return Err(Failure::usage(
                    "-u has no colon; write -u ID:SECRET, or -u KEY: for a key alone",
                ));
            }
            let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
            headers.push((b"Authorization".to_vec(), value.into_bytes()));
        }
        Ok(headers)
    }

    /// The scopes that were asked for.
    pub(crate) fn scopes(&self) -> Vec<&str> {
        self.scopes.iter().map(String::as_str).collect()
    }

    /// The time to decide at.
    pub(crate) fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(Timestamp::coarse_now)
    }

    /// The request, with the headers and scopes of the two calls above.
    pub(crate) fn request<'a>(
        &'a self,
        headers: &'a Headers,
        scopes: &'a [&'a str],
        now: Timestamp,
    ) -> Request<'a, [(Vec<u8>, Vec<u8>)]> {
        Request {
            method: self.method.as_deref().map(OsStrExt::as_bytes),
            path: self.path.as_deref().map(OsStrExt::as_bytes),
            host: self.host.as_deref().map(OsStrExt::as_bytes),
            peer: self.ip.as_deref().map_or(Peer::Unknown, |ip| Peer::parse(ip.as_bytes())),
            tls: !self.no_tls,
            environment: self.environment.as_deref(),
            scopes,
            now: Some(now),
            ..Request::new(&self.realm, headers.as_slice())
        }
    }
}

/// Name and value of a header; the value begins right after the colon, as the engine trims it itself.
fn header(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    let (name, value) = bytes.split_at_checked(colon)?;
    Some((name.to_vec(), value.strip_prefix(b":")?.to_vec()))
}

fn read_headers(path: &Path, headers: &mut Headers) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        fs::read(path).map(|content| bytes = content)
    };
    read.map_err(|error| Failure::file(path, error))?;
    for (line, number) in bytes.split(|&byte| byte == b'\n').zip(1..) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            let wrong = || {
                Failure::file(
                    path,
                    format_args!("line {number} has no colon; one header a line, Name: value"),
                )
            };
            headers.push(header(line).ok_or_else(wrong)?);
        }
    }
    Ok(())
}
