//! Which of the rows of counters a thread counts in, so that no two write to the same cache line.

use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Rows that threads of this process count in. All but the last belong to one thread at a time.
pub(super) const ROWS: usize = 16;

/// The rows that belong to a thread at the moment, a bit each.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// A thread's row, which is free again when the thread ends.
struct Own(Cell<Option<usize>>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(row) = self.0.get().filter(|&row| row < ROWS - 1) {
            TAKEN.fetch_and(!(1 << row), Release);
        }
    }
}

thread_local! {
    static OWN: Own = const { Own(Cell::new(None)) };
}

/// The row of the calling thread, and whether it is its alone. Where there are more threads than rows, the
/// rest share the last one.
#[inline]
pub(super) fn row() -> (usize, bool) {
    let row = OWN.try_with(|own| own.0.get().unwrap_or_else(|| take(own))).unwrap_or(ROWS - 1);
    (row, row < ROWS - 1)
}

#[cold]
fn take(own: &Own) -> usize {
    let free = |taken: u64| (0..ROWS - 1).find(|row| taken & (1 << row) == 0);
    // A thread that had the row before gave it back with `Release`: what it wrote there is seen.
    let before = TAKEN.fetch_update(Acquire, Relaxed, |taken| free(taken).map(|row| taken | 1 << row));
    let row = before.ok().and_then(free).unwrap_or(ROWS - 1);
    own.0.set(Some(row));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_at_one_time_have_rows_of_their_own() {
        let barrier = std::sync::Barrier::new(2 * ROWS);
        let rows: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2 * ROWS)
                .map(|_| {
                    scope.spawn(|| {
                        let row = row();
                        assert_eq!(super::row(), row);
                        barrier.wait();
                        row
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
        });
        let mut own: Vec<_> = rows.iter().filter(|(_, own)| *own).map(|(row, _)| *row).collect();
        let count = own.len();
        own.sort_unstable();
        own.dedup();
        assert_eq!(own.len(), count, "no row has two owners");
        assert!(rows.iter().all(|(row, own)| *own == (*row < ROWS - 1)));
        assert!(count < rows.len(), "the rest share");
    }
}
