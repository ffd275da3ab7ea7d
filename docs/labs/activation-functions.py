# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab: What an activation lets through
#
# You compute the gain of any activation, see why one gain is not enough for GELU, kill ReLUs with a learning rate, and
# make a network that cannot correct its own mistake.
#
# The lab needs `torch`, `scikit-learn`, `matplotlib` and Jupyter, no GPU and no download. It runs for some seconds.
# Before you run a cell, say what you expect.
#
# ## 1. The data

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

# %% [markdown]
# ## 2. The gain
#
# If a preactivation $z$ is standard normal, the next layer sees $\operatorname{E}[\phi(z)^2]$. The **gain** is the
# factor on the weights that brings it back to 1:
#
# $$
# g=\operatorname{E}[\phi(z)^2]^{-1/2}.
# $$

# %%
activations = {
    "ReLU": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "GELU": nn.functional.gelu,
}
z = torch.linspace(-8, 8, 16001, dtype=torch.float64)
density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def gain(activation):
    return 1 / math.sqrt(torch.trapezoid(activation(z) ** 2 * density, z))


gains = {name: gain(activation) for name, activation in activations.items()}
for name, value in gains.items():
    print(f"{name:8} {value:.4f}")

# %% [markdown]
# ReLU's is $\sqrt2$: that is He. Now thirty layers of each, at its own gain.


# %%
def sizes(activation, gain, depth=30, width=256):
    """Mean square of the preactivations of each layer, for random inputs."""
    h, found = torch.randn(100, width), []
    for layer in range(depth):
        scale = (gain if layer else 1) / math.sqrt(width)
        z = h @ torch.randn(width, width) * scale
        found.append(z.square().mean().item())
        h = activation(z)
    return found


torch.manual_seed(0)
by_depth = {
    name: sizes(activation, gains[name])
    for name, activation in activations.items()
    if name != "sigmoid"
}
plot(
    by_depth,
    "layer",
    "mean square of z",
    "Mean square of the preactivations over thirty layers on a logarithmic "
    "axis. That of tanh stays at one, that of ReLU wanders near it, that of "
    "GELU drifts away.",
    log=True,
)

# %% [markdown]
# Tanh comes back to 1 by itself: a signal that is too large is flattened, one that is too small is not. ReLU keeps
# whatever it gets. GELU runs away from 1, because a larger signal looks to it more like ReLU at a gain that is too
# large for ReLU. A normalization in each block takes that away.
#
# ## 3. Dead units
#
# A ReLU unit is **dead** if it is 0 for every example. Then it gets no gradient. Train a small network at two learning
# rates and count.


# %%
def relu_network(activation=nn.ReLU):
    layers, fan_in = [], 64
    for _ in range(3):
        linear = nn.Linear(fan_in, 64)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
        fan_in = 64
    return nn.Sequential(*layers, nn.Linear(64, 10))


def dead(model):
    """Share of the units of the last hidden layer that are never on."""
    with torch.no_grad():
        h = model[:-1](train_inputs)
    return (h <= 0).all(dim=0).float().mean().item()


health = {}
for rate in (0.001, 0.1):
    torch.manual_seed(0)
    model = relu_network()
    train(model, 150, rate, torch.optim.Adam)
    health[rate] = dead(model), accuracy(model)
    print(f"rate {rate}: {health[rate][0]:.0%} dead, "
          f"accuracy {health[rate][1]:.0%}")

# %% [markdown]
# ## 4. Confidently wrong
#
# A classifier starts with a large bias for class 0, so it is sure of the wrong answer for most images. With
# cross-entropy the gradient of the logits is $p-e_y$: as large as it can be. With a squared error behind the softmax,
# the slope of the softmax stands in it, and that is nearly 0. Which of the two recovers?


# %%
def recover(loss_of, bias, steps=100):
    """Accuracy after each ten steps from a wrong output bias."""
    torch.manual_seed(0)
    model = relu_network()
    nn.init.zeros_(model[-1].bias)
    model[-1].bias.data[0] = bias
    updates, found = torch.optim.SGD(model.parameters(), lr=0.1), []
    for step in range(steps + 1):
        if step % 10 == 0:
            found.append(accuracy(model))
        batch = torch.randint(len(train_inputs), (64,))
        loss = loss_of(model(train_inputs[batch]), train_labels[batch])
        updates.zero_grad()
        loss.backward()
        updates.step()
    return found


def squared_error(logits, labels):
    target = nn.functional.one_hot(labels, 10)
    return (logits.softmax(1) - target).square().sum(1).mean()


entropy_recovers = recover(nn.functional.cross_entropy, 15.0)
square_recovers = recover(squared_error, 15.0)
plot(
    {"cross-entropy": entropy_recovers, "squared error": square_recovers},
    "measurement, every ten steps",
    "accuracy",
    "Accuracy over 100 steps from a wrong bias. With cross-entropy it rises "
    "at once, with a squared error it stays at one tenth.",
)

# %% [markdown]
# **In Keras** pass logits and say so. The default, `from_logits=False`, expects probabilities: put logits in, and they
# are clipped and normalized without a word.
#
# ```python
# import keras
# import numpy as np
#
# logits, labels = np.array([[2.0, -1.0, 0.5]]), np.array([0])
# right = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
# wrong = keras.losses.SparseCategoricalCrossentropy()
# assert abs(float(right(labels, logits)) - float(wrong(labels, logits))) > 0.1
# ```
#
# ## Exercises
#
# ### 1. Tanh or sigmoid?
#
# Which one has the larger slope at $x=5$? Which saturates sooner? Find the point where the two slopes are equal.

# %% tags=["solution"] jupyter={"source_hidden": true}
def slope(activation, x):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(activation(x), x)[0].item()


ratio_at_five = slope(torch.sigmoid, 5.0) / slope(torch.tanh, 5.0)
print(f"at 5 the sigmoid's slope is {ratio_at_five:.0f} times tanh's")
low, high = 0.0, 5.0
for _ in range(50):
    crossing = (low + high) / 2
    steeper = slope(torch.tanh, crossing) > slope(torch.sigmoid, crossing)
    low, high = (crossing, high) if steeper else (low, crossing)
print(f"the slopes are equal at {crossing:.4f}")

# %% [markdown]
# ### 2. A leaky ReLU
#
# Train the network of section 3 at the rate 0.1 with `nn.ReLU` and with `nn.LeakyReLU(0.1)`. Which share of the units
# of the last hidden layer gets no gradient at all?

# %% tags=["solution"] jupyter={"source_hidden": true}
def stuck(model):
    """Share of the units of the last hidden layer without a gradient."""
    loss = nn.functional.cross_entropy(model(train_inputs), train_labels)
    (gradient,) = torch.autograd.grad(loss, model[-3].weight)
    return (gradient == 0).all(dim=1).float().mean().item()


without_gradient = {}
for activation in (nn.ReLU, lambda: nn.LeakyReLU(0.1)):
    torch.manual_seed(0)
    model = relu_network(activation)
    train(model, 150, 0.1, torch.optim.Adam)
    name = type(model[1]).__name__
    without_gradient[name] = stuck(model)
    print(f"{name}: {without_gradient[name]:.0%} of the units are stuck")

# %% [markdown]
# ### 3. Born dead
#
# A ReLU network of width 3 and depth 20 at He's scale: how likely is it that all three units of some layer are off for
# a given input? Predict it from the probability $2^{-3}$ per layer, then count in 500 networks.

# %% tags=["solution"] jupyter={"source_hidden": true}
torch.manual_seed(0)
h = torch.randn(500, 3, 1)
for _ in range(20):
    h = torch.relu(torch.randn(500, 3, 3) @ h)
born_dead = (h == 0).all(dim=1).float().mean().item()
predicted_dead = 1 - (1 - 2**-3) ** 20
print(f"predicted {predicted_dead:.3f}, counted {born_dead:.3f}")

# %% [markdown]
# ## What you have shown
#
# A gain makes one layer right at one scale. Whether thirty layers stay right depends on how the activation answers to
# another scale. A unit that is never on does not learn, and a loss that fits the output keeps the gradient where it is
# needed most. Sources: He et al. (2015); Lu et al. (2020), “Dying ReLU and Initialization”; Hendrycks & Gimpel (2016).
