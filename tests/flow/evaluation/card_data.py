"""The files of a card whose every number is another one."""

RECIPE = {
    "dataset": "owner/pictures",
    "image_size": 16,
    "channels": 1,
    "block_out_channels": [24, 40],
    "attention": [False, True],
    "layers_per_block": 2,
    "patch_size": 2,
    "sigma_min": 0.03,
    "learning_rate": 0.0007,
    "final_learning_rate": 2.1e-5,
    "warmup_steps": 51,
    "max_gradient_norm": 1.5,
    "ema_start": 0.97,
    "ema_end": 0.9993,
    "mixed_precision": "bf16",
    "horizontal_flips": False,
    "batch_size": 96,
    "seed": 13,
}
TRAINING = {
    "recipe": RECIPE | {"dataset": "data/pictures"},
    "steps": 6543,
    "images_seen": 628128,
    "num_images": 59999,
    "seconds": 5444.0,
    "final_loss": 0.13579,
    "parameters": 3876543,
    "weights_bytes": 7812345,
    "digest": "a" * 64,
    "world_size": 1,
    "class_names": ["cat", "dog"],
    "versions": {"torch": "2.13.0", "diffusers": "0.42.1"},
}


def _share(value, images):
    return {"value": value, "interval_95": [value - 0.011, value + 0.012], "images": images}


def accuracies(value):
    return {"overall": _share(value, 2000), "per_class": {"cat": _share(value - 0.05, 1000), "dog": _share(0.77, 1000)}}


CLASSIFIER = {"widths": [8, 9, 10], "epochs": 3}
JUDGING = {"batch_size": 50, "dataset": {"source": "data/pictures"}, "classifier": CLASSIFIER}


def _part(results, **settings):
    return {
        "settings": {"seed": 0, **settings},
        "results": results,
        "seconds": 432.1,
        "threads": 2,
        "machine": "x86_64",
        "command": f"mmmi-hf evaluate-flow PIPELINE --{sorted(settings)[-1]}",
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
    }


def _round_trip(dtype, largest):
    return _part(
        {
            "n": 128,
            "seed": 0,
            "dtype": dtype,
            "batch_size": 50,
            "relative_error_max": largest,
            "relative_error_median": largest / 2,
            "failures": 0,
            "forward_evaluations": 16,
            "inverse_evaluations_mean": 123.4,
            "inverse_evaluations_max": 151,
            "forward_seconds": 0.084,
            "inverse_seconds": 0.71,
        },
        per_class=64,
        batch_size=50,
    )


STEP = {"step": 0, "t": 0.0, "h": 0.25, "contraction": 1.14, "smallest_stretch": 0.33, "monotonicity": 0.71}
PARTS = {
    "samples": _part(
        {
            "classifier": {
                "settings": CLASSIFIER,
                "digest": "f" * 64,
                "training_images": 59999,
                "feature_dimension": 128,
            },
            "accuracy": {"samples": accuracies(0.853), "test_images": accuracies(0.9297)},
            "frechet": {
                "samples_to_test": 1.2344,
                "training_to_test": 0.0246,
                "ratio": 50.18,
                "rows": {"samples": 2000, "training_images": 1998, "test_images": 2001},
            },
            "precision_recall": {
                "rows": 1998,
                "k": 3,
                "samples": {"precision": 0.701, "recall": 0.602},
                "training_images": {"precision": 0.803, "recall": 0.804},
            },
            "pixels": {"smallest": -1.432, "largest": 1.511, "share_clipped": 0.0321},
            "sheets": {
                "samples": "samples.png",
                "neighbours": "neighbours.png",
                "neighbour_queries": 16,
                "smallest_neighbour_distance": 3.21,
            },
        },
        per_class=1000,
        seed=7,
        **JUDGING,
    ),
    "classification_accuracy_score": _part(
        {
            "samples": _share(0.811, 2000),
            "training_images": _share(0.871, 2000),
            "images": {"samples": 2000, "training_images": 1998},
        },
        per_class=1000,
        **JUDGING,
    ),
    "round_trip_float32": _round_trip("float32", 4.44e-6),
    "round_trip_float64": _round_trip("float64", 7.77e-13),
    "certificate": _part(
        {
            "samples": 17,
            "seed": 0,
            "iterations": 12,
            "steps": [STEP],
            "contraction": 1.14,
            "smallest_stretch": 0.33,
            "monotonicity": 0.71,
        },
        samples=17,
    ),
    "storage": _part(
        {
            "rows": 4,
            "formats": {
                "float32": {"relative_error": 9.6e-7, "mean_direction_error": 1.1e-6, "failed": 0},
                "8 bits": {"relative_error": None, "mean_direction_error": None, "failed": 4},
            },
        },
        per_class=2,
    ),
}
PATH = {"timestep_scale": 10.0}
EVALUATION = {
    "format": 1,
    "pipeline": {
        "digest": "a" * 64,
        "latent_shape": [1, 16, 16],
        "num_classes": 2,
        "class_names": ["cat", "dog"],
        "parameters": 3876543,
        "scheduler": {"sigma_min": 0.03, "num_inference_steps": 9, "solver": "midpoint", "grid": "cosine"} | PATH,
    },
    "parts": PARTS,
}
