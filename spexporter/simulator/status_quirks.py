"""Shapes that the status of a job has been seen in, or could take."""

from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from spexporter.simulator.jobs import FAILED, FINAL_STATES
from spexporter.simulator.stamps import stamp

Body = dict[str, Any]

STAMPS = ("created", "modified", "completed", "expiration", "lastUsed", "expirationDate")
UNKNOWN_STATES = ("QUEUED", "PENDING_APPROVAL", "VALIDATING")
OFFSETS_MIN = (0, -300, 330, 120)
MOST_DIGITS = 9


def nulls(body: Body, _dice: Random, _now_s: float) -> None:
    """Write null where a field is absent, as the samples of 2021 do."""
    for name in ("description", "message", "completed"):
        body.setdefault(name, None)


def no_expiration(body: Body, _dice: Random, _now_s: float) -> None:
    """Leave out `expiration`, as the live service did in 2025."""
    body.pop("expiration", None)


def lower_type(body: Body, _dice: Random, _now_s: float) -> None:
    """Write the operation in lower case."""
    body["type"] = body["type"].lower()


def other_job_id(body: Body, _dice: Random, _now_s: float) -> None:
    """Write the job's id without its dashes, or one that has none in upper case."""
    job_id = body["jobId"]
    body["jobId"] = job_id.replace("-", "") if "-" in job_id else job_id.upper()


def unknown_state(body: Body, dice: Random, _now_s: float) -> None:
    """Call the state of an unfinished job by a word that is not published."""
    if body["status"] not in FINAL_STATES:
        body["status"] = dice.choice(UNKNOWN_STATES)


def failed_without_completed(body: Body, _dice: Random, _now_s: float) -> None:
    """Let the end of a failed job be told by `modified` alone."""
    if body["status"] == FAILED and body.get("completed"):
        body["modified"] = body.pop("completed")


def moving_modified(body: Body, _dice: Random, now_s: float) -> None:
    """Let `modified` go on moving after the end, where `completed` tells that."""
    if body.get("completed"):
        body["modified"] = stamp(now_s)


def fraction_digits(body: Body, dice: Random, _now_s: float) -> None:
    """Write times with as many digits of a second as their value needs, up to 9."""
    for name in STAMPS:
        if isinstance(text := body.get(name), str):
            seconds, _, fraction = text.removesuffix("Z").partition(".")
            fraction = fraction.ljust(dice.randint(len(fraction), MOST_DIGITS), "0")
            body[name] = f"{seconds}{'.' * bool(fraction)}{fraction}Z"


def offsets(body: Body, dice: Random, _now_s: float) -> None:
    """Write times with an offset from UTC instead of `Z`."""
    for name in STAMPS:
        if isinstance(text := body.get(name), str):
            seconds, _, fraction = text.removesuffix("Z").partition(".")
            zone = timezone(timedelta(minutes=dice.choice(OFFSETS_MIN)))
            local = datetime.fromisoformat(f"{seconds}+00:00").astimezone(zone).isoformat()
            body[name] = f"{local[:19]}{'.' * bool(fraction)}{fraction}{local[19:]}"


OF_STATUS = {
    quirk.__name__: quirk
    for quirk in (
        nulls,
        no_expiration,
        lower_type,
        other_job_id,
        unknown_state,
        failed_without_completed,
        moving_modified,
        fraction_digits,
        offsets,
    )
}
"""By the name of the quirk."""
