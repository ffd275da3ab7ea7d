"""`check_model` on models of keras.applications and keras_hub, as these initialise them; nothing is downloaded.

make zoo
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from keras import layers, losses

from snippets.diagnostics.check_model_keras import check_model
from tests.zoo.table import check_all, names

CLASSES, TOKENS, EXAMPLES, LENGTH = 10, 200, 8, 16
LOGITS = losses.SparseCategoricalCrossentropy(from_logits=True)

APPLICATIONS = names(
    """
    ConvNeXtTiny ConvNeXtSmall DenseNet121 DenseNet169 EfficientNetB0 EfficientNetB1 EfficientNetB2
    EfficientNetB3 EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2S MobileNet MobileNetV2
    MobileNetV3Small MobileNetV3Large NASNetMobile ResNet50 ResNet101 ResNet50V2 ResNet101V2 VGG16 VGG19
    Xception InceptionV3 InceptionResNetV2
    """
)
_USUAL = {"vocabulary_size": TOKENS, "num_layers": 3, "hidden_dim": 32, "intermediate_dim": 64}
_ENCODER = _USUAL | {"num_heads": 2}
_GROUPED = _USUAL | {"num_query_heads": 2, "num_key_value_heads": 1}
TEXT = {
    "Bert": _ENCODER,
    "Roberta": _ENCODER,
    "DistilBert": _ENCODER,
    "Electra": _ENCODER | {"embedding_dim": 32},
    "Albert": _ENCODER | {"embedding_dim": 32},
    "DebertaV3": _ENCODER,
    "FNet": _USUAL,
    "RoformerV2": _ENCODER,
    "XLMRoberta": _ENCODER,
    "GPT2": _ENCODER,
    "GPTNeoX": _ENCODER,
    "OPT": _ENCODER,
    "Bloom": _ENCODER,
    "Llama": _GROUPED,
    "Llama3": _GROUPED,
    "Mistral": _GROUPED,
    "Qwen": _GROUPED,
    "Qwen3": _GROUPED | {"head_dim": 16},
    "Gemma": _GROUPED | {"head_dim": 16},
    "Phi3": _GROUPED,
    "Falcon": {
        "vocabulary_size": TOKENS,
        "num_layers": 3,
        "num_attention_heads": 2,
        "hidden_dim": 32,
        "intermediate_dim": 64,
    },
    "Bart": _ENCODER,
    "T5": _ENCODER,
}
IMAGES: dict[str, dict[str, Any]] = {
    "ViT": {
        "image_shape": (32, 32, 3),
        "patch_size": 8,
        "num_layers": 3,
        "num_heads": 2,
        "hidden_dim": 32,
        "mlp_dim": 64,
    },
    "DINOV2": {"patch_size": 8, "num_layers": 3, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 64}
    | {"image_shape": (32, 32, 3)},
    "CSPNet": {"stem_filters": 16, "stem_kernel_size": 3, "stem_strides": 1, "stackwise_num_filters": [16, 32, 64]}
    | {"stackwise_strides": 2, "stackwise_depth": [1, 1, 2], "block_type": "dark_block", "image_shape": (32, 32, 3)},
    "DenseNet": {"stackwise_num_repeats": [2, 2, 2], "growth_rate": 16, "image_shape": (64, 64, 3)},
    "ResNet": {"input_conv_filters": [16], "input_conv_kernel_sizes": [7], "stackwise_num_filters": [16, 32, 64]}
    | {"stackwise_num_blocks": [2, 2, 2], "stackwise_num_strides": [1, 2, 2], "block_type": "basic_block"}
    | {"image_shape": (64, 64, 3)},
    "VGG": {"stackwise_num_repeats": [1, 1, 2], "stackwise_num_filters": [16, 32, 64], "image_shape": (32, 32, 3)},
}


def application(name: str) -> Any:
    # The smallest that all of them take.
    size = 75 if "Inception" in name else 71 if name == "Xception" else 64
    make = getattr(keras.applications, name)
    # With the classes that it was made for: heads are drawn for their number.
    model = make(weights=None, input_shape=(size, size, 3), classifier_activation=None)
    # Those with a rescaling of their own take pixels.
    raw = any(isinstance(layer, layers.Rescaling | layers.Normalization) for layer in model._flatten_layers())
    return model, (_images(size) * (64 if raw else 1) + (128 if raw else 0), _labels()), LOGITS


def text(name: str) -> Any:
    import keras_hub

    backbone = getattr(keras_hub.models, f"{name}Backbone")(**TEXT[name])
    inputs, given = {}, {}
    for tensor in backbone.inputs:
        inputs[tensor.name] = keras.Input((LENGTH,), dtype="int32", name=tensor.name)
        low, high = (0, 2) if "segment" in tensor.name else (1, 2) if "mask" in tensor.name else (3, TOKENS)
        given[tensor.name] = np.random.randint(low, high, (EXAMPLES, LENGTH))
    outputs = backbone(inputs)
    states = outputs if not isinstance(outputs, dict) else outputs.get("sequence_output", next(iter(outputs.values())))
    if isinstance(outputs, dict) and "decoder_sequence_output" in outputs:
        states = outputs["decoder_sequence_output"]
    logits = layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(states))
    return keras.Model(inputs, logits), (given, _labels()), LOGITS


def image(name: str) -> Any:
    import keras_hub

    backbone = getattr(keras_hub.models, f"{name}Backbone")(**IMAGES[name])
    inputs = keras.Input(IMAGES[name]["image_shape"])
    states = backbone(inputs)
    pool = layers.GlobalAveragePooling1D() if len(states.shape) == 3 else layers.GlobalAveragePooling2D()
    model = keras.Model(inputs, layers.Dense(CLASSES)(pool(states)))
    return model, (_images(IMAGES[name]["image_shape"][0]), _labels()), LOGITS


def _images(size: int) -> np.ndarray:
    return np.random.normal(size=(EXAMPLES, size, size, 3)).astype("float32")


def _labels() -> np.ndarray:
    return np.random.randint(CLASSES, size=EXAMPLES)


def models() -> dict[str, Callable[[], Any]]:
    return {
        **{f"keras_hub {name}": partial(text, name) for name in TEXT},
        **{f"keras_hub {name}": partial(image, name) for name in IMAGES},
        **{f"keras.applications {name}": partial(application, name) for name in APPLICATIONS},
    }


def seeded(make: Callable[[], Any]) -> Any:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return make()


def main() -> None:
    check_all(
        {name: partial(seeded, make) for name, make in models().items()},
        lambda case: case[0](case[1][0]),
        lambda case: check_model(*case),
        "keras",
    )


if __name__ == "__main__":
    main()
