//! `quorate demo`: the whole pipeline once, from files in a folder to labels and a report.
//!
//! Everything is real but time and people: the same handlers, the same HTTP between them and the
//! crowd platform, simulated workers who sign in and open the images, in a simulated
//! [day](crate::day).

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args as ClapArgs;
use include_dir::{Dir, include_dir};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use quorate_core::campaign;
use quorate_core::ids::CampaignName;
use quorate_core::state::Round;
use quorate_crowd::Clock;
use quorate_crowd::simulate::Stats;
use quorate_results::{MANIFEST, Manifest};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::day::{DAWN, Day};
use crate::stack::Config;
use crate::truth;

/// The bundled images, their truth and campaign.
static BUNDLED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/demo");

/// Marks a folder as made by the demo, so that the next one may replace it. A folder of `quorate up`
/// has no such file, and real work is never cleared.
const MARK: &str = "state/demo";

/// What `quorate demo` is told.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Your own images: a folder of them, or one laid out like a campaign (images/, golden/, rows/, …)
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// What is known of them: CSV with the header file,label
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// A campaign.toml; without it the labels of the truth file are the classes
    #[arg(long, value_name = "FILE")]
    pub campaign: Option<PathBuf>,
    /// Simulated workers
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub workers: usize,
    /// Where all chance comes from: the same seed gives the same results
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Where everything goes; a former demo there is replaced
    #[arg(long, value_name = "DIR", default_value = "quorate-demo")]
    pub out: PathBuf,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What the demo tells in the end.
#[derive(Debug, Serialize)]
struct Summary {
    images: u64,
    labelled: u64,
    rejected: u64,
    answers: u64,
    accuracy: Option<f64>,
    majority_accuracy: Option<f64>,
    #[serde(with = "rust_decimal::serde::float")]
    cost: Decimal,
    rounds: usize,
    seconds: f64,
    results: PathBuf,
    report: PathBuf,
}

/// A row of `labels.jsonl`, as far as the demo reads it.
#[derive(Debug, Deserialize)]
struct Row {
    image: String,
    label: Option<String>,
    majority_label: Option<String>,
}

/// Runs the demo.
///
/// # Errors
/// Bad arguments, and whatever keeps the pipeline from ending.
pub async fn run(args: Args) -> Result<()> {
    let started = Instant::now();
    let (name, truth) = lay_out(&args)?;
    let config = Config {
        data: args.out.clone(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        clock: Clock::manual(DAWN.parse::<Timestamp>()?),
        seed: args.seed,
        fee: Decimal::ZERO,
    };
    let mut day = Day::begin(config, args.workers, &truth).await?;
    let keys = definition_first(keys_below(&args.out.join("uploads"))?);
    let failed = day.upload(&keys).await?;
    ensure!(
        failed.is_empty(),
        "{} uploads could not be taken in; run with -v to see why",
        failed.len()
    );
    let bar = progress(args.json);
    let rounds = day
        .work(&name, |rounds, stats| show(&bar, rounds, stats))
        .await?;
    bar.finish_and_clear();
    let summary = summarise(&args.out, &name, &rounds, &truth, started)?;
    tell(&args, &summary)
}

/// Puts the demo's files into `<out>/uploads/<campaign>/`; the campaign's name and the truth.
fn lay_out(args: &Args) -> Result<(CampaignName, BTreeMap<String, String>)> {
    make_room(&args.out)?;
    let bundled = args.images.is_none();
    if bundled {
        ensure!(
            args.truth.is_none(),
            "--truth belongs to --images: the bundled images have their own"
        );
    }
    let name: CampaignName = if bundled { "blood-cells" } else { "demo" }.parse()?;
    let folder = args.out.join("uploads").join(name.as_str());
    fs::create_dir_all(&folder)?;
    let truth = match (&args.images, &args.truth) {
        (None, _) => {
            let text = BUNDLED
                .get_file("truth.csv")
                .and_then(|file| file.contents_utf8());
            extract(&BUNDLED, &folder)?;
            truth::parse(text.unwrap_or_default())?
        }
        (Some(images), file) => {
            copy_images(images, &folder)?;
            file.as_deref()
                .map(truth::read)
                .transpose()?
                .unwrap_or_default()
        }
    };
    define(args, &folder, &truth)?;
    Ok((name, truth))
}

/// Clears the output folder of a former demo; leaves anything else alone.
fn make_room(out: &Path) -> Result<()> {
    let is_empty = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    ensure!(
        !out.exists() || is_empty || out.join(MARK).is_file(),
        "{} is not empty and no former demo; name another folder with --out",
        out.display()
    );
    // The mark goes with the last part: what is cleared halfway can be cleared again.
    for part in ["uploads", "results", "state"] {
        if out.join(part).exists() {
            fs::remove_dir_all(out.join(part))
                .with_context(|| format!("cannot clear {}", out.display()))?;
        }
    }
    fs::create_dir_all(out.join("state"))
        .with_context(|| format!("cannot make {}", out.display()))?;
    fs::write(
        out.join(MARK),
        "made by quorate demo; the next demo replaces this folder\n",
    )?;
    Ok(())
}

/// Writes the bundled campaign's folders and definition.
fn extract(dir: &Dir<'_>, folder: &Path) -> Result<()> {
    for part in dir.dirs() {
        part_to(part, folder)?;
    }
    if let Some(file) = dir.get_file("campaign.toml") {
        fs::write(folder.join("campaign.toml"), file.contents())?;
    }
    Ok(())
}

fn part_to(dir: &Dir<'_>, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder.join(dir.path()))?;
    for file in dir.files() {
        fs::write(folder.join(file.path()), file.contents())?;
    }
    dir.dirs().try_for_each(|dir| part_to(dir, folder))
}

/// Copies somebody's images: a campaign's folder as it is, a folder of images into `images/`.
fn copy_images(from: &Path, folder: &Path) -> Result<()> {
    let layout = ["images", "rows", "golden", "exam", "training"];
    let is_campaign = layout.iter().any(|part| from.join(part).is_dir());
    if !is_campaign {
        return copy_tree(from, &folder.join("images"));
    }
    for part in layout.iter().filter(|part| from.join(part).is_dir()) {
        copy_tree(&from.join(part), &folder.join(part))?;
    }
    for file in campaign::FILES
        .iter()
        .filter(|file| from.join(file).is_file())
    {
        fs::copy(from.join(file), folder.join(file))?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let entries =
        fs::read_dir(from).with_context(|| format!("cannot read the folder {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// The campaign's definition: the one that is asked for, the one in the folder, or one whose
/// classes are the labels of the truth.
fn define(args: &Args, folder: &Path, truth: &BTreeMap<String, String>) -> Result<()> {
    let target = folder.join("campaign.toml");
    if let Some(file) = &args.campaign {
        fs::copy(file, &target).with_context(|| format!("cannot read {}", file.display()))?;
    }
    if campaign::FILES
        .iter()
        .any(|file| folder.join(file).is_file())
    {
        return Ok(());
    }
    let labels: std::collections::BTreeSet<&String> = truth.values().collect();
    ensure!(
        labels.len() >= 2,
        "the classes are not known: give --campaign FILE, or --truth FILE with at least two labels"
    );
    let labels: Vec<String> = labels
        .into_iter()
        .map(|label| format!("{label:?}"))
        .collect();
    let text = format!(
        "question = \"Which label fits?\"\nlabels = [{}]\noverlap = 5\nreward_per_page = 0.05\nbudget = 1000\n",
        labels.join(", ")
    );
    fs::write(target, text)?;
    Ok(())
}

/// Every file below `root`, as keys.
fn keys_below(root: &Path) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(key) = path.strip_prefix(root)?.to_str() {
                keys.push(key.to_owned());
            } else {
                bail!("{} is not named in UTF-8", path.display());
            }
        }
    }
    keys.sort();
    Ok(keys)
}

/// Uploads in the order in which a careful person makes them.
fn definition_first(mut keys: Vec<String>) -> Vec<String> {
    let rank = |key: &str| match key.split('/').nth(1) {
        Some(file) if campaign::FILES.contains(&file) => 0,
        Some("images" | "rows") => 2,
        _ => 1,
    };
    keys.sort_by_key(|key| rank(key));
    keys
}

fn progress(json: bool) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Shows where the newest round is.
fn show(bar: &ProgressBar, rounds: &[Round], stats: &Stats) {
    if let Some(round) = rounds.last() {
        let (number, state) = (round.id.number, round.state.as_str());
        let (images, answers) = (round.counts.images, stats.answers);
        bar.set_message(format!(
            "round {number} {state}: {images} images, {answers} answers"
        ));
        bar.tick();
    }
}

fn summarise(
    out: &Path,
    name: &CampaignName,
    rounds: &[Round],
    truth: &BTreeMap<String, String>,
    started: Instant,
) -> Result<Summary> {
    let results = fs::canonicalize(out.join("results").join(name.as_str()))?;
    let mut summary = Summary {
        images: 0,
        labelled: 0,
        rejected: count_files(&results.join("rejected"))?,
        answers: 0,
        accuracy: None,
        majority_accuracy: None,
        cost: Decimal::ZERO,
        rounds: rounds.len(),
        seconds: 0.0,
        report: PathBuf::new(),
        results: results.clone(),
    };
    let mut score = Score::default();
    let mut cost = Decimal::ZERO;
    for round in rounds {
        let folder = out.join("results").join(round.id.results_prefix());
        let manifest: Manifest = serde_json::from_slice(&fs::read(folder.join(MANIFEST))?)?;
        summary.answers += manifest.counts.answers;
        cost += manifest.cost;
        summary.report = fs::canonicalize(folder.join("report.html"))?;
        for line in fs::read_to_string(folder.join("labels.jsonl"))?.lines() {
            let row: Row = serde_json::from_str(line)?;
            summary.images += 1;
            summary.labelled += u64::from(row.label.is_some());
            score.count(&row, truth);
        }
    }
    summary.images += summary.rejected;
    summary.cost = cost;
    summary.accuracy = score.share(score.right);
    summary.majority_accuracy = score.share(score.majority_right);
    summary.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    Ok(summary)
}

/// How the labels compare with what is known.
#[derive(Default)]
struct Score {
    known: u32,
    right: u32,
    majority_right: u32,
}

impl Score {
    fn count(&mut self, row: &Row, truth: &BTreeMap<String, String>) {
        let name = row.image.rsplit('/').next().unwrap_or(&row.image);
        let path = row.image.splitn(3, '/').nth(2).unwrap_or(name);
        if let Some(label) = truth
            .get(&row.image)
            .or_else(|| truth.get(path))
            .or_else(|| truth.get(name))
        {
            self.known += 1;
            self.right += u32::from(row.label.as_ref() == Some(label));
            self.majority_right += u32::from(row.majority_label.as_ref() == Some(label));
        }
    }

    /// `count` as a share of the images whose truth is known, to four digits.
    fn share(&self, count: u32) -> Option<f64> {
        (self.known > 0).then(|| (f64::from(count) / f64::from(self.known) * 1e4).round() / 1e4)
    }
}

fn count_files(folder: &Path) -> Result<u64> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.count() as u64),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", folder.display())),
    }
}

#[expect(clippy::print_stdout, reason = "this is the command's result")]
fn tell(args: &Args, summary: &Summary) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string(summary)?);
        return Ok(());
    }
    let percent = |share: Option<f64>| {
        share.map_or("unknown".to_owned(), |share| {
            format!("{:.1} %", share * 100.0)
        })
    };
    println!("images            {}", summary.images);
    println!("labelled          {}", summary.labelled);
    println!("rejected          {}", summary.rejected);
    println!(
        "answers           {} from {} simulated workers",
        summary.answers, args.workers
    );
    println!(
        "accuracy          {} (majority vote: {})",
        percent(summary.accuracy),
        percent(summary.majority_accuracy)
    );
    println!(
        "cost              {:.2} dollars (of the platform on this machine)",
        summary.cost
    );
    println!("rounds            {}", summary.rounds);
    println!("time              {:.1} s", summary.seconds);
    println!("results           {}", summary.results.display());
    println!("report            {}", summary.report.display());
    Ok(())
}
