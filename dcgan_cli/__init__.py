"""The DCGAN paper (Radford, Metz, Chintala 2015, arXiv 1511.06434) as a command-line toolkit."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("dcgan")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+source"
