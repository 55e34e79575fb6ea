"""Every method of toloka-kit's client, at least once, and what it is for.

The last test counts: a method that the platform never heard of fails it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import inspect
import io
import json
import queue
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import toloka.client as toloka
from toloka.async_client import AsyncTolokaClient
from toloka.client import TolokaClient, analytics_request, exceptions
from toloka.client.aggregation import PoolAggregatedSolutionRequest as Aggregation
from toloka.client.message_thread import Folder, MessageThreadReply
from toloka.client.pool.dynamic_overlap_config import DynamicOverlapConfig
from toloka.client.user_restriction import PoolUserRestriction, ProjectUserRestriction

from crowd import Crowd
from objects import expiry, ids, pool, project, task, training, unmixed_pool
from proxy import Proxy
from worker import Worker

LEGACY = re.compile(r"_apps?(_|$)|sync_batch")
"""App projects are ready-made solutions of Toloka's own: a platform of one's own has none."""


def test_requester(kit: TolokaClient) -> None:
    requester = kit.get_requester()
    assert requester.id
    assert requester.balance > 0
    assert requester.public_name


def test_projects(kit: TolokaClient) -> None:
    made = [project(kit, name) for name in ("one", "two", "three")]
    assert [kit.get_project(one.id).public_name for one in made] == ["one", "two", "three"]
    assert made[0].status == toloka.Project.ProjectStatus.ACTIVE

    first = kit.find_projects(id_gte=made[0].id, sort=["id"], limit=2)
    assert (ids(first.items), first.has_more) == (ids(made[:2]), True)
    latest = kit.find_projects(id_gte=made[0].id, sort=["-created", "-id"], limit=1)
    assert ids(latest.items) == [made[2].id]
    # Two pages.
    assert ids(kit.get_projects(id_gte=made[0].id, batch_size=2)) == ids(made)

    changed = made[0]
    changed.public_description = "Look twice."
    assert kit.update_project(changed.id, changed).public_description == "Look twice."
    assert kit.get_project(changed.id).public_description == "Look twice."


def test_a_change_of_a_project_is_major_or_minor(kit: TolokaClient) -> None:
    made = project(kit)
    same = kit.check_update_project_for_major_version_change(made.id, made)
    made.public_description = "Look twice."
    minor = kit.check_update_project_for_major_version_change(made.id, made)
    made.task_spec.output_spec["more"] = toloka.project.StringSpec(required=True)
    major = kit.check_update_project_for_major_version_change(made.id, made)
    levels = [level.value for level in (same, minor, major)]
    assert levels == ["EQUAL", "NON_BREAKING_CHANGE", "BREAKING_CHANGE"]


def test_a_project_is_archived_after_its_pools(kit: TolokaClient) -> None:
    made = project(kit)
    used = pool(kit, project_id=made.id)
    with pytest.raises(exceptions.ApiError) as refused:
        kit.archive_project(made.id)
    assert (refused.value.status_code, refused.value.code) == (409, "UNARCHIVED_POOLS_CONFLICT")
    kit.archive_pool(used.id)
    assert kit.archive_project(made.id).status == toloka.Project.ProjectStatus.ARCHIVED

    other = project(kit)
    operation = kit.archive_project_async(other.id)
    kit.wait_operation(operation)
    assert operation.parameters.project_id == other.id
    assert kit.get_project(other.id).status == toloka.Project.ProjectStatus.ARCHIVED


def test_a_project_is_cloned_with_its_trainings_and_pools(kit: TolokaClient) -> None:
    made = project(kit, quality_control=toloka.quality_control.QualityControl())
    lesson = training(kit, made.id)
    rules = toloka.quality_control.QualityControl()
    rules.training_requirement = toloka.quality_control.QualityControl.TrainingRequirement(
        training_pool_id=lesson.id, training_passing_skill_value=70
    )
    rules.add_action(
        collector=toloka.collectors.SkippedInRowAssignments(),
        conditions=[toloka.conditions.SkippedInRowCount >= 3],
        action=toloka.actions.RestrictionV2(scope="PROJECT", duration=1, duration_unit="DAYS"),
    )
    used = pool(kit, project_id=made.id, quality_control=rules)

    clone = kit.clone_project(made.id)
    assert clone.project.id != made.id
    assert clone.project.public_name == made.public_name
    assert [one.private_name for one in clone.trainings] == [lesson.private_name]
    [copy] = clone.pools
    assert (copy.project_id, copy.private_name) == (clone.project.id, used.private_name)
    assert copy.quality_control.training_requirement.training_pool_id == clone.trainings[0].id
    # Statistics go on in the clone, unless they are not to.
    collectors = [one.quality_control.configs[0].collector_config.uuid for one in (used, copy)]
    assert collectors[0] == collectors[1]
    [separate] = kit.clone_project(made.id, reuse_controllers=False).pools
    assert separate.quality_control.configs[0].collector_config.uuid != collectors[0]


def test_pools(kit: TolokaClient) -> None:
    project_id = project(kit).id
    made = [pool(kit, project_id=project_id, private_name=name) for name in ("one", "two", "three")]
    assert kit.get_pool(made[1].id).private_name == "two"
    assert made[1].is_closed()

    first = kit.find_pools(project_id=project_id, sort=["id"], limit=2)
    assert (ids(first.items), first.has_more) == (ids(made[:2]), True)
    assert ids(kit.get_pools(project_id=project_id, status="CLOSED", batch_size=1)) == ids(made)
    assert ids(kit.get_pools(project_id=project_id, status="OPEN")) == []

    changed = made[0]
    changed.private_name, changed.reward_per_assignment = "first", 0.05
    changed = kit.update_pool(changed.id, changed)
    assert (changed.private_name, changed.reward_per_assignment) == ("first", 0.05)
    assert kit.patch_pool(changed.id, priority=30).priority == 30


def test_a_pool_is_opened_and_closed(kit: TolokaClient) -> None:
    used = pool(kit, tasks=1)
    opened = kit.open_pool(used.id)
    assert opened.is_open() and opened.last_started
    # Open already: the platform answers that there is nothing to do.
    assert kit.open_pool_async(used.id) is None
    assert kit.open_pool(used.id).is_open()
    with pytest.raises(exceptions.ApiError) as refused:
        kit.update_pool(used.id, opened)
    assert refused.value.status_code == 409

    closed = kit.close_pool(used.id)
    assert closed.is_closed() and closed.last_close_reason == toloka.Pool.CloseReason.MANUAL
    assert kit.close_pool_async(used.id) is None
    operation = kit.wait_operation(kit.open_pool_async(used.id))
    assert operation.is_completed() and operation.parameters.pool_id == used.id
    kit.wait_operation(kit.close_pool_async(used.id))
    assert kit.get_pool(used.id).is_closed()


def test_a_pool_is_closed_for_update(kit: TolokaClient) -> None:
    used = pool(kit, tasks=1)
    for close in (kit.close_pool_for_update, lambda id: kit.wait_operation(kit.close_pool_for_update_async(id))):
        kit.open_pool(used.id)
        close(used.id)
        closed = kit.get_pool(used.id)
        assert closed.is_closed() and closed.last_close_reason == toloka.Pool.CloseReason.FOR_UPDATE
        closed.private_name += "!"
        kit.update_pool(used.id, closed)


def test_an_empty_pool_is_not_opened(kit: TolokaClient) -> None:
    with pytest.raises(exceptions.ApiError) as refused:
        kit.open_pool(pool(kit).id)
    assert (refused.value.status_code, refused.value.code) == (409, "EMPTY_POOL")


def test_a_pool_is_archived_for_good(kit: TolokaClient) -> None:
    used, other = pool(kit, tasks=1), pool(kit)
    assert kit.archive_pool(used.id).is_archived()
    with pytest.raises(exceptions.ApiError) as refused:
        kit.open_pool(used.id)
    assert refused.value.code == "INAPPROPRIATE_STATUS"
    assert refused.value.status_code == 409
    kit.wait_operation(kit.archive_pool_async(other.id))
    assert kit.get_pool(other.id).is_archived()


def test_a_pool_is_cloned_without_its_tasks(kit: TolokaClient) -> None:
    used = pool(kit, tasks=2, private_comment="to be cloned", priority=7)
    clone = kit.clone_pool(used.id)
    assert clone.id != used.id and clone.is_closed()
    assert (clone.project_id, clone.private_comment, clone.priority) == (used.project_id, "to be cloned", 7)
    assert clone.mixer_config == used.mixer_config
    assert ids(kit.get_tasks(pool_id=clone.id)) == []
    operation = kit.wait_operation(kit.clone_pool_async(used.id))
    assert operation.details.pool_id not in (used.id, clone.id)


def test_trainings(kit: TolokaClient) -> None:
    project_id = project(kit).id
    made = [training(kit, project_id, name) for name in ("one", "two", "three")]
    assert kit.get_training(made[2].id).private_name == "three"
    first = kit.find_trainings(project_id=project_id, sort=["id"], limit=2)
    assert (ids(first.items), first.has_more) == (ids(made[:2]), True)
    assert ids(kit.get_trainings(project_id=project_id, batch_size=2)) == ids(made)
    # They are no pools in lists, but each can be read as one.
    assert ids(kit.get_pools(project_id=project_id)) == []
    assert kit.get_pool(made[0].id).type == toloka.Pool.Type.TRAINING

    changed = made[0]
    changed.private_name = "first"
    assert kit.update_training(changed.id, changed).private_name == "first"


def test_a_training_lives_like_a_pool(kit: TolokaClient) -> None:
    lesson = training(kit, project(kit).id)
    known = toloka.task.BaseTask.KnownSolution(output_values={"result": "OK"})
    kit.create_task(task(lesson.id, 1, known_solutions=[known], message_on_unknown_solution="It is OK."))
    assert kit.open_training(lesson.id).is_open()
    assert kit.close_training(lesson.id).is_closed()
    kit.wait_operation(kit.open_training_async(lesson.id))
    assert kit.open_training_async(lesson.id) is None
    kit.wait_operation(kit.close_training_async(lesson.id))
    assert kit.get_training(lesson.id).is_closed()

    assert kit.archive_training(lesson.id).is_archived()
    other = training(kit, lesson.project_id)
    kit.wait_operation(kit.archive_training_async(other.id))
    assert kit.get_training(other.id).is_archived()


def test_a_training_is_cloned(kit: TolokaClient) -> None:
    lesson = training(kit, project(kit).id)
    clone = kit.clone_training(lesson.id)
    assert clone.id != lesson.id
    assert (clone.project_id, clone.training_tasks_in_task_suite_count) == (lesson.project_id, 1)
    operation = kit.wait_operation(kit.clone_training_async(lesson.id))
    assert operation.details.training_id not in (lesson.id, clone.id)


def test_tasks(kit: TolokaClient, crowd: Crowd) -> None:
    used = pool(kit)
    one = kit.create_task(task(used.id, 0, overlap=2))
    assert (one.overlap, one.remaining_overlap, one.infinite_overlap) == (2, 2, False)
    many = kit.create_tasks([task(used.id, n) for n in range(1, 121)], allow_defaults=True)
    assert set(many.items) == {str(n) for n in range(120)}
    assert many.items["7"].input_values == {"image": "8.png"}
    assert kit.get_task(one.id).input_values == {"image": "0.png"}

    seen = len(crowd.proxy.seen)
    every = list(kit.get_tasks(pool_id=used.id, batch_size=50))
    assert [one.input_values["image"] for one in every] == [f"{n}.png" for n in range(121)]
    assert ids(every) == sorted(ids(every))
    assert len(crowd.proxy.seen) == seen + 3
    assert ids(kit.find_tasks(pool_id=used.id, overlap_gt=1).items) == [one.id]

    patch = toloka.task.TaskPatch(infinite_overlap=True, overlap=None)
    assert kit.patch_task(one.id, patch).infinite_overlap is True
    patched = kit.patch_task_overlap_or_min(every[-1].id, overlap=0)
    assert (patched.overlap, patched.remaining_overlap) == (0, 0)


def test_invalid_tasks_are_told_by_field(kit: TolokaClient) -> None:
    used = pool(kit)
    tasks = [task(used.id, 1), toloka.Task(pool_id=used.id, input_values={"picture": "2.png"}), task(used.id, 3)]
    for mode in (True, False):
        some = kit.create_tasks(tasks, allow_defaults=True, skip_invalid_items=True, async_mode=mode)
        assert set(some.items) == {"0", "2"}
        assert set(some.validation_errors["1"]) == {"input_values.image", "input_values.picture"}
    before = ids(kit.get_tasks(pool_id=used.id))
    for mode in (True, False):
        with pytest.raises(exceptions.ValidationApiError) as refused:
            kit.create_tasks(tasks, allow_defaults=True, async_mode=mode)
        assert refused.value.payload.keys() == {"1"}
        assert set(refused.value.payload["1"]) == {"input_values.image", "input_values.picture"}
    assert ids(kit.get_tasks(pool_id=used.id)) == before


def test_operations(kit: TolokaClient) -> None:
    used = pool(kit)
    asked = toloka.task.CreateTasksParameters(operation_id=uuid.uuid4(), allow_defaults=True)
    operation = kit.create_tasks_async([task(used.id, n) for n in range(3)], asked)
    assert operation.id == str(asked.operation_id)
    assert operation.type == toloka.operations.OperationType.TASK_BATCH_CREATE
    done = kit.wait_operation(operation)
    assert (done.status, done.progress) == (toloka.operations.Operation.Status.SUCCESS, 100)
    assert done.details["success_count"] == 3
    # Who does not know yet that it is done asks.
    done.status = toloka.operations.Operation.Status.RUNNING
    assert kit.wait_operation(done, disable_progress=True).is_completed()
    assert kit.get_operation(operation.id).id == operation.id

    log = kit.get_operation_log(operation.id)
    assert [(line.type, line.success, line.input["pool_id"]) for line in log] == [("TASK_CREATE", True, used.id)] * 3
    assert {line.output["task_id"] for line in log} == set(ids(kit.get_tasks(pool_id=used.id)))

    # The same once more: the kit sees that it is there already, and nothing is made twice.
    again = kit.create_tasks_async([task(used.id, n) for n in range(3)], asked)
    assert again.id == operation.id
    assert len(list(kit.get_tasks(pool_id=used.id))) == 3

    kinds = {"type": ["TASK.BATCH_CREATE"], "status": ["SUCCESS"]}
    latest = kit.find_operations(**kinds, sort=["-submitted"], limit=1)
    assert [one.type for one in latest.items] == [operation.type]
    assert operation.id in ids(kit.get_operations(**kinds, batch_size=500))


def test_task_suites(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    used = kit.create_pool(
        unmixed_pool(project(kit).id, assignments_issuing_config={"issue_task_suites_in_creation_order": True})
    )

    def suite(*numbers: int, **more: object) -> toloka.TaskSuite:
        tasks = [toloka.task.BaseTask(input_values={"image": f"{n}.png"}) for n in numbers]
        return toloka.TaskSuite(pool_id=used.id, tasks=tasks, **more)

    with pytest.raises(exceptions.ApiError) as refused:
        kit.create_task(task(used.id, 1, overlap=1), async_mode=False)
    assert refused.value.code == "MIXER_CONFIG_REQUIRED"

    first = kit.create_task_suite(suite(1, 2, overlap=2))
    assert (first.overlap, first.remaining_overlap, len(first.tasks)) == (2, 2, 2)
    more = kit.create_task_suites([suite(3), suite(4, 5, issuing_order_override=10)], allow_defaults=True)
    assert set(more.items) == {"0", "1"}
    operation = kit.wait_operation(kit.create_task_suites_async([suite(6)], allow_defaults=True))
    assert operation.details["success_count"] == 1

    every = list(kit.get_task_suites(pool_id=used.id, batch_size=3))
    assert [len(one.tasks) for one in every] == [2, 1, 2, 1]
    found = kit.find_task_suites(pool_id=used.id, task_id=first.tasks[1].id)
    assert ids(found.items) == [first.id]
    assert kit.get_task_suite(first.id).tasks[0].input_values == {"image": "1.png"}

    assert kit.patch_task_suite(every[-1].id, overlap=4).remaining_overlap == 4
    lowered = kit.patch_task_suite_overlap_or_min(every[-1].id, overlap=0)
    assert lowered.overlap == 0
    kit.open_pool(used.id)
    page = new_worker().take(used.id)
    assert [one["input_values"]["image"] for one in page["tasks"]] == ["4.png", "5.png"], "the highest order goes first"


def test_assignments(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    used = pool(kit, tasks=4, auto_accept_solutions=False, auto_accept_period_day=3)
    kit.open_pool(used.id)
    worker = new_worker()
    pages = [worker.work(used.id, result=label) for label in ("OK", "BAD", "OK")]
    assert ids(kit.get_assignments(pool_id=used.id, batch_size=2)) == pages
    first = kit.find_assignments(pool_id=used.id, status=["SUBMITTED"], user_id=worker.id, sort=["-submitted"], limit=2)
    assert (len(first.items), first.has_more) == (2, True)

    page = kit.get_assignment(pages[1])
    assert (page.status, page.user_id, page.reward) == (toloka.Assignment.SUBMITTED, worker.id, Decimal("0.02"))
    assert page.solutions[0].output_values == {"result": "BAD"}

    assert kit.accept_assignment(pages[0], "Well done.").status == toloka.Assignment.ACCEPTED
    rejected = kit.reject_assignment(pages[1], "It is fine.")
    assert (rejected.status, rejected.public_comment) == (toloka.Assignment.REJECTED, "It is fine.")
    patched = kit.patch_assignment(pages[1], status="ACCEPTED", public_comment="On second thoughts, it is not.")
    assert patched.status == toloka.Assignment.ACCEPTED
    with pytest.raises(exceptions.ApiError) as refused:
        kit.reject_assignment(pages[1], "No.")
    assert (refused.value.status_code, refused.value.code) == (409, "INAPPROPRIATE_STATUS")

    skipped = worker.take(used.id)
    worker.skip(skipped)
    assert kit.get_assignment(skipped["id"]).status == toloka.Assignment.SKIPPED
    table = kit.get_assignments_df(used.id, status=["APPROVED", "SUBMITTED", "SKIPPED"])
    states = dict(zip(table["ASSIGNMENT:assignment_id"], table["ASSIGNMENT:status"], strict=True))
    assert states == {pages[0]: "APPROVED", pages[1]: "APPROVED", pages[2]: "SUBMITTED", skipped["id"]: "SKIPPED"}
    assert list(table["OUTPUT:result"].fillna("")) == ["OK", "BAD", "OK", ""]
    assert set(kit.get_assignments_df(used.id)["ASSIGNMENT:status"]) == {"APPROVED"}
    # None asked for is all.
    assert set(kit.get_assignments_df(used.id, status=[])["ASSIGNMENT:assignment_id"]) == set(states)


def test_skills(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    prefix = f"skill {uuid.uuid4()}"
    made = [
        kit.create_skill(name=f"{prefix} {n}", hidden=True, public_requester_description={"EN": "x"}) for n in range(3)
    ]
    assert kit.get_skill(made[0].id).name == f"{prefix} 0"
    assert ids(kit.find_skills(name=f"{prefix} 1").items) == [made[1].id]
    assert ids(kit.get_skills(id_gte=made[0].id, batch_size=2)) == ids(made)
    made[0].private_comment = "changed"
    assert kit.update_skill(made[0].id, made[0]).private_comment == "changed"

    workers = [new_worker() for _ in range(3)]
    given = [kit.set_user_skill(skill_id=made[0].id, user_id=one.id, value=Decimal("72.55")) for one in workers]
    assert (given[0].value, given[0].exact_value) == (73, Decimal("72.55"))
    assert kit.get_user_skill(given[0].id).user_id == workers[0].id
    found = kit.find_user_skills(skill_id=made[0].id, user_id=workers[1].id)
    assert ids(found.items) == [given[1].id]
    assert set(ids(kit.get_user_skills(skill_id=made[0].id, batch_size=2))) == set(ids(given))
    again = kit.set_user_skill(skill_id=made[0].id, user_id=workers[0].id, value=Decimal(10))
    assert (again.id, again.value) == (given[0].id, 10)
    kit.delete_user_skill(given[0].id)
    with pytest.raises(exceptions.DoesNotExistApiError):
        kit.get_user_skill(given[0].id)


def test_a_skill_lets_in(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    skill = kit.create_skill(name=f"skill {uuid.uuid4()}", hidden=True, public_requester_description={"EN": "x"})
    used = pool(kit, tasks=1, filter=toloka.filter.Skill(skill.id) >= 80)
    kit.open_pool(used.id)
    worker = new_worker()
    assert worker.take(used.id) is None
    kit.set_user_skill(skill_id=skill.id, user_id=worker.id, value=Decimal(80))
    assert worker.take(used.id)


def test_restrictions(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    used = pool(kit, tasks=2)
    kit.open_pool(used.id)
    worker = new_worker()
    ban = kit.set_user_restriction(PoolUserRestriction(user_id=worker.id, pool_id=used.id, private_comment="too fast"))
    assert worker.take(used.id) is None
    assert kit.get_user_restriction(ban.id).private_comment == "too fast"
    until = expiry().replace(microsecond=0)
    wide = kit.set_user_restriction(
        ProjectUserRestriction(user_id=worker.id, project_id=used.project_id, will_expire=until)
    )
    assert wide.will_expire.replace(tzinfo=until.tzinfo) == until
    found = kit.find_user_restrictions(user_id=worker.id, scope="POOL")
    assert ids(found.items) == [ban.id]
    assert set(ids(kit.get_user_restrictions(user_id=worker.id, batch_size=1))) == {ban.id, wide.id}
    for one in (ban, wide):
        assert worker.take(used.id) is None
        kit.delete_user_restriction(one.id)
    assert worker.take(used.id)


def test_workers_are_known_by_their_profile(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    worker = new_worker()
    user = kit.get_user(worker.id)
    assert (user.id, user.country, user.languages) == (worker.id, "DE", ["EN"])


def test_bonuses(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    used = pool(kit, tasks=1)
    kit.open_pool(used.id)
    worker = new_worker()
    page = worker.work(used.id, result="OK")
    before = kit.get_requester().balance

    def bonus(cents: int, **more: object) -> toloka.UserBonus:
        title, message = {"EN": "Thank you"}, {"EN": "For all the work."}
        return toloka.UserBonus(
            user_id=worker.id, amount=Decimal(cents) / 100, public_title=title, public_message=message, **more
        )

    one = kit.create_user_bonus(bonus(5, assignment_id=page, private_comment="good"))
    assert (one.amount, one.assignment_id) == (Decimal("0.05"), page)
    some = kit.create_user_bonuses([bonus(10), bonus(100_000), bonus(20)], skip_invalid_items=True)
    assert {index: made.amount for index, made in some.items.items()} == {"0": Decimal("0.1"), "2": Decimal("0.2")}
    assert set(some.validation_errors["1"]) == {"amount"}
    operation = kit.wait_operation(kit.create_user_bonuses_async([bonus(1), bonus(2)]))
    assert operation.details.success_count == 2

    assert kit.get_user_bonus(one.id).private_comment == "good"
    assert ids(kit.find_user_bonuses(assignment_id=page).items) == [one.id]
    paid = [made.amount for made in kit.get_user_bonuses(user_id=worker.id, batch_size=2)]
    assert paid == [Decimal(cents) / 100 for cents in (5, 10, 20, 1, 2)]
    assert before - kit.get_requester().balance == sum(paid)


def test_attachments(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    output = {"photo": toloka.project.FileSpec()}
    used = pool(kit, tasks=2, project_id=project(kit, output=output).id)
    kit.open_pool(used.id)
    worker = new_worker()
    for content in (b"\x00first\xff", b"second"):
        page = worker.take(used.id)
        worker.submit(page, result="OK", photo=worker.upload(page, "a photo.txt", content))

    made = list(kit.get_attachments(pool_id=used.id, batch_size=1))
    assert [one.name for one in made] == ["a photo.txt"] * 2
    [last] = kit.find_attachments(assignment_id=page["id"]).items
    assert (last.id, last.details.user_id, last.details.assignment_id) == (made[1].id, worker.id, page["id"])
    assert kit.get_attachment(made[0].id).details.pool_id == used.id
    assert kit.get_assignment(page["id"]).solutions[0].output_values["photo"] == last.id
    file = io.BytesIO()
    kit.download_attachment(made[0].id, file)
    assert file.getvalue() == b"\x00first\xff"


def test_messages(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    worker = new_worker()
    thread = kit.compose_message_thread(
        recipients_select_type="DIRECT",
        recipients_ids=[worker.id],
        topic={"EN": "Thank you"},
        text={"EN": "For all the work."},
        answerable=True,
    )
    assert thread.topic == {"EN": "Thank you"} and thread.answerable
    assert thread.messages[0].text == {"EN": "For all the work."} and thread.messages[0].from_.myself
    assert Folder.OUTBOX in thread.folders
    answered = kit.reply_message_thread(thread.id, MessageThreadReply(text={"EN": "And there is more."}))
    assert [one.text["EN"] for one in answered.messages] == ["And there is more.", "For all the work."]

    important = kit.add_message_thread_to_folders(thread.id, [Folder.IMPORTANT])
    assert Folder.IMPORTANT in important.folders
    assert thread.id in ids(kit.find_message_threads(folder=[Folder.IMPORTANT], limit=300).items)
    plain = kit.remove_message_thread_from_folders(thread.id, [Folder.IMPORTANT])
    assert Folder.IMPORTANT not in plain.folders
    assert thread.id not in ids(kit.find_message_threads(folder=[Folder.IMPORTANT], limit=300).items)
    others = [
        kit.compose_message_thread(
            recipients_select_type="DIRECT",
            recipients_ids=[worker.id],
            topic={"EN": "x"},
            text={"EN": "y"},
            answerable=False,
        )
        for _ in range(2)
    ]
    listed = ids(kit.get_message_threads(folder=["OUTBOX"], batch_size=1))
    assert [one for one in listed if one in {thread.id, *ids(others)}] == [thread.id, *ids(others)]


def weights(kit: TolokaClient, *skilled: tuple[Worker, int]) -> str:
    """A skill that says how much each worker's answers weigh."""
    skill = kit.create_skill(name=f"weight {uuid.uuid4()}", hidden=True, public_requester_description={"EN": "x"})
    for worker, value in skilled:
        kit.set_user_skill(skill_id=skill.id, user_id=worker.id, value=Decimal(value))
    return skill.id


def test_dynamic_overlap_asks_until_it_is_sure(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    """The example of Toloka's documentation, to its last figure."""
    ok, bad, sure = [new_worker() for _ in range(3)]
    skill_id = weights(kit, (ok, 70), (bad, 90), (sure, 80))
    config = DynamicOverlapConfig(
        type="BASIC",
        max_overlap=5,
        min_confidence=0.95,
        answer_weight_skill_id=skill_id,
        fields=[DynamicOverlapConfig.Field(name="result")],
    )
    used = pool(kit, tasks=1, dynamic_overlap_config=config, auto_close_after_complete_delay_seconds=0)
    [asked] = kit.get_tasks(pool_id=used.id)
    kit.open_pool(used.id)

    def by_task() -> tuple[str, float]:
        fields = [toloka.aggregation.WeightedDynamicOverlapTaskAggregatedSolutionRequest.Field(name="result")]
        answer = kit.aggregate_solutions_by_task(
            toloka.aggregation.WeightedDynamicOverlapTaskAggregatedSolutionRequest(
                pool_id=used.id, task_id=asked.id, answer_weight_skill_id=skill_id, fields=fields
            )
        )
        assert (answer.pool_id, answer.task_id) == (used.id, asked.id)
        return answer.output_values["result"], round(answer.confidence, 3)

    ok.work(used.id, result="OK")
    assert by_task() == ("OK", 0.7)
    bad.work(used.id, result="BAD")
    assert by_task() == ("BAD", 0.761)
    assert kit.get_pool(used.id).is_open()
    sure.work(used.id, result="BAD")
    assert by_task() == ("BAD", 0.962)
    assert kit.get_pool(used.id).last_close_reason == toloka.Pool.CloseReason.COMPLETED

    request = {"type": "WEIGHTED_DYNAMIC_OVERLAP", "pool_id": used.id, "answer_weight_skill_id": skill_id}
    operation = kit.aggregate_solutions_by_pool(**request, fields=[Aggregation.Field(name="result")])
    [solution] = kit.get_aggregated_solutions(kit.wait_operation(operation).id)
    assert (solution.task_id, solution.output_values, round(solution.confidence, 3)) == (
        asked.id,
        {"result": "BAD"},
        0.962,
    )


def test_a_pool_is_aggregated(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    used = pool(
        kit,
        tasks=3,
        defaults=toloka.Pool.Defaults(default_overlap_for_new_tasks=3, default_overlap_for_new_task_suites=3),
    )
    kit.open_pool(used.id)
    for label in ("OK", "OK", "BAD"):
        worker = new_worker()
        for _ in range(3):
            worker.work(used.id, result=label)
    request = {"type": "DAWID_SKENE", "pool_id": used.id, "fields": [Aggregation.Field(name="result")]}
    operation = kit.wait_operation(kit.aggregate_solutions_by_pool(**request))
    assert operation.is_completed()
    first = kit.find_aggregated_solutions(operation.id, limit=2, sort=["task_id"])
    assert (len(first.items), first.has_more) == (2, True)
    # The kit's get_… would page by id; solutions have none, so it pages by task.
    every = list(kit.get_aggregated_solutions(operation.id, batch_size=2))
    assert [one.task_id for one in every] == ids(kit.get_tasks(pool_id=used.id))
    assert [one.output_values for one in every] == [{"result": "OK"}] * 3
    assert all(0.5 < one.confidence <= 1 for one in every)


FIGURES = {
    "RealTasksCount": 3,
    "SubmittedAssignmentsCount": 2,
    "SkippedAssignmentsCount": 1,
    "RejectedAssignmentsCount": 0,
    "ApprovedAssignmentsCount": 2,
    "CompletionPercentage": 66,
    "AvgSubmitAssignmentMillis": None,
    "SpentBudget": Decimal("0.04"),
    "UniqueWorkersCount": 2,
    "UniqueSubmittersCount": 1,
    "ActiveWorkersByFilterCount": 2,
    "EstimatedAssignmentsCount": 3,
}
"""What a pool of three tasks says after one worker did two and another skipped one."""


def test_analytics(kit: TolokaClient, new_worker: Callable[[], Worker]) -> None:
    classes = {
        name.removesuffix("PoolAnalytics"): kind
        for name, kind in vars(analytics_request).items()
        if name.endswith("PoolAnalytics")
    }
    assert set(classes) == set(FIGURES)
    workers = [new_worker(), new_worker()]
    # A skill that nobody else has makes these two the only ones whom the filter lets in.
    skill_id = weights(kit, *[(worker, 1) for worker in workers])
    used = pool(kit, tasks=3, filter=toloka.filter.Skill(skill_id) >= 1)
    kit.open_pool(used.id)
    for _ in range(2):
        workers[0].work(used.id, result="OK")
    workers[1].skip(workers[1].take(used.id))

    more = {"ActiveWorkersByFilterCount": {"interval_hours": 1}}
    asked = [kind(subject_id=used.id, **more.get(name, {})) for name, kind in classes.items()]
    operation = kit.wait_operation(kit.get_analytics(asked))
    answered = {name: value["result"] for name, value in zip(classes, operation.details["value"], strict=True)}
    percentage = answered["CompletionPercentage"]
    assert percentage["type"] == "NORMAL"
    answered["CompletionPercentage"] = percentage["value"]
    assert answered.pop("AvgSubmitAssignmentMillis") >= 0
    assert answered == {name: value for name, value in FIGURES.items() if value is not None}


@pytest.fixture
def receiver() -> Iterator[tuple[str, queue.Queue]]:
    """A server that keeps what webhooks bring: headers and raw body."""
    received: queue.Queue = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            received.put((self.headers, body))

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", received
    server.shutdown()


def test_webhooks(kit: TolokaClient, new_worker: Callable[[], Worker], receiver: tuple[str, queue.Queue]) -> None:
    url, received = receiver
    used = pool(kit, tasks=1)
    form = {"webhook_url": url, "pool_id": used.id, "secret_key": "a secret"}
    made = kit.upsert_webhook_subscriptions(
        [
            {**form, "event_type": "POOL_CLOSED"},
            {**form, "event_type": "ASSIGNMENT_APPROVED"},
            {**form, "event_type": "POOL_CLOSED", "webhook_url": "no address"},
        ]
    )
    assert set(made.items) == {"0", "1"}
    assert set(made.validation_errors["2"]) == {"webhook_url"}
    closed = made.items["0"]
    assert kit.get_webhook_subscription(closed.id).webhook_url == url
    assert kit.get_webhook_subscription(closed.id).secret_key is None
    assert ids(kit.find_webhook_subscriptions(pool_id=used.id, event_type="POOL_CLOSED").items) == [closed.id]
    every = kit.get_webhook_subscriptions(pool_id=used.id, batch_size=1)
    assert set(ids(every)) == set(ids(made.items.values()))
    # The same once more is the same.
    again = kit.upsert_webhook_subscriptions([{**form, "event_type": "POOL_CLOSED"}])
    assert again.items["0"].id == closed.id

    kit.open_pool(used.id)
    page = new_worker().work(used.id, result="OK")
    events = {}
    while len(events) < 2:
        headers, body = received.get(timeout=30)
        told = re.fullmatch(r"\{v=1, ts=(\d+), sign=([0-9a-f]{64})\}", headers["Toloka-Signature"])
        message = f"{told[1]}.1.".encode() + body
        assert told[2] == hmac.new(b"a secret", message, hashlib.sha256).hexdigest()
        events |= {event["type"]: event for event in json.loads(body)["events"]}
    assert events["ASSIGNMENT_APPROVED"]["assignment_id"] == page
    assert events["POOL_CLOSED"]["close_reason"] == "COMPLETED"
    assert events["POOL_CLOSED"]["webhook_subscription_id"] == closed.id

    kit.delete_webhook_subscription(closed.id)
    with pytest.raises(exceptions.DoesNotExistApiError):
        kit.get_webhook_subscription(closed.id)


def test_app_projects_are_told_to_be_nowhere(kit: TolokaClient) -> None:
    with pytest.raises(exceptions.ApiError) as refused:
        kit.find_app_projects()
    assert (refused.value.status_code, refused.value.code) == (404, "DOES_NOT_EXIST")


def test_the_async_client(crowd: Crowd) -> None:
    async def run() -> None:
        proxy = Proxy(crowd.port)
        kit = AsyncTolokaClient(crowd.key, url=proxy.url)
        sync = TolokaClient(crowd.key, url=proxy.url)
        used = pool(sync)
        made = await kit.create_tasks([task(used.id, n) for n in range(60)], allow_defaults=True)
        assert len(made.items) == 60
        listed = [one async for one in kit.get_tasks(pool_id=used.id, batch_size=25)]
        assert [one.input_values["image"] for one in listed] == [f"{n}.png" for n in range(60)]
        await kit.open_pool(used.id)
        opened, requester = await asyncio.gather(kit.get_pool(used.id), kit.get_requester())
        assert opened.is_open() and requester.balance > 0
        operation = await kit.wait_operation(await kit.close_pool_async(used.id))
        assert operation.is_completed()

    asyncio.run(run())


def test_every_method_was_called(crowd: Crowd, request: pytest.FixtureRequest) -> None:
    here = sum(1 for name in globals() if name.startswith("test_"))
    if len([item for item in request.session.items if item.module is request.module]) < here:
        pytest.skip("only some of the tests ran")
    methods = {name for name, _ in inspect.getmembers(TolokaClient, inspect.isfunction) if not name.startswith("_")}
    expected = {name for name in methods if not LEGACY.search(name)}
    assert len(expected) > 100
    called = {seen.caller for seen in crowd.proxy.seen}
    assert sorted(expected - called) == []
