"""Where each setting comes from: flags > environment > TOML > preset > data set > defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.config.resolve import PAPER, Asked, ask, changed_settings, parse_setting, resolve_config
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UsageError
from contextssl_cli.plugin.kinds import Dataset, Prepared
from contextssl_cli.plugin.options import Options


class Sample(Dataset):
    name = "sample"
    summary = "nothing"
    modality = "image"
    licence = "none"

    def __init__(self, **training: Any) -> None:
        self.training = training  # type: ignore[misc]

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        raise NotImplementedError


def resolve(training: dict[str, Any] | None = None, **given: Any) -> TrainConfig:
    return resolve_config(Sample(**(training or {})), ask(**({"environ": {}} | given)))


def changes(old: TrainConfig, flags: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return changed_settings(old, ask(flags=flags, environ={}), Sample())


def toml(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


KEYS = {
    "lr": (0.1, 0.2, 0.3, 0.4),
    "batch_size": (128, 192, 320, 384),
    "model.width": (8, 16, 24, 32),
    "model.layers": (5, 6, 7, 8),
}


def nested(key: str, value: Any) -> dict[str, Any]:
    group, dot, name = key.partition(".")
    return {group: {name: value}} if dot else {key: value}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_each_place_overrules_those_below_it(key: str, preset: str, tmp_path: Path) -> None:
    by_dataset, by_file, by_variable, by_flag = KEYS[key]
    group, dot, name = key.partition(".")
    written = f"[{group}]\n{name} = {by_file}" if dot else f"{key} = {by_file}"
    variable = "CONTEXTSSL_" + key.upper().replace(".", "_")
    places: dict[str, Any] = {"preset": preset}

    def value() -> Any:
        found = resolve(nested(key, by_dataset), **places)
        return found.model_dump()[group][name] if dot else found.model_dump()[key]

    of_the_paper = PAPER[group][name] if dot else PAPER[key]
    assert value() == (by_dataset if preset == "default" else of_the_paper)
    places["file"] = toml(tmp_path, written)
    assert value() == by_file
    places["environ"] = {variable: str(by_variable)}
    assert value() == by_variable
    places["flags"] = {key: by_flag}
    assert value() == by_flag


def test_the_papers_recipe_sets_the_weight_of_every_loss_term() -> None:
    weights = {name for name in TrainConfig.model_fields if name.endswith("_weight")}
    assert weights <= PAPER.keys()


def test_what_no_place_names_is_the_default() -> None:
    assert resolve() == TrainConfig()


def test_one_nested_key_leaves_its_neighbours() -> None:
    found = resolve({"model": {"width": 8, "layers": 5}}, flags={"model.width": 16})
    assert (found.model.width, found.model.layers) == (16, 5)


@pytest.mark.parametrize("place", ["file", "environ", "flags", "data set", "nested"])
def test_an_unknown_key_is_an_error_everywhere(place: str, tmp_path: Path) -> None:
    given: dict[str, dict[str, Any]] = {
        "file": {"file": toml(tmp_path, "warmap = 0.2")},
        "environ": {"environ": {"CONTEXTSSL_WARMAP": "0.2"}},
        "flags": {"flags": {"warmap": 0.2}},
        "data set": {"training": {"warmap": 0.2}},
        "nested": {"flags": {"model.widht": 3}},
    }
    meant = "model.width" if place == "nested" else "warmup"
    with pytest.raises(UsageError, match=f"did you mean '{meant}'"):
        resolve(**given[place])


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"lr": -1.0}, "lr"),
        ({"model.width": 0}, "model.width"),
        ({"optimizer": "sgd"}, "optimizer"),
        ({"model": 3}, "model"),
        ({"model.block_size": 7}, "model.block_size"),
        ({"batch_size": 100}, "64 pairs"),
        ({"model.width": 65}, "model.width 65 is not a multiple of model.heads 4"),
        ({"context_mask": 1.0}, "context_mask"),
        ({"lr": "fast"}, "lr"),
    ],
)
def test_a_value_that_does_not_fit_is_a_usage_error_that_names_it(flags: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        resolve(flags=flags)


def test_other_variables_of_ours_are_no_settings() -> None:
    named = ("HOME", "PARITY", "PARITY_HEADS", "DEVICE")
    assert resolve(environ={f"CONTEXTSSL_{name}": "x" for name in named} | {"PATH": "y"}) == TrainConfig()


def test_epochs_take_the_place_of_steps_and_the_other_way_round() -> None:
    assert resolve(flags={"epochs": 3}).steps is None
    assert resolve({"epochs": 3}, flags={"steps": 7}).epochs is None
    assert resolve(preset="paper", flags={"steps": 7}).epochs is None
    assert resolve({"steps": 7}, preset="paper").steps is None


def test_both_of_steps_and_epochs_or_neither_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"steps.*epochs"):
        resolve(file=toml(tmp_path, "steps = 3\nepochs = 4"))
    with pytest.raises(UsageError, match=r"steps.*epochs"):
        resolve(environ={"CONTEXTSSL_STEPS": "none"})


@pytest.mark.parametrize(("samples", "steps"), [(1000, 8), (1024, 8), (1025, 9), (1, 1)])
def test_epochs_are_turned_into_whole_steps(samples: int, steps: int) -> None:
    assert resolve(flags={"epochs": 2, "batch_size": 256}).total_steps(samples) == steps
    assert resolve(flags={"steps": 11}).total_steps(samples) == 11


def test_the_paper_s_recipe_is_that_of_method_md() -> None:
    found = resolve(preset="paper")
    assert (found.epochs, found.batch_size, found.optimizer) == (1000, 512, "adam")
    assert found.lr == pytest.approx(5e-5 * found.batch_size / 256)
    assert (found.weight_decay, found.temperature, found.similarity_floor) == (1e-3, 0.1, 1e-7)
    assert found.warmup * 1000 == pytest.approx(10)
    assert (found.aux_weight, found.context_mask, found.grad_clip) == (5.0, 0.9, None)
    assert (found.environments_per_step, found.context_contrast, found.invariance_weight) == ("one", False, 0.0)
    model = found.model
    assert (model.encoder, model.stem, model.feature_dim) == ("resnet18", "imagenet", 512)
    assert (model.width, model.layers, model.heads, model.block_size) == (2048, 3, 4, 128)
    assert (model.max_context, model.aux_hidden) == (126, 1024)
    assert (model.feature_norm, model.standardise_actions, model.activity_bits) == (False, False, False)


def test_nothing_of_ours_is_left_in_the_paper_s_recipe_by_a_data_set() -> None:
    assert resolve({"invariance_weight": 1.0}, preset="paper").invariance_weight == 0
    ours = {
        "instance_weight": 1.0,
        "instance_objective": "vicreg",
        "feature_weight": 1.0,
        "world_start": 0.5,
        "model": {"instance_dim": 8},
    }
    resolved = resolve(ours, preset="paper")
    assert (resolved.instance_weight, resolved.instance_objective, resolved.feature_weight) == (0, "nt-xent", 0)
    assert resolved.world_start == 0


def test_an_unknown_preset_is_answered_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'paper'"):
        resolve(preset="papr")


@pytest.mark.parametrize(("text", "kind"), [("lr = = 3", CorruptFileError), (None, DataMissingError)])
def test_a_file_that_is_damaged_or_missing_is_named(
    text: str | None, kind: type[ContextSSLError], tmp_path: Path
) -> None:
    path = tmp_path / "config.toml" if text is None else toml(tmp_path, text)
    with pytest.raises(kind, match=r"config\.toml"):
        resolve(file=path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lr=0.5", ("lr", 0.5)),
        ("precision = float32", ("precision", "float32")),
        ("context_contrast=false", ("context_contrast", False)),
        ("grad_clip=none", ("grad_clip", None)),
        ("model.width=16", ("model.width", 16)),
    ],
)
def test_set_reads_toml_or_text(text: str, value: tuple[str, Any]) -> None:
    assert parse_setting(text) == value


def test_set_needs_an_equals_sign() -> None:
    with pytest.raises(UsageError, match="expected key=value"):
        parse_setting("lr")


def test_set_none_unsets() -> None:
    assert resolve(flags=dict([parse_setting("grad_clip=none")])).grad_clip is None


def test_asked_settings_hold_what_the_user_named_and_nothing_else(tmp_path: Path) -> None:
    asked = ask(
        file=toml(tmp_path, "lr = 0.1\nwarmup = 0.2\n[model]\nlayers = 5"),
        flags={"model.width": 8, "lr": 0.3},
        environ={"CONTEXTSSL_MODEL_HEADS": "2"},
    )
    assert asked == Asked(
        file={"lr": 0.1, "warmup": 0.2, "model.layers": 5},
        environment={"model.heads": 2},
        flags={"model.width": 8, "lr": 0.3},
    )
    assert asked.named() == {"lr": 0.3, "warmup": 0.2, "model.layers": 5, "model.heads": 2, "model.width": 8}
    assert Asked.model_validate_json(asked.model_dump_json()) == asked


def test_changed_settings_name_what_differs_with_both_values() -> None:
    old = resolve(flags={"lr": 1.0, "model.width": 4})
    assert changes(old, {}) == {}
    assert changes(old, {"lr": 1.0, "model": {"width": 4}}) == {}
    assert changes(old, {"lr": 2.0, "model": {"width": 8}}) == {"lr": (1.0, 2.0), "model.width": (4, 8)}


@pytest.mark.parametrize(("method", "differs"), [("simclr", False), ("simclr+", False), ("contextssl", True)])
def test_a_setting_that_the_method_does_not_read_is_no_change(method: str, differs: bool) -> None:
    old = resolve({"aux_weight": 3.0}, flags={"method": method})
    assert changes(old, {"aux_weight": 4.0}) == ({"aux_weight": (3.0, 4.0)} if differs else {})


def test_to_another_method_every_setting_counts_that_either_reads() -> None:
    old = resolve({"aux_weight": 3.0}, flags={"method": "simclr"})
    assert changes(old, {"method": "contextssl", "aux_weight": 4.0})["aux_weight"] == (3.0, 4.0)


def test_a_changed_setting_that_does_not_fit_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="lr"):
        changes(resolve(), {"lr": -1.0})


def test_options_of_action_types_come_from_every_place_and_the_data_set_s_are_left_to_its_task(tmp_path: Path) -> None:
    table = toml(tmp_path, '[actions.attribute]\nsensitive = "sex"\npairing = "alone"\n[actions.turn]\nmost = 3')
    found = resolve(
        {"actions": {"attribute": {"pairing": "matched"}}},
        file=table,
        environ={"CONTEXTSSL_ACTIONS": "{turn = {most = 4}}"},
        flags={"actions.attribute.sensitive": "race"},
    )
    assert found.actions == {"attribute": {"sensitive": "race", "pairing": "alone"}, "turn": {"most": 4}}
    assert resolve({"actions": {"attribute": {"pairing": "matched"}}}).actions == {}


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"actions": 3}, "actions"),
        ({"actions.attribute": "race"}, "actions.attribute"),
        ({"actions": 3, "actions.attribute.sensitive": "race"}, "actions is a group of settings"),
        ({"actoins.attribute.sensitive": "race"}, "there is no key 'actoins.attribute.sensitive'"),
        ({"model.width.x": 3}, "there is no key 'model.width.x'"),
    ],
)
def test_an_option_of_an_action_type_in_the_wrong_place(flags: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        resolve(flags=flags)


def test_a_changed_option_of_an_action_type_is_named() -> None:
    old = resolve(flags={"actions.attribute.sensitive": "race"})
    assert changes(old, {"actions": {"attribute": {"sensitive": "race"}}}) == {}
    asked = {"actions": {"attribute": {"sensitive": "sex", "pairing": "alone"}}}
    assert changes(old, asked) == {
        "actions.attribute.sensitive": ("race", "sex"),
        "actions.attribute.pairing": (None, "alone"),
    }


def test_the_configuration_survives_json() -> None:
    found = resolve(preset="paper")
    assert TrainConfig.model_validate_json(found.model_dump_json()) == found
