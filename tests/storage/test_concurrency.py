"""Concurrent and killed writers: no turn is lost or half written."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from assistant.storage import SessionStore

WRITER = str(Path(__file__).with_name("writer.py"))
# Seconds, however busy the machine is.
PATIENCE = 600
KILLS = int(os.environ.get("ASSISTANT_TEST_KILLS", "20"))


def start(database: Path, threads: int, turns: int, shared: str) -> subprocess.Popen[str]:
    command = [sys.executable, WRITER, str(database), str(threads), str(turns), shared]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def saved_turns(output: str) -> Counter[str]:
    """Count the turns of each session that a writer reported as saved."""
    return Counter(line.split()[0] for line in output.splitlines())


def test_two_programs_with_eight_threads_each_lose_nothing(database: Path) -> None:
    threads, turns = 8, 63
    with SessionStore.open(database, timeout=PATIENCE) as store:
        shared = store.create_session("shared").id
        programs = [start(database, threads, turns, shared) for _ in range(2)]
        kept: Counter[str] = Counter()
        for program in programs:
            output, errors = program.communicate(timeout=PATIENCE)
            assert (program.returncode, errors) == (0, "")
            kept += saved_turns(output)
        assert kept.total() == 2 * threads * turns >= 1000
        sessions = {session.id: session.turns for session in store.list_sessions()}
        assert sessions == dict(kept)
        assert len(sessions) == 2 * threads + 1
        for session_id, count in sessions.items():
            found = store.turns(session_id)
            assert [turn.number for turn in found] == list(range(1, count + 1))
            assert all(len(turn.steps) == 2 for turn in found)
        assert store.verify() == []


@pytest.mark.skipif(os.name != "posix", reason="a program is killed at once only on a POSIX system")
def test_a_killed_program_loses_no_turn_that_it_kept_and_leaves_none_half_there(database: Path) -> None:
    """Set ASSISTANT_TEST_KILLS to kill more writers."""
    chance = random.Random(20)
    with SessionStore.open(database, timeout=PATIENCE) as store:
        shared = store.create_session().id
    kept: Counter[str] = Counter()
    for _ in range(KILLS):
        program = start(database, 2, 100_000, shared)
        assert program.stdout is not None
        first = program.stdout.readline()
        time.sleep(chance.uniform(0, 0.15))
        program.kill()
        rest, errors = program.communicate(timeout=PATIENCE)
        assert (program.returncode, errors) == (-9, "")
        kept += saved_turns(first + rest)
        with SessionStore.open(database, timeout=PATIENCE) as store:
            sessions = {session.id: session.turns for session in store.list_sessions()}
            for session_id, count in kept.items():
                # Each thread may have saved one more turn that it was killed before reporting.
                assert count <= sessions[session_id] <= count + 2
            for session_id, count in sessions.items():
                found = store.turns(session_id)
                assert [turn.number for turn in found] == list(range(1, count + 1))
                assert all(len(turn.steps) == 2 and len(turn.steps[0].phrases) == 2 for turn in found)
            kept = Counter(sessions)
            store.sweep()
            assert store.verify() == []
