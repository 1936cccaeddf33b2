//! What came out, for people and for programs.

use super::generations::Reloads;
use super::rounds::{ALL_ACTIVE, Counted, FEW_ACTIVE, HASH, NEW_SECOND, READ, Row, SAME_SECOND, Stage};
use super::threads::Throughput;
use keyward::snapshot::Mode;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// How the snapshot was built.
pub(super) struct Build {
    pub(super) seconds: f64,
    /// The most memory it took, where that is known.
    pub(super) peak: Option<u64>,
    /// Bytes of the file.
    pub(super) length: u64,
}

/// Everything that was measured.
pub(super) struct Report {
    pub(super) keys: u64,
    pub(super) threads: usize,
    pub(super) mode: Mode,
    pub(super) build: Build,
    /// Milliseconds from a path to the first verdict.
    pub(super) open: f64,
    pub(super) rows: Vec<Row>,
    pub(super) throughput: Throughput,
    pub(super) reloads: Reloads,
}

/// The stores beside ours, as rows and as people call them.
const PEERS: [(&str, &str); 3] = [
    ("hashbrown", "digest + hashbrown::HashMap"),
    ("rwlock_hashmap", "digest + RwLock<std HashMap>"),
    ("lmdb", "digest + LMDB, a transaction a call"),
];

/// Our own rows, as people call them.
const ROWS: [(&str, &str); 9] = [
    ("verify", "verify, allowed"),
    ("miss", "verify, unknown key"),
    ("malformed", "verify, malformed key"),
    ("limited", "verify, with a rate limit"),
    ("batch", "verify, 16 at once"),
    ("extraction", "extraction"),
    ("digest", "digest"),
    ("lookup_hit", "digest + lookup, found"),
    ("lookup_miss", "digest + lookup, not there"),
];

impl Report {
    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    fn median(&self, name: &str) -> f64 {
        self.row(name).map_or(0.0, |row| row.median)
    }

    /// H + M.
    fn floor(&self) -> f64 {
        self.median(HASH) + self.median(READ)
    }

    /// What `row` costs more than `base`, as a part of `base`.
    fn more(&self, row: &str, base: &str) -> f64 {
        self.median(row) / self.median(base) - 1.0
    }

    fn counted_json(&self, active: u64, names: &Counted) -> Value {
        let number = |name| tenths(self.median(name));
        json!({
            "keys": active,
            "plain_ns": number(names.plain),
            "usage_ns": number(names.usage),
            "usage_more": thousandths(self.more(names.usage, names.plain)),
            "plain_limited_ns": number(names.plain_limited),
            "usage_limited_ns": number(names.limited),
            "usage_limited_more": thousandths(self.more(names.limited, names.plain_limited)),
        })
    }

    fn keys_per_second(&self) -> f64 {
        self.keys as f64 / self.build.seconds
    }

    fn bytes_per_key(&self) -> f64 {
        self.build.length as f64 / self.keys as f64
    }

    fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Map => "map",
            Mode::Copy => "copy",
        }
    }

    fn row_json(&self, row: &Row) -> Value {
        let mut object = Map::new();
        object.insert("median_ns".into(), tenths(row.median));
        object.insert("ratio".into(), thousandths(row.median / self.floor()));
        if let (Some(alone), Some(p99)) = (row.alone, row.p99) {
            object.insert("alone_ns".into(), tenths(alone));
            object.insert("p99_ns".into(), tenths(p99));
        }
        Value::Object(object)
    }

    /// As one JSON object.
    pub(super) fn json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.into(), value);
        put("keys", json!(self.keys));
        put("mode", json!(self.mode_name()));
        put("h_ns", tenths(self.median(HASH)));
        put("m_ns", tenths(self.median(READ)));
        for row in ROWS.iter().filter_map(|(name, _)| self.row(name)) {
            put(row.name, self.row_json(row));
        }
        let peers = PEERS.iter().filter_map(|(name, _)| self.row(name));
        put(
            "peers",
            peers.map(|row| (row.name.to_owned(), self.row_json(row))).collect::<Map<_, _>>().into(),
        );
        let [all, few] = Stage::active(self.keys);
        put(
            "state",
            json!({
                "all": self.counted_json(all, &ALL_ACTIVE),
                "few": self.counted_json(few, &FEW_ACTIVE),
                "last_use_more": thousandths(self.more(NEW_SECOND, SAME_SECOND)),
            }),
        );
        put("threads", json!(self.threads));
        put("threads_speedup", thousandths(self.throughput.speedup()));
        put(
            "verifies_per_second",
            json!({
                "one_thread": self.throughput.one.round(),
                "threads": self.throughput.all.round(),
            }),
        );
        put("reload_ms", thousandths(self.reloads.milliseconds));
        put(
            "reload",
            json!({
                "worst_verify_ns": self.reloads.worst.round(),
                "p99_verify_ns": tenths(self.reloads.p99),
            }),
        );
        put("open_ms", thousandths(self.open));
        put(
            "build",
            json!({
                "seconds": thousandths(self.build.seconds),
                "keys_per_second": self.keys_per_second().round(),
                "peak_memory_bytes": self.build.peak,
                "snapshot_bytes": self.build.length,
            }),
        );
        put("bytes_per_key", thousandths(self.bytes_per_key()));
        Value::Object(object)
    }

    /// As a table.
    pub(super) fn print(&self, output: &mut impl Write) -> io::Result<()> {
        let floor = self.floor();
        writeln!(output, "{} keys, mode {}\n", self.keys, self.mode_name())?;
        writeln!(output, "{:38} {:>9} {:>9} {:>9} {:>9}", "", "ns", "x (H+M)", "alone ns", "p99 ns")?;
        let mut line = |name: &str, row: Option<&Row>| {
            let Some(row) = row else { return Ok(()) };
            write!(output, "{name:38} {:9.1} {:9.2}", row.median, row.median / floor)?;
            if let (Some(alone), Some(p99)) = (row.alone, row.p99) {
                write!(output, " {alone:9.1} {p99:9.1}")?;
            }
            writeln!(output)
        };
        line("H  keyed BLAKE3 of a key", self.row(HASH))?;
        line("M  dependent read of a cache line", self.row(READ))?;
        for (name, title) in ROWS {
            line(title, self.row(name))?;
        }
        for (name, title) in PEERS {
            line(title, self.row(name))?;
        }
        for (active, names) in Stage::active(self.keys).into_iter().zip([ALL_ACTIVE, FEW_ACTIVE]) {
            writeln!(output, "\nstate file, {active} active keys")?;
            let mut line = |title: &str, row: &str, base: &str| {
                let (row, base, more) = (self.median(row), self.median(base), self.more(row, base) * 100.0);
                writeln!(output, "  {title:36} {row:9.1} {base:9.1} without {more:+6.1} %")
            };
            line("usage", names.usage, names.plain)?;
            line("usage and limit", names.limited, names.plain_limited)?;
        }
        let more = self.more(NEW_SECOND, SAME_SECOND) * 100.0;
        writeln!(output, "  last use, a new second each request  {more:+6.1} %")?;
        let (one, all) = (self.throughput.one / 1e6, self.throughput.all / 1e6);
        writeln!(output)?;
        let threads = self.threads;
        let speedup = self.throughput.speedup();
        writeln!(output, "threads    one {one:.2} M verifies/s, {threads} {all:.2} M/s: {speedup:.2} x")?;
        let Reloads { milliseconds, worst, p99 } = self.reloads;
        let worst = worst / 1e3;
        writeln!(
            output,
            "reload     {milliseconds:.1} ms; verifies meanwhile p99 {p99:.0} ns, worst {worst:.0} us"
        )?;
        writeln!(output, "open       {:.1} ms to the first verdict", self.open)?;
        let rate = self.keys_per_second() / 1e3;
        write!(output, "build      {:.1} s, {rate:.0} thousand keys/s", self.build.seconds)?;
        if let Some(peak) = self.build.peak {
            let times = peak as f64 / self.build.length as f64;
            write!(output, ", {:.0} MB of memory ({times:.2} x the file)", peak as f64 / 1e6)?;
        }
        writeln!(output, "\nfile       {:.1} bytes a key", self.bytes_per_key())
    }
}

fn tenths(value: f64) -> Value {
    json!((value * 10.0).round() / 10.0)
}

fn thousandths(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}
