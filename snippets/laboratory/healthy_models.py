"""Real architectures as their libraries initialize them, small enough to build from a configuration in milliseconds.

Those of `transformers` keep the initializers, the activations and the order of layers of the original; width, depth
and vocabulary are cut. Inputs are standard normal images and features, or uniform tokens; labels are uniform.
Source: the documentation of `transformers` 5.23 and of `torch.nn` 2.13.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

CLASSES, TOKENS, EXAMPLES, LENGTH = 10, 200, 8, 16


class Case(NamedTuple):
    """What `check_model` takes."""

    model: nn.Module
    batch: Any
    loss: Callable[[Any, Any], Tensor] | None = None


def build(make: Callable[[], Any], seed: int) -> Any:
    """What `make` gives with the global generator seeded, which the libraries draw from; leaves it as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def images(model: nn.Module, size: int = 32) -> Case:
    return Case(
        model,
        (torch.randn(EXAMPLES, 3, size, size), torch.randint(CLASSES, (EXAMPLES,))),
        _logits_loss,
    )


def _logits_loss(output: Any, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(getattr(output, "logits", output), targets)


def _tokens(model: nn.Module, labels: tuple[int, ...] = (), **more: Tensor) -> Case:
    inputs = torch.randint(1, TOKENS, (EXAMPLES, LENGTH))
    return Case(
        model,
        {
            "input_ids": inputs,
            "labels": torch.randint(CLASSES, labels) if labels else inputs,
            **more,
        },
    )


def resnet() -> Case:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=16,
        hidden_sizes=[32, 64, 128, 256],
        depths=[3, 4, 6, 3],
        num_labels=CLASSES,
    )
    return images(ResNetForImageClassification(config), 64)


def resnet_basic() -> Case:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 32, 64, 128],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        num_labels=CLASSES,
    )
    return images(ResNetForImageClassification(config), 64)


def regnet() -> Case:
    from transformers import RegNetConfig, RegNetForImageClassification

    config = RegNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 32, 64, 128],
        depths=[2, 2, 4, 2],
        groups_width=8,
        num_labels=CLASSES,
    )
    return images(RegNetForImageClassification(config), 64)


def mobilenet_v2() -> Case:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    return images(
        MobileNetV2ForImageClassification(
            MobileNetV2Config(
                depth_multiplier=0.35,
                image_size=64,
                num_labels=CLASSES,
                classifier_dropout_prob=0.0,
            )
        ),
        64,
    )


def convnext() -> Case:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    config = ConvNextConfig(
        hidden_sizes=[16, 32, 64, 128], depths=[2, 2, 4, 2], num_labels=CLASSES
    )
    return images(ConvNextForImageClassification(config), 64)


def vit() -> Case:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=64,
        num_hidden_layers=12,
        num_attention_heads=4,
        intermediate_size=256,
        image_size=32,
        patch_size=8,
        num_labels=CLASSES,
    )
    return images(ViTForImageClassification(config))


def swin() -> Case:
    from transformers import SwinConfig, SwinForImageClassification

    config = SwinConfig(
        image_size=64,
        patch_size=4,
        embed_dim=16,
        depths=[2, 2, 6],
        num_heads=[1, 2, 4],
        window_size=4,
        num_labels=CLASSES,
    )
    return images(SwinForImageClassification(config), 64)


def gpt2() -> Case:
    from transformers import GPT2Config, GPT2LMHeadModel

    return _tokens(
        GPT2LMHeadModel(
            GPT2Config(
                vocab_size=TOKENS, n_positions=LENGTH, n_embd=64, n_layer=12, n_head=4
            )
        )
    )


def llama() -> Case:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=TOKENS,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    return _tokens(LlamaForCausalLM(config))


def bert() -> Case:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=TOKENS,
        hidden_size=64,
        num_hidden_layers=12,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=LENGTH,
        num_labels=CLASSES,
    )
    return _tokens(BertForSequenceClassification(config), (EXAMPLES,))


def distilbert() -> Case:
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    config = DistilBertConfig(
        vocab_size=TOKENS,
        dim=64,
        n_layers=6,
        n_heads=4,
        hidden_dim=256,
        max_position_embeddings=LENGTH,
    )
    return _tokens(DistilBertForMaskedLM(config), (EXAMPLES, LENGTH))


def t5() -> Case:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=TOKENS,
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=4,
        num_heads=4,
        decoder_start_token_id=0,
    )
    return _tokens(T5ForConditionalGeneration(config), (EXAMPLES, LENGTH))


def albert() -> Case:
    """One block that runs twelve times."""
    from transformers import AlbertConfig, AlbertForSequenceClassification

    config = AlbertConfig(
        vocab_size=TOKENS,
        embedding_size=16,
        hidden_size=64,
        num_hidden_layers=12,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=LENGTH,
        num_labels=CLASSES,
    )
    return _tokens(AlbertForSequenceClassification(config), (EXAMPLES,))


def he_mlp() -> Case:
    """20 hidden layers of ReLU with He initialization."""
    widths = [64, *[128] * 20, CLASSES]
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU(inplace=True)]
        nn.init.kaiming_normal_(layers[-2].weight)
        nn.init.zeros_(layers[-2].bias)
    # No ReLU follows the last layer: its gain is 1.
    nn.init.xavier_normal_(layers[-2].weight)
    return features(nn.Sequential(*layers[:-1]))


def features(model: nn.Module, size: int = 64) -> Case:
    return Case(
        model,
        (torch.randn(32, size), torch.randint(CLASSES, (32,))),
        nn.CrossEntropyLoss(),
    )


def default_mlp() -> Case:
    hidden = [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
    return features(nn.Sequential(*hidden, nn.Linear(128, CLASSES)))


def xavier_tanh() -> Case:
    layers: list[nn.Module] = []
    for _ in range(20):
        layers += [nn.Linear(64, 64), nn.Tanh()]
        nn.init.xavier_uniform_(layers[-2].weight)
        nn.init.zeros_(layers[-2].bias)
    return features(nn.Sequential(*layers, nn.Linear(64, CLASSES)))


class Tagger(nn.Module):
    """A label for every step, from two recurrent layers over packed sequences."""

    def __init__(self, cell: type[nn.RNNBase]) -> None:
        super().__init__()
        self.table = nn.Embedding(TOKENS, 32)
        self.cell = cell(32, 64, num_layers=2, batch_first=True)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.table(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        output, _ = nn.utils.rnn.pad_packed_sequence(
            self.cell(packed)[0], batch_first=True, total_length=LENGTH
        )
        return self.head(output).transpose(1, 2)


def _tagger(cell: type[nn.RNNBase]) -> Case:
    lengths = torch.randint(4, LENGTH + 1, (EXAMPLES,))
    labels = torch.randint(CLASSES, (EXAMPLES, LENGTH)).masked_fill(
        torch.arange(LENGTH) >= lengths[:, None], -100
    )
    inputs = (torch.randint(TOKENS, (EXAMPLES, LENGTH)), lengths)
    return Case(Tagger(cell), (inputs, labels), nn.CrossEntropyLoss())


def lstm() -> Case:
    return _tagger(nn.LSTM)


def gru() -> Case:
    return _tagger(nn.GRU)


def transformer_encoder() -> Case:
    """`nn.TransformerEncoder`, which copies one layer: they are identical at the start."""
    block = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(block, 6, enable_nested_tensor=False)
    model = nn.Sequential(
        nn.Embedding(TOKENS, 64),
        encoder,
        nn.LayerNorm(64),
        nn.Linear(64, TOKENS),
        Swap(),
    )
    return Case(
        model,
        (torch.randint(TOKENS, (2, EXAMPLES, LENGTH))).unbind(),
        nn.CrossEntropyLoss(),
    )


class Swap(nn.Module):
    """(B, T, C) to (B, C, T), as the loss wants it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


def vgg() -> Case:
    """13 convolutions with batch normalization, initialized as torchvision's VGG does."""
    layers: list[nn.Module] = []
    width = 3
    for stage, (wide, repeats) in enumerate(
        [(16, 2), (32, 2), (64, 3), (64, 3), (64, 3)]
    ):
        for _ in range(repeats):
            layers += [
                nn.Conv2d(width, wide, 3, padding=1),
                nn.BatchNorm2d(wide),
                nn.ReLU(inplace=True),
            ]
            nn.init.kaiming_normal_(
                layers[-3].weight, mode="fan_out", nonlinearity="relu"
            )
            nn.init.zeros_(layers[-3].bias)
            width = wide
        if stage < 4:
            layers.append(nn.MaxPool2d(2))
    head = nn.Linear(64 * 4, CLASSES)
    nn.init.normal_(head.weight, 0.0, 0.01)
    return images(nn.Sequential(*layers, nn.Flatten(), head))


class Dense(nn.Module):
    """One layer of a DenseNet: its output stands beside its input."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.branch(x)], dim=1)


def densenet() -> Case:
    """Two dense blocks of 8 layers, initialized as torchvision's DenseNet does."""
    growth, width = 12, 24
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1, bias=False)]
    for block in range(2):
        for _ in range(8):
            layers.append(Dense(width, growth))
            width += growth
        if block == 0:
            layers += [
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.Conv2d(width, width // 2, 1, bias=False),
                nn.AvgPool2d(2),
            ]
            width //= 2
    layers += [
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, CLASSES),
    ]
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    nn.init.zeros_(layers[-1].bias)
    return images(model)


class UNet(nn.Module):
    """Two levels down and up, with skip connections and PyTorch's default initialization."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_twice(3, 16), _twice(16, 32), _twice(32, 64)])
        self.up = nn.ModuleList(
            [
                nn.ConvTranspose2d(64, 32, 2, stride=2),
                nn.ConvTranspose2d(32, 16, 2, stride=2),
            ]
        )
        self.merge = nn.ModuleList([_twice(64, 32), _twice(32, 16)])
        self.head = nn.Conv2d(16, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down[0](x)
        two = self.down[1](nn.functional.max_pool2d(one, 2))
        x = self.down[2](nn.functional.max_pool2d(two, 2))
        for up, merge, skip in zip(self.up, self.merge, (two, one), strict=True):
            x = merge(torch.cat([up(x), skip], dim=1))
        return self.head(x)


def _twice(width: int, wide: int) -> nn.Sequential:
    one, two = (
        nn.Conv2d(width, wide, 3, padding=1, bias=False),
        nn.Conv2d(wide, wide, 3, padding=1, bias=False),
    )
    return nn.Sequential(
        one, nn.BatchNorm2d(wide), nn.ReLU(), two, nn.BatchNorm2d(wide), nn.ReLU()
    )


def unet() -> Case:
    batch = (torch.randn(4, 3, 32, 32), torch.randint(CLASSES, (4, 32, 32)))
    return Case(UNet(), batch, nn.CrossEntropyLoss())


HEALTHY: dict[str, Callable[[], Case]] = {
    "MLP, default": default_mlp,
    "MLP, 20 layers, He": he_mlp,
    "MLP, 20 tanh layers, Xavier": xavier_tanh,
    "VGG with batch norm": vgg,
    "ResNet, basic blocks": resnet_basic,
    "ResNet, bottlenecks": resnet,
    "RegNet": regnet,
    "DenseNet": densenet,
    "MobileNetV2": mobilenet_v2,
    "ConvNeXt": convnext,
    "U-Net": unet,
    "ViT": vit,
    "Swin": swin,
    "BERT": bert,
    "ALBERT": albert,
    "DistilBERT": distilbert,
    "GPT-2": gpt2,
    "Llama, tied": llama,
    "T5": t5,
    "nn.TransformerEncoder": transformer_encoder,
    "LSTM, packed": lstm,
    "GRU, packed": gru,
}
