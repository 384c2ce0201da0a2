"""Views that are missing or damaged: named, or left out and counted on the user's wish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diebench_tree import TRAIN, VIEWS, prepared, write_tree

from contextssl_cli.errors import CorruptFileError, DataMissingError

OBJECT = TRAIN[1][1:]


def cut_image(folder: Path) -> None:
    path = folder / "image_2.jpg"
    path.write_bytes(path.read_bytes()[:700])


def no_image(folder: Path) -> None:
    (folder / "image_2.jpg").write_bytes(b"<html>not found</html>")


def empty_image(folder: Path) -> None:
    (folder / "image_2.jpg").write_bytes(b"")


def lost_image(folder: Path) -> None:
    (folder / "image_2.jpg").unlink()


def lost_latents(folder: Path) -> None:
    (folder / "latent_2.npy").unlink()


def lost_last(folder: Path) -> None:
    (folder / f"image_{VIEWS - 1}.jpg").unlink()
    (folder / f"latent_{VIEWS - 1}.npy").unlink()


def latents(value: Any) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "latent_2.npy", value, allow_pickle=True)


def cut_latents(folder: Path) -> None:
    path = folder / "latent_2.npy"
    path.write_bytes(path.read_bytes()[:-8])


FAULTS = [
    (cut_image, CorruptFileError, "image_2.jpg is no readable image"),
    (no_image, CorruptFileError, "image_2.jpg is no readable image"),
    (empty_image, CorruptFileError, "image_2.jpg is no readable image"),
    (lost_image, DataMissingError, "image_2.jpg does not exist"),
    (lost_latents, DataMissingError, "latent_2.npy does not exist"),
    (lost_last, DataMissingError, "image_4.jpg does not exist"),
    (cut_latents, CorruptFileError, "latent_2.npy is no readable .npy file"),
    (latents(np.full(7, np.nan)), CorruptFileError, "latent_2.npy holds NaN"),
    (latents(np.full(9, np.inf)), CorruptFileError, "latent_2.npy holds NaN"),
    (latents(np.zeros(8)), CorruptFileError, r"latent_2.npy holds float64\[8\], expected 7 or 9"),
    (latents(np.zeros((7, 1))), CorruptFileError, r"latent_2.npy holds float64\[7, 1\]"),
    (latents(np.array(["a"] * 7)), CorruptFileError, "latent_2.npy holds <U1"),
    (latents(np.array([{}] * 7)), CorruptFileError, "latent_2.npy is no readable .npy file"),
]


@pytest.mark.parametrize(("damage", "kind", "words"), FAULTS)
def test_a_damaged_view_is_named(damage: Callable[[Path], None], kind: type, words: str, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    damage(root / OBJECT)
    with pytest.raises(kind, match=words) as error:
        prepared(root, tmp_path)
    assert OBJECT in str(error.value)
    assert "--skip-corrupt" in str(error.value)
    assert not (tmp_path / "store.h5").exists()


@pytest.mark.parametrize(("damage", "kind", "words"), FAULTS)
def test_a_damaged_view_is_left_out_and_counted_on_demand(
    damage: Callable[[Path], None], kind: type, words: str, tmp_path: Path
) -> None:
    root = write_tree(tmp_path / "tree")
    damage(root / OBJECT)
    with prepared(root, tmp_path, skip_corrupt=True) as store:
        assert np.bincount(store.train.objects()).tolist() == [5, 4, 5, 5]
        assert len(store.train.inputs()) == 19
        assert store.provenance["skipped"] == 1
        assert OBJECT in store.provenance["skipped_sources"][0]


def test_an_object_of_which_one_view_is_left_is_left_out(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", views=3)
    for view in (0, 2):
        (root / OBJECT / f"image_{view}.jpg").write_bytes(b"")
    with prepared(root, tmp_path, skip_corrupt=True) as store:
        assert np.bincount(store.train.objects()).tolist() == [3, 0, 3, 3]
        assert store.provenance["skipped"] == 3
        assert "fewer than two views" in store.provenance["skipped_sources"][2]


def test_a_whole_object_can_be_missing(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", views=3)
    for path in (root / OBJECT).iterdir():
        path.unlink()
    (root / OBJECT).rmdir()
    with pytest.raises(DataMissingError, match=r"a2/image_0\.jpg"):
        prepared(root, tmp_path)
    with prepared(root, tmp_path, skip_corrupt=True) as store:
        assert np.bincount(store.train.objects()).tolist() == [3, 0, 3, 3]


def test_objects_of_one_view_have_no_pairs(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="has one view, two are needed"):
        prepared(write_tree(tmp_path / "tree", views=1), tmp_path)


def test_a_folder_that_holds_no_objects_is_missing_data(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", views=2)
    for path in root.glob("0*"):
        path.rename(tmp_path / path.name)
    with pytest.raises(DataMissingError, match=r"holds no image_0\.jpg"):
        prepared(root, tmp_path)
