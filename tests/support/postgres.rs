//! A PostgreSQL server for the tests of one process: in a temporary folder, on a Unix socket, and gone when the
//! process is, however that ends.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What is said where there is no PostgreSQL: nothing is left out.
const MISSING: &str = "these tests need PostgreSQL (initdb and postgres), which `make setup` installs";

/// Runs the server, again where somebody stops it, and ends it when its own standard input ends: that is a pipe which
/// this process alone holds, so a test that is killed leaves nothing behind.
const KEEPER: &str = r#"
trap '' INT TERM HUP
programs=$1 folder=$2
shift 2
serve() {
  while [ ! -e "$folder/over" ]; do
    "$programs/postgres" -D "$folder/data" -k "$folder" -c fsync=off -c max_connections=200 -c shared_buffers=16MB \
      -c unix_socket_permissions=0777 "$@" >>"$folder/log" 2>&1 </dev/null
    sleep 0.05
  done
}
serve "$@" &
server=$!
cat >/dev/null
: >"$folder/over"
kill -INT "$(head -n 1 "$folder/data/postmaster.pid")" 2>/dev/null
wait "$server"
rm -rf "$folder"
"#;

/// A running server.
pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
    /// Open for as long as the server is wanted.
    _keeper: ChildStdin,
}

impl Server {
    /// The server of this process, which the first call starts.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of its own, for tests that stop it.
    pub fn start() -> Self {
        Self::start_with(5432, &["-c", "listen_addresses="], |_, _| ())
    }

    /// One on that port of 127.0.0.1 that lets nobody in there but by TLS, with a certificate of its own for `name`. The
    /// certificate stands in [`Server::certificate`].
    pub fn start_with_tls(port: u16, name: &str) -> Self {
        Self::start_with(port, &["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"], |data, user| {
            fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
                .unwrap();
            let made = as_server(Path::new("openssl"), user)
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                    "-days",
                    "2",
                ])
                .args([
                    "-subj",
                    &format!("/CN={name}"),
                    "-addext",
                    "basicConstraints=critical,CA:FALSE",
                    "-addext",
                    &format!("subjectAltName=DNS:{name}"),
                    "-keyout",
                ])
                .arg(data.join("server.key"))
                .arg("-out")
                .arg(data.join("server.crt"))
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert!(made.status.success(), "openssl: {}", text(&made));
        })
    }

    /// One with those settings, whose folder of data is made ready by `prepare`. The port says what its socket is called
    /// as well.
    fn start_with(port: u16, settings: &[&str], prepare: impl FnOnce(&Path, User)) -> Self {
        let programs = programs().expect(MISSING);
        let folder = new_folder();
        let user = server_user();
        if let Some((_, uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let made = as_server(&programs.join("initdb"), user)
            .args(["--no-sync", "--auth=trust", "--username=keyward", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", text(&made));
        prepare(&folder.join("data"), user);
        let mut keeper = as_server(Path::new("/bin/sh"), user)
            .args(["-c", KEEPER, "keeper"])
            .args([&programs, &folder])
            .args(["-c", &format!("port={port}")])
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { _keeper: keeper.stdin.take().unwrap(), folder, programs, port };
        // Nobody waits for the keeper: it outlives this process by the time that a shutdown takes.
        thread::spawn(move || keeper.wait());
        server.wait();
        server
    }

    /// The certificate of a server with TLS.
    pub fn certificate(&self) -> String {
        fs::read_to_string(self.folder.join("data/server.crt")).unwrap()
    }

    /// The URL of a database that nothing else uses, made for the caller.
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let made = self.psql("postgres", &format!("CREATE DATABASE {name}"));
        assert!(made.status.success(), "{}", text(&made));
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        let socket = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://keyward@{socket}/{database}")
    }

    /// Stops the server in that mode of `pg_ctl`, `fast` or `immediate`; returns when it answers again.
    pub fn restart(&self, mode: &str) {
        let before = self.process();
        let stopped = as_server(&self.programs.join("pg_ctl"), server_user())
            .args(["stop", "-W", "-m", mode, "-D"])
            .arg(self.folder.join("data"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(stopped.status.success(), "pg_ctl: {}", text(&stopped));
        let end = Instant::now() + Duration::from_secs(60);
        while self.process().is_none_or(|now| Some(now) == before) {
            assert!(Instant::now() < end, "the PostgreSQL server does not stop");
            thread::sleep(Duration::from_millis(10));
        }
        self.wait();
    }

    /// The number of the server's process.
    fn process(&self) -> Option<u32> {
        fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
    }

    /// Waits until the server answers.
    fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.psql("postgres", "SELECT 1").status.success() {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "the PostgreSQL server does not start: {}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What `psql` answers to a statement.
    pub fn psql(&self, database: &str, sql: &str) -> Output {
        Command::new(self.programs.join("psql"))
            .arg("-XAtq")
            .args(["-v", "ON_ERROR_STOP=1", "-U", "keyward", "-d", database, "-c", sql, "-h"])
            .arg(&self.folder)
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// An empty folder, whose path is short enough for a socket in it.
fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("keyward-pg-{}-{number}", std::process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => return folder,
            // Left by an earlier process of this id.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{folder:?}: {error}"),
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Where `initdb` and `postgres` are: on the path, or where Debian puts them; the newest there.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH");
    let on_path = on_path.iter().flat_map(std::env::split_paths).collect::<Vec<_>>();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let debian = versions.into_iter().rev().map(|(_, path)| path);
    let has = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).exists());
    debian.chain(on_path).find(has)
}

/// Whom the server runs as, where that is somebody else: a name, and the numbers of user and group.
type User = Option<(&'static str, u32, u32)>;

/// Whom the server runs as: PostgreSQL refuses to run as root.
fn server_user() -> User {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    ["postgres", "nobody"].into_iter().find_map(|name| Some((name, id(&["-u", name])?, id(&["-g", name])?)))
}

fn as_server(program: &Path, user: User) -> Command {
    let mut command = match user {
        None => Command::new(program),
        Some((_, uid, gid)) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
            command.arg("--clear-groups").arg(program);
            command
        }
    };
    command.current_dir("/");
    command
}
