"""Chance that repeats itself: everything drawn by the simulator follows from a seed."""

import random
import uuid


def chance(*parts: object) -> random.Random:
    """Return the dice for one purpose; the same `parts` always give the same throws, in every process."""
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - believable and repeatable, nothing secret


def hex_id(rng: random.Random) -> str:
    """Draw 32 hexadecimal digits, the shape of most ids of SailPoint objects."""
    return f"{rng.getrandbits(128):032x}"


def dashed_id(rng: random.Random) -> str:
    """Draw a UUID with dashes, the shape of job ids."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
