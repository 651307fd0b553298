"""Campaigns: many damaged files and many kills, each of which must end well.

    python tests/campaigns --kind all --mutants 500 --kills 20 --seed 0 --json out.json

docs/reliability.md says what each kind does.
"""

import sys
from pathlib import Path

# The tests import each other by their bare names.
if (_tests := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.insert(0, _tests)
