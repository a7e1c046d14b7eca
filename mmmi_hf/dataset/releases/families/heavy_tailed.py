"""A common cause, and a common scale that no correlation shows."""

from __future__ import annotations

from typing import Any

from mmmi_hf.dataset.releases.family import FASHION_MNIST_2, Family, Images, Release, story

DOF = (3, 5)
DIMENSIONS: dict[str, int | None] = {"1": 1, "8": 8, "all": None}
"""How many directions of each image share the scale."""


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST_2,
        240,
        "as `common-cause-1.0`, with a common scale (Student, 3 or 5 degrees of freedom) of 1, 8 or all directions of "
        "both images: dependence that no correlation shows",
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    return Family(
        f"heavy-tailed{images.suffix}",
        order,
        summary,
        "One common cause of 1 nat, and a common scale of the target and of some or all directions of both images: "
        "together they are multivariate Student, each image by itself is made Gaussian again. What the scale adds, no "
        "correlation shows." + images.remark,
        tuple(
            Release(
                f"heavy-tailed-{dof}-{name}{images.suffix}",
                f"One common cause as in common-cause-1.0; y and {'all' if count is None else count} "
                f"direction{'' if count == 1 else 's'} of each image times one scale √(ν/χ²_ν) of the row, ν = {dof}.",
                images.seeds + 860 + 3 * place + index,
                story("common_cause", mi=1.0, common_scale=_scale(dof, count)),
                images.modalities(),
                images,
            )
            for place, dof in enumerate(DOF)
            for index, (name, count) in enumerate(DIMENSIONS.items())
        ),
    )


def _scale(dof: int, dimensions: int | None) -> dict[str, Any]:
    return {"dof": dof} if dimensions is None else {"dof": dof, "dimensions": dimensions}
