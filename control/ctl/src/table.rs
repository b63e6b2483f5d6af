//! Tables aligned to be read by people, with rates where an earlier one is at hand.
//!
//! Invariant: every line of a table is as wide as its columns ask for; what a peer or an operator named cannot bring
//! control characters to the terminal.

use core::time::Duration;

use crate::text;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Aligned left.
    Text(String),
    /// A number or a measure, aligned right.
    Number(String),
    /// A number that only grows: watched, its rate is shown too.
    Count(u64),
    /// A part of a whole, both only growing: watched, it is that of the time between.
    Share(f64, f64),
}

impl Cell {
    /// A number that goes up and down.
    #[must_use]
    pub fn gauge(number: impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    /// Text, without control characters.
    #[must_use]
    pub fn text(text: impl ToString) -> Self {
        let clean = |c: char| if c.is_control() { '?' } else { c };
        Self::Text(text.to_string().chars().map(clean).collect())
    }
}

/// A row; rows of the same name at two moments are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is about.
    pub name: String,
    /// Its values, as many as there are titles.
    pub cells: Vec<Cell>,
}

/// A table, or only lines of text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Titles of the columns; none for lines of text only.
    pub titles: Vec<String>,
    /// Rows.
    pub rows: Vec<Row>,
    /// Lines below.
    pub notes: Vec<String>,
}

/// Tables one below the other; with those of an earlier moment, rates.
#[must_use]
pub fn render(tables: &[Table], before: Option<(&[Table], Duration)>) -> String {
    let blocks = tables.iter().enumerate().map(|(index, table)| {
        let before = before.and_then(|(old, time)| Some((old.get(index)?, time.as_secs_f64())));
        table.render(before)
    });
    blocks.filter(|block| !block.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A value as it is printed.
struct Printed {
    text: String,
    right: bool,
}

impl Table {
    fn render(&self, before: Option<(&Table, f64)>) -> String {
        let counted = self.counted();
        let mut lines = Vec::new();
        if !self.titles.is_empty() {
            lines.push(self.head(&counted, before.is_some()));
            lines.extend(self.rows.iter().map(|row| body(row, &counted, before)));
        }
        let mut text = aligned(&lines);
        for note in &self.notes {
            text.push_str(note);
            text.push('\n');
        }
        text
    }

    /// Which columns have counters.
    fn counted(&self) -> Vec<bool> {
        let counts =
            |column| self.rows.iter().any(|row: &Row| matches!(row.cells.get(column), Some(Cell::Count(_))));
        (0..self.titles.len()).map(counts).collect()
    }

    fn head(&self, counted: &[bool], rates: bool) -> Vec<Printed> {
        let first = self.rows.first();
        let mut head = Vec::new();
        for (column, title) in self.titles.iter().enumerate() {
            let cell = first.and_then(|row| row.cells.get(column));
            let right = cell.is_some_and(|cell| !matches!(cell, Cell::Text(_)));
            head.push(Printed { text: title.clone(), right });
            if rates && counted.get(column) == Some(&true) {
                head.push(Printed { text: "/s".into(), right: true });
            }
        }
        head
    }
}

fn body(row: &Row, counted: &[bool], before: Option<(&Table, f64)>) -> Vec<Printed> {
    let rates = before.is_some();
    let (old, seconds) = match before {
        Some((table, seconds)) => (table.rows.iter().find(|old| old.name == row.name), seconds),
        None => (None, 0.0),
    };
    let mut line = Vec::new();
    for (column, cell) in row.cells.iter().enumerate() {
        let old = old.and_then(|old| old.cells.get(column));
        let (text, right) = match (cell, old) {
            (Cell::Text(text), _) => (text.clone(), false),
            (Cell::Number(text), _) => (text.clone(), true),
            (Cell::Count(count), _) => (count.to_string(), true),
            (Cell::Share(part, whole), Some(Cell::Share(old_part, old_whole))) => {
                (text::percent(part - old_part, whole - old_whole), true)
            }
            (Cell::Share(part, whole), _) => (text::percent(*part, *whole), true),
        };
        line.push(Printed { text, right });
        if rates && counted.get(column) == Some(&true) {
            let rate = match (cell, old) {
                // A counter that went back belongs to another run of the daemon.
                (Cell::Count(new), Some(Cell::Count(old))) if new >= old && seconds > 0.0 => {
                    text::rate((new - old) as f64 / seconds)
                }
                _ => "-".into(),
            };
            line.push(Printed { text: rate, right: true });
        }
    }
    line
}

fn aligned(lines: &[Vec<Printed>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| match cell.right {
            true => format!("{:>width$}", cell.text),
            false => format!("{:<width$}", cell.text),
        });
        let joined = cells.collect::<Vec<_>>().join("  ");
        text.push_str(joined.trim_end());
        text.push('\n');
    }
    text
}
