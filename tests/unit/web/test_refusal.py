import difflib
from unittest.mock import patch

from spexporter.web.refusal import would_be_right

MANY = [f"tenant-{number:05d}-prod" for number in range(10_000)]


def test_the_nearest_of_very_many_is_found_among_those_that_look_alike() -> None:
    """A few hundred are compared, however many there are: each takes a while."""
    with patch.object(difflib, "get_close_matches", wraps=difflib.get_close_matches) as look:
        assert would_be_right("globx-prod", [*MANY, "globex-prod"]) == "did you mean globex-prod?"
        assert would_be_right("xyz", MANY).endswith("tenant-00009-prod and 9990 more")
    assert max(len(call.args[1]) for call in look.call_args_list) == 200
