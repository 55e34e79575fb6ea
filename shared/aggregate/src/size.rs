//! How large tables may get: what cannot work is told before memory runs out.

use std::fmt;

/// No table has more cells: they are 32 GiB, and a method has several tables.
const MOST_CELLS: u64 = 1 << 32;
/// Nor has it more for each answer: a table that holds so little is of labels that are no labels, such as free text…
const MOST_CELLS_PER_ANSWER: u64 = 1 << 12;
/// …unless it is small anyway: 2 GiB.
const SMALL: u64 = 1 << 28;

/// A table would have too many cells: more than 2³², or more than both 2²⁸ and 2¹² for each answer, or the machine
/// does not have the memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{rows} {what} × {labels} labels are {}, too large a table: is the label column free text, or another column? Merge \
     labels that mean the same, or use a method with smaller tables, such as the majority vote",
    Bytes(.bytes)
)]
pub struct TooLarge {
    /// What there is a row of the table for.
    pub what: &'static str,
    /// How many rows it has.
    pub rows: usize,
    /// How many columns it has.
    pub labels: usize,
    /// How much memory it would take.
    pub bytes: u64,
}

/// A number of bytes, for a message.
struct Bytes<'a>(&'a u64);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} GB", self.0.div_ceil(1_000_000_000))
    }
}

/// Whether there can be tables with a row for each of so many things, which are named, and a column for each label.
pub(crate) fn check_size(
    answers: usize,
    labels: usize,
    tables: &[(&'static str, usize)],
) -> Result<(), TooLarge> {
    let most = (answers as u64)
        .saturating_mul(MOST_CELLS_PER_ANSWER)
        .clamp(SMALL, MOST_CELLS);
    for &(what, rows) in tables {
        let cells = (rows as u64).saturating_mul(labels as u64);
        if cells > most || (cells > SMALL && !can_have(cells)) {
            return Err(TooLarge {
                what,
                rows,
                labels,
                bytes: cells.saturating_mul(size_of::<f64>() as u64),
            });
        }
    }
    Ok(())
}

/// Whether the system would give memory for so many numbers.
fn can_have(cells: u64) -> bool {
    let mut table = Vec::<f64>::new();
    usize::try_from(cells).is_ok_and(|cells| table.try_reserve_exact(cells).is_ok())
}

#[cfg(test)]
mod tests {
    use super::check_size;

    #[test]
    fn what_is_too_large_depends_on_the_answers() {
        let is_too_large = |answers, labels, rows| {
            check_size(answers, labels, &[("workers", 1), ("tasks", rows)]).is_err()
        };
        // 2²⁸ cells are always fine.
        assert!(!is_too_large(1, 1 << 14, 1 << 14));
        assert!(is_too_large(1, 1 << 14, (1 << 14) + 1));
        // 2¹² for each answer.
        assert!(!is_too_large(1 << 17, 1 << 14, 1 << 15));
        assert!(is_too_large(1 << 17, 1 << 14, (1 << 15) + 1));
        // 2³² never are, however many answers.
        assert!(is_too_large(usize::MAX, 1 << 16, (1 << 16) + 1));
        assert!(is_too_large(usize::MAX, usize::MAX, usize::MAX));
    }

    #[test]
    fn the_message_says_what_is_too_large_and_what_to_do() {
        let error = check_size(1_000_000, 1_000_000, &[("tasks", 100_000)]).unwrap_err();
        assert_eq!((error.what, error.rows), ("tasks", 100_000));
        assert_eq!(error.bytes, 800_000_000_000);
        assert!(error.to_string().starts_with(
            "100000 tasks × 1000000 labels are 800 GB, too large a table: is the label column free text"
        ));
    }
}
