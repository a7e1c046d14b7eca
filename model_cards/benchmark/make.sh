#!/usr/bin/env bash
# Makes the data of this card and its results in a folder, part by part; every finished part goes into the card.
#
#     bash model_cards/benchmark/make.sh FOLDER                  # lite, realism, levels, fusion and ssl
#     bash model_cards/benchmark/make.sh FOLDER full paper       # these, in this order
#     bash model_cards/benchmark/make.sh FOLDER --budget full    # cells x seconds of one core, and nothing is made
#     bash model_cards/benchmark/make.sh FOLDER --publish OWNER  # the data of every tier that FOLDER has, and nothing is made
#
# Parts that are tiers (mmmi_hf/benchmark/tiers/NAME/tier.yaml says what they are):
#     lite        minutes
#     realism     the images of lite once more, as latents and as 8-bit pictures; minutes
#     isolated    three of lite's latents, packages in environments of their own (MMMI_HF_ENVIRONMENTS); half an hour
#     levels      ten of bare latents, and the paper's recipe on a tenth of its rows; two hours of one core
#     paper       the paper's recipe: Table 1, Figs. 4 and 7; its data are certified; hours
#     full        the paper's size; its data are certified; hours
# Other parts:
#     fusion      labels of the four configurations in fusion/, beside this script, are classified; minutes
#     ssl         encoders that never see y learn from the latents of the configurations in sharing/; half an hour
#     ssl-images  the same from images, of sharing-images/; three hours of one core, nearly all of them for the images
# Killed at any time and started again with the same FOLDER, it goes on where it was: finished configurations and cells are
# kept. Parts that are in the card already stay as they are until they are made again.
# Variables: PYTHON (default python); CARD, the folder of the card (default: that of this script); WORKERS, cells side by
# side (default: one per processor).
# --publish OWNER [--dry-run] [TIER...] puts each tier into the dataset repository OWNER/mmmi-benchmark-TIER of the Hub, with
# its reference results, a certificate and the tag of its version; what is there already is left as it is, so that the
# same command completes one that was killed. Log in first (hf auth login). One tier alone, under another name:
# mmmi-hf publish FOLDER/NAME/data OWNER/NAME --tier NAME.
set -euo pipefail
refuse() {
    echo "$0: $1" >&2
    exit 2
}
here=$(cd "$(dirname "$0")" && pwd)
card=${CARD:-$here}
[ -n "${1:-}" ] || refuse "give a folder for data and results"
folder=$1
shift
budget=no
owner=
dry=()
case ${1:-} in
    --budget)
        budget=yes
        shift
        ;;
    --publish)
        [ -n "${2:-}" ] || refuse "--publish needs the owner of the repositories, a user or an organization of the Hub"
        owner=$2
        shift 2
        if [ "${1:-}" = --dry-run ]; then
            dry=(--dry-run)
            shift
        fi
        ;;
esac
parts=("$@")
for part in "${parts[@]}"; do
    case $part in
        lite | realism | isolated | levels | paper | full) ;;
        fusion | ssl | ssl-images) [ -z "$owner" ] || refuse "$part is no tier, so that its data are not published; leave it out" ;;
        *) refuse "no part $part; give lite, realism, isolated, levels, fusion, ssl, ssl-images, paper or full" ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || [ -n "$owner" ] || parts=(lite realism levels fusion ssl)
workers=${WORKERS:-$(nproc)}
[[ $workers =~ ^[1-9][0-9]*$ ]] || refuse "WORKERS must be a whole number of at least 1, got $workers"
python=$(command -v "${PYTHON:-python}") || refuse "no ${PYTHON:-python} is there; PYTHON names the interpreter"
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
"$python" -c "import mmmi_hf" 2> /dev/null || refuse "$python has no mmmi_hf; install it, or name another interpreter by PYTHON"
measured() { # PART SECTION...; what the cells of a part that is no tier took when the card was made
    "$python" -c 'import json, pathlib, sys
found = [each for path in sys.argv[2:] for each in json.loads(pathlib.Path(path, "seconds.json").read_text()).values()]
cells, hours = (sum(each[name] for each in found) for name in ("cells", "total"))
print(f"{sys.argv[1]}: {cells} cells, measured once: {hours / 3600:.2f} h")' "$@"
}
if [ $budget = yes ]; then
    for part in "${parts[@]}"; do
        case $part in
            fusion) measured fusion "$here/7-fusion/classification" ;;
            ssl) measured ssl "$here/7-sharing/ssl" "$here/7-sharing/ssl-classes" ;;
            ssl-images) measured ssl-images "$here/7-sharing-images/ssl" ;;
            *) "$python" -m mmmi_hf benchmark --tier "$part" --out "$folder/$part" --dry-run ;;
        esac
    done
    exit
fi

data_of() { # TIER; realism and isolated have data of lite, where they are
    if [[ $1 = realism || $1 = isolated ]] && [ -f lite/data/manifests/image-2.5.json ]; then echo lite/data; else echo "$1/data"; fi
}

certify() { # FOLDER; a configuration that has a certificate keeps it
    local manifest name
    for manifest in "$1"/manifests/*.json; do
        name=$(basename "$manifest" .json)
        [ -f "$1/certificates/$name.json" ] || "$python" -m mmmi_hf verify "$1" --config "$name" > "$1.$name.log"
    done
}

if [ -n "$owner" ]; then
    cd "$folder" || refuse "no folder $folder; make its data first"
    if [ ${#parts[@]} -eq 0 ]; then
        for part in lite realism isolated levels paper full; do
            if [ -d "$(data_of "$part")/manifests" ]; then parts+=("$part"); fi
        done
        [ ${#parts[@]} -gt 0 ] || refuse "$folder has no data of a tier; make them first"
    fi
    for part in "${parts[@]}"; do
        data=$(data_of "$part")
        [ ! -d "$data/manifests" ] || [ -n "${dry[*]}" ] || certify "$data"
        "$python" -m mmmi_hf publish "$data" "$owner/mmmi-benchmark-$part" --tier "$part" --no-measure --quiet "${dry[@]}"
    done
    exit
fi
mkdir -p "$folder" || refuse "$folder cannot be a folder"
mkdir -p "$card"
card=$(cd "$card" && pwd)
cd "$folder"
export OMP_NUM_THREADS=1

into_card() { # GROUP'S-FOLDER SECTION; it is put together beside the card's and takes its place as a whole
    local place=$card/$2 name
    local new=${place%/*}/.${place##*/}.new old=${place%/*}/.${place##*/}.old
    if [ -d "$old" ] && [ ! -d "$place" ]; then mv "$old" "$place"; fi # a kill came between
    rm -rf "$new" "$old"
    mkdir -p "$new"
    for name in benchmark.json results.json results.csv results.parquet summary.json seconds.json plots; do
        cp -r "$1/$name" "$new/$name"
    done
    if [ -f "$place/remarks.md" ]; then cp "$place/remarks.md" "$new/"; fi
    if [ -d "$place" ]; then mv "$place" "$old"; fi
    mv "$new" "$place"
    rm -rf "$old"
}

generate() { # FOLDER NAME...; the configurations in FOLDER beside this script
    local name
    for name in "${@:2}"; do
        [ -f "$1/data/manifests/$name.json" ] || "$python" -m mmmi_hf generate "$here/$1/$name.yaml" \
            --out "$1/data" --no-certify --quiet
    done
}

probe() { # CONFIGURATIONS TASK
    "$python" -m mmmi_hf benchmark sharing/data --configs "$1" --task "$2" --seeds 10 --encoder mlp --width 64 \
        --embedding 8 --batch-size 256 --steps 1500 --learning-rate 0.003 --patience 6 \
        --out sharing/results --workers "$workers" --quiet
}

compute() { # PART; a finished cell or configuration is not made again
    local data=()
    if [ "$1" = fusion ]; then
        generate fusion redundant unique synergistic mixed
        "$python" -m mmmi_hf benchmark fusion/data --configs redundant,unique,synergistic,mixed --task classification \
            --seeds 10 --encoder mlp --width 64 --batch-size 256 --steps 1500 --learning-rate 0.003 \
            --out fusion/results --workers "$workers" --quiet
        return
    fi
    if [ "$1" = ssl ]; then
        generate sharing $(cd "$here/sharing" && printf '%s\n' *.yaml | sed 's/\.yaml$//')
        probe 'alone-*,both-*,spread-*' ssl
        probe 'class-*' ssl-classes
        return
    fi
    if [ "$1" = ssl-images ]; then
        generate sharing-images image-alone-0-of-0 image-alone-0-of-2 image-both-0.3-of-0.3 image-both-0.3-of-2
        certify sharing-images/data
        "$python" -m mmmi_hf benchmark sharing-images/data --task ssl --seeds 5 --encoder conv --width 32 --embedding 16 \
            --batch-size 128 --steps 600 --learning-rate 0.001 --patience 6 --out sharing-images/results \
            --workers "$workers" --quiet
        return
    fi
    [ "$(data_of "$1")" = "$1/data" ] || data=("$(data_of "$1")")
    "$python" -m mmmi_hf benchmark "${data[@]}" --tier "$1" --out "$1" --workers "$workers" --quiet
    case $1 in full | paper) certify "$1/data" ;; esac # what is kept and published
}

rendered=yes
for part in "${parts[@]}"; do
    echo "$(date -u +%H:%M) $part"
    compute "$part" > "$part.log"
    case $part in
        lite)
            into_card lite/latents 1-latents
            into_card lite/classes 2-classes
            into_card lite/images 3-images
            ;;
        realism) into_card realism/forms 4-realism ;;
        isolated) into_card isolated/packages 4-packages ;;
        levels)
            into_card levels/ten-levels 5-ten-levels-of-latents
            into_card levels/recipe 6-recipe-of-the-paper-on-a-tenth
            ;;
        fusion) into_card fusion/results/classification 7-fusion/classification ;;
        ssl)
            into_card sharing/results/ssl 7-sharing/ssl
            into_card sharing/results/ssl-classes 7-sharing/ssl-classes
            ;;
        ssl-images) into_card sharing-images/results/ssl 7-sharing-images/ssl ;;
        paper)
            into_card paper/seen 8-recipe-of-the-paper
            into_card paper/held-out 8-the-same-rows-held-out
            ;;
        full)
            for group in white all levels loud cifar10; do into_card "full/$group" "9-full-size-$group"; done
            ;;
    esac
    "$python" -m mmmi_hf.cli.cards "$card" --pictures || rendered=no # other parts of an older version may be in the card
done
[ "$rendered" = yes ] || refuse "the card was not rendered; make the parts again that it names"
