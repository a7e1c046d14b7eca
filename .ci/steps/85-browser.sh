# The explorer in a headless browser: tests marked `browser`, with what the extra `explorer` installs.
if ! grep -rqs 'mark\.browser' tests || ! grep -q '^explorer = ' pyproject.toml; then
    echo "skipped: no tests are marked browser, or there is no extra explorer"
    exit 75
fi
if ! command -v chromium > /dev/null || ! command -v npm > /dev/null; then
    echo "skipped: there is no chromium, or no npm to fetch axe-core with"
    exit 75
fi
pip install --quiet -c constraints.txt -e '.[dev,explorer]' playwright
pytest -n 0 -m browser -s tests
