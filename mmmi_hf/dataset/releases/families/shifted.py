"""Shifts of known size: one common cause as it was observed, and under interventions on its scale."""

from __future__ import annotations

from mmmi_hf.dataset.releases.family import FASHION_MNIST_2, Family, Images, Release, story

SCALES = (0.5, 1.5, 2.0)


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST_2,
        250,
        "train on what was observed, test under do(ũ ~ N(0, τ²)), τ = 0.5, 1.5, 2: distribution shifts of known size",
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    observed = Release(
        f"shifted-observed{images.suffix}",
        "One common cause as it was observed: each of two images carries 1 nat about y. To train on.",
        images.seeds + 870,
        story("common_cause", mi=1.0),
        images.modalities(),
        images,
    )
    return Family(
        f"shifted{images.suffix}",
        order,
        summary,
        "Distribution shift of known size: a common cause as observed (train) and under interventions on its scale "
        "(test). Made together (`mmmi-hf generate-family`), `load_dataset` also reads "
        f"NAME-from-shifted-observed{images.suffix}: train and validation as observed, test under the intervention, "
        "KL(x1,x2) nats away; each certificate is of one law. Latents are whitened by the observed law: under an "
        "intervention images may be less realistic, tests go by its law, floors rest on the folder's inverses."
        + images.remark,
        (
            observed,
            *(
                Release(
                    f"shifted-{scale}{images.suffix}",
                    f"The common cause of shifted-observed under do(ũ ~ N(0, {scale}²)), latents whitened by the "
                    "observed law. KL(x1,x2) is how far it is from there.",
                    images.seeds + 871 + index,
                    story("common_cause", mi=1.0, shift={"cause": 0, "scale": scale}),
                    images.modalities(),
                    images,
                )
                for index, scale in enumerate(SCALES)
            ),
        ),
    )
