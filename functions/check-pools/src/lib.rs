//! A tick asks the crowd how its pools stand: [`rounds::check_pools`] on a schedule.
//!
//! What the schedule sends does not matter (`{}`, or the envelope that EventBridge makes), but for
//! one command: `{"seal": "cells/3"}` first ends the intake of round 3 of the campaign `cells`.
//!
//! Ticks may overlap, come twice or be left out.

use quorate_core::ports::World;
use quorate_core::{PortError, RoundId, rounds};
use serde_json::Value;

/// Why a tick failed. The next one goes on with what this one left.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command cannot be read; nothing was done.
    #[error(r#"cannot read the command {{"seal": …}}: {0}"#)]
    Command(String),
    /// The round was not sealed, and pools were not checked.
    #[error("round {round} was not sealed: {error}")]
    Seal {
        /// Which.
        round: RoundId,
        /// Why; [`PortError::Refused`] if it is not open.
        #[source]
        error: PortError,
    },
    /// The rounds cannot be listed, or one of them could not be checked; all others were.
    #[error("not every round was checked: {0}")]
    Check(#[from] PortError),
}

/// Seals the round that the event names, if it names one, then moves every unfinished round as far
/// as it goes.
///
/// # Errors
/// See [`Error`].
pub async fn handle<W: World>(world: &W, event: Value) -> Result<(), Error> {
    if let Some(round) = round_to_seal(&event)? {
        let sealed = rounds::seal(world, &round).await;
        sealed.map_err(|error| Error::Seal { round, error })?;
    }
    Ok(rounds::check_pools(world).await?)
}

/// The round that a tick asks to seal, if it does.
///
/// # Errors
/// [`Error::Command`] if `seal` does not name a round.
pub fn round_to_seal(event: &Value) -> Result<Option<RoundId>, Error> {
    let Some(seal) = event.get("seal") else {
        return Ok(None);
    };
    let name = seal.as_str().ok_or_else(|| {
        Error::Command(format!("{seal} is not a round: write \"campaign/number\""))
    })?;
    name.parse().map(Some).map_err(Error::Command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_a_schedule_sends_is_a_tick() {
        let scheduled: Value =
            serde_json::from_str(include_str!("../../../events/scheduler-tick.json")).unwrap();
        for tick in [scheduled, json!({}), json!(null), json!("tick"), json!([1])] {
            assert_eq!(round_to_seal(&tick).unwrap(), None, "{tick}");
        }
    }

    #[test]
    fn a_command_names_the_round_to_seal() {
        let round = round_to_seal(&json!({"seal": "cells/3"})).unwrap().unwrap();
        assert_eq!(round.to_string(), "cells/3");
    }

    #[test]
    fn a_command_that_names_no_round_says_how_to_write_one() {
        for (event, reason) in [
            (
                json!({"seal": "cells"}),
                "write campaign/number, e.g. cells/1",
            ),
            (json!({"seal": "Cells/1"}), "write campaign/number"),
            (json!({"seal": 3}), "3 is not a round"),
            (json!({"seal": null}), "null is not a round"),
        ] {
            let error = round_to_seal(&event).unwrap_err().to_string();
            assert!(error.starts_with(r#"cannot read the command {"seal": …}: "#));
            assert!(error.contains(reason), "{event}: {error}");
        }
    }
}
