//! Standard output, for people and for programs.

use anstream::AutoStream;
use std::io::{self, ErrorKind, Stdout, Write};

/// Standard output. Colours reach it only on a terminal, and not where `NO_COLOR` is set.
///
/// Whoever reads from it may stop (`keyward inspect … | head`). That is not an error, and must not change an
/// exit code that says whether a request is allowed, so what is written afterwards is dropped.
pub(crate) struct Output(AutoStream<Stdout>);

impl Output {
    /// The standard output of this process.
    pub(crate) fn new() -> Self {
        Self(AutoStream::auto(io::stdout()))
    }
}

fn or_dropped<T>(result: io::Result<T>, dropped: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(dropped),
        other => other,
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_dropped(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        or_dropped(self.0.flush(), ())
    }
}

/// `text` with control characters written out, so that what came from a file or a request cannot steer the
/// terminal. Line feeds and tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => visible.push(character),
            control if control.is_control() => visible.extend(control.escape_default()),
            other => visible.push(other),
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(visible("a\u{1b}[31mb\r\u{9b}c\n\td"), "a\\u{1b}[31mb\\r\\u{9b}c\n\td");
    }
}
