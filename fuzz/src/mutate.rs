//! Inputs for those who have no fuzzer at hand: the kept corpus, and what a seeded generator makes of it. No coverage guides it, so it
//! finds less than `cargo fuzz`, and the same each time.

use std::fs;
use std::path::Path;

/// Runs `target` with each file of the folders in turn, and with `runs` mutations of them, or as many as FUZZ_RUNS says.
///
/// # Panics
///
/// A folder is not there or has no file; or as `target` does.
pub fn over(folders: &[&Path], runs: u64, mut target: impl FnMut(&[u8])) {
    let mut corpus = Vec::new();
    for folder in folders {
        let files = fs::read_dir(folder).expect("a folder of the corpus");
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.sort();
        let files = paths.iter().filter(|path| path.is_file());
        corpus.extend(files.map(|path| fs::read(path).expect("a file of the corpus")));
    }
    assert!(!corpus.is_empty(), "the corpus is empty");
    corpus.iter().for_each(|input| target(input));
    let wanted = std::env::var("FUZZ_RUNS").ok();
    let runs = wanted.map_or(runs, |runs| runs.parse().expect("a number"));
    let mut random = Random(1);
    for _ in 0..runs {
        let mut input = corpus[random.below(corpus.len())].clone();
        let other = &corpus[random.below(corpus.len())];
        for _ in 0..=random.below(6) {
            random.change(&mut input, other);
        }
        target(&input);
    }
}

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A part of so many bytes.
    fn part(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let end = start + self.below((len - start + 1).min(64));
        start..end
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        const ODD: [u8; 8] = [0, 0xff, 0x7f, 0x80, b'"', b'\\', b'\n', b'{'];
        let at = self.below(input.len());
        match self.below(8) {
            0 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            1 if !input.is_empty() => input[at] = ODD[self.below(ODD.len())],
            2 => drop(input.drain(self.part(input.len()))),
            3 => {
                let part = input[self.part(input.len())].to_vec();
                input.splice(at..at, part);
            }
            4 => {
                let part = other[self.part(other.len())].to_vec();
                input.splice(at..at, part);
            }
            5 => input.truncate(at),
            6 => {
                let part = self.part(input.len());
                let byte = self.next() as u8;
                input[part].fill(byte);
            }
            _ => input.insert(at, self.next() as u8),
        }
    }
}
