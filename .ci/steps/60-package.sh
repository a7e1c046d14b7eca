# Wheel and sdist: built, compared with the repository, installed without a clone.
rm -rf build
python -m tests.packaging.check build/installed
