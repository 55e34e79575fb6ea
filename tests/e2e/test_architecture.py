"""What a user gets who changes nothing: functions for arm64. They cannot run here, but be built."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deployment import build
from processes import ROOT

TARGET = "aarch64-unknown-linux-gnu"


def test_the_default_architecture_builds(sam: Path, logs: Path) -> None:
    asked = ["rustc", "--print", "target-libdir", "--target", TARGET]
    library = subprocess.run(asked, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    if not Path(library).is_dir():
        pytest.skip(f"Rust's library for {TARGET} is not installed: rustup target add {TARGET}")
    template = build(sam, logs, "arm64")
    for function in template.parent.glob("*/bootstrap"):
        # ELF header: the machine is AArch64.
        assert function.read_bytes()[18:20] == b"\xb7\0", function
