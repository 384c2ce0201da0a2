# Recipes for https://just.systems. Each is one command that also works without it.

# List the recipes.
list:
    @just --list

# Run the tests.
test *arguments:
    pytest {{arguments}}

# Run all other checks, or those named: lint, layers, types, docs, example, new_plugin.
check *names:
    .ci/checks {{names}}

# Write the generated pages, and build the documentation in docs/_build.
docs:
    python docs/generate.py
    python -m sphinx -q -W docs docs/_build

# Run the demo: five minutes on two CPU cores.
demo *arguments:
    contextssl demo {{arguments}}

# Run the fault harness for an hour on two cores. It writes the counts for docs/explanation/reliability.md.
faults *arguments:
    OMP_NUM_THREADS=1 python -m tests.faults --kills 200 --mutations 2000 --command-lines 500 \
        --counts docs/explanation/faults.json --findings faults.txt {{arguments}}
