"""``docs/walk.py`` runs a page's commands as they are written."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

import pytest

from tests.docs.conftest import DOCS, ROOT, load

PAGE = """# Page

```console
$ one
output
```

## Use

```console
$ contextssl prepare adult --source DIR
$ contextssl pretrain --plugin a-b \\
    --out RUN
```

```python
$ no command
```

## More

```console
$ last
```
"""


@pytest.fixture(scope="module")
def walk() -> ModuleType:
    return load(DOCS / "walk.py")


def test_the_commands_of_a_page(walk: ModuleType) -> None:
    train = "contextssl pretrain --plugin a-b     --out RUN"
    of_use = ["contextssl prepare adult --source DIR", train]
    assert list(walk.commands(PAGE)) == ["one", *of_use, "last"]
    assert list(walk.commands(PAGE, "Use")) == of_use


def test_placeholders_are_whole_words(walk: ModuleType) -> None:
    assert walk.filled_in("x --lists DIR --layout-DIR=DIR2 DIR", {"DIR": "/a b"}, None) == (
        "x --lists /a b --layout-DIR=DIR2 /a b"
    )


def test_training_is_cut_short(walk: ModuleType) -> None:
    assert walk.filled_in("contextssl pretrain --out R", {}, 20) == "contextssl pretrain --out R --set steps=20"
    assert walk.filled_in("contextssl probe --run R", {}, 20) == "contextssl probe --run R"


@pytest.mark.slow
def test_the_page_of_tables_can_be_walked_and_a_failure_ends_the_walk() -> None:
    page = ROOT / "plugins" / "contextssl_table" / "README.md"
    command = [sys.executable, DOCS / "walk.py", page, "--section", "Use", "--steps", "20"]
    own = {name: value for name, value in os.environ.items() if name != "CONTEXTSSL_HOME"}  # a home of its own
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("exit code 0]") == 6
    broken = [*command, "--put", "patients.csv=nowhere.csv", "--skip", "1"]
    stopped = subprocess.run(broken, env=own, capture_output=True, text=True, check=False)
    assert stopped.returncode == 3
    assert stopped.stdout.count("exit code") == 1
