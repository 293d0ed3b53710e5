"""Times as SP-Config writes them."""

from datetime import UTC, datetime

RETENTION_S = 7 * 86_400
"""How long a job's artifacts stay: every published sample has `expiration` = `created` + 7 days."""


def stamp(at_s: float) -> str:
    """Write Unix seconds as UTC with milliseconds, trailing zeros dropped: `…39Z`, `…40.71Z`, `…24.112Z`."""
    seconds, thousandths = divmod(round(at_s * 1000), 1000)
    fraction = f".{thousandths:03d}".rstrip("0") if thousandths else ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def to_ms(at_s: float) -> float:
    """Cut Unix seconds to what `stamp` can show, so that a job's moments and their texts agree."""
    return round(at_s, 3)
