//! A campaign's files in a folder, and what is wrong with them, shown as compilers show it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use quorate_core::campaign::{self, Campaign, CampaignError, FILES, Problem};
use quorate_core::ids::{BadCampaignName, CampaignName};
use rust_decimal::Decimal;

/// The texts that define a campaign.
pub(super) struct Definition {
    /// Where each of [`FILES`] is.
    paths: [PathBuf; 4],
    /// What each holds, if it is there.
    texts: [Option<String>; 4],
}

impl Definition {
    /// Reads the files in `folder`.
    pub(super) fn of_folder(folder: &Path) -> anyhow::Result<Self> {
        let paths = FILES.map(|file| folder.join(file));
        let mut texts = [const { None }; 4];
        for (text, path) in texts.iter_mut().zip(&paths) {
            *text = match fs::read(path) {
                Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read {}", path.display()));
                }
            };
        }
        Ok(Self { paths, texts })
    }

    /// Reads a `campaign.toml`, whatever it is called, without the files beside it.
    pub(super) fn of_file(file: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let [_, project, pool, exam] = FILES.map(PathBuf::from);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self {
            paths: [file.to_owned(), project, pool, exam],
            texts: [Some(text), None, None, None],
        })
    }

    /// The campaign that these files define.
    pub(super) fn parse(&self, fee: Decimal) -> Result<Campaign, CampaignError> {
        campaign::of_files(self.texts.each_ref().map(Option::as_deref), fee)
    }

    /// All of `problems`, an empty line between two.
    pub(super) fn show_all(&self, problems: &[Problem]) -> String {
        let shown: Vec<String> = problems.iter().map(|problem| self.show(problem)).collect();
        shown.join("\n")
    }

    /// A problem with the line that it is about, and a caret under the place.
    fn show(&self, problem: &Problem) -> String {
        let at = FILES.iter().position(|file| *file == problem.file);
        let path = at.and_then(|at| self.paths.get(at));
        let path = path.map_or_else(|| problem.file.clone(), |path| path.display().to_string());
        let head = format!("error: {}\n", problem.message);
        let (Some(line), Some(column)) = (problem.line, problem.column) else {
            return format!("{head} --> {path}\n");
        };
        let text = at.and_then(|at| self.texts.get(at)?.as_deref());
        let source = text.and_then(|text| text.lines().nth(line.checked_sub(1)?));
        format!(
            "{head}{}",
            excerpt(&path, line, column, source.unwrap_or_default())
        )
    }
}

/// ` --> file:3:9`, the line with its number, and carets under the word at the column.
fn excerpt(path: &str, line: usize, column: usize, source: &str) -> String {
    let margin = " ".repeat(line.to_string().len());
    let before = column.saturating_sub(1);
    // Tabs stay tabs, so that the carets stand below the word on every terminal.
    let indent: String = source
        .chars()
        .take(before)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let word = source
        .chars()
        .skip(before)
        .take_while(|c| !c.is_whitespace() && !",]=".contains(*c))
        .count();
    let carets = "^".repeat(word.max(1));
    format!(
        "{margin}--> {path}:{line}:{column}\n\
         {margin} |\n\
         {line} | {source}\n\
         {margin} | {indent}{carets}\n"
    )
}

/// The campaign that a folder's name names.
pub(super) fn name_of(folder: &Path) -> anyhow::Result<Result<CampaignName, BadCampaignName>> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot open the campaign's folder {}", folder.display()))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(name.parse())
}
