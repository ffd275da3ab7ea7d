/** A setting as a program that makes the network, sends a batch through it and prints what the chart shows. */

const DEVIATIONS = {
  lecun: "math.sqrt(1 / width)",
  xavier: "math.sqrt(2 / (width + width))",
  he: "math.sqrt(2 / width)",
  pytorch: "math.sqrt(1 / (3 * width))",
  small: "0.01",
  unit: "1.0",
}
const CUT = "std / 0.87962566103423978" // a unit normal variable cut at +-2 has this standard deviation

const pytorch = {
  imports: "import torch\nfrom torch import nn\nfrom torch.nn import functional",
  seed: "torch.manual_seed",
  weights: {
    normal: "nn.init.normal_(layer.weight, std=std)",
    uniform: "nn.init.uniform_(layer.weight, -math.sqrt(3) * std, math.sqrt(3) * std)",
    truncated: `cut = ${CUT}\n    nn.init.trunc_normal_(layer.weight, std=cut, a=-2 * cut, b=2 * cut)`,
    orthogonal: "nn.init.orthogonal_(layer.weight, gain=std * math.sqrt(width))",
  },
  biases: (std) => (std ? `nn.init.normal_(layer.bias, std=${std})` : "nn.init.zeros_(layer.bias)"),
  layer: (weights, biases) => ["layer = nn.Linear(width, width)", weights, biases, "return layer"].filter(Boolean).join("\n    "),
  normal: "torch.randn(batch, width)",
  norm: "functional.batch_norm(layer(h), None, None, training=True)",
  phi: (name) => `functional.${name}(z)`,
  tape: "",
  gradients: `weights = [layer.weight for layer in layers]
gradients = torch.autograd.grad(h, activations + weights, torch.randn(batch, width))`,
  rms: "tensor.double().square().mean().sqrt()",
}

const keras = {
  imports: "import keras\nimport tensorflow as tf",
  seed: "keras.utils.set_random_seed",
  weights: {
    normal: "RandomNormal(stddev=std)",
    uniform: "RandomUniform(-math.sqrt(3) * std, math.sqrt(3) * std)",
    truncated: `TruncatedNormal(stddev=${CUT})`,
    orthogonal: "Orthogonal(gain=std * math.sqrt(width))",
  },
  biases: (std) =>
    std === "pytorch" ? "RandomUniform(-1 / math.sqrt(width), 1 / math.sqrt(width))" : std ? `RandomNormal(stddev=${std})` : "Zeros()",
  layer: (weights, biases) => `return keras.layers.Dense(
        width,
        kernel_initializer=keras.initializers.${weights},
        bias_initializer=keras.initializers.${biases},
    )`,
  normal: "keras.random.normal((batch, width))",
  norm: "keras.layers.BatchNormalization(epsilon=1e-5, center=False, scale=False)(layer(h), training=True)",
  phi: (name) => `keras.activations.${name}(z${name === "leaky_relu" ? ", negative_slope=0.01" : ""})`,
  tape: "with tf.GradientTape() as tape:\n",
  gradients: `    loss = keras.ops.sum(h * keras.random.normal((batch, width)))
weights = [layer.kernel for layer in layers]
gradients = tape.gradient(loss, activations + weights)`,
  rms: 'tf.sqrt(tf.reduce_mean(tf.cast(tensor, "float64") ** 2))',
}

/**
 * @param {"PyTorch"|"Keras"} framework
 * @param {import("./types.js").Settings} settings
 * @param {string} title what the settings are, in words
 * @param {string} link where they can be seen
 */
export function code(framework, settings, title, link) {
  const { depth, width, activation, scheme, gain, distribution, bias, batch_norm, skip, branch_scale, seed } = settings
  const use = { PyTorch: pytorch, Keras: keras }[framework]
  const phi = activation === "identity" ? "z" : use.phi(activation)
  // nn.Linear has these already.
  const own = framework === "PyTorch" && bias === "pytorch"
  const weights = own && scheme === "pytorch" && distribution === "uniform" && gain === 1 ? "" : use.weights[distribution]
  const inside = use.tape && "    "
  return `"""${title}: root mean squares layer by layer, before training.

The same law as ${link}, other draws.
"""
import math

${use.imports}

${use.seed}(${seed})
depth, width, batch = ${depth}, ${width}, 32
std = ${gain === 1 ? "" : `${gain} * `}${DEVIATIONS[scheme]}


def make_layer():
    ${use.layer(weights, own ? "" : use.biases(bias))}


layers = [make_layer() for _ in range(depth)]
activations = []
h = ${use.normal}
${use.tape}${inside}for layer in layers:
${inside}    z = ${batch_norm ? use.norm : "layer(h)"}
${inside}    h = ${skip ? `h + ${branch_scale} * ` : ""}${phi}
${inside}    activations.append(h)
${use.gradients}


def rms(tensor):
    return float(${use.rms})


print("layer  activation    gradient  weight gradient")
for number, row in enumerate(zip(activations, gradients[:depth], gradients[depth:]), 1):
    print(f"{number:5}", *(f"{rms(tensor):11.4e}" for tensor in row))
`
}
