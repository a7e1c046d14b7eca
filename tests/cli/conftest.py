"""Calling the command line in this process."""

import pytest

from mmmi_hf import cli


@pytest.fixture
def run(capsys):
    """A command's exit code, standard output and standard error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return call
