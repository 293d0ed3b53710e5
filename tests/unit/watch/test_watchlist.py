from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.watch.watchlist import Delta, Watchlist


def job(job_id: str, name: str = "") -> WatchedJob:
    return WatchedJob(JobKey("acme", Operation.EXPORT, job_id), name=name)


def test_replacing_a_source_tells_what_came_went_and_changed() -> None:
    """Jobs whose description changed come again; jobs that stayed the same do not."""
    watchlist = Watchlist()
    assert watchlist.replace(Source.CONFIG, "acme", [job("1"), job("2")]) == Delta((job("1"), job("2")), ())
    delta = watchlist.replace(Source.CONFIG, "acme", [job("2", "nightly"), job("3")])
    assert delta == Delta((job("2", "nightly"), job("3")), (job("1").key,))
    assert watchlist.replace(Source.CONFIG, "acme", [job("2", "nightly"), job("3")]) == Delta((), ())


def test_tenants_do_not_mix() -> None:
    """What is named for one tenant is nothing to another."""
    watchlist = Watchlist()
    watchlist.replace(Source.CONFIG, "acme", [job("1")])
    assert watchlist.replace(Source.CONFIG, "globex", []) == Delta((), ())
