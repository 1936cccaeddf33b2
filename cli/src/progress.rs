//! How far the work is, on a terminal, where it takes long enough that somebody asks.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keyward::build;
use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// What takes less is over before a bar could be read.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar on standard error. Where that is no terminal there is none, and nothing is written.
pub(crate) struct Progress {
    started: Instant,
    wanted: bool,
    bar: RefCell<Option<ProgressBar>>,
}

impl Progress {
    /// Starts counting; nothing is shown yet.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), wanted: io::stderr().is_terminal(), bar: RefCell::new(None) }
    }

    /// Says that `done` of `total` are done, and what; a `total` of 0 is not known.
    pub(crate) fn show(&self, what: &'static str, done: u64, total: u64) {
        if !self.wanted || self.started.elapsed() < PATIENCE {
            return;
        }
        let mut bar = self.bar.borrow_mut();
        let bar =
            bar.get_or_insert_with(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
        if bar.message() != what {
            let template = if total == 0 {
                "{spinner} {msg} {pos} {elapsed}"
            } else {
                "{msg:12} [{wide_bar}] {percent:>3} % {elapsed}"
            };
            bar.set_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_message(what);
        }
        if total != 0 {
            bar.set_length(total);
        }
        bar.set_position(done);
    }

    /// Says how far a build is; its keys have `length` bytes where that is known.
    pub(crate) fn show_build(&self, progress: build::Progress, length: Option<u64>) {
        match progress {
            build::Progress::Reading { bytes, keys } => match length {
                Some(length) => self.show("reading keys", bytes, length),
                None => self.show("keys read:", keys, 0),
            },
            build::Progress::Sorting => self.show("sorting", 0, 1),
            build::Progress::Writing { bytes, total } => self.show("writing", bytes, total),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get_mut() {
            bar.finish_and_clear();
        }
    }
}
