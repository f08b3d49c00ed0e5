"""What the tests of this folder share."""

from types import SimpleNamespace

import pytest
from forecast_cases import RESIDENT

from nst.engine import budget, forecast


@pytest.fixture
def known_process(monkeypatch):
    """A process of a known size, so that forecasts do not depend on earlier tests."""
    information = SimpleNamespace(rss=RESIDENT)
    process = SimpleNamespace(memory_info=lambda: information)
    monkeypatch.setattr(forecast, "resident_before", lambda: RESIDENT)
    monkeypatch.setattr(forecast.psutil, "Process", lambda: process)
    monkeypatch.setattr(budget, "memory_limit", lambda: None)


@pytest.fixture
def host(monkeypatch):
    """Set the free memory of the host, in bytes."""
    return lambda size: monkeypatch.setattr(budget, "free_memory", lambda: size)
