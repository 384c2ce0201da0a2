"""Running cases, a few processes at a time, and counting how they ended."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tests.faults.sandbox import Sandbox, Verdict

KINDS = ("kill", "mutation", "command-line")


def run_cases(
    counts: Mapping[str, int], only: Sequence[str] = (), seed: int = 0, jobs: int = 2, findings: Path | None = None
) -> list[Verdict]:
    """Run so many cases of each kind, or those named.

    Args:
        counts: by kind.
        only: names of cases; with any, no other is run.
        seed: of everything that is drawn.
        jobs: processes at a time.
        findings: a file to which the cases with faults are written as they are found.
    """
    base = Path(tempfile.mkdtemp(prefix="contextssl-faults-"))
    os.environ["MPLCONFIGDIR"] = str(base / "matplotlib")
    try:
        from tests.faults.running import get_ready

        get_ready()
        names = list(only) or [name for kind in KINDS for name in _module(kind).cases(counts.get(kind, 0))]
        jobs = min(jobs, len(names)) or 1
        fork = multiprocessing.get_context("fork")
        queue = fork.SimpleQueue()
        workers = [fork.Process(target=_work, args=(base / str(n), names[n::jobs], seed, queue)) for n in range(jobs)]
        for worker in workers:
            worker.start()
        found = list(_collected(queue, jobs, findings))
        for worker in workers:
            worker.join()
        return sorted(found, key=lambda verdict: verdict.case)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _work(base: Path, names: Sequence[str], seed: int, queue: Any) -> None:
    from tests.faults.bench import make_bench
    from tests.faults.running import variables_of

    sandbox = Sandbox(base)
    try:
        with variables_of(sandbox):
            make_bench(sandbox)
            for name in names:
                queue.put(_verdict(name, seed, sandbox))
    except Exception:
        queue.put(Verdict("harness", "the inputs", "failed", (traceback.format_exc(),)))
    finally:
        queue.put(None)


def _verdict(name: str, seed: int, sandbox: Sandbox) -> Verdict:
    try:
        return cast(Verdict, _module(name.partition(":")[0]).run(name, seed, sandbox))
    except Exception:
        return Verdict(name, "the harness failed", "failed", (traceback.format_exc(),))


def _collected(queue: Any, jobs: int, findings: Path | None) -> Iterable[Verdict]:
    number = 0
    while jobs:
        verdict = queue.get()
        if verdict is None:
            jobs -= 1
            continue
        number += 1
        if verdict.faults:
            line = f"{verdict.case}  {verdict.what}\n" + "".join(f"    {fault}\n" for fault in verdict.faults)
            print(ascii(line)[1:-1].replace("\\n", "\n"), end="", file=sys.stderr, flush=True)
            if findings:
                with findings.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                    stream.write(line)
        if number % 20 == 0:
            print(f"{number} cases", file=sys.stderr, flush=True)
        yield verdict


def _module(kind: str) -> Any:
    from tests.faults import command_lines, kills, mutations

    return {"kill": kills, "mutation": mutations, "command-line": command_lines}[kind]


def counted(verdicts: Iterable[Verdict]) -> dict[str, dict[str, dict[str, int]]]:
    """How many cases, by kind, by format or command, and by outcome."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for verdict in verdicts:
        kind, _, rest = verdict.case.partition(":")
        outcome = "fault" if verdict.faults else verdict.outcome
        found.setdefault(kind, {}).setdefault(rest.rpartition(":")[0], Counter())[outcome] += 1
    return {kind: {what: dict(sorted(c.items())) for what, c in of.items()} for kind, of in found.items()}


def summary(verdicts: Sequence[Verdict]) -> str:
    """The counts as text."""
    lines = []
    for kind, by_what in counted(verdicts).items():
        lines.append(f"{kind}: {sum(sum(c.values()) for c in by_what.values())}")
        for what, outcomes in by_what.items():
            lines.append(f"  {what}: " + ", ".join(f"{outcome} {count}" for outcome, count in outcomes.items()))
    faults = sum(bool(verdict.faults) for verdict in verdicts)
    return "\n".join([*lines, f"{len(verdicts)} cases, {faults} with faults"])


def write_counts(path: Path, verdicts: Sequence[Verdict], seed: int) -> None:
    """The counts as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"seed": seed, "cases": counted(verdicts)}
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
