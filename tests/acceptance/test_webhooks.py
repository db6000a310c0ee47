"""Webhooks on a real run: they shorten waits and settle doubts, and nothing depends on them."""

from __future__ import annotations

import socket
from pathlib import Path

from batch_kit import Batch, distinct_jobs, states, vendor

SLOW_POLLS = {
    "submit_rate": "50/s",
    "request_rate": "200/s",
    "in_flight": 8,
    "poll_interval": "5s",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_lost_reply_is_settled_by_a_notice_although_the_log_is_silent(tmp_path: Path) -> None:
    batch = Batch(tmp_path / "batch")
    batch.folder.mkdir()
    port = free_port()
    batch.write(
        distinct_jobs(batch.folder, 4),
        limits={**SLOW_POLLS, "poll_interval": "200ms"},
        webhook={"url": f"http://127.0.0.1:{port}/hook", "listen": f"127.0.0.1:{port}"},
    )
    faults = [
        {"on": "submit", "do": "drop_after", "nth": [2]},
        {"on": "credit_logs", "do": "status", "status": 500},
    ]
    with vendor(tmp_path / "vendor", faults) as there:
        batch.env = there.env
        result = batch.run()
        assert states(batch.status()) == {"done": 4}, result.stderr
        audit = there.audit()
    assert result.returncode == 0
    assert audit["lost_replies"] == 1
    assert audit["duplicate_tasks"] == 0
    evidence = batch.rows("SELECT data FROM events WHERE kind = 'doubt_adopted'")
    assert len(evidence) == 1
    assert "webhook" in evidence[0][0]


def test_notices_make_polls_due_at_once(tmp_path: Path) -> None:
    batch = Batch(tmp_path / "batch")
    batch.folder.mkdir()
    batch.write(distinct_jobs(batch.folder, 4), limits=SLOW_POLLS)
    port = free_port()
    with vendor(tmp_path / "vendor", render_mean_s=0.3) as there:
        batch.env = there.env
        result = batch.run(
            "--webhook-url", f"http://127.0.0.1:{port}/x", "--webhook-listen", f"127.0.0.1:{port}"
        )
        queries = there.audit()["requests"]["query"]
    assert result.returncode == 0, result.stderr
    assert queries == 4, "one query each: told by the notice, confirmed by the query"
    waits = batch.rows("SELECT max(ended_at - accepted_at) FROM attempts")
    assert waits[0][0] < 4.5, "the first poll would have come after 5 s"


def test_an_address_that_the_vendor_does_not_take_is_told_and_polled_around(
    tmp_path: Path,
) -> None:
    batch = Batch(tmp_path / "batch")
    batch.folder.mkdir()
    batch.write(distinct_jobs(batch.folder, 2))
    port = free_port()
    faults = [{"on": "notice_check", "do": "code", "code": "4000"}]
    with vendor(tmp_path / "vendor", faults) as there:
        batch.env = there.env
        result = batch.run(
            "--webhook-url", f"http://127.0.0.1:{port}/x", "--webhook-listen", f"127.0.0.1:{port}"
        )
    assert result.returncode == 0
    assert "does not take the webhook's address" in result.stderr
