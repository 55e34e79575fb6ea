//! Distinct ids in order: one text for all of them, cut into pieces.

use std::fmt;
use std::ops::{Index, Range};

/// The distinct ids of the tasks, the workers or the labels, each with its index.
///
/// All of them are one text in memory, and 8 bytes each for where it is cut.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ids {
    text: String,
    /// Where each id ends in `text`.
    ends: Vec<usize>,
}

impl Ids {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The id with this index; `None` for an index that does not exist.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        self.text.get(self.range(index)?)
    }

    /// All of them, in order.
    #[must_use]
    pub fn iter(&self) -> IdsIter<'_> {
        IdsIter {
            ids: self,
            indices: 0..self.len(),
        }
    }

    /// The bytes of an id; nothing for an index that does not exist.
    pub(super) fn bytes(&self, index: u32) -> &[u8] {
        self.range(index as usize)
            .and_then(|range| self.text.as_bytes().get(range))
            .unwrap_or_default()
    }

    fn range(&self, index: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(index)?;
        let start = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or_default();
        Some(start..end)
    }

    pub(super) fn push(&mut self, id: &str) {
        self.text.push_str(id);
        self.ends.push(self.text.len());
    }

    /// The same ids in another order.
    pub(super) fn reordered(&self, order: &[u32]) -> Self {
        let mut ids = Self {
            text: String::with_capacity(self.text.len()),
            ends: Vec::with_capacity(order.len()),
        };
        for &index in order {
            ids.push(self.get(index as usize).unwrap_or_default());
        }
        ids
    }

    /// The indices, in the order of the ids: as numbers if all of them are integers, else as text.
    pub(super) fn order(&self) -> Vec<u32> {
        self.order_of_numbers()
            .unwrap_or_else(|| self.order_of_texts())
    }

    /// `None` if an id is no integer of 64 bits. Equal numbers, such as `1` and `01`, are ordered as text.
    fn order_of_numbers(&self) -> Option<Vec<u32>> {
        let mut numbers = (0..)
            .zip(self)
            .map(|(index, id)| Some((id.parse::<i64>().ok()?, index)))
            .collect::<Option<Vec<(i64, u32)>>>()?;
        numbers.sort_unstable_by(|&(one, a), &(other, b)| {
            one.cmp(&other)
                .then_with(|| self.bytes(a).cmp(self.bytes(b)))
        });
        Some(numbers.into_iter().map(|(_, index)| index).collect())
    }

    /// Sorts by eight bytes at a time, which lie side by side, unlike the texts: those are looked up once for every
    /// eight bytes that they share with another.
    fn order_of_texts(&self) -> Vec<u32> {
        let mut pieces: Vec<Piece> = (0..).zip(self).map(|(index, _)| Piece::of(index)).collect();
        // Where texts begin alike, and how many bytes of them are compared already.
        let mut alike = vec![(0..pieces.len(), 0)];
        while let Some((range, skip)) = alike.pop() {
            let mut start = range.start;
            let Some(group) = pieces.get_mut(range) else {
                continue;
            };
            for piece in &mut *group {
                piece.look_up(self, skip);
            }
            group.sort_unstable();
            for run in group.chunk_by(Piece::begin_alike) {
                if run.len() > 1 {
                    alike.push((start..start + run.len(), skip + Piece::BYTES));
                }
                start += run.len();
            }
        }
        pieces.into_iter().map(|piece| piece.index).collect()
    }
}

/// Eight bytes of an id, to sort by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    /// The first byte is the most significant; behind the end of the id they are zero.
    bytes: u64,
    /// How many of the bytes are the id's; one more if it goes on.
    len: u8,
    index: u32,
}

impl Piece {
    const BYTES: usize = size_of::<u64>();

    fn of(index: u32) -> Self {
        Self {
            bytes: 0,
            len: 0,
            index,
        }
    }

    fn look_up(&mut self, ids: &Ids, skip: usize) {
        let rest = ids.bytes(self.index).get(skip..).unwrap_or_default();
        let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut padded = [0; Self::BYTES];
            for (byte, from) in padded.iter_mut().zip(rest) {
                *byte = *from;
            }
            padded
        });
        self.bytes = u64::from_be_bytes(bytes);
        self.len = u8::try_from(rest.len().min(Self::BYTES + 1)).unwrap_or_default();
    }

    /// Whether both go on behind the same bytes.
    fn begin_alike(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.len == other.len && usize::from(self.len) > Self::BYTES
    }
}

impl Index<usize> for Ids {
    type Output = str;

    /// # Panics
    /// For an index that does not exist.
    #[expect(clippy::indexing_slicing, reason = "an index panics as a slice's does")]
    fn index(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Ids {
    type Item = &'a str;
    type IntoIter = IdsIter<'a>;

    fn into_iter(self) -> IdsIter<'a> {
        self.iter()
    }
}

/// Goes over [`Ids`] in order.
#[derive(Debug, Clone)]
pub struct IdsIter<'a> {
    ids: &'a Ids,
    indices: Range<usize>,
}

impl<'a> Iterator for IdsIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.ids.get(self.indices.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.indices.size_hint()
    }
}

impl ExactSizeIterator for IdsIter<'_> {}

#[cfg(test)]
mod tests {
    use super::Ids;

    fn sorted(texts: &[&str]) -> Vec<String> {
        let mut ids = Ids::default();
        for text in texts {
            ids.push(text);
        }
        let sorted = ids.reordered(&ids.order());
        sorted.iter().map(str::to_owned).collect()
    }

    #[test]
    fn texts_are_sorted_by_their_bytes_however_much_they_share() {
        let mut texts: Vec<String> = ["a", "a\0", "a\0\0", "b", "é", "12345678", "123456789"]
            .map(str::to_owned)
            .to_vec();
        for shared in [0, 7, 8, 9, 16, 40] {
            for number in 0..40 {
                texts.push(format!("{}{number}", "x".repeat(shared)));
                texts.push(format!("{}{}", "y".repeat(shared), "\0".repeat(number)));
            }
        }
        texts.sort();
        texts.dedup();
        let mut shuffled: Vec<&str> = texts.iter().map(String::as_str).collect();
        shuffled.reverse();
        let middle = shuffled.len() / 3;
        shuffled.rotate_left(middle);
        assert_eq!(sorted(&shuffled), texts);
    }

    #[test]
    fn integers_are_sorted_as_numbers_and_equal_ones_as_text() {
        assert_eq!(
            sorted(&["10", "1", "-3", "01", "+1", "9223372036854775807"]),
            ["-3", "+1", "01", "1", "10", "9223372036854775807"]
        );
        assert_eq!(
            sorted(&["10", "9", "9223372036854775808"]),
            ["10", "9", "9223372036854775808"]
        );
    }
}
