#!/usr/bin/env bash
# Makes the data of this card (ten levels of 8 × 8 bare latents, 2,000 rows each) and its results, in the folder given.
set -euo pipefail
out=${1:?give a folder for data and results}
mkdir -p "$out"
seed=2510216860
for level in 0.25 0.5 0.75 1.0 1.25 1.5 1.75 2.0 2.25 2.5; do
    seed=$((seed + 1))
    cat > "$out/latents-$level.yaml" <<YAML
description: Bare latents of 8 × 8 with one common cause; each carries $level nats about y.
modalities: [{pipeline: identity}, {pipeline: identity}]
causal_model: {story: common_cause, shape: [1, 8, 8], mi: $level}
rows: 2000
seed: $seed
YAML
    mmmi-hf generate "$out/latents-$level.yaml" --out "$out/data" --quiet > "$out/log"
done
mmmi-hf benchmark "$out/data" --out "$out/results" --configs 'latents-*' --pairs x1:y --seeds 2 \
    --estimators paper,js-unbiased,ba,cca,pca-ksg,oracle-ksg,oracle-dv --encoder mlp --width 64 --batch-size 64 \
    --steps 300 --learning-rate 0.002
