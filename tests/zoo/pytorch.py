"""`check_model` on models of real libraries, as these initialise them; nothing is downloaded.

    make zoo

Source: the configurations of transformers, timm, torchvision and diffusers in the versions that `environment.py` names.
"""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory.healthy_models import CLASSES, EXAMPLES, HEALTHY, LENGTH, TOKENS, Case, build, images
from tests.zoo.table import check_all, names

SMALL = {
    "vocab_size": TOKENS,
    "hidden_size": 64,
    "d_model": 64,
    "num_hidden_layers": 4,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_attention_heads": 4,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "num_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "d_kv": 16,
    "d_ff": 128,
    "intermediate_size": 128,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "ffn_dim": 128,
    "embedding_size": 64,
    "max_position_embeddings": 64,
    "rotary_dim": 8,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": CLASSES,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
"""Set where a configuration has them."""

DECODERS = names(
    """
    gpt2 gpt_neo gpt_neox gptj llama mistral gemma gemma2 gemma3_text qwen2 qwen3 phi phi3 opt bloom falcon
    mpt olmo olmo2 stablelm starcoder2 codegen xglm biogpt cohere granite persimmon helium glm ernie4_5
    smollm3 nemotron mamba
    """
)
ENCODERS = names(
    """
    bert roberta distilbert electra albert deberta deberta-v2 camembert xlm-roberta mobilebert squeezebert
    fnet nystromformer mpnet convbert ernie rembert roformer xlm megatron-bert yoso modernbert layoutlm
    """
)
SEQUENCES = names(
    """
    t5 mt5 umt5 bart mbart pegasus marian blenderbot m2m_100 longt5 led plbart switch_transformers
    """
)
VISION = names(
    """
    vit deit beit dinov2 vit_msn poolformer mobilenet_v1 levit cvt focalnet convnextv2 pvt swinv2 hiera
    ijepa
    """
)
TIMM = names(
    """
    resnet10t resnet18 resnet26d resnetrs50 seresnet50 ecaresnet26t skresnet18 resnext26ts
    seresnext26d_32x4d res2net50_26w_4s densenet121 dla34 vovnet39a ese_vovnet19b_dw hrnet_w18_small dpn68
    mobilenetv3_small_050 mobilenetv4_conv_small efficientnet_b0 efficientnetv2_rw_t tinynet_e mnasnet_small
    fbnetc_100 ghostnet_050 lcnet_035 regnetx_002 regnety_002 nf_resnet26 nfnet_l0 eca_nfnet_l0 dm_nfnet_f0
    convnext_atto convnextv2_atto edgenext_xx_small convmixer_768_32 cspresnet50 cspdarknet53 selecsls42b
    repvgg_a0 mobileone_s0 vgg11 vgg11_bn xception41 inception_v3 inception_next_atto fasternet_t0
    starnet_s1 rexnet_100 hardcorenas_a semnasnet_075 darknet17 bat_resnext26ts botnet26t_256
    lambda_resnet26t halonet26t poolformer_s12 resnetv2_50 rdnet_tiny repghostnet_050 mixnet_s
    tf_efficientnet_lite0 ese_vovnet19b_slim gernet_s cs3darknet_s legacy_senet154 xcit_nano_12_p8_224
    """
)
TIMM_SIZED = names(
    """
    vit_tiny_patch16_224 deit_tiny_patch16_224 cait_xxs24_224 mixer_s32_224 resmlp_12_224 gmlp_ti16_224
    beit_base_patch16_224 swin_tiny_patch4_window7_224 volo_d1_224 visformer_tiny pit_ti_224 levit_128s
    """
)
TORCHVISION = names(
    """
    alexnet vgg11 vgg13_bn googlenet squeezenet1_1 resnet18 resnet50 resnext50_32x4d wide_resnet50_2
    densenet121 mobilenet_v2 mobilenet_v3_small shufflenet_v2_x0_5 mnasnet0_5 efficientnet_b0 regnet_y_400mf
    convnext_tiny
    """
)


def small(kind: str, **more: Any) -> Any:
    from transformers import AutoConfig

    usual = AutoConfig.for_model(kind)
    chosen = {name: value for name, value in SMALL.items() if hasattr(usual, name)} | more
    return AutoConfig.for_model(kind, **chosen)


def tokens() -> torch.Tensor:
    return torch.randint(3, TOKENS, (EXAMPLES, LENGTH))


def decoder(kind: str) -> Case:
    from transformers import AutoModelForCausalLM

    words = tokens()
    return Case(AutoModelForCausalLM.from_config(small(kind)).train(), {"input_ids": words, "labels": words})


def encoder(kind: str) -> Case:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(small(kind)).train()
    return Case(model, {"input_ids": tokens(), "labels": torch.randint(CLASSES, (EXAMPLES,))})


def sequence(kind: str) -> Case:
    from transformers import AutoModelForSeq2SeqLM

    words = tokens()
    return Case(AutoModelForSeq2SeqLM.from_config(small(kind)).train(), {"input_ids": words, "labels": words})


def vision(kind: str) -> Case:
    from transformers import AutoModelForImageClassification

    size = 32 if kind in ("vit", "deit", "beit", "dinov2", "vit_msn", "ijepa") else 64
    config = small(kind, image_size=size) if size == 32 else _labelled(kind)
    return images(AutoModelForImageClassification.from_config(config).train(), size)


def _labelled(kind: str) -> Any:
    from transformers import AutoConfig

    usual = AutoConfig.for_model(kind)
    sized = {"image_size": 64} if hasattr(usual, "image_size") else {}
    return AutoConfig.for_model(kind, num_labels=CLASSES, **sized)


def of_timm(name: str, **settings: Any) -> Case:
    import timm

    size = settings.get("img_size", 64)
    # With the classes that it was made for: heads are drawn for their number.
    return images(timm.create_model(name, **settings).train(), size)


def of_torchvision(name: str) -> Case:
    from torchvision import models

    more = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    return images(models.get_model(name, weights=None, **more).train(), 64)


def of_diffusers(kind: str) -> Case:
    import diffusers

    steps, noise = torch.randint(1000, (EXAMPLES,)), torch.randn(EXAMPLES, 3, 16, 16)
    sizes = {"block_out_channels": (32, 64), "norm_num_groups": 8}
    if kind == "UNet2DModel":
        blocks = {
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
            "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        }
        model = diffusers.UNet2DModel(sample_size=16, layers_per_block=1, attention_head_dim=8, **sizes, **blocks)
        return Case(model, ((noise, steps), noise), _sample_loss)
    if kind == "AutoencoderKL":
        blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
        return Case(diffusers.AutoencoderKL(**sizes, **blocks), (noise, noise), _sample_loss)
    if kind == "VQModel":
        return Case(diffusers.VQModel(norm_num_groups=8, block_out_channels=(32,)), (noise, noise), _sample_loss)
    heads = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 4}
    model = diffusers.DiTTransformer2DModel(
        **heads, in_channels=3, out_channels=3, sample_size=16, num_embeds_ada_norm=CLASSES
    )
    return Case(
        model, ({"hidden_states": noise, "timestep": steps, "class_labels": steps % CLASSES}, noise), _sample_loss
    )


def _sample_loss(output: Any, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(output.sample, targets)


def models() -> dict[str, Callable[[], Case]]:
    return {
        **{f"transformers {kind}": partial(decoder, kind) for kind in DECODERS},
        **{f"transformers {kind}": partial(encoder, kind) for kind in ENCODERS},
        **{f"transformers {kind}": partial(sequence, kind) for kind in SEQUENCES},
        **{f"transformers {kind}": partial(vision, kind) for kind in VISION},
        **{
            f"diffusers {kind}": partial(of_diffusers, kind)
            for kind in ("UNet2DModel", "AutoencoderKL", "VQModel", "DiT")
        },
        **{f"torchvision {name}": partial(of_torchvision, name) for name in TORCHVISION},
        **{f"timm {name}": partial(of_timm, name) for name in TIMM},
        **{f"timm {name}": partial(of_timm, name, img_size=64) for name in TIMM_SIZED},
        **HEALTHY,
    }


def runs(case: Case) -> None:
    given = case.batch if case.loss is None else case.batch[0]
    if isinstance(given, dict):
        case.model(**given)
    else:
        case.model(*given) if isinstance(given, tuple) else case.model(given)


def without_compiled_operations() -> None:
    """torchvision's Python parts run without its compiled ones, which want another build of PyTorch than the CPU's."""
    library = torch.library.Library("torchvision", "DEF")
    boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    for name in ("nms", "qnms"):
        library.define(name + boxes)
    KEPT.append(library)


KEPT: list[Any] = []
"""A library goes away with its object."""


def main() -> None:
    warnings.simplefilter("ignore")
    import transformers

    transformers.logging.set_verbosity_error()
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        without_compiled_operations()
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]  # half imported
    check_all(
        {name: partial(build, make, 0) for name, make in models().items()},
        runs,
        lambda case: build(lambda: check_model(*case), 0),
        "pytorch",
    )


if __name__ == "__main__":
    main()
