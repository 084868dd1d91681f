use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MARGIN: Duration = Duration::from_secs(2 * 60);

#[test]
fn a_thread_is_stuck_when_it_is_silent_for_longer_than_it_said() {
    let vitals = Vitals::default();
    let is_stuck = |now| vitals.is_stuck(now, MARGIN);
    assert!(!is_stuck(Duration::MAX), "nobody waits for it yet");
    vitals.alive(10 * SECOND, 60 * SECOND);
    assert!(!is_stuck(70 * SECOND + MARGIN));
    assert!(is_stuck(70 * SECOND + MARGIN + SECOND));
    vitals.alive(300 * SECOND, Duration::ZERO);
    assert!(!is_stuck(300 * SECOND), "it moves again");
    vitals.waits();
    assert!(!is_stuck(Duration::MAX));
}

#[test]
fn trouble_lasts_from_its_first_sign_until_all_is_well() {
    let vitals = Vitals::default();
    vitals.trouble(Level::Warn, false, "slow", 10 * SECOND);
    vitals.trouble(Level::Warn, false, "slower", 15 * SECOND);
    assert_eq!(
        vitals.current_trouble(20 * SECOND),
        Some((10 * SECOND, "slower".to_owned()))
    );
    vitals.well("posts arrive", 21 * SECOND);
    assert_eq!(vitals.current_trouble(22 * SECOND), None);
}
