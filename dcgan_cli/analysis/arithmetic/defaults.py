"""What is meant where nothing else is said; without torch, so that help can say it."""

EXEMPLARS = 16
"""Averaged where a concept has so many: steadier than the paper's 3 (README says how much)."""

ROWS, COLUMNS = 5, 11
"""The paper's Fig. 8."""

REACH = 0.5
"""How many times the vector is added at most: half of it leads from the middle to either side; more
would be extrapolation beyond the exemplars."""
