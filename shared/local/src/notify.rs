//! Events on one machine: a file of JSON lines for programs, log lines for people, and a queue for
//! the function that works on closed pools.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use quorate_core::event::{Detail, Event, RoundAggregated};
use quorate_core::ports::{Notify, PortError, PortResult};
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

/// A [`Notify`] that appends every event to a file, once, as one line of JSON.
///
/// What is told again has the id that it had: it is neither written nor logged twice. Only
/// `PoolClosed` goes to the bus again and again, because that is how it is not lost.
#[derive(Debug)]
pub struct LocalNotify {
    log: Mutex<Log>,
    path: PathBuf,
    bus: UnboundedSender<Event>,
}

#[derive(Debug)]
struct Log {
    file: File,
    told: HashSet<Uuid>,
}

/// What is read of a line of the file.
#[derive(Deserialize)]
struct Told {
    id: Uuid,
}

impl LocalNotify {
    /// Goes on with the events in the file `path`, which is created if it does not exist.
    /// `PoolClosed` events go to `bus`.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path, bus: UnboundedSender<Event>) -> io::Result<Self> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let (told, whole) = read_told(&file)?;
        // A line that a crash cut off was not told: its event comes again.
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            log: Mutex::new(Log { file, told }),
            path: path.to_owned(),
            bus,
        })
    }

    /// Writes an event that the file does not have. Whether it did.
    fn append(&self, event: &Event) -> io::Result<bool> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.told.contains(&event.id) {
            return Ok(false);
        }
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let end = log.file.stream_position()?;
        if let Err(error) = log.file.write_all(&line) {
            // No half line stays in front of the next.
            log.file.set_len(end)?;
            log.file.seek(SeekFrom::Start(end))?;
            return Err(error);
        }
        log.told.insert(event.id);
        Ok(true)
    }
}

impl Notify for LocalNotify {
    async fn notify(&self, event: &Event) -> PortResult<()> {
        let unavailable = |error: &dyn std::fmt::Display| {
            PortError::Unavailable(format!("events to {}: {error}", self.path.display()))
        };
        if self.append(event).map_err(|error| unavailable(&error))? {
            tell(event);
        }
        match &event.detail {
            Detail::PoolClosed(_) => self
                .bus
                .send(event.clone())
                .map_err(|_| unavailable(&"nobody works on closed pools any more")),
            Detail::RoundAggregated(_) | Detail::Problem(_) | Detail::CrowdMoved(_) => Ok(()),
        }
    }
}

/// Logs what a person wants to know.
fn tell(event: &Event) {
    match &event.detail {
        Detail::PoolClosed(_) | Detail::CrowdMoved(_) => {}
        Detail::RoundAggregated(round) => tracing::info!("{}", in_words(round)),
        Detail::Problem(problem) => {
            let (campaign, message) = (&problem.campaign, &problem.message);
            tracing::warn!("{campaign}: {}", message.escape_debug());
        }
    }
}

fn in_words(round: &RoundAggregated) -> String {
    let accuracy = round.golden_accuracy.map_or_else(String::new, |share| {
        format!(", {:.0} % of control answers right", share * 100.0)
    });
    format!(
        "round {}/{} is done: {} images labelled, {} not, {} dollars{accuracy}; results: {}",
        round.campaign, round.round, round.labelled, round.unlabelled, round.cost, round.manifest
    )
}

/// The ids in the file, and the length of its whole lines.
fn read_told(file: &File) -> io::Result<(HashSet<Uuid>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut told, mut whole, mut line) = (HashSet::new(), 0, Vec::new());
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok((told, whole));
        }
        whole += length as u64;
        // A line that is none of ours stays, and tells nothing.
        if let Ok(event) = serde_json::from_slice::<Told>(&line) {
            told.insert(event.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use quorate_core::event::{Problem, ProblemKind};
    use quorate_core::ids::RoundId;
    use quorate_core::time::Timestamp;
    use tokio::sync::mpsc::{self, UnboundedReceiver};

    use super::*;

    fn problem(occasion: &str) -> Event {
        let problem = Problem {
            kind: ProblemKind::UploadRejected,
            campaign: "cells".to_owned(),
            round: None,
            key: Some("cells/images/line\nbreak.txt".to_owned()),
            message: "it is not an image".to_owned(),
        };
        Event::problem(problem, occasion, Timestamp(0))
    }

    fn closed(at: i64) -> Event {
        let round: RoundId = "cells/1".parse().unwrap();
        Event::pool_closed(&round, Timestamp(at))
    }

    fn open(path: &Path) -> (LocalNotify, UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (LocalNotify::open(path, sender).unwrap(), receiver)
    }

    fn lines(path: &Path) -> Vec<Event> {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn an_event_is_written_once_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        for _ in 0..2 {
            let (notify, _bus) = open(&path);
            for event in [problem("a"), problem("b"), problem("a")] {
                notify.notify(&event).await.unwrap();
            }
        }
        assert_eq!(lines(&path), [problem("a"), problem("b")]);
    }

    #[tokio::test]
    async fn a_line_that_a_crash_cut_off_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (notify, _bus) = open(&path);
        notify.notify(&problem("a")).await.unwrap();
        notify.notify(&problem("b")).await.unwrap();
        drop(notify);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 20]).unwrap();
        let (notify, _bus) = open(&path);
        notify.notify(&problem("b")).await.unwrap();
        assert_eq!(lines(&path), [problem("a"), problem("b")]);
    }

    #[tokio::test]
    async fn a_closed_pool_is_put_on_the_bus_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (notify, mut bus) = open(&path);
        notify.notify(&closed(1)).await.unwrap();
        notify.notify(&problem("a")).await.unwrap();
        notify.notify(&closed(2)).await.unwrap();
        assert_eq!(bus.recv().await, Some(closed(1)));
        assert_eq!(bus.recv().await, Some(closed(2)));
        assert_eq!(lines(&path), [closed(1), problem("a")]);
        drop(bus);
        assert!(notify.notify(&closed(3)).await.is_err());
    }

    #[test]
    fn a_round_is_told_in_words() {
        let round = RoundAggregated {
            campaign: "cells".parse().unwrap(),
            round: 2,
            manifest: "cells/round=2/_manifest.json".to_owned(),
            labelled: 95,
            unlabelled: 1,
            cost: "1.44".parse().unwrap(),
            golden_accuracy: Some(0.934),
        };
        assert_eq!(
            in_words(&round),
            "round cells/2 is done: 95 images labelled, 1 not, 1.44 dollars, \
             93 % of control answers right; results: cells/round=2/_manifest.json"
        );
    }
}
