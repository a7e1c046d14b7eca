# Wrong inputs of all kinds, seeded; `python -m tests.fuzz.fuzz` is the long form.
if [ ! -f tests/fuzz/fuzz.py ]; then
    echo "skipped: tests/fuzz/fuzz.py is not there"
    exit 75
fi
python -m tests.fuzz.fuzz --count 40 --seed 1
