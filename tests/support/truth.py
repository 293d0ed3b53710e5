"""Compares a page of metrics with the simulator's record of the bytes that it really sent."""

from collections import Counter, defaultdict
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
        *_present(truth, page),
        *_runs(truth, page),
        *_successes(truth, page),
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


def _present(truth: Mapping[str, Any], page: Scrape) -> Iterator[str]:
    expected = Counter((job["tenant"], job["operation"], job["state"]) for job in watched(truth))
    found = {
        (dict(labels)["tenant"], dict(labels)["operation"], dict(labels)["state"]): value
        for labels, value in page.all("spconfig_jobs").items()
        if value
    }
    if found != expected:
        yield f"jobs: {found} instead of {dict(expected)}"


def _runs(truth: Mapping[str, Any], page: Scrape) -> Iterator[str]:
    took_s: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for job in watched(truth):
        if job["ended_s"] is not None and job["final_state"] == "COMPLETE":
            took_s[job["tenant"], job["operation"]].append(job["ended_s"] - job["created_s"])
    for (tenant, operation), runs_s in took_s.items():
        of = {"tenant": tenant, "operation": operation}
        if (count := page.value("spconfig_job_run_seconds_count", **of)) != len(runs_s):
            yield f"runs {of}: {count} instead of {len(runs_s)}"
        total_s = page.value("spconfig_job_run_seconds_sum", **of)
        if total_s is None or abs(total_s - sum(runs_s)) > TOLERANCE_S * len(runs_s):
            yield f"runs {of}: {total_s} s instead of {sum(runs_s)} s"
        for labels, below in page.all("spconfig_job_run_seconds_bucket", **of).items():
            bound_s = float(dict(labels)["le"])
            if below != (expected := sum(run_s <= bound_s for run_s in runs_s)):
                yield f"runs {of} up to {bound_s} s: {below} instead of {expected}"


def _successes(truth: Mapping[str, Any], page: Scrape) -> Iterator[str]:
    newest: defaultdict[tuple[str, str], float] = defaultdict(float)
    for job in watched(truth):
        if job["ended_s"] is not None and _succeeded(job):
            of = job["tenant"], job["operation"]
            newest[of] = max(newest[of], job["ended_s"])
    for tenant, operation in {(job["tenant"], job["operation"]) for job in watched(truth)}:
        found = page.value("spconfig_last_success_timestamp_seconds", tenant=tenant, operation=operation) or 0.0
        if abs(found - newest[tenant, operation]) > TOLERANCE_S:
            yield f"last success {tenant} {operation}: {found} instead of {newest[tenant, operation]}"


def _succeeded(job: Mapping[str, Any]) -> bool:
    if job["final_state"] != "COMPLETE" or job["operation"] == "export":
        return bool(job["final_state"] == "COMPLETE")
    errors = [counts["errors"] for counts in (job["counts"] or {}).values()]
    return _outcome(job) == "counted" and not any(errors)


def _job(job: Mapping[str, Any], page: Scrape) -> Iterator[str]:
    job_id = job["id"]
    of = {"tenant": job["tenant"], "operation": job["operation"], "job_id": job_id}
    states = {
        dict(labels)["state"]: dict(labels)["tenant"]
        for labels, value in page.all("spconfig_job_state", job_id=job_id).items()
        if value
    }
    if states != {job["state"]: job["tenant"]}:
        yield f"{job_id}: {states} instead of {job['state']} of {job['tenant']}"
    if job["ended_s"] is None:
        return
    times = {
        "spconfig_job_duration_seconds": job["ended_s"] - job["created_s"],
        "spconfig_job_created_timestamp_seconds": job["created_s"],
        "spconfig_job_completed_timestamp_seconds": job["ended_s"],
    }
    for name, expected in times.items():
        seen = page.value(name, **of)
        if seen is None or abs(seen - expected) > TOLERANCE_S:
            yield f"{job_id}: {name} {seen} instead of {expected}"
    if job["operation"] == "import" and page.value("spconfig_import_result_read", **of) != (job["counts"] is not None):
        yield f"{job_id}: result read or not, instead of the other"
    for object_type, counts in (job["counts"] or {}).items():
        about = {**of, "object_type": object_type, "preview": str(job["preview"]).lower()}
        for kind, severity in SEVERITIES.items():
            found = page.value("spconfig_import_messages", **about, severity=severity)
            if found != counts[kind]:
                yield f"{job_id}: {found} instead of {counts[kind]} {object_type} {kind}"
        found = page.value("spconfig_import_objects", **about)
        if found != counts["objects"]:
            yield f"{job_id}: {found} instead of {counts['objects']} {object_type} objects"
