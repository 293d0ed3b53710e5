"""Compares a page of metrics with the simulator's record of the bytes that it really sent."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.world import Scrape

TOTALS = {
    "errors": "spconfig_import_errors_total",
    "warnings": "spconfig_import_warnings_total",
    "objects": "spconfig_imported_objects_total",
}
TOLERANCE_S = 0.002  # the API tells whole milliseconds
SEVERITIES = {"errors": "error", "warnings": "warning", "infos": "info"}


def differences(truth: Mapping[str, Any], page: Scrape) -> list[str]:
    """Return every way in which `page` differs from `truth`, in words.

    Every job must be watched, and have ended unless it never does.
    """
    return [
        *_totals(truth, page),
        *_finished(truth, page),
        *(found for job in watched(truth) for found in _job(job, page)),
    ]


def watched(truth: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the jobs that the exporter was told of: all but the backups that imports make by themselves."""
    backups = {job["export_job_id"] for job in truth["jobs"]}
    return [job for job in truth["jobs"] if job["id"] not in backups]


def _totals(truth: Mapping[str, Any], page: Scrape) -> Iterator[str]:
    for kind, name in TOTALS.items():
        expected = {
            (tenant, object_type): counts[kind]
            for tenant, types in truth["totals"]["ended"].items()
            for object_type, counts in types.items()
            if counts[kind]
        }
        found = {
            (dict(labels)["tenant"], dict(labels)["object_type"]): value
            for labels, value in page.all(name).items()
            if value
        }
        if found != expected:
            yield f"{name}: {found} instead of {expected}"


def _finished(truth: Mapping[str, Any], page: Scrape) -> Iterator[str]:
    ended = [job for job in watched(truth) if job["ended_s"] is not None]
    expected = Counter((job["tenant"], job["operation"], job["final_state"]) for job in ended)
    for (tenant, operation, state), count in expected.items():
        finished = page.value("spconfig_jobs_finished_total", tenant=tenant, operation=operation, state=state)
        if finished != count:
            yield f"finished {tenant} {operation} {state}: {finished} instead of {count}"
    outcomes = Counter((job["tenant"], _outcome(job)) for job in ended if job["operation"] == "import")
    found = {
        (dict(labels)["tenant"], dict(labels)["outcome"]): value
        for labels, value in page.all("spconfig_import_results_total").items()
        if value
    }
    if found != outcomes:
        yield f"outcomes: {found} instead of {dict(outcomes)}"


def _outcome(job: Mapping[str, Any]) -> str:
    if job["counts"] is None:
        return "missing"
    return "preview" if job["preview"] else "counted"


def _job(job: Mapping[str, Any], page: Scrape) -> Iterator[str]:
    job_id = job["id"]
    if (state := page.state(job_id)) != job["state"]:
        yield f"{job_id}: {state} instead of {job['state']}"
    if job["ended_s"] is None:
        return
    took_s = page.value("spconfig_job_duration_seconds", job_id=job_id)
    if took_s is None or abs(took_s - (job["ended_s"] - job["created_s"])) > TOLERANCE_S:
        yield f"{job_id}: took {took_s} instead of {job['ended_s'] - job['created_s']}"
    for object_type, counts in (job["counts"] or {}).items():
        for kind, severity in SEVERITIES.items():
            found = page.value("spconfig_import_messages", job_id=job_id, object_type=object_type, severity=severity)
            if found != counts[kind]:
                yield f"{job_id}: {found} instead of {counts[kind]} {object_type} {kind}"
        found = page.value("spconfig_import_objects", job_id=job_id, object_type=object_type)
        if found != counts["objects"]:
            yield f"{job_id}: {found} instead of {counts['objects']} {object_type} objects"
