"""Every endpoint meets every fault; for each pair the end of the batch is written down here.

The table below is the promise: where the batch can finish it finishes, what cannot be known is
in doubt and is said to be, nothing is made twice. A cell's word is explained in ``ENDS``; "-"
stands where the emulator has no such fault (an object store speaks no JSON).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
from fault_kit import End, Seen, Trial, run_all, short_clocks

from orchestrator.emulator.faults import FaultsError, parse_fault

REPLY_S = 3.0
"""How long a reply is waited for where the vendor never sends one."""
AT_ONCE = 16
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """A fault: the emulator's rule (None: connections are refused), and what people are told of
    it where it hits a submit. ``slow``: it takes a reply clock to notice it."""

    rule: Mapping[str, Any] | None
    clue: str = ""
    slow: bool = False


def status(number: int, clue: str, **more: Any) -> How:
    return How(rule={"do": "status", "status": number, **more}, clue=clue)


def code(number: str, **more: Any) -> How:
    return How(rule={"do": "code", "code": number, **more}, clue=f"code {number}")


FAULTS: dict[str, How] = {
    "refused": How(rule=None, clue="no connection"),
    "drop before": How(rule={"do": "drop_before"}, clue="the connection broke before the reply"),
    "reset before": How(rule={"do": "drop_before", "reset": True}, clue="the connection broke"),
    "drop after": How(rule={"do": "drop_after"}, clue="the connection broke before the reply"),
    "reset after": How(rule={"do": "drop_after", "reset": True}, clue="the connection broke"),
    "drop in mid-body": How(rule={"do": "drop_mid_body"}, clue="the reply was cut off"),
    "500 not made": status(500, "HTTP 500"),
    "500 made": status(500, "HTTP 500", effect=True),
    "502 not made": status(502, "HTTP 502", body="html"),
    "502 made": status(502, "HTTP 502", body="html", effect=True),
    "503 not made": status(503, "HTTP 503"),
    "503 made": status(503, "HTTP 503", effect=True),
    "504 not made": status(504, "HTTP 504", body="empty"),
    "504 made": status(504, "HTTP 504", body="empty", effect=True),
    "429 with seconds": status(429, "HTTP 429", retry_after=1),
    "429 with a date": status(429, "HTTP 429", retry_after="date"),
    "429 with nothing": status(429, "HTTP 429"),
    "HTTP 401": status(401, "does not accept the credentials"),
    "HTTP 403": status(403, "HTTP 403"),
    "redirect": status(307, "HTTP 307"),
    "code 401": code("401"),
    "code 4004": code("4004"),
    "code 4007": code("4007"),
    "code 4100": code("4100"),
    "code 5000 not made": code("5000"),
    "code 5000 made": code("5000", effect=True),
    "code 5003": code("5003"),
    "code 5005 not made": code("5005"),
    "code 5005 made": code("5005", effect=True),
    "code 6001": code("6001"),
    "HTML with 200": How(rule={"do": "html"}, clue="HTML instead of JSON"),
    "truncated JSON": How(rule={"do": "truncated_json"}, clue="no JSON"),
    "empty body": How(rule={"do": "empty_body"}, clue="an empty body"),
    "wrong types": How(rule={"do": "wrong_types"}, clue="names no task"),
    "missing fields": How(rule={"do": "missing_fields"}, clue="names no task"),
    "integer code": How(rule={"do": "integer_code"}),
    "garbage": How(rule={"do": "garbage"}, clue="the reply is no HTTP"),
    "200 MB": How(rule={"do": "huge_body"}, clue="larger than 4 MiB"),
    "no reply, made": How(rule={"do": "stall"}, clue="no reply within", slow=True),
    "no reply, not made": How(
        rule={"do": "stall", "effect": False}, clue="no reply within", slow=True
    ),
    "one byte a second": How(rule={"do": "slow_bytes"}, clue="no reply within", slow=True),
    "says not there": How(rule={"do": "not_there"}),
    "dead link": How(rule={"do": "dead_link"}),
    "expired link": How(rule={"do": "expired"}),
    "success without video": How(rule={"do": "no_url"}),
    "unknown status": How(rule={"do": "unknown_status"}),
    "half of the length": How(rule={"do": "truncated"}),
    "no length": How(rule={"do": "no_length"}),
    "no length, cut": How(rule={"do": "close_delimited", "cut": True}),
    "another object": How(rule={"do": "changed"}),
    "no video inside": How(rule={"do": "corrupt"}),
}

TABLE = """
                      credential  put   check  submit   query  download  credit   probe  credit_logs
refused               done        done  done   waits    done   done      done     done   done
drop before           done        done  done   doubt    done   done      done     done   done
reset before          done        done  done   doubt    done   done      done     done   done
drop after            done        done  done   adopted  done   done      done     done   done
reset after           done        done  done   adopted  done   done      done     done   done
drop in mid-body      done        done  done   adopted  done   done      done     done   done
500 not made          done        done  done   doubt    done   done      done     done   done
500 made              done        done  done   adopted  done   done      done     done   done
502 not made          done        done  done   doubt    done   done      done     done   done
502 made              done        done  done   adopted  done   done      done     done   done
503 not made          done        done  done   doubt    done   done      done     done   done
503 made              done        done  done   adopted  done   done      done     done   done
504 not made          done        done  done   doubt    done   done      done     done   done
504 made              done        done  done   adopted  done   done      done     done   done
429 with seconds      done        done  done   again    done   done      done     done   done
429 with a date       done        done  done   again    done   done      done     done   done
429 with nothing      done        done  done   again    done   done      done     done   done
HTTP 401              auth        done  auth   auth     auth   done      auth     done   done
HTTP 403              fails       done  done   gateway  done   done      refused  done   done
redirect              done        done  done   doubt    done   done      done     done   done
code 401              auth        -     auth   auth     auth   -         auth     done   done
code 4004             fails       -     done   fails    done   -         refused  done   done
code 4007             done        -     done   cap      done   -         done     done   done
code 4100             credit      -     done   credit   done   -         credit   done   done
code 5000 not made    done        -     done   doubt    done   -         done     done   done
code 5000 made        done        -     done   adopted  done   -         done     done   done
code 5003             done        -     done   again    done   -         done     done   done
code 5005 not made    done        -     done   doubt    done   -         done     done   done
code 5005 made        done        -     done   adopted  done   -         done     done   done
code 6001             fails       -     done   fails    done   -         refused  done   done
HTML with 200         done        done  done   adopted  done   done      done     done   done
truncated JSON        done        -     done   adopted  done   -         done     done   done
empty body            done        done  done   adopted  done   done      done     done   done
wrong types           done        -     done   adopted  done   -         done     done   done
missing fields        done        -     done   adopted  done   -         done     done   done
integer code          done        -     done   done     done   -         done     done   done
garbage               done        done  done   adopted  done   done      done     done   done
200 MB                done        done  done   adopted  done   done      done     done   done
no reply, made        done        done  done   adopted  done   done      done     done   done
no reply, not made    done        done  done   doubt    done   done      done     done   done
one byte a second     done        done  done   adopted  done   done      done     done   done
says not there        -           -     done   -        -      -         -        -      -
dead link             done        -     -      -        done   -         -        -      -
expired link          -           done  -      -        -      done      -        -      -
success without video -           -     -      -        done   -         -        -      -
unknown status        -           -     -      -        done   -         -        -      -
half of the length    -           -     -      -        -      done      -        -      -
no length             -           -     -      -        -      done      -        -      -
no length, cut        -           -     -      -        -      done      -        -      -
another object        -           -     -      -        -      done      -        -      -
no video inside       -           -     -      -        -      done      -        -      -
"""

LOST_ONCE = {"on": "submit", "do": "drop_after", "first": 1}
"""The first submit's reply is lost, so that the vendor is asked free questions about it."""

PLACES: dict[str, Trial] = {
    "credential": Trial(files=2, limits={"uploads": 1}),
    "put": Trial(files=2, limits={"uploads": 1}),
    "check": Trial(files=2, limits={"uploads": 1}),
    "submit": Trial(texts=3),
    "query": Trial(texts=2, limits={"in_flight": 1}, vendor={"render_mean_s": 0.3}),
    "download": Trial(texts=2, limits={"downloads": 1}),
    "credit": Trial(texts=2),
    "probe": Trial(texts=3, rules=(LOST_ONCE,)),
    "credit_logs": Trial(texts=3, rules=(LOST_ONCE,)),
}
"""The batch in which each endpoint's faults play. ``probe``: the balance, asked after a doubt."""

DONE_2 = End(states="done done", exit_code=0, tasks=2, submits=2, says=("all 2 videos done",))
DONE_3 = End(states="done done done", exit_code=0, tasks=3, submits=3, says=("all 3 videos done",))
ENDS: dict[str, dict[str, End]] = {
    "credential": {
        "done": DONE_2,
        "auth": End(states="pending pending", exit_code=8, tasks=0, submits=0, says=("refused",)),
        "credit": End(
            states="pending pending", exit_code=5, tasks=0, submits=0, says=("enough credit",)
        ),
        "fails": End(states="failed done", exit_code=3, tasks=1, submits=1, says=("1 failed",)),
    },
    "put": {"done": DONE_2},
    "check": {
        "done": DONE_2,
        "auth": End(states="pending pending", exit_code=8, tasks=0, submits=0, says=("refused",)),
    },
    "submit": {
        "done": replace(DONE_3, says=()),
        "waits": replace(DONE_3, says=("submits wait for the vendor", "{clue}")),
        "again": replace(DONE_3, submits=4, says=("submits wait for the vendor", "{clue}")),
        "cap": replace(DONE_3, submits=4),
        "adopted": replace(DONE_3, says=("in doubt: ", "{clue}", "no longer in doubt")),
        "doubt": End(
            states="in_doubt done done",
            exit_code=4,
            tasks=2,
            submits=3,
            says=("a task may have been made", "{clue}", "1 in doubt", "orchestrator resolve"),
        ),
        "fails": End(
            states="failed done done", exit_code=3, tasks=2, submits=3, says=("{clue}", "1 failed")
        ),
        "auth": End(
            states="ready ready ready", exit_code=8, tasks=0, submits=1, says=("{clue}", "KEY")
        ),
        "credit": End(
            states="ready ready ready", exit_code=5, tasks=0, submits=1, says=("enough credit",)
        ),
        "gateway": End(
            states="ready ready ready",
            exit_code=3,
            tasks=0,
            submits=1,
            says=("{clue}", "TOPVIEW_BASE_URL"),
        ),
    },
    "query": {
        "done": DONE_2,
        "auth": End(
            states="submitted ready", exit_code=8, tasks=1, submits=1, says=("refused the cred",)
        ),
    },
    "download": {"done": DONE_2},
    "credit": {
        "done": DONE_2,
        "auth": End(states="", exit_code=8, tasks=0, submits=0, says=("TOPVIEW_API_KEY",)),
        "credit": End(
            states="pending pending",
            exit_code=5,
            tasks=0,
            submits=0,
            says=("asked for the balance", "enough credit (code 4100)", "nothing is submitted"),
        ),
        "refused": End(
            states="",
            exit_code=1,
            tasks=0,
            submits=0,
            says=("refused to tell", "{clue}", "Nothing was sent"),
        ),
    },
    "probe": {"done": DONE_3},
    "credit_logs": {"done": DONE_3},
}

Cell = tuple[str, str]
"""Fault and endpoint."""


def read_table() -> dict[Cell, str]:
    """The words of the table by fault and endpoint."""
    lines = TABLE.strip("\n").splitlines()
    columns = lines[0].split()
    words = {}
    for line in lines[1:]:
        fault = line[:22].strip()
        for endpoint, word in zip(columns, line[22:].split(), strict=True):
            words[fault, endpoint] = word
    return words


WORDS = read_table()
CELLS = [cell for cell, word in WORDS.items() if word != "-"]
ENDS_EARLY = {"fails", "auth", "credit", "gateway", "refused"}


def trial_of(cell: Cell) -> Trial:
    """The batch of a cell with its fault."""
    fault, endpoint = cell
    how, place = FAULTS[fault], PLACES[endpoint]
    reply_s = REPLY_S if how.slow else None
    on = "credit" if endpoint == "probe" else endpoint
    if how.rule is None:
        return replace(place, refuse=(on, 2 if endpoint == "probe" else 1), reply_s=reply_s)
    rule = {"on": on, **how.rule, **trigger(endpoint, WORDS[cell])}
    return replace(place, rules=(*place.rules, rule), reply_s=reply_s)


def trigger(endpoint: str, word: str) -> dict[str, Any]:
    """When the fault happens: once where it ends something, else twice in a row."""
    if endpoint == "probe":
        return {"nth": [2, 3]}
    return {"first": 1 if endpoint == "submit" or word in ENDS_EARLY else 2}


def expected_end(cell: Cell) -> End:
    """What the table promises for a cell."""
    end = ENDS[cell[1]][WORDS[cell]]
    return replace(end, says=tuple(part.format(clue=FAULTS[cell[0]].clue) for part in end.says))


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistent:
    """A fault that does not go away, the batch that meets it, and its end."""

    trial: Trial
    rule: Mapping[str, Any]
    end: End


def failed(count: int, *says: str, made: bool = True) -> End:
    states, tasks = " ".join(["failed"] * count), count if made else 0
    return End(states=states, exit_code=3, tasks=tasks, submits=tasks, says=says)


UPLOADS, DOWNLOADS = PLACES["check"], PLACES["download"]
HASTY = Trial(texts=2, keys={"task_deadline": "1s"})
LOST = Trial(texts=2, rules=(LOST_ONCE,), keys={"doubt_horizon": "1s"})
LOST_FOR_EVER = replace(LOST, keys={**LOST.keys, "on_doubt": "resubmit", "task_deadline": "1s"})

PERSISTENT: dict[str, Persistent] = {
    "an upload that is never seen": Persistent(
        trial=UPLOADS,
        rule={"on": "check", "do": "not_there"},
        end=failed(2, "does not see the file", made=False),
    ),
    "upload links that are always dead": Persistent(
        trial=UPLOADS,
        rule={"on": "credential", "do": "dead_link"},
        end=failed(2, "link was refused three times", made=False),
    ),
    "an object store that refuses the form": Persistent(
        trial=UPLOADS,
        rule={"on": "put", "do": "status", "status": 411},
        end=failed(2, "HTTP 411", made=False),
    ),
    "tasks that fail": Persistent(
        trial=DOWNLOADS,
        rule={"on": "task", "do": "fail", "message": "Model service unavailable"},
        end=failed(2, "Model service unavailable"),
    ),
    "tasks that fail without a word": Persistent(
        trial=DOWNLOADS,
        rule={"on": "task", "do": "fail"},
        end=failed(2, "the vendor could not render it"),
    ),
    "tasks that the vendor forgets": Persistent(
        trial=DOWNLOADS,
        rule={"on": "query", "do": "code", "code": "4004"},
        end=failed(2, "does not know the task"),
    ),
    "success that never names a video": Persistent(
        trial=DOWNLOADS,
        rule={"on": "query", "do": "no_url"},
        end=failed(2, "names no video"),
    ),
    "download links that are always dead": Persistent(
        trial=DOWNLOADS,
        rule={"on": "query", "do": "dead_link"},
        end=failed(2, "HTTP 403"),
    ),
    "videos that are none": Persistent(
        trial=DOWNLOADS,
        rule={"on": "download", "do": "corrupt"},
        end=failed(2, "is no video but something unknown"),
    ),
    "queries that never tell": Persistent(
        trial=HASTY,
        rule={"on": "query", "do": "status", "status": 502},
        end=End(
            states="submitted submitted", exit_code=4, tasks=2, submits=2, says=("task_deadline",)
        ),
    ),
    "a balance that nobody tells": Persistent(
        trial=Trial(texts=2),
        rule={"on": "credit", "do": "status", "status": 503},
        end=End(states="", exit_code=1, tasks=0, submits=0, says=("HTTP 503", "nothing was sent")),
    ),
    "a credit log that cannot be read": Persistent(
        trial=LOST,
        rule={"on": "credit_logs", "do": "status", "status": 500},
        end=End(
            states="in_doubt done",
            exit_code=4,
            tasks=2,
            submits=2,
            says=("still in doubt", "credit log could not be read"),
        ),
    ),
    "a credit log that cannot be read, and on_doubt: resubmit": Persistent(
        trial=LOST_FOR_EVER,
        rule={"on": "credit_logs", "do": "status", "status": 500},
        end=End(
            states="in_doubt done",
            exit_code=4,
            tasks=2,
            submits=2,
            says=("still in doubt", "credit log could not be read"),
        ),
    ),
    "a credit log that refuses the key": Persistent(
        trial=LOST,
        rule={"on": "credit_logs", "do": "code", "code": "401"},
        end=End(
            states="in_doubt done",
            exit_code=4,
            tasks=2,
            submits=2,
            says=("still in doubt", "credit log could not be read"),
        ),
    ),
}


def of_persistent(case: Persistent) -> Trial:
    return replace(case.trial, rules=(*case.trial.rules, case.rule))


def chosen(request: pytest.FixtureRequest, parameter: str) -> list[Any]:
    """The values of a parameter of this module's tests that were asked for."""
    return [
        item.callspec.params[parameter]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and parameter in item.fixturenames
    ]


@pytest.fixture(scope="module")
def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[Any, Seen | BaseException]:
    """How everything that was asked for ended; the trials run side by side."""
    trials: dict[Any, Trial] = {cell: trial_of(cell) for cell in chosen(request, "cell")}
    trials |= {name: of_persistent(PERSISTENT[name]) for name in chosen(request, "trouble")}
    folder = tmp_path_factory.mktemp("matrix")
    with short_clocks():
        return asyncio.run(run_all(folder, trials, AT_ONCE, PATIENCE_S))


def check(seen: Seen | BaseException, expected: End) -> Seen:
    """It ended as expected, and no promise was broken on the way."""
    if isinstance(seen, BaseException):
        raise AssertionError(f"it did not end, expected was {expected}") from seen
    assert seen.end(expected) == expected
    assert seen.wrong == ()
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell[1]}: {cell[0]}")
def test_the_batch_ends_as_the_table_says(
    cell: Cell, matrix: dict[Any, Seen | BaseException]
) -> None:
    seen = check(matrix[cell], expected_end(cell))
    where = "@credit" if cell[1] == "probe" else f"@{cell[1]}"
    happened = [name for name in seen.faults if name == "refused" or name.endswith(where)]
    assert happened, f"the fault never happened: {seen.faults}"


@pytest.mark.slow
@pytest.mark.parametrize("trouble", PERSISTENT)
def test_a_fault_that_stays_ends_the_batch_in_good_order(
    trouble: str, matrix: dict[Any, Seen | BaseException]
) -> None:
    check(matrix[trouble], PERSISTENT[trouble].end)


def test_no_cell_of_the_table_is_missing() -> None:
    assert {fault for fault, _ in WORDS} == set(FAULTS)
    assert {endpoint for _, endpoint in WORDS} == set(PLACES)
    empty = [cell for cell in product(FAULTS, PLACES) if WORDS[cell] == "-" and is_possible(cell)]
    assert empty == []


def is_possible(cell: Cell) -> bool:
    """Whether the emulator can play this fault at this endpoint."""
    fault, endpoint = cell
    rule = FAULTS[fault].rule
    try:
        parse_fault({"on": "credit" if endpoint == "probe" else endpoint, **(rule or {})})
    except FaultsError:
        return False
    return True
