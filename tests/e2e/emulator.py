"""MiniStack: AWS on this machine, functions included.

As a program it runs a command with an emulator beside it, whose address the command finds in
`QUORATE_TEST_AWS`:  python emulator.py LOG_FOLDER COMMAND …
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from processes import Process, free_port, wait_for
from proxy import Proxy

REGION = "us-east-1"
ACCOUNT = "000000000000"


def environment(url: str) -> dict[str, str]:
    """This process' environment with the emulator for AWS, and nothing of the user's AWS in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": url,
        # The emulator takes any.
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Emulator:
    """One MiniStack, which keeps its state over `stop` and `start`. Its functions reach it through
    `proxy`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.proxy = Proxy(self.port)
        self.start()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        state = self.folder / "emulator"
        state.mkdir(exist_ok=True)
        env = environment(self.proxy.url) | {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "LAMBDA_EXECUTOR": "local",
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state / "s3"),
            "STATE_DIR": str(state / "state"),
            "TMPDIR": str(state),
        }
        ministack = Path(sys.executable).with_name("ministack")
        self.process = Process([ministack], self.folder / "emulator.log", env)
        wait_for(f"an answer of the emulator (see {self.process.log})", self.answers)

    def answers(self) -> bool:
        """Whether it is ready."""
        self.process.check()
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """Ends it; its state is kept."""
        self.process.stop()

    def functions(self, name: str) -> list[int]:
        """The processes in which this function runs, by their ids."""
        children = self.process.children()
        return [pid for pid, env in children if env.get("AWS_LAMBDA_FUNCTION_NAME") == name]


def main() -> int:
    folder, *command = sys.argv[1:]
    # So that what was started ends with this program, whoever ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    Path(folder).mkdir(parents=True, exist_ok=True)
    emulator = Emulator(Path(folder).resolve())
    try:
        env = os.environ | {"QUORATE_TEST_AWS": emulator.url}
        return subprocess.run(command, env=env, check=False).returncode
    finally:
        emulator.stop()


if __name__ == "__main__":
    sys.exit(main())
