"""Ten images that see the target ever less and share each other's sources, for nine pairs of decays."""

from __future__ import annotations

from mmmi_hf.dataset.releases.family import FASHION_MNIST, Family, Images, Release, story

DECAYS = (1.2, 1.4, 1.6)
"""Of the sharing with distance (α), and of the target's cause (β)."""


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST, 50, "ten images, one per class, that share ever less (eq. 11): α, β in {1.2, 1.4, 1.6}"
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    settings = [(alpha, beta) for alpha in DECAYS for beta in DECAYS]
    return Family(
        f"decaying-modalities{images.suffix}",
        order,
        summary,
        "Ten images, one per class, that see the target ever less and share each other's sources (the paper's eq. 11 "
        "and Fig. 6), for nine pairs of decays. Neighbours share hundreds to thousands of nats: no storage keeps them."
        + images.remark,
        tuple(
            Release(
                f"decaying-modalities-alpha{alpha}-beta{beta}{images.suffix}",
                f"Ten images, one per class: the target's cause decays by {beta} from one to the next, the sharing of "
                f"their sources by {alpha} with distance (the paper's eq. 11, all coefficients 1). Neighbouring images "
                "share hundreds to thousands of nats, which no storage keeps; what each says about y can be kept.",
                images.seeds + 720 + index,
                story("decaying_modalities", modalities=10, alpha=alpha, beta=beta),
                images.modalities(10),
                images,
            )
            for index, (alpha, beta) in enumerate(settings)
        ),
    )
