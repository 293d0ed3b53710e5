"""Three replicas with a real PostgreSQL, to which anything happens for minutes, and whether all is true in the end.

Kills, pauses, a cut connection to the database, restarts of it, and stops, at random moments. A real Prometheus with
the shipped rules watches.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spexporter.app import spare_collections
from tests.support.postgres import serving
from tests.support.replicas import ordeal

RULES = Path(__file__).resolve().parent.parent / "prometheus" / "spexporter.rules.yml"


def main() -> None:
    """Run it, and print what came of it."""
    options = _options()
    spare_collections()  # of everything that was noted: leases would end meanwhile
    with serving() as server, TemporaryDirectory() as folder:
        found = asyncio.run(
            ordeal(
                Path(folder),
                server,
                tenants=options.tenants,
                lease_s=options.lease,
                lasts_s=60.0 * options.minutes,
                seed=options.seed,
                jobs_each=options.jobs,
                scrape_every_s=options.scrape_every,
                rules=RULES,
                tell=lambda line: print(line, flush=True),
            )
        )
    print(found)
    for line in [
        *found.differences,
        *found.bad_news,
        *found.scraped.falls,
        *found.scraped_differences,
        *found.wrong_alerts,
    ][:40]:
        print("  ", str(line)[:400])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=4, help="of each tenant, beside one that never ends")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--lease", type=float, default=3.0, help="seconds")
    parser.add_argument(
        "--scrape-every", type=float, default=5.0, help="seconds; `counters.hold` is five times as long"
    )
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
