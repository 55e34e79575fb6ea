//! The tasks in blocks, for threads to share.
//!
//! Blocks depend on the answers alone, and what they yield is put together in their order: the result is the same to
//! the last bit on one thread as on many.

use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::answers::Answers;

/// Tasks that follow each other, with their answers.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) tasks: Range<usize>,
    pub(crate) answers: Range<usize>,
}

/// Fewer answers are not worth a block of their own.
const ANSWERS: usize = 1 << 15;
/// Each block may hold tables of its own, so there are never more.
const MOST: usize = 16;

/// All tasks, in blocks of about as many answers each.
pub(crate) fn blocks(answers: &Answers) -> Vec<Block> {
    let starts = answers.starts();
    let count = (answers.len() / ANSWERS).clamp(1, MOST);
    let mut first = (0, 0);
    let mut blocks = Vec::with_capacity(count);
    for number in 1..=count {
        let wanted = answers.len() * number / count;
        let task = starts.partition_point(|&start| (start as usize) < wanted);
        let next = (
            task,
            starts.get(task).map_or(wanted, |&start| start as usize),
        );
        if next.0 > first.0 {
            blocks.push(Block {
                tasks: first.0..next.0,
                answers: first.1..next.1,
            });
        }
        first = next;
    }
    blocks
}

impl Block {
    /// For every task of the block the pairs of its answers.
    pub(crate) fn pairs_by_task<'a>(
        &self,
        answers: &'a Answers,
    ) -> impl Iterator<Item = &'a [u32]> {
        let starts = answers.starts();
        let starts = starts
            .get(self.tasks.start..=self.tasks.end)
            .unwrap_or_default();
        starts.windows(2).map(|bounds| match bounds {
            &[start, end] => answers
                .by_task()
                .get(start as usize..end as usize)
                .unwrap_or_default(),
            _ => &[],
        })
    }
}

/// Cuts a table with one element for every item of the ranges, which follow each other from 0 on.
pub(crate) fn cut<T>(
    mut table: &mut [T],
    ranges: impl Iterator<Item = Range<usize>>,
) -> Vec<&mut [T]> {
    let mut parts = Vec::new();
    for range in ranges {
        let (part, rest) = table.split_at_mut_checked(range.len()).unwrap_or_default();
        parts.push(part);
        table = rest;
    }
    parts
}

/// Does every job, on the threads of the caller's pool if there are several, and gives the outcomes in order.
pub(crate) fn each<Job: Send, Outcome: Send>(
    jobs: Vec<Job>,
    work: impl Fn(Job) -> Outcome + Send + Sync,
) -> Vec<Outcome> {
    if jobs.len() < 2 {
        jobs.into_iter().map(work).collect()
    } else {
        jobs.into_par_iter().map(work).collect()
    }
}

/// Makes a table with a row of `columns` cells for every task; `fill` gets a block and its rows.
pub(crate) fn table_of_tasks(
    blocks: &[Block],
    columns: usize,
    fill: impl Fn(&Block, &mut [f64]) + Send + Sync,
) -> Vec<f64> {
    let tasks = blocks.last().map_or(0, |block| block.tasks.end);
    let mut table = vec![0.0; tasks * columns];
    let ranges = blocks
        .iter()
        .map(|block| block.tasks.start * columns..block.tasks.end * columns);
    let rows = cut(&mut table, ranges);
    let jobs = blocks.iter().zip(rows).collect();
    each(jobs, |(block, rows): (&Block, &mut [f64])| {
        fill(block, rows)
    });
    table
}

/// Adds a row to equally many sums.
pub(crate) fn add(sums: &mut [f64], row: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWERS, MOST, blocks};
    use crate::AnswersBuilder;

    #[test]
    fn blocks_are_all_tasks_with_their_answers() {
        let mut builder = AnswersBuilder::new();
        // One task has more answers than a block should.
        for answer in 0..5 * ANSWERS {
            let task = if answer < 2 * ANSWERS { 7 } else { answer / 3 };
            builder.push(&task.to_string(), "ann", "a").unwrap();
        }
        let answers = builder.finish().unwrap();
        let blocks = blocks(&answers);
        assert!((2..=MOST).contains(&blocks.len()), "{}", blocks.len());
        let (mut task, mut answer) = (0, 0);
        for block in &blocks {
            assert_eq!((block.tasks.start, block.answers.start), (task, answer));
            let lengths: Vec<usize> = block.pairs_by_task(&answers).map(<[u32]>::len).collect();
            assert_eq!(lengths.len(), block.tasks.len());
            assert_eq!(lengths.iter().sum::<usize>(), block.answers.len());
            (task, answer) = (block.tasks.end, block.answers.end);
        }
        assert_eq!((task, answer), (answers.tasks().len(), answers.len()));
    }
}
