//! Counting: pages of answers in, decisions, costs and workers out. Pure.
//!
//! Answers are kept by [`AnswersBuilder`], whose ids are interned and sorted, so that neither
//! memory nor the outcome depends on how pages arrive.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, AnswersError, Gold, StopReason, majority_vote,
};
use quorate_core::campaign::{Campaign, Method};
use quorate_core::ports::{Assignment, Ban, TaskAnswer};
use quorate_core::state::{Image, Outcome};
use quorate_core::{ImageId, RoundId};
use rust_decimal::Decimal;

use crate::answers_csv::{AnswerLine, AnswersCsv, instant};
use crate::error::Error;
use crate::members::{Member, Members};
use crate::method::{aggregate, parameters};
use crate::money::{dollars, page_micros, split};
use crate::results::{Decision, Golden, ImageResult, Model, RoundResults, WorkerResult};

/// What a round was worked under.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The round.
    pub round: RoundId,
    /// The campaign as it was when the round's pool was made.
    pub campaign: Campaign,
    /// Why the pool closed.
    pub close_reason: String,
    /// The share that the platform adds to rewards.
    pub fee: Decimal,
}

/// Where a task belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// `images[i]`.
    Image(usize),
    /// `golden[i]`.
    Golden(usize),
}

/// What an answer is good for.
enum Use<'a> {
    /// It may vote on `images[i]`.
    Vote(usize),
    /// It measures the worker: the control task's name and known answer.
    Control(String, &'a str),
    /// Nothing: the task is not this round's.
    None,
}

/// Counts the pages of one round.
#[derive(Debug)]
pub struct Tally {
    setting: Setting,
    images: Vec<Member>,
    golden: Vec<Member>,
    aliases: Vec<Image>,
    earlier: BTreeMap<ImageId, Decision>,
    by_image: HashMap<ImageId, Slot>,
    by_task: HashMap<String, Slot>,
    labels: BTreeMap<String, usize>,
    answers: AnswersBuilder,
    gold: Gold,
    csv: AnswersCsv,
    /// Millionths of a dollar: of each image, and of pages without any.
    costs: Vec<i64>,
    overhead: i64,
    workers: BTreeMap<String, WorkerResult>,
    bans: BTreeSet<Ban>,
    confusion: Vec<Vec<f64>>,
    counted: Counted,
    span: Option<(jiff::Timestamp, jiff::Timestamp)>,
}

#[derive(Debug, Default)]
struct Counted {
    pages: u64,
    votes: u64,
    unused: u64,
    golden: u64,
    golden_right: u64,
}

impl Tally {
    /// Begins to count.
    ///
    /// # Errors
    /// [`Error::Answers`] if one of the campaign's labels is empty.
    pub fn new(setting: Setting, members: Members) -> Result<Self, Error> {
        let Members {
            mut images,
            mut golden,
            aliases,
            earlier,
        } = members;
        images.sort_by(|a, b| in_order(&a.image, &b.image));
        images.dedup_by(|a, b| a.image.id == b.image.id);
        golden.sort_by(|a, b| in_order(&a.image, &b.image));
        let mut by_image = HashMap::new();
        let mut by_task = HashMap::new();
        // Golden last: an image that is both is a control task.
        let slots = (0..).map(Slot::Image).zip(&images);
        for (slot, member) in slots.chain((0..).map(Slot::Golden).zip(&golden)) {
            by_image.insert(member.image.id, slot);
            if let Some(Outcome::Task(task)) = &member.outcome {
                by_task.insert(task.clone(), slot);
            }
        }
        let labels = &setting.campaign.labels;
        let classes = labels.len();
        Ok(Self {
            answers: AnswersBuilder::with_labels(labels)?,
            labels: labels.iter().cloned().zip(0..).collect(),
            confusion: vec![vec![0.0; classes]; classes],
            costs: vec![0; images.len()],
            csv: AnswersCsv::new()?,
            gold: Gold::new(),
            overhead: 0,
            workers: BTreeMap::new(),
            bans: BTreeSet::new(),
            counted: Counted::default(),
            span: None,
            setting,
            images,
            golden,
            aliases,
            earlier,
            by_image,
            by_task,
        })
    }

    /// Counts a page; the same page again counts nothing.
    ///
    /// # Errors
    /// [`Error::Answers`] if there are more answers than can be counted.
    pub fn add(&mut self, page: &Assignment) -> Result<(), Error> {
        if self.csv.has(&page.id) {
            return Ok(());
        }
        self.counted.pages += 1;
        self.stretch_span(page);
        let mut worker = self
            .workers
            .remove(&page.worker)
            .unwrap_or_else(|| WorkerResult {
                worker: page.worker.clone(),
                ..WorkerResult::default()
            });
        worker.pages += 1;
        let mut on_page = Vec::new();
        for answer in &page.answers {
            match self.use_of(answer) {
                Use::Vote(image) => {
                    on_page.push(image);
                    self.vote(image, answer, &mut worker)?;
                }
                Use::Control(task, known) => {
                    let known = known.to_owned();
                    self.control(task, &known, answer, &mut worker)?;
                }
                Use::None => self.counted.unused += 1,
            }
        }
        if page.status == "ACCEPTED" {
            worker.earned += page.reward;
            self.pay(page_micros(page.reward, self.setting.fee), &on_page);
        }
        self.workers.insert(page.worker.clone(), worker);
        self.write(page)
    }

    /// Notes a ban; it shows if the worker sent in a page.
    pub fn ban(&mut self, ban: Ban) {
        self.bans.insert(ban);
    }

    fn slot_of(&self, answer: &TaskAnswer) -> Option<Slot> {
        let image = answer.image.and_then(|id| self.by_image.get(&id));
        image.or_else(|| self.by_task.get(&answer.task)).copied()
    }

    fn use_of<'a>(&'a self, answer: &'a TaskAnswer) -> Use<'a> {
        let golden = match self.slot_of(answer) {
            Some(Slot::Golden(index)) => self.golden.get(index),
            Some(Slot::Image(index)) if answer.known.is_none() => return Use::Vote(index),
            _ => None,
        };
        let image = golden.map(|member| &member.image);
        let known = answer.known.as_deref();
        match (known.or_else(|| image?.known.as_deref()), image) {
            (Some(known), Some(image)) => Use::Control(format!("golden:{}", image.id), known),
            (Some(known), None) => Use::Control(format!("task:{}", answer.task), known),
            (None, _) => Use::None,
        }
    }

    /// The answer, if it is one of the campaign's labels.
    fn label_of<'a>(&self, answer: &'a TaskAnswer) -> Option<(&'a str, usize)> {
        let label = answer.label.as_deref()?;
        Some((label, *self.labels.get(label)?))
    }

    fn vote(
        &mut self,
        image: usize,
        answer: &TaskAnswer,
        worker: &mut WorkerResult,
    ) -> Result<(), Error> {
        match (self.label_of(answer), self.images.get(image)) {
            (Some((label, _)), Some(member)) => {
                let task = member.image.id.to_string();
                self.answers.push(&task, &worker.worker, label)?;
                worker.answers += 1;
                self.counted.votes += 1;
            }
            _ => self.counted.unused += 1,
        }
        Ok(())
    }

    fn control(
        &mut self,
        task: String,
        known: &str,
        answer: &TaskAnswer,
        worker: &mut WorkerResult,
    ) -> Result<(), Error> {
        let right = answer.label.as_deref() == Some(known);
        worker.golden_answers += 1;
        worker.golden_right += u32::from(right);
        self.counted.golden += 1;
        self.counted.golden_right += u64::from(right);
        let (Some((label, column)), Some(&row)) = (self.label_of(answer), self.labels.get(known))
        else {
            return Ok(());
        };
        let cell = self.confusion.get_mut(row).and_then(|r| r.get_mut(column));
        if let Some(count) = cell {
            *count += 1.0;
        }
        self.answers.push(&task, &worker.worker, label)?;
        self.gold.entry(task).or_insert_with(|| known.to_owned());
        Ok(())
    }

    /// Shares a page's cost among its images.
    fn pay(&mut self, micros: i64, images: &[usize]) {
        if images.is_empty() {
            self.overhead += micros;
        }
        for (&image, share) in images.iter().zip(split(micros, images.len())) {
            if let Some(cost) = self.costs.get_mut(image) {
                *cost += share;
            }
        }
    }

    fn stretch_span(&mut self, page: &Assignment) {
        let times = [Some(&page.created), page.submitted.as_ref()];
        for at in times.into_iter().flatten().filter_map(|text| instant(text)) {
            let (first, last) = self.span.unwrap_or((at, at));
            self.span = Some((first.min(at), last.max(at)));
        }
    }

    fn write(&mut self, page: &Assignment) -> Result<(), Error> {
        let line = |answer| self.line(answer);
        let lines: Vec<AnswerLine<'_>> = page.answers.iter().map(line).collect();
        self.csv.add(page, &lines)
    }

    fn line<'a>(&self, answer: &'a TaskAnswer) -> AnswerLine<'a> {
        let member = match self.slot_of(answer) {
            Some(Slot::Image(index)) => self.images.get(index),
            Some(Slot::Golden(index)) => self.golden.get(index),
            None => None,
        };
        AnswerLine {
            task: member.map_or_else(|| answer.task.clone(), |m| m.image.id.to_string()),
            label: answer.label.as_deref().unwrap_or_default(),
            image: member.map(|m| m.image.name()).unwrap_or_default(),
            golden: match self.use_of(answer) {
                Use::Control(_, known) => Some(known.to_owned()),
                Use::Vote(_) | Use::None => None,
            },
        }
    }

    /// Decides every image.
    ///
    /// # Errors
    /// [`Error::Answers`] or [`Error::Method`] if the answers cannot be aggregated.
    pub fn finish(mut self) -> Result<RoundResults, Error> {
        let method = self.setting.campaign.aggregation.method;
        let answers = match std::mem::take(&mut self.answers).finish() {
            Ok(answers) => Some(answers),
            Err(AnswersError::NoAnswers) => None,
            Err(error) => return Err(error.into()),
        };
        let gold = std::mem::take(&mut self.gold);
        let verdict = match &answers {
            Some(answers) => Some(Verdict::new(answers, method, gold)?),
            None => None,
        };
        let model = self.model(method, verdict.as_ref());
        self.rate_workers(verdict.as_ref());
        let cost = self.costs.iter().sum::<i64>() + self.overhead;
        self.spread_overhead();
        let images = self.decide(verdict.as_ref());
        Ok(RoundResults {
            images,
            model,
            workers: self.workers.into_values().collect(),
            golden: Golden {
                answers: self.counted.golden,
                right: self.counted.golden_right,
                confusion: self.confusion,
            },
            cost: dollars(cost),
            pages: self.counted.pages,
            answers: self.counted.votes,
            unused_answers: self.counted.unused,
            span: self.span,
            answers_csv: self.csv.finish()?,
            round: self.setting.round,
            campaign: self.setting.campaign,
            close_reason: self.setting.close_reason,
        })
    }

    /// Pages without an image of the round are paid by the images that others were paid for, or by
    /// all if there are none. Without images their cost is in the total alone.
    fn spread_overhead(&mut self) {
        let none_paid = self.costs.iter().all(|&cost| cost == 0);
        let pays = |cost: &&mut i64| none_paid || **cost > 0;
        let payers = self.costs.iter_mut().filter(pays).count();
        let shares = split(self.overhead, payers);
        for (cost, share) in self.costs.iter_mut().filter(pays).zip(shares) {
            *cost += share;
        }
    }

    fn rate_workers(&mut self, verdict: Option<&Verdict<'_>>) {
        for ban in std::mem::take(&mut self.bans) {
            if let Some(worker) = self.workers.get_mut(&ban.worker) {
                worker.bans.push(ban);
            }
        }
        let Some(verdict) = verdict else { return };
        let images = self.images.iter().map(|member| member.image.id);
        let agreed = verdict.agreed(images);
        let rated = verdict.answers.workers().iter().zip(agreed);
        for (index, (id, agreed)) in rated.enumerate() {
            let Some(worker) = self.workers.get_mut(id) else {
                continue;
            };
            worker.agreement = crate::results::share(agreed, worker.answers.into());
            worker.estimated_skill = match verdict.model {
                Some(_) => verdict.decided().worker_skills().get(index).copied(),
                None => worker.agreement,
            };
        }
    }

    fn model(&self, method: Method, verdict: Option<&Verdict<'_>>) -> Model {
        let decided = verdict.map(Verdict::decided);
        let labels = &self.setting.campaign.labels;
        let warnings = decided.map_or(&[][..], Aggregated::warnings);
        Model {
            method,
            parameters: parameters(method),
            iterations: decided.map_or(0, Aggregated::iterations),
            converged: decided
                .is_none_or(|decided| decided.stop_reason() != StopReason::IterationLimit),
            confusion: decided.and_then(|decided| mean_confusion(decided, labels)),
            calibration: decided.and_then(Aggregated::calibration),
            warnings: warnings.iter().map(ToString::to_string).collect(),
        }
    }

    /// Every image and alias with its decision, in order.
    fn decide(&mut self, verdict: Option<&Verdict<'_>>) -> Vec<ImageResult> {
        let members = std::mem::take(&mut self.images);
        let mut decided = HashMap::with_capacity(members.len());
        let mut results = Vec::with_capacity(members.len() + self.aliases.len());
        for (member, &cost) in members.into_iter().zip(&self.costs) {
            let decision = verdict
                .and_then(|verdict| verdict.on(member.image.id))
                .unwrap_or_else(|| Decision::none(self.why_none(&member)));
            decided.insert(member.image.id, results.len());
            results.push(ImageResult {
                image: member.image,
                decision,
                cost: dollars(cost),
            });
        }
        let mut aliases = std::mem::take(&mut self.aliases);
        aliases.retain(|alias| !decided.contains_key(&alias.id));
        for image in aliases {
            let original = image.same_as.and_then(|id| decided.get(&id).copied());
            let here = original.and_then(|index: usize| results.get(index));
            let decision = match here {
                Some(original) => taken_over(&original.decision, &original.image.name()),
                None => self.earlier_decision(&image),
            };
            results.push(ImageResult {
                image,
                decision,
                cost: Decimal::ZERO,
            });
        }
        results.sort_by(|a, b| in_order(&a.image, &b.image));
        results.dedup_by(|a, b| a.image.id == b.image.id);
        results
    }

    fn earlier_decision(&self, alias: &Image) -> Decision {
        let Some(original) = alias.same_as else {
            return Decision::none("it has no task");
        };
        match self.earlier.get(&original) {
            Some(decision) => taken_over(decision, &format!("image {original}")),
            None => Decision::none(format!(
                "its bytes are those of image {original}, which is in no earlier round; it may \
                 wait for the campaign's budget"
            )),
        }
    }

    fn why_none(&self, member: &Member) -> String {
        match &member.outcome {
            Some(Outcome::Refused(why)) => format!("refused by the crowd: {why}"),
            Some(Outcome::Task(_)) => {
                let close = &self.setting.close_reason;
                format!("no usable answers before the pool closed ({close})")
            }
            None => "it was never sent to the crowd".to_owned(),
        }
    }
}

/// The decision of an alias whose original, called `name`, got `decision`.
fn taken_over(decision: &Decision, name: &str) -> Decision {
    match &decision.reason {
        Some(reason) => Decision::none(format!("its bytes are those of {name}: {reason}")),
        None => decision.clone(),
    }
}

/// The order of result files: key, version, row.
fn in_order(a: &Image, b: &Image) -> std::cmp::Ordering {
    let order = |image: &Image| (image.row, image.id);
    (&a.key, &a.version)
        .cmp(&(&b.key, &b.version))
        .then_with(|| order(a).cmp(&order(b)))
}

/// The answers and what methods make of them.
struct Verdict<'a> {
    answers: &'a Answers,
    majority: Aggregated,
    /// What decides; none if the majority does.
    model: Option<Aggregated>,
    index: HashMap<&'a str, usize>,
}

impl<'a> Verdict<'a> {
    fn new(answers: &'a Answers, method: Method, gold: Gold) -> Result<Self, Error> {
        Ok(Self {
            answers,
            majority: majority_vote(answers),
            model: match method {
                Method::MajorityVote => None,
                method => Some(aggregate(answers, method, gold)?),
            },
            index: answers.tasks().iter().zip(0..).collect(),
        })
    }

    fn decided(&self) -> &Aggregated {
        self.model.as_ref().unwrap_or(&self.majority)
    }

    fn task(&self, image: ImageId) -> Option<usize> {
        self.index.get(image.to_string().as_str()).copied()
    }

    /// The decision about an image; none if nobody voted.
    fn on(&self, image: ImageId) -> Option<Decision> {
        let task = self.task(image)?;
        let mut votes = BTreeMap::new();
        let mut answers = 0;
        for (_, label) in self.answers.of_task(task) {
            if let Some(label) = self.answers.labels().get(label) {
                *votes.entry(label.to_string()).or_insert(0) += 1;
                answers += 1;
            }
        }
        Some(Decision {
            label: self.decided().label(task).map(str::to_owned),
            confidence: self.decided().confidence(task),
            votes,
            answers,
            majority_label: self.majority.label(task).map(str::to_owned),
            reason: None,
        })
    }

    /// For each worker, the votes on `images` that equal the decision.
    fn agreed(&self, images: impl Iterator<Item = ImageId>) -> Vec<u64> {
        let mut agreed = vec![0; self.answers.workers().len()];
        for task in images.filter_map(|image| self.task(image)) {
            let decided = self.decided().label_index(task);
            for (worker, label) in self.answers.of_task(task) {
                if let Some(count) = agreed.get_mut(worker) {
                    *count += u64::from(Some(label) == decided);
                }
            }
        }
        agreed
    }
}

/// The workers' confusion matrices, averaged by their answers, in the order of `labels`.
fn mean_confusion(decided: &Aggregated, labels: &[String]) -> Option<Vec<Vec<f64>>> {
    let classes = decided.labels().len();
    let mut sum = vec![0.0; classes * classes];
    let mut weight = 0.0;
    for (worker, &answers) in decided.worker_answers().iter().enumerate() {
        for (cell, value) in sum.iter_mut().zip(decided.worker_confusion(worker)?) {
            *cell += f64::from(answers) * value;
        }
        weight += f64::from(answers);
    }
    let place = |label: &String| decided.labels().iter().position(|l| l == label);
    let places: Vec<usize> = labels.iter().filter_map(place).collect();
    let cell = |row: usize, column: usize| sum.get(row * classes + column).map(|v| v / weight);
    places
        .iter()
        .map(|&row| places.iter().map(|&column| cell(row, column)).collect())
        .collect()
}
