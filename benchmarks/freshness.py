"""Compares how old the truth is for how many requests: `python benchmarks/freshness.py`.

Ours, round robin and a growing back-off. All data is synthetic, and time is only counted, so that hours take seconds. A
population of jobs is closed: one that is found to have ended is replaced by a new one, whose beginning is known. Our
schedule and budget are the real ones, and durations are learned as the ledger learns them, from nothing. A request is
answered at once.

The bound is the inspection problem's: what nobody can do better who has the same requests on average and knows the
distributions, but not the single job. The others ask all the time: 10 requests a second.
"""

# ruff: noqa: INP001, T201, S311 - a script that prints what it found; no secret depends on its dice
import argparse
import heapq
import math
import statistics
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.inspection_table import plan, survivor
from spexporter.domain.budget import RateLimit, RequestBudget
from spexporter.domain.durations import UNKNOWN, Usual, learned, usual
from spexporter.domain.job import JobKey, Operation
from spexporter.domain.schedule import Outlook, Pace, Schedule, Target, TargetKind

PER_S = 10.0
MEDIANS_S = (30.0, 120.0, 600.0)
OPERATIONS = (Operation.EXPORT, Operation.IMPORT, Operation.BACKUP)  # one for each median
SEEDS = (1, 2, 3)
NEGLIGIBLE = 1e-9
MANY = 1000  # jobs, for which everything takes longer
PACE = Pace(fastest_s=1.0, slowest_s=60.0)


class Case(NamedTuple):
    """A closed population of `jobs` with lognormal durations; what is found before `warm_s` does not count.

    `wrong` medians are believed at first, as if a hundred runs had shown them: 1.0 for none, all begins from nothing.
    """

    sigma: float
    jobs: int
    medians_s: tuple[float, ...] = MEDIANS_S
    warm_s: float = 3000.0
    for_s: float = 9000.0
    per_s: float = PER_S
    wrong: float = 1.0

    @property
    def mean_s(self) -> float:
        """How long a job takes on average."""
        return statistics.fmean(median * math.exp(self.sigma**2 / 2) for median in self.medians_s)


class Found(NamedTuple):
    """What one run found: means and a quantile of the delay in seconds, and the requests for each job that ended."""

    mean_s: float
    p95_s: float
    calls: float


@dataclass
class Population:
    """The jobs of one run: each has a kind, a beginning and an end that only a look after it shows."""

    case: Case
    dice: Random
    born: int = 0
    kinds: dict[int, int] = field(default_factory=dict)
    began_s: dict[int, float] = field(default_factory=dict)
    ends_s: dict[int, float] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)
    calls: int = 0

    def begin(self, now_s: float) -> int:
        """Return a new job."""
        self.born += 1
        kind = self.dice.randrange(len(self.case.medians_s))
        took_s = self.dice.lognormvariate(math.log(self.case.medians_s[kind]), self.case.sigma)
        self.kinds[self.born], self.began_s[self.born], self.ends_s[self.born] = kind, now_s, now_s + took_s
        return self.born

    def look(self, job: int, now_s: float) -> float | None:
        """Look at a job: return how long it took if it has ended, and let it go."""
        counts = now_s > self.case.warm_s
        self.calls += counts
        ended_s = self.ends_s[job]
        if ended_s > now_s:
            return None
        if counts:
            self.delays_s.append(now_s - ended_s)
        del self.kinds[job], self.ends_s[job]
        return ended_s - self.began_s.pop(job)

    @property
    def found(self) -> Found:
        """What came out."""
        ordered = sorted(self.delays_s)
        return Found(statistics.fmean(ordered), ordered[int(0.95 * len(ordered))], self.calls / len(ordered))


Way = Callable[[Case, int], Found]


def round_robin(case: Case, seed: int) -> Found:
    """Ask for one after another, all the time."""
    jobs = Population(case, Random(seed))
    turn = deque(jobs.begin(0.0) for _ in range(case.jobs))
    for slot in range(1, int((case.warm_s + case.for_s) * case.per_s)):
        now_s = slot / case.per_s
        job = turn.popleft()
        turn.append(job if jobs.look(job, now_s) is None else jobs.begin(now_s))
    return jobs.found


def growing_back_off(case: Case, seed: int) -> Found:
    """Ask again after a share of the age, the same for all and as small as the requests allow."""
    jobs, share = Population(case, Random(seed)), 0.1
    due = [(0.0, jobs.begin(0.0)) for _ in range(case.jobs)]
    for slot in range(1, int((case.warm_s + case.for_s) * case.per_s)):
        now_s = slot / case.per_s
        due_s, job = heapq.heappop(due)
        share *= math.exp((0.2 if due_s < now_s else -0.2) / case.jobs)
        if jobs.look(job, now_s) is None:
            heapq.heappush(due, (now_s + share * (now_s - jobs.began_s[job]), job))
        else:
            heapq.heappush(due, (now_s, jobs.begin(now_s)))
    return jobs.found


def ours(case: Case, seed: int) -> Found:
    """Ask when the schedule says so and the budget allows it."""
    jobs, runs_s = Population(case, Random(seed)), _believed(case, seed)
    outlooks = [usual(known) for known in runs_s]
    budget = RequestBudget(RateLimit(round(case.per_s * PER_S), PER_S, use=1.0))
    schedule = Schedule()
    schedule.pace("acme", PACE)

    def opens(_: str) -> float:
        return budget.evenly_at(now_s)

    def ask_again(job: int) -> None:
        kind = jobs.kinds[job]
        target = Target("acme", TargetKind.STATUS, JobKey("acme", OPERATIONS[kind], str(job)))
        schedule.look_again(target, [_outlook(outlooks[kind], now_s - jobs.began_s[job])], now_s)

    now_s = 0.0
    for _ in range(case.jobs):
        ask_again(jobs.begin(now_s))
    while now_s < case.warm_s + case.for_s:
        now_s = max(now_s, schedule.head(opens))
        if (taken := schedule.take(now_s, opens)) is None:
            continue
        budget.start(now_s)
        budget.finish(now_s)
        key = taken[0].key
        job = int(key.job_id if key else 0)
        kind = jobs.kinds[job]
        took_s = jobs.look(job, now_s)
        if took_s is not None:
            runs_s[kind] = learned(runs_s[kind], took_s)
            outlooks[kind] = usual(runs_s[kind])
            job = jobs.begin(now_s)
        ask_again(job)
    return jobs.found


def _believed(case: Case, seed: int) -> list[tuple[float, ...]]:
    if case.wrong == 1.0:
        return [() for _ in case.medians_s]
    dice = Random(f"believed {seed}")
    return [
        tuple(case.wrong * dice.lognormvariate(math.log(median_s), case.sigma) for _ in range(100))
        for median_s in case.medians_s
    ]


def _outlook(known: Usual | None, age_s: float) -> Outlook:
    return Outlook(known.fit if known else UNKNOWN, age_s)


def bound(case: Case) -> Found:
    """Return the least mean delay for as many requests, each kind with the same price: the requests add up to it."""
    low, high = math.log(1e-4), math.log(1e4)
    for _ in range(24):
        middle = (low + high) / 2
        calls, delay_s = _at_price(case, math.exp(middle))
        if calls > case.per_s * (case.mean_s + delay_s) / case.jobs:  # Little's law
            low = middle
        else:
            high = middle
    return Found(delay_s, math.nan, calls)


def _at_price(case: Case, price_s: float) -> tuple[float, float]:
    """Return the requests for each job, and the delay."""
    spent = [_spent(case.sigma, price_s / median_s) for median_s in case.medians_s]
    delay_s = statistics.fmean(delay * median_s for (_, delay), median_s in zip(spent, case.medians_s, strict=True))
    return statistics.fmean(calls for calls, _ in spent), delay_s


@lru_cache
def _spent(sigma: float, price: float) -> tuple[float, float]:
    """Return the looks at one job and the delay until its end is known, in medians, on the cheapest plan."""
    ages, waits, left = plan(sigma, price)
    calls, age = 1.0, ages[0] + waits[0]
    while (alive := survivor(math.log(age) / sigma)) > NEGLIGIBLE:
        calls += alive
        place = min(range(len(ages)), key=lambda at: abs(ages[at] - age)) if age < ages[-2] else len(ages) - 2
        age += waits[place]
    return calls, left[0] - price * calls


def medians(way: Way, case: Case, pool: ProcessPoolExecutor) -> Found:
    """Return the median over seeds of each figure."""
    runs = list(pool.map(way, [case] * len(SEEDS), SEEDS))
    return Found(*(statistics.median(figures) for figures in zip(*runs, strict=True)))


def compare(title: str, cases: Iterable[tuple[str, Case]], pool: ProcessPoolExecutor, *, bounds: bool = False) -> None:
    """Print a table of ours beside the others."""
    print(f"\n### {title}\n")
    print(
        "| | round robin s (p95) | back-off s (p95) | ours s (p95) | x fresher | ours / rr mean | p95 | ours / bound |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, case in cases:
        turn, back, own = (medians(way, case, pool) for way in (round_robin, growing_back_off, ours))
        over = f"{own.mean_s / bound(case).mean_s:.2f}" if bounds else ""
        print(
            f"| {name} | {turn.mean_s:.2f} ({turn.p95_s:.1f}) | {back.mean_s:.2f} ({back.p95_s:.1f}) |"
            f" {own.mean_s:.2f} ({own.p95_s:.1f}) | **{turn.mean_s / own.mean_s:.2f}** |"
            f" {own.mean_s / turn.mean_s:.2f} | {own.p95_s / turn.p95_s:.2f} | {over} |",
            flush=True,
        )


def compare_calls(pool: ProcessPoolExecutor) -> None:
    """Print requests for each job that ended, at equal mean delay: that of each 5 s, and ours at 10 a second."""
    print("\n### Requests for each job that ended, at equal mean delay\n")
    print("| | delay s | round robin | ours | times fewer |")
    print("|---|---|---|---|---|")
    for sigma in (0.3, 0.5):
        fixed = Case(sigma, 100, per_s=100 / 5.0)
        wanted = medians(round_robin, fixed, pool)
        _print_calls(f"every 5 s, sigma {sigma}", wanted, _ours_at(fixed, wanted.mean_s, pool))
        for jobs in (100, 300, 1000):
            case = Case(sigma, jobs, **_long(jobs))
            own = medians(ours, case, pool)
            others = medians(round_robin, case._replace(per_s=jobs / 2 / own.mean_s), pool)
            _print_calls(f"{jobs} jobs, sigma {sigma}", others, own)


def _print_calls(name: str, others: Found, own: Found) -> None:
    print(
        f"| {name} | {others.mean_s:.2f} and {own.mean_s:.2f} | {others.calls:.1f} | {own.calls:.1f} |"
        f" **{others.calls / own.calls:.2f}** |",
        flush=True,
    )


def _ours_at(case: Case, delay_s: float, pool: ProcessPoolExecutor) -> Found:
    """Return what ours needs for a mean delay: the requests a second are searched for."""
    low, high = 0.1 * case.per_s, case.per_s
    for _ in range(6):
        middle = (low + high) / 2
        found = medians(ours, case._replace(per_s=middle), pool)
        low, high = (middle, high) if found.mean_s > delay_s else (low, middle)
    return found


def _long(jobs: int) -> dict[str, float]:
    return {"warm_s": 8000.0, "for_s": 12000.0} if jobs >= MANY else {}


def _known(sigmas: Sequence[float], sizes: Sequence[int]) -> Iterable[tuple[str, Case]]:
    for sigma in sigmas:
        for jobs in sizes:
            yield f"sigma {sigma}, {jobs} jobs", Case(sigma, jobs, **_long(jobs))


def main() -> None:
    """Print all tables, or the first alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="only known operations with sigma 0.3")
    short = parser.parse_args().short
    with ProcessPoolExecutor() as pool:
        sigmas = (0.3,) if short else (0.3, 0.5)
        warm = "Medians 30, 120 and 600 s, learned online, after warm-up"
        compare(warm, _known(sigmas, (100, 300, 1000)), pool, bounds=True)
        if short:
            return
        cold = [(name, case._replace(warm_s=0.0, for_s=6000.0)) for name, case in _known((0.3, 0.5), (100, 300, 1000))]
        compare("The same from the first second on, nothing known", cold, pool)
        compare("Wide durations: never worse", _known((0.8, 1.2), (100, 1000)), pool)
        alone = [
            (f"median 120 s alone, {name}", case._replace(medians_s=(120.0,)))
            for name, case in _known((0.8, 1.2), (100, 1000))
        ]
        compare("One operation with wide durations", alone, pool)
        crowd = [
            (f"sigma {sigma}, 10,000 jobs", Case(sigma, 10_000, warm_s=10_000, for_s=20_000)) for sigma in (0.3, 0.8)
        ]
        compare("Overload", crowd, pool)
        wrong = [(f"{name}, twice too long", case._replace(wrong=2.0)) for name, case in _known((0.3, 0.5), (300,))]
        compare("Learning from medians that are twice too long, after warm-up", wrong, pool)
        compare("The same from the first second on", [(n, c._replace(warm_s=0, for_s=6000)) for n, c in wrong], pool)
        compare_calls(pool)


if __name__ == "__main__":
    main()
