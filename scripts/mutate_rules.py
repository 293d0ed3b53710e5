#!/usr/bin/env python3
"""Change each rule in each way that it can be wrong, and see whether its tests notice: `make mutants`.

Prints killed / made, and ends with 1 where a mutant survives that prometheus/tests/equivalents.yaml does not list with
its reason, or where that list names one that is killed or is not made.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import promql_parser
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # as a script, it begins in its own folder

from scripts.mutants import Mutant, Rule, mutants  # noqa: E402 - after the line above

RULES = ROOT / "prometheus" / "spexporter.rules.yml"
TESTS = ROOT / "prometheus" / "tests"
EQUIVALENTS = TESTS / "equivalents.yaml"
_LONGEST_S = 60


class Key(NamedTuple):
    """Names a mutant in the list of equivalents."""

    rule: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant, and the alerts whose tests may notice it."""

    mutant: Mutant
    index: int
    alerts: tuple[str, ...]

    @property
    def key(self) -> Key:
        """Its name."""
        return Key(self.mutant.name, self.mutant.was, self.mutant.now)


class Rules:
    """All rules, in the order of evaluation, and which of them need which."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self._records = {rule["record"] for rule in rules if "record" in rule}

    def trials(self) -> Iterator[Trial]:
        """Yield each mutant that is PromQL."""
        for index, rule in enumerate(self.rules):
            alerts = (rule["alert"],) if "alert" in rule else tuple(self._readers(rule["record"]))
            for mutant in mutants(rule):
                if _valid(mutant.rule["expr"]):
                    yield Trial(mutant, index, alerts)

    def file(self, alert: str, trial: Trial | None = None) -> str:
        """Return a file of the rules that `alert` needs, one of them mutated."""
        wanted = self._needs({alert})
        found = [
            trial.mutant.rule if trial and trial.index == index else rule
            for index, rule in enumerate(self.rules)
            if _name(rule) in wanted
        ]
        return yaml.safe_dump({"groups": [{"name": "mutated", "rules": found}]}, sort_keys=False, width=1000)

    def _needs(self, names: set[str]) -> set[str]:
        """Return `names` and the recorded series that they read, directly or not."""
        read = {
            record
            for rule in self.rules
            if _name(rule) in names
            for record in self._records
            if re.search(rf"{re.escape(record)}\b", rule["expr"])
        }
        return names if read <= names else self._needs(names | read)

    def _readers(self, record: str) -> Iterator[str]:
        seen: set[str] = set()
        for rule in self.rules:
            if "alert" in rule and rule["alert"] not in seen and record in self._needs({rule["alert"]}):
                seen.add(rule["alert"])
                yield rule["alert"]


def load_rules() -> Rules:
    """Return the rules as they are."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return Rules([rule for group in groups for rule in group["rules"]])


def load_equivalents() -> Mapping[Key, str]:
    """Return the mutants that are known to change nothing, each with the reason."""
    listed: list[dict[str, Any]] = yaml.safe_load(EQUIVALENTS.read_text(encoding="utf-8"))
    return {Key(it["rule"], it["was"], it["now"]): group["because"] for group in listed for it in group["mutants"]}


def survivors(rules: Rules, trials: Sequence[Trial], workers: int) -> Iterator[Trial]:
    """Run the tests of each mutant; yield those that pass all of theirs.

    Raises:
        ValueError: the rules as they are do not pass, so that every mutant would seem to be killed.
    """
    with TemporaryDirectory(prefix="spexporter-mutants-") as folder, ThreadPoolExecutor(workers) as pool:
        alerts = sorted({alert for trial in trials for alert in trial.alerts})
        passed = pool.map(lambda it: passes(rules.file(it), it, Path(folder) / it), alerts)
        if bad := [alert for alert, survives in zip(alerts, passed, strict=True) if not survives]:
            raise ValueError(f"the tests of {', '.join(bad)} fail with the rules as they are, or are not there")
        passed = pool.map(lambda it: _passes(rules, it[1], Path(folder) / str(it[0])), enumerate(trials))
        for trial, survives in zip(trials, passed, strict=True):
            if survives:
                yield trial


def _passes(rules: Rules, trial: Trial, folder: Path) -> bool:
    """Whether a mutant passes the tests of all alerts that it concerns."""
    return all(passes(rules.file(alert, trial), alert, folder / alert) for alert in trial.alerts)


def passes(rules: str, alert: str, folder: Path) -> bool:
    """Whether these rules pass the tests of an alert. What takes for ever does not, nor does what is not there."""
    tests = [TESTS / f"{alert}.yml", *sorted(TESTS.glob(f"{alert}.*.yml"))]
    (folder / TESTS.name).mkdir(parents=True)
    (folder / RULES.name).write_text(rules, encoding="utf-8")
    for test in tests:
        (folder / TESTS.name / test.name).symlink_to(test)
    try:
        return all(_promtool(folder / TESTS.name / test.name) for test in tests)
    finally:
        shutil.rmtree(folder)


def _promtool(test: Path) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - promtool of the PATH, on files of ours
            [shutil.which("promtool") or "promtool", "test", "rules", test],
            capture_output=True,
            check=False,
            timeout=_LONGEST_S,
            env={**os.environ, "GOMAXPROCS": "1", "GOGC": "400"},
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _valid(expression: str) -> bool:
    try:
        promql_parser.parse(expression)
    except ValueError:
        return False
    return True


def _name(rule: Rule) -> str:
    return str(rule.get("alert") or rule["record"])


def main() -> int:
    """Run every `step`-th mutant, and say what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--step", type=int, default=1, help="only each so many-th mutant")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="only rules whose name contains this")
    options = parser.parse_args()
    began_s = time.monotonic()
    rules, equivalents = load_rules(), load_equivalents()
    trials = [it for it in rules.trials() if options.only in it.mutant.name][:: options.step]
    alive = [it.key for it in survivors(rules, trials, options.workers)]
    unlisted = [key for key in alive if key not in equivalents]
    made = {it.key for it in trials}
    wrong = [key for key in equivalents if key in made and key not in alive]
    if options.step == 1 and not options.only:
        wrong += [key for key in equivalents if key not in made]
    for title, keys in (("survived", unlisted), ("listed as equivalent, but killed or not made", wrong)):
        for key in keys:
            print(f"{title}: {key.rule}\n    was: {key.was}\n    now: {key.now}")  # noqa: T201 - what it found
    known = len(alive) - len(unlisted)
    print(  # noqa: T201 - the result
        f"{len(trials) - len(alive)} killed / {len(trials)} made; {known} survived that change nothing, "
        f"{len(unlisted)} that should not have; {time.monotonic() - began_s:.0f} s"
    )
    return 1 if unlisted or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
