"""Freeze every batch normalization of a Keras model: for fine-tuning with small
batches, and for transfer.

A frozen one uses its moving statistics in training too, and changes neither
them nor its gamma and beta. Keras makes an exception for this layer: `trainable
= False` means all that, where for other layers it only stops the updates.
Needs Keras 3.9 or newer.
Source: documentation of keras.layers.BatchNormalization; He et al. (2016),
"Deep Residual Learning for Image Recognition", appendix A, who froze it so for
detection.
"""

import keras
from keras.layers import BatchNormalization


def freeze_batch_norm_(model: keras.Model) -> list[BatchNormalization]:
    """Freeze all batch normalizations in `model` in place, wherever they are:
    in nested models, wrappers and layers of your own. Return them.

    Compile `model` afterwards: a compiled one goes on as it was. To unfreeze:
    `norm.trainable = True`, and compile.
    """
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, BatchNormalization)
    ]
    for norm in norms:
        norm.trainable = False
    return norms
