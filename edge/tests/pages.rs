//! The pages that are made from the program's own tables: the manual page, the shells' completions, the table of metrics. They are kept in
//! the repository, where packages take them from; this test holds them to the tables.
//! `UPDATE=1 cargo test -p headwater --test pages` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use headwater::observe::metrics::METRICS;
use headwater::settings::options::{self, COMMANDS, EXIT_CODES, Opt, VARIABLES};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Holds the file at `path` to `expected`, or makes it so.
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

fn manual() -> String {
    let roff = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let mut page = format!(
        r#".\" Made from the program's own tables by edge/tests/pages.rs.
.TH HEADWATER 1 "" "headwater {}" "User Commands"
.SH NAME
headwater \- carries a keyword\-filtered live stream to Amazon Kinesis
.SH SYNOPSIS
.B headwater
.RI [ OPTIONS ]
.IR KEYWORD ...
"#,
        env!("CARGO_PKG_VERSION")
    );
    for command in COMMANDS {
        let _ = writeln!(
            page,
            ".br\n.B headwater {}\n{}",
            command.name,
            roff(command.args)
        );
    }
    page.push_str(
        r#".SH DESCRIPTION
Reads every post about the keyword from a live stream and puts it into an Amazon Kinesis data stream.
Several words must all occur; quotes make a phrase. The source
.B lines
needs no keyword: without one every line counts.
.PP
Once a post is read, it survives a crash of the program immediately, and a power cut after one second
.RB ( \-\-durable\-within ).
It is delivered at least once, in bounded memory and a fixed amount of disk, through power cuts, outages,
throttling, expired credentials and a wrong clock. What could not be kept is counted and reported.
.PP
SIGTERM and SIGINT end the program: it delivers for four more seconds, and keeps the rest on the card.
When standard input ends, the program ends after everything is delivered.
.SH COMMANDS
"#,
    );
    for command in COMMANDS {
        let _ = writeln!(
            page,
            ".TP\n.BR \"{}\" \" {}\"\n{}",
            command.name,
            roff(command.args),
            roff(command.help)
        );
    }
    page.push_str(".SH OPTIONS\n");
    for option in options::ALL {
        let Opt {
            long,
            value,
            env,
            help,
            ..
        } = option;
        let default = option.default_in_words();
        let value = if value.is_empty() {
            String::new()
        } else {
            format!(" \\fI{}\\fR", roff(value))
        };
        let text = roff(&format!("{help}{default}"));
        let env = env.join(", ");
        let _ = writeln!(
            page,
            ".TP\n\\fB\\-\\-{}\\fR{value}\n{text}.\n.br\n{env}",
            roff(long)
        );
    }
    page.push_str(".SH ENVIRONMENT\nEvery option has its variable, named with it above. Variables alone set:\n");
    for (group, variables) in VARIABLES {
        let _ = writeln!(page, ".SS {group}");
        for (name, help) in *variables {
            let _ = writeln!(page, ".TP\n.B {name}\n{}.", roff(help));
        }
    }
    page.push_str(
        r#".SH FILES
.TP
.I /etc/headwater/headwater.env
Settings of the service.
.TP
.I /var/lib/headwater/spool
The service's disk queue; for a user
.IR ~/.local/state/headwater/spool .
.TP
.I /var/lib/headwater/spool.dead
Posts that Kinesis can never take, one JSON object a line, with the reason.
.TP
.I /run/headwater
The newest posts, in RAM that outlives the program, and what
.B headwater status
shows.
.SH EXIT STATUS
"#,
    );
    for (code, meaning) in EXIT_CODES {
        let _ = writeln!(page, ".TP\n.B {code}\n{}", roff(meaning));
    }
    page.push_str(
        r#".SH EXAMPLES
.TP
Every post of Bluesky about pizza:
.B headwater \-\-source jetstream pizza
.TP
What a sensor prints, in strict order for each sensor:
.B read\-sensors | headwater \-\-source lines \-\-ordered \-\-partition\-key /sensor/id
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1)
"#,
    );
    page
}

/// What an option's value can be completed to.
enum Value {
    None,
    Any,
    File,
    OneOf(Vec<&'static str>),
}

fn value(option: &Opt) -> Value {
    match option.value {
        "" => Value::None,
        value if value.starts_with("FILE") => Value::File,
        value if value.contains('|') => Value::OneOf(value.split('|').collect()),
        _ => Value::Any,
    }
}

fn commands() -> String {
    COMMANDS
        .iter()
        .map(|command| command.name)
        .collect::<Vec<_>>()
        .join(" ")
}

/// What `spool` does, from its line in the table.
fn spool_actions() -> String {
    let spool = COMMANDS
        .iter()
        .find(|command| command.name == "spool")
        .unwrap();
    spool.args.split(' ').next().unwrap().replace('|', " ")
}

fn bash() -> String {
    let mut cases = String::new();
    for option in options::ALL {
        let _ = match value(option) {
            Value::None | Value::Any => continue,
            Value::File => writeln!(
                cases,
                "    --{}) mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;",
                option.long
            ),
            Value::OneOf(values) => {
                writeln!(
                    cases,
                    "    --{}) mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\"); return ;;",
                    option.long,
                    values.join(" ")
                )
            }
        };
    }
    let any: Vec<_> = options::ALL
        .iter()
        .filter(|option| matches!(value(option), Value::Any))
        .map(|option| format!("--{}", option.long))
        .collect();
    let all: Vec<_> = options::ALL
        .iter()
        .map(|option| format!("--{}", option.long))
        .collect();
    format!(
        r#"# Completions of headwater for bash, made from the program's own tables by edge/tests/pages.rs.
_headwater() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  COMPREPLY=()
  # --option=value comes in three words.
  if [ "$word" = = ]; then word=; elif [ "$before" = = ]; then before=${{COMP_WORDS[COMP_CWORD-2]}}; fi
  case $before in
{cases}    {}) return ;;
  esac
  local words='{} --help --version'
  case ${{COMP_WORDS[1]}} in
    status) words='--json --watch --spool' ;;
    spool)
      if [ "$COMP_CWORD" = 2 ]; then words='{}'; else mapfile -t COMPREPLY < <(compgen -f -- "$word"); return; fi ;;
  esac
  [ "$COMP_CWORD" = 1 ] && words="{} $words"
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -F _headwater headwater
"#,
        any.join("|"),
        all.join(" "),
        spool_actions(),
        commands()
    )
}

fn zsh() -> String {
    let quote = |text: &str| {
        text.replace('\'', "'\\''")
            .replace('[', "\\[")
            .replace(']', "\\]")
            .replace(':', "\\:")
    };
    let mut specs = String::new();
    for option in options::ALL {
        let Opt {
            long,
            value: shown,
            help,
            ..
        } = option;
        let help = quote(help);
        let _ = match value(option) {
            Value::None => writeln!(specs, "    '--{long}[{help}]' \\"),
            Value::Any => writeln!(specs, "    '--{long}=[{help}]:{shown}:' \\"),
            Value::File => writeln!(specs, "    '--{long}=[{help}]:file:_files' \\"),
            Value::OneOf(values) => writeln!(
                specs,
                "    '--{long}=[{help}]:{long}:({})' \\",
                values.join(" ")
            ),
        };
    }
    let mut names = String::new();
    for command in COMMANDS {
        let _ = writeln!(names, "    '{}:{}'", command.name, quote(command.help));
    }
    format!(
        r#"#compdef headwater
# Completions of headwater for zsh, made from the program's own tables by edge/tests/pages.rs.
_headwater() {{
  local -a commands options
  commands=(
{names}  )
  options=(
{}    '--help[Print the options]' '--version[Print the version]'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
  fi
  case $words[2] in
    status) _arguments '--json[JSON, one line for each]' '--watch[Again every second]' '--spool=[The disk queue]:file:_files' ;;
    spool) if (( CURRENT == 3 )); then compadd {}; else _files; fi ;;
    *) _arguments $options '*:keyword:' ;;
  esac
}}
_headwater "$@"
"#,
        specs.replace(" \\\n", "\n"),
        spool_actions()
    )
}

fn fish() -> String {
    let quote = |text: &str| text.replace('\'', "\\'");
    let mut script = "# Completions of headwater for fish, made from the program's own tables by edge/tests/pages.rs.\ncomplete -c headwater -f\n".to_owned();
    for command in COMMANDS {
        let _ = writeln!(
            script,
            "complete -c headwater -n __fish_use_subcommand -a {} -d '{}'",
            command.name,
            quote(command.help)
        );
    }
    let _ = writeln!(
        script,
        "complete -c headwater -n '__fish_seen_subcommand_from spool' -F -a '{}'",
        spool_actions()
    );
    script.push_str("complete -c headwater -n '__fish_seen_subcommand_from status' -l json -d 'JSON, one line for each'\n");
    script.push_str("complete -c headwater -n '__fish_seen_subcommand_from status' -l watch -d 'Again every second'\n");
    for option in options::ALL {
        let values = match value(option) {
            Value::None => String::new(),
            Value::Any => " -x".to_owned(),
            Value::File => " -r -F".to_owned(),
            Value::OneOf(values) => format!(" -x -a '{}'", values.join(" ")),
        };
        let _ = writeln!(
            script,
            "complete -c headwater -l {}{values} -d '{}'",
            option.long,
            quote(option.help)
        );
    }
    script
}

fn metrics() -> String {
    let mut table = String::from(
        "# Metrics\n\n\
         `--metrics-file FILE` writes these once a second, in Prometheus's text format, for the textfile collector of\n\
         node_exporter. The file is replaced as a whole. What is not known is left out. The dashboard for Grafana is\n\
         [`edge/dist/grafana.json`](../edge/dist/grafana.json).\n\n\
         | metric | type | what it says |\n|---|---|---|\n\
         | `headwater_build_info{version}` | gauge | The program's version |\n",
    );
    for metric in METRICS {
        let _ = writeln!(
            table,
            "| `{}` | {} | {} |",
            metric.name,
            metric.kind(),
            metric.help
        );
    }
    table.push_str("\nMade from `edge/src/observe/metrics.rs` by `edge/tests/pages.rs`.\n");
    table
}

fn configuration() -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut page = String::from(
        r#"# Configuration

Every option of the command line has its environment variable. The command line wins over the variable, and the variable over the default.
`headwater --help` and `man headwater` say the same. The service reads its variables from `/etc/headwater/headwater.env`.

## Options

`headwater [OPTIONS] KEYWORD...`: several words must all occur, `"quotes"` make a phrase. The source `lines` needs no keyword.

| option | variable | default | |
|---|---|---|---|
"#,
    );
    for option in options::ALL {
        let Opt {
            long,
            value,
            env,
            default,
            help,
            ..
        } = option;
        let usage = format!("--{long} {value}");
        let env: Vec<_> = env.iter().map(|name| format!("`{name}`")).collect();
        let default = match *default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} |",
            cell(usage.trim_end()),
            env.join(", "),
            cell(help)
        );
    }
    page.push_str(
        "\nA size is a number of bytes, or has a unit: `20k`, `64MiB`, `1GiB`. A duration has a unit: `500ms`, `1s`, `12h`, `7d`. A switch is on\n\
         with `1`, off with `0`.\n\n## Variables without an option\n\n| variable | |\n|---|---|\n",
    );
    for (group, variables) in VARIABLES {
        let _ = writeln!(page, "| **{group}** | |");
        for (name, help) in *variables {
            let _ = writeln!(page, "| `{name}` | {} |", cell(help));
        }
    }
    page.push_str(
        r#"
- Credentials for AWS are looked for in this order: a device certificate, the environment, a profile ([more](cloud.md#where-credentials-come-from)).
- `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are read as curl reads them, small letters included. Only HTTP proxies can be used.
- Unencrypted addresses work on this machine only, unless `HEADWATER_ALLOW_HTTP=1` is set.
- `TWITTER_API_TOKEN_KEY` and `TWITTER_API_TOKEN_SECRET` are accepted and not needed.

Made from `edge/src/settings/options.rs` by `edge/tests/pages.rs`.
"#,
    );
    page
}
