//! The Lambda function `receive-webhook`: the crowd tells that a pool moved.

use std::process::ExitCode;

use quorate_aws::bus::Bus;
use quorate_aws::config::{Account, Events, Storage, Webhooks, environment};
use quorate_aws::connection::Connection;
use quorate_aws::lambda;
use quorate_aws::ledger::DynamoLedger;
use quorate_aws::secrets::Secrets;
use quorate_aws::world::{StartError, SystemClock, checked};
use quorate_core::ports::Clock as _;
use quorate_receive_webhook::{Woken, handle};

fn main() -> ExitCode {
    lambda::run(
        "receive-webhook",
        connect(),
        async |receiver: &Receiver, event| {
            let secrets = receiver.secrets.webhook(&receiver.secret).await?;
            let now = SystemClock.now();
            Ok(handle(&receiver.bus, &secrets, &receiver.woken, now, &event).await)
        },
    )
}

/// What the function works with: less than the pipeline's world, as it may do less.
struct Receiver {
    bus: Bus,
    secrets: Secrets,
    /// The ARN of what deliveries are signed with.
    secret: String,
    woken: Woken,
}

/// Checks what can be checked without an effect; see [`checked`].
async fn connect() -> Result<Receiver, StartError> {
    let events = Events::from_environment(environment)?;
    let storage = Storage::from_environment(environment)?;
    let secret = Webhooks::secret_from_environment(environment)?;
    let aws =
        Connection::open(Account::from_environment(environment)?).map_err(StartError::Setup)?;
    let secrets = Secrets::new(aws.secretsmanager());
    checked(secrets.webhook(&secret)).await?;
    // The bus asks the table only about events that go out once; that the crowd moved is none.
    let ledger = DynamoLedger::new(aws.dynamodb(), storage.table);
    Ok(Receiver {
        bus: Bus::new(aws.eventbridge(), events.bus, ledger),
        secrets,
        secret,
        woken: Woken::default(),
    })
}
