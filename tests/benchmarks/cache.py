"""Building the cache of an LMDB against bare decoding of the same records on as many processes.

    python tests/benchmarks/cache.py [--pictures 40000] [--side 96] [--workers 2]

Both start their processes anew and decode JPEGs to 64×64; ours also writes, checks and accounts for
what it has decoded, and survives a crash of any process.
"""

import argparse
import io
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import lmdb
import numpy as np
from PIL import Image
from timing import compare

from dcgan_cli.data.cache import prepare
from dcgan_cli.data.decode import read_image
from dcgan_cli.data.demo import faces
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source

IMAGE_SPEC = ImageSpec(64, 3)


def write_database(folder: Path, count: int, side: int) -> None:
    """`count` records that repeat 64 synthetic faces, as JPEG."""
    encoded: list[bytes] = []
    for number in range(64):
        file = io.BytesIO()
        Image.fromarray(faces.draw(number, side)).save(file, "JPEG", quality=92)
        encoded.append(file.getvalue())
    with lmdb.open(str(folder), map_size=1 << 34, sync=False) as to, to.begin(write=True) as writer:
        for n in range(count):
            writer.put(f"{n:040x}".encode(), encoded[n % len(encoded)], append=True)
    (folder / "lock.mdb").unlink()


def decode_part(location: str, first: int, step: int) -> int:
    """Decode every `step`-th record; a sum, so that the work is done."""
    source = open_source(location)
    return sum(
        int(read_image(source, n, IMAGE_SPEC)[0][0, 0, 0]) for n in range(first, len(source), step)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=40_000)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    workers = arguments.workers
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["DCGAN_CACHE"] = str(folder / "cache")
        database = folder / "faces_lmdb"
        write_database(database, arguments.images, arguments.side)

        def ours() -> None:
            shutil.rmtree(folder / "cache", ignore_errors=True)
            images = prepare(open_source(str(database)), IMAGE_SPEC, workers=workers)
            assert np.all(images.take(np.array([0])) >= 0)

        def theirs() -> None:
            with multiprocessing.get_context("spawn").Pool(workers) as pool:
                pool.starmap(decode_part, [(str(database), n, workers) for n in range(workers)])

        ratio = compare(ours, theirs, arguments.rounds)
        print(ratio.line("building the cache", "pictures", arguments.images))


if __name__ == "__main__":
    main()
