//! Parser for the shared files of AWS's tools: sections of `name = value` lines, as Python's `configparser` reads them for the AWS CLI.
//!
//! A line that begins with `#` or `;`, indented or not, is a comment; a comment cannot follow a value. Names and sections may be indented. A line
//! that is indented deeper than the name above it continues that one's value. A name ends at the first `=` or `:`, and its case is ignored. A byte
//! order mark at the beginning, which editors on Windows write, is skipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The settings of each section, by the section's title.
pub type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the sections of the file at `path`. None if it is missing or not text.
pub fn read(path: &Path) -> Sections {
    parse(&fs::read_to_string(path).unwrap_or_default())
}

fn parse(text: &str) -> Sections {
    let mut sections = Sections::new();
    let mut title: Option<&str> = None;
    // The name whose value may be continued, and its indentation.
    let mut last: Option<(String, usize)> = None;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let section = title.map(|title| sections.entry(title.to_owned()).or_default());
        if let (Some(section), Some((name, at))) = (section, &last)
            && indent > *at
        {
            let value = section.entry(name.clone()).or_default();
            let gap = if value.is_empty() { "" } else { " " };
            *value = format!("{value}{gap}{content}");
            continue;
        }
        last = None;
        if let Some((found, _)) = content
            .strip_prefix('[')
            .and_then(|rest| rest.rsplit_once(']'))
        {
            title = Some(found.trim());
            sections.entry(found.trim().to_owned()).or_default();
        } else if let (Some(title), Some((name, value))) = (title, content.split_once(['=', ':'])) {
            let name = name.trim().to_lowercase();
            let section = sections.entry(title.to_owned()).or_default();
            section.insert(name.clone(), value.trim().to_owned());
            last = Some((name, indent));
        }
    }
    sections
}

#[cfg(test)]
mod tests;
