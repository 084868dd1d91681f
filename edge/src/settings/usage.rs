//! The errors in the settings, collected and shown together.

use std::fmt;

/// The settings that are missing or wrong.
#[derive(Debug, Default)]
pub struct Usage {
    /// Variables that are not set, each with a description.
    pub(super) missing: Vec<(&'static str, &'static str)>,
    pub(super) wrong: Vec<String>,
}

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        Self::from(error.to_string())
    }
}

impl From<String> for Usage {
    fn from(wrong: String) -> Self {
        Self {
            wrong: vec![wrong],
            ..Self::default()
        }
    }
}

impl Usage {
    /// All errors in one line, for the journal.
    pub fn line(&self) -> String {
        let mut parts = self.wrong.clone();
        if !self.missing.is_empty() {
            let one = |(name, what): &(&str, &str)| format!("{name} ({what})");
            let all: Vec<_> = self.missing.iter().map(one).collect();
            parts.push(format!("set what is missing: {}", all.join(", ")));
        }
        parts.join("; ")
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for wrong in &self.wrong {
            writeln!(f, "headwater: {wrong}")?;
        }
        if !self.missing.is_empty() {
            writeln!(f, "headwater: set what is missing:")?;
        }
        let width = self
            .missing
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        for (name, what) in &self.missing {
            writeln!(f, "  {name:<width$}  {what}")?;
        }
        writeln!(f, "'headwater --help' lists every option.")
    }
}
