"""``contextssl plugins check``: every broken rule is explained in one line, and nothing else is needed for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.cli.app import run
from contextssl_cli.testing.package import check_package
from tests.places import built_in
from tests.plugins.conftest import Install

PLUGIN = """
from contextssl_cli.plugin import ActionType, Dataset, Options, Prepared, Samples, Schema, hookimpl

class Bluer(ActionType):
    name, summary, modality = "bluer", "how blue", "image"
    def width(self, schema): return 1
    def sample(self, inputs, schema, generator):
        import torch
        return torch.rand(len(inputs), 1, generator=generator)
    def apply(self, inputs, latents, schema): return inputs * latents[:, :, None, None]
    def relative(self, first, second): return second - first

@hookimpl
def contextssl_action_types():
    return [Bluer()]
"""
SIGNALS = (
    PLUGIN.replace('"image"', '"signal"').replace("latents[:, :, None, None]", "latents")
    + """
class Waves(Dataset):
    name, summary, modality, licence = "little_waves", "waves", "signal", "none"
    needs_source = False
    def prepare(self, source, options):
        import numpy as np
        schema = Schema(dataset=self.name, modality="signal", shape=(8,), dtype="float32", tasks={"kind": ("a", "b")})
        waves = np.random.default_rng(0).random((80, 8), dtype=np.float32)
        return Prepared(schema, [Samples(s, waves, labels={"kind": np.arange(80) % 2}) for s in ("train", "test")])

@hookimpl
def contextssl_datasets():
    return [Waves()]
"""
)


def check(
    capsys: pytest.CaptureFixture[str], code: int, *arguments: str
) -> tuple[dict[tuple[str, str], str], list[dict[str, Any]]]:
    """Run the command as text and as JSON: the texts of the broken rules by subject and rule, and all findings."""
    assert run(["plugins", "check", *arguments]) == code
    told = capsys.readouterr()
    assert run(["plugins", "check", "--json", *arguments]) == code
    findings = json.loads(capsys.readouterr().out)
    failed = {(f["subject"], f["rule"]): f["text"] for f in findings if f["result"] == "failed"}
    lines = told.out.splitlines()
    assert len(lines) == len(findings)
    for (subject, rule), text in failed.items():
        assert f"failed   {subject}: {rule}: {text}" in lines
    assert ("error[E" in told.err) is bool(failed)
    return failed, findings


@pytest.fixture
def folder(install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    """Install as `install` does; a process that is started finds the plugin too."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-packages"))
    return install


def test_a_good_plugin(folder: Install, capsys: pytest.CaptureFixture[str]) -> None:
    folder("foo", PLUGIN)
    failed, findings = check(capsys, 0, "foo")
    assert failed == {}
    assert {finding["subject"] for finding in findings} == {"plugin foo", "action type bluer"}
    assert {finding["result"] for finding in findings} == {"ok"}


def test_every_broken_rule_is_explained(folder: Install, capsys: pytest.CaptureFixture[str]) -> None:
    code = PLUGIN.replace('"how blue"', '""').replace("inputs * latents", "inputs.mul_(2) * latents")
    folder("foo", code.replace("return second - first", "return 1 / 0"))
    failed, findings = check(capsys, 5, "foo")
    assert failed == {
        ("action type bluer", "names"): "Bluer (bluer): the class attribute summary is '', expected one line of text",
        ("action type bluer", "apply"): "Bluer (bluer).apply changes its inputs in place; work on a copy",
        ("action type bluer", "action"): "it raises ZeroDivisionError: division by zero; fix stranger_foo.py, line 11",
    }
    assert ("action type bluer", "sample", "ok") in {(f["subject"], f["rule"], f["result"]) for f in findings}


def test_a_mistake_is_placed_in_the_authors_file(folder: Install) -> None:
    folder("foo", PLUGIN.replace("return inputs * latents", "return inputs.matmul(latents) * latents"))
    (failed,) = [finding for finding in check_package("foo") if finding.result == "failed"]
    assert failed.text.startswith("it raises RuntimeError: ")
    assert failed.text.endswith("stranger_foo.py, line 10")


def test_a_plugin_that_does_not_load(folder: Install, capsys: pytest.CaptureFixture[str]) -> None:
    folder("foo", "import not_there")
    failed, _ = check(capsys, 5, "foo")
    assert failed["plugin foo", "loads"] == (
        "stranger_foo does not load: ModuleNotFoundError: No module named 'not_there'; "
        "python -c 'import stranger_foo' shows where"
    )
    assert "not_there" in failed["plugin foo", "registers"]


def test_a_name_that_is_taken(folder: Install, capsys: pytest.CaptureFixture[str]) -> None:
    built_in("rotation")
    folder("foo", PLUGIN.replace('"bluer"', '"rotation"'))
    failed, _ = check(capsys, 5, "foo")
    assert "the action type 'rotation'" in failed["plugin foo", "registers"]
    assert "contextssl (contextssl_rotation)" in failed["plugin foo", "registers"]


def test_a_package_without_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unlisted_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    failed, _ = check(capsys, 5, "unlisted-plugin")
    assert (
        "add unlisted_plugin = 'unlisted_plugin' under [project.entry-points.contextssl]"
        in (failed["plugin unlisted_plugin", "entry point"])
    )


@pytest.mark.parametrize(("name", "hint"), [("fooo", "did you mean 'foo'?"), ("not a name", "known: ")])
def test_a_plugin_that_is_not_there(folder: Install, capsys: pytest.CaptureFixture[str], name: str, hint: str) -> None:
    folder("foo", PLUGIN)
    assert run(["plugins", "check", name]) == 2
    message = capsys.readouterr().err
    assert repr(name) in message
    assert hint in message


@pytest.mark.parametrize("name", ["foo", "stranger_foo", "stranger-foo"])
def test_a_plugin_goes_by_several_names(folder: Install, name: str) -> None:
    folder("foo", PLUGIN)
    assert {finding.result for finding in check_package(name)} == {"ok"}


def test_another_modality_is_checked_on_the_plugins_own_data_set(folder: Install) -> None:
    folder("foo", SIGNALS)
    findings = check_package("foo")
    assert {finding.result for finding in findings} == {"ok"}
    assert ("action type bluer", "apply") in {(finding.subject, finding.rule) for finding in findings}


def test_a_modality_that_nothing_has_is_broken(folder: Install) -> None:
    folder("foo", PLUGIN.replace('"image"', '"imgae"'))
    (found,) = [finding for finding in check_package("foo") if finding.result != "ok"]
    assert (found.result, found.rule) == ("failed", "modality")
    assert "'imgae'" in found.text
    assert "'image'" in found.text


def test_a_modality_whose_data_are_not_at_hand_is_said(folder: Install, capsys: pytest.CaptureFixture[str]) -> None:
    folder("foo", SIGNALS.replace("    needs_source = False\n", ""))
    findings = check_package("foo")
    skipped = {finding.rule: finding.text for finding in findings if finding.result == "skipped"}
    assert "--source" in skipped["samples"]
    run(["plugins", "check", "foo"])
    assert f"{len(skipped)} of {len(findings)}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none", "encoder", "all"])
def test_a_name_with_a_meaning_of_its_own(folder: Install, tmp_path: Path, name: str) -> None:
    folder("foo", PLUGIN.replace('"bluer"', f'"{name}"'))
    assert any("reserved" in finding.text for finding in check_package("foo"))
    assert run(["plugins", "new", name, "--out", str(tmp_path / "new")]) == 2


def test_a_data_set_that_needs_a_source(folder: Install, tmp_path: Path) -> None:
    needy = SIGNALS.replace("    needs_source = False\n", "").replace(
        "        import numpy as np\n        schema",
        "        import numpy as np\n"
        "        from contextssl_cli.errors import DataMissingError\n"
        "        if not (source / 'waves').exists(): raise DataMissingError('no waves')\n"
        "        schema",
    )
    folder("foo", needy)
    findings = {(finding.subject, finding.rule): finding for finding in check_package("foo")}
    assert findings["data set little_waves", "prepare"].text == "it needs a source: add --source DIR, a small one"
    assert findings["data set little_waves", "missing source"].result == "ok"
    (tmp_path / "waves").touch()
    assert {finding.result for finding in check_package("foo", tmp_path)} == {"ok"}


def test_a_recorded_action_type_belongs_to_a_data_set(folder: Install) -> None:
    folder("foo", PLUGIN.replace("    def width", "    recorded = True\n    def width"))
    (failed,) = [finding for finding in check_package("foo") if finding.result == "failed"]
    assert "list it in the data set's actions" in failed.text


def test_it_needs_no_pytest(folder: Install, tmp_path: Path) -> None:
    site = folder("foo", PLUGIN)
    program = "import sys; sys.modules['pytest'] = None; from contextssl_cli.cli.app import main; main(sys.argv[1:])"
    environment = os.environ | {"PYTHONPATH": str(site), "CONTEXTSSL_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program, "plugins", "check", "foo"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ok       action type bluer: apply" in done.stdout


def test_a_built_in_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    built_in("digits")
    failed, findings = check(capsys, 0, "digits")
    assert failed == {}
    assert ("data set digits", "prepare is repeatable") in {(f["subject"], f["rule"]) for f in findings}
