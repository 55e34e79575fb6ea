//! What functions log while everything goes wrong: never a secret.

use std::io::Write;
use std::sync::{Arc, Mutex};

use quorate_core::campaign::hex;
use quorate_sim::choices::Choices;
use quorate_sim::run::{Setting, run};
use quorate_sim::site::{IMAGES, SECRET};
use tracing::Level;

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_log_line_tells_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        for seed in 0..50 {
            let outcome = run(Choices::seeded(seed), &Setting::default());
            assert_eq!(outcome.failure, None);
        }
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("tasks made"), "nothing was logged");
    let secret = String::from_utf8(SECRET.to_vec()).unwrap();
    // A link opens its image for whoever has it.
    for told in [secret, hex(SECRET), IMAGES.to_owned()] {
        let line = log.lines().find(|line| line.contains(&told));
        assert_eq!(line, None, "{told} is in the log");
    }
}
