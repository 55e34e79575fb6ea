//! A process that is killed, stopped and listened to.

use std::io::{BufRead as _, BufReader, PipeWriter};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks at what runs.
const LOOK: Duration = Duration::from_millis(5);

/// Lets what runs go on for a moment.
pub(crate) fn look_again_later() {
    std::thread::sleep(LOOK);
}

/// A running `quorate`.
pub(crate) struct Process {
    child: Child,
    killed: bool,
    /// What it has said on stderr.
    log: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        // Not a file: that would fill up with the disk.
        let (reader, stderr) = std::io::pipe().unwrap();
        let mut process = Self::spawn(command, stderr);
        let log = Arc::clone(&process.log);
        process.listener = Some(std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        }));
        process
    }

    /// A process that can say nothing: whatever it writes to stderr fails.
    pub(crate) fn unheard(command: &mut Command) -> Self {
        let (_, stderr) = std::io::pipe().unwrap();
        Self::spawn(command, stderr)
    }

    fn spawn(command: &mut Command, stderr: PipeWriter) -> Self {
        let command = command.env("RUST_LOG", "warn").stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(stderr).spawn();
        Self {
            child: child.unwrap(),
            killed: false,
            log: Arc::default(),
            listener: None,
        }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// All that it said before it ended.
    pub(crate) fn last_words(&mut self) -> String {
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
        self.log()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended by itself, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.killed {
            return None;
        }
        self.child.try_wait().unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.killed = true;
    }

    /// SIGSTOP: it still has its files, locks and connections, and does nothing.
    pub(crate) fn stop(&self) {
        self.signal("STOP");
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &self.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless the test fails.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
