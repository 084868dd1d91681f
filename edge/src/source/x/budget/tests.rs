use super::*;

#[test]
fn the_price_is_told_with_and_without_a_limit() {
    let price = |max| {
        let today = Today::default();
        Budget { max, today }.price()
    };
    assert!(price(None).ends_with("can cost $1,000 a day; --max-per-day N sets a limit"));
    let limited = price(NonZeroU64::new(2000));
    assert!(
        limited.ends_with("2000 posts a day are at most $10.00 to $30.00"),
        "{limited}"
    );
}
