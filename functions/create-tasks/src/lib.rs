//! Uploads become tasks: messages about new objects, taken in by [`ingest::create_tasks`].
//!
//! ```text
//! S3 ──► EventBridge ──► SQS ──► handle ──► batchItemFailures: these messages come again,
//!   └──────────────────► SQS ──►            and go to the dead-letter queue in the end
//! ```
//!
//! Each message stands for itself: one that cannot be read, or whose uploads cannot be taken in, is
//! given back to the queue alone. A message that is not about a new object in the uploads bucket
//! (a deleted one, another bucket's, `s3:TestEvent`) is done with. What counts as a new object, and
//! how its key is written, is told in [`message`].

mod batch;
pub mod message;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use quorate_core::ingest::{self, Upload};
use quorate_core::ports::{Objects, World};

/// Takes in the uploads that a batch of messages tells of.
///
/// The answer names the messages that must come again, so the queue's event source mapping has to
/// have `ReportBatchItemFailures`. A message without an id is named by the empty string, for which
/// Lambda sends the whole batch again: late, but not lost. The reason of each failure is logged
/// with the message's id.
pub async fn handle<W: World>(world: &W, event: SqsEvent) -> SqsBatchResponse {
    let messages = batch::read(event, world.uploads().bucket());
    let uploads: Vec<Upload> = batch::uploads(&messages);
    let taken = batch::take(&uploads, |some| ingest::create_tasks(world, some)).await;
    batch::respond(messages, taken)
}
