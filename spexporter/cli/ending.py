"""How a job ended that was followed: in words, in JSON, and as an exit status."""

from typing import Final

from spexporter.cli import show
from spexporter.direct.following import Followed
from spexporter.direct.looks import Sight
from spexporter.domain.job import JobState
from spexporter.domain.result import ImportReport, ImportResult
from spexporter.sailpoint.advice import NO_SUCH_JOB

OUT_OF_TIME: Final = 3
_COUNTS_ONLY = "the job's page has the first texts of messages; `spexporter wait --config.file` reads all of them"


def tell(followed: Followed, timeout: str, output: show.Output) -> int:
    """Print how it ended and return the exit status; `timeout` as it was given."""
    if output is show.Output.JSON:
        show.say_json(_as_json(followed))
    else:
        _show(followed, timeout)
    if followed.timed_out:
        return OUT_OF_TIME
    return 0 if followed.sight.succeeded else 1


def _show(followed: Followed, timeout: str) -> None:
    sight, result = followed.sight, followed.sight.job.result
    counts = f"{_count(result.errors, 'error')}, {_count(result.warnings, 'warning')}" if result else ""
    preview = "(a preview: nothing was changed)" if result and result.preview else ""
    show.say(sight.job.key, show.state(sight), show.took(sight.elapsed_s), counts, preview, _usually(sight))
    if sight.job.latest and sight.job.latest.message and sight.over:
        show.say(sight.job.latest.message)
    if followed.report:
        _show_messages(followed.report)
    elif result:
        _show_counts(result)
    if sight.job.state is JobState.NOT_FOUND:
        show.say(NO_SUCH_JOB, err=True)
    if sight.trouble and show.console().is_terminal:  # else it stands in a line above
        show.say(show.trouble_text(sight.trouble), err=True)
    if followed.timed_out:
        show.say(f"{'its result was not read' if sight.over else 'not ended'} within {timeout}", err=True)


def _usually(sight: Sight) -> str:
    there_is_one = sight.job.state is not JobState.NOT_FOUND
    return f"(usually {show.took(sight.usual.p50_s)})" if sight.usual and there_is_one else ""


def _show_messages(report: ImportReport) -> None:
    rows = [
        (object_type, severity, text)
        for object_type, texts in report.texts.items()
        for severity, its in (("error", texts.errors), ("warning", texts.warnings))
        for text in its
    ]
    terminal = show.console()
    if terminal.is_terminal and rows:
        terminal.print(show.table("", ("object type", "severity", "message"), rows))
    else:
        for object_type, severity, text in rows:
            show.say(f"{object_type}: {severity}: {text}")
    if left := report.result.errors + report.result.warnings - len(rows):
        show.say(f"and {left} more")


def _show_counts(result: ImportResult) -> None:
    """Show what is known of messages without their texts."""
    rows = [(name, its.errors, its.warnings) for name, its in result.types.items() if its.errors or its.warnings]
    if not rows:
        return
    terminal = show.console()
    if terminal.is_terminal:
        terminal.print(show.table("", ("object type", "errors", "warnings"), rows))
    else:
        for name, errors, warnings in rows:
            show.say(f"{name}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    show.say(_COUNTS_ONLY, err=True)


def _as_json(followed: Followed) -> dict[str, object]:
    sight, job = followed.sight, followed.sight.job
    return {
        "tenant": job.key.tenant,
        "operation": str(job.key.operation),
        "id": job.key.job_id,
        "state": str(job.state) if job.state else None,
        "message": job.latest.message if job.latest else "",
        "elapsed_seconds": sight.elapsed_s,
        "usual_duration_seconds": {"p50": sight.usual.p50_s, "p95": sight.usual.p95_s} if sight.usual else None,
        "succeeded": sight.succeeded,
        "timed_out": followed.timed_out,
        "preview": job.preview,
        "errors": job.result.errors if job.result else None,
        "warnings": job.result.warnings if job.result else None,
        "types": _types_json(job.result, followed.report) if job.result else None,
        "trouble": show.trouble_json(sight.trouble),
    }


def _types_json(result: ImportResult, report: ImportReport | None) -> dict[str, object]:
    """Return what is known by object type; texts are null where only their number is known."""
    return {
        name: {
            "errors": counts.errors,
            "warnings": counts.warnings,
            "objects": counts.objects,
            "error_texts": list(report.texts[name].errors) if report else None,
            "warning_texts": list(report.texts[name].warnings) if report else None,
        }
        for name, counts in result.types.items()
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
