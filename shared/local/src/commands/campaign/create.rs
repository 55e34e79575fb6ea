//! `quorate campaign new`.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use quorate_core::campaign::TEMPLATE;

use super::definition::name_of;
use crate::commands::print;

/// Writes the template and the folder for the work. The label folders of golden/, exam/ and
/// training/ are left to the user: the template's labels are only an example.
pub(super) fn run(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = name_of(folder)?.context("choose another folder name")?;
    let file = folder.join("campaign.toml");
    match File::create_new(&file) {
        Ok(mut created) => created
            .write_all(TEMPLATE.as_bytes())
            .with_context(|| format!("cannot write {}", file.display()))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
            "{} exists already and was left as it is: edit it, or choose another folder",
            file.display()
        ),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {}", file.display()));
        }
    }
    let images = folder.join("images");
    fs::create_dir_all(&images).with_context(|| format!("cannot make {}", images.display()))?;
    let folder = folder.display();
    print(format!(
        "campaign {name}: wrote {}\n\
         next:\n  \
         1. edit it: labels, question, budget\n  \
         2. put images into {folder}/images/, known answers into {folder}/golden/<LABEL>/\n  \
         3. quorate campaign check {folder} && quorate campaign plan {folder}\n",
        file.display()
    ))
}
