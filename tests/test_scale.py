"""Data as large as LSUN: what is read, decoded and shuffled must not grow with what there is."""

import io
import json
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import lmdb
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dcgan_cli.data.batches import Batches
from dcgan_cli.report import Images

DIFFERENT = 100
"""Images that the records repeat: writing 200,000 different ones would take longer than reading."""

BUILD = """
import json, sys, threading, time
from pathlib import Path
from dcgan_cli.data.cache import prepare
from dcgan_cli.data.decode import read_image
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source

def anonymous():
    # without the pages of memory-mapped files, which the kernel takes back when it likes
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

def main():
    image_spec = ImageSpec(8, 3)
    start = time.perf_counter()
    source = open_source(sys.argv[1])
    read_image(source, len(source) - 1, image_spec)
    first = time.perf_counter() - start
    peak, done = [anonymous()], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak.append(anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    images = prepare(source, image_spec, workers=2)
    done.set()
    watcher.join()
    where = [0, 12345, len(images) - 1]
    import numpy as np
    shown = images.take(np.array(where)).mean((1, 2, 3)).tolist()
    print(json.dumps({"count": len(images), "first": first, "peak": max(peak), "shown": shown}))

if __name__ == "__main__":
    main()
"""


def gray(level: int) -> bytes:
    """A JPEG of one gray."""
    file = io.BytesIO()
    Image.new("L", (16, 16), level).save(file, "JPEG", quality=95)
    return file.getvalue()


def write_database(folder: Path, count: int) -> Path:
    """An LMDB of `count` records under keys as LSUN's; record n is gray, of level n % DIFFERENT."""
    images = [gray(level) for level in range(DIFFERENT)]
    with (
        lmdb.open(str(folder), map_size=1 << 31, sync=False) as environment,
        environment.begin(write=True) as to,
    ):
        for n in range(count):
            to.put(f"{n:040x}".encode(), images[n % DIFFERENT], append=True)
    (folder / "lock.mdb").unlink()
    return folder


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_ten_times_the_records_take_ten_times_the_time_and_the_same_memory(tmp_path: Path) -> None:
    script = tmp_path / "build.py"
    script.write_text(BUILD)
    answers = {}
    for count in (20_000, 200_000):
        database = write_database(tmp_path / f"{count}_lmdb", count)
        command = [sys.executable, str(script), str(database)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        answers[count] = json.loads(done.stdout)
        assert answers[count]["count"] == count
        # JPEG is exact to a level or two where an image is one gray
        wanted = [n % DIFFERENT for n in (0, 12345, count - 1)]
        assert np.abs(np.array(answers[count]["shown"]) - wanted).max() < 2
    # opening does not look at every record: ten times as many may not take several times as long
    assert answers[200_000]["first"] < 5 * answers[20_000]["first"] + 5
    # keys of 40 bytes, their offsets and the images' sizes: some 80 bytes a record
    grown = answers[200_000]["peak"] - answers[20_000]["peak"]
    assert grown < 180_000 * 150, f"{grown:,} bytes for 180,000 records"


class ThreeMillion:
    """Images of which only the number is known."""

    def __len__(self) -> int:
        return 3_000_000

    def take(self, indices: NDArray[np.int64]) -> Images:
        return np.zeros((len(indices), 4, 4, 1), np.uint8)


def test_three_million_images_are_shuffled_as_numbers() -> None:
    batches = Batches(ThreeMillion(), size=4, batch_size=128, seed=0, look_ahead=False)
    tracemalloc.start()
    start = time.process_time()
    batches.get((0, 0))
    batches.get((0, batches.per_epoch - 1))
    batches.get((1, 0))
    seconds, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    batches.close()
    # an order of int64, the next one beside it, and nothing like the 100 MB of a list of ints
    assert peak < 2.5 * 8 * len(ThreeMillion())
    assert seconds < 30
