//! `quorate campaign apply`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use quorate_core::admission::{self, Place};
use quorate_core::state::Kind;
use rust_decimal::Decimal;

use super::definition::{Definition, name_of};
use super::rehearsal::files_of;
use crate::commands::{count, print, progress, write_whole};

/// Copies the files of the campaign in `folder` to the uploads folder `to`.
pub(super) fn run(folder: &Path, to: &Path, fee: Decimal) -> anyhow::Result<ExitCode> {
    let name = name_of(folder)?.context("choose another folder name")?;
    let definition = Definition::of_folder(folder)?;
    if let Err(error) = definition.parse(fee) {
        let shown = definition.show_all(&error.problems);
        bail!(
            "nothing was copied: {} defines no campaign yet\n\n{shown}",
            folder.display()
        );
    }
    ensure!(
        to.is_dir(),
        "{} is no folder: start the local stack with `quorate up`, or name its uploads folder with --to",
        to.display()
    );
    let mut files: Vec<(usize, String, PathBuf)> = Vec::new();
    for (key, path) in files_of(folder, &name)? {
        match admission::place(&key) {
            Ok((_, Place::Ignored)) => {}
            Ok((_, place)) => files.push((order(&place), key, path)),
            Err(reason) => eprintln!("not copied: {}: {reason}", key.escape_debug()),
        }
    }
    files.sort();
    let bar = progress(files.len() as u64, "copying");
    let (mut copied, mut same) = (0, 0);
    for (_, key, from) in &files {
        let target = to.join(key);
        if is_same(from, &target)? {
            same += 1;
        } else {
            copy(from, &target)?;
            copied += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(format!(
        "{name}: {} copied to {}, {same} there already\n",
        count(copied, "file"),
        to.join(name.as_str()).display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The definition comes first, then what a pool's shape depends on, then the work.
fn order(place: &Place) -> usize {
    match place {
        Place::Definition => 0,
        Place::Control { kind, .. } | Place::ControlRows { kind, .. } => match kind {
            Kind::Training => 1,
            Kind::Exam => 2,
            Kind::Golden | Kind::Real => 3,
        },
        Place::Image | Place::Rows | Place::Ignored => 4,
    }
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
