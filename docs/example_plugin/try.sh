#!/usr/bin/env bash
# Use the installed example plugin as a stranger would: train a little, make a context, embed.
set -euo pipefail
folder=$1
contextssl=${2:-contextssl}
"$contextssl" plugins | grep contextssl_waves
"$contextssl" pretrain --plugin waves-shift-loudness --steps 20 --out "$folder/run"
"$contextssl" context create --run "$folder/run" --action loudness --out "$folder/loudness.h5"
"$contextssl" adapt --context "$folder/loudness.h5" --out "$folder/embeddings.h5"
"$contextssl" info "$folder/embeddings.h5"
