"""The main path on digits, command by command, at the smallest size."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from contextssl_cli.evaluation.strong_probes import RIDGE_CV
from contextssl_cli.store.context import Context
from contextssl_cli.store.embeddings import Embeddings
from contextssl_cli.training.run import Run
from tests.cli.conftest import TINY, Command, Made, listing

ROW = {"environment", "context_length", "metric", "target", "probe", "mean", "std", "seeds", "values"}


def test_prepare_says_where_the_store_is_and_keeps_it(cli: Command, made: Made) -> None:
    before = made.store.stat().st_mtime_ns
    outcome = cli("prepare", "digits")
    assert outcome.code == 0
    assert outcome.out.startswith(f"{made.store}: ")
    assert re.findall(r"\d+", outcome.out.removeprefix(str(made.store))) == ["1437", "360"]
    assert "--force" in outcome.err
    assert made.store.stat().st_mtime_ns == before


def test_prepare_force_writes_the_same_content_again(cli: Command, made: Made) -> None:
    store = Path("digits.h5")
    cli("prepare", "digits", "--out", store)
    first = store.stat().st_mtime_ns
    assert cli("prepare", "digits", "--out", store, "--force").code == 0
    assert store.stat().st_mtime_ns != first
    facts = [cli("info", path, "--json").json for path in (store, made.store)]
    assert facts[0]["content hash"] == facts[1]["content hash"]


def test_pretrain_prepares_what_needs_no_source(cli: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(workplace / "home"))
    outcome = cli("pretrain", "--plugin", "digits-rotation-color", *TINY)
    assert outcome.code == 0
    assert (workplace / "home" / "stores" / "digits.h5").is_file()
    folder = Path(outcome.out.partition(":")[0])
    assert folder.parent == workplace / "home" / "runs" / "digits-rotation-color"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 3]
    assert set(lines[0]["terms"]["contrast"]) == {"rotation", "color"}
    assert "pairs/s" in outcome.err


def test_probe_json_is_one_object_of_results(cli: Command, made: Made, workplace: Path) -> None:
    outcome = cli("probe", "--run", made.run, "--out", workplace / "probe", "--json")
    assert outcome.code == 0
    found = outcome.json
    assert isinstance(found["adaptation_gap"], float)
    assert all(set(row) == ROW for row in found["results"])
    seen = {(r["environment"], r["context_length"], r["target"]) for r in found["results"] if r["metric"] == "r2"}
    contexts = {(e, length, t) for e in ("rotation", "color") for length in (0, 2) for t in ("rotation", "color")}
    assert seen == contexts | {("encoder", 0, "rotation"), ("encoder", 0, "color")}
    assert {"r2", "top1", "knn"} <= {row["metric"] for row in found["results"]}
    assert {row["std"] for row in found["results"]} == {0.0}
    assert {tuple(row["seeds"]) for row in found["results"]} == {(0,)}
    written = {Path(path).name for path in found["paths"]}
    assert written == {path.name for path in (workplace / "probe").iterdir()}
    assert {".json", ".csv", ".png", ".svg"} == {Path(name).suffix for name in written}
    assert json.loads((workplace / "probe" / "results.json").read_text())["results"] == found["results"]


def test_probe_of_several_runs_gives_mean_and_spread(cli: Command, made: Made, workplace: Path) -> None:
    cli("pretrain", "--plugin", "digits-rotation-color", "--seed", "1", "--out", "second", *TINY)
    alone = {run: cli("probe", "--run", run, "--json").json for run in (made.run, Path("second"))}
    both = cli("probe", "--run", made.run, "--run", "second", "--out", "both", "--json").json
    assert {tuple(row["seeds"]) for row in both["results"]} == {(0, 1)}
    assert both["adaptation_gaps"] == [found["adaptation_gap"] for found in alone.values()]
    first, second = (found["results"] for found in alone.values())
    for row, a, b in zip(both["results"], first, second, strict=True):
        assert row["mean"] == pytest.approx((a["mean"] + b["mean"]) / 2)
        assert row["std"] == pytest.approx(abs(a["mean"] - b["mean"]) / 2**0.5)


def test_probe_prints_tables_and_the_gap(cli: Command, made: Made) -> None:
    outcome = cli("probe", "--run", made.run, "--out", "probe")
    assert "adaptation gap at 2 tokens:" in outcome.out
    assert "rotation R2 (MLP" in outcome.out
    assert f"wrote {Path('probe', 'results.json')}" in outcome.out


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        (["--action", "rotation"], ("rotation",)),
        (["--action", "color"], ("color",)),
        (["--action", "rotation", "--action", "color"], ("color", "rotation")),
        (["--action", "none"], ()),
    ],
)
def test_context_create_writes_the_active_blocks(
    cli: Command, made: Made, flags: list[str], environment: tuple[str, ...]
) -> None:
    assert cli("context", "create", "--run", made.run, *flags, "--pairs", "2").code == 0
    context = Context.load(Path("ctx.h5"))
    assert context.environment == environment
    assert len(context) == 2
    assert context.fingerprint == Run(made.run).fingerprint()


def test_context_of_a_run_with_one_action_may_be_empty(cli: Command, made: Made) -> None:
    outcome = cli("context", "create", "--run", made.newer, "--action", "none")
    assert outcome.code == 0
    assert "active: none" in outcome.out
    assert Context.load(Path("ctx.h5")).environment == ()


def test_contexts_depend_on_the_seed_alone(cli: Command, made: Made) -> None:
    for name, seed in (("a.h5", 0), ("b.h5", 0), ("c.h5", 1)):
        cli("context", "create", "--run", made.run, "--action", "color", "--seed", str(seed), "--out", name)
    a, b, c = (Context.load(Path(name)) for name in ("a.h5", "b.h5", "c.h5"))
    assert np.array_equal(a.x, b.x)
    assert not np.array_equal(a.x, c.x)


@pytest.mark.parametrize("kind", ["npz", "h5"])
def test_context_from_a_users_own_pairs(cli: Command, made: Made, kind: str) -> None:
    drawn = Context.load(made.context)
    arrays = {"x": drawn.x, "y": drawn.y, "actions/rotation": drawn.actions["rotation"]}
    if kind == "npz":
        np.savez("pairs.npz", **arrays)
    else:
        write_h5(Path("pairs.h5"), arrays)
    assert cli("context", "create", "--run", made.run, "--from-pairs", f"pairs.{kind}").code == 0
    context = Context.load(Path("ctx.h5"))
    assert np.array_equal(context.x, drawn.x)
    assert np.array_equal(context.actions["rotation"], drawn.actions["rotation"])
    assert context.fingerprint == drawn.fingerprint


def test_from_pairs_keeps_the_named_blocks_only(cli: Command, made: Made) -> None:
    drawn = Context.load(made.context)
    blocks = {"actions/rotation": drawn.actions["rotation"], "actions/color": np.zeros((len(drawn), 2), np.float32)}
    np.savez("pairs.npz", x=drawn.x, y=drawn.y, **blocks)
    assert cli("context", "create", "--run", made.run, "--from-pairs", "pairs.npz", "--action", "color").code == 0
    assert Context.load(Path("ctx.h5")).environment == ("color",)


def test_adapt_takes_a_context_that_h5py_alone_wrote(cli: Command, made: Made) -> None:
    drawn = Context.load(made.context)
    write_h5(Path("mine.h5"), {"x": drawn.x, "y": drawn.y, "actions/rotation": drawn.actions["rotation"]},
             format="contextssl-context", version=1)  # fmt: skip
    outcome = cli("adapt", "--context", "mine.h5", "--run", made.run)
    assert outcome.code == 0, outcome.err
    assert cli("adapt", "--context", made.context, "--out", "drawn.h5").code == 0
    assert np.array_equal(Embeddings.load(Path("embeddings.h5")).values, Embeddings.load(Path("drawn.h5")).values)


def test_adapt_finds_the_run_by_its_fingerprint(cli: Command, made: Made) -> None:
    outcome = cli("adapt", "--context", made.context)
    assert outcome.code == 0, outcome.err
    assert f"run: {made.run} " in outcome.err
    assert "Symmetry profile" in outcome.out
    found = Embeddings.load(Path("embeddings.h5"))
    assert found.values.shape == (360, 8)
    assert np.allclose(np.linalg.norm(found.values, axis=1), 1, atol=1e-5)
    assert set(found.labels) == {"digit"}
    assert found.about["environment"] == "rotation"
    profile = found.about["profile"]
    assert [(row["action"], row["target"]) for row in profile] == [("rotation", "rotation"), ("color", "color")]
    assert [row["probe"].split()[0] for row in profile] == ["MLP", "linear"]
    assert {row["strong_probe"] for row in profile} == {RIDGE_CV}
    for row in profile:
        for figure in ("r2_without", "r2_now", "strong_r2_without", "strong_r2_now"):
            assert f"{row[figure]:.3f}" in outcome.out


def test_adapt_falls_back_to_the_run_with_the_types_of_the_context_and_says_so(cli: Command, made: Made) -> None:
    drawn = Context.load(made.context)
    Context(drawn.x, drawn.y, drawn.actions, fingerprint="f" * 64).save(Path("other.h5"))
    outcome = cli("adapt", "--context", "other.h5", "--json")
    assert outcome.code == 0, outcome.err
    assert f"run: {made.newer} (" in outcome.err
    assert "ffffffffffff" in outcome.err
    assert f"--run: {made.run})" in outcome.err
    assert outcome.json["run"] == str(made.newer)
    assert [row["action"] for row in outcome.json["profile"]] == ["rotation"]


def test_adapt_changes_no_file_of_the_run_but_its_cache(cli: Command, made: Made, own_run: Path) -> None:
    before = {path: time for path, time in listing(own_run).items() if "cache" not in path}
    assert cli("adapt", "--context", made.context, "--run", own_run).code == 0
    assert {path: time for path, time in listing(own_run).items() if "cache" not in path} == before


def test_adapt_writes_over_its_own_output(cli: Command, made: Made) -> None:
    assert [cli("adapt", "--context", made.context).code for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("kind", ["store", "npy", "npz", "h5", "folder", "flat"])
def test_adapt_embeds_what_it_is_given(cli: Command, made: Made, kind: str) -> None:
    with h5py.File(made.store) as file:
        images = file["test/inputs"][:5]
    source = given(kind, images, made)
    outcome = cli("adapt", "--context", made.context, "--input", source)
    assert outcome.code == 0, outcome.err
    found = Embeddings.load(Path("embeddings.h5"))
    cli("adapt", "--context", made.context, "--out", "whole.h5")
    assert np.allclose(found.values[:5], Embeddings.load(Path("whole.h5")).values[:5], atol=1e-5)
    assert found.names == (tuple(f"deep/{n}.png" for n in range(5)) if kind == "folder" else ())


def test_labels_of_the_digits_go_with_the_embeddings(cli: Command, made: Made) -> None:
    cli("adapt", "--context", made.context, "--input", made.store)
    with h5py.File(made.store) as file:
        assert np.array_equal(Embeddings.load(Path("embeddings.h5")).labels["digit"], file["test/labels/digit"])


def test_info_on_every_kind(cli: Command, made: Made) -> None:
    cli("adapt", "--context", made.context)
    kinds = {"contextssl-store": made.store, "contextssl-context": made.context, "run": made.run,
             "contextssl-embeddings": Path("embeddings.h5")}  # fmt: skip
    for kind, path in kinds.items():
        facts = cli("info", path, "--json").json
        assert facts["format"] == kind
        text = cli("info", path)
        assert text.code == 0
        assert [line.split("  ")[0] for line in text.out.splitlines()] == list(facts)


def given(kind: str, images: np.ndarray, made: Made) -> Path:
    """Five images as a user may have them."""
    path = Path(f"mine.{kind}")
    if kind == "store":
        return made.store
    if kind == "folder":
        Path("photos/deep").mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(image).save(f"photos/deep/{number}.png")
        return Path("photos")
    if kind == "flat":
        np.save("flat.npy", images.reshape(len(images), -1))
        return Path("flat.npy")
    if kind == "npz":
        np.savez(path, anything=images)
    elif kind == "h5":
        write_h5(path, {"x": images / np.float32(255)})
    else:
        np.save(path, images)
    return path


def write_h5(path: Path, arrays: dict[str, np.ndarray], **attributes: object) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        for name, array in arrays.items():
            file[name] = array
