r"""Open models of today draw weights with a deviation that ignores the width, and let normalization answer for it.

Source: configurations and `_init_weights` of `transformers` 5.23, read here by building each model. Its depth, order of
layers and initializer are the library's defaults. Scaled down: a width of 128 for Transformers and Mamba, with the
deviation times $\sqrt{n/128}$, so that $n\operatorname{Var}W$ is that of the default width $n$ (the embedding keeps the
default's); 16 random tokens or one image of Gaussian noise per example, eight examples, random labels.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.healthy_models import build
from snippets.laboratory.signals import rms

SMALL, TOKENS, EXAMPLES, LENGTH, CLASSES = 128, 256, 8, 16, 10


class Model(NamedTuple):
    """What the configuration says, and what the model does before its first step."""

    width: int
    """Of the residual stream, by default; of ConvNeXt, that of its longest stage."""

    blocks: int

    deviation: float
    """Of the default's weights, as the configuration has it."""

    variance: float
    """n Var W of the layers that read the stream, measured."""

    output_scale: float
    """Deviation of the weights that write into the stream, over that of those that read it."""

    growth: float
    """Mean square of the stream after the last block over that before the first."""

    gradient: float
    """Root mean square of the gradient of the stream before the first block over that after the last."""

    excess: float
    """Loss before training, minus the logarithm of the number of classes or tokens."""


def _decoder(
    name: str, head: str = "ForCausalLM", **more: Any
) -> Callable[[], tuple[nn.Module, Any]]:
    """A language model of `transformers` at the small width, and its default configuration."""

    def make() -> tuple[nn.Module, Any]:
        import transformers

        kind = getattr(transformers, f"{name}Config")
        default = kind()
        scale = math.sqrt(default.hidden_size / SMALL)
        wide = getattr(default, "intermediate_size", None) or 4 * default.hidden_size
        config = kind(
            vocab_size=TOKENS,
            hidden_size=SMALL,
            intermediate_size=round(SMALL * wide / default.hidden_size),
            initializer_range=default.initializer_range * scale,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            **more,
        )
        model = getattr(transformers, f"{name}{head}")(config)
        with torch.no_grad():
            # Embedding and output layer may be one tensor.
            output = model.get_output_embeddings()
            output.weight = nn.Parameter(output.weight.clone())
            model.get_input_embeddings().weight.div_(scale)
        return model, default

    return make


def _image_model(name: str, **more: Any) -> Callable[[], tuple[nn.Module, Any]]:
    def make() -> tuple[nn.Module, Any]:
        import transformers

        kind = getattr(transformers, f"{name}Config")
        default = kind()
        if more:
            scale = math.sqrt(default.hidden_size / SMALL)
            more["initializer_range"] = default.initializer_range * scale
        config = kind(num_labels=CLASSES, image_size=32, **more)
        return getattr(transformers, f"{name}ForImageClassification")(config), default

    return make


ATTENTION = {"num_attention_heads": 4}
MODELS = {
    "Llama": (
        _decoder("Llama", num_key_value_heads=4, **ATTENTION),
        "q_proj",
        "o_proj",
    ),
    "OLMo-2": (
        _decoder("Olmo2", num_key_value_heads=4, **ATTENTION),
        "q_proj",
        "o_proj",
    ),
    "DeepSeek-V3": (
        _decoder(
            "DeepseekV3",
            num_key_value_heads=4,
            **ATTENTION,
            moe_intermediate_size=SMALL,
            n_routed_experts=8,
            n_group=2,
            topk_group=1,
            num_experts_per_tok=2,
            first_k_dense_replace=3,
            kv_lora_rank=32,
            q_lora_rank=64,
            qk_rope_head_dim=16,
            qk_nope_head_dim=16,
            v_head_dim=32,
        ),
        "q_a_proj",
        "o_proj",
    ),
    "GPT-NeoX": (_decoder("GPTNeoX", **ATTENTION), "query_key_value", "dense_4h_to_h"),
    "ViT": (
        _image_model(
            "ViT",
            hidden_size=SMALL,
            intermediate_size=4 * SMALL,
            patch_size=8,
            **ATTENTION,
        ),
        "q_proj",
        "o_proj",
    ),
    "ConvNeXt": (_image_model("ConvNext"), "pwconv1", "pwconv2"),
    "GPT-2": (
        _decoder("GPT2", "LMHeadModel", num_attention_heads=4),
        "attn.c_attn",
        "attn.c_proj",
    ),
    "Mamba": (_decoder("Mamba", state_size=16), "in_proj", "out_proj"),
}
"""By name: how to build it, and the ends of the names of a layer that reads the stream and of one that writes."""


def _look(make: Callable[[], tuple[nn.Module, Any]], reads: str, writes: str) -> Model:
    model, default = make()
    model.train(False)
    blocks = _blocks(model)
    reader, writer = (_first(blocks[0], end) for end in (reads, writes))
    if hasattr(model.config, "image_size"):
        inputs = {"pixel_values": torch.randn(EXAMPLES, 3, 32, 32)}
        labels, classes = torch.randint(CLASSES, (EXAMPLES,)), CLASSES
    else:
        inputs = {"input_ids": torch.randint(3, TOKENS, (EXAMPLES, LENGTH))}
        labels, classes = inputs["input_ids"], TOKENS
    stream = _watch(blocks)
    loss = model(**inputs, labels=labels).loss
    first, last = stream[0], stream[-1]
    before, after = torch.autograd.grad(loss, [first, last])
    # Of an image, channels come before rows and columns.
    width = first.shape[1 if first.ndim == 4 else 2]
    deviation = reader.std().item()
    return Model(
        width if first.ndim == 4 else default.hidden_size,
        len(blocks),
        default.initializer_range,
        width * deviation**2,
        writer.std().item() / deviation,
        rms(last.detach()) ** 2 / rms(first.detach()) ** 2,
        rms(before) / rms(after),
        loss.item() - math.log(classes),
    )


def _first(block: nn.Module, end: str) -> Tensor:
    return next(
        parameter.detach()
        for name, parameter in block.named_parameters()
        if name.endswith(f"{end}.weight")
    )


def _blocks(model: nn.Module) -> nn.ModuleList:
    """The longest list of blocks."""
    lists = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return max(lists, key=len)


def _watch(blocks: nn.ModuleList) -> list[Tensor]:
    """The stream at the input of the first block and at the output of each, as a forward pass will fill it."""
    stream: list[Tensor] = []

    def keep(hidden: Any) -> None:
        stream.append(hidden[0] if isinstance(hidden, tuple) else hidden)

    blocks[0].register_forward_pre_hook(
        lambda _, arguments, named: keep(arguments or named["hidden_states"]),
        with_kwargs=True,
    )
    for block in blocks:
        block.register_forward_hook(lambda _, __, output: keep(output))
    return stream


def measure(seed: int = 0) -> dict[str, Model]:
    return {
        name: build(lambda model=model: _look(*model), seed)
        for name, model in MODELS.items()
    }


TODAY = [name for name in MODELS if name != "GPT-2"]

CLAIMS = (
    Claim(
        statement="Seven models of today: different deviations among the six that are no Mamba",
        value=lambda models: len(
            {models[name].deviation for name in TODAY if name != "Mamba"}
        ),
        interval=(1, 1),
        rival=lambda models: len(
            {models[name].width for name in TODAY if name != "Mamba"}
        ),
        rival_of="one for each width",
        reason="All say `initializer_range=0.02`, from the width 384 to 7,168.",
        format="g",
    ),
    Claim(
        statement="So their $n\\operatorname{Var}W$ differs: the largest of these six over the smallest",
        value=lambda models: _spread(
            [models[name].variance for name in TODAY if name != "Mamba"]
        ),
        interval=(16.5, 21.0),
        rival=1.0,
        rival_of="a deviation that follows the width",
        reason="$7168/384=18.7$.",
    ),
    Claim(
        statement="Llama at its default width 4,096: $n\\operatorname{Var}W$",
        value=lambda models: models["Llama"].variance,
        interval=(1.55, 1.72),
        rival=1.0,
        rival_of="LeCun or Xavier",
        reason="$4096\\cdot0.02^2=1.638$.",
    ),
    Claim(
        statement="How many of the seven draw what writes into the stream smaller by $1/\\sqrt{2L}$, as GPT-2 does",
        value=lambda models: sum(map(_scaled_by_depth, map(models.get, TODAY))),
        interval=(0, 0),
        rival=lambda models: 7 * _scaled_by_depth(models["GPT-2"]),
        rival_of="all, as GPT-2",
        reason="Within 10 % of that factor. Mamba's class has it behind a switch that is off by default.",
        format="g",
    ),
    Claim(
        statement="Llama's stream from the embedding to the last block: factor of its mean square",
        value=lambda models: models["Llama"].growth,
        interval=(4.3e5, 5.5e5),
        rival=lambda models: models["ConvNeXt"].growth,
        rival_of="ConvNeXt, whose branches start at a millionth",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".1e",
    ),
    Claim(
        statement="ConvNeXt's longest stage of nine blocks: the same factor",
        value=lambda models: models["ConvNeXt"].growth,
        interval=(0.999, 1.001),
        rival=lambda models: models["Llama"].growth,
        rival_of="Llama",
        reason="Its layer scale starts at 1e-6: each block is the identity to six digits.",
        format=".4f",
    ),
    Claim(
        statement="Llama: loss before training minus the logarithm of the vocabulary",
        value=lambda models: models["Llama"].excess,
        interval=(0.3, 1.3),
        rival=0.0,
        rival_of="logits of zero",
        reason="Half the variance of the logits, $\\tfrac12n\\operatorname{Var}W=0.82$; 128 tokens scatter it.",
        format=".2f",
    ),
)


def _spread(values: list[float]) -> float:
    return max(values) / min(values)


def _scaled_by_depth(model: Model) -> bool:
    return abs(model.output_scale * math.sqrt(2 * model.blocks) - 1) < 0.1


def table(measured: dict[str, Model]) -> list[tuple[str, ...]]:
    head = ("model", "width", "blocks", "deviation", "n Var W", "writes over reads")
    rows = [
        (
            name,
            str(model.width),
            str(model.blocks),
            f"{model.deviation:g}",
            f"{model.variance:.2f}",
            f"{model.output_scale:.2f}",
            f"{model.growth:.2g}",
            f"{model.gradient:.2g}",
            f"{model.excess:.2f}",
        )
        for name, model in measured.items()
    ]
    return [(*head, "stream grows by", "gradient grows by", "loss minus ln C"), *rows]


def plot(measured: dict[str, Model]) -> Figure:
    figure = Figure(figsize=(4.6, 3.2))
    axes = figure.subplots()
    rows = range(len(measured))
    axes.barh(rows, [each.variance for each in measured.values()], 0.6, color="C0")
    axes.axvline(1, color="C5", linestyle="dashed")
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    axes.set_yticks(rows, list(measured))
    axes.set(xscale="log", xlim=(0.1, 20), ylabel="model")
    axes.set(xlabel="n Var W where the stream is read")
    return figure
