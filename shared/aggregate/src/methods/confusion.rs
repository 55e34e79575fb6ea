//! Expectation and maximisation with a confusion matrix for every worker.
//!
//! There is one table of pairs × classes. Expectation reads it as probabilities of answers; maximisation overwrites it,
//! worker by worker, first with the expected numbers of answers, then with the next probabilities.
//!
//! Numbers of answers are summed in one of two ways. Where the table is small beside the answers, each block of tasks
//! adds up a table of its own in the pass that finds its labels. Where it is large (many labels, or many workers), the
//! tasks of every pair are listed once (4 bytes an answer), and a second pass sums the posteriors of a pair's tasks:
//! half the traffic of memory, and no further table.
//!
//! A table that does not fit into a processor's cache comes from memory: its rows are asked for before they are needed,
//! since the processor cannot guess which are next.

use std::f64::consts::LN_2;
use std::ops::Range;

use prefetch_index::prefetch_index;

use crate::answers::{Answers, Names, Pair};
use crate::methods::blocks::{add, each};
use crate::methods::em::{
    ANSWERS_PER_BLOCK, CHUNK, LANES, Role, log_product, one_hot, power_of_two, sum, take_exponent,
    tasks_per_block,
};

/// Evaluates an expression with `$row` a zeroed row of one number a class. A row of fixed length lives in registers;
/// the common lengths get code of their own.
macro_rules! with_row {
    ($classes:expr, $row:ident => $body:expr) => {
        match $classes {
            2 => with_row!(@of [0.0; 2], $row => $body),
            3 => with_row!(@of [0.0; 3], $row => $body),
            4 => with_row!(@of [0.0; 4], $row => $body),
            5 => with_row!(@of [0.0; 5], $row => $body),
            6 => with_row!(@of [0.0; 6], $row => $body),
            7 => with_row!(@of [0.0; 7], $row => $body),
            8 => with_row!(@of [0.0; 8], $row => $body),
            classes => with_row!(@of vec![0.0; classes], $row => $body),
        }
    };
    (@of $zeros:expr, $row:ident => $body:expr) => {{
        let $row = $zeros;
        $body
    }};
}

/// A row of one number a class.
trait Row: AsMut<[f64]> + Clone {}

impl<R: AsMut<[f64]> + Clone> Row for R {}

/// How expected numbers of answers are summed.
#[derive(Debug)]
enum Sums {
    /// A table of pairs × classes for every block of tasks.
    OfBlocks(Vec<Vec<f64>>),
    /// The tasks of every pair: where each pair's start, one more than there are pairs, and the tasks.
    OfPairs { starts: Vec<usize>, tasks: Vec<u32> },
}

/// At most so many tables of their own.
const MOST_TABLES: usize = 64;
/// With fewer than so many, the pass by pairs is better.
const FEWEST_TABLES: usize = 4;
/// All of them together have at most one cell for so many answers.
const ANSWERS_PER_CELL: usize = 2;

/// What is expected, and the parameters it is expected under.
#[derive(Debug)]
pub(crate) struct Confusions<'a> {
    answers: &'a Answers,
    roles: Vec<Role>,
    sums: Sums,
    tasks_per_block: usize,
    worker_blocks: Vec<Range<usize>>,
    /// The probability of every class.
    pub(crate) priors: Vec<f64>,
    /// Pairs × classes: the probability of the pair's answer given each class.
    pub(crate) errors: Vec<f64>,
    /// Workers × classes: how many answers a worker is expected to have given on tasks of each class, with what the
    /// rule of maximisation adds to them.
    pub(crate) totals: Vec<f64>,
    /// Tasks × classes: the posterior of each class.
    pub(crate) probabilities: Vec<f64>,
    /// The expected number of tasks of each class, without unchecked tasks.
    pub(crate) class_counts: Vec<f64>,
}

/// The likelihood of a task's answers and known label: a number times a power of e. Not everybody needs its logarithm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Likelihood {
    factor: f64,
    log_scale: f64,
}

impl Likelihood {
    pub(crate) fn ln(self) -> f64 {
        self.factor.ln() + self.log_scale
    }
}

/// A block of tasks in a pass.
struct Block<'a> {
    first: usize,
    roles: &'a [Role],
    rows: &'a mut [f64],
    counts: Option<&'a mut Vec<f64>>,
}

impl<'a> Confusions<'a> {
    /// Starts from given probabilities (tasks × classes), with known labels put in their place.
    pub(crate) fn start(answers: &'a Answers, roles: Vec<Role>, probabilities: Vec<f64>) -> Self {
        let names = answers.names();
        let classes = names.labels.len();
        let cells = names.pairs.len() * classes;
        let wanted = answers.len().div_ceil(ANSWERS_PER_BLOCK);
        let affordable = answers.len() / (ANSWERS_PER_CELL * cells);
        let (blocks, sums) = if affordable >= FEWEST_TABLES {
            let blocks = wanted.min(affordable).min(MOST_TABLES);
            (blocks, Sums::OfBlocks(vec![vec![0.0; cells]; blocks]))
        } else {
            (wanted, tasks_of_pairs(answers, &roles))
        };
        let mut start = Self {
            answers,
            roles,
            sums,
            tasks_per_block: tasks_per_block(answers, blocks),
            worker_blocks: worker_blocks(names),
            priors: vec![0.0; classes],
            errors: vec![0.0; cells],
            totals: vec![0.0; names.workers.len() * classes],
            probabilities,
            class_counts: vec![0.0; classes],
        };
        with_row!(classes, zeros => start.pass(zeros, |_, role, row, _| {
            if let Role::Known(label) = role {
                one_hot(row, label);
            }
            0.0
        }));
        start
    }

    /// Finds every task's posterior under the parameters. Gives the sum over all tasks but unchecked ones of `gain`,
    /// which takes the posterior and the likelihood.
    pub(crate) fn expect(&mut self, gain: impl Fn(&[f64], Likelihood) -> f64 + Send + Sync) -> f64 {
        let (errors, priors) = (
            std::mem::take(&mut self.errors),
            std::mem::take(&mut self.priors),
        );
        let gain = with_row!(priors.len(), zeros => self.pass(zeros, |[own, next], role, row, exponents| {
            fetch_rows(&errors, next, row.len());
            let likelihood = judge(own, role, row, &priors, &errors, exponents);
            gain(row, likelihood)
        }));
        (self.errors, self.priors) = (errors, priors);
        gain
    }

    /// One pass over the tasks: `judge` gets a task's pairs, and of a large table others that are needed soon; it sets
    /// the task's row and gives what is summed; then the row is counted.
    fn pass<R: Row + Send + Sync>(
        &mut self,
        zeros: R,
        judge: impl Fn([&[u32]; 2], Role, &mut [f64], &mut [i32]) -> f64 + Send + Sync,
    ) -> f64 {
        let classes = self.class_counts.len();
        let rows = self
            .probabilities
            .chunks_mut(self.tasks_per_block * classes);
        let roles = self.roles.chunks(self.tasks_per_block);
        let mut tables = match &mut self.sums {
            Sums::OfBlocks(tables) => tables.as_mut_slice(),
            Sums::OfPairs { .. } => &mut [],
        }
        .iter_mut();
        let jobs = (0..)
            .step_by(self.tasks_per_block)
            .zip(rows.zip(roles))
            .map(|(first, (rows, roles))| Block {
                first,
                roles,
                rows,
                counts: tables.next(),
            })
            .collect();
        let answers = self.answers;
        let outcomes = each(jobs, |block| {
            pass_block(answers, block, zeros.clone(), &judge)
        });
        self.class_counts.fill(0.0);
        let mut gain = 0.0;
        for (of_block, mut class_counts) in outcomes {
            gain += of_block;
            add(&mut self.class_counts, class_counts.as_mut());
        }
        gain
    }

    /// Sets the rows of every worker to its expected numbers of answers, its totals to zero, and has `rule` make the
    /// next parameters of them: it takes the worker, its rows and its totals. Gives the sum of what `rule` gives.
    pub(crate) fn maximise(
        &mut self,
        rule: impl Fn(usize, &mut [f64], &mut [f64]) -> f64 + Send + Sync,
    ) -> f64 {
        let names = self.answers.names();
        let classes = names.labels.len();
        let mut errors = self.errors.as_mut_slice();
        let mut totals = self.totals.as_mut_slice();
        let mut jobs = Vec::with_capacity(self.worker_blocks.len());
        for workers in &self.worker_blocks {
            jobs.push((
                workers.clone(),
                take_front(&mut errors, pairs_of_all(names, workers).len() * classes),
                take_front(&mut totals, workers.len() * classes),
            ));
        }
        let (sums, probabilities) = (&self.sums, self.probabilities.as_slice());
        each(jobs, |(workers, errors, totals)| {
            let pairs = pairs_of_all(names, &workers);
            with_row!(classes, zeros => sums.gather(zeros, pairs, probabilities, errors));
            totals.fill(0.0);
            let mut errors = errors;
            let mut gain = 0.0;
            for (worker, totals) in workers.zip(totals.chunks_exact_mut(classes)) {
                let rows = take_front(&mut errors, names.pairs_of(worker).len() * classes);
                gain += rule(worker, rows, totals);
            }
            gain
        })
        .into_iter()
        .sum()
    }
}

impl Sums {
    /// Sets `counts` to the expected numbers of answers of a range of pairs.
    fn gather(
        &self,
        zeros: impl Row,
        pairs: Range<usize>,
        probabilities: &[f64],
        counts: &mut [f64],
    ) {
        let mut zeros = zeros;
        let zeros = zeros.as_mut();
        let classes = zeros.len();
        match self {
            Self::OfBlocks(tables) => {
                counts.fill(0.0);
                for table in tables {
                    let own = table.get(pairs.start * classes..pairs.end * classes);
                    add(counts, own.unwrap_or_default());
                }
            }
            Self::OfPairs { starts, tasks } => {
                let starts = starts.get(pairs.start..=pairs.end).unwrap_or_default();
                for (&bounds, row) in starts.array_windows().zip(counts.chunks_exact_mut(classes)) {
                    let [own, next] = own_and_next(tasks, bounds);
                    fetch_rows(probabilities, next, classes);
                    zeros.fill(0.0);
                    fold_rows(zeros, probabilities, own, |sum, value| *sum += value);
                    row.copy_from_slice(zeros);
                }
            }
        }
    }
}

/// A table with more cells does not stay in the cache of a processor.
const LARGE: usize = 1 << 16;
/// How many indices before they are needed their rows are asked for.
const AHEAD: usize = 10;

/// The indices between two bounds, and as many that are needed soon.
fn own_and_next(indices: &[u32], [start, end]: [usize; 2]) -> [&[u32]; 2] {
    let next = indices.get(start + AHEAD..(end + AHEAD).min(indices.len()));
    [indices.get(start..end), next].map(Option::unwrap_or_default)
}

/// Asks for rows of a table, so that they are there when they are needed.
fn fetch_rows(table: &[f64], indices: &[u32], classes: usize) {
    // Numbers in a line of the cache.
    const LINE: usize = 8;
    for &index in indices {
        let start = index as usize * classes;
        for place in (start..start + classes).step_by(LINE) {
            prefetch_index(table, place);
        }
    }
}

fn pass_block<R: Row>(
    answers: &Answers,
    block: Block<'_>,
    zeros: R,
    judge: impl Fn([&[u32]; 2], Role, &mut [f64], &mut [i32]) -> f64,
) -> (f64, R) {
    let (mut row, mut class_counts) = (zeros.clone(), zeros);
    let mut gain = 0.0;
    {
        let (row, class_counts) = (row.as_mut(), class_counts.as_mut());
        let mut exponents = vec![0; row.len()];
        let mut counts = block.counts;
        if let Some(counts) = &mut counts {
            counts.fill(0.0);
        }
        let large = answers.names().pairs.len() * row.len() > LARGE;
        let bounds = answers.starts().array_windows().skip(block.first);
        let tasks = bounds.zip(block.roles);
        for ((bounds, &role), place) in tasks.zip(block.rows.chunks_exact_mut(row.len())) {
            row.copy_from_slice(place);
            let [own, mut next] =
                own_and_next(answers.by_task(), bounds.map(|bound| bound as usize));
            if !large {
                next = &[];
            }
            if let Some(counts) = &counts {
                fetch_rows(counts, next, row.len());
            }
            let of_task = judge([own, next], role, row, &mut exponents);
            place.copy_from_slice(row);
            if role == Role::Unchecked {
                continue;
            }
            gain += of_task;
            add(class_counts, row);
            if let Some(counts) = &mut counts {
                for &pair in own {
                    let start = pair as usize * row.len();
                    if let Some(sums) = counts.get_mut(start..start + row.len()) {
                        add(sums, row);
                    }
                }
            }
        }
    }
    (gain, class_counts)
}

/// Sets `row` to a task's posterior, and gives the likelihood.
fn judge(
    own: &[u32],
    role: Role,
    row: &mut [f64],
    priors: &[f64],
    errors: &[f64],
    exponents: &mut [i32],
) -> Likelihood {
    if let Role::Known(label) = role {
        one_hot(row, label);
        let label = label as usize;
        let error = |&pair: &u32| errors.get(pair as usize * row.len() + label);
        let factors = priors
            .get(label)
            .into_iter()
            .chain(own.iter().filter_map(error));
        return Likelihood {
            factor: 1.0,
            log_scale: log_product(factors.copied()),
        };
    }
    row.copy_from_slice(priors);
    let log_scale = multiply_all(row, errors, own, exponents);
    let factor = sum(row);
    let scale = 1.0 / factor;
    row.iter_mut().for_each(|value| *value *= scale);
    Likelihood { factor, log_scale }
}

/// Multiplies `row` by the errors of every pair; gives the natural logarithm of the factor taken out.
fn multiply_all(row: &mut [f64], errors: &[f64], own: &[u32], exponents: &mut [i32]) -> f64 {
    if own.len() <= CHUNK {
        multiply(row, errors, own);
        return 0.0;
    }
    exponents.fill(0);
    for chunk in own.chunks(CHUNK) {
        multiply(row, errors, chunk);
        for (value, exponent) in row.iter_mut().zip(exponents.iter_mut()) {
            *exponent += take_exponent(value);
        }
    }
    let largest = exponents.iter().copied().max().unwrap_or_default();
    for (value, exponent) in row.iter_mut().zip(exponents) {
        *value *= power_of_two(*exponent - largest);
    }
    f64::from(largest) * LN_2
}

fn multiply(row: &mut [f64], errors: &[f64], own: &[u32]) {
    fold_rows(row, errors, own, |value, error| *value *= error);
}

/// Combines `row` with each of the given rows of a table, in their order.
fn fold_rows(row: &mut [f64], table: &[f64], indices: &[u32], combine: impl Fn(&mut f64, f64)) {
    let classes = row.len();
    let source = |index: u32| {
        let start = index as usize * classes;
        table.get(start..start + classes).unwrap_or_default()
    };
    let combine_all = |row: &mut [f64], source: &[f64]| {
        for (value, other) in row.iter_mut().zip(source) {
            combine(value, *other);
        }
    };
    if classes <= LANES {
        indices
            .iter()
            .for_each(|&index| combine_all(row, source(index)));
        return;
    }
    // Long rows come from memory: several at once, a few columns at a time, wait for each other less.
    for indices in indices.chunks(CHUNK) {
        let mut sources: [(&[[f64; LANES]], &[f64]); CHUNK] = Default::default();
        for (place, &index) in sources.iter_mut().zip(indices) {
            *place = source(index).as_chunks();
        }
        let sources = sources.get(..indices.len()).unwrap_or_default();
        let (columns, rest) = row.as_chunks_mut::<LANES>();
        for (column, values) in columns.iter_mut().enumerate() {
            for source in sources.iter().filter_map(|(source, _)| source.get(column)) {
                combine_all(values, source);
            }
        }
        for (_, source) in sources {
            combine_all(rest, source);
        }
    }
}

/// The tasks of every pair, without unchecked tasks.
fn tasks_of_pairs(answers: &Answers, roles: &[Role]) -> Sums {
    let counted = || {
        (0_u32..)
            .zip(answers.pairs_by_task().zip(roles))
            .filter(|&(_, (_, &role))| role != Role::Unchecked)
            .flat_map(|(task, (own, _))| own.iter().map(move |&pair| (pair as usize, task)))
    };
    let mut starts = vec![0; answers.names().pairs.len() + 1];
    for (pair, _) in counted() {
        if let Some(count) = starts.get_mut(pair + 1) {
            *count += 1;
        }
    }
    let mut total = 0;
    for start in &mut starts {
        total += *start;
        *start = total;
    }
    let mut next = starts.clone();
    let mut tasks = vec![0; total];
    for (pair, task) in counted() {
        if let Some(slot) = next.get_mut(pair) {
            if let Some(place) = tasks.get_mut(*slot) {
                *place = task;
            }
            *slot += 1;
        }
    }
    Sums::OfPairs { starts, tasks }
}

/// Workers whose rows have about so many cells are a block.
const CELLS_PER_BLOCK: usize = 1 << 12;

fn worker_blocks(names: &Names) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut block = 0..0;
    for worker in 0..names.workers.len() {
        block.end = worker + 1;
        if pairs_of_all(names, &block).len() * names.labels.len() >= CELLS_PER_BLOCK {
            blocks.push(block);
            block = worker + 1..worker + 1;
        }
    }
    if !block.is_empty() {
        blocks.push(block);
    }
    blocks
}

/// The indices of the pairs of a range of workers.
fn pairs_of_all(names: &Names, workers: &Range<usize>) -> Range<usize> {
    names.pairs_of(workers.start).start..names.pairs_of(workers.end).start
}

/// Splits the first `count` elements off.
fn take_front<'a, T>(rest: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    rest.split_off_mut(..count).unwrap_or_default()
}

/// Each pair of a worker with its row of a pairs × classes table.
pub(crate) fn rows<'a>(
    names: &'a Names,
    table: &'a [f64],
    worker: usize,
) -> impl Iterator<Item = (&'a Pair, &'a [f64])> {
    let classes = names.labels.len();
    let pairs = names.pairs_of(worker);
    let own = table
        .get(pairs.start * classes..pairs.end * classes)
        .unwrap_or_default();
    names
        .pairs
        .get(pairs)
        .unwrap_or_default()
        .iter()
        .zip(own.chunks_exact(classes))
}

#[cfg(test)]
mod tests {
    use super::multiply_all;

    /// 200 strong answers for one class, then as many for the other: plain products would lose both.
    #[test]
    fn a_long_tug_of_war_ends_in_a_tie() {
        let errors = [1e-10, 0.5, 0.5, 1e-10];
        let mut own = vec![0; 200];
        own.extend([1; 200]);
        let mut row = [0.5, 0.5];
        let log_scale = multiply_all(&mut row, &errors, &own, &mut [0, 0]);
        assert!((row[0] / row[1] - 1.0).abs() < 1e-12);
        let expected = 0.5_f64.ln() + 200.0 * (1e-10_f64.ln() + 0.5_f64.ln());
        assert!((row[0].ln() + log_scale - expected).abs() < 1e-7);
    }
}
