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
from numbered_images import Images, PixelArray, pixels

from dcgan_cli.data.cache import DecodedImages, prepare
from dcgan_cli.data.decode import decode
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.errors import DcganError, SourceError, StorageError

IMAGE_SPEC = ImageSpec(4, 3)

posix = pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")


def expected(source: Images, image_spec: ImageSpec = IMAGE_SPEC) -> PixelArray:
    """Every readable image, decoded one after another."""
    readable = [n for n in range(source.count) if n not in source.broken | source.crash_on]
    return np.stack([decode(pixels(n), image_spec)[0] for n in readable])


def everything(images: DecodedImages) -> PixelArray:
    return images.take(np.arange(len(images)))


def shards(cache: Path) -> list[Path]:
    return sorted(cache.rglob("shard-*.u8"))


@pytest.fixture
def cache(private_cache: Path) -> Path:
    return private_cache


# -- the same bytes -------------------------------------------------------------------------------


@pytest.mark.parametrize("image_spec", [IMAGE_SPEC, ImageSpec(8, 1), ImageSpec(3, 3, (0, 0, 0))])
@pytest.mark.parametrize("how", ["here", "workers", "reopened", "streamed"])
def test_images_are_those_of_decode(image_spec: ImageSpec, how: str) -> None:
    source = Images(600, broken=frozenset({0, 7, 256, 599}))
    if how == "reopened":
        prepare(source, image_spec).close()
    workers = {"here": 0, "workers": 2}.get(how)
    images = prepare(source, image_spec, workers=workers, use_cache=how != "streamed")
    if how == "streamed":
        kept = np.setdiff1d(np.arange(600), sorted(source.broken))
        np.testing.assert_array_equal(images.take(kept), expected(source, image_spec))
    else:
        np.testing.assert_array_equal(everything(images), expected(source, image_spec))
        assert len(images) == 596
    assert images.image_spec == image_spec
    images.close()


def test_what_is_known_of_each_image() -> None:
    source = Images(600, broken=frozenset({3, 300}))
    images = prepare(source, IMAGE_SPEC)
    kept = [n for n in range(600) if n not in (3, 300)]
    assert images.origin.dtype == np.int64
    assert images.origin.tolist() == kept
    assert images.original_size.dtype == np.uint32
    assert images.original_size.tolist() == [[4 + n % 5, 4 + n % 3] for n in kept]
    assert images.skipped == 2
    assert images.log is not None
    lines = images.log.read_text().splitlines()
    assert lines[0] == "dir/3.png\tempty file"
    assert lines[1].startswith("dir/300.png\tnot an image")
    assert len(lines) == 2
    whole = prepare(Images(10), IMAGE_SPEC)
    assert (whole.skipped, whole.log, whole.notes) == (0, None, [])


@settings(max_examples=60, deadline=None)
@given(indices=st.lists(st.integers(0, 697), max_size=40))
def test_take_is_fancy_indexing(indices: list[int]) -> None:
    images, whole = taken_from()
    numbers = np.array(indices, np.int64)
    np.testing.assert_array_equal(images.take(numbers), whole[numbers])


_TAKEN: list[tuple[DecodedImages, PixelArray]] = []


def taken_from() -> tuple[DecodedImages, PixelArray]:
    if not _TAKEN:
        source = Images(700, broken=frozenset({5, 400}))
        _TAKEN.append((prepare(source, IMAGE_SPEC), expected(source)))
    return _TAKEN[0]


@pytest.mark.parametrize("use_cache", [True, False])
def test_take_from_many_threads_and_beyond_the_end(use_cache: bool) -> None:
    source = Images(700)
    images, whole = prepare(source, IMAGE_SPEC, use_cache=use_cache), expected(source)
    batches = [np.random.default_rng(n).integers(0, 700, 32) for n in range(100)]
    with ThreadPoolExecutor(8) as pool:
        for batch, taken in zip(batches, pool.map(images.take, batches), strict=True):
            np.testing.assert_array_equal(taken, whole[batch])
    with pytest.raises(IndexError):
        images.take(np.array([700]))
    images.close()


def test_taken_images_may_be_changed() -> None:
    images = prepare(Images(10), IMAGE_SPEC)
    images.take(np.arange(10))[:] = 0
    np.testing.assert_array_equal(everything(images), expected(Images(10)))


# -- built once, resumed, repaired ----------------------------------------------------------------


def test_a_second_run_decodes_nothing() -> None:
    prepare(Images(), IMAGE_SPEC)
    again = Images()
    prepare(again, IMAGE_SPEC)
    assert again.reads == []


def test_another_source_framing_or_background_is_another_cache(cache: Path) -> None:
    others = [Images(fingerprint_is="changed"), Images(999), Images()]
    image_specs = [IMAGE_SPEC, IMAGE_SPEC, ImageSpec(4, 3, (0, 0, 0))]
    prepare(Images(), IMAGE_SPEC)
    for number, (source, image_spec) in enumerate(zip(others, image_specs, strict=True)):
        prepare(source, image_spec)
        assert source.reads
        assert len(list((cache / "pictures").iterdir())) == number + 2


@pytest.mark.parametrize("workers", [0, 2])
def test_progress_rises_to_the_whole(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    prepare(Images(), IMAGE_SPEC, workers=workers, progress=lambda *step: seen.append(step))
    done = [step[0] for step in seen]
    assert done == sorted(done)
    assert seen[-1] == (1000, 1000)


def test_finished_shards_are_kept_and_the_rest_is_built(cache: Path) -> None:
    prepare(Images(), IMAGE_SPEC)
    victims = shards(cache)
    victims[1].unlink()
    victims[3].with_suffix(".json").unlink()
    source = Images()
    seen: list[int] = []
    images = prepare(source, IMAGE_SPEC, workers=0, progress=lambda done, _: seen.append(done))
    assert source.reads == [*range(256, 512), *range(768, 1000)]
    assert seen[-1] == 1000
    np.testing.assert_array_equal(everything(images), expected(Images()))


@pytest.mark.parametrize("damage", ["bit", "short", "long", "sizes", "json", "not utf-8"])
def test_damage_is_found_and_mended(cache: Path, damage: str) -> None:
    prepare(Images(), IMAGE_SPEC).close()
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
    source = Images()
    images = prepare(source, IMAGE_SPEC, workers=0)
    assert source.reads == list(range(512, 768))
    assert images.notes == ["1 of 4 cached shards were damaged and have been built again"]
    np.testing.assert_array_equal(everything(images), expected(Images()))
    assert prepare(Images(), IMAGE_SPEC).notes == []


def test_two_builders_at_once_share_the_work() -> None:
    sources = [Images(seconds=0.0005), Images(seconds=0.0005)]
    progress: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(
            lambda source: prepare(
                source, IMAGE_SPEC, workers=0, progress=lambda done, _: progress.append(done)
            ),
            sources,
        )
    assert sorted(len(source.reads) for source in sources) == [0, 1000]
    assert any(0 < done < 1000 for done in progress)
    np.testing.assert_array_equal(everything(first), everything(second))


def script(body: str, *arguments: str) -> list[str]:
    """A process that builds: `body` sees what this file defines."""
    head = "import sys, time\nfrom test_cache import IMAGE_SPEC, prepare\nfrom numbered_images import Images\n"
    return [sys.executable, "-c", head + body, *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


@contextlib.contextmanager
def building(workers: int) -> Iterator[subprocess.Popen[str]]:
    """A process, and its group, that builds the cache of slow images."""
    body = (
        "try: prepare(Images(seconds=0.002), IMAGE_SPEC, workers=int(sys.argv[1]))\n"
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


def wait_for(what: str, cache: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not list(cache.rglob(what)):
        assert process.poll() is None, process.communicate()[1]
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
        wait_for(".shard-*.tmp" if moment == "writing" else "shard-*.json", cache, process)
        process.kill()
        process.wait()
        wait_for_the_end_of(process.pid)
    finished = len(list(cache.rglob("shard-*.json")))
    assert finished < 4 or workers
    source = Images()
    images = prepare(source, IMAGE_SPEC, workers=0)
    assert len(source.reads) <= 1000 - 256 * max(finished - 1, 0)
    np.testing.assert_array_equal(everything(images), expected(Images()))
    assert not list(cache.rglob("*.tmp"))


@posix
def test_ctrl_c_is_quiet_and_keeps_what_is_finished(cache: Path) -> None:
    with building(workers=2) as process:
        wait_for("shard-*.json", cache, process)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 130
        assert stderr == ""
        wait_for_the_end_of(process.pid)
    assert shards(cache)
    assert not list(cache.rglob("*.tmp"))


# -- worker processes -----------------------------------------------------------------------------


@posix
def test_images_that_crash_the_decoder_are_skipped() -> None:
    source = Images(600, crash_on=frozenset({10, 300}))
    images = prepare(source, IMAGE_SPEC, workers=2)
    assert images.skipped == 2
    assert images.log is not None
    assert "dir/10.png\tcrashes the decoder (SIGSEGV)" in images.log.read_text()
    np.testing.assert_array_equal(everything(images), expected(source))


@posix
def test_a_worker_killed_from_outside_costs_no_image(tmp_path: Path) -> None:
    source = Images(600, crash_on=frozenset({10}), crash_once=str(tmp_path / "crashed"))
    images = prepare(source, IMAGE_SPEC, workers=2)
    assert (tmp_path / "crashed").exists()
    assert images.skipped == 0
    np.testing.assert_array_equal(everything(images), expected(Images(600)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_in_the_program_is_no_unreadable_image(workers: int) -> None:
    with pytest.raises(RuntimeError, match="a mistake in the program"):
        prepare(Images(bug_on=500), IMAGE_SPEC, workers=workers)


def test_workers_that_cannot_live_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_cli.data.workers._run_worker", os._exit)
    with pytest.raises(DcganError, match=r"a worker process could not start \(exit code"):
        prepare(Images(), IMAGE_SPEC, workers=2)


def test_reading_images_imports_no_torch() -> None:
    body = "import dcgan_cli.data.cache; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"import sys; {body}"], check=True)


# -- room -----------------------------------------------------------------------------------------

ONE = 1000 * IMAGE_SPEC.image_bytes


def test_the_longest_unused_caches_make_room(cache: Path) -> None:
    names = "abc"
    for age, name in enumerate(names):
        prepare(Images(fingerprint_is=name), IMAGE_SPEC).close()
        (newest,) = (f for f in cache.rglob("in-use") if f.stat().st_mtime > time.time() - 500)
        os.utime(newest, (time.time() - 1000 * (5 - age),) * 2)
    prepare(Images(fingerprint_is="a"), IMAGE_SPEC).close()  # the oldest, and now used again
    limit = sum(file.stat().st_size for file in cache.rglob("*"))
    prepare(Images(fingerprint_is="d"), IMAGE_SPEC, cache_limit=limit)
    for name, kept in {"a": True, "b": False, "c": True, "d": True}.items():
        source = Images(fingerprint_is=name)
        prepare(source, IMAGE_SPEC).close()
        assert (source.reads == []) is kept, name


@posix
def test_a_cache_in_use_is_not_evicted() -> None:
    used = prepare(Images(), IMAGE_SPEC)
    other = prepare(Images(fingerprint_is="other"), IMAGE_SPEC, cache_limit=ONE + 1000)
    assert "--cache-limit" in other.notes[0]
    np.testing.assert_array_equal(everything(used), expected(Images()))
    np.testing.assert_array_equal(everything(other), expected(Images()))
    used.close()
    again = prepare(Images(fingerprint_is="other"), IMAGE_SPEC, cache_limit=ONE + 1000)
    assert again.notes == []


def test_a_set_larger_than_the_limit_is_streamed_and_evicts_nothing(cache: Path) -> None:
    prepare(Images(), IMAGE_SPEC).close()
    images = prepare(Images(fingerprint_is="other"), IMAGE_SPEC, cache_limit=ONE - 1)
    assert images.notes == [
        "the images take 4.47e-05 GiB, for which --cache-limit 4.47e-05 GiB leaves no room: "
        "decoding on the fly, which is slower"
    ]
    assert len(shards(cache)) == 4
    np.testing.assert_array_equal(everything(images), expected(Images()))


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
    whole, failures = expected(Images(300, broken=frozenset({5}))), 0
    lines: set[str] = set()
    while True:
        source = Images(300, broken=frozenset({5}), fingerprint_is=str(limit))
        calls, limit = 0, limit + (1 if failures < 8 else 29)
        try:
            images = prepare(source, IMAGE_SPEC, workers=0)
        except StorageError as error:
            lines.add(str(error))
            assert not list(cache.rglob("*.tmp"))
            failures += 1
            limit_before, limit = limit, 0
            images = prepare(source, IMAGE_SPEC, workers=0)
            limit = limit_before
        else:
            break
        np.testing.assert_array_equal(everything(images), whole)
        images.close()
    assert failures > 15
    for line in lines:
        assert re.fullmatch("cannot write .*No space left.*; or pass --no-cache to .*", line)


def test_a_cache_folder_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="--no-cache"):
        prepare(Images(10), IMAGE_SPEC)
    images = prepare(Images(100, broken=frozenset({3, 5})), IMAGE_SPEC, use_cache=False)
    assert images.skipped == 2
    assert images.log is None
    assert "are not listed" in images.notes[0]
    assert len(images.notes) == 1


# -- unreadable images --------------------------------------------------------------------------


@pytest.mark.parametrize("use_cache", [True, False])
def test_the_allowed_share_is_skipped_and_one_more_is_refused(use_cache: bool) -> None:
    fifty = frozenset(range(0, 1000, 20))
    allowed = Images(broken=fifty)
    images = prepare(allowed, IMAGE_SPEC, use_cache=use_cache)
    everything(images)
    assert images.skipped == 50
    source = Images(broken=fifty | {1}, fingerprint_is="one more")

    def train() -> None:
        everything(prepare(source, IMAGE_SPEC, use_cache=use_cache))

    with pytest.raises(SourceError) as caught:
        train()
    message = str(caught.value)
    assert "here: 51 of 1,000 images could not be read (5.1 %), more than " in message
    assert "more than --max-unreadable 5 %: dir/" in message
    assert ".png (not an image in JPEG" in message
    log = Path(message.split("; see ")[1])
    assert len(log.read_text().splitlines()) == 51
    assert "\n" not in message


@pytest.mark.parametrize("workers", [0, 2])
def test_a_hopeless_source_is_refused_early(workers: int) -> None:
    source = Images(10_000, broken=frozenset(range(0, 10_000, 2)))
    with pytest.raises(SourceError, match=r"of [12],\d{3} images could not be read \(50 %\)"):
        prepare(source, IMAGE_SPEC, workers=workers)
    assert len(source.reads) < 2000


@pytest.mark.parametrize("use_cache", [True, False])
def test_nothing_readable_is_refused_whatever_is_allowed(use_cache: bool) -> None:
    source = Images(20, broken=frozenset(range(20)))
    with pytest.raises(SourceError, match=r"20 of 20 images could not be read \(100 %\): dir/"):
        prepare(source, IMAGE_SPEC, use_cache=use_cache, max_unreadable=1.0)
    with pytest.raises(SourceError, match="holds no images"):
        prepare(Images(0), IMAGE_SPEC, use_cache=use_cache)


# -- without a cache ------------------------------------------------------------------------------


def test_streaming_writes_no_images(cache: Path) -> None:
    images = prepare(Images(), IMAGE_SPEC, use_cache=False)
    everything(images)
    images.close()
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_the_next_readable_record_stands_in() -> None:
    source = Images(300, broken=frozenset({4, 5, 299}))
    images = prepare(source, IMAGE_SPEC, use_cache=False)
    taken = images.take(np.array([3, 4, 5, 6, 299]))
    numbers = [3, 6, 6, 6, 0]
    np.testing.assert_array_equal(taken, [decode(pixels(n), IMAGE_SPEC)[0] for n in numbers])
    assert images.origin[[3, 4, 5, 6, 299]].tolist() == numbers
    assert images.original_size[299].tolist() == [4, 4]
    assert images.skipped == 3
    assert images.log is not None
    assert len(images.log.read_text().splitlines()) == 3
    images.take(np.array([4, 5]))
    assert images.skipped == 3
    images.close()


def test_a_large_streamed_source_is_looked_at_before_anything_is_trained() -> None:
    source = Images(100_000, broken=frozenset(range(0, 100_000, 2)))
    with pytest.raises(SourceError, match=r"of 256 images could not be read \(4\d|5\d"):
        prepare(source, IMAGE_SPEC, use_cache=False)
    tenth = Images(100_000, broken=frozenset(range(0, 100_000, 25)))  # 4 %: chance is forgiven
    prepare(tenth, IMAGE_SPEC, use_cache=False).close()


def test_the_threads_of_a_closed_set_end() -> None:
    before = threading.active_count()
    images = prepare(Images(seconds=0.001), IMAGE_SPEC, use_cache=False)
    assert threading.active_count() > before
    images.take(np.arange(100))
    images.close()
    assert threading.active_count() == before
