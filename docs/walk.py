"""Run the commands of a documentation page, as a reader would, in a folder of its own.

    python docs/walk.py plugins/contextssl_adult/README.md --section Use --put DIR=../shared/data/adult --steps 20

Every line that begins with ``$`` in a console block is run by the shell, in the page's order; the first that fails ends
the walk with its exit code. Training is cut short by ``--steps``, placeholders are filled in by ``--put``. Stores and
runs stand in a temporary home, unless CONTEXTSSL_HOME names one.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path


def commands(page: str, section: str | None = None) -> Iterator[str]:
    """The commands of a page's console blocks, or of those below one of its headings."""
    parts = re.split(r"^#+ (.+)$", page, flags=re.MULTILINE)
    for heading, text in zip(["", *parts[1::2]], parts[::2], strict=True):
        for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            if section in (None, heading.strip()):
                yield from re.findall(r"^\$ (.+)$", block.replace("\\\n", ""), re.MULTILINE)


def filled_in(command: str, put: Mapping[str, str], steps: int | None) -> str:
    """A command with its placeholders replaced, and its training cut short."""
    for name, value in put.items():
        command = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", lambda _, value=value: value, command)
    cut = steps is not None and command.startswith("contextssl pretrain")
    return f"{command} --set steps={steps}" if cut else command


def main() -> None:
    """Run them, and say how long each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--section", help="only the commands below this heading")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="commands to leave out at the start")
    parser.add_argument("--put", action="append", default=[], metavar="NAME=VALUE", help="fill in a placeholder")
    parser.add_argument("--steps", type=int, help="of every training")
    options = parser.parse_args()
    put = dict(text.split("=", 1) for text in options.put)
    put = {name: str(Path(value).resolve()) if Path(value).exists() else value for name, value in put.items()}
    asked = list(commands(options.page.read_text(encoding="utf-8"), options.section))[options.skip :]
    if not asked:
        sys.exit(f"{options.page} has no such commands")
    with tempfile.TemporaryDirectory() as folder:
        home = {"CONTEXTSSL_HOME": str(Path(folder, "home")), **os.environ}
        for command in (filled_in(command, put, options.steps) for command in asked):
            print(f"$ {command}", flush=True)
            began = time.monotonic()
            done = subprocess.run(command, shell=True, cwd=folder, env=home, check=False)  # noqa: S602 - as a reader does
            print(f"[{time.monotonic() - began:.1f} s, exit code {done.returncode}]", flush=True)
            if done.returncode:
                sys.exit(done.returncode)


if __name__ == "__main__":
    main()
