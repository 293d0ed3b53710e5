"""Writes spexporter/domain/inspection_table.py: how long to wait until the next look at something that ends some time.

The inspection problem (Barlow, Hunter and Proschan, 1963): a look costs `price`, and every second between the end and
the look that finds it costs one. With the survivor function S of the duration, what is still to pay after a look at age
a is U(a) = min over t of (price + t) S(a) - (integral of S from a to a + t) + U(a + t).

Durations are lognormal with median 1, so that one table serves all scales: times and the price are in medians.
"""

import base64
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "spexporter" / "domain" / "inspection_table.py"
SIGMAS = tuple(round(0.1 * 2 ** (step / 2), 4) for step in range(9))
PRICES = tuple(2.0**power for power in range(-13, 8))
AGES_Z = tuple(-4.0 + step / 4 for step in range(29))
STEP_Z, FIRST_Z, LAST_Z = 1 / 128, -6.0, 7.0
UNIT = 1 / 2048

HEAD = '''"""How long to wait until the next look at what takes a lognormal time with median 1.

Written by `make tables` (scripts/inspection_table.py).

ln(wait) by sigma, then price, then age as z = ln(age) / sigma; 16-bit integers in units of 1/2048, in base 85.
"""

import base64
import struct
from collections.abc import Sequence

'''
TAIL = '''

def waits(row: int, column: int) -> Sequence[float]:
    """Return ln(wait) by age for one sigma and one price."""
    start = (row * len(PRICES) + column) * AGES
    return [value / 2048 for value in _VALUES[start : start + AGES]]
'''


def survivor(z: float) -> float:
    """Return the share that has not ended at z."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def hazard(z: float, sigma: float) -> float:
    """Return how many of those that have not ended at z end in a unit of time."""
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / (sigma * math.exp(sigma * z))
    return density / survivor(z)


def lived(z: float, sigma: float) -> float:
    """Return the mean of min(duration, t) for t = exp(sigma z): the integral of the survivor function."""
    before = math.exp(sigma * sigma / 2) * (1.0 - survivor(z - sigma))
    return math.exp(sigma * z) * survivor(z) + before


def plan(sigma: float, price: float) -> tuple[list[float], list[float], list[float]]:
    """Return ages, how long to wait after a look at each, and what is still to pay then: all in medians."""
    count = round((LAST_Z - FIRST_Z) / STEP_Z) + 1
    grid = [FIRST_Z + place * STEP_Z for place in range(count)]
    ages = [math.exp(sigma * z) for z in grid]
    alive = [survivor(z) for z in grid]
    area = [lived(z, sigma) for z in grid]
    left, waits = [0.0] * count, [0.0] * count
    best = count - 1
    for start in range(count - 2, -1, -1):

        def cost(end: int, start: int = start) -> float:
            return (price + ages[end] - ages[start]) * alive[start] - (area[end] - area[start]) + left[end]

        best = min(range(start + 1, best + 1), key=cost)  # the later the last look, the later the next one
        left[start] = cost(best)
        if best < start + 4:  # too fine for the grid: there are many looks, and the limit of the problem for many holds
            waits[start] = math.sqrt(2 * price / hazard(grid[start], sigma))
        else:
            waits[start] = _least(ages, cost, best) - ages[start]
    return ages, waits, left


def curve(sigma: float, price: float) -> Iterator[float]:
    """Yield ln(wait) at each of `AGES_Z`, in medians."""
    _, waits, _ = plan(sigma, price)
    for z in AGES_Z:
        yield math.log(waits[round((z - FIRST_Z) / STEP_Z)])


def _least(ages: list[float], cost: Callable[[int], float], best: int) -> float:
    """Return the age of least cost, between the places of the grid: the vertex of the parabola through three."""
    if best + 1 == len(ages):
        return ages[best]
    left, right = ages[best] - ages[best - 1], ages[best + 1] - ages[best]
    down, up = (cost(best) - cost(best - 1)) / left, (cost(best + 1) - cost(best)) / right
    return (ages[best - 1] + ages[best]) / 2 - down * (left + right) / 2 / (up - down) if up > down else ages[best]


def text() -> str:
    """Return the module."""
    waits = [wait for sigma in SIGMAS for price in PRICES for wait in curve(sigma, price)]
    packed = base64.b85encode(struct.pack(f"<{len(waits)}h", *(round(wait / UNIT) for wait in waits))).decode()
    lines = [f'    "{packed[at : at + 112]}"' for at in range(0, len(packed), 112)]
    facts = (
        f"SIGMAS = {SIGMAS}\nSIGMAS_PER_DOUBLING = 2\n"
        f"PRICES = tuple(2.0**power for power in range(-13, 8))\nFIRST_PRICE_LOG2 = -13\n"
        f"AGES = {len(AGES_Z)}\nFIRST_Z, STEPS_PER_Z = {AGES_Z[0]}, 4\n\n"
    )
    body = "\n".join(lines)
    values = f'_PACKED = (\n{body}\n)\n_VALUES = struct.unpack("<{len(waits)}h", base64.b85decode(_PACKED))\n'
    return HEAD + facts + values + TAIL


if __name__ == "__main__":
    TABLE.write_text(text())
