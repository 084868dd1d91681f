//! `--boards`: a fleet, of which one board is unplugged in the middle, named by the watch, and named well again when it is back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use local::producer;
use local::tally::{Sent, Tally};
use serde_json::Value;
use testkit::posts;
use testkit::program::{Board, Program};

use super::interrupt::Interrupt;
use super::options::Options;
use super::screen::Screen;
use super::{Cloud, END, REFRESH};

/// The watch's schedule looks once a minute. Where a board is silent sooner than that, the demo looks itself.
const MINUTE: Duration = Duration::from_secs(60);

/// How often the table is read, and the demo looks where it does itself.
const LOOK: Duration = Duration::from_secs(1);

/// How long a step of the story may take, beside the silence.
const PATIENCE: Duration = Duration::from_secs(150);

/// Runs the demo. True if the silent board alone was named, and every line is in the table of posts.
pub fn run(options: &Options, boards: usize, interrupt: &Interrupt) -> anyhow::Result<bool> {
    let mut screen = Screen::new();
    let mut fleet = Fleet::start(options, boards, interrupt, &mut screen)?;
    fleet.follow(interrupt, &mut screen)?;
    fleet.count(&mut screen)
}

struct Fleet<'a> {
    options: &'a Options,
    members: Vec<Member>,
    cloud: Cloud,
    /// The table of boards, and the function that watches over it.
    table: String,
    watch: String,
    /// Where the demo hears what people are told.
    queue: String,
    texts: Box<dyn Iterator<Item = String> + 'a>,
    looked: Instant,
    /// What each board's item says.
    items: BTreeMap<String, Value>,
}

/// A board of the fleet, which follows a file of its own.
struct Member {
    name: String,
    board: Board,
    program: Program,
    log: PathBuf,
    lines: Vec<Sent>,
}

impl<'a> Fleet<'a> {
    fn start(
        options: &'a Options,
        boards: usize,
        interrupt: &Interrupt,
        screen: &mut Screen,
    ) -> anyhow::Result<Self> {
        let silent_after = options.silent_after;
        let minutes = silent_after.as_secs().div_ceil(60);
        let parameters = [
            ("AlarmEmail", "you@example.com".to_owned()),
            ("SilentAfterMinutes", minutes.to_string()),
        ];
        let cloud = Cloud::start(&parameters, interrupt, screen)?;
        let stack = &cloud.stack;
        let table = stack.boards.clone().context("no table of boards")?;
        let watch = stack.watch.clone().context("no watch")?;
        let topic = stack.alarm_topic.clone().context("no topic")?;
        let queue = cloud.aws.listen(&topic, "headwater-demo")?;
        if silent_after < MINUTE {
            let seconds = format!("{}s", silent_after.as_secs());
            cloud.aws.set_variable(&watch, "SILENT_AFTER", &seconds)?;
        }
        let key = stack.producer_key(&cloud.aws)?;
        let every = (silent_after / 6).max(Duration::from_secs(1));
        let program = cloud.program(options);
        let mut members = Vec::new();
        for n in 1..=boards {
            let name = format!("board-{n}");
            let mut board = producer::board(&program)?;
            producer::puts_to(&mut board, stack, &cloud.ministack.endpoint(), &key);
            let log = board.card().join("log");
            File::create(&log)?;
            board.argument("--source").argument("lines");
            board.argument("--input").argument(&log);
            board.argument("--board").argument(&name);
            board.argument("--report-every");
            board.argument(format!("{}s", every.as_secs()));
            members.push(Member {
                program: board.start(&[])?,
                name,
                board,
                log,
                lines: Vec::new(),
            });
        }
        screen.tick(&format!(
            "{boards} boards, each reports every {} s; one that is silent for {} s is named",
            every.as_secs(),
            silent_after.as_secs()
        ));
        let posts = posts::about(&options.keyword, SystemTime::now(), MINUTE);
        Ok(Self {
            options,
            members,
            table,
            watch,
            queue,
            cloud,
            texts: Box::new(posts.map(|post| post.text.replace(char::is_control, " "))),
            looked: Instant::now(),
            items: BTreeMap::new(),
        })
    }

    fn follow(&mut self, interrupt: &Interrupt, screen: &mut Screen) -> anyhow::Result<()> {
        let began = Instant::now();
        self.until("report of every board", interrupt, screen, |fleet, told| {
            ensure!(told.is_none(), "a board is named that is well: {told:?}");
            Ok(fleet.items.len() == fleet.members.len())
        })?;
        screen.tick(&format!(
            "every board has reported, {} s after the start",
            began.elapsed().as_secs()
        ));

        let middle = self.members.len() / 2;
        let name = self.members[middle].name.clone();
        self.members[middle].program.kill();
        let unplugged = Instant::now();
        screen.cross(&format!("{name} is unplugged (kill -9)"));
        let told = self.until_told("silent", &name, interrupt, screen)?;
        let after = unplugged.elapsed().as_secs();
        screen.tick(&format!("{after} s later, in one message: {told}"));

        let member = &mut self.members[middle];
        member.program = member.board.start(&[])?;
        let plugged = Instant::now();
        screen.tick(&format!("{name} is plugged in again"));
        let told = self.until_told("back", &name, interrupt, screen)?;
        let after = plugged.elapsed().as_secs();
        screen.tick(&format!("{after} s later: {told}"));
        Ok(())
    }

    /// Waits for one message that says so of the board `name`, and of no other.
    fn until_told(
        &mut self,
        what: &str,
        name: &str,
        interrupt: &Interrupt,
        screen: &mut Screen,
    ) -> anyhow::Result<String> {
        let mut said = String::new();
        self.until("message about the board", interrupt, screen, |_, told| {
            let Some((subject, text)) = told else {
                return Ok(false);
            };
            let is_it = subject.contains(what) && text.starts_with(&format!("{name}:"));
            ensure!(
                is_it && text.lines().count() == 1,
                "told: {subject}: {text}"
            );
            said = format!("\"{subject}\": {text}");
            Ok(true)
        })?;
        Ok(said)
    }

    /// Lets the boards read and report until something has happened. `happened` gets what people are told.
    fn until(
        &mut self,
        what: &str,
        interrupt: &Interrupt,
        screen: &mut Screen,
        mut happened: impl FnMut(&Self, Option<(String, String)>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        let at_most = PATIENCE + 2 * self.options.silent_after;
        let mut written = 0;
        loop {
            interrupt.check()?;
            let due = began.elapsed().as_secs_f64() / self.options.pace.as_secs_f64();
            while f64::from(written) < due {
                self.write()?;
                written += 1;
            }
            if self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                self.look()?;
                screen.table(&self.lines());
                let mut told = self.cloud.aws.heard(&self.queue)?.into_iter();
                let first = told.next();
                ensure!(told.next().is_none(), "more than one message at a time");
                if happened(self, first)? {
                    return Ok(());
                }
            }
            ensure!(
                began.elapsed() < at_most,
                "still no {what} after {} s; headwater said last: {:?}",
                at_most.as_secs(),
                self.members
                    .iter()
                    .map(Member::last_words)
                    .collect::<Vec<_>>()
            );
            thread::sleep(REFRESH);
        }
    }

    /// One more line for every board. A board that is unplugged finds it when it is back.
    fn write(&mut self) -> anyhow::Result<()> {
        for member in &mut self.members {
            let text = self.texts.next().context("no more posts")?;
            let line = format!("{} #{}: {text}", member.name, member.lines.len());
            let mut log = File::options().append(true).open(&member.log)?;
            writeln!(log, "{line}")?;
            member.lines.push(Sent::from(line.as_str()));
        }
        Ok(())
    }

    fn look(&mut self) -> anyhow::Result<()> {
        if self.options.silent_after < MINUTE {
            self.cloud.aws.invoke(&self.watch)?;
        }
        let items = self.cloud.aws.all_items(&self.table)?;
        let named = |item: Value| (text(&item, "Board"), item);
        self.items = items.into_iter().map(named).collect();
        Ok(())
    }

    /// The table of the boards, as a person reads it.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:<12} {:>8} {:>8}  {}",
            "board", "read", "waiting", "last seen"
        )];
        for member in &self.members {
            let item = self.items.get(&member.name).unwrap_or(&Value::Null);
            let seen_at: Option<DateTime<Utc>> = text(item, "SeenAt").parse().ok();
            let ago = seen_at.map(|at| DateTime::<Utc>::from(SystemTime::now()) - at);
            let mut seen = ago.map_or("never".to_owned(), |ago| {
                format!("{} s ago", ago.num_seconds().max(0))
            });
            if item.get("SilentSince").is_some() {
                seen += ", silent";
            }
            let number = |name: &str| item[name]["N"].as_str().unwrap_or("-").to_owned();
            lines.push(format!(
                "{:<12} {:>8} {:>8}  {seen}",
                member.name,
                number("Read"),
                number("Waiting")
            ));
        }
        lines
    }

    /// Waits until all is stored, ends the boards, and says what became of every line.
    fn count(&mut self, screen: &mut Screen) -> anyhow::Result<bool> {
        let sent: Vec<_> = self
            .members
            .iter()
            .flat_map(|member| member.lines.clone())
            .collect();
        let Cloud { aws, stack, .. } = &self.cloud;
        let deadline = Instant::now() + PATIENCE;
        while aws.count_items(&stack.table)? < sent.len() as u64 && Instant::now() < deadline {
            thread::sleep(REFRESH);
        }
        for member in &mut self.members {
            let status = member.program.stop(END)?;
            ensure!(
                status.is_some_and(|status| status.success()),
                "{} ended badly: {:?}",
                member.name,
                member.last_words()
            );
        }
        let tally = Tally::take(aws, stack, &sent, 0)?;
        for oddity in tally.oddities.iter().take(5) {
            screen.cross(&format!("this does not fit: {oddity}"));
        }
        screen.line(&tally.to_string());
        // What was in flight at the kill may be in the stream twice; in the table it is once.
        let fine = tally.is_complete();
        if !fine {
            self.keep_logs(screen);
        }
        Ok(fine)
    }

    fn keep_logs(&self, screen: &mut Screen) {
        let said = self.members.iter().map(|member| member.program.said());
        let said: Vec<_> = said.map(|lines| lines.join("\n")).collect();
        self.cloud.keep_log(&said.join("\n\n"), screen);
    }
}

impl Member {
    fn last_words(&self) -> String {
        self.program.said().pop().unwrap_or_default()
    }
}

fn text(item: &Value, name: &str) -> String {
    item[name]["S"].as_str().unwrap_or_default().to_owned()
}
