//! The demo's output: steps with ticks, a progress line, and the newest rows.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Interval of progress lines where standard output is not a terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);

/// How often a table that is drawn anew is printed where nothing can move.
const PLAIN_TABLE_INTERVAL: Duration = Duration::from_secs(10);

/// The longest text of a row, in characters.
const ROW_CHARS: usize = 70;

/// Standard output.
#[derive(Debug)]
pub struct Screen {
    terminal: bool,
    colors: bool,
    /// When the last progress line was printed.
    printed: Option<Instant>,
    /// How many lines of a table stand right above.
    drawn: usize,
}

impl Screen {
    pub fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        let colors = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            terminal,
            colors,
            printed: None,
            drawn: 0,
        }
    }

    /// Shows what is being done, does it, and shows the result.
    pub fn step<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce() -> anyhow::Result<(T, String)>,
    ) -> anyhow::Result<T> {
        if self.terminal {
            // Cargo's output overwrites it.
            print!("… {doing}\r");
            let _ = io::stdout().flush();
        }
        let result = work();
        self.clear();
        let (value, done) = result?;
        self.tick(&done);
        Ok(value)
    }

    /// Prints a step that is done.
    pub fn tick(&mut self, done: &str) {
        self.clear();
        let tick = if self.colors {
            "\x1b[32m✓\x1b[0m"
        } else {
            "✓"
        };
        println!("{tick} {done}");
        self.printed = None;
    }

    /// Prints a failure that was made on purpose.
    pub fn cross(&mut self, broken: &str) {
        self.clear();
        let cross = if self.colors {
            "\x1b[31m✗\x1b[0m"
        } else {
            "✗"
        };
        println!("{cross} {broken}");
        self.printed = None;
    }

    /// Prints or updates the progress line.
    pub fn progress(&mut self, line: &str) {
        if self.terminal {
            print!("\r\x1b[K  {line}");
            let _ = io::stdout().flush();
        } else if self.printed.is_none_or(|at| at.elapsed() >= PLAIN_INTERVAL) {
            println!("  {line}");
            self.printed = Some(Instant::now());
        }
    }

    /// A table, drawn in the place of the one before if nothing was said since.
    pub fn table(&mut self, lines: &[String]) {
        if self.terminal {
            if self.drawn > 0 {
                print!("\x1b[{}A", self.drawn);
            }
            for line in lines {
                println!("\r\x1b[K  {line}");
            }
            self.drawn = lines.len();
        } else if self
            .printed
            .is_none_or(|at| at.elapsed() >= PLAIN_TABLE_INTERVAL)
        {
            lines.iter().for_each(|line| println!("  {line}"));
            self.printed = Some(Instant::now());
        }
    }

    /// A line like any other.
    pub fn line(&mut self, line: &str) {
        self.clear();
        println!("{line}");
    }

    /// Prints the newest `count` rows of the table, oldest first.
    pub fn rows(&mut self, items: &[Value], count: usize) {
        let field = |item: &'_ Value, name: &str| -> String {
            item[name]["S"].as_str().unwrap_or_default().to_owned()
        };
        let mut rows: Vec<_> = items
            .iter()
            .map(|item| ["Timestamp", "Username", "Message"].map(|name| field(item, name)))
            .collect();
        rows.sort();
        let newest = &rows[rows.len().saturating_sub(count)..];
        let width = newest.iter().map(|[_, name, _]| name.chars().count()).max();
        let width = width.unwrap_or_default().max("Username".len());
        self.line(&format!(
            "\n  {:<24}  {:<width$}  {}",
            "Timestamp", "Username", "Message"
        ));
        for [timestamp, username, message] in newest {
            let message = one_line(message);
            println!("  {timestamp:<24}  {username:<width$}  {message}");
        }
        println!();
    }

    fn clear(&mut self) {
        self.drawn = 0;
        if self.terminal {
            print!("\r\x1b[K");
        }
    }
}

fn one_line(text: &str) -> String {
    let text = text.replace(char::is_control, " ").replace('\u{2028}', " ");
    match text.char_indices().nth(ROW_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
