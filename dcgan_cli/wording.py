"""Counts with their nouns: 1 image, 2 images."""

_IRREGULAR = {"class": "classes", "process": "processes", "box": "boxes", "batch": "batches"}


def counted(count: int, noun: str) -> str:
    """`1 image`, `2,000 images`: `count` with its `noun`, whose last word takes the plural."""
    if count == 1:
        return f"1 {noun}"
    *before, last = noun.split(" ")
    word = " ".join([*before, _IRREGULAR.get(last, f"{last}s")])
    return f"{count:,} {word}"


def counted_are(count: int, noun: str) -> str:
    """`1 image is`, `2 images are`."""
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'}"
