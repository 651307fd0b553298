"""The cache: the same bytes as decoding, whatever was killed, flipped, filled or evicted before."""

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered_pictures import Pictures, Pixels, pixels

from dcgan_cli.data.cache import PictureSet, prepare
from dcgan_cli.data.decode import Framing, decode
from dcgan_cli.errors import DcganError, SourceError, StorageError

FRAMING = Framing(4, 3)

posix = pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")


def expected(source: Pictures, framing: Framing = FRAMING) -> Pixels:
    """Every readable picture, decoded one after another."""
    readable = [n for n in range(source.count) if n not in source.broken | source.crash_on]
    return np.stack([decode(pixels(n), framing)[0] for n in readable])


def everything(pictures: PictureSet) -> Pixels:
    return pictures.take(np.arange(len(pictures)))


def shards(cache: Path) -> list[Path]:
    return sorted(cache.rglob("shard-*.u8"))


@pytest.fixture
def cache(private_cache: Path) -> Path:
    return private_cache


# -- the same bytes -------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", [FRAMING, Framing(8, 1), Framing(3, 3, (0, 0, 0))])
@pytest.mark.parametrize("how", ["here", "workers", "reopened", "streamed"])
def test_pictures_are_those_of_decode(framing: Framing, how: str) -> None:
    source = Pictures(600, broken=frozenset({0, 7, 256, 599}))
    if how == "reopened":
        prepare(source, framing).close()
    workers = {"here": 0, "workers": 2}.get(how)
    pictures = prepare(source, framing, workers=workers, use_cache=how != "streamed")
    if how == "streamed":
        kept = np.setdiff1d(np.arange(600), sorted(source.broken))
        np.testing.assert_array_equal(pictures.take(kept), expected(source, framing))
    else:
        np.testing.assert_array_equal(everything(pictures), expected(source, framing))
        assert len(pictures) == 596
    assert pictures.framing == framing
    pictures.close()


def test_what_is_known_of_each_picture() -> None:
    source = Pictures(600, broken=frozenset({3, 300}))
    pictures = prepare(source, FRAMING)
    kept = [n for n in range(600) if n not in (3, 300)]
    assert pictures.origin.dtype == np.int64
    assert pictures.origin.tolist() == kept
    assert pictures.original_size.dtype == np.uint32
    assert pictures.original_size.tolist() == [[4 + n % 5, 4 + n % 3] for n in kept]
    assert pictures.skipped == 2
    assert pictures.log is not None
    lines = pictures.log.read_text().splitlines()
    assert lines[0] == "dir/3.png\tempty file"
    assert lines[1].startswith("dir/300.png\tnot a picture")
    assert len(lines) == 2
    whole = prepare(Pictures(10), FRAMING)
    assert (whole.skipped, whole.log, whole.notes) == (0, None, [])


@settings(max_examples=60, deadline=None)
@given(indices=st.lists(st.integers(0, 697), max_size=40))
def test_take_is_fancy_indexing(indices: list[int]) -> None:
    pictures, whole = taken_from()
    numbers = np.array(indices, np.int64)
    np.testing.assert_array_equal(pictures.take(numbers), whole[numbers])


_TAKEN: list[tuple[PictureSet, Pixels]] = []


def taken_from() -> tuple[PictureSet, Pixels]:
    if not _TAKEN:
        source = Pictures(700, broken=frozenset({5, 400}))
        _TAKEN.append((prepare(source, FRAMING), expected(source)))
    return _TAKEN[0]


@pytest.mark.parametrize("use_cache", [True, False])
def test_take_from_many_threads_and_beyond_the_end(use_cache: bool) -> None:
    source = Pictures(700)
    pictures, whole = prepare(source, FRAMING, use_cache=use_cache), expected(source)
    batches = [np.random.default_rng(n).integers(0, 700, 32) for n in range(100)]
    with ThreadPoolExecutor(8) as pool:
        for batch, taken in zip(batches, pool.map(pictures.take, batches), strict=True):
            np.testing.assert_array_equal(taken, whole[batch])
    with pytest.raises(IndexError):
        pictures.take(np.array([700]))
    pictures.close()


def test_taken_pictures_may_be_changed() -> None:
    pictures = prepare(Pictures(10), FRAMING)
    pictures.take(np.arange(10))[:] = 0
    np.testing.assert_array_equal(everything(pictures), expected(Pictures(10)))


# -- built once, resumed, repaired ----------------------------------------------------------------


def test_a_second_run_decodes_nothing() -> None:
    prepare(Pictures(), FRAMING)
    again = Pictures()
    prepare(again, FRAMING)
    assert again.reads == []


def test_another_source_framing_or_background_is_another_cache(cache: Path) -> None:
    others = [Pictures(fingerprint_is="changed"), Pictures(999), Pictures()]
    framings = [FRAMING, FRAMING, Framing(4, 3, (0, 0, 0))]
    prepare(Pictures(), FRAMING)
    for number, (source, framing) in enumerate(zip(others, framings, strict=True)):
        prepare(source, framing)
        assert source.reads
        assert len(list((cache / "pictures").iterdir())) == number + 2


@pytest.mark.parametrize("workers", [0, 2])
def test_progress_rises_to_the_whole(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    prepare(Pictures(), FRAMING, workers=workers, progress=lambda *step: seen.append(step))
    done = [step[0] for step in seen]
    assert done == sorted(done)
    assert seen[-1] == (1000, 1000)


def test_finished_shards_are_kept_and_the_rest_is_built(cache: Path) -> None:
    prepare(Pictures(), FRAMING)
    victims = shards(cache)
    victims[1].unlink()
    victims[3].with_suffix(".json").unlink()
    source = Pictures()
    seen: list[int] = []
    pictures = prepare(source, FRAMING, workers=0, progress=lambda done, _: seen.append(done))
    assert source.reads == [*range(256, 512), *range(768, 1000)]
    assert seen[-1] == 1000
    np.testing.assert_array_equal(everything(pictures), expected(Pictures()))


@pytest.mark.parametrize("damage", ["bit", "short", "long", "sizes", "json", "not utf-8"])
def test_damage_is_found_and_mended(cache: Path, damage: str) -> None:
    prepare(Pictures(), FRAMING).close()
    victim = shards(cache)[2]
    facts = victim.with_suffix(".json")
    data = bytearray(victim.read_bytes())
    if damage == "bit":
        data[1234] ^= 0x10
    elif damage == "short":
        del data[-1:]
    elif damage == "long":
        data += b"x"
    elif damage == "sizes":
        facts.write_text(facts.read_text().replace("[6, 5]", "[5, 5]", 1))
    else:
        facts.write_bytes(b"[]" if damage == "json" else b"\xff\xfe")
    victim.write_bytes(data)
    source = Pictures()
    pictures = prepare(source, FRAMING, workers=0)
    assert source.reads == list(range(512, 768))
    assert pictures.notes == ["1 of 4 cached shards were damaged and have been built again"]
    np.testing.assert_array_equal(everything(pictures), expected(Pictures()))
    assert prepare(Pictures(), FRAMING).notes == []


def test_two_builders_at_once_share_the_work() -> None:
    sources = [Pictures(seconds=0.0005), Pictures(seconds=0.0005)]
    progress: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(
            lambda source: prepare(
                source, FRAMING, workers=0, progress=lambda done, _: progress.append(done)
            ),
            sources,
        )
    assert sorted(len(source.reads) for source in sources) == [0, 1000]
    assert any(0 < done < 1000 for done in progress)
    np.testing.assert_array_equal(everything(first), everything(second))


def script(body: str, *arguments: str) -> list[str]:
    """A process that builds: `body` sees what this file defines."""
    head = "import sys, time\nfrom test_cache import FRAMING, prepare\nfrom numbered_pictures import Pictures\n"
    return [sys.executable, "-c", head + body, *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


@contextlib.contextmanager
def building(workers: int) -> Iterator[subprocess.Popen[str]]:
    """A process, and its group, that builds the cache of slow pictures."""
    body = (
        "try: prepare(Pictures(seconds=0.002), FRAMING, workers=int(sys.argv[1]))\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    process = subprocess.Popen(
        script(body, str(workers)),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(what: str, cache: Path, count: int) -> None:
    end = time.monotonic() + 120
    while len(list(cache.rglob(what))) < count:
        assert time.monotonic() < end, f"no {what} in {cache}"
        time.sleep(0.01)


def wait_for_the_end_of(group: int) -> None:
    """Workers notice by themselves that their parent is gone."""
    end = time.monotonic() + 120
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(group, 0)
            assert time.monotonic() < end, "workers outlive their parent"
            time.sleep(0.02)


@posix
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("moment", ["writing", "some finished"])
def test_killed_while_building_the_next_run_finishes(
    cache: Path, workers: int, moment: str
) -> None:
    with building(workers) as process:
        wait_for(".shard-*.tmp" if moment == "writing" else "shard-*.json", cache, 1)
        process.kill()
        process.wait()
        wait_for_the_end_of(process.pid)
    finished = len(list(cache.rglob("shard-*.json")))
    assert finished < 4 or workers
    source = Pictures()
    pictures = prepare(source, FRAMING, workers=0)
    assert len(source.reads) <= 1000 - 256 * max(finished - 1, 0)
    np.testing.assert_array_equal(everything(pictures), expected(Pictures()))
    assert not list(cache.rglob("*.tmp"))


@posix
def test_ctrl_c_is_quiet_and_keeps_what_is_finished(cache: Path) -> None:
    with building(workers=2) as process:
        wait_for("shard-*.json", cache, 1)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 130
        assert stderr == ""
        wait_for_the_end_of(process.pid)
    assert shards(cache)
    assert not list(cache.rglob("*.tmp"))


# -- worker processes -----------------------------------------------------------------------------


@posix
def test_pictures_that_crash_the_decoder_are_skipped() -> None:
    source = Pictures(600, crash_on=frozenset({10, 300}))
    pictures = prepare(source, FRAMING, workers=2)
    assert pictures.skipped == 2
    assert pictures.log is not None
    assert "dir/10.png\tcrashes the decoder (SIGSEGV)" in pictures.log.read_text()
    np.testing.assert_array_equal(everything(pictures), expected(source))


@posix
def test_a_worker_killed_from_outside_costs_no_picture(tmp_path: Path) -> None:
    source = Pictures(600, crash_on=frozenset({10}), crash_once=str(tmp_path / "crashed"))
    pictures = prepare(source, FRAMING, workers=2)
    assert (tmp_path / "crashed").exists()
    assert pictures.skipped == 0
    np.testing.assert_array_equal(everything(pictures), expected(Pictures(600)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_in_the_program_is_no_unreadable_picture(workers: int) -> None:
    with pytest.raises(RuntimeError, match="a mistake in the program"):
        prepare(Pictures(bug_on=500), FRAMING, workers=workers)


def test_workers_that_cannot_live_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_cli.data.workers._serve", os._exit)
    with pytest.raises(DcganError, match=r"a worker process could not start \(exit code"):
        prepare(Pictures(), FRAMING, workers=2)


def test_reading_pictures_imports_no_torch() -> None:
    body = "import dcgan_cli.data.cache; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"import sys; {body}"], check=True)


# -- room -----------------------------------------------------------------------------------------

ONE = 1000 * FRAMING.picture_bytes


def test_the_longest_unused_caches_make_room(cache: Path) -> None:
    names = "abc"
    for age, name in enumerate(names):
        prepare(Pictures(fingerprint_is=name), FRAMING).close()
        (newest,) = (f for f in cache.rglob("in-use") if f.stat().st_mtime > time.time() - 500)
        os.utime(newest, (time.time() - 1000 * (5 - age),) * 2)
    prepare(Pictures(fingerprint_is="a"), FRAMING).close()  # the oldest, and now used again
    limit = sum(file.stat().st_size for file in cache.rglob("*"))
    prepare(Pictures(fingerprint_is="d"), FRAMING, cache_limit=limit)
    for name, kept in {"a": True, "b": False, "c": True, "d": True}.items():
        source = Pictures(fingerprint_is=name)
        prepare(source, FRAMING).close()
        assert (source.reads == []) is kept, name


@posix
def test_a_cache_in_use_is_not_evicted() -> None:
    used = prepare(Pictures(), FRAMING)
    other = prepare(Pictures(fingerprint_is="other"), FRAMING, cache_limit=ONE + 1000)
    assert "--cache-limit" in other.notes[0]
    np.testing.assert_array_equal(everything(used), expected(Pictures()))
    np.testing.assert_array_equal(everything(other), expected(Pictures()))
    used.close()
    again = prepare(Pictures(fingerprint_is="other"), FRAMING, cache_limit=ONE + 1000)
    assert again.notes == []


def test_a_set_larger_than_the_limit_is_streamed_and_evicts_nothing(cache: Path) -> None:
    prepare(Pictures(), FRAMING).close()
    pictures = prepare(Pictures(fingerprint_is="other"), FRAMING, cache_limit=ONE - 1)
    assert pictures.notes == [
        "the pictures take 4.47e-05 GiB, for which --cache-limit 4.47e-05 GiB leaves no room: "
        "decoding on the fly, which is slower"
    ]
    assert len(shards(cache)) == 4
    np.testing.assert_array_equal(everything(pictures), expected(Pictures()))


def test_a_full_disk_at_any_moment(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Write, fsync and rename fail at the Nth call, for every N: one line, and nothing half done."""
    calls = limit = 0

    def failing(name: str) -> None:
        original = getattr(os, name)

        def call(*arguments: object) -> object:
            nonlocal calls
            calls += 1
            if calls == limit:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*arguments)

        monkeypatch.setattr(os, name, call)

    for name in ("write", "fsync", "replace"):
        failing(name)
    whole, failures = expected(Pictures(300, broken=frozenset({5}))), 0
    lines: set[str] = set()
    while True:
        source = Pictures(300, broken=frozenset({5}), fingerprint_is=str(limit))
        calls, limit = 0, limit + (1 if failures < 8 else 29)
        try:
            pictures = prepare(source, FRAMING, workers=0)
        except StorageError as error:
            lines.add(str(error))
            assert not list(cache.rglob("*.tmp"))
            failures += 1
            limit_before, limit = limit, 0
            pictures = prepare(source, FRAMING, workers=0)
            limit = limit_before
        else:
            break
        np.testing.assert_array_equal(everything(pictures), whole)
        pictures.close()
    assert failures > 15
    for line in lines:
        assert re.fullmatch("cannot write .*No space left.*; or pass --no-cache to .*", line)


def test_a_cache_folder_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="--no-cache"):
        prepare(Pictures(10), FRAMING)
    pictures = prepare(Pictures(100, broken=frozenset({3, 5})), FRAMING, use_cache=False)
    assert pictures.skipped == 2
    assert pictures.log is None
    assert "are not listed" in pictures.notes[0]
    assert len(pictures.notes) == 1


# -- unreadable pictures --------------------------------------------------------------------------


@pytest.mark.parametrize("use_cache", [True, False])
def test_the_allowed_share_is_skipped_and_one_more_is_refused(use_cache: bool) -> None:
    fifty = frozenset(range(0, 1000, 20))
    allowed = Pictures(broken=fifty)
    pictures = prepare(allowed, FRAMING, use_cache=use_cache)
    everything(pictures)
    assert pictures.skipped == 50
    source = Pictures(broken=fifty | {1}, fingerprint_is="one more")

    def train() -> None:
        everything(prepare(source, FRAMING, use_cache=use_cache))

    with pytest.raises(SourceError) as caught:
        train()
    message = str(caught.value)
    assert "here: 51 of 1,000 pictures could not be read (5.1 %), more than " in message
    assert "more than --max-unreadable 5 %: dir/" in message
    assert ".png (not a picture in JPEG" in message
    log = Path(message.split("; see ")[1])
    assert len(log.read_text().splitlines()) == 51
    assert "\n" not in message


@pytest.mark.parametrize("workers", [0, 2])
def test_a_hopeless_source_is_refused_early(workers: int) -> None:
    source = Pictures(10_000, broken=frozenset(range(0, 10_000, 2)))
    with pytest.raises(SourceError, match=r"of [12],\d{3} pictures could not be read \(50 %\)"):
        prepare(source, FRAMING, workers=workers)
    assert len(source.reads) < 2000


@pytest.mark.parametrize("use_cache", [True, False])
def test_nothing_readable_is_refused_whatever_is_allowed(use_cache: bool) -> None:
    source = Pictures(20, broken=frozenset(range(20)))
    with pytest.raises(SourceError, match=r"20 of 20 pictures could not be read \(100 %\): dir/"):
        prepare(source, FRAMING, use_cache=use_cache, max_unreadable=1.0)
    with pytest.raises(SourceError, match="holds no pictures"):
        prepare(Pictures(0), FRAMING, use_cache=use_cache)


# -- without a cache ------------------------------------------------------------------------------


def test_streaming_writes_no_pictures(cache: Path) -> None:
    pictures = prepare(Pictures(), FRAMING, use_cache=False)
    everything(pictures)
    pictures.close()
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_the_next_readable_record_stands_in() -> None:
    source = Pictures(300, broken=frozenset({4, 5, 299}))
    pictures = prepare(source, FRAMING, use_cache=False)
    taken = pictures.take(np.array([3, 4, 5, 6, 299]))
    numbers = [3, 6, 6, 6, 0]
    np.testing.assert_array_equal(taken, [decode(pixels(n), FRAMING)[0] for n in numbers])
    assert pictures.origin[[3, 4, 5, 6, 299]].tolist() == numbers
    assert pictures.original_size[299].tolist() == [4, 4]
    assert pictures.skipped == 3
    assert pictures.log is not None
    assert len(pictures.log.read_text().splitlines()) == 3
    pictures.take(np.array([4, 5]))
    assert pictures.skipped == 3
    pictures.close()


def test_a_large_streamed_source_is_looked_at_before_anything_is_trained() -> None:
    source = Pictures(100_000, broken=frozenset(range(0, 100_000, 2)))
    with pytest.raises(SourceError, match=r"of 256 pictures could not be read \(4\d|5\d"):
        prepare(source, FRAMING, use_cache=False)
    tenth = Pictures(100_000, broken=frozenset(range(0, 100_000, 25)))  # 4 %: chance is forgiven
    prepare(tenth, FRAMING, use_cache=False).close()


def test_the_threads_of_a_closed_set_end() -> None:
    before = threading.active_count()
    pictures = prepare(Pictures(seconds=0.001), FRAMING, use_cache=False)
    assert threading.active_count() > before
    pictures.take(np.arange(100))
    pictures.close()
    assert threading.active_count() == before
