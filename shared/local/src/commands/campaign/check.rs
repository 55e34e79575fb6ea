//! `quorate campaign check`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use quorate_core::campaign::{Campaign, Problem};
use quorate_core::event::ProblemKind;
use quorate_core::ids::CampaignName;
use quorate_core::state::Kind;
use rust_decimal::Decimal;
use serde::Serialize;

use super::definition::{Definition, name_of};
use super::rehearsal::{Rehearsal, Rejected, rehearse};
use crate::commands::{count, dollars, print, print_json};

/// Everything that was found, as `--json` shows it.
#[derive(Default, Serialize)]
struct Findings {
    /// The campaign's name; none for a file alone.
    campaign: Option<CampaignName>,
    /// Whether nothing is wrong.
    ok: bool,
    /// What is wrong with the definition.
    problems: Vec<Problem>,
    /// Uploads that cannot become tasks.
    rejected: Vec<Rejected>,
    /// What is allowed but hardly meant.
    warnings: Vec<String>,
    /// What is in the folder.
    counts: Option<Counts>,
}

#[derive(Serialize)]
struct Counts {
    images: u64,
    same_bytes: u64,
    golden: BTreeMap<String, u64>,
    exam: BTreeMap<String, u64>,
    training: BTreeMap<String, u64>,
}

/// Checks a campaign's folder, or its definition alone; exits with 1 if anything is wrong.
pub(super) async fn run(path: &Path, fee: Decimal, json: bool) -> anyhow::Result<ExitCode> {
    let (definition, findings) = if path.is_file() {
        let definition = Definition::of_file(path)?;
        let findings = Findings::of_definition(definition.parse(fee).err());
        (definition, findings)
    } else {
        let definition = Definition::of_folder(path)?;
        let findings = check_folder(path, &definition, fee).await?;
        (definition, findings)
    };
    if json {
        print_json(&findings)?;
    } else {
        print(findings.show(&definition, path))?;
    }
    Ok(if findings.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn check_folder(
    folder: &Path,
    definition: &Definition,
    fee: Decimal,
) -> anyhow::Result<Findings> {
    let name = match name_of(folder)? {
        Ok(name) => name,
        Err(error) => {
            let mut findings = Findings::of_definition(definition.parse(fee).err());
            findings.problems.insert(
                0,
                Problem {
                    file: folder.display().to_string(),
                    line: None,
                    column: None,
                    message: format!("the folder's name names the campaign, and {error}"),
                },
            );
            findings.ok = false;
            return Ok(findings);
        }
    };
    let mut findings = Findings::of_definition(definition.parse(fee).err());
    if findings.ok {
        findings.add_uploads(rehearse(folder, &name, fee).await?);
    }
    findings.campaign = Some(name);
    Ok(findings)
}

impl Findings {
    fn of_definition(error: Option<quorate_core::campaign::CampaignError>) -> Self {
        let problems = error.map(|error| error.problems).unwrap_or_default();
        Self {
            ok: problems.is_empty(),
            problems,
            ..Self::default()
        }
    }

    fn add_uploads(&mut self, rehearsal: Rehearsal) {
        let by_label = |kind| {
            let mut labels = BTreeMap::new();
            for image in rehearsal.controls.get(&kind).into_iter().flatten() {
                *labels
                    .entry(image.known.clone().unwrap_or_default())
                    .or_default() += 1;
            }
            labels
        };
        let counts = Counts {
            images: rehearsal.images(),
            same_bytes: rehearsal.same_bytes(),
            golden: by_label(Kind::Golden),
            exam: by_label(Kind::Exam),
            training: by_label(Kind::Training),
        };
        self.warnings = warnings(&rehearsal, &counts);
        self.counts = Some(counts);
        self.rejected = rehearsal.rejected;
        self.ok = self.rejected.is_empty();
    }

    fn show(&self, definition: &Definition, path: &Path) -> String {
        let mut text = definition.show_all(&self.problems);
        for alike in self.rejected.chunk_by(are_alike) {
            text.push_str(&show_alike(alike));
        }
        for warning in &self.warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        if let Some(counts) = &self.counts {
            text.push_str(&counts.show());
        }
        let path = path.display();
        let wrong = (self.problems.len() + self.rejected.len()) as u64;
        text.push_str(&match wrong {
            0 => format!("{path}: no errors\n"),
            wrong => format!("{path}: {}\n", count(wrong, "error")),
        });
        text
    }
}

/// Whether two files are wrong for the same reason in the same folder.
fn are_alike(one: &Rejected, other: &Rejected) -> bool {
    let folder = |rejected: &Rejected| rejected.key.rsplit_once('/').map(|(at, _)| at.to_owned());
    one.reason == other.reason && folder(one) == folder(other)
}

/// A line for the first of files that are alike, and one for the rest.
fn show_alike(alike: &[Rejected]) -> String {
    let Some((Rejected { key, row, reason }, others)) = alike.split_first() else {
        return String::new();
    };
    let row = row.map(|row| format!("#{row}")).unwrap_or_default();
    // A file's name is its owner's choice: nothing in it may steer the terminal.
    let mut text = format!("error: {}{row}: {reason}\n", key.escape_debug());
    if !others.is_empty() {
        text.push_str(&format!(
            "error: ... and {} more in the same folder\n",
            count(others.len() as u64, "file")
        ));
    }
    text
}

impl Counts {
    fn show(&self) -> String {
        let mut text = format!("images    {}", self.images);
        if self.same_bytes > 0 {
            text.push_str(&format!(" ({} with the bytes of another)", self.same_bytes));
        }
        text.push('\n');
        let folders = [
            ("golden", &self.golden),
            ("exam", &self.exam),
            ("training", &self.training),
        ];
        for (folder, labels) in folders.into_iter().filter(|(_, labels)| !labels.is_empty()) {
            let sum: u64 = labels.values().sum();
            let each: Vec<String> = labels
                .iter()
                .map(|(label, number)| format!("{label} {number}"))
                .collect();
            text.push_str(&format!("{folder:<9} {sum} ({})\n", each.join(", ")));
        }
        text
    }
}

/// What is allowed but hardly meant.
fn warnings(rehearsal: &Rehearsal, counts: &Counts) -> Vec<String> {
    let campaign = &rehearsal.item.campaign;
    let mut warnings: Vec<String> = rehearsal
        .told
        .iter()
        .filter(|problem| problem.kind == ProblemKind::UploadMisnamed)
        .map(|problem| problem.message.escape_debug().to_string())
        .collect();
    warnings.extend(unused_labels(campaign, "golden", &counts.golden));
    warnings.extend(unused_labels(campaign, "exam", &counts.exam));
    warnings.extend(unused_labels(campaign, "training", &counts.training));
    if !counts.golden.is_empty() && campaign.golden.per_page == 0 {
        warnings.push(
            "golden/ has control tasks, but no page shows them: [golden] per_page is 0".to_owned(),
        );
    }
    if campaign.requires_training() && counts.training.is_empty() {
        warnings.push(
            "pool.json requires a training, but training/ has no task: nobody could be admitted"
                .to_owned(),
        );
    }
    if rehearsal.waiting.images > 0 {
        warnings.push(format!(
            "the budget of {} leaves {} waiting (they would cost {}); see `quorate campaign plan`",
            dollars(campaign.budget.unwrap_or_default()),
            count(rehearsal.waiting.images, "image"),
            dollars(rehearsal.waiting.cost),
        ));
    }
    warnings
}

/// A folder of control images that leaves a label out says nothing about answers with it.
fn unused_labels(
    campaign: &Campaign,
    folder: &str,
    found: &BTreeMap<String, u64>,
) -> Option<String> {
    let missing: Vec<&str> = campaign
        .labels
        .iter()
        .filter(|label| !found.contains_key(*label))
        .map(String::as_str)
        .collect();
    (!found.is_empty() && !missing.is_empty()).then(|| {
        format!(
            "{folder}/ has no task with the answer {}",
            missing.join(", ")
        )
    })
}
