"""Drawn data sets: as many pictures as asked, the same for the same number, with their truth."""
