"""``python -m tests.faults``: run cases, print counts, write them as JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.faults.runner import run_cases, summary, write_counts


def main() -> int:
    """Exit code 1 if a case has a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=0, help="how many commands to kill")
    parser.add_argument("--mutations", type=int, default=0, help="how many files to damage")
    parser.add_argument("--command-lines", type=int, default=0, help="how many odd command lines to run")
    parser.add_argument("--only", action="append", default=[], help="one case, by its name; repeatable")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--counts", type=Path, help="where to write the counts as JSON")
    parser.add_argument("--findings", type=Path, help="where to write the cases with faults, one a line")
    given = parser.parse_args()
    counts = {"kill": given.kills, "mutation": given.mutations, "command-line": given.command_lines}
    verdicts = run_cases(counts, given.only, given.seed, given.jobs, given.findings)
    for verdict in verdicts if given.only else ():
        print(ascii(f"{verdict.case}  {verdict.what}: {verdict.outcome}")[1:-1])
    print(summary(verdicts))
    if given.counts:
        write_counts(given.counts, verdicts, given.seed)
    return int(any(verdict.faults for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
