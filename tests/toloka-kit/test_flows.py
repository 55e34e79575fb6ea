"""Published examples of toloka-kit run here from their first call to labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas
import pytest
from crowdkit.aggregation import DawidSkene, MajorityVote
from toloka.client import TolokaClient

import recorded
import scripts
from conftest import TIME_SCALE
from crowd import Crowd
from proxy import Proxy


@pytest.fixture(scope="module")
def four(quorate: Path, logs: Path, truth: dict[str, str]) -> Iterator[Crowd]:
    """Two careful and two average workers. With this seed no image is answered wrong by more than one
    of them, and at most one errs often enough to be banned: three are left, and the majority is right,
    whoever is first. Only where two of them skip the same image it has two answers when time is over."""
    folder = logs / "four"
    folder.mkdir()
    crowd = Crowd(quorate, folder, truth, 4, TIME_SCALE, "--seed", "20")
    yield crowd
    crowd.stop()


def ran(
    flow: str, script: Callable[[TolokaClient, float], pandas.DataFrame], crowd: Crowd, hours: float
) -> pandas.DataFrame:
    """Runs an example; fails if it did not send what the recorded one sent."""
    proxy = Proxy(crowd.port)
    answers = script(TolokaClient(crowd.key, url=proxy.url), hours)
    assert recorded.kinds(proxy.seen) == recorded.kinds(recorded.requests(flow))
    assert recorded.differences(flow, proxy.seen) == []
    return answers


def real(answers: pandas.DataFrame, task: str, label: str) -> pandas.DataFrame:
    """The answers to tasks whose label is not known, as crowd-kit reads them."""
    answers = answers[answers[f"GOLDEN:{label}"].isna()]
    names = {f"INPUT:{task}": "task", f"OUTPUT:{label}": "label", "ASSIGNMENT:worker_id": "worker"}
    return answers.rename(columns=names)[list(names.values())]


def accuracy(labels: pandas.Series, truth: dict[str, str]) -> float:
    return sum(label == truth[task] for task, label in labels.items()) / len(labels)


def test_introduction(four: Crowd, truth: dict[str, str]) -> None:
    answers = ran("introduction", scripts.introduction, four, 1)
    assert set(answers["ASSIGNMENT:status"]) == {"APPROVED"}
    answers = real(answers, "image", "result")
    assert set(answers["task"].value_counts()) <= {2, 3}
    labels = MajorityVote().fit_predict(answers)
    assert len(labels) == 30
    assert accuracy(labels, truth) >= 0.8


def test_binary_classification(four: Crowd, truth: dict[str, str]) -> None:
    answers = ran("binary-classification", scripts.binary_classification, four, 1)
    # One control task on every page.
    pages = answers.groupby("ASSIGNMENT:assignment_id")["GOLDEN:result"]
    assert set(pages.count()) == {1}
    answers = real(answers, "image", "result")
    assert set(answers["task"].value_counts()) <= {2, 3}
    labels = DawidSkene(n_iter=20).fit_predict(answers)
    assert len(labels) == 15
    assert accuracy(labels, truth) >= 0.8


def test_text_classification(simulated: Crowd, truth: dict[str, str]) -> None:
    answers = ran("text-classification-flow", scripts.text_classification, simulated, 0.5)
    assert set(answers["ASSIGNMENT:status"]) <= {"APPROVED", "EXPIRED", "SKIPPED"}
    answers = answers[answers["ASSIGNMENT:status"] == "APPROVED"]
    # The control tasks had three answers each to give, and then the pool had none to put on a page.
    control = answers[answers["GOLDEN:category"].notna()]
    assert control["INPUT:headline"].nunique() == 20
    assert control["INPUT:headline"].value_counts().max() <= 3
    answers = real(answers, "headline", "category")
    assert answers["task"].value_counts().max() <= 3
    labels = DawidSkene(n_iter=20).fit_predict(answers)
    assert len(labels) >= 60
    assert accuracy(labels, truth) >= 0.85
