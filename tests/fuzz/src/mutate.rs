//! Changing inputs.

use crate::random::Random;

/// Bytes that are often special: ends, separators, limits.
const SPECIAL: &[u8] = b"\0\x01\t\n\x0b\x0c\r\x1f !\"#%&'()*+,-./09:;<=>?@AFZ[\\]^_`afz{|}~\x7f\x80\xc3\xff";

/// Most changes that are made to an input at once.
const CHANGES_MAX: usize = 6;

/// A new input out of known ones, at most so many bytes long.
pub(super) fn change(pool: &[Vec<u8>], tokens: &[&str], random: &mut Random, bytes_max: usize) -> Vec<u8> {
    let mut input = random.pick(pool).clone();
    for _ in 0..=random.below(CHANGES_MAX) {
        change_once(&mut input, pool, tokens, random);
    }
    input.truncate(bytes_max);
    input
}

fn change_once(input: &mut Vec<u8>, pool: &[Vec<u8>], tokens: &[&str], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let length = random.below((input.len() - at).min(64) + 1);
    match random.below(10) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = *random.pick(SPECIAL);
            }
        }
        2 => input.insert(at, *random.pick(SPECIAL)),
        3 => input.insert(at, random.number() as u8),
        4 => drop(input.drain(at..at + length)),
        5 => {
            let copy = input[at..at + length].to_vec();
            let to = random.below(input.len() + 1);
            input.splice(to..to, copy);
        }
        6 => {
            // Some of another input.
            let other = random.pick(pool);
            let from = random.below(other.len() + 1);
            let taken = random.below((other.len() - from).min(256) + 1);
            input.splice(at..at + length, other[from..from + taken].iter().copied());
        }
        7 if input.len() > 1 => {
            let (first, second) = (random.below(input.len()), random.below(input.len()));
            input.swap(first, second);
        }
        _ if !tokens.is_empty() => {
            let replaced = if random.once_in(2) { length } else { 0 };
            let token = random.pick(tokens).as_bytes();
            input.splice(at..at + replaced, token.iter().copied());
        }
        _ => input.insert(at, *random.pick(SPECIAL)),
    }
}
