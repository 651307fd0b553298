"""What is looked at where nothing else is said; without torch, so that help can say it."""

FEATURES, TOP = 6, 5
"""Maps and images of each that are drawn, as in the paper's Fig. 5."""

MEASURED, DRAWS = 32, 8
"""Maps that the values are taken over, and random discriminators beside the trained one."""
