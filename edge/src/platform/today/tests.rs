use super::*;

#[test]
fn a_day_goes_on_until_the_next_and_a_clock_set_back_opens_none() {
    let today = Today { day: 100, count: 7 };
    assert_eq!(today.on(100), today);
    assert_eq!(today.on(101), Today { day: 101, count: 0 });
    assert_eq!(today.on(99), today);
    // The clock was wrong before: what it called a far day holds up nothing.
    assert_eq!(today.on(50), Today { day: 50, count: 0 });
}

#[test]
fn what_is_remembered_is_read_back() {
    let today = Today { day: 100, count: 7 };
    assert_eq!(today.to_string().parse(), Ok(today));
    for other in ["", "100", "100 x", "-1 7"] {
        assert_eq!(other.parse::<Today>(), Err(()), "{other}");
    }
}
