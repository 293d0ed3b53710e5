"""What is remembered of jobs for people, within bounds."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.chronicle import Chronicle, Seen
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.result import Texts

KEYS = [JobKey("acme", Operation.IMPORT, str(number)) for number in range(6)]


def jobs(key: JobKey, state: JobState, at_s: float) -> Mapping[JobKey, Job]:
    return {key: Job(WatchedJob(key), latest=Observation(key, state, state.value, observed_s=at_s))}


def test_each_change_of_a_state_is_remembered_once() -> None:
    """Also where two readings tell the same change."""
    chronicle, key = Chronicle(), KEYS[0]
    running, ended = jobs(key, JobState.IN_PROGRESS, 1.0), jobs(key, JobState.COMPLETE, 2.0)
    chronicle.compare([key], {}, running)
    chronicle.compare([key], running, jobs(key, JobState.IN_PROGRESS, 1.5))
    chronicle.compare([key, key], running, ended)
    assert chronicle.states(key) == (Seen(JobState.IN_PROGRESS, 1.0), Seen(JobState.COMPLETE, 2.0))
    assert chronicle.states(KEYS[1]) == ()


def test_a_job_that_is_gone_has_been_since_it_was_missed() -> None:
    """A 404 leaves the last observation as it was."""
    chronicle, key = Chronicle(), KEYS[0]
    observed = Observation(key, JobState.IN_PROGRESS, "IN_PROGRESS", observed_s=1.0)
    before = Job(WatchedJob(key), latest=observed)
    after = before.seen(Observation(key, JobState.NOT_FOUND, "", observed_s=9.0))
    chronicle.compare([key], {key: before}, {key: after})
    assert chronicle.states(key) == (Seen(JobState.NOT_FOUND, 9.0),)


def test_a_job_that_has_left_meanwhile_is_passed_over() -> None:
    """It may have been taken back while it was looked at."""
    chronicle = Chronicle()
    chronicle.compare(KEYS, {}, {KEYS[1]: Job(WatchedJob(KEYS[1]))})
    assert not any(chronicle.states(key) for key in KEYS)


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(JobState)), max_size=60))
def test_changes_stay_within_bounds(changes: list[tuple[JobKey, JobState]]) -> None:
    """The jobs that changed last are those that are remembered, each with its newest state at the end."""
    chronicle = Chronicle(most_jobs=3)
    newest: dict[JobKey, JobState] = {}
    for at_s, (key, state) in enumerate(changes):
        chronicle.compare([key], {}, jobs(key, state, float(at_s)))
        newest.pop(key, None)
        newest[key] = state
    remembered = list(newest)[-3:]
    for key in KEYS:
        states = chronicle.states(key)
        assert bool(states) == (key in remembered)
        assert len(states) <= 12
        assert [seen.state for seen in states][-1:] == ([newest[key]] if key in remembered else [])


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 5), st.integers(0, 4)), max_size=40))
def test_texts_stay_within_bounds_and_the_newest_import_keeps_its_own(told: list[tuple[JobKey, int, int]]) -> None:
    """Those of the oldest import go first, as a whole: half of them would mislead."""
    chronicle = Chronicle(most_texts=8)
    for key, errors, warnings in told:
        chronicle.told(key, {"ROLE": Texts(("e",) * errors, ("w",) * warnings), "RULE": Texts()})
        held = [texts for it in KEYS if (texts := chronicle.texts(it)) is not None]
        assert sum(len(texts["ROLE"].errors) + len(texts["ROLE"].warnings) for texts in held) <= 8
        assert all(list(texts) == ["ROLE"] for texts in held)
        assert (chronicle.texts(key) is not None) == (0 < errors + warnings <= 8)
