from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
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


def test_what_is_said_again_is_the_object_that_is_known() -> None:
    """After a restart the ledger has it already, and each file that is read anew would bring another one."""
    watchlist, known, new = Watchlist(), job("1"), job("2")
    watchlist.restore("acme", [known])
    assert watchlist.replace(Source.CONFIG, "acme", [job("1"), new]) == Delta((new,), ())
    held = watchlist.named(Source.CONFIG, "acme")
    assert [id(each) for each in held.values()] == [id(known), id(new)]


def test_tenants_do_not_mix() -> None:
    """What is named for one tenant is nothing to another."""
    watchlist = Watchlist()
    watchlist.replace(Source.CONFIG, "acme", [job("1")])
    assert watchlist.replace(Source.CONFIG, "globex", []) == Delta((), ())


def test_each_source_keeps_its_own_word_beside_the_others() -> None:
    """What one source names, and which sources name a job, the strongest first."""
    watchlist = Watchlist()
    watchlist.replace(Source.BACKUP, "acme", [job("1")])
    watchlist.replace(Source.API, "acme", [job("1", "handed in"), job("2")])
    assert watchlist.sources(job("1").key) == (Source.API, Source.BACKUP)
    assert watchlist.sources(job("3").key) == ()
    assert watchlist.named(Source.API, "acme") == {job("1").key: job("1", "handed in"), job("2").key: job("2")}
    assert watchlist.named(Source.API, "globex") == {}


def test_a_job_handed_in_is_known_after_a_restart_whoever_described_it() -> None:
    """The store has the strongest source alone, and that our API was asked for it, too."""
    watchlist = Watchlist()
    given = replace(job("1", "handed in"), source=Source.API)
    watchlist.replace(Source.API, "acme", [given])
    watched = replace(job("1", "in a file"), source=Source.FILE)
    (stored,) = watchlist.replace(Source.FILE, "acme", [watched]).added
    assert stored == replace(watched, by_api=True)
    again = Watchlist()
    again.restore("acme", [stored])
    assert again.sources(given.key) == (Source.FILE, Source.API)
    assert again.replace(Source.FILE, "acme", [watched]) == Delta((), ())
    assert again.replace(Source.FILE, "acme", []) == Delta((replace(given, name="in a file"),), ())
