"""The contract that every plugin must pass; a plugin's own tests call it.

    from contextssl_cli.testing import check_action_type, check_dataset, check_plugin

    def test_contract():
        check_plugin("contextssl_mirror")              # loads quickly, brings something
        check_action_type(Mirror())                    # on random images
        check_dataset(Flowers(), Path("tests/data"))   # from a small source

Every failure is a ``PluginError`` that says what is wrong and what to do.
"""

from contextssl_cli.testing.actions import check_action_type, example_inputs, example_schema
from contextssl_cli.testing.datasets import check_dataset, check_dataset_definition
from contextssl_cli.testing.loading import check_plugin

__all__ = [
    "check_action_type",
    "check_dataset",
    "check_dataset_definition",
    "check_plugin",
    "example_inputs",
    "example_schema",
]
