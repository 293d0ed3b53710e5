"""Which faults a request meets: by tenant, by time, and by dice that repeat themselves."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from spexporter.clock import Clock
from spexporter.simulator.calls import Call
from spexporter.simulator.chance import chance
from spexporter.simulator.faults import CONDITIONS, INSTEAD, RIVAL, Fault
from spexporter.simulator.plan import TenantPlan
from spexporter.simulator.rival import Rival

_WITHOUT_THROW = INSTEAD | CONDITIONS


def _forget(_: Fault) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class Met:
    """The faults that one answer meets: at most one of `INSTEAD`, and any number of the others.

    `served` is to be told of each that shows in the answer; `dice` are for what else there is to draw.
    """

    dice: Random
    instead: Fault | None = None
    beside: tuple[Fault, ...] = ()
    served: Callable[[Fault], None] = _forget

    def all(self, kind: str) -> Iterator[Fault]:
        """Yield the faults of a kind that stand beside the answer."""
        return (fault for fault in self.beside if fault.kind == kind)

    def first(self, kind: str) -> Fault | None:
        """Return the first of `all`, None where there is none."""
        return next(self.all(kind), None)

    def replaced_by(self, *kinds: str) -> Fault | None:
        """Return what comes instead of the answer if it is of one of `kinds`."""
        return self.instead if self.instead is not None and self.instead.kind in kinds else None


UNTROUBLED = Met(chance("untroubled"))


class Troubles:
    """The faults of every tenant.

    Each request throws dice of its own, which follow from the seed, the tenant, the endpoint, the job and how often
    that was asked before: what others ask meanwhile changes nothing. `start_s` is the simulator's start, Unix seconds;
    `served` counts by tenant and by name of the fault.
    """

    def __init__(self, plans: Iterable[TenantPlan], *, clock: Clock, seed: int, per_s: float) -> None:
        self.served: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._clock = clock
        self._seed = seed
        self._per_s = per_s
        self.start_s = clock.wall()
        self._begun_s = clock.monotonic()
        self._client_ids = {plan.name: plan.client_id for plan in plans}
        self._faults = {plan.name: plan.faults for plan in plans}
        self._asked: Counter[tuple[str, str, str]] = Counter()
        self.rivals: Mapping[str, list[Rival]] = self._find_rivals()

    def age_s(self) -> float:
        """Return the seconds since the simulator's start."""
        return self._clock.monotonic() - self._begun_s

    def afflict(self, tenant: str, faults: Iterable[Fault]) -> None:
        """Add `faults` to a tenant's own.

        Raises:
            KeyError: there is no such tenant.
        """
        self._faults[tenant] = (*self._faults[tenant], *faults)
        self.rivals = self._find_rivals()

    def heal(self, tenant: str) -> None:
        """Take all faults from a tenant; what its rivals have taken stays taken.

        Raises:
            KeyError: there is no such tenant.
        """
        age_s = self.age_s()
        self._faults[tenant] = tuple(
            replace(fault, until_s=min(fault.until_s, age_s))
            for fault in self._faults[tenant]
            if fault.kind == RIVAL and fault.after_s < age_s
        )
        self.rivals = self._find_rivals()

    def meet(self, call: Call) -> Met:
        """Throw the dice for one request."""
        faults = self._faults.get(call.tenant, ())
        if not faults:
            return UNTROUBLED
        subject = call.tenant, call.endpoint, call.job_id
        dice = chance(self._seed, "trouble", *subject, self._asked[subject])
        self._asked[subject] += 1
        age_s = self.age_s()
        level, instead, beside = dice.random(), None, []
        for fault in faults:
            # Everyone throws, so that a fault that begins or ends changes nothing for the others.
            throw = 0.0 if fault.kind in _WITHOUT_THROW else dice.random()
            if not (fault.lasts_at(age_s) and fault.concerns(call.endpoint)):
                continue
            if fault.kind not in INSTEAD:
                beside += [fault] if throw < fault.share else []
            elif instead is None:
                level -= fault.share
                instead = fault if level < 0 else None
        served = self.served[call.tenant]
        served.update(fault.name for fault in beside if fault.kind in CONDITIONS)
        return Met(dice, instead, tuple(beside), lambda fault: served.update((fault.name,)))

    def taken(self, client_id: str, now_s: float) -> int:
        """Return how many places of a client's window rivals have taken at `now_s`, monotonic seconds."""
        return sum(rival.taken_at(now_s) for rival in self.rivals.get(client_id, ()))

    def _find_rivals(self) -> Mapping[str, list[Rival]]:
        found: defaultdict[str, list[Rival]] = defaultdict(list)
        for tenant, faults in self._faults.items():
            for fault in faults:
                if fault.kind == RIVAL:
                    times = (self._begun_s + fault.after_s, self._begun_s + fault.until_s)
                    found[self._client_ids[tenant]].append(Rival(fault.count, self._per_s, *times))
        return found
