"""Blood cells with a training, an exam and a main pool: only who can do it works, and who stops trying is out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pandas
import pytest
import toloka.client as toloka
import toloka.client.project.template_builder as tb
from crowdkit.aggregation import DawidSkene
from toloka.client import TolokaClient, conditions
from toloka.client.collectors import AssignmentSubmitTime, GoldenSet

from conftest import DEMO
from crowd import Crowd
from objects import expiry
from scripts import ban, wait_pool

CELLS = {"NEUTROPHIL": "neutrophil", "EOSINOPHIL": "eosinophil", "LYMPHOCYTE": "lymphocyte", "MONOCYTE": "monocyte"}
OVERLAP = 5
FAST_EXAM = timedelta(seconds=40)
FAST_PAGE = timedelta(seconds=25)
"""Ten cells take the fastest honest worker half a minute, fifteen three quarters."""


def skill(client: TolokaClient, name: str) -> toloka.Skill:
    """The skill of this name, made if it is not there."""
    found = next(client.get_skills(name=name), None)
    return found or client.create_skill(name=name, hidden=True, public_requester_description={"EN": name})


def known(pool_id: str, image: Path, **more: str) -> toloka.Task:
    """A task whose label is the image's folder, given to as many workers as there are."""
    return toloka.Task(
        pool_id=pool_id,
        input_values={"image": str(image.relative_to(DEMO))},
        known_solutions=[toloka.task.BaseTask.KnownSolution(output_values={"result": image.parent.name})],
        infinite_overlap=True,
        **more,
    )


def images(part: str) -> list[Path]:
    return sorted(DEMO.glob(f"{part}/*/*"))


@dataclass
class Cells:
    """What there is when the main pool is done."""

    client: TolokaClient
    exam_skill: str
    quality_skill: str
    training: str
    training_skill: str
    exam: str
    main: str

    def pages(self, pool_id: str) -> list[toloka.Assignment]:
        """What was handed in."""
        return [page for page in self.client.get_assignments(pool_id=pool_id) if page.submitted]

    def answers(self) -> pandas.DataFrame:
        return self.client.get_assignments_df(self.main)

    def bans(self) -> dict[str, toloka.user_restriction.UserRestriction]:
        """By worker; nobody can be banned twice who is banned for good."""
        project = self.client.get_pool(self.main).project_id
        every = [one for one in self.client.get_user_restrictions(scope="PROJECT") if one.project_id == project]
        bans = {one.user_id: one for one in every}
        assert len(bans) == len(every)
        return bans

    def skills(self, skill_id: str) -> dict[str, float]:
        return {one.user_id: float(one.exact_value) for one in self.client.get_user_skills(skill_id=skill_id)}


def project(client: TolokaClient) -> toloka.Project:
    choice = tb.fields.ButtonRadioGroupFieldV1(
        tb.data.OutputData("result"),
        [tb.fields.GroupFieldOption(value, label) for value, label in CELLS.items()],
        validation=tb.conditions.RequiredConditionV1(),
    )
    view = tb.view.ListViewV1([tb.view.ImageViewV1(tb.data.InputData("image")), choice])
    return client.create_project(
        toloka.Project(
            public_name="Which white blood cell is it?",
            public_description="Say which type the cell is that is stained purple.",
            public_instructions="<p>Look at the large cell that is stained purple.</p>",
            task_spec=toloka.project.task_spec.TaskSpec(
                input_spec={"image": toloka.project.StringSpec()},
                output_spec={"result": toloka.project.StringSpec(allowed_values=list(CELLS))},
                view_spec=toloka.project.TemplateBuilderViewSpec(view=view),
            ),
        )
    )


def open_training(client: TolokaClient, project_id: str) -> toloka.Training:
    """Sixteen tasks at fifteen a page: who has done both pages has done all, whatever is asked for."""
    training = client.create_training(
        toloka.Training(
            project_id=project_id,
            private_name="Blood cells: training",
            may_contain_adult_content=False,
            assignment_max_duration_seconds=60 * 20,
            mix_tasks_in_creation_order=False,
            shuffle_tasks_in_task_suite=False,
            training_tasks_in_task_suite_count=15,
            task_suites_required_to_pass=7,
            retry_training_after_days=1,
        )
    )
    samples = [*images("training"), *images("golden")[-6:]]
    assert len(samples) == 16
    client.create_tasks(
        [
            known(training.id, image, message_on_unknown_solution=f"This is a {CELLS[image.parent.name]}.")
            for image in samples
        ],
        allow_defaults=True,
    )
    # A training is a pool, too.
    assert client.open_pool(training.id).is_open()
    return training


def open_exam(client: TolokaClient, training: toloka.Training, exam_skill: str) -> toloka.Pool:
    exam = toloka.Pool(
        project_id=training.project_id,
        private_name="Blood cells: exam",
        may_contain_adult_content=False,
        will_expire=expiry(),
        reward_per_assignment=0,
        assignment_max_duration_seconds=60 * 20,
        defaults=toloka.Pool.Defaults(default_overlap_for_new_task_suites=1),
        type="EXAM",
    )
    exam.set_training_requirement(training_pool_id=training.id, training_passing_skill_value=50)
    exam.set_mixer_config(golden_tasks_count=15)
    exam.quality_control.add_action(
        collector=AssignmentSubmitTime(fast_submit_threshold_seconds=FAST_EXAM.seconds),
        conditions=[conditions.FastSubmittedCount >= 1],
        action=forever("fast in the exam"),
    )
    exam.quality_control.add_action(
        collector=GoldenSet(history_size=15),
        conditions=[conditions.TotalAnswersCount >= 14],
        action=toloka.actions.SetSkillFromOutputField(skill_id=exam_skill, from_field="correct_answers_rate"),
    )
    exam = client.create_pool(exam)
    samples = [*images("exam"), *images("golden")[:3]]
    assert len(samples) == 15
    client.create_tasks([known(exam.id, image) for image in samples])
    assert client.open_pool(exam.id).is_open()
    return exam


def open_main(client: TolokaClient, training: toloka.Training, exam_skill: str, quality_skill: str) -> toloka.Pool:
    profile, passed = toloka.filter, toloka.filter.Skill
    main = toloka.Pool(
        project_id=training.project_id,
        private_name="Blood cells",
        may_contain_adult_content=False,
        will_expire=expiry(),
        reward_per_assignment=0.01,
        assignment_max_duration_seconds=60 * 20,
        defaults=toloka.Pool.Defaults(
            default_overlap_for_new_tasks=OVERLAP, default_overlap_for_new_task_suites=OVERLAP
        ),
        filter=profile.Languages.in_("EN")
        & ((profile.ClientType == "BROWSER") | (profile.ClientType == "TOLOKA_APP"))
        & (passed(exam_skill) >= 80)
        & ((passed(quality_skill) >= 80) | (passed(quality_skill) == None)),  # noqa: E711
    )
    main.set_mixer_config(real_tasks_count=8, golden_tasks_count=2, min_real_tasks_count=1)
    main.quality_control.add_action(
        collector=AssignmentSubmitTime(fast_submit_threshold_seconds=FAST_PAGE.seconds),
        conditions=[conditions.FastSubmittedCount >= 1],
        action=forever("fast"),
    )
    main.quality_control.add_action(
        collector=GoldenSet(),
        conditions=[conditions.GoldenSetCorrectAnswersRate < 80],
        action=forever("control tasks wrong"),
    )
    main.quality_control.add_action(
        collector=GoldenSet(),
        conditions=[conditions.TotalAnswersCount >= 3],
        action=toloka.actions.SetSkillFromOutputField(skill_id=quality_skill, from_field="correct_answers_rate"),
    )
    main = client.create_pool(main)
    control = [known(main.id, image) for image in images("golden")[3:-6]]
    real = [
        toloka.Task(pool_id=main.id, input_values={"image": f"images/{image.name}"})
        for image in sorted((DEMO / "images").iterdir())
    ]
    client.create_tasks([*control, *real], allow_defaults=True)
    return client.open_pool(main.id)


def forever(comment: str) -> toloka.actions.RestrictionV2:
    rule = ban(comment)
    rule.parameters.duration, rule.parameters.duration_unit = None, "PERMANENT"
    return rule


@pytest.fixture(scope="module")
def cells(simulated: Crowd) -> Iterator[Cells]:
    client = TolokaClient(simulated.key, url=simulated.proxy.url)
    exam_skill = skill(client, "Blood cells: exam").id
    quality_skill = skill(client, "Blood cells: quality").id
    assert skill(client, "Blood cells: exam").id == exam_skill
    training = open_training(client, project(client).id)
    exam = open_exam(client, training, exam_skill)
    main = open_main(client, training, exam_skill, quality_skill)
    wait_pool(client, main.id)
    # Their tasks are never used up, so these two are never done.
    for pool_id in (training.id, exam.id):
        assert client.get_pool(pool_id).is_open()
        assert client.close_pool(pool_id).is_closed()
    [training_skill] = [one.id for one in client.get_skills() if one.training and "blood cell" in one.name]
    yield Cells(client, exam_skill, quality_skill, training.id, training_skill, exam.id, main.id)


def test_every_cell_has_its_answers_and_a_label(cells: Cells, truth: dict[str, str]) -> None:
    assert cells.client.get_pool(cells.main).last_close_reason == toloka.Pool.CloseReason.COMPLETED
    answers = cells.answers()
    answers = answers[answers["GOLDEN:result"].isna()]
    answers = answers.rename(
        columns={"INPUT:image": "task", "OUTPUT:result": "label", "ASSIGNMENT:worker_id": "worker"}
    )[["task", "worker", "label"]]
    assert not answers.duplicated(["task", "worker"]).any()
    assert len(set(answers["task"])) == 72
    assert set(answers["task"].value_counts()) == {OVERLAP}
    labels = DawidSkene(n_iter=20).fit_predict(answers)
    right = [label == truth[Path(task).name] for task, label in labels.items()]
    assert sum(right) >= 0.85 * len(right)


def test_only_who_passed_training_and_exam_worked_in_the_main_pool(cells: Cells) -> None:
    trained, passed = cells.skills(cells.training_skill), cells.skills(cells.exam_skill)
    examined = {page.user_id for page in cells.pages(cells.exam)}
    workers = {page.user_id for page in cells.pages(cells.main)}
    assert all(trained[worker] >= 50 for worker in examined)
    assert all(passed[worker] >= 80 for worker in workers)
    assert workers < examined < {page.user_id for page in cells.pages(cells.training)}
    # The exam's skill is the share of right answers.
    for page in cells.pages(cells.exam):
        right = [
            task.known_solutions[0].output_values == answer.output_values
            for task, answer in zip(page.tasks, page.solutions, strict=True)
        ]
        assert passed[page.user_id] == pytest.approx(100 * sum(right) / len(right), abs=1e-3)


def test_the_first_attempt_at_the_training_counts(cells: Cells) -> None:
    answers = cells.client.get_assignments_df(cells.training)
    assert answers["HINT:text"].notna().all()
    first = answers["OUTPUT:result"] == answers["GOLDEN:result"]
    shares = 100 * first.groupby(answers["ASSIGNMENT:worker_id"]).mean()
    assert shares.min() < 50 < shares.max()
    trained = cells.skills(cells.training_skill)
    done = answers["ASSIGNMENT:worker_id"].value_counts()
    for worker in done[done == 16].index:
        assert trained[worker] == pytest.approx(shares[worker], abs=1e-3)
    # But nothing wrong was taken in the end.
    for page in cells.pages(cells.training):
        for task, answer in zip(page.tasks, page.solutions, strict=True):
            assert task.known_solutions[0].output_values == answer.output_values


def control_rates(cells: Cells) -> pandas.Series:
    """By worker: the share of control tasks answered right in the main pool."""
    answers = cells.answers()
    answers = answers[answers["GOLDEN:result"].notna()]
    right = answers["OUTPUT:result"] == answers["GOLDEN:result"]
    return right.groupby(answers["ASSIGNMENT:worker_id"]).mean()


def test_who_was_fast_or_wrong_is_banned_and_nobody_else(cells: Cells) -> None:
    bans = cells.bans()
    fast = {page.user_id for page in cells.pages(cells.exam) if page.submitted - page.created < FAST_EXAM}
    fast |= {page.user_id for page in cells.pages(cells.main) if page.submitted - page.created < FAST_PAGE}
    rates = control_rates(cells)
    wrong = set(rates[rates < 0.8].index)
    assert fast and wrong - fast
    assert set(bans) == fast | wrong
    assert all(one.will_expire is None for one in bans.values())


def test_quality_is_the_share_of_control_tasks_answered_right(cells: Cells) -> None:
    rates, quality = control_rates(cells), cells.skills(cells.quality_skill)
    # The first page has two, the second makes it enough for the rule.
    twice = {worker for worker, pages in Counter(page.user_id for page in cells.pages(cells.main)).items() if pages > 1}
    assert quality.keys() == twice
    for worker, value in quality.items():
        assert value == pytest.approx(100 * rates[worker], abs=1e-3)


def test_a_ban_holds_at_once(cells: Cells) -> None:
    bans = cells.bans()
    for pool_id in (cells.training, cells.exam, cells.main):
        for page in cells.client.get_assignments(pool_id=pool_id):
            if page.user_id in bans:
                assert page.created <= bans[page.user_id].created


def test_every_page_has_two_control_tasks(cells: Cells) -> None:
    for page in cells.pages(cells.main):
        control = [task for task in page.tasks if task.known_solutions]
        assert len(control) == 2
        assert 1 <= len(page.tasks) - len(control) <= 8


def test_what_was_paid_is_what_was_accepted(cells: Cells) -> None:
    request = toloka.analytics_request.SpentBudgetPoolAnalytics(subject_id=cells.main)
    operation = cells.client.wait_operation(cells.client.get_analytics([request]))
    paid = operation.details["value"][0]["result"]
    accepted = [page for page in cells.pages(cells.main) if page.status == toloka.Assignment.ACCEPTED]
    assert {page.reward for page in accepted} == {Decimal("0.01")}
    assert paid == sum(page.reward for page in accepted)
