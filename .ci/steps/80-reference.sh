# The API reference is built of docstrings.
if [ ! -f tests/reference/build.py ]; then
    echo "skipped: tests/reference/build.py is not there"
    exit 75
fi
python -m tests.reference.build
