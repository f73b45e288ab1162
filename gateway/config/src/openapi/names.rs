//! Names that must differ from one another.

use std::collections::{HashMap, HashSet};

/// The names given out so far.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// The number to try next, by name: keeps 10,000 equal wishes from trying the same numbers again.
    next: HashMap<String, u32>,
}

impl Names {
    /// The name that is wished for, or the first of `name-2`, `name-3`, ... that is free.
    pub(super) fn claim(&mut self, wish: &str) -> String {
        if self.taken.insert(wish.to_owned()) {
            return wish.to_owned();
        }
        let number = self.next.entry(wish.to_owned()).or_insert(2);
        loop {
            let name = format!("{wish}-{number}");
            *number += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_wishes_get_numbers() {
        let mut names = Names::default();
        let given: Vec<String> = ["a", "a-3", "a", "a", "b"].iter().map(|wish| names.claim(wish)).collect();
        assert_eq!(given, ["a", "a-3", "a-2", "a-4", "b"]);
    }
}
