//! Aligned columns.

use std::io::{self, Write};

/// Rows whose cells stand under each other. The first row may be a heading.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: &'static [usize],
}

impl Table {
    /// A table whose columns of these numbers, from 0, are flush right.
    pub(crate) fn right(right: &'static [usize]) -> Self {
        Self { rows: Vec::new(), right }
    }

    /// Adds a row.
    pub(crate) fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        // What a cell holds makes no row of its own, whoever has written it.
        let line = |cell: String| cell.replace('\n', "\\n").replace('\t', "\\t");
        self.rows.push(cells.into_iter().map(|cell| line(cell.into())).collect());
    }

    /// Writes all rows, each after `indent`.
    pub(crate) fn write(&self, output: &mut impl Write, indent: &str) -> io::Result<()> {
        let mut widths = Vec::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                if widths.len() <= column {
                    widths.push(0);
                }
                if let Some(width) = widths.get_mut(column) {
                    *width = cell.chars().count().max(*width);
                }
            }
        }
        for row in &self.rows {
            let mut line = indent.to_owned();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column > 0 {
                    line.push_str("  ");
                }
                if self.right.contains(&column) {
                    line.push_str(&format!("{cell:>width$}"));
                } else {
                    line.push_str(&format!("{cell:<width$}"));
                }
            }
            writeln!(output, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn cells_stand_under_each_other() {
        let mut table = Table::right(&[1]);
        table.row(["name", "keys", "note"]);
        table.row(["é", "10", ""]);
        let mut written = Vec::new();
        table.write(&mut written, " ").unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), " name  keys  note\n é       10\n");
    }
}
