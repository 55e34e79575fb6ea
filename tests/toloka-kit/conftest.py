"""The real toloka-kit against `quorate crowd`: a crowd of simulated workers, and one without any."""

from __future__ import annotations

import csv
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toloka.client import TolokaClient

import processes
import recorded
from crowd import Crowd
from processes import ROOT
from worker import Worker

# So that what the fixtures started ends with the tests, whoever ends these.
signal.signal(signal.SIGTERM, signal.default_int_handler)

DEMO = ROOT / "shared/local/demo"
CLICKBAIT = ROOT / "tests/data/clickbait"

WORKERS = 40
"""Sixteen careful, twelve average, eight spammers, four who leave after a few pages."""
TIME_SCALE = 100.0
"""A page of a minute takes little more than half a second."""


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything goes that happens here."""
    told = os.environ.get("QUORATE_TEST_LOGS")
    folder = Path(told).resolve() / "toloka-kit" if told else tmp_path_factory.mktemp("logs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def quorate(logs: Path) -> Path:
    """The program."""
    return processes.programs(logs / "cargo-build.log") / "quorate"


@pytest.fixture(scope="session")
def truth() -> dict[str, str]:
    """What simulated workers take for true, by file name or headline."""
    with (DEMO / "truth.csv").open() as table:
        known = {row["file"]: row["label"] for row in csv.DictReader(table)}
    for part in ("golden", "exam", "training"):
        known |= {file.name: file.parent.name for file in DEMO.glob(f"{part}/*/*")}
    return known | recorded.truth()


@pytest.fixture(scope="session")
def simulated(quorate: Path, logs: Path, truth: dict[str, str]) -> Iterator[Crowd]:
    """A crowd of simulated workers whose time runs fast."""
    folder = logs / "simulated"
    folder.mkdir()
    crowd = Crowd(quorate, folder, truth, WORKERS, TIME_SCALE)
    yield crowd
    crowd.stop()


@pytest.fixture(scope="session")
def crowd(quorate: Path, logs: Path) -> Iterator[Crowd]:
    """A crowd whose workers do only what a test does for them, on the clock of the machine."""
    folder = logs / "crowd"
    folder.mkdir()
    crowd = Crowd(quorate, folder, {}, 0, 1.0)
    yield crowd
    crowd.stop()


@pytest.fixture
def kit(crowd: Crowd) -> TolokaClient:
    """The kit's client of the crowd without simulated workers."""
    return TolokaClient(crowd.key, url=crowd.proxy.url)


@pytest.fixture
def new_worker(crowd: Crowd) -> Callable[[], Worker]:
    """Signs in somebody whom nobody knows yet."""
    return lambda: Worker(crowd, f"worker-{uuid.uuid4()}")
