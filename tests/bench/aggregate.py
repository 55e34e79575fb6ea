#!/usr/bin/env python3
"""What `quorate aggregate` costs, side by side with crowd-kit in the same run.

    tests/bench/aggregate.py [--answers 1e5,1e6,1e7] [--methods dawid-skene,…] [--mode crowd-kit]
    tests/bench/aggregate.py --huge

Synthetic crowds are written to files; each method reads the file, aggregates and writes labels, in
a process of its own. crowd-kit's seconds are without the start of Python and its imports (1 to 2
s), ours are of the whole process. Both use the same rules and number of iterations (crowd-kit's
MACE: one restart, as all are the same), no tolerance, and one thread, ours also two, which must give
the same bytes. Integers are the ids, which is what crowd-kit is fastest with. The best time and the
highest peak memory of some runs count; memory is that of the whole process, but never told below
that of this script (some 17 MB). A run of crowd-kit that should take longer than the limit, by what
fewer answers took, is not started; one that does is stopped.

`--huge` is 10⁸ answers of 4 labels, 20 iterations of Dawid-Skene, by us alone; the exit code is 1
if that takes 8 GB. Linux. crowd-kit is installed under `~/.cache/quorate` (800 MB); the answers are
files below the target folder (2 GB).
"""

import argparse
import filecmp
import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

# (answers, labels, workers)
CROWDS = [
    (10**5, 4, 500),
    (10**5, 100, 500),
    (10**6, 4, 2000),
    (10**7, 4, 10_000),
]
HUGE = (10**8, 4, 50_000)
HUGE_ITERATIONS = 20
HUGE_LIMIT = 3600.0
MOST_HUGE_BYTES = 8e9
OVERLAP = 5

# Method: iterations. One of GLAD's contains up to 25 steps of an optimiser.
METHODS = {
    "majority-vote": 0,
    "dawid-skene": 10,
    "one-coin-dawid-skene": 10,
    "glad": 2,
    "mace": 10,
}

# No run is repeated once all of them took so long together.
ENOUGH_SECONDS = 20.0
CROWD_KIT_BYTES = 12 * 2**30
CROWD_KIT = """
import json, resource, sys, time
import pandas
from crowdkit.aggregation import GLAD, MACE, DawidSkene, MajorityVote, OneCoinDawidSkene

method, iterations, answers, output, memory = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
n_iter, tol = int(iterations), float("-inf")
# By the order of workers its MACE mixes their strategies up: as text, so that we can do the same.
types = {"worker": str} if method == "mace" else None
method = {
    "majority-vote": lambda: MajorityVote(),
    "dawid-skene": lambda: DawidSkene(n_iter=n_iter, tol=tol),
    "one-coin-dawid-skene": lambda: OneCoinDawidSkene(n_iter=n_iter, tol=tol),
    "glad": lambda: GLAD(n_iter=n_iter, tol=tol),
    "mace": lambda: MACE(n_restarts=1, n_iter=n_iter),
}[method]()
seconds = {}

def timed(name, work):
    begun = time.monotonic()
    done = work()
    seconds[name] = time.monotonic() - begun
    return done

table = timed("read", lambda: pandas.read_csv(answers, dtype=types))
labels = timed("aggregate", lambda: method.fit_predict(table))
# As ours are; not counted.
labels = labels.sort_index()
timed("write", lambda: labels.to_csv(output, sep="\\t"))
print(json.dumps({"seconds": seconds}))
"""


# Neither library shares work among threads by itself; those below it might.
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ["OMP", "OPENBLAS", "MKL", "NUMEXPR"]
}


@dataclass
class Run:
    """A command, run once."""

    seconds: float
    megabytes: float
    # The seconds of each part, as the process itself told them.
    told: dict[str, float]
    problem: str
    stopped: bool


@dataclass
class Cost:
    """The best of some runs; with a problem, the seconds until it or those expected."""

    seconds: float
    # The method alone, if that is known.
    aggregating: float | None = None
    megabytes: float = 0.0
    problem: str = ""
    # It would have taken longer.
    stopped: bool = False


@dataclass
class Row:
    crowd: tuple[int, int, int]
    method: str
    iterations: int
    theirs: Cost
    ours: Cost
    ours_on_two: Cost
    # Tasks whose label differs.
    differing: int | None


def tell(text):
    print(text, file=sys.stderr, flush=True)


def build(binary):
    cargo = ["cargo", "build", "--release", "--locked", "--quiet"]
    example = ["--package", "quorate-aggregate", "--example", "synthetic"]
    subprocess.run([*cargo, *example], cwd=ROOT, check=True)
    if binary is None:
        subprocess.run([*cargo, "--package", "quorate-local"], cwd=ROOT, check=True)
    return binary or TARGET / "release" / "quorate"


def generate(crowd, file):
    answers, labels, workers = crowd
    tell(f"{answers:.0e} answers, {labels} labels, {workers} workers")
    settings = {
        "tasks": answers // OVERLAP,
        "answers": OVERLAP,
        "workers": workers,
        "classes": labels,
    }
    command = [TARGET / "release" / "examples" / "synthetic"]
    command += [f"{name}={value}" for name, value in settings.items()]
    subprocess.run([*command, file], check=True)


def run(command, limit):
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begun = time.monotonic()
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, env={**os.environ, **ONE_THREAD}
        )
        # Not `process.wait`: that would leave nothing for `wait4`, which tells the memory.
        ended = os.pidfd_open(process.pid)
        stopped = not select.select([ended], [], [], limit)[0]
        os.close(ended)
        if stopped:
            os.kill(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        problem = ""
        if stopped:
            problem = f"stopped after {limit:.0f} s"
        elif process.returncode != 0:
            problem = f"exit code {process.returncode}: {last_words(errors)}"
        told = re.search(r'"seconds"\s*:\s*(\{[^}]*\})', ends(output))
        return Run(
            seconds,
            usage.ru_maxrss * 1024 / 1e6,
            json.loads(told[1]) if told and not problem else {},
            problem,
            stopped,
        )


def ends(file, size=1 << 16):
    """The beginning and the end of a file, which may be too large to be read."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    text = file.read(size)
    file.seek(max(len(text), length - size))
    return (text + file.read()).decode(errors="replace")


def last_words(errors):
    """The line that says what went wrong: the first of clap's, else the last."""
    lines = [line.strip() for line in ends(errors).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("error")] or lines[-1:]
    return said[0] if said else "nothing said"


def repeat(command, runs, limit):
    """Some runs without a problem, or the one that has one."""
    done = []
    while len(done) < runs and sum(run.seconds for run in done) < ENOUGH_SECONDS:
        last = run(command, limit)
        if last.problem:
            return [last]
        done.append(last)
    return done


def cost(runs, seconds=lambda run: run.seconds):
    """The least time and the most memory."""
    alone = [run.told.get("aggregate") for run in runs]
    return Cost(
        seconds=min(seconds(run) for run in runs),
        aggregating=None if None in alone else min(alone),
        megabytes=max(run.megabytes for run in runs),
        problem=runs[0].problem,
        stopped=runs[0].stopped,
    )


class Bench:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.limit = HUGE_LIMIT if arguments.huge else arguments.limit
        self.binary = build(arguments.binary)
        self.answers = folder / "answers.csv"
        self.our_labels = {threads: folder / f"ours-{threads}.tsv" for threads in (1, 2)}
        self.their_labels = folder / "theirs.tsv"

    def ours(self, method, iterations, threads):
        command = [self.binary, "aggregate", "--method", method, "--threads", str(threads)]
        if iterations:
            command += ["--mode", self.arguments.mode, "--iterations", str(iterations)]
            # crowd-kit's MACE has no tolerance.
            if (method, self.arguments.mode) != ("mace", "crowd-kit"):
                command += ["--tolerance=-inf"]
        command += ["--output", self.our_labels[threads]]
        plain = repeat([*command, self.answers], self.arguments.runs, self.limit)
        found = cost(plain)
        if not found.problem:
            # Apart, as the document may contain all labels.
            telling = repeat([*command, "--json", self.answers], self.arguments.runs, self.limit)
            found.aggregating = cost(telling).aggregating
        return found

    def theirs(self, python, method, iterations):
        arguments = [method, iterations, self.answers, self.their_labels, CROWD_KIT_BYTES]
        command = [python, "-c", CROWD_KIT, *map(str, arguments)]
        runs = repeat(command, self.arguments.runs, self.limit)
        return cost(runs, lambda run: sum(run.told.values()) or run.seconds)

    def differing(self):
        """Of how many tasks the labels differ."""
        with open(self.our_labels[1]) as ours, open(self.their_labels) as theirs:
            # Both are sorted by task, so equal rows are beside each other.
            rows = [(line.split()[:2] for line in file) for file in (ours, theirs)]
            pairs = itertools.islice(itertools.zip_longest(*rows), 1, None)
            return sum(our != their for our, their in pairs)

    def beside_crowd_kit(self):
        """A row for every crowd and method."""
        python = crowd_kit_python()
        rows = []
        for crowd in CROWDS:
            if crowd[0] not in self.arguments.answers:
                continue
            generate(crowd, self.answers)
            for method in self.arguments.methods:
                iterations = METHODS[method]
                tell(f"  {method}")
                ours = self.ours(method, iterations, 1)
                ours_on_two = self.ours(method, iterations, 2)
                expected = self.expected(rows, crowd, method)
                if expected > self.limit:
                    theirs = Cost(expected, problem=f"not run, about {expected:.0f} s expected")
                else:
                    theirs = self.theirs(python, method, iterations)
                both = not ours.problem and not ours_on_two.problem
                if both and not filecmp.cmp(*self.our_labels.values(), shallow=False):
                    sys.exit(f"{method}: two threads do not give the same bytes as one")
                compared = not ours.problem and not theirs.problem
                differing = self.differing() if compared else None
                row = Row(crowd, method, iterations, theirs, ours, ours_on_two, differing)
                rows.append(row)
                told = {"crowd-kit": theirs, "quorate": ours, "two threads": ours_on_two}
                for who, found in told.items():
                    said = found.problem or f"{found.seconds:.3g} s, {found.megabytes:.0f} MB"
                    tell(f"    {who}: {said}")
        return rows

    def expected(self, rows, crowd, method):
        """What crowd-kit should take, if its time grows as the answers do; 0 if nothing is known."""
        answers, labels, _ = crowd
        for row in reversed(rows):
            if (row.crowd[1], row.method) == (labels, method):
                return row.theirs.seconds * answers / row.crowd[0]
        return 0.0

    def huge(self):
        generate(HUGE, self.answers)
        print("| threads | s | the method alone, s | GB |\n|---|---|---|---|")
        most = 0.0
        for threads in (1, 2):
            found = self.ours("dawid-skene", HUGE_ITERATIONS, threads)
            if found.problem:
                sys.exit(found.problem)
            alone = "–" if found.aggregating is None else f"{found.aggregating:.0f}"
            row = f"| {threads} | {found.seconds:.0f} | {alone} | {found.megabytes / 1e3:.2f} |"
            print(row, flush=True)
            most = max(most, found.megabytes * 1e6)
        if most >= MOST_HUGE_BYTES:
            sys.exit(f"over the bar of {MOST_HUGE_BYTES / 1e9:.0f} GB")


def crowd_kit_python():
    made = ROOT / "tests/e2e/venv", ROOT / "tests/bench/requirements-crowd-kit.txt"
    return Path(subprocess.check_output(made, text=True).strip(), "python")


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def power_of_ten(value):
    exponent = str(len(str(value)) - 1)
    return "10" + exponent.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def table(head, lines):
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for line in lines:
        print(f"| {' | '.join(line)} |")
    print()


def report(rows):
    def crowd(row):
        return [power_of_ten(row.crowd[0]), str(row.crowd[1]), row.method]

    def compare(first, *others, value):
        """A cell for every cost, behind each but the first how many times less it is."""
        more = "> " if first.stopped else ""
        known = None if first.problem else value(first)
        if first.stopped and value is total:
            known = first.seconds
        cells = ["–" if known is None else more + number(known)]
        for cost in others:
            ours = None if cost.problem else value(cost)
            cells.append("–" if ours is None else number(ours))
            cells.append("–" if None in (known, ours) else f"{more}{number(known / ours)}×")
        return cells

    def total(cost):
        return cost.seconds

    def alone(cost):
        return cost.aggregating

    def memory(cost):
        return cost.megabytes

    head = ["answers", "labels", "method"]
    seconds = ["crowd-kit, s", "quorate, s", "faster", "2 threads, s", "faster"]
    print("From the file of answers to the file of labels:\n")
    table(
        [*head, *seconds, "crowd-kit, MB", "quorate, MB", "less"],
        [
            crowd(row)
            + compare(row.theirs, row.ours, row.ours_on_two, value=total)
            + compare(row.theirs, row.ours, value=memory)
            for row in rows
        ],
    )
    print("The method alone:\n")
    table(
        [*head, "iterations", *seconds, "labels that differ"],
        [
            [*crowd(row), str(row.iterations or "–")]
            + compare(row.theirs, row.ours, row.ours_on_two, value=alone)
            + ["–" if row.differing is None else str(row.differing)]
            for row in rows
        ],
    )
    where = {}
    for row in rows:
        for who, found in [("crowd-kit", row.theirs), ("quorate", row.ours)]:
            if found.problem:
                answers, labels, method = crowd(row)
                place = f"{method} on {answers} answers of {labels} labels"
                where.setdefault(f"{who}: {found.problem}", []).append(place)
    for what, places in where.items():
        print(f"- {what}: {', '.join(places)}")


def main():
    def numbers(text):
        return [int(float(part)) for part in text.split(",")]

    def names(text):
        unknown = set(text.split(",")) - METHODS.keys()
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown} are none of {', '.join(METHODS)}")
        return text.split(",")

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=numbers, default=[10**5, 10**6, 10**7])
    parser.add_argument("--methods", type=names, default=list(METHODS))
    parser.add_argument("--mode", choices=["default", "crowd-kit"], default="crowd-kit")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds of a run")
    parser.add_argument("--huge", action="store_true")
    parser.add_argument("--binary", type=Path, help="another quorate than what is here, built")
    arguments = parser.parse_args()
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET) as folder:
        bench = Bench(arguments, Path(folder))
        if arguments.huge:
            bench.huge()
        else:
            report(bench.beside_crowd_kit())


if __name__ == "__main__":
    main()
