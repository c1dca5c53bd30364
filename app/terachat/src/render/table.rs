use unicode_width::UnicodeWidthStr;

/// On which side a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of cells, aligned by what a terminal shows: wide characters count twice, colours not at all.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

#[derive(Debug)]
struct Cell {
    shown: String,
    width: usize,
    align: Align,
}

impl Table {
    /// No rows yet, each to be moved right by `indent` columns.
    pub(crate) fn indented(indent: usize) -> Self {
        Self { rows: Vec::new(), indent }
    }

    /// Begins a row.
    pub(crate) fn row(&mut self) -> &mut Self {
        self.rows.push(Vec::new());
        self
    }

    /// Adds a cell to the last row.
    pub(crate) fn cell(&mut self, text: &str) -> &mut Self {
        self.painted(text, text.to_owned(), Align::Left)
    }

    /// Adds a number to the last row.
    pub(crate) fn number(&mut self, number: impl std::fmt::Display) -> &mut Self {
        let text = number.to_string();
        self.painted(&text, text.clone(), Align::Right)
    }

    /// Adds a cell that is shown painted, measured as `bare`.
    pub(crate) fn painted(&mut self, bare: &str, shown: String, align: Align) -> &mut Self {
        if self.rows.is_empty() {
            self.row();
        }
        if let Some(row) = self.rows.last_mut() {
            row.push(Cell { shown, width: bare.width(), align });
        }
        self
    }

    /// The lines, each ended, without spaces at their ends.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |n: usize| self.rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.width).max();
        let widths: Vec<usize> = (0..columns).map(|n| width(n).unwrap_or(0)).collect();
        self.rows.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> String {
        let mut line = " ".repeat(self.indent);
        for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = " ".repeat(width.saturating_sub(cell.width));
            line.push_str(if n == 0 { "" } else { "  " });
            match cell.align {
                Align::Left => line.extend([cell.shown.as_str(), &gap]),
                Align::Right => line.extend([gap.as_str(), &cell.shown]),
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_what_is_seen() {
        let mut table = Table::indented(1);
        table.row().cell("名前").number(7).cell("x");
        table.row().painted("ab", "\x1b[1mab\x1b[0m".into(), Align::Left).number(1234).cell("");
        assert_eq!(table.render(), " 名前     7  x\n \x1b[1mab\x1b[0m    1234\n");
    }
}
