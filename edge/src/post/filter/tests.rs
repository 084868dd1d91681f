use proptest::prelude::*;

use super::*;

fn filter(keyword: &str) -> Filter {
    Filter::parse(keyword).unwrap()
}

#[test]
fn a_keyword_matches_whole_words_in_any_case_and_script() {
    let table = [
        ("pizza", "Pizza!", true),
        ("PIZZA", "my pizza's cold", true),
        ("pizza", "two pizzas", false),
        ("pizza", "apizza", false),
        ("pizza", "pizza_time", false),
        ("pizza", "#pizza", true),
        ("pizza", "", false),
        ("#pizza", "all #Pizza all day", true),
        ("#pizza", "pizza", false),
        ("pizza", "pizzapizza pizza", true),
        ("C++", "I like c++, really", true),
        ("ÉTÉ", "un été chaud", true),
        ("ete", "un été chaud", false),
        ("cafe", "cafe\u{301}", false),
        ("ΟΔΟΣ", "οδος", true),
        ("οδοσ", "ΟΔΟΣ", true),
        ("москва", "МОСКВА.", true),
        ("москва", "москвас", false),
        ("istanbul", "İSTANBUL", true),
        ("🍕", "pizza🍕pizza", true),
    ];
    for (keyword, text, expected) in table {
        assert_eq!(
            filter(keyword).matches(text),
            expected,
            "{keyword} in {text}"
        );
    }
}

#[test]
fn a_script_without_spaces_has_word_edges_everywhere() {
    let table = [
        ("ピザ", "今日はピザ屋に行く", true),
        ("ピザ", "ピサの斜塔", false),
        ("pizza", "今日はpizzaを食べた", true),
        ("pizza", "今日はpizzasを食べた", false),
        ("披萨", "我喜欢披萨", true),
        ("피자", "피자를 먹다", true),
        ("พิซซ่า", "ฉันชอบพิซซ่ามาก", true),
    ];
    for (keyword, text, expected) in table {
        assert_eq!(
            filter(keyword).matches(text),
            expected,
            "{keyword} in {text}"
        );
    }
}

#[test]
fn all_words_must_match_and_a_phrase_in_its_order() {
    let table = [
        ("pizza naples", "Naples has the best pizza", true),
        ("pizza naples", "Naples", false),
        ("\"deep dish\"", "a Deep\n  dish", true),
        ("\"deep dish\"", "a dish deep down", false),
        ("\"deep dish\"", "deep-dish", false),
        ("\"deep dish\" chicago", "Chicago: deep dish!", true),
        ("\"deep dish\" chicago", "deep dish", false),
        ("\"deep dish\"", "deep dishes", false),
        ("\"deep dish\"", "deep", false),
    ];
    for (keyword, text, expected) in table {
        assert_eq!(
            filter(keyword).matches(text),
            expected,
            "{keyword} in {text}"
        );
    }
}

#[test]
fn the_words_become_the_rule_and_no_operator_slips_in() {
    let table = [
        ("pizza", "pizza"),
        ("  neapolitan   pizza ", "neapolitan pizza"),
        ("\"deep  dish\" chicago", "\"deep dish\" chicago"),
        ("pizza OR pasta", "pizza \"OR\" pasta"),
        ("-pizza", "\"-pizza\""),
        ("from:pizza", "\"from:pizza\""),
        ("(pizza", "\"(pizza\""),
        ("#pizza @pizza $pizza", "#pizza @pizza $pizza"),
        ("ピザ", "ピザ"),
    ];
    for (keyword, rule) in table {
        assert_eq!(filter(keyword).rule(), rule, "{keyword}");
    }
    assert_eq!(
        filter(" neapolitan  pizza").tag(),
        "headwater:neapolitan pizza"
    );
}

#[test]
fn a_keyword_that_cannot_be_used_is_refused_with_the_reason() {
    assert_eq!(Filter::parse(" "), Err(Invalid::Empty));
    assert_eq!(Filter::parse("\"\""), Err(Invalid::Empty));
    assert_eq!(Filter::parse("\"deep dish"), Err(Invalid::OpenQuote));
    let long = "ü".repeat(1025);
    assert_eq!(Filter::parse(&long), Err(Invalid::TooLong(1025)));
    assert!(Filter::parse(&long[2..]).is_ok());
}

#[test]
fn letters_beyond_ascii_fold_to_no_ascii_but_i_s_and_k() {
    let ascii: Vec<char> = ('\u{80}'..=char::MAX)
        .map(fold)
        .filter(char::is_ascii)
        .collect();
    assert!(!ascii.is_empty());
    assert!(ascii.iter().all(|char| "isk".contains(*char)), "{ascii:?}");
}

proptest! {
    #[test]
    fn a_word_is_found_in_any_case_between_any_others(
        word in "[a-zà-öа-яα-ω]{1,8}",
        before in "([a-z]{1,5}[ ,.!\n]){0,4}",
        after in "([ ,.!\n][a-z]{1,5}){0,4}",
    ) {
        let filter = filter(&word);
        for word in [word.to_uppercase(), word.to_lowercase(), word] {
            let text = format!("{before}{word}{after}");
            prop_assert!(filter.matches(&text));
        }
    }

    #[test]
    fn a_word_within_a_longer_one_is_not_found(
        word in "[a-m]{1,8}",
        before in "[n-z0-9_]{0,3}",
        after in "[n-z0-9_]{0,3}",
    ) {
        let is_whole = before.is_empty() && after.is_empty();
        let text = format!("{before}{word}{after}");
        prop_assert_eq!(filter(&word).matches(&text), is_whole);
    }

    #[test]
    fn any_keyword_and_any_text_are_handled(keyword in any::<String>(), text in any::<String>()) {
        if let Ok(filter) = Filter::parse(&keyword) {
            filter.matches(&text);
            let own_rule = Filter::parse(&filter.rule()).unwrap();
            prop_assert_eq!(own_rule.terms, filter.terms);
        }
    }
}
