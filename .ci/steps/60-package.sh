# Wheel and sdist: built, compared with the repository, installed without a clone.
if [ ! -f tests/packaging/check.py ]; then
    echo "skipped: tests/packaging/check.py is not there"
    exit 75
fi
rm -rf build
python -m tests.packaging.check build/installed
