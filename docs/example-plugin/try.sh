#!/usr/bin/env bash
# Walk through the README with the installed plugin, on a small scale: check, prepare, pretrain, probe, context, adapt.
set -euo pipefail
folder=$1
contextssl=${2:-contextssl}
"$contextssl" plugins | grep contextssl_waves
"$contextssl" plugins check contextssl_waves
"$contextssl" prepare waves --count 500 --out "$folder/waves.h5"
"$contextssl" pretrain --plugin waves-shift-gain --store "$folder/waves.h5" --steps 20 --out "$folder/run"
"$contextssl" probe --run "$folder/run" --out "$folder/probe"
"$contextssl" context create --run "$folder/run" --action gain --out "$folder/gain.h5"
"$contextssl" adapt --context "$folder/gain.h5" --out "$folder/embeddings.h5"
"$contextssl" info "$folder/embeddings.h5"
