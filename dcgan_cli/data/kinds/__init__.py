"""The supported kinds of source, one module each; `data.sources` tries them in order."""
