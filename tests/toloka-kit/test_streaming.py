"""toloka.streaming and toloka.metrics: what happens in a pool, as the kit's observers see it."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
import toloka.client as toloka
from toloka.client import TolokaClient
from toloka.client.user_restriction import PoolUserRestriction
from toloka.metrics import (
    AssignmentEventsInPool,
    AssignmentsInPool,
    Balance,
    BansInPool,
    MetricCollector,
    NewMessageThreads,
    NewUserBonuses,
    NewUserSkills,
    PoolCompletedPercentage,
    SpentBudgetOnPool,
    TasksInPool,
    WorkersByFilterOnPool,
    bind_client,
)
from toloka.streaming import AssignmentsObserver, Pipeline, PoolStatusObserver
from toloka.streaming.event import AssignmentEvent

from objects import pool
from worker import Worker

NOW = timedelta()
"""What happened is listed at once here; the kit would wait a minute for it."""


def test_a_pipeline_reviews_what_is_handed_in(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    used = pool(kit, tasks=4, auto_accept_solutions=False, auto_accept_period_day=3)
    kit.open_pool(used.id)
    worker = new_worker()
    answers = iter(["BAD", "OK", "BAD", "OK"])
    worker.work(used.id, result=next(answers))
    seen: list[tuple[str, str]] = []
    closed: list[str] = []

    def review(events: list[AssignmentEvent]) -> None:
        for event in events:
            page = event.assignment
            if page.solutions[0].output_values["result"] == "OK":
                kit.accept_assignment(page.id, "Right.")
            else:
                kit.reject_assignment(page.id, "No.")

    def go_on(events: list[AssignmentEvent]) -> None:
        """Every verdict brings the next page, so that each comes while the pipeline runs."""
        seen.extend((event.event_type.value, event.assignment.id) for event in events)
        for answer in answers:
            worker.work(used.id, result=answer)
            return

    async def run() -> None:
        pipeline = Pipeline(period=timedelta())
        observer = pipeline.register(AssignmentsObserver(kit, used.id, cursor_time_lag=NOW))
        observer.on_submitted(review)
        observer.on_accepted(go_on)
        observer.on_rejected(go_on)
        pipeline.register(PoolStatusObserver(kit, used.id)).on_closed(lambda one: closed.append(one.id))
        # It ends by itself when the pool is done; `run` would pause for ten seconds between its rounds.
        async for _ in pipeline.run_manually():
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), 60))
    pages = {page.id: page.status.value for page in kit.get_assignments(pool_id=used.id)}
    assert Counter(pages.values()) == {"ACCEPTED": 2, "REJECTED": 2}
    verdicts = [(status, page) for page, status in pages.items()]
    # Each of them once. The last one is given when the pool is done, and may come after the last look.
    assert seen in (verdicts, verdicts[:-1])
    assert set(closed) == {used.id}


def metrics(pool_id: str, skill_id: str) -> dict[str, object]:
    """One of each, which looks as often as it is asked."""
    soon = {"timeout": timedelta()}
    return {
        "balance": Balance(**soon),
        "bonuses": NewUserBonuses(
            cursor_time_lag=NOW, count_name="count", money_name="money", join_events=True, **soon
        ),
        "skills": NewUserSkills(skill_id, cursor_time_lag=NOW, **soon),
        "messages": NewMessageThreads(cursor_time_lag=NOW, join_events=True, **soon),
        "events": AssignmentEventsInPool(
            pool_id,
            cursor_time_lag=NOW,
            created_name="created",
            submitted_name="submitted",
            accepted_name="accepted",
            join_events=True,
            **soon,
        ),
        "completed": PoolCompletedPercentage(pool_id, **soon),
        "assignments": AssignmentsInPool(pool_id, submitted_name="all", accepted_name="good", **soon),
        "tasks": TasksInPool(pool_id, **soon),
        "spent": SpentBudgetOnPool(pool_id, **soon),
        "workers": WorkersByFilterOnPool(pool_id, **soon),
        "bans": BansInPool(pool_id, cursor_time_lag=NOW, count_name="bans", join_events=True, **soon),
    }


async def read(every: dict[str, object]) -> dict[str, dict[str, list]]:
    """The values that each metric tells now."""
    lines = {name: await metric.get_lines() for name, metric in every.items()}
    return {
        name: {line: [value for _, value in points] for line, points in told.items()} for name, told in lines.items()
    }


def test_metrics_tell_what_happened(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    skill = kit.create_skill(name=f"skill {uuid.uuid4()}", hidden=True, public_requester_description={"EN": "x"})
    worker, other = new_worker(), new_worker()
    kit.set_user_skill(skill_id=skill.id, user_id=worker.id, value=Decimal(1))
    used = pool(kit, tasks=4, filter=toloka.filter.Skill(skill.id) >= 1)
    kit.open_pool(used.id)

    async def run() -> tuple[dict, dict]:
        every = metrics(used.id, skill.id)
        bind_client(list(every.values()), kit)
        before = await read(every)
        for _ in range(3):
            worker.work(used.id, result="OK")
        kit.set_user_skill(skill_id=skill.id, user_id=other.id, value=Decimal("72.5"))
        kit.set_user_restriction(PoolUserRestriction(user_id=worker.id, pool_id=used.id, private_comment="enough"))
        text = {"EN": "Thank you"}
        for cents in (5, 10):
            kit.create_user_bonus(
                toloka.UserBonus(user_id=worker.id, amount=Decimal(cents) / 100, public_title=text, public_message=text)
            )
        kit.compose_message_thread(
            recipients_select_type="DIRECT", recipients_ids=[worker.id], topic=text, text=text, answerable=False
        )
        return before, await read(every)

    before, after = asyncio.run(run())
    assert before["completed"] != after["completed"]
    [paid] = [
        old - new for old, new in zip(*[next(iter(one["balance"].values())) for one in (before, after)], strict=True)
    ]
    assert paid == Decimal("0.15") + 3 * Decimal("0.02")
    assert after["bonuses"] == {"count": [2], "money": [Decimal("0.15")]}
    assert list(after["skills"].values()) == [[Decimal("72.5")]]
    # Bonuses tell their worker by message, too, unless they are not to.
    assert next(iter(after["messages"].values()))[-1] >= 1
    assert after["events"] == {"created": [3], "submitted": [3], "accepted": [3]}
    assert list(after["completed"].values()) == [[75]]
    assert after["assignments"] == {"all": [3], "good": [3]}
    assert list(after["tasks"].values()) == [[4]]
    assert list(after["spent"].values()) == [[pytest.approx(Decimal("0.06"))]]
    assert list(after["workers"].values()) == [[1]]
    assert after["bans"] == {"bans": [1]}


def test_a_collector_gathers_metrics(kit: TolokaClient) -> None:
    used = pool(kit, tasks=2)

    async def run() -> dict[str, list]:
        every = [Balance(balance_name="balance"), TasksInPool(used.id, tasks_name="tasks")]
        bind_client(every, kit)
        told: asyncio.Queue = asyncio.Queue()
        collecting = asyncio.ensure_future(MetricCollector(every, told.put_nowait).run())
        collected = {}
        while len(collected) < 2:
            collected |= await asyncio.wait_for(told.get(), 30)
        collecting.cancel()
        return collected

    collected = asyncio.run(run())
    assert collected["tasks"][0][1] == 2
    assert collected["balance"][0][1] > 0
