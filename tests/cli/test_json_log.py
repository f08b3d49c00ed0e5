"""``--log_json``: the events of a run, which follow nst/cli/events.schema.json."""

import datetime
import json
import os
import sys

import jsonschema
import pytest

from helpers import QUICK, ROOT, on_step

SCHEMA = json.loads((ROOT / "nst/cli/events.schema.json").read_text())
LOGGED = (*QUICK, "--log_json")


def events_of(outcome):
    """The events on standard output, each checked against the schema."""
    events = [json.loads(line) for line in outcome.out.splitlines()]
    for event in events:
        jsonschema.Draft202012Validator(SCHEMA).validate(event)
        assert datetime.datetime.fromisoformat(event["time"]).tzinfo
    return events


def names(events):
    return [event["event"] for event in events]


def test_the_events_of_a_run(nst, pair):
    done = nst(*pair, *LOGGED)
    assert done.code == 0
    events = events_of(done)
    assert names(events) == ["plan", "start", "step", "step", "step", "end", "summary"]
    plan, start, *steps, end, summary = events
    assert plan["jobs"] == 1
    assert (start["content"], start["styles"]) == (str(pair[1]), [str(pair[3])])
    assert start["folder"] == "output/photo__painting"
    assert start["goes_on_after"] is None
    assert [step["iteration"] for step in steps] == [0, 2, 4]
    assert [step["epochs"] for step in steps] == [4, 4, 4]
    assert steps[-1]["J"] < steps[0]["J"]
    assert (end["status"], end["picture"]) == (
        "finished",
        "output/photo__painting/generated_image.png",
    )
    counts = {name: summary[name] for name in ("finished", "skipped", "failed")}
    assert counts == {"finished": 1, "skipped": 0, "failed": 0}
    assert summary["gallery"] == "output/index.html"
    assert "Content   " in done.err  # remarks for people are where they were
    again = events_of(nst(*pair, *LOGGED))
    assert [event.get("status") for event in again] == [None, "skipped", None]


def test_a_dry_run_ends_with_its_forecast(nst, pair, tmp_path):
    events = events_of(nst(*pair, *LOGGED, "--dry_run"))
    assert names(events) == ["plan", "foreseen"]
    assert events[-1]["seconds"] >= 0
    assert events[-1]["memory_bytes"] > 1e8
    assert not (tmp_path / "output").exists()


def test_the_address_of_the_live_page_comes_first(nst, pair):
    first, *others = events_of(nst(*pair, *LOGGED, "--live", 0))
    assert first["event"] == "live"
    assert first["url"].startswith("http://127.0.0.1:")
    assert names(others)[0] == "plan"


def test_an_error_is_an_event(nst):
    refused = nst("--content_image_filename", "missing.jpg", "--log_json")
    assert refused.code == 3
    (event,) = events_of(refused)
    assert (event["event"], event["exit_code"]) == ("error", 3)
    assert "missing.jpg" in event["message"]
    assert "missing.jpg" in refused.err


@pytest.mark.parametrize("broken", ["pipe", "disk"])
def test_a_run_goes_on_when_nobody_reads_its_events(nst, pair, tmp_path, monkeypatch, broken):
    if broken == "pipe":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open("/dev/full", os.O_WRONLY)
    with monkeypatch.context() as patch, open(writing, "w", buffering=1) as stream:
        patch.setattr(sys, "stdout", stream)
        done = nst(*pair, *LOGGED)
    assert done.code == 0
    assert done.err.count("going on without it") == (broken == "disk")
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()


def test_a_bug_is_an_event(nst, pair, monkeypatch):
    def fail(task, step):
        raise RuntimeError("an accident")

    on_step(monkeypatch, fail)
    done = nst(*pair, *LOGGED)
    assert done.code == 70
    assert events_of(done)[-1]["exit_code"] == 70
