//! The tables in `docs/`.

use std::fmt::Write;

use headwater::observe::metrics::METRICS;
use headwater::settings::options::{self, Opt, VARIABLES};

/// `docs/metrics.md`.
pub fn metrics() -> String {
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

/// `docs/configuration.md`.
pub fn configuration() -> String {
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
