//! Intervals of cells, and how many of their records were accepted and throttled.

/// The space of hashes is cut into this many equal parts.
pub const CELLS: u8 = 64;

/// The halves of an interval differ if their shares of refusals are this many standard deviations apart.
const SIGNIFICANT: f64 = 4.5;

/// A half with fewer results is not compared.
const HANDFUL: f64 = 4.0;

/// `len` cells from `first` on. To halve or cover it, `len` must be a power of two and `first` a multiple of it.
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

    /// The interval of one cell.
    pub(super) fn of(cell: usize) -> Self {
        Self {
            first: cell as u8,
            len: 1,
        }
    }

    /// The smallest interval that covers both.
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

    /// The parts within which the results do not differ: halves that differ are split further.
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

    /// Whether the shares of refusals differ by more than chance explains (a two-proportion z-test).
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
