//! Realistic posts about a keyword: many users and languages, short and long, with text that breaks careless software. They are deterministic: the
//! same keyword and number give the same texts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Length in characters beyond which X cuts a post's text and sends the whole as a note.
pub const SHORT_POST_CHARS: usize = 280;

/// One post, as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Decimal, too large for a double.
    pub id: u64,
    /// Its author.
    pub author: &'static Author,
    /// When.
    pub created_at: SystemTime,
    /// Such as `ja`.
    pub lang: &'static str,
    /// The whole text.
    pub text: String,
}

/// An account.
#[derive(Debug, PartialEq, Eq)]
pub struct Author {
    /// Decimal.
    pub id: u64,
    /// The handle.
    pub username: &'static str,
    /// The name on display.
    pub name: &'static str,
}

const fn author(id: u64, username: &'static str, name: &'static str) -> Author {
    Author { id, username, name }
}

static AUTHORS: [Author; 20] = [
    author(12, "jonas_w", "Jonas"),
    author(783_214, "margherita_m", "Margherita 🍅"),
    author(1_044_219_012, "TokyoEats", "東京グルメ"),
    author(98_120_344, "catperson", "Cat"),
    author(1_578_330_912_006_213_632, "layla_kh", "ليلى"),
    author(2_244_994_945, "devnull_dave", "Dave \"/dev/null\""),
    author(44_196_397, "pepe_cocina", "Pepe Cocina"),
    author(1_311_877_266_404_556_801, "hana0512", "はな"),
    author(6_253_282, "statusbot", "Status <bot>"),
    author(3_344_112_908, "oma_gerda", "Oma Gerda"),
    author(917_220_145, "lucasdev", "Lucas"),
    author(1_455_020_118_226_911_239, "nightowl_77", "night owl 🦉"),
    author(20_536_157, "elodie_b", "Élodie"),
    author(552_310_988, "k_novak", "Kateřina Nováková"),
    author(1_602_229_871_553_445_888, "minjun_k", "민준"),
    author(70_221_330, "ravi_s", "रवि"),
    author(381_289_719, "ariadne_p", "Αριάδνη"),
    author(2_911_002_761, "olena_t", "Олена"),
    author(5_402_612, "bigbyte", "0xBIGBYTE"),
    author(1_700_100_200_300_400_500, "a_b_c_d_e_f_g15", "A"),
];

/// Language, and text with `{}` where the keyword goes.
const TEXTS: [(&str, &str); 28] = [
    ("en", "Best {} in town, and I will die on this hill"),
    ("en", "ok but why is nobody talking about {}?"),
    ("ja", "今日のお昼は {} でした。最高!"),
    (
        "en",
        "Just had {} for the third time this week 🍕🍕🍕 no regrets",
    ),
    ("es", "¿Alguien más pensando en {} a estas horas? 😂"),
    ("ar", "أفضل {} في المدينة، جربوه اليوم"),
    ("de", "Endlich Wochenende: {}, Sofa, Füße hoch."),
    ("en", "{}\n\n{}\n\nThat's the whole post."),
    (
        "fr",
        "Ce soir c'est {} à la maison, et personne ne m'en empêchera 😋",
    ),
    (
        "en",
        "My grandmother: \"{} without love is just dinner\" \\ my grandfather: *asleep*",
    ),
    ("ko", "오늘 저녁은 {} 어때요? 🤤"),
    ("pt", "Não existe amor maior que {} às sextas"),
    ("hi", "आज रात {} और पुरानी फ़िल्में"),
    (
        "en",
        "Family vote on {}: 👨‍👩‍👧‍👦 4 for, 🐈 1 abstained. 🏴󠁧󠁢󠁳󠁣󠁴󠁿 settled it",
    ),
    ("el", "Ποιος είπε {}; Έρχομαι αμέσως"),
    ("uk", "Хтось ще любить {} так само, як я?"),
    ("en", "Z̸a̷l̶g̵o̸ {} he comes"),
    ("cs", "Nejlepší {} široko daleko, příští týden jdeme zas"),
    ("en", "{} at 3am hits different\u{2028}(it really does)"),
    ("th", "วันนี้กิน {} กันไหม"),
    (
        "en",
        "unpopular opinion: cold {} & coffee for breakfast > anything else <3 &amp; no, I won't discuss it\t#food https://t.co/Ab3dE9xyZ0",
    ),
    ("he", "מי בא ל {} הערב?"),
    (
        "en",
        "@catperson you promised me {} on Tuesday. It is Wednesday.",
    ),
    ("ja", "{} を食べながら徹夜で𠮷野家の行列を眺める夜 🍜🌙"),
    ("it", "La vera {} si fa solo così, il resto è fantasia"),
    ("zh", "周末和朋友一起去吃 {},排队两小时也值得"),
    ("en", "{} {} {} {}"),
    ("en", LONG),
];

/// Over [`SHORT_POST_CHARS`], so it travels as a note.
const LONG: &str = "A thread nobody asked for, about {}. First: patience. I waited forty minutes in the rain, and the line moved \
    only when somebody gave up. Second: the crust — thin, blistered, a little too honest. 第三に、店主の笑顔。وأخيرا: لا تشارك أبدا. \
    Third: price, which I will not discuss, because my bank reads this. Fourth: the walk home, the box warm on my arm, the whole \
    street smelling of it 🍕🔥👩🏽‍🍳. So yes. {}, again, tomorrow, in the same line, in the same rain. 🧵 (1/1)";

/// Endless posts about `keyword`, the first written at `start`, each `every` later than the one before.
pub fn about(keyword: &str, start: SystemTime, every: Duration) -> impl Iterator<Item = Post> {
    let words = keyword.replace('"', "");
    (0u32..).map(move |n| {
        // The stride has no common divisor with the number of combinations, so each combination of author and text comes once before any repeats.
        let (lang, text) = TEXTS[(n as usize * 11) % TEXTS.len()];
        let created_at = start + every * n;
        Post {
            id: snowflake(created_at, n),
            author: &AUTHORS[(n as usize * 7 + n as usize / 140) % AUTHORS.len()],
            created_at,
            lang,
            text: text.replace("{}", &words),
        }
    })
}

/// An id as X makes them: milliseconds since 2010-11-04, then who made it and a number.
fn snowflake(at: SystemTime, n: u32) -> u64 {
    first_id(at) | u64::from(n & 0x3f_ffff)
}

/// The first id of that millisecond.
pub fn first_id(at: SystemTime) -> u64 {
    const EPOCH_MS: u64 = 1_288_834_974_657;
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_millis() as u64).saturating_sub(EPOCH_MS) << 22
}
