"""Synthetic data sets: as many images as asked, the same for the same number, with their truth."""
