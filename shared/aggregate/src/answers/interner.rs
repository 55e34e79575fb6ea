//! Ids to small numbers.

use std::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;

use super::AnswersError;
use super::ids::Ids;

/// Distinct ids, numbered by first appearance.
#[derive(Debug, Default)]
pub(super) struct Interner {
    ids: Ids,
    // Only ever looked up: nothing depends on the order of the hash, which is another in every run so that nobody
    // can write ids that collide.
    table: HashTable<Slot>,
    hasher: foldhash::fast::RandomState,
}

/// A number with the hash of its id, so that the table can grow without a look at the ids.
#[derive(Debug)]
struct Slot {
    hash: u32,
    number: u32,
}

/// An id that was looked up.
pub(super) enum Lookup<'a> {
    /// It has this number.
    Known(u32),
    /// It would be new.
    New { hash: u32, id: &'a str },
}

impl Interner {
    pub(super) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Looks an id up. One that is known is right, so only a new one is checked; `what` it is goes into errors.
    pub(super) fn look_up<'a>(
        &self,
        id: &'a [u8],
        what: &'static str,
    ) -> Result<Lookup<'a>, AnswersError> {
        let hash = self.hash(id);
        let same = |slot: &Slot| slot.hash == hash && self.ids.bytes(slot.number) == id;
        if let Some(slot) = self.table.find(spread(hash), same) {
            return Ok(Lookup::Known(slot.number));
        }
        match std::str::from_utf8(id) {
            Ok("") => Err(AnswersError::Empty { what }),
            Ok(id) => Ok(Lookup::New { hash, id }),
            Err(_) => Err(AnswersError::NotUtf8 { what }),
        }
    }

    /// The numbers of many ids, `None` for those to be looked up by themselves: new ones, and the very few whose hash
    /// another has, too.
    ///
    /// A lookup waits for memory at the table, then at the id. Here the waits of all are at the same time.
    pub(super) fn look_up_all<'a>(
        &self,
        ids: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Vec<Option<u32>> {
        let with_same_hash = |id| {
            let hash = self.hash(id);
            let slot = self.table.find(spread(hash), |slot| slot.hash == hash);
            slot.map(|slot| slot.number)
        };
        let mut numbers: Vec<Option<u32>> = ids.clone().map(with_same_hash).collect();
        for (number, id) in numbers.iter_mut().zip(ids) {
            *number = number.filter(|&number| self.ids.bytes(number) == id);
        }
        numbers
    }

    /// The number of what was just looked up; a new id gets one.
    pub(super) fn number(
        &mut self,
        found: Lookup<'_>,
        what: &'static str,
    ) -> Result<u32, AnswersError> {
        let (hash, id) = match found {
            Lookup::Known(number) => return Ok(number),
            Lookup::New { hash, id } => (hash, id),
        };
        let number = u32::try_from(self.ids.len()).map_err(|_| AnswersError::TooMany { what })?;
        self.ids.push(id);
        self.table
            .insert_unique(spread(hash), Slot { hash, number }, |slot| {
                spread(slot.hash)
            });
        Ok(number)
    }

    fn hash(&self, id: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(id);
        u32::try_from(hasher.finish() >> u32::BITS).unwrap_or_default()
    }

    /// The ids in order, and for every number the position of its id in that order.
    pub(super) fn sorted(self) -> (Ids, Vec<u32>) {
        drop(self.table);
        let order = self.ids.order();
        (
            self.ids.reordered(&order),
            ranks(order.iter().copied(), order.len()),
        )
    }
}

/// The table takes the place from the low bits, and compares the high ones first.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << u32::BITS | u64::from(hash)
}

/// Turns "which number is at each position" into "at which position is each number".
pub(super) fn ranks(numbers: impl Iterator<Item = u32>, len: usize) -> Vec<u32> {
    let mut ranks = vec![0; len];
    for (position, number) in (0..).zip(numbers) {
        if let Some(rank) = ranks.get_mut(number as usize) {
            *rank = position;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::Interner;

    /// So many that some of the others have the hash of one that is known, whatever the key of the hash is.
    #[test]
    fn ids_are_told_apart_even_if_their_hashes_are_equal() {
        let ids: Vec<String> = (0..500_000).map(|id| id.to_string()).collect();
        let (known, others) = ids.split_at(100_000);
        let mut interner = Interner::default();
        let mut number = |id: &String| {
            let found = interner.look_up(id.as_bytes(), "task").unwrap();
            interner.number(found, "task").unwrap()
        };
        assert!(
            (0..)
                .zip(known)
                .all(|(expected, id)| number(id) == expected)
        );
        assert!(
            (0..)
                .zip(known)
                .all(|(expected, id)| number(id) == expected)
        );
        let look_up = |ids: &[String]| interner.look_up_all(ids.iter().map(String::as_bytes));
        let right = |(expected, number): (u32, Option<u32>)| number.is_none_or(|n| n == expected);
        assert!((0..).zip(look_up(known)).all(right));
        assert!(look_up(others).iter().all(Option::is_none));
        let found = look_up(known).iter().flatten().count();
        assert!(found > 99_900, "{found}");
    }
}
