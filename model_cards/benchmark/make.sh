#!/usr/bin/env bash
# Makes the data of this card and its results in a folder, then the card itself beside this script.
#
#     PYTHON=.venv/bin/python bash model_cards/benchmark/make.sh FOLDER           # all of it
#     PYTHON=.venv/bin/python bash model_cards/benchmark/make.sh FOLDER 3 TRIAL   # a third of the rows, card in TRIAL
#
# Killed at any time and started again with the same FOLDER, it goes on where it was: finished configurations and cells
# are kept. It uses all processors. The images (68,000) are made before anything is estimated.
set -euo pipefail
card=$(cd "$(dirname "$0")" && pwd)
folder=${1:?give a folder for data and results}
scale=${2:-1}
card=${3:-$card}
mkdir -p "$folder" "$card"
card=$(cd "$card" && pwd)
python=$(command -v "${PYTHON:-python}")
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
cd "$folder"
export OMP_NUM_THREADS=1 # cells run side by side, each on one thread; images take all processors

make() { # CONFIGURATION-OR-YAML DATA ROWS
    local name
    name=$(basename "$1" .yaml)
    if [ ! -f "$2/manifests/$name.json" ]; then
        "$python" -m mmmi_hf generate "$1" --out "$2" --rows $(($3 / scale)) --no-certify --quiet > "$name.log"
    fi
}

latents() { # NAME MODEL SEED MODALITIES STANDARDIZE: a configuration of bare latents of 32 × 32
    local pairs
    pairs=$(printf '{pipeline: identity}, %.0s' $(seq "$4"))
    cat > "$1.yaml" << YAML
modalities: [${pairs%, }]
causal_model: {$2, shape: [1, 32, 32]}
standardize: $5
seed: $3
YAML
}

levels="0.25 0.5 0.75 1.0 1.25 1.5 1.75 2.0 2.25 2.5"
some="0.5 1.0 1.5 2.0 2.5"

# Bare latents: ten levels, one common cause; ten modalities that share less and less.
seed=2510216860
for level in $levels; do
    seed=$((seed + 1))
    latents "latents-$level" "story: common_cause, mi: $level" $seed 2 whiten
    make "latents-$level.yaml" latents 40000
done
for decay in 1.2 1.4 1.6; do
    seed=$((seed + 1))
    latents "ten-$decay" "story: decaying_modalities, modalities: 10, alpha: $decay, beta: $decay" $seed 10 whiten
    make "ten-$decay.yaml" ten-latents 4000
done

# Images of the bundled pipeline: the released configurations with fewer rows.
export OMP_NUM_THREADS=$(nproc)
for level in $levels; do make "common-cause-$level" images 1400; done
for level in $some; do make "common-cause-$level-rms" images 1400; done
for name in common-cause-2.0 common-cause-2.0-rms; do make $name curves 4000; done
for decay in 1.2 1.6; do make "decaying-modalities-alpha$decay-beta$decay" ten-images 500; done
export OMP_NUM_THREADS=1

benchmark() { # DATA SECTION OPTIONS…
    "$python" -m mmmi_hf benchmark "$1" --out "results/$2" --quiet "${@:3}" > "results-$2.log"
}

perceptrons="--encoder mlp --width 32 --layers 2 --batch-size 256 --steps 2000 --learning-rate 0.004 --patience 6"
convolutions="--encoder conv --width 64 --batch-size 64 --steps 400 --learning-rate 0.001 --patience 4"
mkdir -p results
# shellcheck disable=SC2086 # options are words
{
    benchmark latents 1-bare-latents --pairs x1:y $perceptrons \
        --estimators paper,js-unbiased,ba,cca,pca-ksg,oracle-ksg,oracle-dv
    benchmark latents 1-bare-latents --task regression,ssl $perceptrons
    benchmark images 2-images --pairs x1:y,x1:x2 --estimators paper,cca,oracle-ksg,oracle-dv $convolutions
    benchmark images 2-images --task regression,ssl $convolutions
    benchmark curves 3-learning-curves --pairs x1:y,x1:x2 --no-null $convolutions \
        --estimators dv,js,infonce,smile-5,cca \
        --train-rows $((200 / scale)),$((400 / scale)),$((800 / scale)),$((1600 / scale))
    benchmark ten-latents 4-ten-modalities-of-latents --task ssl $perceptrons
    benchmark ten-images 5-ten-modalities-of-images --task ssl --seeds 1 $convolutions
}

(cd results && find . -name benchmark.json -printf '%P\n') | while read -r found; do
    section=$(dirname "$found")
    mkdir -p "$card/$section"
    for name in benchmark results summary seconds; do cp "results/$section/$name.json" "$card/$section/"; done
    rm -rf "$card/$section/plots"
    cp -r "results/$section/plots" "$card/$section/"
done
"$python" -m mmmi_hf.benchmark.cards "$card"
