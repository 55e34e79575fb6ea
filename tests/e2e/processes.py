"""Processes that a test starts, and waiting for what they do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 60, pause: float = 0.2) -> T:
    """Looks until there is something to see; fails after so many seconds, saying what was missing."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds:.0f} s there is still not: {what}")
        time.sleep(pause)


class Process:
    """A program in a process group of its own, its output in a file."""

    def __init__(
        self, command: list[str | Path], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None
    ):
        self.log = log
        self.start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd or log.parent,
                start_new_session=True,
            )

    def check(self) -> None:
        """Fails if the program has ended by itself."""
        if self.popen.poll() is not None:
            raise RuntimeError(f"{self.popen.args[0]} ended with {self.popen.returncode}; see {self.log}")

    def stop(self) -> None:
        """Asks the program to end, and its whole group a little later."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()

    def children(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Processes that the program started: their ids and environments."""
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) != self.popen.pid:
                    continue
                pairs = folder.joinpath("environ").read_bytes().decode(errors="replace").split("\0")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            yield int(folder.name), dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def run(command: list[str | Path], log: Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    """Runs a command to its end; fails with the end of its output."""
    with log.open("a") as output:
        output.write(f"$ {' '.join(map(str, command))}\n")
    process = Process(command, log, env, cwd)
    try:
        code = process.popen.wait()
    finally:
        process.stop()
    if code != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise RuntimeError(f"{command[0]} ended with {code}:\n{end}\nAll of it is in {log}")


def programs(log: Path) -> Path:
    """The folder with `quorate` and `examples`, as the other tests built them."""
    # The same packages and features as in `./test`: nothing that is built already is built again.
    run(["cargo", "build", "--workspace", "--all-features", "--bins", "--examples", "--locked"], log)
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return Path(json.loads(metadata.stdout)["target_directory"]) / "debug"


def first_json_line(log: Path, start: int) -> dict | None:
    """The first line of a log from `start` on that is a JSON object, if it is there."""
    with log.open("rb") as output:
        output.seek(start)
        for line in output:
            if line.startswith(b"{") and line.endswith(b"\n"):
                return json.loads(line)
    return None
