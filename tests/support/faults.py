"""Faults to plant in a copy of the code, each of which a run against the simulator's truth must notice."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.modules import ROOT

SEEDED_RUN = "tests/component/test_seeded_run.py"
DISCOVERY = "tests/component/test_discovery.py::test_every_job_appears_with_its_final_state_and_end[plain]"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake that somebody could make: in `file` (below spexporter/) `right` becomes `wrong`; `test` notices."""

    name: str
    file: str
    right: str
    wrong: str
    test: str = SEEDED_RUN

    def plant(self, copy: Path) -> None:
        """Make the mistake in a copy of the project.

        Raises:
            LookupError: the code has changed, so that `right` is not there exactly once.
        """
        path = copy / "spexporter" / self.file
        text = path.read_text()
        if (found := text.count(self.right)) != 1:
            raise LookupError(
                f"{self.name}: {self.file} has {self.right!r} {found} times; adapt tests/support/faults.py"
            )
        path.write_text(text.replace(self.right, self.wrong))


def copy_project(into: Path) -> Path:
    """Copy what the tests need of the project and return where it is."""
    copy = into / "copy"
    for folder in ("spexporter", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


FAULTS = (
    Fault("a type is skipped", "domain/counting.py", "in result.types.items():", "in [*result.types.items()][1:]:"),
    Fault(
        "a result is counted twice",
        "ledger/book.py",
        "        self._add(job, result_counted(counted.outcome, counted.result), change)\n",
        "        self._add(job, result_counted(counted.outcome, counted.result), change)\n" * 2,
    ),
    Fault(
        "an end is counted twice",
        "ledger/book.py",
        "        self._add(job, finished(job), change)\n",
        "        self._add(job, finished(job), change)\n" * 2,
    ),
    Fault(
        "a job that comes back is counted anew",
        "ledger/book.py",
        "self._aside[key] = replace(row, watched=False, wanted_s=change.at_s or 0.0)",
        "del row",
    ),
    Fault(
        "previews are counted",
        "domain/job.py",
        "return Outcome.PREVIEW if preview else Outcome.COUNTED",
        "return Outcome.COUNTED",
    ),
    Fault(
        "a declared preview is ignored",
        "domain/job.py",
        "preview = result.preview if self.watched.preview is None else self.watched.preview",
        "preview = result.preview",
    ),
    Fault(
        "an undeclared preview is not found out",
        "domain/job.py",
        "preview = result.preview if self.watched.preview is None else self.watched.preview",
        "preview = bool(self.watched.preview)",
    ),
    Fault(
        "errors and warnings are swapped in the counters",
        "domain/counting.py",
        "added[SeriesKey(IMPORT_ERRORS, (object_type,))] = counts.errors\n"
        "            added[SeriesKey(IMPORT_WARNINGS, (object_type,))] = counts.warnings\n",
        "added[SeriesKey(IMPORT_ERRORS, (object_type,))] = counts.warnings\n"
        "            added[SeriesKey(IMPORT_WARNINGS, (object_type,))] = counts.errors\n",
    ),
    Fault(
        "errors and warnings are swapped in a job's messages",
        "exposition/samples.py",
        '{"error": counts.errors, "warning": counts.warnings,',
        '{"error": counts.warnings, "warning": counts.errors,',
    ),
    Fault(
        "the last message is dropped",
        "sailpoint/wire.py",
        'errors=len(lists["errors"]),',
        'errors=len(lists["errors"][:-1]),',
    ),
    Fault(
        "infos are counted as warnings",
        "sailpoint/wire.py",
        'warnings=len(lists["warnings"]),',
        'warnings=len(lists["warnings"] + lists["infos"]),',
    ),
    Fault(
        "objects are not counted",
        "domain/counting.py",
        "            added[SeriesKey(IMPORTED_OBJECTS, (object_type,))] = counts.objects\n",
        "",
    ),
    Fault(
        "results of FAILED imports are ignored",
        "ledger/book.py",
        "        self._add(job, result_counted(counted.outcome, counted.result), change)\n",
        "        if job.state is JobState.COMPLETE:\n"
        "            self._add(job, result_counted(counted.outcome, counted.result), change)\n",
    ),
    Fault(
        "an import's result is skipped once an export has ended",
        "ledger/book.py",
        "if job is None or job.outcome is not None:",
        "if job is None or job.outcome is not None or Operation.EXPORT in self._successes:",
    ),
    Fault(
        "a missing result is said to be counted",
        "domain/counting.py",
        "{SeriesKey(IMPORT_RESULTS, (outcome,)): 1}",
        "{SeriesKey(IMPORT_RESULTS, (Outcome.COUNTED,)): 1}",
    ),
    Fault(
        "CANCELLED is counted as COMPLETE",
        "domain/counting.py",
        "{SeriesKey(JOBS_FINISHED, (operation, str(job.state))): 1}",
        '{SeriesKey(JOBS_FINISHED, (operation, str(job.state).replace("CANCELLED", "COMPLETE"))): 1}',
    ),
    Fault(
        "modified is taken instead of completed",
        "domain/job.py",
        "return self.completed_s if self.completed_s is not None else self.modified_s",
        "return self.modified_s",
    ),
    Fault(
        "an end without completed is not known",
        "domain/job.py",
        "return self.completed_s if self.completed_s is not None else self.modified_s",
        "return self.completed_s",
    ),
    Fault(
        "a job ends when we see it",
        "domain/job.py",
        "ended_s=observation.ended_s,",
        "ended_s=observation.observed_s,",
    ),
    Fault(
        "one tenant's counts are under another",
        "exposition/page.py",
        '{"tenant": view.tenant, **dict(row.labels)}',
        '{"tenant": [*views, *views][[*views].index(view) + (family.type == "counter")].tenant, **dict(row.labels)}',
    ),
    Fault(
        "one tenant's jobs are under another",
        "exposition/page.py",
        '{"tenant": view.tenant, **dict(row.labels)}',
        '{"tenant": [*views, *views][[*views].index(view) + ("_job_" in family.name)].tenant, **dict(row.labels)}',
    ),
    Fault(
        "a counter is published one behind",
        "ledger/tally.py",
        "if value > self._shown(key):",
        "if (value := value - 1) > self._shown(key):",
    ),
    Fault(
        "runs of FAILED jobs are in the histogram",
        "domain/counting.py",
        "if job.state is JobState.COMPLETE and job.duration_s is not None:",
        "if job.duration_s is not None:",
    ),
    Fault(
        "an import with errors is a success",
        "domain/job.py",
        " and self.result is not None and not self.result.errors",
        "",
    ),
    Fault(
        "an import's end is a success before its result was read",
        "domain/job.py",
        "        if self.key.operation is Operation.IMPORT:\n            return self.outcome",
        "        if self.key.operation is Operation.IMPORT and self.outcome:\n            return self.outcome",
    ),
    Fault(
        "a type without messages is left out",
        "exposition/samples.py",
        "for severity, count in by_severity.items():",
        "for severity, count in ((severity, count) for severity, count in by_severity.items() if count):",
    ),
    Fault("a partial backup is a success", "domain/job.py", "not self.partial and ", "", DISCOVERY),
    Fault("another tenant's backup is a success", "domain/job.py", " and self.of_other_tenant is False", "", DISCOVERY),
    Fault(
        "Configuration Hub's modified is taken for an end",
        "domain/job.py",
        "            return self.completed_s\n        return self.completed_s if",
        "            pass\n        return self.completed_s if",
        DISCOVERY,
    ),
    Fault(
        "what changes after a job's end is not seen",
        "poller/lists.py",
        "(job.end_seen_s is None or job.hub != entry.facts)",
        "job.end_seen_s is None",
        DISCOVERY,
    ),
    Fault(
        "the oldest success stays",
        "ledger/book.py",
        "job.ended_s < facts.successes.get(operation, -math.inf)",
        "job.ended_s > facts.successes.get(operation, math.inf)",
        DISCOVERY,
    ),
    Fault(
        "drafts that were decided wait",
        "sailpoint/lists.py",
        "else word in _PENDING",
        "else word in _PENDING | _DECIDED",
        DISCOVERY,
    ),
    Fault(
        "only the newest draft waits",
        "domain/hub.py",
        "return Drafts(len(waiting), min(since_s, default=None))",
        "return Drafts(min(1, len(waiting)), max(since_s, default=None))",
        DISCOVERY,
    ),
    Fault(
        "the first of each list is left out",
        "poller/lists.py",
        "for entry in listed}",
        "for entry in listed[1:]}",
        DISCOVERY,
    ),
)
