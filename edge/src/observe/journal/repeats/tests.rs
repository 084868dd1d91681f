use super::*;

/// What is said when these lines come, each at its second.
fn said<'a>(lines: impl IntoIterator<Item = (u64, &'a str)>, end: u64) -> Vec<String> {
    let mut repeats = Repeats::default();
    let mut said = Vec::new();
    for (second, line) in lines {
        let now = Duration::from_secs(second);
        let mut sums = Vec::new();
        let new = repeats.is_new(Level::Warn, line, now, |_, sum| sums.push(sum.to_owned()));
        said.extend(sums);
        if new {
            said.push(line.to_owned());
        }
    }
    repeats.sum_up(Duration::from_secs(end), true, |_, sum| {
        said.push(sum.to_owned());
    });
    said
}

#[test]
fn an_hours_outage_is_eight_lines_and_not_a_thousand() {
    let lines: Vec<_> = (0..1200)
        .map(|attempt| {
            (
                attempt * 3,
                format!("cannot be reached; again in {attempt}.5s"),
            )
        })
        .collect();
    let said = said(
        lines.iter().map(|(second, line)| (*second, line.as_str())),
        3600,
    );
    assert_eq!(said.len(), 8, "{said:#?}");
    assert_eq!(said[0], "cannot be reached; again in 0.5s");
    assert_eq!(
        said[1],
        "19 times more in 60 s: cannot be reached; again in 19.5s"
    );
    assert!(
        said[2].starts_with("200 times more in 10 min: "),
        "{said:#?}"
    );
}

#[test]
fn what_is_over_and_comes_again_later_is_said_anew() {
    let said = said([(0, "it broke"), (61, "it broke"), (200, "it broke")], 201);
    assert_eq!(said, ["it broke", "it broke", "it broke"]);
}

#[test]
fn events_with_other_words_do_not_wait_for_each_other() {
    let lines = ["a broke 1", "b broke 1", "a broke 2", "b broke 2"];
    let said = said((0..).zip(lines), 10);
    let sums = [
        "once more in 10 s: a broke 2",
        "once more in 9 s: b broke 2",
    ];
    assert_eq!(said[..2], lines[..2]);
    assert_eq!(said[2..], sums);
}

#[test]
fn figures_with_their_units_do_not_make_another_event() {
    for (one, other) in [
        ("again in 0.25 s", "again in 16 s"),
        ("after 250.0ms", "after 1.5s"),
        ("after 7 s", "after 8 s"),
        ("in 0ns", "in 320s"),
    ] {
        assert_eq!(
            kind(Level::Info, one),
            kind(Level::Info, other),
            "{one}, {other}"
        );
    }
    assert_ne!(kind(Level::Info, "a"), kind(Level::Warn, "a"));
}

#[test]
fn many_kinds_of_events_take_bounded_memory_and_none_goes_unsaid() {
    let lines: Vec<_> = (0..100u8)
        .map(|n| String::from(char::from(b'A' + n % 26)).repeat(1 + usize::from(n / 26)))
        .collect();
    let said = said(lines.iter().map(|line| (0, line.as_str())), 1);
    assert_eq!(said, lines);
}
