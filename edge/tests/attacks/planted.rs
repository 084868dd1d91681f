//! Every name the program uses, planted by another user as every kind of thing: root's run starts, delivers its own lines and nothing else,
//! and changes nothing that is another's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::stage::{NOBODY, POISON, Server, cannot_be_root, in_namespace, open_to_all};
use crate::support::board::board_to;
use testkit::program::Board;
use testkit::until;

/// What a name may turn out to be. `$1` is the name, `$2` root's file, `$3` a file forged for this name.
const KINDS: [(&str, &str); 6] = [
    ("a pipe", r#"mkfifo -m 666 "$1""#),
    ("a link to root's file", r#"ln -s "$2" "$1""#),
    ("a folder", r#"mkdir -m 777 "$1"; : > "$1/theirs""#),
    (
        "a file of another user",
        r#"echo theirs > "$1"; chmod 666 "$1""#,
    ),
    ("a forged file", r#"cp "$3" "$1"; chmod 644 "$1""#),
    (
        "a locked file",
        r#"exec 9>"$1"; chmod 666 "$1"; flock 9; sleep 300 >/dev/null 2>&1 & echo $! >> "$1.locker""#,
    ),
];

/// The names beside the spool, and what root does first so that the program comes to use them.
const BESIDE: [(&str, &str); 10] = [
    ("spool", ""),
    ("spool.new", ""),
    ("spool.damaged", "head -c 2000000 /dev/urandom > spool"),
    ("spool.state", ""),
    ("spool.state.new", ""),
    ("spool.dead", ""),
    ("spool.dead.old", "head -c 4194304 /dev/zero > spool.dead"),
    ("metrics", ""),
    ("metrics.new", ""),
    ("spool.check", ""),
];

/// The kinds of files in RAM; each has a `.new` beside it while it is written.
const IN_RAM: [&str; 3] = ["stage", "state", "status"];

/// What root is told of a folder of its name that is not its own.
const REFUSED: &str = "/dev/shm/headwater-0 is not a folder of this user alone: remove it";

/// What a run of an attacker's left: its spool and stage with a line that waits, and texts that steer a terminal.
struct Forgeries {
    folder: TempDir,
}

impl Forgeries {
    fn new() -> Self {
        let server = Server::new(true);
        let board = board_to(&server.kinesis.url());
        let mut running = board.start(&[]).unwrap();
        running.write(&["forged"]);
        running.wait_for("is in use");
        let folder = tempfile::tempdir().unwrap();
        let stage = until("the line is in the stage", || {
            let files = fs::read_dir(board.ram()).unwrap();
            let mut paths = files.map(|file| file.unwrap().path());
            let path = paths.find(|path| path.extension().is_some_and(|end| end == "stage"))?;
            let bytes = fs::read(&path).unwrap();
            bytes
                .windows(6)
                .any(|part| part == b"forged")
                .then_some(bytes)
        });
        until("the line is on the card", || {
            let bytes = fs::read(board.spool()).ok()?;
            bytes.windows(6).any(|part| part == b"forged").then_some(())
        });
        running.signal(Signal::KILL);
        running.end();
        fs::write(folder.path().join("stage"), stage).unwrap();
        fs::copy(board.spool(), folder.path().join("spool")).unwrap();
        let text = "{\"host\":\"\\u001b[2J\\u202e\",\"troubles\":[]}";
        fs::write(folder.path().join("text"), text).unwrap();
        // What root itself would not show anyone is for the attacker to copy here.
        open_to_all(folder.path());
        for file in fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        Self { folder }
    }

    fn of(&self, name: &str) -> PathBuf {
        let kind = match name.trim_end_matches(".new") {
            name if name.ends_with("spool") => "spool",
            name if name.ends_with("stage") => "stage",
            _ => "text",
        };
        self.folder.path().join(kind)
    }
}

/// One run of root's among what nobody planted.
struct Attack<'a> {
    server: &'a Server,
    forgeries: &'a Forgeries,
    /// What root does first, in the spool's folder.
    prepare: &'a str,
    /// What nobody does then, before the names are planted.
    begin: &'a str,
    names: Vec<PathBuf>,
    kind: (&'a str, &'a str),
    /// What root must be told.
    told: &'a str,
}

impl Attack<'_> {
    /// Plays it; what went wrong, or nothing.
    fn play(&self, board: &Board, number: usize) -> Result<(), String> {
        let folder = board.card();
        open_to_all(folder);
        let treasure = folder.join("treasure");
        fs::write(&treasure, "root's own").unwrap();
        fs::set_permissions(&treasure, fs::Permissions::from_mode(0o600)).unwrap();
        let plants: String = self
            .names
            .iter()
            .map(|name| self.plant(name, &treasure))
            .collect();
        let folder = folder.display();
        let seen = format!(
            "find /dev/shm {folder} ! -user 0 -printf '%p %i %y %U %m %s %T@ %l\\n' | sort; cat {folder}/treasure; stat -c %a%i {folder}/treasure"
        );
        let (prepare, begin) = (self.prepare, self.begin);
        let script = format!(
            r#"cd {folder}; umask 022; {prepare}
            {NOBODY} sh -c '{begin}' || exit 98
            {plants}
            before=$({seen})
            timeout -s KILL 60 "$@"; code=$?
            after=$({seen})
            for pid in $(cat /dev/null $(find /dev/shm {folder} -name '*.locker')); do kill $pid; done
            [ "$before" = "$after" ] || {{ printf 'CHANGED\n%s\n--- to\n%s\n' "$before" "$after"; exit 97; }}
            exit $code"#
        );
        let line = format!("own line {number}");
        let input = format!("{line}\n{line} of {POISON}\n");
        let metrics = format!("{folder}/metrics");
        let args = ["--metrics-file", &metrics];
        let before = self.server.lines().len();
        let output = in_namespace(board, &args, &script, input.as_bytes());
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {told}{said}", output.status));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        if !said.contains(self.told) {
            return Err(format!("{:?} was not said: {said}", self.told));
        }
        let taken = self.server.lines().split_off(before);
        if taken != [line] {
            return Err(format!("{taken:?} was delivered"));
        }
        Ok(())
    }

    fn plant(&self, name: &Path, treasure: &Path) -> String {
        let forged = self.forgeries.of(name.to_str().unwrap());
        format!(
            "{NOBODY} sh -c '{}' sh {} {} {} || exit 98\n",
            self.kind.1,
            name.display(),
            treasure.display(),
            forged.display()
        )
    }
}

#[test]
fn nothing_planted_under_a_name_it_uses_stops_it_is_sent_or_changed() {
    if cannot_be_root() {
        return;
    }
    let server = Server::new(false);
    let forgeries = Forgeries::new();
    let (mut count, mut wrong) = (0, Vec::new());
    let mut play = |what: &str, attack: &Attack<'_>, board: &Board| {
        count += 1;
        let verdict = attack.play(board, count);
        let said = verdict
            .as_ref()
            .map_or_else(String::as_str, |()| "as it should be");
        println!("VERDICT {what} as {}: {said}", attack.kind.0);
        if let Err(why) = verdict {
            wrong.push(format!("{what} as {}: {why}", attack.kind.0));
        }
    };
    for kind in KINDS {
        let attack = |prepare, begin, names, told| Attack {
            server: &server,
            forgeries: &forgeries,
            prepare,
            begin,
            names,
            kind,
            told,
        };
        for (name, prepare) in BESIDE {
            let board = board_to(&server.kinesis.url());
            let names = vec![board.card().join(name)];
            play(name, &attack(prepare, "", names, ""), &board);
        }
        let board = board_to(&server.kinesis.url());
        let own = PathBuf::from("/dev/shm/headwater-0");
        play(
            "the folder in RAM",
            &attack("", "", vec![own], REFUSED),
            &board,
        );

        let crc = |board: &Board| {
            let path = fs::canonicalize(board.card()).unwrap().join("spool");
            crc32c::crc32c(path.as_os_str().as_encoded_bytes())
        };
        // Where earlier versions had them, and in a folder of another user's that has the name of root's.
        for (place, begin, told) in [
            ("/dev/shm", "", ""),
            (
                "/dev/shm/headwater-0",
                "mkdir -m 700 /dev/shm/headwater-0",
                REFUSED,
            ),
        ] {
            let board = board_to(&server.kinesis.url());
            let crc = crc(&board);
            let names = IN_RAM.iter().flat_map(|of| {
                ["", ".new"]
                    .map(|end| PathBuf::from(format!("{place}/headwater-{crc:08x}.{of}{end}")))
            });
            let what = format!("the files in {place}");
            play(&what, &attack("", begin, names.collect(), told), &board);
        }
    }
    println!("{count} attacks, {} not as they should be", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 42);
}

#[test]
fn root_trusts_no_lock_that_another_user_can_take() {
    if cannot_be_root() {
        return;
    }
    // Given a spool of an earlier version, which every user may read
    let server = Server::new(false);
    let board = board_to(&server.kinesis.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["first"]);
    running.wait_for("is in use");
    assert!(running.end().0);
    fs::set_permissions(board.spool(), fs::Permissions::from_mode(0o644)).unwrap();
    // When it was opened once
    let mut running = board.start(&[]).unwrap();
    running.write(&["second"]);
    assert!(running.end().0);
    // Then nobody can open it any more, to lock it
    let spool = board.spool().display().to_string();
    let script = format!("{NOBODY} flock {spool} true && exit 1; \"$@\"");
    open_to_all(board.card());
    assert!(
        in_namespace(&board, &[], &script, b"third\n")
            .status
            .success()
    );
    assert_eq!(server.lines(), ["first", "second", "third"]);
}

#[test]
fn what_it_keeps_in_ram_without_a_folder_of_its_own_is_its_users_alone() {
    if cannot_be_root() {
        return;
    }
    let server = Server::new(true);
    let board = board_to(&server.kinesis.url());
    let script = r#"umask 000; "$@" & pid=$!
        tries=0; until [ -e /dev/shm/headwater-0/*.status ] && [ -e /dev/shm/headwater-0/*.stage ]; do
            tries=$((tries + 1)); [ $tries -lt 600 ] || exit 96; sleep 0.1; done
        stat -c '%U %a' /dev/shm/headwater-0 /dev/shm/headwater-0/*
        kill $pid; wait $pid; true"#;
    let output = in_namespace(&board, &["--input", "/dev/null/none"], script, b"");
    let modes = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{modes}");
    let modes: Vec<&str> = modes.lines().collect();
    assert_eq!(modes[0], "root 700");
    assert!(
        modes.len() >= 3 && modes[1..].iter().all(|mode| *mode == "root 600"),
        "{modes:?}"
    );
}
