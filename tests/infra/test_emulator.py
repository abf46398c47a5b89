"""How the local stack shares out the processes of its functions, and unpacks their zips."""

import contextlib
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.local.emulator import Cores, Pools, TokenTasks, UnpackedOnce, as_sent


class Emulator:
    """MiniStack's pool of processes, as far as `Pools` sees it; tells when somebody finds none."""

    def __init__(self) -> None:
        self.workers: dict[str, list[dict[str, bool]]] = {}
        self.refused = threading.Event()

    def lease(self, function: str, *, max_concurrency: int | None) -> tuple[Any, str]:
        pool = self.workers.setdefault(function, [])
        for worker in pool:
            if not worker["in_use"]:
                worker["in_use"] = True
                return worker, "reused"
        if max_concurrency and len(pool) >= max_concurrency:
            self.refused.set()
            return None, "func_cap"
        pool.append({"in_use": True})
        return pool[-1], "spawn"

    def give_back(self, worker: dict[str, bool]) -> None:
        worker["in_use"] = False


def pools(emulator: Emulator, pause: float) -> Pools:
    return Pools(emulator.lease, emulator.give_back, most=2, pause=pause)


def test_what_is_in_a_path_comes_to_a_function_as_it_was_sent() -> None:
    match = as_sent(lambda api_id, segments: (api_id, {"name": segments[-1]}))
    assert match("api", ["users", "a%41@10.%"]) == ("api", {"name": "a%2541%4010.%25"})


def test_the_first_few_start_at_once_and_a_free_one_is_used_again() -> None:
    emulator = Emulator()
    shared = pools(emulator, pause=3600)
    first, how = shared.acquire("api")
    assert how == "spawn"
    assert shared.acquire("api")[1] == "spawn"
    shared.release(first)
    assert shared.acquire("api") == (first, "reused")


def test_beyond_them_who_comes_waits_for_a_free_one() -> None:
    emulator = Emulator()
    shared = pools(emulator, pause=3600)
    taken = [shared.acquire("api")[0] for _ in range(2)]
    got: list[tuple[Any, str]] = []
    waiting = threading.Thread(target=lambda: got.append(shared.acquire("api")))
    waiting.start()
    assert emulator.refused.wait(60)
    shared.release(taken[1])
    waiting.join(60)
    assert got == [(taken[1], "reused")]
    assert len(emulator.workers["api"]) == 2


def test_one_more_starts_after_a_pause_when_none_becomes_free() -> None:
    """A call that waits for its guest holds a process for 20 s: others must not wait for that."""
    emulator = Emulator()
    shared = pools(emulator, pause=0.01)
    assert [shared.acquire("api")[1] for _ in range(5)] == ["spawn"] * 5


def test_while_the_cores_are_busy_it_starts_after_a_longer_pause() -> None:
    emulator, looks = Emulator(), list[bool]()

    def idle() -> bool:
        looks.append(True)
        return False

    shared = Pools(emulator.lease, emulator.give_back, most=2, pause=0.01, longest=0.1, idle=idle)
    assert [shared.acquire("api")[1] for _ in range(4)] == ["spawn"] * 4
    assert looks


def test_the_cores_are_judged_by_what_passed_since_the_last_look(tmp_path: Path) -> None:
    stat = tmp_path / "stat"

    def ticks(user: int, idle: int) -> None:
        stat.write_text(f"cpu  {user} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")

    ticks(0, 0)
    cores = Cores(stat)
    assert cores.idle()
    ticks(99, 1)
    assert not cores.idle()
    ticks(99, 2)
    assert not cores.idle(), "too little passed to tell"
    ticks(150, 50)
    assert cores.idle()


def test_without_a_kernel_that_tells_the_cores_are_idle(tmp_path: Path) -> None:
    assert Cores(tmp_path / "none").idle()


def test_a_function_does_not_wait_for_another() -> None:
    emulator = Emulator()
    shared = pools(emulator, pause=3600)
    for function in ("api", "conductor"):
        assert [shared.acquire(function)[1] for _ in range(2)] == ["spawn"] * 2


class ExecutionError(Exception):
    """As MiniStack's."""


def steps(fails: bool) -> Any:
    """MiniStack's Step Functions, as far as `TokenTasks` sees it: it lets a task wait anyway."""

    def call(function: str, event: Any) -> str:
        if fails:
            raise ExecutionError(f"{function} died")
        return "called"

    def invoke(resource: str, event: Any, token: str, state: dict[str, Any]) -> str:
        made._task_tokens[token] = {}
        with contextlib.suppress(ExecutionError):
            made._call_lambda(resource, event)
        return "the token came"

    made = SimpleNamespace(
        _call_lambda=call,
        _invoke_with_callback=invoke,
        _task_tokens={},
        _ExecutionError=ExecutionError,
    )
    tasks = TokenTasks(made)
    made._call_lambda, made._invoke_with_callback = tasks.call, tasks.invoke
    return made


def test_a_task_whose_function_died_fails_and_its_token_is_worth_nothing() -> None:
    emulated = steps(fails=True)
    with pytest.raises(ExecutionError, match="prepare died"):
        emulated._invoke_with_callback("prepare", {}, "token", {})
    assert emulated._task_tokens == {}
    with pytest.raises(ExecutionError, match="volume died"):
        emulated._call_lambda("volume", {})


def test_a_task_whose_function_ended_well_waits_for_its_token() -> None:
    assert steps(fails=False)._invoke_with_callback("prepare", {}, "token", {}) == "the token came"


def test_a_zip_is_unpacked_once_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, text in (("one", "1"), ("two", "1"), ("other", "2")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as packed:
            packed.writestr(zipfile.ZipInfo("app.py"), text)  # without the time
            packed.writestr(zipfile.ZipInfo("chalicelib/api.py"), text)
        code = tmp_path / name
        code.mkdir()
        with UnpackedOnce(tmp_path / f"{name}.zip") as archive:
            archive.extractall(code)
        assert (code / "app.py").read_text() == (code / "chalicelib" / "api.py").read_text() == text
    places = {name: (tmp_path / name / "chalicelib").resolve() for name in ("one", "two", "other")}
    assert places["one"] == places["two"] != places["other"]
