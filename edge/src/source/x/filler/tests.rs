//! A power cut at every step of noting and filling gaps: none is forgotten, and one page at most is asked for twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use testkit::posts::{self, Post};
use testkit::x_api::{self, BEARER_TOKEN, XApi};

use super::*;
use crate::net::endpoint::Endpoint;
use crate::net::roots::Roots;
use crate::observe::counters::Counters;
use crate::platform::facts::Facts;
use crate::platform::time::TestClock;
use crate::post::filter::Filter;
use crate::post::record::MAX_RECORD_BYTES;
use crate::source::x::settings::Auth;
use crate::spool::tests::sim::{Event, Image, each_subset};
use crate::spool::tests::{Dice, Disk, Rig, Size};
use crate::spool::{Seq, WhenFull};

/// No post that a test reads is dropped.
const SIZE: Size = Size {
    card_blocks: 512,
    stage_blocks: 256,
    when_full: WhenFull::DropNewest,
};

/// States of the card that are tried after many blocks were written, beside those in the order written. Each takes several pages.
const SAMPLES: u64 = if cfg!(target_arch = "arm") { 1 } else { 40 };

/// The posts of a page.
const PAGE: usize = search::MAX_PAGE as usize;

/// A board whose card is simulated, and who is driven step by step.
struct Filling {
    feed: Feed,
    disk: Arc<Disk>,
    clock: Arc<TestClock>,
}

impl Filling {
    /// Started on a card that holds this.
    fn on(image: Option<Image>) -> Self {
        let Rig {
            spool, card, clock, ..
        } = Rig::on(SIZE, image, None);
        // The card is made now, if there was none.
        spool.commit();
        let disk = card.lock().unwrap().clone().unwrap();
        let feed = Feed {
            spool: Arc::new(spool),
            clock: clock.clone(),
            stop: Arc::default(),
            counters: Arc::new(Counters::default()),
            state: Arc::new(Facts::open(None, None)),
            max_record_bytes: MAX_RECORD_BYTES,
            echo: false,
        };
        Self { feed, disk, clock }
    }

    /// The posts in its spool.
    fn ids(&self) -> BTreeSet<u64> {
        self.waiting().into_iter().map(|(_, id)| id).collect()
    }

    fn waiting(&self) -> Vec<(Seq, u64)> {
        let mut waiting = Vec::new();
        loop {
            let (from, before) = (waiting.last().map_or(0, |(seq, _)| seq + 1), waiting.len());
            self.feed.spool.peek_from(from, |seq, record| {
                let line: Value = serde_json::from_slice(record.data).unwrap();
                let id = line["data"]["id"].as_str().unwrap().parse().unwrap();
                waiting.push((seq, id));
                ControlFlow::Continue(())
            });
            if waiting.len() == before {
                return waiting;
            }
        }
    }

    /// Kinesis takes all that waits; which posts that were.
    fn deliver(&self) -> BTreeSet<u64> {
        let waiting = self.waiting();
        if let Some((last, _)) = waiting.last() {
            self.feed.spool.ack(last + 1);
        }
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// The stream brings a post.
    fn read(&self, progress: &Progress<'_>, post: &Post) {
        let line = json!({ "data": { "id": post.id.to_string(), "text": post.text } }).to_string();
        let Ok(Message::Post(post)) = message::parse(line.as_bytes()) else {
            panic!("{line}");
        };
        progress.take(&post, line.as_bytes(), true).unwrap();
    }

    /// The stream opens at that time, and brings no post for a while.
    fn reopen(&self, progress: &Progress<'_>, at: SystemTime) {
        progress.opened(Some(at));
        self.clock.advance(Duration::from_secs(2));
        progress.quiet();
    }
}

fn settings(api: &XApi) -> Settings {
    Settings {
        endpoint: Endpoint::parse(&api.url(), false).unwrap(),
        auth: Auth::Bearer(BEARER_TOKEN.to_owned()),
        filter: Filter::parse("pizza").unwrap(),
        retweets: true,
        gap_at_most: Some(Duration::from_millis(REACH_MS)),
        search_delay: Duration::ZERO,
        max_per_day: None,
        roots: Roots::default(),
    }
}

/// Where the run was, as far as a power cut is concerned: what happened to the card before, what was delivered, how many pages were asked
/// for.
struct Moment {
    events: usize,
    delivered: BTreeSet<u64>,
    asked: usize,
}

/// Two outages, the second one while the first one's gap is being filled: the moments of all that, and the card at the first of them.
fn run(board: &Filling, api: &XApi, posts: &[Post], start: SystemTime) -> (Vec<Moment>, Image) {
    let (mut moments, mut delivered) = (Vec::new(), BTreeSet::new());
    let at = |secs| start + Duration::from_secs(secs);
    let settings = settings(api);
    let progress = Progress::new(&settings, &board.feed);
    let mut filler = Filler::new(&settings, &board.feed, &progress);
    let mut note = |delivers: bool| {
        if delivers {
            delivered.extend(board.deliver());
        }
        moments.push(Moment {
            events: board.disk.log().len(),
            delivered: delivered.clone(),
            asked: api.searches().len(),
        });
    };
    progress.opened(Some(start));
    board.read(&progress, &posts[0]);
    // What was read first of all comes to the card at once.
    filler.step().unwrap();
    let base = board.disk.safe();
    note(false);
    progress.closed();
    board.reopen(&progress, at(300));
    note(false);
    board.read(&progress, &posts[300]);
    note(true);
    filler.step().unwrap();
    note(false);
    board.read(&progress, &posts[301]);
    board.feed.spool.commit();
    note(false);
    filler.step().unwrap();
    note(true);
    progress.closed();
    board.reopen(&progress, at(500));
    note(false);
    board.read(&progress, &posts[500]);
    note(false);
    let mut delivers = false;
    while progress.lock().place.gaps() > 0 {
        filler.step().unwrap();
        // Every other page is delivered before the next one is asked for.
        delivers = !delivers;
        note(delivers);
    }
    board.feed.spool.commit();
    note(true);
    (moments, base)
}

/// The fewest pages for what is missing.
fn least(progress: &Progress<'_>, posted: &[Post]) -> usize {
    let mut place = progress.lock().place.clone();
    let mut pages = 0;
    while let Some(gap) = place.gap() {
        let ids = gap.after + 1..gap.until;
        let posts = posted.iter().filter(|post| ids.contains(&post.id)).count();
        pages += posts.div_ceil(PAGE).max(1);
        place.close(gap.after);
    }
    pages
}

#[test]
fn a_power_cut_at_any_step_forgets_no_gap_and_asks_for_one_page_again_at_most() {
    // Given an hour in which a post was written every second, and a board that was offline twice
    let api = XApi::start(x_api::Settings {
        search_delay: Duration::ZERO,
        search_limit: usize::MAX,
        ..x_api::Settings::default()
    })
    .unwrap();
    let start = SystemTime::now() - Duration::from_secs(3600);
    let posts: Vec<_> = posts::about("pizza", start, Duration::from_secs(1))
        .take(501)
        .collect();
    posts.iter().cloned().for_each(|post| api.post(post));
    let board = Filling::on(None);
    let (moments, base) = run(&board, &api, &posts, start);
    let pages = api.searches().len();
    let log = board.disk.log();
    drop(board);

    // When the power fails at any moment of it, and the board comes back
    let mut tried = 0;
    let mut ends = BTreeMap::new();
    let mut cut = |image: &Image, moment: &Moment| {
        tried += 1;
        let board = Filling::on(Some(image.clone()));
        let key = (board.feed.position(), board.ids());
        let end = ends
            .entry(key)
            .or_insert_with(|| come_back(&board, &api, &posts, start));

        // Then all posts are there, and no more was asked for than what was missing, one page again, and the gap of the cut itself
        let has = |id| moment.delivered.contains(id) || end.stored.contains(id);
        let gone = posts.iter().filter(|post| !has(&post.id)).count();
        assert_eq!(gone, 0, "after {} pages", moment.asked);
        let asked = moment.asked + end.asked;
        assert!(
            asked <= pages + 2,
            "{} pages before and {} after the cut, {pages} without it",
            moment.asked,
            end.asked
        );
    };
    let (mut pending, mut dice) = (Vec::new(), Dice::new(16));
    let mut safe = base;
    let mut next = moments[0].events;
    for (index, moment) in moments.iter().enumerate() {
        let end = moments.get(index + 1).map_or(log.len(), |next| next.events);
        for event in &log[next..end] {
            match event {
                Event::Write(place, page) => pending.push((*place, page.clone())),
                Event::Synced => {
                    each_subset(&safe, &pending, SAMPLES, &mut dice, |image| {
                        cut(image, moment)
                    });
                    for (place, page) in pending.drain(..) {
                        safe[place] = page;
                    }
                }
                Event::Failed(_) | Event::Told(_) => {}
            }
        }
        next = end;
        each_subset(&safe, &pending, SAMPLES, &mut dice, |image| {
            cut(image, moment)
        });
    }
    let _ = writeln!(
        io::stdout(),
        "{pages} pages, {} moments, {tried} states of the card, {} different ones",
        moments.len(),
        ends.len()
    );
    let least = if SAMPLES > 1 { (60, 40) } else { (40, 20) };
    assert!(tried > least.0 && ends.len() > least.1);
}

/// What a board did that came back after a power cut.
struct End {
    /// All that its spool had, at first or in the end.
    stored: BTreeSet<u64>,
    /// The pages it asked for.
    asked: usize,
}

/// Comes back ten minutes after the last outage, and fills what gaps there are.
fn come_back(board: &Filling, api: &XApi, posts: &[Post], start: SystemTime) -> End {
    let before = api.searches().len();
    let settings = settings(api);
    let progress = Progress::new(&settings, &board.feed);
    let mut filler = Filler::new(&settings, &board.feed, &progress);
    board.reopen(&progress, start + Duration::from_secs(1100));
    let least = least(&progress, posts);
    while progress.lock().place.gaps() > 0 {
        filler.step().unwrap();
    }
    let asked = api.searches().len() - before;
    assert_eq!(asked, least);
    End {
        stored: board.ids(),
        asked,
    }
}
