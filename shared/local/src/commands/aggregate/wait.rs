//! How far a long run is, for whoever waits for it.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quorate_aggregate::{Iteration, Progress};

/// Who waits less is told nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A progress bar on stderr, after a while; it shows on a terminal only.
#[derive(Clone)]
pub(super) struct Wait {
    begun: Instant,
    bar: ProgressBar,
}

impl Wait {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            bar: ProgressBar::hidden(),
        }
    }

    /// A reader of so many bytes, if that is known, that tells how many it has read.
    pub(super) fn for_reading<R: Read>(
        &self,
        source: R,
        length: Option<u64>,
    ) -> impl Read + use<R> {
        self.is_at(match length {
            Some(_) => "{msg} {wide_bar} {bytes}/{total_bytes} {eta}",
            None => "{spinner} {msg} {bytes} {bytes_per_sec}",
        });
        self.bar.set_message("reading");
        if let Some(length) = length {
            self.bar.set_length(length);
        }
        Counted {
            source,
            wait: self.clone(),
        }
    }

    /// Tells of every iteration.
    pub(super) fn for_iterations(&self) -> Progress {
        let wait = self.clone();
        Progress::new(move |at: Iteration| {
            if at.number == 1 {
                wait.is_at("{msg} {wide_bar} {pos} of at most {len} {eta}");
                wait.bar.set_length(at.limit as u64);
            }
            wait.bar.set_position(at.number as u64);
            wait.bar
                .set_message(format!("iterations, objective {:.6}", at.objective));
            wait.show();
        })
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn is_at(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.reset();
    }

    fn show(&self) {
        if self.bar.is_hidden() && self.begun.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

struct Counted<R> {
    source: R,
    wait: Wait,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.wait.bar.inc(read as u64);
        self.wait.show();
        Ok(read)
    }
}
