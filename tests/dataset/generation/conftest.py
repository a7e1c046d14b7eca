"""Folders of the configurations that a file of tests looks at from several sides."""

import pytest

from tests.support import generate


@pytest.fixture(scope="module")
def folders(request, tmp_path_factory):
    """Name → a certified folder of the module's `configuration(name)`, made once, to be left as it is.

    Of the one that is the module's `DRAWN` with the card's figures.
    """
    made = {}

    def folder(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / "out"
            generate(request.module.configuration(name), made[name], figures=name == request.module.DRAWN)
        return made[name]

    return folder
