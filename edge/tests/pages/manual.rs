//! The manual page.

use std::fmt::Write;

use headwater::settings::options::{self, COMMANDS, EXIT_CODES, Opt, VARIABLES};

/// `edge/dist/headwater.1`, in roff (man(7)).
pub fn manual() -> String {
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
