use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

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

/// A word, texts that hold it as a word of its own, and texts that hold it as a part of another, if at all.
const WORDS: &[(&str, &[&str], &[&str])] = &[
    // Devanagari: a vowel sign, a nukta, a virama and a joiner belong to the letter before them.
    ("पिज़्ज़ा", &["आज पिज़्ज़ा खाया।", "पिज़्ज़ा"], &["पिज़्ज़ाघर", "पिज"]),
    (
        "पिज",
        &["पिज।"],
        &["पिज़्ज़ा", "पिज़", "पिजा", "पिज्", "पिज्\u{200d}"],
    ),
    ("ज़", &["\u{95b}", "\u{91c}\u{93c}"], &["\u{91c}"]),
    ("क्\u{200d}ष", &["क्\u{200d}ष"], &["क्ष", "क्\u{200d}"]),
    // Bengali: a nukta as well, and a vowel sign of two halves.
    ("পিৎজা", &["আজ পিৎজা খেলাম"], &["পিৎজাঘর"]),
    (
        "বড\u{9bc}",
        &["ব\u{9dc}", "বড\u{9bc}।"],
        &["বড", "বড\u{9bc}ো"],
    ),
    ("বড", &["বড"], &["বড\u{9bc}", "ব\u{9dc}"]),
    ("ক\u{9cb}", &["ক\u{9c7}\u{9be}"], &["ক\u{9c7}", "ক"]),
    // Thai, Lao, Burmese, Khmer: every letter is an edge, but none goes without its marks.
    ("พิซซ่า", &["ฉันชอบพิซซ่ามาก", "พิซซ่า๕"], &["พิซซา", "พิซซ้า"]),
    ("ซ", &["ซา"], &["ซ่า", "ซิ", "ซ็", "ซ์"]),
    ("ພິຊຊາ", &["ຂ້ອຍມັກພິຊຊາຫຼາຍ"], &["ພິຊຊ"]),
    ("ပီဇာ", &["ပီဇာစားမယ်"], &["ပီဇ"]),
    ("ဇ", &["ဇ"], &["ဇာ", "ဇ်"]),
    ("ភីហ្សា", &["ខ្ញុំញ៉ាំភីហ្សាឆ្ងាញ់"], &["ភីហ្ស"]),
    ("ᦵᦓᦲᧈ", &["ᦶᦙᦵᦓᦲᧈᦶᦙ"], &["ᦵᦓᦲ"]),
    // Arabic and Persian: vowels and shadda are marks, ZWNJ joins the parts of a word.
    (
        "بيتزا",
        &["أحب بيتزا!", "\u{200f}بيتزا\u{200f}"],
        &["بيتزات", "البيتزا", "بيتزاً"],
    ),
    ("بيتزاً", &["بيتزا\u{64b}"], &["بيتزا"]),
    ("شدّة", &["شد\u{651}ة"], &["شدة"]),
    (
        "دَّ",
        &["د\u{64e}\u{651}", "د\u{651}\u{64e}"],
        &["د\u{651}", "د\u{64e}"],
    ),
    ("أحمد", &["ا\u{654}حمد"], &["احمد"]),
    (
        "می\u{200c}خواهم",
        &["پیتزا می\u{200c}خواهم."],
        &["میخواهم", "نمی\u{200c}خواهم"],
    ),
    (
        "می",
        &["می خواهم", "می\u{200c} خواهم"],
        &["می\u{200c}خواهم", "نمی"],
    ),
    ("خواهم", &["خواهم"], &["می\u{200c}خواهم"]),
    // Hebrew: points are marks, geresh is an apostrophe.
    (
        "פיצה",
        &["אני אוהב פיצה.", "\u{202b}פיצה\u{202c}"],
        &["פיצהריה", "הפיצה", "פיצה\u{5b8}"],
    ),
    (
        "פִּיצָה",
        &["פ\u{5bc}\u{5b4}יצ\u{5b8}ה", "פ\u{5b4}\u{5bc}יצ\u{5b8}ה"],
        &["פיצה"],
    ),
    ("שּׁ", &["\u{fb2c}", "ש\u{5c1}\u{5bc}"], &["ש", "ש\u{5bc}"]),
    ("צ׳ק", &["צ'ק", "צ’ק"], &["צק"]),
    // Vietnamese, precomposed, half and wholly decomposed, marks in either order.
    (
        "phở",
        &[
            "Phở bò",
            "pho\u{31b}\u{309}",
            "ph\u{1a1}\u{309}",
            "PHO\u{309}\u{31b}",
        ],
        &["phơ", "pho", "phởs"],
    ),
    ("pho", &["pho"], &["phở", "pho\u{31b}\u{309}", "phơ"]),
    (
        "việt",
        &[
            "VIỆT nam",
            "vie\u{323}\u{302}t",
            "vie\u{302}\u{323}t",
            "vi\u{1eb9}\u{302}t",
        ],
        &["viêt", "viẹt"],
    ),
    (
        "ệ",
        &["e\u{302}\u{323}", "\u{ea}\u{323}", "E\u{323}\u{302}"],
        &["ệu", "e\u{302}\u{323}\u{301}", "ê"],
    ),
    // Latin and Greek, composed or not.
    (
        "café",
        &["un cafe\u{301}", "CAFÉ."],
        &["cafés", "cafe", "cafe\u{301}s", "cafe\u{301}\u{323}"],
    ),
    (
        "cafe\u{301}",
        &["un café", "CAFE\u{301}"],
        &["cafe", "cafè"],
    ),
    ("école", &["ÉCOLE", "e\u{301}cole"], &["ecole", "lécole"]),
    ("cafe", &["cafe"], &["café", "cafe\u{301}", "cafe\u{1dc4}"]),
    ("ᾳ", &["α\u{345}", "ᾼ", "Α\u{345}"], &["α", "αι"]),
    ("Å", &["\u{212b}", "a\u{30a}", "å"], &["a", "aa"]),
    ("kelvin", &["\u{212a}elvin"], &["elvin"]),
    (
        "istanbul",
        &["İstanbul", "I\u{307}STANBUL", "i\u{307}stanbul"],
        &["istanbullu", "ïstanbul"],
    ),
    (
        "izmiri",
        &["İzmirİ!", "izmiri\u{307}"],
        &["izmiri\u{301}", "izmiriń"],
    ),
    (
        "pizza",
        &["piz\u{ad}za", "\u{2066}pizza\u{2069}"],
        &["pizza\u{ad}s", "pizza\u{200d}s", "a\u{301}pizza"],
    ),
    // Hangul, by syllables or in pieces: particles are glued on, but a syllable is whole.
    (
        "피자",
        &[
            "피자를 먹다",
            "\u{1111}\u{1175}\u{110c}\u{1161}\u{1105}\u{1173}\u{11af}",
        ],
        &["피잔", "핀자", "\u{1111}\u{1175}\u{110c}\u{1161}\u{11ab}"],
    ),
    (
        "\u{1111}\u{1175}\u{110c}\u{1161}",
        &["피자를 먹다", "pizza피자"],
        &["피잔", "피"],
    ),
    (
        "피잔",
        &["\u{1111}\u{1175}\u{110c}\u{1161}\u{11ab}", "피자\u{11ab}"],
        &["피자"],
    ),
    // Kana with their voicing mark apart.
    ("ピザ", &["ヒ\u{309a}サ\u{3099}屋"], &["ヒサ", "ピサ"]),
    ("ヒ", &["ヒ屋"], &["ピ", "ヒ\u{309a}"]),
    ("葛", &["葛\u{e0100}城"], &["葉"]),
    // Emoji: the selector does not count; a skin tone, a joiner and a second letter do.
    ("❤️", &["I ❤ you", "❤️", "a❤️b"], &["💔", "❤️\u{200d}🔥"]),
    ("❤", &["I ❤️ you"], &["❤️\u{200d}🔥"]),
    ("👍", &["👍", "ok👍ok", "👍👍🏽"], &["👍🏽", "👎"]),
    ("👍🏽", &["👍🏽!", "👍🏻👍🏽"], &["👍", "👍🏿"]),
    (
        "👩",
        &["👩🍳", "👩\u{200d} "],
        &["👩\u{200d}🍳", "👩🏽", "👩🏽\u{200d}🍳", "🏳️\u{200d}👩"],
    ),
    ("🍳", &["👩🍳"], &["👩\u{200d}🍳", "👩🏽\u{200d}🍳"]),
    (
        "👩🏽\u{200d}🍳",
        &["eine 👩🏽\u{200d}🍳 kocht"],
        &["👩\u{200d}🍳", "👩🏽"],
    ),
    ("🇪🇸", &["🇪🇸", "🇩🇪🇪🇸🇩🇪", "a🇪🇸b"], &["🇩🇪🇸🇪", "🇪"]),
    ("🇪", &["🇪"], &["🇪🇸"]),
    (
        "🏴",
        &["🏴"],
        &["🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}"],
    ),
    ("1️⃣", &["1\u{20e3}"], &["1"]),
    ("1", &["1."], &["1️⃣", "1\u{20e3}"]),
    // Apostrophes of any shape.
    (
        "don't",
        &["I don’t know", "DON'T", "don\u{2bc}t"],
        &["dont", "don’ts"],
    ),
    ("don’t", &["I don't know", "don‘t"], &["dont"]),
    ("'tis", &["’Tis the season"], &["tis"]),
    ("обʼєкт", &["об'єкт", "ОБ’ЄКТ"], &["обєкт"]),
];

#[test]
fn whole_words_match_however_they_are_encoded_and_parts_do_not() {
    for (keyword, whole, others) in WORDS {
        let filter = filter(keyword);
        for text in *whole {
            for text in [(*text).to_owned(), format!("x {text} x")] {
                assert!(
                    filter.matches(&text),
                    "{keyword} is in {}",
                    text.escape_unicode()
                );
            }
        }
        for text in *others {
            for text in [(*text).to_owned(), format!("x {text} x")] {
                assert!(
                    !filter.matches(&text),
                    "{keyword} is not in {}",
                    text.escape_unicode()
                );
            }
        }
    }
}

#[test]
fn the_same_words_match_in_every_normal_form() {
    for (keyword, whole, others) in WORDS {
        let forms = |text: &str| [text.nfc().to_string(), text.nfd().to_string()];
        for filter in forms(keyword).map(|keyword| filter(&keyword)) {
            assert!(
                whole
                    .iter()
                    .flat_map(|text| forms(text))
                    .all(|text| filter.matches(&text)),
                "{keyword}"
            );
            assert!(
                !others
                    .iter()
                    .flat_map(|text| forms(text))
                    .any(|text| filter.matches(&text)),
                "{keyword}"
            );
        }
    }
}

#[test]
fn a_keyword_of_nothing_that_shows_is_empty() {
    for keyword in ["\u{200d}", "\u{fe0f} \u{ad}", "\"\u{200c}\u{200d}\""] {
        assert_eq!(
            Filter::parse(keyword),
            Err(Invalid::Empty),
            "{}",
            keyword.escape_unicode()
        );
    }
}

/// All planes in which Unicode assigns characters.
fn assigned() -> impl Iterator<Item = char> {
    ('\0'..='\u{33fff}').chain('\u{e0000}'..='\u{e0fff}')
}

#[test]
fn what_folds_to_ascii_without_a_mark_is_known() {
    // A term that begins with another letter is looked for by that byte alone.
    let mut bare: Vec<char> = Vec::new();
    for char in assigned().filter(|char| !char.is_ascii()) {
        let folded: Vec<char> = Folded::new(char.encode_utf8(&mut [0; 4])).collect();
        if folded.first().is_some_and(char::is_ascii) && letters::leading_marks(&folded[1..]) == 0 {
            bare.extend(folded.first());
        }
    }
    bare.sort_unstable();
    bare.dedup();
    assert_eq!(bare, ['\'', ';', '`', 'i', 'k', 's']);
}

#[test]
fn what_is_folded_stays_as_it_is() {
    for char in assigned() {
        let once: String = Folded::new(char.encode_utf8(&mut [0; 4])).collect();
        assert!(
            Folded::new(&once).eq(once.chars()),
            "{}",
            char.escape_unicode()
        );
    }
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
    fn equal_texts_are_found_in_each_other(text in "[aeiopsk\u{e9}\u{1ec7}\u{1fb3}\u{ac01}\u{958}\u{300}-\u{345}\u{5b0}-\u{5bd}\u{653}\u{9be}]{0,6}") {
        // A mark at the start of a text has no letter to belong to.
        let [as_is, nfc, nfd] = [text.clone(), text.nfc().to_string(), text.nfd().to_string()].map(|text| format!("p{text}"));
        for keyword in [&as_is, &nfc, &nfd] {
            let filter = filter(keyword);
            for text in [&as_is, &nfc, &nfd] {
                prop_assert!(filter.matches(text), "{} in {}", keyword.escape_unicode(), text.escape_unicode());
            }
        }
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
