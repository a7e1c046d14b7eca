# Generation by an engine: tests marked `engine`, with what the extra `datatrove` installs, and an S3 server on this machine.
if ! grep -rqs 'mark\.engine' tests || ! grep -q '^datatrove = ' pyproject.toml; then
    echo "skipped: no tests are marked engine, or there is no extra datatrove"
    exit 75
fi
pip install --quiet -c constraints.txt -e '.[dev,datatrove]' 'moto[server]' s3fs
pytest -n 2 -m "engine and not slow" tests
