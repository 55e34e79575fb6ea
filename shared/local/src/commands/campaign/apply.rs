//! `quorate campaign apply`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use quorate_core::admission::{self, Place};
use quorate_core::ids::CampaignName;
use quorate_core::state::Kind;
use rust_decimal::Decimal;

use super::Fee;
use super::definition::{Definition, name_of};
use super::rehearsal::files_of;
use crate::commands::deployed::OnAws;
use crate::commands::{count, print, progress, write_whole};

/// The arguments of `quorate campaign apply`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Copy a campaign's files to the uploads of a stack",
    long_about = "Copies a campaign's files to the uploads of a local stack (`quorate up`): its definition, then \
        training, exam and control tasks, then the work. Files that are there already, with the same bytes, are left \
        alone, so it can be repeated at any time.\n\n\
        With --stack they go to the uploads bucket of a stack on AWS. The AWS profile then needs \
        cloudformation:DescribeStacks on the stack, and s3:ListBucket, GetObject and PutObject on the bucket.",
    after_help = "Examples:\n  quorate campaign apply cells\n  quorate campaign apply cells --to /srv/quorate/uploads\n  \
        quorate campaign apply cells --stack quorate --profile labels --region eu-west-1"
)]
pub(super) struct Args {
    /// The campaign's folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The uploads folder of the local stack
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "quorate-data/uploads",
        conflicts_with = "stack"
    )]
    to: PathBuf,
    #[command(flatten)]
    on_aws: OnAws,
    #[command(flatten)]
    fee: Fee,
}

/// What is to be copied.
pub(super) struct Files {
    /// The campaign.
    pub(super) name: CampaignName,
    /// Keys and the files they are for, in groups of which each has to be there before the next.
    pub(super) groups: [Vec<(String, PathBuf)>; GROUPS],
}

/// How many groups there are; see [`group`].
const GROUPS: usize = 5;

/// What was done with files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// Now.
    pub(super) new: u64,
    /// Were there already, with the same bytes.
    pub(super) same: u64,
}

/// Runs `quorate campaign apply`.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let files = Files::of(&args.folder, args.fee.share)?;
    #[cfg(feature = "aws")]
    if let Some(stack) = args.on_aws.find().await? {
        let copied = super::upload::upload(&files, &stack).await?;
        return files.tell(copied, &format!("s3://{}", stack.uploads));
    }
    let copied = files.copy(&args.to)?;
    files.tell(copied, &args.to.display().to_string())
}

impl Files {
    /// What is in a campaign's folder, if that defines a campaign.
    fn of(folder: &Path, fee: Decimal) -> anyhow::Result<Self> {
        let name = name_of(folder)?.context("choose another folder name")?;
        let definition = Definition::of_folder(folder)?;
        if let Err(error) = definition.parse(fee) {
            let shown = definition.show_all(&error.problems);
            bail!(
                "nothing was copied: {} defines no campaign yet\n\n{shown}",
                folder.display()
            );
        }
        let mut groups = [const { Vec::new() }; GROUPS];
        for (key, path) in files_of(folder, &name)? {
            match admission::place(&key) {
                Ok((_, place)) => {
                    let group = group(&place).and_then(|group| groups.get_mut(group));
                    if let Some(group) = group {
                        group.push((key, path));
                    }
                }
                Err(reason) => eprintln!("not copied: {}: {reason}", key.escape_debug()),
            }
        }
        Ok(Self { name, groups })
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.groups.iter().map(|group| group.len() as u64).sum()
    }

    /// Copies them to the uploads folder `to`.
    fn copy(&self, to: &Path) -> anyhow::Result<Copied> {
        ensure!(
            to.is_dir(),
            "{} is no folder: start the local stack with `quorate up`, or name its uploads folder with --to",
            to.display()
        );
        let bar = progress(self.count(), "copying");
        let mut copied = Copied::default();
        for (key, from) in self.groups.iter().flatten() {
            let target = to.join(key);
            if is_same(from, &target)? {
                copied.same += 1;
            } else {
                copy(from, &target)?;
                copied.new += 1;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(copied)
    }

    fn tell(&self, copied: Copied, to: &str) -> anyhow::Result<()> {
        let Copied { new, same } = copied;
        let (name, new) = (&self.name, count(new, "file"));
        print(format!(
            "{name}: {new} copied to {to}/{name}, {same} there already\n"
        ))
    }
}

/// The definition comes first, then what a pool's shape depends on, then the work. None for what is
/// not copied.
fn group(place: &Place) -> Option<usize> {
    Some(match place {
        Place::Definition => 0,
        Place::Control { kind, .. } | Place::ControlRows { kind, .. } => match kind {
            Kind::Training => 1,
            Kind::Exam => 2,
            Kind::Golden | Kind::Real => 3,
        },
        Place::Image | Place::Rows => 4,
        Place::Ignored => return None,
    })
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut source = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    write_whole(to, |target| io::copy(&mut source, target).map(|_| ()))
}

/// Whether both files are there with the same bytes.
fn is_same(one: &Path, other: &Path) -> anyhow::Result<bool> {
    let (Ok(here), Ok(there)) = (one.metadata(), other.metadata()) else {
        return Ok(false);
    };
    if here.len() != there.len() {
        return Ok(false);
    }
    same_bytes(one, other)
        .with_context(|| format!("cannot compare {} and {}", one.display(), other.display()))
}

fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let mut one = io::BufReader::new(File::open(one)?).bytes();
    let mut other = io::BufReader::new(File::open(other)?).bytes();
    loop {
        match (one.next().transpose()?, other.next().transpose()?) {
            (None, None) => return Ok(true),
            (a, b) if a != b => return Ok(false),
            _ => {}
        }
    }
}
