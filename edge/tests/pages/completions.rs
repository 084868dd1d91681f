//! The completions for the shells.

use std::fmt::Write;

use headwater::settings::options::{self, COMMANDS, Opt};

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

/// `edge/dist/completions/headwater.bash`.
pub fn bash() -> String {
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

/// `edge/dist/completions/_headwater`.
pub fn zsh() -> String {
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

/// `edge/dist/completions/headwater.fish`.
pub fn fish() -> String {
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
