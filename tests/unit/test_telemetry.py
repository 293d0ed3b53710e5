"""What we tell about ourselves."""

import pytest

from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.telemetry import Telemetry


@pytest.mark.parametrize("count", [1, 499, 500, 501, 1203])
def test_each_page_has_all_that_was_observed_before_it(count: int) -> None:
    """Values are gathered before the histograms have them: none is late or lost, and none is there twice."""
    telemetry = Telemetry(OWN_FAMILIES)
    for number in range(count):
        telemetry.ended("acme", "export-status", "200", number % 2, deprecated=False)
        telemetry.started(2.0)
    for _ in range(2):
        read = telemetry.registry.get_sample_value
        labels = {"endpoint": "export-status"}
        assert read("spexporter_api_request_duration_seconds_count", labels) == count
        assert read("spexporter_api_request_duration_seconds_sum", labels) == count // 2
        assert read("spexporter_poll_lateness_seconds_count") == count
        assert read("spexporter_poll_lateness_seconds_sum") == 2 * count
