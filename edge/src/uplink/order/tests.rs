use super::*;

#[test]
fn a_record_comes_after_the_newest_of_its_own_key() {
    let mut order = Order::default();
    let mut send = |key: &str, number: &str| {
        order.follow(key);
        let after = order.after().to_owned();
        order.arrived(SequenceNumber::try_from(number).unwrap());
        after
    };
    assert_eq!(send("a", "1"), "");
    assert_eq!(send("b", "2"), "");
    assert_eq!(send("a", "3"), "1");
    assert_eq!(send("a", "4"), "3");
    assert_eq!(send("b", "5"), "2");
}
