# Recipes for https://just.systems; each is one command that also works without it.

# The default suite.
test *arguments:
    pytest {{arguments}}

# The long run of the fault harness, about an hour on two cores; it writes the counts of docs/explanation/reliability.md.
faults *arguments:
    OMP_NUM_THREADS=1 python -m tests.faults --kills 200 --mutations 2000 --command-lines 500 \
        --counts docs/explanation/faults.json --findings faults.txt {{arguments}}
