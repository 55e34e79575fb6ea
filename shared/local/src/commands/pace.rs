//! How far the crowd of a running stack is with a pool, and when it will be done.

use std::fs;
use std::path::Path;
use std::time::Duration;

use quorate_core::ports::{Assignment, Crowd as _};
use quorate_core::state::Round;
use quorate_requester::Requester;
use quorate_toloka::types::Time;
use quorate_toloka::{Client, RetryPolicy};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A stack on this machine answers at once, or it does not run.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The work done in a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Pace {
    /// Answers that are in, to tasks whose label is wanted.
    pub(super) answers: u64,
    /// Answers that the overlap asks for.
    pub(super) wanted: u64,
    /// Seconds of the platform's clock until all are in, if it goes on as so far.
    pub(super) seconds_left: Option<u64>,
}

/// What a stack keeps of itself, as far as it is needed to speak to it.
#[derive(Deserialize)]
struct Kept {
    port: u16,
    requester_key: String,
}

/// The crowd of the stack whose state is in `state`; whether it runs is not known yet.
pub(super) fn crowd_of(state: &Path) -> Option<Requester> {
    let kept = fs::read(state.join("secrets.json")).ok()?;
    let Kept {
        port,
        requester_key,
    } = serde_json::from_slice(&kept).ok()?;
    let client = Client::builder(format!("http://127.0.0.1:{port}"))
        .api_key(requester_key)
        .timeout(TIMEOUT)
        .retry(RetryPolicy::never())
        .build()
        .ok()?;
    Some(Requester::new(client, Decimal::ZERO))
}

impl Pace {
    /// How far `crowd` is with the pool of `round`; none if there is no pool, or the stack does not
    /// answer.
    pub(super) async fn of(crowd: &Requester, round: &Round) -> Option<Self> {
        let pool = round.pool.as_ref()?;
        let field = &pool.campaign.answer_field;
        let mut tally = Tally::default();
        let mut after = None;
        loop {
            let page = crowd
                .assignments(
                    &pool.id,
                    field,
                    &["SUBMITTED", "ACCEPTED"],
                    after.as_deref(),
                )
                .await
                .ok()?;
            page.items
                .iter()
                .for_each(|assignment| tally.add(assignment));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let wanted = u64::from(pool.campaign.overlap) * round.counts.tasks;
        Some(tally.pace(wanted))
    }
}

/// What is summed up over pages.
#[derive(Default)]
struct Tally {
    answers: u64,
    /// Milliseconds since 1970.
    first: Option<i64>,
    last: Option<i64>,
}

impl Tally {
    fn add(&mut self, assignment: &Assignment) {
        let wanted = assignment
            .answers
            .iter()
            .filter(|answer| answer.known.is_none());
        self.answers += wanted.count() as u64;
        let millis = |text: &str| text.parse::<Time>().ok().map(Time::as_millis);
        let (began, ended) = (
            millis(&assignment.created),
            assignment.submitted.as_deref().and_then(millis),
        );
        self.first = self.first.into_iter().chain(began).min();
        self.last = self.last.into_iter().chain(ended).max();
    }

    fn pace(&self, wanted: u64) -> Pace {
        let left = u128::from(wanted.saturating_sub(self.answers));
        let millis = self
            .last
            .zip(self.first)
            .map(|(last, first)| last.abs_diff(first));
        let seconds_left = millis
            .and_then(|millis| (u128::from(millis) * left).checked_div(u128::from(self.answers)))
            .and_then(|millis| u64::try_from(millis / 1000).ok());
        Pace {
            answers: self.answers,
            wanted,
            seconds_left,
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ports::TaskAnswer;

    use super::*;

    fn page(created: &str, submitted: &str) -> Assignment {
        let answer = |known: Option<&str>| TaskAnswer {
            task: "t".to_owned(),
            image: None,
            label: Some("cat".to_owned()),
            known: known.map(str::to_owned),
        };
        Assignment {
            id: "a".to_owned(),
            worker: "w".to_owned(),
            status: "ACCEPTED".to_owned(),
            reward: Decimal::ZERO,
            created: created.to_owned(),
            submitted: Some(submitted.to_owned()),
            answers: vec![answer(None), answer(None), answer(Some("cat"))],
        }
    }

    #[test]
    fn what_is_left_takes_as_long_as_what_is_done_did() {
        let mut tally = Tally::default();
        tally.add(&page("2026-01-01T00:01:00.000", "2026-01-01T00:02:00.000"));
        tally.add(&page("2026-01-01T00:00:00.000", "2026-01-01T00:01:30.000"));
        let pace = tally.pace(12);
        assert_eq!(
            (pace.answers, pace.wanted),
            (4, 12),
            "control answers are not counted"
        );
        assert_eq!(
            pace.seconds_left,
            Some(240),
            "4 answers took 120 s, 8 are left"
        );
        assert_eq!(tally.pace(4).seconds_left, Some(0));
        assert_eq!(Tally::default().pace(4).seconds_left, None);
    }
}
