//! Where the demo's posts come from.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use local::tally::Sent;
use testkit::jetstream::{self, Jetstream, record_key};
use testkit::posts::{self, Post};
use testkit::program::{Board, Program};
use testkit::x_api::{self, XApi};

use super::options::{Options, Source};
use super::outage::Outage;

/// How long after it was written a post can be searched for. At X it is half a minute, which is long for a demo.
const SEARCH_DELAY: Duration = Duration::from_secs(1);

/// A source that was started.
pub enum Feed {
    X(Arc<XApi>),
    /// With the ids of the posts about the keyword.
    Jetstream(Jetstream, BTreeSet<u64>),
    /// The lines written so far.
    Lines(Arc<Mutex<Vec<Sent>>>),
    /// Bluesky's own servers: what they send, only the producer knows.
    Live,
}

impl Feed {
    /// Starts what `options` name, and has `board` read it. The second value says what it is.
    pub fn start(
        options: &Options,
        board: &mut Board,
        outage: &mut Outage,
    ) -> anyhow::Result<(Self, String)> {
        match options.source {
            Source::X => {
                let is_live = options.outage.is_some_and(|outage| outage.source.is_some());
                let api = Arc::new(XApi::start(x_api::Settings {
                    pace: if is_live {
                        Duration::ZERO
                    } else {
                        options.pace
                    },
                    keep_alive: Duration::from_secs(5),
                    // Small enough to split lines and characters.
                    write_bytes: 97,
                    search_delay: SEARCH_DELAY,
                    ..Default::default()
                })?);
                if is_live {
                    write_live(Arc::clone(&api), x_script(options), options.pace);
                } else {
                    api.play(x_script(options));
                }
                let way = outage.reach_source(api.address())?;
                board.reads_x(&format!("http://{way}"));
                board.set(
                    "HEADWATER_TEST_SEARCH_DELAY",
                    SEARCH_DELAY.as_secs().to_string(),
                );
                let said = format!(
                    "simulated X API at {}, with duplicates, disorder and a disconnect",
                    api.url()
                );
                Ok((Self::X(api), said))
            }
            Source::Jetstream { offline: true } => {
                let server = Jetstream::start(jetstream::Settings {
                    pace: options.pace / 2,
                    ..Default::default()
                })?;
                let (script, wanted) = jetstream_script(options);
                server.play(script);
                board.argument("--source").argument("jetstream");
                board.set("JETSTREAM_URL", server.url());
                let said = format!(
                    "simulated Jetstream at {}, half of it about other things",
                    server.url()
                );
                Ok((Self::Jetstream(server, wanted), said))
            }
            Source::Jetstream { offline: false } => {
                board.argument("--source").argument("jetstream");
                Ok((
                    Self::Live,
                    "Bluesky's Jetstream, with posts as they are written".to_owned(),
                ))
            }
            Source::Lines => {
                board.argument("--source").argument("lines");
                Ok((
                    Self::Lines(Arc::default()),
                    "lines, written to headwater's standard input".to_owned(),
                ))
            }
        }
    }

    /// Begins to write lines, if that is the source, and closes standard input after the last.
    pub fn attach(&self, options: &Options, producer: &mut Program) -> anyhow::Result<()> {
        let Self::Lines(written) = self else {
            return Ok(());
        };
        let pipe = producer.input();
        let mut pipe = pipe.context("headwater has no standard input")?;
        let written = Arc::clone(written);
        let lines: Vec<_> = about(options).take(options.posts).collect();
        let pace = options.pace;
        thread::spawn(move || {
            for (n, post) in lines.iter().enumerate() {
                // Two posts may have the same text; two lines must not, to be told apart.
                let line = format!("{} #{n}", post.text.replace(char::is_control, " "));
                if writeln!(pipe, "{line}").is_err() {
                    break;
                }
                written
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Sent::from(line.as_str()));
                thread::sleep(pace);
            }
        });
        Ok(())
    }

    /// What it sent so far, each as often as it was sent; `None` if only the producer knows.
    pub fn sent(&self) -> Option<Vec<Sent>> {
        match self {
            Self::X(api) => Some(had(api).iter().map(Sent::from).collect()),
            Self::Jetstream(server, wanted) => {
                let sent = server
                    .sent()
                    .into_iter()
                    .filter(|post| wanted.contains(&post.id));
                Some(
                    sent.map(|post| Sent {
                        id: record_key(&post),
                        text: post.text,
                    })
                    .collect(),
                )
            }
            Self::Lines(written) => Some(
                written
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
            ),
            Self::Live => None,
        }
    }

    /// Whether some of what it sent may have been under way when the network failed.
    pub fn may_break_off(&self) -> bool {
        matches!(self, Self::X(_))
    }
}

/// Every post that X had, as often as it sent it, and once if it sent it never.
fn had(api: &XApi) -> Vec<Post> {
    let mut had = api.sent();
    had.extend(api.found());
    let sent: BTreeSet<u64> = had.iter().map(|post| post.id).collect();
    let unsent = api.posted().into_iter();
    had.extend(unsent.filter(|post| !sent.contains(&post.id)));
    had
}

/// Plays the script from the first connection on at its own pace: posts are written whether somebody reads the stream or not.
fn write_live(api: Arc<XApi>, script: Vec<x_api::Event>, pace: Duration) {
    use x_api::Event;
    thread::spawn(move || {
        while !api.is_streaming() {
            thread::sleep(pace);
        }
        for event in script {
            match event {
                Event::Post(post) => {
                    api.post(post);
                    thread::sleep(pace);
                }
                other if api.is_streaming() => api.play([other]),
                // There is no connection that it could happen to.
                _ => {}
            }
        }
    });
}

/// What the X API does: every post, and what a careless reader stumbles over.
fn x_script(options: &Options) -> Vec<x_api::Event> {
    use x_api::Event;
    let posts: Vec<_> = about(options).take(options.posts).collect();
    let mut script = Vec::new();
    for (n, post) in posts.iter().enumerate() {
        script.push(Event::Post(post.clone()));
        match n % 40 {
            // The same post a second time, a little later.
            12 => script.push(Event::Post(posts[n - 5].clone())),
            // Out of order.
            20 => {
                let last = script.len() - 1;
                script.swap(last - 1, last);
            }
            30 => script.push(Event::Line(
                r#"{"type":"notice","of":"tomorrow"}"#.to_owned(),
            )),
            _ => {}
        }
        if n == options.posts * 2 / 5 {
            script.push(Event::Disconnect);
        }
        if n == options.posts * 7 / 10 {
            script.push(Event::CutHalfway);
        }
    }
    script
}

/// What Jetstream does: posts about the keyword and about other things in turn, and events that are no posts. Second: the ids of the
/// former.
fn jetstream_script(options: &Options) -> (Vec<jetstream::Event>, BTreeSet<u64>) {
    use jetstream::Event;
    let start = SystemTime::now() + Duration::from_secs(3600);
    let others = posts::about("zzyzx", start, options.pace);
    // "Other things" must not be about the keyword by accident.
    let rule = x_api::Rule::parse(String::new(), &options.keyword, None).ok();
    let others = others.filter(|post| rule.as_ref().is_none_or(|rule| !rule.matches(post)));
    let (mut script, mut wanted) = (Vec::new(), BTreeSet::new());
    for (n, (post, other)) in about(options).zip(others).take(options.posts).enumerate() {
        wanted.insert(post.id);
        if n % 10 == 3 {
            script.push(Event::Identity(post.author));
            script.push(Event::Account(other.author));
            script.push(Event::Delete(other.clone()));
        }
        script.push(Event::Post(other));
        script.push(Event::Post(post));
        if n == options.posts / 2 {
            script.push(Event::Disconnect);
        }
    }
    (script, wanted)
}

fn about(options: &Options) -> impl Iterator<Item = Post> {
    posts::about(&options.keyword, SystemTime::now(), options.pace)
}
