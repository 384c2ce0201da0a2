"""Write the pages that come from the code, from plugins' folders or from results.

These are ``commands.md``, ``configuration.md``, ``api``, ``datasets``, ``actions``, ``recipes`` and ``results``.

    python docs/generate.py            # write them
    python docs/generate.py --check    # say which are stale; exit code 1 if any is

The command line's Typer application, the pydantic models of the configuration, and the modules of the package are the
only sources, so no page can promise what the code does not do.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.models import ArgumentInfo, OptionInfo

if TYPE_CHECKING:
    from contextssl_cli.plugin.registry import PluginRow
    from contextssl_cli.report.tables import TextTable

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py from the code; do not edit. -->"
PROJECT = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
LAYERS = tuple(
    layer
    for layer in reversed(PROJECT["tool"]["importlinter"]["contracts"][0]["layers"])
    if (DOCS.parent / "contextssl_cli" / layer).is_dir()
)
"""The folders of the package; each imports only those before it."""


# --- the command line ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command."""

    names: tuple[str, ...]
    kind: str
    default: str
    help: str
    argument: bool
    takes_value: bool


@dataclass(frozen=True)
class Command:
    """A command of the application, as ``context create``."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]

    @property
    def options(self) -> dict[str, bool]:
        """Every spelling of every option, and whether a value follows it."""
        known = {name: p.takes_value for p in self.parameters if not p.argument for name in p.names}
        return known | {"--help": False}


def commands() -> list[Command]:
    """All commands, in the order of ``contextssl --help``, with groups and their commands last."""
    from contextssl_cli.cli.app import app

    return list(_commands(app, ""))


def _commands(application: typer.Typer, prefix: str) -> Iterator[Command]:
    for info in application.registered_commands:
        yield _command(f"{prefix}{info.name}", info.callback)
    for group in application.registered_groups:
        own = group.typer_instance.registered_callback
        if own is not None and group.typer_instance.info.invoke_without_command is True:
            yield _command(f"{prefix}{group.name}", own.callback)
        yield from _commands(group.typer_instance, f"{prefix}{group.name} ")


def _command(name: str, callback: Any) -> Command:
    parameters = inspect.signature(callback, eval_str=True).parameters.values()
    given = tuple(_parameter(p) for p in parameters if p.annotation is not typer.Context)
    return Command(name, inspect.getdoc(callback) or "", given)


def _parameter(parameter: inspect.Parameter) -> Parameter:
    kind, *details = get_args(parameter.annotation)
    info = next(item for item in details if isinstance(item, ArgumentInfo | OptionInfo))
    argument = isinstance(info, ArgumentInfo)
    # In Annotated[..., Option("--out", "-o")] the first spelling lands in the field of the default.
    spelt = [name for name in (info.default, *(info.param_decls or [])) if isinstance(name, str)]
    names = (info.metavar or parameter.name.upper(),) if argument else tuple(spelt)
    flag = kind is bool or bool(getattr(info, "count", False))
    return Parameter(
        names, "" if flag else _kind(kind, info), _default(parameter, info, flag), info.help or "", argument, not flag
    )


def _kind(annotation: Any, info: ArgumentInfo | OptionInfo) -> str:
    chosen = [part for part in _parts(annotation) if part is not NoneType]
    if get_origin(chosen[0]) is list:
        return ", ".join(filter(None, [_kind(get_args(chosen[0])[0], info), "repeatable"]))
    if get_origin(chosen[0]) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(chosen[0]))
    name = "" if isinstance(info, ArgumentInfo) else f"`{info.metavar or chosen[0].__name__.upper()}`"
    return f"{name} ≥ {info.min}" if info.min is not None else name


def _default(parameter: inspect.Parameter, info: ArgumentInfo | OptionInfo, flag: bool) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "required"
    variable = f"`{info.envvar}`, else " if info.envvar else ""
    return variable + ("" if flag or parameter.default is None else f"`{parameter.default}`")


COMMANDS_HEAD = f"""{NOTE}

# Commands

Results are printed to stdout, progress and messages to stderr. `--json` prints one JSON object. `NO_COLOR` turns
colours off. Every command prints the paths that it wrote.

| exit status | meaning |
| --- | --- |
| 0 | done |
| 1 | failure, such as a full disk |
| 2 | a name, option or value is wrong |
| 3 | data is missing, or cannot be accessed |
| 4 | a file is damaged, of another kind or version, or does not fit the others |
| 5 | a plugin failed |
| 130 | interrupted, after the state was saved |

An error is one message that names the file or value, what was expected, and what to do. It begins with a [stable
code](errors.md). `-vv` adds the traceback.

| variable | meaning |
| --- | --- |
| `CONTEXTSSL_HOME` | folder for stores, runs and downloads; by default the data and cache folders of the platform |
| `CONTEXTSSL_DEVICE` | default of `--device` |
| `CONTEXTSSL_<KEY>` | a [setting](configuration.md), such as `CONTEXTSSL_SEED` or `CONTEXTSSL_MODEL_WIDTH` |
| `NO_COLOR` | turns colours off |
"""


def commands_page() -> str:
    """The command reference."""
    parts = [COMMANDS_HEAD]
    for command in commands():
        usage = " ".join(p.names[0] for p in command.parameters if p.argument)
        parts.append(f"## contextssl {command.name}\n\n{command.summary}\n")
        parts.append(f"```text\ncontextssl {' '.join(filter(None, [command.name, usage, '[OPTIONS]']))}\n```\n")
        parts.append(_table(["name", "value", "default", "meaning"], [_line(p) for p in command.parameters]))
        if command.name == "prepare":
            parts.append(_dataset_options())
    return "\n".join(parts)


def _dataset_options() -> str:
    """The flags that a data set adds to ``contextssl prepare``."""
    from contextssl_cli.cli.dataset_options import option_flags

    rows = [
        [f"`{dataset.name}`", f"`{flag}`", *_default_last(text)]
        for dataset in _own_datasets()
        for flag, text in option_flags(dataset).items()
    ]
    return f"Options of single data sets:\n\n{_table(['data set', 'name', 'meaning', 'default'], rows)}"


def _line(parameter: Parameter) -> list[str]:
    names = ", ".join(f"`{name}`" for name in parameter.names)
    text, default = _default_last(parameter.help)
    return [names, parameter.kind, parameter.default + default, text]


def _default_last(text: str) -> list[str]:
    """A help text, and the default at its end."""
    meaning, _, default = text.partition("  [default: ")
    return [_escape(meaning), _escape(default.removesuffix("]"))]


# --- the configuration --------------------------------------------------------------------------------------------

CONFIGURATION_HEAD = f"""{NOTE}

# Configuration

What decides the weights of a run is its data and its configuration. Each value comes from the first of these places
that names it:

1. a flag of `contextssl pretrain`: `--steps`, `--batch-size`, `--lr`, `--seed`, or `--set key=value` for any other key,
2. an environment variable: `CONTEXTSSL_` and the key in capitals, with `MODEL_` before the keys of the model,
3. the TOML file given with `--config`,
4. the preset given with `--preset`,
5. the data set's own defaults,
6. the default in the tables below.

An unknown key is an error in every one of them. `contextssl pretrain --plugin digits-rotation-color --dry-run` prints
the resolved configuration; `run.json` keeps it, and what was asked for.

```toml
# settings.toml, for contextssl pretrain --plugin digits-rotation-color --config settings.toml
steps = 2000
temperature = 0.2

[model]
width = 64
layers = 3
```

The same as flags, where keys of the model take the prefix `model.`; `none` unsets a value:

```console
$ contextssl pretrain --plugin digits-rotation-color --steps 2000 --set model.width=64 --set grad_clip=none
```

Action types may have options of their own. They are keys too, below `actions` and the action type's name:

```toml
[actions.attribute]
sensitive = "race"
```

As a flag that is `--set actions.attribute.sensitive=race`; the flags `--sensitive` and `--pairing` are short for the
options of these names, whichever action type of the task has them. As a variable it is the whole table,
`CONTEXTSSL_ACTIONS='{{attribute = {{sensitive = "race"}}}}'`. An option that no action type of the task has is an
error. A run keeps all options that were in force.
"""


PROBES_HEAD = """## Probes

The settings of the evaluation protocol. `contextssl probe --seed` sets the seed; the others are a data set's to choose
(`Dataset.probing`), so that two people who probe one data set report the same thing. Result files keep all of them.
"""


def configuration_page() -> str:
    """The tables of every setting, from the models and the docstrings below their fields."""
    from contextssl_cli.config.model import ModelConfig
    from contextssl_cli.config.probe import ProbeConfig
    from contextssl_cli.config.resolve import PAPER
    from contextssl_cli.config.train import TrainConfig

    sets = {dataset.name: dataset for dataset in _own_datasets()}
    layers = {f"`{name}`": _flat(dataset.training) for name, dataset in sets.items()}
    layers["`--preset paper`"] = _flat(PAPER) | {
        "model.encoder": "resnet18 (images)",
        "model.feature_dim": "512 (images)",
    }
    probing = {f"`{name}`": _flat(dataset.probing) for name, dataset in sets.items() if dataset.probing}
    return "\n".join([
        CONFIGURATION_HEAD,
        "## Training\n",
        _fields(TrainConfig, skip=("model",)),
        "## Model\n\nThe table `[model]` of a TOML file.\n",
        _fields(ModelConfig),
        "## Options of action types\n\nThe keys are `actions.<action type>.<option>`.\n",
        _action_options(),
        "## What data sets and the paper's preset change\n\nA data set's defaults stand in its plugin "
        "(`Dataset.training`). An empty cell leaves the default.\n",
        _overrides(layers),
        PROBES_HEAD,
        _fields(ProbeConfig),
        _overrides(probing),
    ])  # fmt: skip


def _own_datasets() -> list[Any]:
    from contextssl_cli.plugin.registry import registry

    return [dataset for row in registry().rows if row.owner == "contextssl" for dataset in row.datasets]


def _action_options() -> str:
    from contextssl_cli.plugin.registry import registry

    own = [row for row in registry().rows if row.owner == "contextssl"]
    actions = [action for row in own for action in (*row.actions, *(a for d in row.datasets for a in d.actions))]
    rows = [
        [f"`{action.name}.{name}`", _type(field), f"`{_show(field.default)}`", _escape(field.description or "")]
        for action in actions
        for name, field in action.options.model_fields.items()
    ]
    return _table(["option", "type", "default", "meaning"], rows)


def _fields(model: type[BaseModel], skip: tuple[str, ...] = ()) -> str:
    notes = _docstrings(model)
    rows = [
        [f"`{name}`", _type(field), f"`{_show(field.default)}`", _escape(notes.get(name, ""))]
        for name, field in model.model_fields.items()
        if name not in skip
    ]
    return _table(["key", "type", "default", "meaning"], rows)


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string below each field of a class."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    found = {}
    for field, below in pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def _type(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "a multiple of"}
    bounds = [f"{sign} {getattr(m, key)}" for m in field.metadata for key, sign in signs.items() if hasattr(m, key)]
    return _escape(", ".join([_name(field.annotation), *bounds]))


def _name(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _name(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"list of {_name(get_args(annotation)[0])}"
    if get_origin(annotation) in (dict, Mapping):
        return "table"
    plain = {int: "integer", float: "number", bool: "`true` or `false`", str: "text", NoneType: "`none`"}
    return " or ".join(plain[p] if p in plain else _name(p) for p in _parts(annotation))


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _overrides(layers: dict[str, dict[str, Any]]) -> str:
    keys = list(dict.fromkeys(key for values in layers.values() for key in values))
    rows = [[f"`{key}`", *(f"`{_show(v[key])}`" if key in v else "" for v in layers.values())] for key in keys]
    return _table(["key", *layers], rows)


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _show(value: Any) -> str:
    if isinstance(value, bool | NoneType):
        return str(value).lower()
    return f"[{', '.join(map(_show, value))}]" if isinstance(value, tuple) else str(value)


# --- the modules --------------------------------------------------------------------------------------------------


def modules() -> list[str]:
    """Every module of the package that does not begin with an underscore."""
    import contextssl_cli

    found = pkgutil.walk_packages(contextssl_cli.__path__, "contextssl_cli.")
    names = ["contextssl_cli", *(module.name for module in found)]
    return [name for name in names if not any(part.startswith("_") for part in name.split("."))]


def api_pages() -> dict[str, str]:
    """One page per layer, with every module of it."""
    layers = tuple(f"contextssl_cli.{layer}" for layer in LAYERS)
    pages = {"package": _api_page("The package", [name for name in modules() if not name.startswith(layers)])}
    for layer in LAYERS:
        package = f"contextssl_cli.{layer}"
        title = (importlib.import_module(package).__doc__ or "").split("\n")[0].rstrip(".")
        members = [module for module in modules() if module == package or module.startswith(f"{package}.")]
        pages[layer] = _api_page(f"{title} (`{layer}/`)", members)
    return pages


def _api_page(title: str, members: list[str]) -> str:
    parts = [f"{NOTE}\n\n# {title}\n"]
    parts += [f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n" for name in members]
    return "\n".join(parts)


# --- the built-in plugins -----------------------------------------------------------------------------------------

PLUGINS = DOCS.parent / "plugins"
CATALOGUES = {
    "datasets": f"""{NOTE}

# Data sets

Each is a plugin; `contextssl prepare NAME` makes its store. Other people's data sets are found in the same way: see
[writing a plugin](../plugins.md).
""",
    "actions": f"""{NOTE}

# Action types

Each works on every data set of its modality, unless the data set brings one of the same name. A task names
them behind its data set: `<data set>-<action type>`. How several combine: [the order of action
types](../plugins.md#the-order-of-action-types).
""",
    "recipes": f"""{NOTE}

# Recipes

Experiments that `contextssl reproduce NAME` runs; plugins bring them: see [sweeps and reproductions](../reproduce.md).
""",
}
HEADERS = {
    "datasets": ["name", "modality", "licence", "what"],
    "actions": ["name", "modality", "what"],
    "recipes": ["name", "what"],
}


def plugin_pages() -> dict[Path, str]:
    """Three catalogues, and for each plugin's folder a page that includes its README."""
    from contextssl_cli.plugin.registry import registry

    rows = [
        row for row in registry().rows if (PLUGINS / row.name).is_dir() and (row.datasets or row.actions or row.recipes)
    ]
    found: dict[str, list[tuple[str, list[list[str]]]]] = {catalogue: [] for catalogue in CATALOGUES}
    for row in rows:
        catalogue = "datasets" if row.datasets else "actions" if row.actions else "recipes"
        found[catalogue].append((row.name.removeprefix("contextssl_"), _catalogue_lines(row)))
    generated = {}
    for catalogue, entries in found.items():
        pages = [name for name, _ in entries if (PLUGINS / f"contextssl_{name}" / "README.md").is_file()]
        for name in pages:
            include = f"```{{include}} ../../plugins/contextssl_{name}/README.md\n```\n"
            generated[Path(catalogue) / f"{name}.md"] = f"{NOTE}\n\n{include}"
        header = HEADERS[catalogue]
        table = _table(header, [line for _, lines in entries for line in lines])
        toc = "\n".join(["```{toctree}", ":maxdepth: 1", "", *pages, "```"])
        generated[Path(catalogue) / "index.md"] = f"{CATALOGUES[catalogue]}\n{table}\n{toc}\n"
    return generated


def _catalogue_lines(row: PluginRow) -> list[list[str]]:
    if row.datasets:
        return [[f"`{d.name}`", d.modality, _escape(d.licence), _escape(d.summary)] for d in row.datasets]
    if row.actions:
        return [[f"`{action.name}`", action.modality, _escape(action.summary)] for action in row.actions]
    return [
        [f"`{path.stem}`", _escape(tomllib.loads(path.read_text(encoding="utf-8"))["title"])] for path in row.recipes
    ]


# --- results ------------------------------------------------------------------------------------------------------


def results_pages() -> dict[str, str]:
    """The pages of results: prose from ``results/NAME.txt``, figures from the ``results/NAME.json`` of the command."""
    found = sorted((DOCS / "results").glob("*.json"))
    return {path.stem: _results_page(path) for path in found}


def _results_page(path: Path) -> str:
    from contextssl_cli.evaluation.results import ProbeReport
    from contextssl_cli.experiments.page import versions_text
    from contextssl_cli.report.probe_tables import probe_tables
    from contextssl_cli.report.summary import gap_sentence

    values = json.loads(path.read_text(encoding="utf-8"))
    if "compared" in values:
        return _comparison_page(path, values["compared"])
    if "parts" in values:
        return _experiment_page(path, values)
    if path.stem == "selection":
        return _selection_page(path, values)
    if path.stem == "again":
        return _again_page(path, values)
    report = ProbeReport.from_dict(values)
    tables = "\n\n".join(f"## {table.title}\n\n{table.markdown()}" for table in probe_tables(report))
    return path.with_suffix(".txt").read_text(encoding="utf-8").format(
        note=NOTE,
        gap=f"{gap_sentence(report)}.",
        gaps=", ".join(f"{gap:.3f}" for gap in report.gaps),
        tables=tables,
        versions=versions_text(report.protocol),
    )  # fmt: skip


def _comparison_page(path: Path, compared: dict[str, Any]) -> str:
    """A page that holds several reports of one data set side by side, at the longest context."""
    from contextssl_cli.evaluation.results import ProbeReport
    from contextssl_cli.experiments.page import versions_text

    reports = {name: ProbeReport.from_dict(values) for name, values in compared.items()}
    probes = dict.fromkeys(row.probe for report in reports.values() for row in report.rows)
    tables = [f"## {probe}\n\n{_comparison(reports, probe)}" for probe in probes]
    return path.with_suffix(".txt").read_text(encoding="utf-8").format(
        note=NOTE,
        tables="\n\n".join(tables),
        versions=versions_text(next(iter(reports.values())).protocol),
    )  # fmt: skip


def _experiment_page(path: Path, values: dict[str, Any]) -> str:
    """The results of ``contextssl reproduce``; its figures stand in a folder of the page's name."""
    from contextssl_cli.experiments.page import studies_text, versions_text

    return path.with_suffix(".txt").read_text(encoding="utf-8").format(
        note=NOTE, tables=studies_text(values, f"{path.stem}/"), versions=versions_text(values)
    )  # fmt: skip


def _selection_page(path: Path, values: dict[str, Any]) -> str:
    """The parts that ``benchmarks/selection.py`` and ``benchmarks/selection_fairness.py`` write."""
    from contextssl_cli.experiments.page import versions_text

    def shown(tables: Iterable[Any]) -> str:
        return "\n\n".join(f"### {table.title}\n\n{table.markdown()}" for table in tables)

    return path.with_suffix(".txt").read_text(encoding="utf-8").format(
        note=NOTE,
        digits=shown([_digits_table(values["digits"], name) for name in _CANDIDATES]),
        adult=shown(_adult_tables(values["adult"])),
        versions=versions_text(values["adult"]),
    )  # fmt: skip


def _again_page(path: Path, values: dict[str, Any]) -> str:
    """What ``benchmarks/regenerated.py`` found of each experiment."""
    from contextssl_cli.experiments.page import versions_text
    from contextssl_cli.report.tables import TableColumn, TextTable, heads

    def head(values: dict[str, str]) -> str:
        return heads([TableColumn(**values)])[0]

    parts = [(name, part, found) for name, one in values.items() for part, found in one.items()]
    counts = ["runs", "runs_on_page", "same_weights", "figures", "within_one", "within_two", "of_single_runs"]
    lines = [[name, part, *(str(found[key]) for key in counts)] for name, part, found in parts]
    single = [
        [name, part, head(one["column"]), TableColumn(**one["column"]).measure.text(one["difference"])]
        for name, part, found in parts
        for one in found["largest_of_single_runs"]
    ]
    beyond = [
        [name, part, ", ".join([one["table"], *one["labels"], head(one["column"])]),
         *(TableColumn(**one["column"]).measure.text(one[key]) for key in ("page", "again")),
         "no standard deviation" if one["units"] is None else f"{one['units']:.1f}"]
        for name, part, found in parts
        for one in found["beyond_two"]
    ]  # fmt: skip
    units = ["experiment", "part", "figure", "on the page", "again", "standard deviations"]
    return path.with_suffix(".txt").read_text(encoding="utf-8").format(
        note=NOTE,
        counts=TextTable("", ["experiment", "part", *(key.replace("_", " ") for key in counts)], lines).markdown(),
        tables="\n\n".join(
            f"`{name}`, `{part}`:\n\n{_beside(found['first_table']).markdown()}"
            for name, part, found in parts
            if found["first_table"]
        ),
        single=TextTable("", ["experiment", "part", "of", "largest difference"], single).markdown(),
        beyond=TextTable("", units, beyond).markdown(),
        versions="; ".join(dict.fromkeys(versions_text(found) for _, _, found in parts)),
    )  # fmt: skip


def _beside(table: dict[str, Any]) -> TextTable:
    """The means of the experiment that was run again, and in parentheses those of the page."""
    from contextssl_cli.report.tables import TableColumn, TextTable, heads

    columns = [TableColumn(**column) for column in table["columns"]]
    body = []
    for row in table["rows"]:
        pairs = [
            [column.measure.text(mean) for mean in cell] if cell else []
            for column, cell in zip(columns, row["cells"], strict=True)
        ]
        body.append([*row["labels"], *(f"{pair[0]} ({pair[1]})" if pair else "" for pair in pairs)])
    return TextTable("", ["again (on the page)", *heads(columns)], body)


_CANDIDATES = {"two": "the two contexts", "all": "the two contexts, and no context"}
_VERDICTS = ("cannot tell", "sure and right", "sure and wrong")


def _digits_table(values: dict[str, Any], name: str) -> TextTable:
    """How often each candidate was picked on digits, and how often rightly: a line per task and run."""
    from contextssl_cli.report.tables import TextTable

    counts = [(run["seed"], task, found) for run in values["runs"] for task, found in run["counts"][name].items()]
    columns = list(counts[0][2])
    header = ["labels are", "run", *(c if c in _VERDICTS else f"picked {c}" for c in columns)]
    counts.sort(key=lambda line: list(values["runs"][0]["counts"][name]).index(line[1]))
    rows = [[task, f"seed {seed}", *(str(found[column]) for column in columns)] for seed, task, found in counts]
    return TextTable(f"Candidates: {_CANDIDATES[name]}", header, rows)


def _adult_tables(values: dict[str, Any]) -> list[TextTable]:
    """The contexts of Adult on the test split, and the counts for each objective, over the runs of a pairing."""
    by_pairing: dict[str, list[dict[str, Any]]] = {}
    for run in values["runs"]:
        by_pairing.setdefault(run["pairing"], []).append(run)
    return [_test_table(by_pairing), *(_objective_table(name, by_pairing) for name in values["objectives"])]


def _test_table(by_pairing: dict[str, list[dict[str, Any]]]) -> TextTable:
    from contextssl_cli.evaluation.results import sample_std
    from contextssl_cli.report.tables import Measure, TextTable

    first = next(iter(by_pairing.values()))[0]["test"]
    figures = list(next(iter(first.values())))
    rows = []
    for pairing, runs in by_pairing.items():
        for candidate in first:
            found = [[run["test"][candidate][figure] for run in runs] for figure in figures]
            cells = [Measure("").text(fmean(one), sample_std(one) if len(one) > 1 else None) for one in found]
            rows.append([pairing, candidate, *cells])
    return TextTable("On the test split", ["pairing", "candidate", *figures], rows)


def _objective_table(objective: str, by_pairing: dict[str, list[dict[str, Any]]]) -> TextTable:
    from contextssl_cli.report.tables import TextTable

    rows = []
    for pairing, runs in by_pairing.items():
        lines = [[line for line in run["counts"] if line["objective"] == objective] for run in runs]
        rows += [[pairing, *_selection_counts(same)] for same in zip(*lines, strict=True)]
    header = ["pairing", "labels", "candidates", "meets it in test", "picked", "refused", "right, by run", *_VERDICTS]
    return TextTable(f"Objective: {objective}", header, rows)


def _selection_counts(runs: tuple[dict[str, Any], ...]) -> list[str]:
    """The counts of the same labels and candidates, over the runs."""
    names = list(runs[0]["picked"])
    meeting = [f"{name} ({times})" for name in names if (times := sum(name in run["meeting"] for run in runs))]
    picked = [f"{name} {times}" for name in names if (times := sum(run["picked"][name] for run in runs))]
    sums = [str(sum(run[key] for run in runs)) for key in ("refused", *_VERDICTS)]
    right = ", ".join(str(run["right"]) for run in runs)
    about = [str(runs[0]["labels"]), _CANDIDATES[runs[0]["candidates"]]]
    return [*about, "; ".join(meeting) or "none", "; ".join(picked) or "none", sums[0], right, *sums[1:]]


def _comparison(reports: dict[str, Any], probe: str) -> str:
    """A line for every report and environment, a column for every figure of the probe."""
    from contextssl_cli.report.tables import Cell, ResultTable, TableColumn

    rows: dict[tuple[str, ...], dict[TableColumn, Cell]] = {}
    for name, report in reports.items():
        for row in report.rows:
            if row.probe == probe and row.context_length in (0, report.lengths[-1]):
                if row.environment in report.environments and not row.context_length:
                    continue  # no context yet
                rows.setdefault((name, row.environment), {})[TableColumn(row.metric, row.target)] = Cell.of(row)
    return ResultTable("", ("pairing", "context"), rows).text().markdown()


# --- writing ------------------------------------------------------------------------------------------------------


# --- reliability --------------------------------------------------------------------------------------------------


def reliability_page() -> str:
    """The prose of ``explanation/reliability.txt`` with the counts of the fault harness, ``faults.json``."""
    folder = DOCS / "explanation"
    cases = json.loads((folder / "faults.json").read_text(encoding="utf-8"))["cases"]
    counts = [count for kind in cases.values() for outcomes in kind.values() for count in outcomes.values()]
    faults = sum(outcomes.get("fault", 0) for kind in cases.values() for outcomes in kind.values())
    tables = "\n\n".join(_faults_table(kind, found) for kind, found in cases.items())
    prose = (folder / "reliability.txt").read_text(encoding="utf-8")
    return prose.format(note=NOTE, total=f"{sum(counts):,}", faults=faults or "none", tables=tables)


def _faults_table(kind: str, found: dict[str, dict[str, int]]) -> str:
    outcomes = sorted({outcome for counts in found.values() for outcome in counts})
    rows = [[f"`{what}`", *(str(counts.get(outcome, "")) for outcome in outcomes)] for what, counts in found.items()]
    total = sum(sum(counts.values()) for counts in found.values())
    return f"### {kind}: {total:,} cases\n\n{_table(['', *outcomes], rows)}"


def first_table() -> str:
    """The README's first table: what a probe predicts of each action under each context, on digits."""
    from contextssl_cli.evaluation.results import ProbeReport

    report = ProbeReport.from_dict(json.loads((DOCS / "results" / "digits.json").read_text(encoding="utf-8")))
    found = {
        (row.environment, row.target): max(0.0, row.mean)
        for row in report.rows
        if row.metric == "r2" and row.context_length == report.lengths[-1] and not row.probe.startswith("ridge")
    }
    rows = [
        [
            f"a {context} context",
            *(f"{found[context.replace('colour', 'color'), action]:.2f}" for action in ("rotation", "color")),
        ]
        for context in ("rotation", "colour")
    ]
    return _table(["embeddings under", "R² of the rotation", "R² of the colour"], rows)


def headline() -> str:
    """The README's table of results, from the same files."""
    from contextssl_cli.evaluation.results import ProbeReport
    from contextssl_cli.evaluation.strong_probes import LOGISTIC

    digits, photographs, adult = (
        ProbeReport.from_dict(json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8")))
        for name in ("digits", "cifar10-crop-color", "adult")
    )
    figure3 = json.loads((DOCS / "results" / "figure3.json").read_text(encoding="utf-8"))
    shapes = next(
        ProbeReport.from_dict(point["report"])
        for part in figure3["parts"]
        for point in part["points"]
        if (part["study"]["name"], point["label"]) == ("shapes3d", "contextssl")
    )

    def gap(report: ProbeReport) -> str:
        spread = f" ± {report.gap_std:.2f}" if len(report.gaps) > 1 else ""
        return f"{report.adaptation_gap:.2f}{spread}"

    def sex(environment: str, *, strong: bool, length: int) -> str:
        return next(
            f"{row.mean:.3f} ± {row.std:.3f}"
            for row in adult.rows
            if (row.environment, row.context_length, row.metric, row.target)
            == (environment, length, "accuracy", "gender")
            and (row.probe == LOGISTIC) is strong
        )

    def mlp(representation: str) -> str:
        (part,) = json.loads((DOCS / "results" / "fairness-adult.json").read_text(encoding="utf-8"))["parts"]
        return next(
            f"{row['mean']:.3f} ± {row['std']:.3f}"
            for row in part["fairness"]["rows"]
            if (row["representation"], row["metric"]) == (representation, "accuracy") and row["probe"].startswith("MLP")
        )

    longest = adult.lengths[-1]
    predicts = "accuracy of predicting sex"
    rows = [
        ["digits", "adaptation gap, rotation and colour", gap(digits)],
        ["shapes3d, unseen objects, settings of figure 3", "adaptation gap, rotation and colour", gap(shapes)],
        ["CIFAR-10, one seed", "adaptation gap, crop and colour", gap(photographs)],
        ["Adult, gender context", f"{predicts}, linear probe", sex("gender", strong=False, length=longest)],
        ["Adult, empty context", f"{predicts}, linear probe", sex("none", strong=False, length=longest)],
        ["Adult, empty context", f"{predicts}, logistic regression", sex("none", strong=True, length=longest)],
        ["Adult, empty context", f"{predicts}, MLP", mlp("contextssl, alone, empty context")],
        [
            "Adult, raw columns without sex",
            f"{predicts}, logistic regression",
            sex("raw columns without gender", strong=True, length=0),
        ],
    ]
    return _table(["data", "measure", "mean ± std over three seeds"], rows)


def pages() -> dict[Path, str]:
    """Every generated page by its path below ``docs/``."""
    generated = {Path("commands.md"): commands_page(), Path("configuration.md"): configuration_page()}
    generated |= plugin_pages()
    generated[Path("explanation", "reliability.md")] = reliability_page()
    generated |= {Path("results") / f"{name}.md": text for name, text in results_pages().items()}
    return generated | {Path("api") / f"{name}.md": text for name, text in api_pages().items()}


def stale() -> list[Path]:
    """The generated pages that differ from what stands in ``docs/``, and pages that nothing generates any more."""
    generated = pages()
    differing = [path for path, text in generated.items() if _read(DOCS / path) != text]
    return differing + _left(generated)


def _left(generated: Iterable[Path]) -> list[Path]:
    """Pages in the folders of generated ones that are not among them; the index of the reference is written by hand."""
    stand = {path.relative_to(DOCS) for folder in ("api", *CATALOGUES) for path in (DOCS / folder).glob("*.md")}
    return sorted(stand - {*generated, Path("api", "index.md")})


def write() -> None:
    """Write every generated page, and remove those that nothing generates any more."""
    generated = pages()
    for path in _left(generated):
        (DOCS / path).unlink()
    for path, text in generated.items():
        (DOCS / path).parent.mkdir(exist_ok=True)
        (DOCS / path).write_text(text, encoding="utf-8")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        found = stale()
        sys.exit(f"stale: {', '.join(map(str, found))}; run python docs/generate.py" if found else 0)
    write()
