# Every block of README and tutorial, in order, as a new user: in the installed package where step `package` left one.
if [ -x build/installed/bin/python ]; then
    python -m tests.readme.run_blocks --python build/installed/bin/python
else
    python -m tests.readme.run_blocks
fi
