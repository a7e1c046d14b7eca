#!/usr/bin/env bash
# Makes the data of this card and its results in a folder, part by part; every finished part goes into the card.
#
#     bash model_cards/benchmark/make.sh FOLDER                  # what the committed card has: lite, realism, levels
#     bash model_cards/benchmark/make.sh FOLDER full paper       # these, in this order
#     bash model_cards/benchmark/make.sh FOLDER --budget full    # cells x seconds of one core, and nothing is made
#
# Parts are tiers (mmmi_hf/benchmark/tiers/NAME/tier.yaml says what they are): lite (minutes), realism (the images of
# lite once more, as latents and as 8-bit pictures); levels (ten of bare latents, and the paper's recipe on a tenth of its
# rows), paper (its recipe: Table 1, Figs. 4 and 7) and full (the paper's size) take hours. Killed at any time and
# started again with the same FOLDER, it goes on where it was: finished configurations and cells are kept. Parts that are
# in the card already stay as they are until they are made again.
# Variables: PYTHON (default python); CARD, the folder of the card (default: that of this script); WORKERS, cells side by
# side (default: one per processor). To publish the data of a part: mmmi-hf publish FOLDER/NAME/data OWNER/NAME.
set -euo pipefail
refuse() {
    echo "$0: $1" >&2
    exit 2
}
card=${CARD:-$(dirname "$0")}
[ -n "${1:-}" ] || refuse "give a folder for data and results"
folder=$1
budget=no
if [ "${2:-}" = --budget ]; then
    budget=yes
    parts=("${@:3}")
else
    parts=("${@:2}")
fi
[ ${#parts[@]} -gt 0 ] || parts=(lite realism levels)
for part in "${parts[@]}"; do
    case $part in
        lite | realism | levels | paper | full) ;;
        *) refuse "no part $part; give lite, realism, levels, paper or full" ;;
    esac
done
workers=${WORKERS:-$(nproc)}
[[ $workers =~ ^[1-9][0-9]*$ ]] || refuse "WORKERS must be a whole number of at least 1, got $workers"
python=$(command -v "${PYTHON:-python}") || refuse "no ${PYTHON:-python} is there; PYTHON names the interpreter"
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
"$python" -c "import mmmi_hf" 2> /dev/null || refuse "$python has no mmmi_hf; install it, or name another interpreter by PYTHON"
if [ $budget = yes ]; then
    for part in "${parts[@]}"; do "$python" -m mmmi_hf benchmark --tier "$part" --out "$folder/$part" --dry-run; done
    exit
fi
mkdir -p "$folder" || refuse "$folder cannot be a folder"
mkdir -p "$card"
card=$(cd "$card" && pwd)
cd "$folder"

into_card() { # GROUP'S-FOLDER SECTION; it is put together beside the card's and takes its place as a whole
    local new=$card/.$2.new old=$card/.$2.old name
    if [ -d "$old" ] && [ ! -d "$card/$2" ]; then mv "$old" "$card/$2"; fi # a kill came between
    rm -rf "$new" "$old"
    mkdir -p "$new"
    for name in benchmark.json results.json results.csv results.parquet summary.json seconds.json plots; do
        cp -r "$1/$name" "$new/$name"
    done
    if [ -f "$card/$2/remarks.md" ]; then cp "$card/$2/remarks.md" "$new/"; fi
    if [ -d "$card/$2" ]; then mv "$card/$2" "$old"; fi
    mv "$new" "$card/$2"
    rm -rf "$old"
}

rendered=yes
for part in "${parts[@]}"; do
    echo "$(date -u +%H:%M) $part"
    data=()
    [ "$part" != realism ] || [ ! -f lite/data/manifests/image-2.5.json ] || data=(lite/data)
    OMP_NUM_THREADS=1 "$python" -m mmmi_hf benchmark "${data[@]}" --tier "$part" --out "$part" --workers "$workers" --quiet \
        > "$part.log"
    case $part in
        lite)
            into_card lite/latents 1-latents
            into_card lite/classes 2-classes
            into_card lite/images 3-images
            ;;
        realism) into_card realism/forms 4-realism ;;
        levels)
            into_card levels/ten-levels 5-ten-levels-of-latents
            into_card levels/recipe 6-recipe-of-the-paper-on-a-tenth
            ;;
        paper)
            into_card paper/seen 7-recipe-of-the-paper
            into_card paper/held-out 8-the-same-rows-held-out
            ;;
        full)
            for group in white all levels loud cifar10; do into_card "full/$group" "9-full-size-$group"; done
            ;;
    esac
    "$python" -m mmmi_hf.cli.cards "$card" --pictures || rendered=no # other parts of an older version may be in the card
done
[ "$rendered" = yes ] || refuse "the card was not rendered; make the parts again that it names"
