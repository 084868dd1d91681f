//! The stream's seconds as a picture.

use std::fmt::{self, Write};
use std::time::Duration;

use testkit::stream::ledger::Second;

use crate::run::Outcome;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 320.0;
/// Left of and below the drawing, for its scales.
const MARGIN: f64 = 50.0;

/// Draws what was accepted and refused in each second, with the outages and what the shards take a second.
///
/// # Errors
///
/// None: writing to memory does not fail.
pub fn svg(outcome: &Outcome, limit: f64) -> Result<String, fmt::Error> {
    let seconds = &outcome.counts.seconds;
    let most = seconds
        .iter()
        .map(|second| second.accepted.max(second.refused));
    let top = most.max().unwrap_or(1).max(limit as u64) as f64 * 1.05;
    let x = |second: f64| MARGIN + second / seconds.len() as f64 * (WIDTH - MARGIN);
    let y = |count: f64| (HEIGHT - MARGIN) * (1.0 - count / top);
    let mut svg = String::new();
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">"#
    )?;
    writeln!(
        svg,
        r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#
    )?;
    for back in &outcome.returns {
        let (from, to) = (
            x(back.outage.0.as_secs_f64()),
            x(back.outage.1.as_secs_f64()),
        );
        let (width, height) = (to - from, HEIGHT - MARGIN);
        writeln!(
            svg,
            r##"<rect x="{from:.1}" y="0" width="{width:.1}" height="{height}" fill="#eee"/><text x="{from:.1}" y="12">outage</text>"##
        )?;
    }
    let line = |count: fn(&Second) -> u64| {
        let points = seconds.iter().enumerate();
        let points = points
            .map(|(at, second)| format!("{:.1},{:.1}", x(at as f64), y(count(second) as f64)));
        points.collect::<Vec<_>>().join(" ")
    };
    for (count, colour) in [
        ((|second| second.accepted) as fn(&Second) -> u64, "#0a7"),
        (|second| second.refused, "#c33"),
    ] {
        writeln!(
            svg,
            r#"<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{}"/>"#,
            line(count)
        )?;
    }
    let at = y(limit);
    writeln!(
        svg,
        r##"<line x1="{MARGIN}" x2="{WIDTH}" y1="{at:.1}" y2="{at:.1}" stroke="#999" stroke-dasharray="4"/><text x="2" y="{:.1}">{limit:.0}</text>"##,
        at + 4.0
    )?;
    let end = Duration::from_secs(seconds.len() as u64).as_secs();
    for minute in 0..=end / 60 {
        writeln!(
            svg,
            r#"<text x="{:.1}" y="{:.1}">{minute} min</text>"#,
            x(minute as f64 * 60.0),
            HEIGHT - MARGIN + 16.0
        )?;
    }
    writeln!(
        svg,
        r##"<text x="{MARGIN}" y="{0:.1}" fill="#0a7">records accepted a second</text><text x="250" y="{0:.1}" fill="#c33">refused a second</text><text x="400" y="{0:.1}" fill="#666">dashed: what the shards take a second</text></svg>"##,
        HEIGHT - 10.0
    )?;
    Ok(svg)
}
