"""Ready-made sets of faults for a whole run."""

from dataclasses import replace

from spexporter.simulator.faults import (
    API,
    BODIES,
    CUT,
    ENDLESS,
    ENDPOINTS,
    ERROR,
    HANG,
    HANG_UP,
    JOB_STATUSES,
    LATENCY,
    QUIRKS,
    RESULTS,
    TOKEN_DIES,
    TRICKLE,
    Fault,
)

_QUICK = (
    Fault(HANG_UP),
    Fault(CUT),
    Fault(ERROR, status=500),
    Fault(ERROR, status=502, html=True),
    Fault(ERROR, status=503, retry_after="1"),
    Fault(ERROR, status=504, html=True),
    Fault(ERROR, status=429),
    Fault(ERROR, status=429, retry_after="2"),
    Fault(ERROR, status=429, retry_after="soon"),
    Fault(ERROR, status=302, endpoints=API),
    Fault(ERROR, status=400, endpoints=API),
    Fault(ERROR, status=404, endpoints=JOB_STATUSES),
    Fault(TOKEN_DIES, endpoints=API),
    *(Fault(kind) for kind in BODIES),
)
_SLOW = (Fault(HANG), Fault(TRICKLE), Fault(ENDLESS, endpoints=ENDPOINTS - RESULTS))


def all_quirks(share: float = 0.5) -> tuple[Fault, ...]:
    """Return every payload quirk, each in `share` of the answers that it fits."""
    return tuple(Fault(kind, share) for kind in QUIRKS)


ALL_QUIRKS = all_quirks()


def hostile(share: float, *, slow: bool = False) -> tuple[Fault, ...]:
    """Return faults of delivery, status and body that spoil `share` of the answers of every endpoint.

    There are only such as a careful reader gets over by asking again: no 403, no 404 for a result, no refused
    credential. `slow` adds those that take real time: hang, trickle, endless (but for results), and latency, which
    spoils nothing, for `share` of all answers.
    """
    faults = (*_QUICK, *_SLOW) if slow else _QUICK
    fitting = {endpoint: [fault for fault in faults if fault.concerns(endpoint)] for endpoint in sorted(ENDPOINTS)}
    spread = [
        replace(fault, share=share / len(fits), endpoints=frozenset({endpoint}))
        for endpoint, fits in fitting.items()
        for fault in fits
    ]
    return (*spread, Fault(LATENCY, share)) if slow else tuple(spread)
