#!/usr/bin/env bash
# Makes the data of this card and its results in a folder, part by part; every finished part goes into the card.
#
#     bash model_cards/benchmark/make.sh FOLDER                  # all parts
#     bash model_cards/benchmark/make.sh FOLDER latents images   # these, in this order
#
# Parts: latents and the-papers-recipe (of the same data), ten-latents (a few minutes of data each), images (14,000
# pictures of the bundled pipeline), curves (8,000), ten-images (5,000). Parts that are in the card already stay as they
# are until they are made again.
# Killed at any time and started again with the same FOLDER, it goes on where it was: finished configurations and cells
# are kept. It uses all processors. Variables: PYTHON (default python); TIMES=3 makes three times the pictures (default
# 1, which made the card that is committed); CARD is the folder of the card (default: that of this script).
set -euo pipefail
refuse() {
    echo "$0: $1" >&2
    exit 2
}
card=${CARD:-$(dirname "$0")}
[ -n "${1:-}" ] || refuse "give a folder for data and results"
folder=$1
times=${TIMES:-1}
[[ $times =~ ^[1-9][0-9]*$ ]] || refuse "TIMES must be a whole number of at least 1, got $times"
parts=("${@:2}")
[ ${#parts[@]} -gt 0 ] || parts=(latents the-papers-recipe ten-latents images curves ten-images)
for part in "${parts[@]}"; do
    case $part in
        latents | the-papers-recipe | ten-latents | images | curves | ten-images) ;;
        *) refuse "no part $part; give latents, the-papers-recipe, ten-latents, images, curves or ten-images" ;;
    esac
done
python=$(command -v "${PYTHON:-python}") || refuse "no ${PYTHON:-python} is there; PYTHON names the interpreter"
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
"$python" -c "import mmmi_hf" 2> /dev/null || refuse "$python has no mmmi_hf; install it, or name another interpreter by PYTHON"
mkdir -p "$folder/results" || refuse "$folder cannot be a folder"
[ -f "$folder/times" ] || echo "$times" > "$folder/times"
[ "$(cat "$folder/times")" = "$times" ] ||
    refuse "$folder was made with TIMES=$(cat "$folder/times"); give that, or another folder"
mkdir -p "$card"
card=$(cd "$card" && pwd)
cd "$folder"

make() { # CONFIGURATION-OR-YAML DATA ROWS THREADS
    local name
    name=$(basename "$1" .yaml)
    if [ ! -f "$2/manifests/$name.json" ]; then
        OMP_NUM_THREADS=$4 "$python" -m mmmi_hf generate "$1" --out "$2" --rows "$3" --no-certify --quiet > "$name.log"
    fi
}

pictures() { # CONFIGURATION DATA ROWS
    make "$1" "$2" $(($3 * times)) "$(nproc)"
}

latents() { # NAME MODEL SEED MODALITIES: the YAML of a configuration of bare latents of 32 × 32
    local pairs
    pairs=$(printf '{pipeline: identity}, %.0s' $(seq "$4"))
    cat > "$1.yaml" << YAML
modalities: [${pairs%, }]
causal_model: {$2, shape: [1, 32, 32]}
standardize: whiten
seed: $3
YAML
}

ten_levels_of_latents() {
    local level seed=2510216860
    for level in $levels; do
        seed=$((seed + 1))
        latents "latents-$level" "story: common_cause, mi: $level" $seed 2
        make "latents-$level.yaml" latents 40000 1
    done
}

benchmark() { # DATA SECTION OPTIONS…; cells run side by side, each on one thread
    echo "$(date -u +%H:%M) benchmark of $1: ${*:3}"
    OMP_NUM_THREADS=1 "$python" -m mmmi_hf benchmark "$1" --out "results/$2" --quiet "${@:3}" > "results-$2.log"
}

into_card() { # SECTION; it is put together beside the card's and takes its place as a whole
    local new=$card/.$1.new old=$card/.$1.old
    if [ -d "$old" ] && [ ! -d "$card/$1" ]; then mv "$old" "$card/$1"; fi # a kill came between
    rm -rf "$new" "$old"
    (cd results && find "$1" -name benchmark.json -printf '%h\n') | while read -r section; do
        mkdir -p "$new${section#"$1"}"
        for name in benchmark.json results.json summary.json seconds.json plots; do
            if [ -e "results/$section/$name" ]; then cp -r "results/$section/$name" "$new${section#"$1"}/"; fi
        done
        if [ -f "$card/$section/remarks.md" ]; then cp "$card/$section/remarks.md" "$new${section#"$1"}/"; fi
    done
    if [ -d "$card/$1" ]; then mv "$card/$1" "$old"; fi
    mv "$new" "$card/$1"
    rm -rf "$old"
    rendered=yes
    "$python" -m mmmi_hf.cli.cards "$card" || rendered=no # other parts of an older version may be in the card
}

perceptrons=(--encoder mlp --width 32 --layers 2 --batch-size 256 --steps 2000 --learning-rate 0.004 --patience 6)
convolutions=(--encoder conv --width 32 --batch-size 64 --steps 400 --learning-rate 0.001 --patience 4)
levels="0.25 0.5 0.75 1.0 1.25 1.5 1.75 2.0 2.25 2.5"

for part in "${parts[@]}"; do
    echo "$(date -u +%H:%M) $part"
    case $part in
        latents) # ten levels, one common cause
            ten_levels_of_latents
            benchmark latents 1-bare-latents --pairs x1:y "${perceptrons[@]}" \
                --estimators paper,js-unbiased,ba,cca,pca-ksg,oracle-ksg,oracle-dv
            benchmark latents 1-bare-latents --task regression,ssl "${perceptrons[@]}"
            into_card 1-bare-latents
            ;;
        the-papers-recipe) # at a tenth of its size: 1,000 rows and 2,000 steps, so that every row is seen as often
            ten_levels_of_latents
            benchmark latents 5-recipe-of-the-paper --paper --pairs x1:y --estimators paper --train-rows 1000 \
                --width 32 --steps 2000 --seeds 2
            into_card 5-recipe-of-the-paper
            ;;
        images) # the released configurations with fewer rows
            for level in $levels; do pictures "common-cause-$level" images 466; done
            for level in 0.5 1.0 1.5 2.0 2.5; do pictures "common-cause-$level-rms" images 466; done
            benchmark images 2-images --pairs x1:y,x1:x2 --estimators paper,cca,oracle-ksg,oracle-dv \
                "${convolutions[@]}"
            benchmark images 2-images --task regression,ssl "${convolutions[@]}"
            into_card 2-images
            ;;
        curves)
            for name in common-cause-2.0 common-cause-2.0-rms; do pictures $name curves 2000; done
            benchmark curves 3-learning-curves --pairs x1:y,x1:x2 --no-null "${convolutions[@]}" \
                --estimators dv,js,infonce,smile-5,cca \
                --train-rows $((100 * times)),$((200 * times)),$((400 * times)),$((800 * times))
            into_card 3-learning-curves
            ;;
        ten-latents) # ten modalities that share less and less
            seed=2510216870
            for decay in 1.2 1.4 1.6; do
                seed=$((seed + 1))
                latents "ten-$decay" \
                    "story: decaying_modalities, modalities: 10, alpha: $decay, beta: $decay" $seed 10
                make "ten-$decay.yaml" ten-latents 4000 1
            done
            benchmark ten-latents 4-ten-modalities-of-latents --task ssl "${perceptrons[@]}"
            into_card 4-ten-modalities-of-latents
            ;;
        ten-images)
            for decay in 1.2 1.6; do pictures "decaying-modalities-alpha$decay-beta$decay" ten-images 250; done
            benchmark ten-images 6-ten-modalities-of-images --task ssl --seeds 1 "${convolutions[@]}"
            into_card 6-ten-modalities-of-images
            ;;
    esac
done
[ "$rendered" = yes ] || refuse "the card was not rendered; make the parts again that it names"
