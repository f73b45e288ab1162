//! Random choices that can be made again: everything follows from a seed that failures print.

/// Names the seed of a run from outside.
pub const SEED_VARIABLE: &str = "MOONGATE_SEED";

/// The seed that is used unless [`SEED_VARIABLE`] holds another: tests do the same every time.
const SEED: u64 = 0x6d6f_6f6e_6761_7465;

/// A sequence of numbers that a seed decides (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
#[derive(Clone, Debug)]
pub struct Random(u64);

/// The seed of this run.
///
/// # Panics
///
/// When the environment holds something that is no number.
pub fn seed() -> u64 {
    match std::env::var(SEED_VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{SEED_VARIABLE}={text}: {error}")),
        Err(_) => SEED,
    }
}

impl Random {
    /// The sequence of a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of the `number`th case of a run: cases do not depend on each other's order.
    pub fn of_case(seed: u64, number: u64) -> Self {
        let mut random = Self(seed ^ number.wrapping_mul(0xd129_42f0_b6ea_9f25));
        random.number();
        random
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end.max(1) as u64) as usize
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        assert!(!choices.is_empty(), "nothing to choose from");
        &choices[self.below(choices.len())]
    }

    /// Any bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    /// Characters out of a set of ASCII ones.
    pub fn text(&mut self, set: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(*self.pick(set))).collect()
    }

    /// A length: mostly small, sometimes around a power of two, now and then up to the largest.
    pub fn length(&mut self, largest: usize) -> usize {
        let length = match self.below(8) {
            0 => 0,
            1..=4 => self.below(200),
            5 => self.below(5_000),
            6 => (1_usize << self.below(18)) + self.below(3) - 1,
            _ => self.below(largest + 1),
        };
        length.min(largest)
    }
}
