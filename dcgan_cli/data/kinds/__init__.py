"""The kinds of source that are understood, one file a kind; `data.sources` tries them in order."""
