//! Disks that are full or cannot be written.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::Process;

/// A file system mounted for a test.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// A small disk on the folder `at`; none where this user may not mount.
    pub(crate) fn small(at: &Path) -> Option<Self> {
        run("mount", &["-t", "tmpfs", "-o", "size=24m", "quorate"], at).then(|| Self(at.to_owned()))
    }

    /// The folder `at` on top of itself, which can be made read-only; none where this user may not
    /// mount.
    pub(crate) fn same(at: &Path) -> Option<Self> {
        run("mount", &["--bind", at.to_str()?], at).then(|| Self(at.to_owned()))
    }

    /// Whether its files can be written.
    pub(crate) fn writable(&self, writable: bool) {
        let access = if writable { "rw" } else { "ro" };
        let options = format!("remount,bind,{access}");
        assert!(run("mount", &["-o", &options], &self.0));
    }

    /// Leaves no room.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        let error = loop {
            if let Err(error) = filler.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process may still have files there if the test fails.
        run("umount", &["-l"], &self.0);
    }
}

/// Lets a process write no file any more, or all again. It must not die of it
/// ([`unimpressed`]). Whether this system can do that.
pub(crate) fn limit_files(process: &Process, writable: bool) -> bool {
    let limit = if writable { "unlimited" } else { "0" };
    let (limit, pid) = (format!("--fsize={limit}:"), process.id().to_string());
    run("prlimit", &[&limit, "--pid"], Path::new(&pid))
}

/// The same command, by a shell that makes it ignore the signal of the limit.
pub(crate) fn unimpressed(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    shell
}

fn run(program: &str, args: &[&str], last: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(args).arg(last).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
