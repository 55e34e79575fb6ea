//! Which answer the platform itself takes for right, and how sure it is.
//!
//! A worker's skill is the chance that the worker is right; who is wrong gives any other answer with
//! the same chance. So with `n` possible answers, all equally likely before anybody was asked, the
//! probability of an answer is the product over all votes of `q` (it is the vote) or
//! `(1 - q) / (n - 1)` (it is another one), divided by the sum over all answers. Baseline solutions
//! are votes whose weight is such a chance.
//! (<https://toloka.ai/docs/guide/dynamic-overlap/>)
//!
//! Dynamic overlap asks more workers until that is sure enough; aggregation by skill tells it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use quorate_toloka::types::{
    BaselineSolution, Decimal, Event, EventType, FieldName, TaskSpec, Values,
};
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use crate::{
    error::Result,
    model::{PoolRow, TaskRow, from_column, money},
    simulate::number_of_choices,
    store::{Db, Tx},
    webhooks,
    work::canonical,
};

/// No worker is more certain to be right, or wrong, than this: one vote never decides for ever.
const SUREST: f64 = 0.99;

/// One answer of a worker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vote {
    /// The answer as JSON text with sorted keys, the fields in question only.
    pub(crate) answer: String,
    /// The chance that it is right.
    pub(crate) trust: f64,
}

/// The most probable answer and its probability, given how many different ones are possible; `None`
/// without votes. Of equally probable ones the first in the order of their texts.
pub(crate) fn decide(votes: &[Vote], possible: usize) -> Option<(String, f64)> {
    let given: BTreeSet<&str> = votes.iter().map(|vote| vote.answer.as_str()).collect();
    let possible = possible.max(given.len()).max(2);
    let log_of = |answer: Option<&str>| -> f64 {
        let log = |vote: &Vote| {
            let trust = vote.trust.clamp(1.0 - SUREST, SUREST);
            if answer == Some(&vote.answer) {
                trust.ln()
            } else {
                ((1.0 - trust) / (possible - 1) as f64).ln()
            }
        };
        votes.iter().map(log).sum()
    };
    let logs: Vec<(&str, f64)> = given
        .iter()
        .map(|answer| (*answer, log_of(Some(answer))))
        .collect();
    let (best, highest) = logs
        .iter()
        .copied()
        .reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    // Relative to the highest, so that many votes do not underflow.
    let given_mass: f64 = logs.iter().map(|(_, log)| (log - highest).exp()).sum();
    let rest = (possible - given.len()) as f64 * (log_of(None) - highest).exp();
    Some((best.to_owned(), 1.0 / (given_mass + rest)))
}

/// How an aggregation weighs and compares answers.
pub(crate) struct Scale<'a> {
    db: &'a Db<'a>,
    fields: Vec<String>,
    /// How many different answers there can be, if the project says.
    possible: Option<usize>,
    skill: i64,
    /// The chance that a worker is right, of those who were asked for so far.
    trust: RefCell<BTreeMap<i64, f64>>,
}

impl<'a> Scale<'a> {
    /// Reads what an aggregation needs. A field that is not named is not compared; without any, all are.
    pub(crate) fn read(
        db: &'a Db<'a>,
        spec: &TaskSpec,
        fields: &[FieldName],
        skill: Option<&str>,
    ) -> Self {
        let mut names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        if names.is_empty() {
            names.extend(spec.output_spec.keys().cloned());
        }
        let choices = |name: &String| number_of_choices(spec, name);
        let possible = names
            .iter()
            .map(choices)
            .try_fold(1_usize, |product, count| product.checked_mul(count?));
        Self {
            db,
            fields: names,
            possible,
            skill: skill.and_then(|id| id.parse().ok()).unwrap_or(0),
            trust: RefCell::default(),
        }
    }

    /// The fields in question of an answer, as comparable text.
    pub(crate) fn text(&self, answer: &Values) -> Result<String> {
        let chosen = |name: &&String| answer.contains_key(*name);
        let values = |name: &String| Some((name.clone(), answer.get(name)?.clone()));
        canonical(
            &self
                .fields
                .iter()
                .filter(chosen)
                .filter_map(values)
                .collect(),
        )
    }

    /// The vote of a worker.
    pub(crate) fn vote(&self, worker: i64, answer: &Values) -> Result<Vote> {
        Ok(Vote {
            answer: self.text(answer)?,
            trust: self.trust(worker)?,
        })
    }

    /// The chance that a worker is right. Nothing is known about one without the skill.
    fn trust(&self, worker: i64) -> Result<f64> {
        if let Some(known) = self.trust.borrow().get(&worker) {
            return Ok(*known);
        }
        let value = self.db.row(
            "SELECT value FROM user_skills
             WHERE skill = ?1 AND user = (SELECT id FROM workers WHERE n = ?2)",
            (self.skill, worker),
            |row| money(row.get_ref(0)?.as_str()?),
        )?;
        let trust = value.map_or(0.5, |value| value.to_f64().unwrap_or(0.0) / 100.0);
        self.trust.borrow_mut().insert(worker, trust);
        Ok(trust)
    }

    /// The most probable answer to a task with this baseline.
    pub(crate) fn decide(
        &self,
        baseline: &[BaselineSolution],
        mut votes: Vec<Vote>,
    ) -> Result<Option<(String, f64)>> {
        for baseline in baseline {
            let weight = baseline
                .confidence_weight
                .and_then(|weight| weight.to_f64());
            votes.push(Vote {
                answer: self.text(&baseline.output_values)?,
                trust: weight.unwrap_or(1.0),
            });
        }
        let different: BTreeSet<&str> = votes.iter().map(|vote| vote.answer.as_str()).collect();
        // A free text can always be yet another one.
        let possible = self.possible.unwrap_or(different.len() + 1);
        Ok(decide(&votes, possible))
    }
}

/// The answers to one task that count: id of the assignment, row of the worker, values.
pub(crate) fn answers_to(db: &Db<'_>, task: i64) -> Result<Vec<(String, i64, Values)>> {
    db.rows(
        "SELECT s.id, s.worker, a.answer FROM answers a JOIN assignments s ON s.n = a.assignment
         WHERE a.task = ?1 AND s.status IN ('SUBMITTED', 'ACCEPTED') ORDER BY s.ended",
        [task],
        |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                from_column(row.get_ref(2)?.as_str()?)?,
            ))
        },
    )
}

/// The real tasks of a page that have all their answers now, with their overlap. (The page holds
/// them as they were before.)
fn complete_tasks<'a>(db: &Db<'_>, page: &'a [TaskRow]) -> Result<Vec<(&'a TaskRow, i64)>> {
    let mut complete = Vec::new();
    for task in page {
        let overlap = db.row(
            "SELECT overlap FROM tasks WHERE n = ?1 AND kind = 0 AND suite IS NULL AND done >= overlap",
            [task.n],
            |row| row.get(0),
        )?;
        complete.extend(overlap.map(|overlap| (task, overlap)));
    }
    Ok(complete)
}

/// After answers to real tasks came in: where they are not sure enough, asks one more worker.
pub(crate) fn adapt_overlap(tx: &Tx<'_>, pool: &PoolRow, page: &[TaskRow]) -> Result<()> {
    let Some(config) = &pool.form.dynamic_overlap_config else {
        return Ok(());
    };
    let complete = complete_tasks(tx, page)?;
    if complete.is_empty() {
        return Ok(());
    }
    let enough = config
        .min_confidence
        .and_then(|least| least.to_f64())
        .unwrap_or(1.0);
    let most = i64::from(config.max_overlap.unwrap_or(1));
    let project = tx.project(pool.project)?;
    let scale = Scale::read(
        tx,
        &project.spec(),
        config.fields.as_deref().unwrap_or_default(),
        config.answer_weight_skill_id.as_deref(),
    );
    for (task, overlap) in complete {
        let answers = answers_to(tx, task.n)?;
        let votes: Result<Vec<Vote>> = answers
            .iter()
            .map(|(_, worker, values)| scale.vote(*worker, values))
            .collect();
        let baseline = task.form.baseline_solutions.as_deref().unwrap_or_default();
        let Some((answer, confidence)) = scale.decide(baseline, votes?)? else {
            continue;
        };
        if confidence < enough && overlap < most {
            tx.run(
                "UPDATE tasks SET overlap = overlap + 1 WHERE n = ?1",
                [task.n],
            )?;
        } else {
            let done = Event {
                kind: EventType::DynamicOverlapCompleted,
                task_id: Some(task.id.clone()),
                confidence: Decimal::from_f64(confidence),
                assignment_ids: Some(answers.into_iter().map(|(id, ..)| id).collect()),
                output_values: Some(serde_json::from_str(&answer)?),
                ..Event::default()
            };
            webhooks::tell(tx, pool.id, done)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(votes: &[(&str, f64)]) -> Vec<Vote> {
        let vote = |(answer, trust): &(&str, f64)| Vote {
            answer: (*answer).to_owned(),
            trust: *trust,
        };
        votes.iter().map(vote).collect()
    }

    /// Percent with one digit.
    fn percent(decided: Option<(String, f64)>) -> (String, f64) {
        let (answer, confidence) = decided.unwrap();
        (answer, (confidence * 1000.0).round() / 10.0)
    }

    #[test]
    fn the_worked_example_of_the_documentation() {
        let decided = |given: &[(&str, f64)]| percent(decide(&votes(given), 3));
        let ok = |confidence| ("OK".to_owned(), confidence);
        let bad = |confidence| ("BAD".to_owned(), confidence);
        assert_eq!(decided(&[("OK", 0.7), ("OK", 0.9)]), ok(97.7));
        assert_eq!(decided(&[("OK", 0.7), ("BAD", 0.9)]), bad(76.1));
        assert_eq!(
            decided(&[("OK", 0.7), ("BAD", 0.9), ("BAD", 0.8)]),
            bad(96.2)
        );
    }

    #[test]
    fn who_is_never_wrong_can_be_outvoted_and_a_thousand_votes_are_counted() {
        let (answer, confidence) =
            decide(&votes(&[("a", 1.0), ("b", 1.0), ("b", 1.0)]), 2).unwrap();
        assert_eq!(answer, "b");
        assert!(confidence < 1.0);
        let (answer, confidence) = decide(&vec![votes(&[("a", 0.6)]).remove(0); 1_000], 5).unwrap();
        assert_eq!(answer, "a");
        assert!(confidence > 0.999 && confidence <= 1.0);
    }

    #[test]
    fn votes_that_say_nothing_leave_all_answers_equal() {
        assert_eq!(
            percent(decide(&votes(&[("b", 0.5), ("a", 0.5)]), 2)),
            ("a".to_owned(), 50.0)
        );
        assert_eq!(decide(&[], 3), None);
    }
}
