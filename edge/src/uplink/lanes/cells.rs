//! Intervals of cells, and how their records fared.

/// Into how many equal parts the space of hashes is cut.
pub const CELLS: u8 = 64;

/// The halves of an interval fare differently if their shares of refusals are apart by so many standard deviations.
const SIGNIFICANT: f64 = 4.5;

/// A half with fewer results says nothing.
const HANDFUL: f64 = 4.0;

/// `len` cells from `first` on. Where it is halved or covered, `len` is a power of two and `first` a multiple of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) first: u8,
    pub(super) len: u8,
}

impl Interval {
    pub(super) const ALL: Self = Self {
        first: 0,
        len: CELLS,
    };

    pub(super) fn range(self) -> std::ops::Range<usize> {
        usize::from(self.first)..usize::from(self.first + self.len)
    }

    /// A cell alone.
    pub(super) fn of(cell: usize) -> Self {
        Self {
            first: cell as u8,
            len: 1,
        }
    }

    /// The smallest interval that has both.
    pub(super) fn cover(mut self, other: Self) -> Self {
        while !self.covers(other) {
            self.len *= 2;
            self.first -= self.first % self.len;
        }
        self
    }

    /// Its cells, a bit each.
    pub(super) fn bits(self) -> u64 {
        (u64::MAX >> (CELLS - self.len)) << self.first
    }

    /// Each of the `stretches` that overlaps it, as a whole, and what is left of it before, between and after them.
    pub(super) fn parts(self, stretches: &[Self]) -> Vec<Self> {
        let mut parts = Vec::new();
        let end = self.first + self.len;
        let mut first = self.first;
        for stretch in stretches.iter().filter(|stretch| stretch.overlaps(self)) {
            let len = stretch.first.saturating_sub(first);
            parts.extend((len > 0).then_some(Self { first, len }));
            parts.push(*stretch);
            first = stretch.first + stretch.len;
        }
        let len = end.saturating_sub(first);
        parts.extend((len > 0).then_some(Self { first, len }));
        parts
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.first < other.first + other.len && other.first < self.first + self.len
    }

    pub(super) fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.first + other.len <= self.first + self.len
    }

    pub(super) fn sum(self, cells: &[Results]) -> Results {
        cells[self.range()].iter().sum()
    }

    pub(super) fn halves(self) -> Option<[Self; 2]> {
        let len = self.len / 2;
        let half = |first| Self { first, len };
        (len > 0).then(|| [half(self.first), half(self.first + len)])
    }

    /// The parts in which the results are of one kind: halves that fare differently are looked at one by one.
    pub(super) fn unlike_parts(self, cells: &[Results]) -> Vec<Self> {
        match self.halves() {
            Some([left, right]) if left.sum(cells).differs_from(right.sum(cells)) => {
                let mut parts = left.unlike_parts(cells);
                parts.extend(right.unlike_parts(cells));
                parts
            }
            _ => vec![self],
        }
    }
}

/// How many records were accepted, and how many throttled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Results {
    pub(super) accepted: f64,
    pub(super) refused: f64,
}

impl Results {
    pub(super) fn add(&mut self, accepted: bool) {
        if accepted {
            self.accepted += 1.0;
        } else {
            self.refused += 1.0;
        }
    }

    pub(super) fn total(self) -> f64 {
        self.accepted + self.refused
    }

    /// Whether the shares of refusals differ by more than chance explains (a test of two proportions).
    pub(super) fn differs_from(self, other: Self) -> bool {
        let (here, there) = (self.total(), other.total());
        if here < HANDFUL || there < HANDFUL {
            return false;
        }
        let share = (self.refused + other.refused) / (here + there);
        let deviation = (share * (1.0 - share) * (1.0 / here + 1.0 / there)).sqrt();
        (self.refused / here - other.refused / there).abs() > SIGNIFICANT * deviation
    }
}

impl<'a> std::iter::Sum<&'a Results> for Results {
    fn sum<I: Iterator<Item = &'a Self>>(results: I) -> Self {
        results.fold(Self::default(), |sum, next| Self {
            accepted: sum.accepted + next.accepted,
            refused: sum.refused + next.refused,
        })
    }
}
