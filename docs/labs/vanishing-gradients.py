# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab: Find the vanishing gradient
#
# You train a deep network that does not learn, and look for the reason with two instruments: the gradient of the
# activations and that of the weights. Then you predict the factor per layer, measure it, and make it 1.
#
# The lab needs `torch`, `scikit-learn`, `matplotlib` and Jupyter, no GPU and no download. It runs for some seconds.
# Before you run a cell, say what you expect.
#
# ## 1. A network that does not start
#
# The data are 1,797 images of handwritten digits, 8 × 8 pixels each, the last 360 kept for testing.

# %%
import io
import math

import matplotlib
import torch
from IPython.display import display
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import nn

torch.set_num_threads(1)  # networks this small gain nothing from more

matplotlib.rcParams.update({"font.size": 12, "svg.hashsalt": "lab"})
matplotlib.rcParams["figure.facecolor"] = "#fbfaf7"
matplotlib.rcParams["axes.facecolor"] = "#fbfaf7"
# Told apart by color-blind readers.
colors = ["#1b49a2", "#d23a26", "#006e50", "#8a3083", "#5d5f00"]
matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=colors)

pixels, labels = map(torch.from_numpy, load_digits(return_X_y=True))
mean, deviation = pixels[:1437].mean(), pixels[:1437].std()
inputs = ((pixels - mean) / deviation).float()
train_inputs, train_labels = inputs[:1437], labels[:1437]
test_inputs, test_labels = inputs[1437:], labels[1437:]


def plot(lines, xlabel, ylabel, alt, log=False):
    """Draw named lines; `alt` is a text for those who cannot see them."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for (name, values), mark in zip(lines.items(), "os^Dv", strict=False):
        few = len(values) < 40
        style = {"marker": mark if few else None, "markersize": 4}
        axes.plot(range(1, len(values) + 1), values, label=name, **style)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.legend(frameon=False)
    file = io.StringIO()
    nothing = dict.fromkeys(["Creator", "Date", "Format", "Type"])
    figure.savefig(file, format="svg", metadata=nothing)
    about = {"alt": alt, "width": 442, "height": 307}
    display(
        {"image/svg+xml": file.getvalue(), "text/plain": alt},
        metadata={"image/svg+xml": about},
        raw=True,
    )


def train(model, steps=100, learning_rate=0.1, optimizer=torch.optim.SGD):
    """Batches of 64; returns the loss of every step."""
    updates, losses = optimizer(model.parameters(), lr=learning_rate), []
    for _ in range(steps):
        batch = torch.randint(len(train_inputs), (64,))
        loss = nn.functional.cross_entropy(
            model(train_inputs[batch]), train_labels[batch]
        )
        updates.zero_grad()
        loss.backward()
        updates.step()
        losses.append(loss.item())
    return losses


def accuracy(model):
    """Share of the test images that get the right class."""
    with torch.no_grad():
        correct = model(test_inputs).argmax(dim=1) == test_labels
    return correct.float().mean().item()


def smooth(losses, window=10):
    """Mean of the last `window` losses at every step."""
    return torch.tensor(losses).unfold(0, window, 1).mean(dim=1)


def network(depth, activation, gain=1.0, width=64):
    """`depth` hidden layers; weights of variance gain² / fan_in, no bias."""
    layers, fan_in = [], 64
    for _ in range(depth):
        linear = nn.Linear(fan_in, width)
        nn.init.normal_(linear.weight, std=gain / math.sqrt(fan_in))
        nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
        fan_in = width
    return nn.Sequential(*layers, nn.Linear(width, 10))


# %% [markdown]
# Two sigmoid networks, with two hidden layers and with eight.

# %%
torch.manual_seed(0)
sigmoid_losses = {
    f"{depth} layers": train(network(depth, nn.Sigmoid), 200, 0.5)
    for depth in (2, 8)
}
plot(
    {name: smooth(losses) for name, losses in sigmoid_losses.items()},
    "step",
    "training loss (nats)",
    "Loss over 200 steps. With two sigmoid layers it falls, with eight it "
    "stays at 2.3, which is guessing.",
)

# %% [markdown]
# The deep one stays at $\ln 10=2.303$, the loss of a network that gives each class the probability 1/10. More layers,
# and it does not even learn what two layers can.
#
# ## 2. Two instruments
#
# Backpropagation makes two kinds of gradient in each layer: of the preactivations $z_l$, which is handed down, and of
# the weights $W_l$, which moves them. They are tied by $\partial\mathcal L/\partial W_l=(\partial\mathcal L/\partial
# z_l)\,h_{l-1}^\top$.


# %%
def gradients(model):
    """Norms of ∂L/∂z and ∂L/∂W for each linear layer, on 256 images."""
    h, preactivations = train_inputs[:256], []
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.Linear):
            preactivations.append(h)
    weights = [layer.weight for layer in model if isinstance(layer, nn.Linear)]
    loss = nn.functional.cross_entropy(h, train_labels[:256])
    found = torch.autograd.grad(loss, preactivations + weights)
    norms = [gradient.norm().item() for gradient in found]
    return norms[: len(weights)], norms[len(weights) :]


torch.manual_seed(0)
by_z, by_weight = gradients(network(8, nn.Sigmoid))
plot(
    {"of z": by_z[:-1], "of W": by_weight[:-1]},
    "layer",
    "norm of the gradient",
    "Two norms over eight layers on a logarithmic axis. Both rise steeply "
    "from the first layer to the last, by four powers of ten.",
    log=True,
)
sigmoid_factor = (by_z[0] / by_z[7]) ** (1 / 7)
print(f"factor per layer: {sigmoid_factor:.3f}")

# %% [markdown]
# A straight line on a logarithmic axis: the same factor in each layer. **Theory predicts it.** One layer multiplies the
# squared gradient by
#
# $$
# \chi=n\operatorname{Var}[W]\,\operatorname{E}[\phi'(z)^2].
# $$
#
# Here $n\operatorname{Var}[W]=1$. A sigmoid has the slope 1/4 at 0 and less elsewhere, so the factor $\sqrt\chi$ is a
# little below 1/4.
#
# ## 3. Which gradient vanishes?
#
# Now tanh, whose slope at 0 is 1. Twenty layers, weights a little too small. What will the two lines do?

# %%
torch.manual_seed(0)
tanh_z, tanh_weight = gradients(network(20, nn.Tanh, gain=0.8))
plot(
    {"of z": tanh_z[:-1], "of W": tanh_weight[:-1]},
    "layer",
    "norm of the gradient",
    "Two norms over twenty tanh layers on a logarithmic axis. That of z "
    "rises steeply to the last layer, that of W is nearly level.",
    log=True,
)
level = max(tanh_weight[:-1]) / min(tanh_weight[:-1])
print(f"of z: first over last {tanh_z[0] / tanh_z[19]:.4f}")
print(f"of W: largest over smallest {level:.1f}")

# %% [markdown]
# The gradient of $z$ vanishes and that of $W$ is about level: what the first loses on its way back, $h_{l-1}$ has lost
# on its way forward. “The early layers get tiny updates” is true of the sigmoid and false here.
#
# ## 4. Make the factor 1
#
# For ReLU half of the slopes are 1 and half are 0, so $\operatorname{E}[\phi'^2]=\tfrac12$, and $\chi=1$ takes
# $n\operatorname{Var}[W]=2$: the gain $\sqrt2$.

# %%
torch.manual_seed(0)
relu = network(8, nn.ReLU, gain=math.sqrt(2))
relu_z, _ = gradients(relu)
print(f"factor per layer: {(relu_z[0] / relu_z[7]) ** (1 / 7):.2f}")
relu_losses = train(relu, 200, 0.1)
relu_accuracy = accuracy(relu)
print(f"accuracy after 200 steps: {relu_accuracy:.0%}")

# %% [markdown]
# **In Keras** the weights of each layer come with its initializer, and a `GradientTape` gives the gradients. Its dense
# layers start with Xavier (`glorot_uniform`), so a ReLU layer keeps $1/\sqrt2$ unless you say `he_normal`.
#
# ```python
# import keras
# import tensorflow as tf
#
# model = keras.Sequential(
#     [keras.Input((64,))]
#     + [keras.layers.Dense(64, "relu", kernel_initializer="he_normal")
#        for _ in range(8)]
#     + [keras.layers.Dense(10)]
# )
# loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
# with tf.GradientTape() as tape:
#     error = loss(tf.zeros(32, tf.int32), model(tf.random.normal((32, 64))))
# kernels = [layer.kernel for layer in model.layers]
# norms = [float(tf.norm(g)) for g in tape.gradient(error, kernels)]
# ```
#
# ## Exercises
#
# ### 1. Adam
#
# Train the sigmoid network of eight layers with `torch.optim.Adam` at a learning rate of 0.003, for 300 steps. Does it
# leave the plateau? Adam divides by the size of the gradient: look at that of the first layer before you say why.

# %% tags=["solution"] jupyter={"source_hidden": true}
torch.manual_seed(0)
deep = network(8, nn.Sigmoid)
first_gradient = gradients(deep)[1][0]
adam_losses = train(deep, 300, 0.003, torch.optim.Adam)
print(f"loss of the last 20 steps: {sum(adam_losses[-20:]) / 20:.2f}")
typical = first_gradient / 64  # root mean square of its 64 × 64 entries
print(f"first layer's gradient: {typical:.1e}, above Adam's ε of 1e-8")

# %% [markdown]
# ### 2. A sigmoid that keeps its gradient
#
# Which gain makes $\chi=1$ for the sigmoid? Start from the slope at 0, measure, and correct. What does the network pay?

# %% tags=["solution"] jupyter={"source_hidden": true}
# At gain 4 the slope at 0 would give 1, but most preactivations are not
# at 0 any more. The gain has to be larger, and the slopes get smaller.
wide_factors = {}
for gain in (1, 4, 7, 10):
    torch.manual_seed(0)
    z, _ = gradients(network(8, nn.Sigmoid, gain, width=256))
    wide_factors[gain] = (z[0] / z[7]) ** (1 / 7)
    print(f"gain {gain:2}: factor {wide_factors[gain]:.2f}")
print("Near gain 10 the gradient stays. Half of the units are saturated then.")

# %% [markdown]
# ### 3. Half precision
#
# A gradient is multiplied by 0.24 in each layer. From which layer on is it exactly zero in `torch.float16`? And in
# `torch.float32`?

# %% tags=["solution"] jupyter={"source_hidden": true}
zero_from = {}
for kind in (torch.float16, torch.float32):
    gradient, layers = torch.tensor(1.0, dtype=kind), 0
    while gradient != 0:
        gradient, layers = gradient * 0.24, layers + 1
    zero_from[kind] = layers
    print(f"{kind}: zero from layer {layers} on")

# %% [markdown]
# ## What you have shown
#
# One factor per layer decides, and it can be computed: $\sqrt\chi$. Below 1 the gradient of the preactivations
# vanishes. Whether that of the weights does, depends on the activations below. Sources: Hochreiter (1991); Glorot &
# Bengio (2010); Poole et al. (2016).
