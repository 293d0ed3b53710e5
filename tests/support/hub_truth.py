"""Compares a page of metrics with the simulator's record of what its Configuration Hub has really sent."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.support.world import Scrape

ENDED = {"COMPLETE", "CANCELLED", "FAILED"}
TOLERANCE_S = 0.002  # the API tells whole milliseconds


def hub_differences(truth: Mapping[str, Any], page: Scrape, *, quirks: bool = False) -> list[str]:
    """Return every way in which `page` differs from what was sent, in words; no job may have left the page yet.

    With `quirks` the end of a failed job need not be known: an answer may have left it out.
    """
    jobs = [job for job in truth["configuration_hub"]["jobs"] if job["times_sent"]]
    drafts = truth["configuration_hub"]["pending_drafts"]
    return [
        *(found for job in jobs for found in _job(job, page, may_hide=quirks)),
        *_finished(jobs, page),
        *_successes(jobs, page),
        *_drafts(drafts, page),
    ]


def _of(job: Mapping[str, Any]) -> dict[str, str]:
    return {"tenant": job["tenant"], "operation": job["kind"], "job_id": job["id"]}


def _job(job: Mapping[str, Any], page: Scrape, *, may_hide: bool) -> Iterator[str]:
    of, sent = _of(job), job["last_state_sent"]
    states = [dict(labels)["state"] for labels, value in page.all("spconfig_job_state", **of).items() if value]
    if states != [sent]:
        yield f"{of}: {states} instead of {sent}"
    facts = {("name", job["name"][:120]), ("source", "discovery")}
    if not any(facts <= labels for labels in page.all("spconfig_job_info", **of)):
        yield f"{of}: no info with name {job['name']}"
    told = sent in ENDED and job["tells_end"]
    hidden = may_hide and sent == "FAILED" and page.value("spconfig_job_completed_timestamp_seconds", **of) is None
    expected = {
        "spconfig_job_created_timestamp_seconds": job["created_s"],
        "spconfig_job_completed_timestamp_seconds": job["ended_s"] if told and not hidden else None,
    }
    if sent in ENDED:
        took_s = job["ended_s"] - job["created_s"] if told and not hidden else None
        expected["spconfig_job_duration_seconds"] = took_s
    for name, value in expected.items():
        if not _near(page.value(name, **of), value):
            yield f"{of}: {name} {page.value(name, **of)} instead of {value}"
    synced = None if job["synced"] is None else float(job["synced"])
    if job["listed"] and page.value("spconfig_backup_synced", **of) != synced:
        yield f"{of}: synced {page.value('spconfig_backup_synced', **of)} instead of {synced}"


def _near(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= TOLERANCE_S


def _finished(jobs: Iterable[Mapping[str, Any]], page: Scrape) -> Iterator[str]:
    ended = (job for job in jobs if job["last_state_sent"] in ENDED)
    expected = Counter((job["tenant"], job["kind"], job["last_state_sent"]) for job in ended)
    found = {
        (labels["tenant"], labels["operation"], labels["state"]): value
        for labels, value in (
            (dict(labels), value) for labels, value in page.all("spconfig_jobs_finished_total").items()
        )
        if value and labels["operation"] not in {"export", "import"}
    }
    if found != expected:
        yield f"finished: {found} instead of {dict(expected)}"


def _successes(jobs: Iterable[Mapping[str, Any]], page: Scrape) -> Iterator[str]:
    newest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for job in jobs:
        whole = not job["partial"] and not job["of_other_tenant"]
        if job["last_state_sent"] == "COMPLETE" and job["tells_end"] and whole:
            of = job["tenant"], job["kind"]
            newest[of] = max(newest.get(of, job), job, key=lambda it: it["ended_s"])
    for of in {(job["tenant"], job["kind"]) for job in jobs}:
        labels = dict(zip(("tenant", "operation"), of, strict=True))
        best = newest.get(of)
        ended_s = best["ended_s"] if best else None
        found = page.value("spconfig_last_success_timestamp_seconds", **labels)
        if not _near(found, ended_s):
            yield f"last success of {of}: {found} instead of {ended_s}"
        objects = page.value("spconfig_last_success_objects", **labels)
        if best and best["listed"] and objects != best["object_count"]:
            yield f"objects of {of}: {objects} instead of {best['object_count']}"


def _drafts(drafts: Iterable[Mapping[str, Any]], page: Scrape) -> Iterator[str]:
    waiting = Counter(draft["tenant"] for draft in drafts)
    for labels, found in page.all("spconfig_drafts_pending_approval").items():
        tenant = dict(labels)["tenant"]
        if found != waiting[tenant]:
            yield f"{tenant}: {found} drafts wait instead of {waiting[tenant]}"
        oldest = min((draft["pending_since_s"] for draft in drafts if draft["tenant"] == tenant), default=None)
        seen = page.value("spconfig_drafts_oldest_pending_timestamp_seconds", tenant=tenant)
        if not _near(seen, oldest):
            yield f"{tenant}: oldest draft since {seen} instead of {oldest}"
