//! The pages that are made from the program's own tables: the manual page, the shells' completions, the tables of options and of metrics. They
//! are kept in the repository, where packages take them from. These tests compare them with the tables;
//! `UPDATE=1 cargo test -p headwater --test pages` writes them.

#[path = "pages/completions.rs"]
mod completions;
#[path = "pages/manual.rs"]
mod manual;
#[path = "pages/tables.rs"]
mod tables;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use completions::{bash, fish, zsh};
use headwater::observe::metrics::METRICS;
use headwater::settings::options::{self, VARIABLES};
use manual::manual;
use tables::{configuration, metrics};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares the file at `path` with `expected`; with UPDATE set, writes it first.
fn hold(path: &str, expected: &str) {
    let path = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let has = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        has == expected,
        "{} is not what the tables say: UPDATE=1 cargo test -p headwater --test pages",
        path.display()
    );
}

#[test]
fn the_manual_page_says_what_the_tables_say() {
    hold("edge/dist/headwater.1", &manual());
}

#[test]
fn the_completions_complete_what_the_tables_have() {
    hold("edge/dist/completions/headwater.bash", &bash());
    hold("edge/dist/completions/_headwater", &zsh());
    hold("edge/dist/completions/headwater.fish", &fish());
}

#[test]
fn the_table_of_metrics_has_every_metric() {
    hold("docs/metrics.md", &metrics());
}

#[test]
fn the_page_of_the_configuration_has_every_option_and_variable() {
    hold("docs/configuration.md", &configuration());
}

/// The module that reads and writes the format is its home: the page shows what that says.
#[test]
fn the_page_of_the_spool_shows_the_format() {
    let module = fs::read_to_string(root().join("edge/src/spool/format/block.rs")).unwrap();
    let lines = module.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let table = lines
        .skip_while(|line| *line != "```text")
        .skip(1)
        .take_while(|line| *line != "```");
    let table: String = table.flat_map(|line| [line, "\n"]).collect();
    assert!(table.starts_with("superblock"), "{table}");

    let path = "docs/spool.md";
    let page = fs::read_to_string(root().join(path)).unwrap();
    let (before, rest) = page.split_once("--test pages -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    hold(
        path,
        &format!("{before}--test pages -->\n```text\n{table}```\n<!-- end -->{after}"),
    );
}

#[test]
fn the_dashboard_shows_every_metric_but_those_left_out_on_purpose() {
    // Since when the program runs is no curve; syncs go with the bytes written.
    let left_out = [
        "headwater_start_time_seconds",
        "headwater_flash_syncs_total",
    ];

    let dashboard = fs::read_to_string(root().join("edge/dist/grafana.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            shown.extend(
                words
                    .filter(|word| word.starts_with("headwater_"))
                    .map(str::to_owned),
            );
        }
    }
    let known: BTreeSet<_> = METRICS
        .iter()
        .map(|metric| metric.name.to_owned())
        .collect();
    let unknown: Vec<_> = shown.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let missing = known.difference(&shown);
    let missing: BTreeSet<_> = missing.map(String::as_str).collect();
    assert_eq!(missing, BTreeSet::from(left_out));
}

#[test]
fn the_example_of_settings_names_variables_that_exist() {
    let known: BTreeSet<_> = options::ALL
        .iter()
        .flat_map(|option| option.env.iter().copied())
        .chain(
            VARIABLES
                .iter()
                .flat_map(|(_, variables)| variables.iter().map(|(name, _)| *name)),
        )
        .collect();
    let example = fs::read_to_string(root().join("edge/dist/headwater.env.example")).unwrap();
    for line in example.lines() {
        if let Some((name, _)) = line.trim_start_matches('#').split_once('=') {
            assert!(known.contains(name), "{name}");
        }
    }
}
