//! `campaign.toml`: reading and checking it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::{self, Visitor};
use toml::Spanned;
use toml::value::Datetime;

use super::{
    Aggregation, Campaign, CampaignError, Dedupe, Exam, Golden, ImageLimits, Problem, Quality,
    RoundRules, TolokaFiles, Training,
};
use crate::budget;
use crate::time::Timestamp;

/// A commented `campaign.toml` to begin with.
pub const TEMPLATE: &str = include_str!("template.toml");

const FILE: &str = "campaign.toml";
/// Toloka's least price of a page that has real tasks, in dollars.
const MIN_REWARD: Decimal = Decimal::from_parts(5, 0, 0, false, 3);

/// The file as written. Fields whose value is judged keep their place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: Option<String>,
    question: Option<String>,
    instructions: Option<String>,
    labels: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    titles: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    hints: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    fields: Vec<Spanned<String>>,
    overlap: Option<Spanned<u32>>,
    images_per_page: Option<Spanned<u32>>,
    reward_per_page: Option<Spanned<Money>>,
    minutes_per_page: Option<Spanned<f64>>,
    #[serde(default)]
    languages: Vec<Spanned<String>>,
    budget: Option<Spanned<Money>>,
    #[serde(default)]
    dedupe: Dedupe,
    golden: Option<Spanned<Golden>>,
    exam: Option<Spanned<Exam>>,
    training: Option<Spanned<Training>>,
    quality: Option<Spanned<Quality>>,
    round: Option<Spanned<RoundRules>>,
    #[serde(default)]
    aggregation: Aggregation,
    images: Option<Spanned<ImageLimits>>,
    links_since: Option<Spanned<Datetime>>,
}

/// Dollars, written as a number or as text.
#[derive(Clone, Copy, Debug)]
struct Money(Decimal);

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dollars;
        impl Visitor<'_> for Dollars {
            type Value = Money;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of dollars such as 12.50")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Money, E> {
                Ok(Money(Decimal::from(value)))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Money, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Money, E> {
                value
                    .parse()
                    .map(Money)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }
        deserializer.deserialize_any(Dollars)
    }
}

/// Collects problems with their places.
struct Checker<'a> {
    text: &'a str,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn at(&mut self, span: Option<Range<usize>>, message: impl Into<String>) {
        let place = span.map(|span| place(self.text, span.start));
        self.problems.push(Problem {
            file: FILE.to_owned(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message: message.into(),
        });
    }

    fn check(&mut self, good: bool, span: Range<usize>, message: impl Into<String>) {
        if !good {
            self.at(Some(span), message);
        }
    }
}

/// Line and column (in characters), from 1, of a byte offset.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// Reads and checks a campaign from `campaign.toml`, Toloka's files, or both.
pub(super) fn parse(
    toml: Option<&str>,
    toloka: Option<TolokaFiles>,
    fee: Decimal,
) -> Result<Campaign, CampaignError> {
    let text = toml.unwrap_or_default();
    let file: File = toml::from_str(text).map_err(|error| syntax_error(text, &error))?;
    let mut checker = Checker {
        text,
        problems: Vec::new(),
    };
    let mut campaign = match &toloka {
        Some(files) => files.campaign().map_err(|problem| CampaignError {
            problems: vec![problem],
        })?,
        None => Campaign::blank(),
    };
    if toml.is_none() && toloka.is_none() {
        checker.at(
            None,
            "the campaign's folder has neither campaign.toml nor project.json",
        );
    }
    fill_words(&mut campaign, &file, &mut checker, toloka.is_some());
    fill_work(&mut campaign, &file, &mut checker, toloka.is_some());
    fill_rules(&mut campaign, &file, &mut checker);
    fill_budget(&mut campaign, &file, &mut checker, fee);
    if let (Some(files), Some(_)) = (&toloka, campaign.budget) {
        checker.problems.extend(files.unbounded());
    }
    campaign.toloka = toloka;
    if checker.problems.is_empty() {
        Ok(campaign)
    } else {
        Err(CampaignError {
            problems: checker.problems,
        })
    }
}

/// A TOML error with its place, and the nearest name for a misspelt one.
fn syntax_error(text: &str, error: &toml::de::Error) -> CampaignError {
    let mut checker = Checker {
        text,
        problems: Vec::new(),
    };
    let mut message = error.message().trim().to_owned();
    if let Some(near) = nearest_name(&message) {
        message = format!("{message}; did you mean `{near}`?");
    }
    checker.at(error.span(), message);
    CampaignError {
        problems: checker.problems,
    }
}

/// The known name nearest to the unknown one in serde's "unknown field `x`, expected one of …".
fn nearest_name(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    names
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().div_ceil(2))
        .map(|(_, name)| name.to_owned())
}

fn fill_words(campaign: &mut Campaign, file: &File, checker: &mut Checker<'_>, has_project: bool) {
    if has_project {
        for (name, given) in [
            ("title", file.title.is_some()),
            ("question", file.question.is_some()),
            ("instructions", file.instructions.is_some()),
            ("labels", file.labels.is_some()),
            ("fields", !file.fields.is_empty()),
        ] {
            if given {
                checker.at(
                    None,
                    format!("`{name}` is defined by project.json; remove it here"),
                );
            }
        }
    } else {
        fill_labels(campaign, file, checker);
        campaign.question = file
            .question
            .clone()
            .unwrap_or_else(|| "Choose the label that fits".to_owned());
        campaign.title = file
            .title
            .clone()
            .unwrap_or_else(|| campaign.question.clone());
        campaign.instructions = file
            .instructions
            .clone()
            .unwrap_or_else(|| campaign.question.clone());
        campaign.fields = file
            .fields
            .iter()
            .map(|field| field.get_ref().clone())
            .collect();
        for field in &file.fields {
            let name = field.get_ref();
            let good = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && name != "image_id";
            checker.check(
                good,
                field.span(),
                format!("{name:?} cannot name a field: use letters, digits and '_'"),
            );
        }
    }
    for (map, name) in [(&file.titles, "titles"), (&file.hints, "hints")] {
        for key in map.keys() {
            if !campaign.labels.contains(key.get_ref()) {
                let near = nearest(key.get_ref(), &campaign.labels);
                checker.at(
                    Some(key.span()),
                    format!(
                        "[{name}] names {:?}, which is not a label{near}",
                        key.get_ref()
                    ),
                );
            }
        }
    }
    let plain = |map: &BTreeMap<Spanned<String>, String>| {
        map.iter()
            .map(|(key, value)| (key.get_ref().clone(), value.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    campaign.titles.extend(plain(&file.titles));
    campaign.hints = plain(&file.hints);
}

/// `; did you mean …?` with the nearest of `names`, or nothing.
pub(crate) fn nearest(name: &str, names: &[String]) -> String {
    names
        .iter()
        .map(|known| {
            (
                strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()),
                known,
            )
        })
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2))
        .map_or(String::new(), |(_, known)| {
            format!("; did you mean {known:?}?")
        })
}

fn fill_labels(campaign: &mut Campaign, file: &File, checker: &mut Checker<'_>) {
    let Some(labels) = &file.labels else {
        checker.at(
            None,
            "`labels` is missing: list the possible answers, e.g. labels = [\"cat\", \"dog\"]",
        );
        return;
    };
    if labels.get_ref().len() < 2 {
        checker.at(Some(labels.span()), "`labels` needs at least two labels");
    }
    for label in labels.get_ref() {
        let name = label.get_ref();
        if campaign.labels.contains(name) {
            checker.at(
                Some(label.span()),
                format!("label {name:?} is listed twice"),
            );
        }
        let good = !name.trim().is_empty()
            && name.len() <= 200
            && !name.contains('/')
            && !name.chars().any(char::is_control);
        checker.check(
            good,
            label.span(),
            format!("{name:?} cannot be a label: it also names a folder, so no '/', no control characters, at most 200 bytes"),
        );
        campaign.labels.push(name.clone());
    }
}

fn fill_work(campaign: &mut Campaign, file: &File, checker: &mut Checker<'_>, has_project: bool) {
    for (name, given) in [
        ("overlap", &file.overlap),
        ("images_per_page", &file.images_per_page),
    ] {
        if let (Some(given), true) = (given, has_project) {
            let message = format!("`{name}` is defined by pool.json; remove it here");
            checker.at(Some(given.span()), message);
        }
    }
    if let Some(overlap) = &file.overlap {
        campaign.overlap = *overlap.get_ref();
        checker.check(
            (1..=30_000).contains(overlap.get_ref()),
            overlap.span(),
            "`overlap` is how many people judge each image: 1 to 30000",
        );
    }
    if let Some(images) = &file.images_per_page {
        campaign.images_per_page = *images.get_ref();
        checker.check(
            (1..=500).contains(images.get_ref()),
            images.span(),
            "`images_per_page` must be 1 to 500",
        );
    }
    if let Some(minutes) = &file.minutes_per_page {
        let seconds = *minutes.get_ref() * 60.0;
        checker.check(
            (5.0..=864_000.0).contains(&seconds),
            minutes.span(),
            "`minutes_per_page` must be at least 5 seconds (0.084) and at most 10 days (14400)",
        );
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked just above; the cast saturates"
        )]
        let seconds = seconds as u32;
        campaign.seconds_per_page = seconds;
    }
    match &file.reward_per_page {
        Some(reward) => {
            campaign.reward_per_page = reward.get_ref().0;
            checker.check(reward.get_ref().0 >= MIN_REWARD, reward.span(), format!("`reward_per_page` must be at least {MIN_REWARD} dollars"));
        }
        None if !has_project => checker.at(None, "`reward_per_page` is missing: the dollars that a worker gets for a page, e.g. reward_per_page = 0.05"),
        None => {}
    }
    for language in &file.languages {
        let good = language.get_ref().len() == 2
            && language.get_ref().chars().all(|c| c.is_ascii_uppercase());
        checker.check(
            good,
            language.span(),
            "a language is two capital letters (ISO 639-1), e.g. \"EN\"",
        );
    }
    campaign.languages = file
        .languages
        .iter()
        .map(|language| language.get_ref().clone())
        .collect();
    if let Some(since) = &file.links_since {
        campaign.links_since = instant(*since.get_ref());
        checker.check(
            campaign.links_since.is_some(),
            since.span(),
            "`links_since` is an instant with its zone, e.g. 2026-01-05T10:30:00Z",
        );
    }
    campaign.dedupe = file.dedupe;
    campaign.aggregation = file.aggregation;
}

/// A TOML date-time as an instant; none without a zone.
fn instant(written: Datetime) -> Option<Timestamp> {
    let instant: jiff::Timestamp = written.to_string().parse().ok()?;
    Some(instant.into())
}

fn fill_rules(campaign: &mut Campaign, file: &File, checker: &mut Checker<'_>) {
    let percent = |value: f64| (0.0..=100.0).contains(&value);
    if let Some(golden) = &file.golden {
        campaign.golden = *golden.get_ref();
        checker.check(
            golden.get_ref().per_page <= 500,
            golden.span(),
            "[golden] `per_page` must be at most 500",
        );
        checker.check(
            percent(golden.get_ref().min_accuracy),
            golden.span(),
            "[golden] `min_accuracy` is a percentage: 0 to 100",
        );
    }
    if let Some(exam) = &file.exam {
        campaign.exam = *exam.get_ref();
        checker.check(
            (1..=500).contains(&exam.get_ref().tasks_per_page),
            exam.span(),
            "[exam] `tasks_per_page` must be 1 to 500",
        );
        checker.check(
            percent(exam.get_ref().passing_accuracy),
            exam.span(),
            "[exam] `passing_accuracy` is a percentage: 0 to 100",
        );
    }
    if let Some(training) = &file.training {
        campaign.training = *training.get_ref();
        checker.check(
            (1..=500).contains(&training.get_ref().tasks_per_page),
            training.span(),
            "[training] `tasks_per_page` must be 1 to 500",
        );
        checker.check(
            percent(training.get_ref().passing_accuracy),
            training.span(),
            "[training] `passing_accuracy` is a percentage: 0 to 100",
        );
        checker.check(
            training.get_ref().retry_after_days >= 1,
            training.span(),
            "[training] `retry_after_days` must be at least 1",
        );
    }
    if let Some(quality) = &file.quality {
        campaign.quality = *quality.get_ref();
    }
    if let Some(round) = &file.round {
        campaign.round = *round.get_ref();
        let rules = round.get_ref();
        checker.check(
            rules.max_images >= 1,
            round.span(),
            "[round] `max_images` must be at least 1",
        );
        checker.check(
            rules.idle_minutes >= 0.0 && rules.max_age_hours > 0.0,
            round.span(),
            "[round] `idle_minutes` must not be negative and `max_age_hours` must be above 0",
        );
    }
    if let Some(images) = &file.images {
        campaign.images = *images.get_ref();
    }
}

fn fill_budget(campaign: &mut Campaign, file: &File, checker: &mut Checker<'_>, fee: Decimal) {
    let Some(budget) = &file.budget else {
        if file.reward_per_page.is_some() {
            checker.at(None, "`budget` is missing: the most that this campaign may spend, in dollars, e.g. budget = 25");
        }
        return;
    };
    let least = budget::page_cost(campaign, fee);
    let given = budget.get_ref().0;
    checker.check(
        given >= least,
        budget.span(),
        format!(
            "`budget` of {given} dollars does not cover one page: overlap {} at {} dollars a page, fee included, is {least}",
            campaign.overlap, campaign.reward_per_page,
        ),
    );
    campaign.budget = Some(given);
}

impl Campaign {
    /// The defaults of everything that may be left out.
    pub(super) fn blank() -> Self {
        Self {
            title: String::new(),
            question: String::new(),
            instructions: String::new(),
            labels: Vec::new(),
            titles: BTreeMap::new(),
            hints: BTreeMap::new(),
            fields: Vec::new(),
            answer_field: "label".to_owned(),
            overlap: 3,
            images_per_page: 9,
            reward_per_page: Decimal::ZERO,
            seconds_per_page: 600,
            languages: Vec::new(),
            budget: None,
            dedupe: Dedupe::default(),
            golden: Golden::default(),
            exam: Exam::default(),
            training: Training::default(),
            quality: Quality::default(),
            round: RoundRules::default(),
            aggregation: Aggregation::default(),
            images: ImageLimits::default(),
            links_since: None,
            toloka: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Method;

    fn errors(text: &str) -> String {
        parse(Some(text), None, Decimal::ZERO)
            .unwrap_err()
            .to_string()
    }

    const GOOD: &str =
        "labels = [\"cat\", \"dog\"]\noverlap = 3\nreward_per_page = 0.05\nbudget = 10\n";

    #[test]
    fn the_template_is_a_valid_campaign() {
        let campaign = parse(Some(TEMPLATE), None, Decimal::ZERO).unwrap();
        assert!(campaign.labels.len() >= 2);
        assert!(campaign.budget.is_some());
    }

    #[test]
    fn a_typo_is_told_with_its_place_and_the_nearest_name() {
        let message = errors(&format!("{GOOD}ovelap = 5\n"));
        assert!(
            message.starts_with("campaign.toml:5:1: unknown field `ovelap`"),
            "{message}"
        );
        assert!(message.ends_with("did you mean `overlap`?"), "{message}");
        let message = errors(&format!("{GOOD}[golden]\nper_pge = 1\n"));
        assert!(message.contains("did you mean `per_page`?"), "{message}");
        let message = errors(&format!("{GOOD}[aggregation]\nmethod = \"dawid-skeen\"\n"));
        assert!(message.contains("did you mean `dawid-skene`?"), "{message}");
    }

    #[test]
    fn a_method_is_one_that_fits_every_campaign() {
        let method = |text: &str| {
            let campaign = parse(Some(&format!("{GOOD}{text}")), None, Decimal::ZERO);
            campaign.map(|campaign| campaign.aggregation.method)
        };
        assert_eq!(method(""), Ok(Method::HierarchicalDawidSkene));
        let template = parse(Some(TEMPLATE), None, Decimal::ZERO).unwrap();
        assert_eq!(template.aggregation, Aggregation::default());
        let listed = TEMPLATE
            .split_once("# How answers become labels")
            .unwrap()
            .1;
        let listed = listed.split_once("[images]").unwrap().0;
        let named = |text: &str| format!("[aggregation]\nmethod = \"{text}\"\n");
        // Names are in quotes, in the comment as in the setting.
        let names: Vec<&str> = listed.split('"').skip(1).step_by(2).collect();
        assert_eq!(names.len(), 10, "{names:?}");
        for name in names {
            assert_eq!(method(&named(name)).unwrap().as_str(), name);
        }
        // For two labels only.
        let message = method(&named("kos")).unwrap_err().to_string();
        assert!(message.contains("unknown variant `kos`"), "{message}");
        assert!(message.contains("`hierarchical-dawid-skene`"), "{message}");
    }

    #[test]
    fn a_stored_campaign_keeps_its_method_whatever_the_default_is() {
        let mut campaign = parse(Some(GOOD), None, Decimal::ZERO).unwrap();
        let stored = |campaign: &Campaign| serde_json::to_value(campaign).unwrap();
        let method = "/aggregation/method";
        let default = Aggregation::default().method.as_str();
        assert_eq!(stored(&campaign).pointer(method), Some(&default.into()));
        campaign.aggregation.method = Method::DawidSkene;
        let stored = stored(&campaign);
        assert_eq!(stored.pointer(method), Some(&"dawid-skene".into()));
        assert_eq!(
            serde_json::from_value::<Campaign>(stored).unwrap(),
            campaign
        );
    }

    #[test]
    fn a_label_twice_is_told_where() {
        let message = errors(&GOOD.replace("\"dog\"]", "\"dog\", \"cat\"]"));
        assert_eq!(message, "campaign.toml:1:25: label \"cat\" is listed twice");
    }

    #[test]
    fn an_overlap_of_zero_is_refused() {
        let message = errors(&GOOD.replace("overlap = 3", "overlap = 0"));
        assert!(
            message.starts_with("campaign.toml:2:11: `overlap` is how many"),
            "{message}"
        );
    }

    #[test]
    fn a_budget_below_one_page_is_refused_with_the_sum() {
        let message = errors(&GOOD.replace("budget = 10", "budget = 0.14"));
        assert!(
            message.starts_with("campaign.toml:4:10: `budget` of 0.14 dollars"),
            "{message}"
        );
        assert!(message.ends_with("fee included, is 0.15"), "{message}");
        assert!(
            parse(
                Some(&GOOD.replace("budget = 10", "budget = 0.15")),
                None,
                Decimal::ZERO
            )
            .is_ok()
        );
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let message = errors("labels = [\"cat\"]\noverlap = 0\n[hints]\nkat = \"x\"\n");
        assert_eq!(message.lines().count(), 4, "{message}");
        assert!(message.contains("did you mean \"cat\"?"), "{message}");
    }

    #[test]
    fn links_end_at_an_instant_and_not_at_a_day() {
        let since = |value: &str| {
            parse(
                Some(&format!("{GOOD}links_since = {value}\n")),
                None,
                Decimal::ZERO,
            )
        };
        let campaign = since("2026-01-01T01:00:00.5+01:00").unwrap();
        assert_eq!(campaign.links_since, Some(Timestamp(1_767_225_600_500)));
        for bad in ["2026-01-01", "2026-01-01T00:00:00", "00:00:00"] {
            let message = since(bad).unwrap_err().to_string();
            let expected = "campaign.toml:5:15: `links_since` is an instant with its zone";
            assert!(message.starts_with(expected), "{message}");
        }
        assert!(errors(&format!("{GOOD}links_since = 7\n")).starts_with("campaign.toml:5:15: "));
    }

    #[test]
    fn broken_toml_names_the_line() {
        let message = errors("labels = [\"a\", \"b\"\noverlap = 3\n");
        assert!(message.starts_with("campaign.toml:2:"), "{message}");
    }

    #[test]
    fn an_empty_folder_is_explained() {
        let error = parse(None, None, Decimal::ZERO).unwrap_err().to_string();
        assert!(
            error.contains("neither campaign.toml nor project.json"),
            "{error}"
        );
    }
}
