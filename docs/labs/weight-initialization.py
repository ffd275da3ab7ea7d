# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab: Three things a start decides
#
# Symmetry, scale, and the first loss. You break each, see what the network does, and find how exactly the scale must be
# met as depth grows.
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


def plot(lines, xlabel, ylabel, alt, ticks=None):
    """Draw named lines; `alt` is a text for those who cannot see them."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for (name, values), mark in zip(lines.items(), "os^Dv", strict=False):
        few = len(values) < 40
        style = {"marker": mark if few else None, "markersize": 4}
        axes.plot(range(1, len(values) + 1), values, label=name, **style)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if ticks:
        axes.set_xticks(range(1, len(ticks) + 1), ticks)
    figure.legend(frameon=False, loc="outside upper center", ncols=3)
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
# ## 2. Symmetry
#
# One hidden layer of 32 units. All weights start at zero, at a constant, at a constant with noise, or under Xavier. How
# many different units has the hidden layer after training? Count the singular values of its weight that are above a
# tenth of the largest.


# %%
def shallow():
    return nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))


def start(model, kind):
    for layer in (model[0], model[2]):
        nn.init.zeros_(layer.bias)
        nn.init.constant_(layer.weight, 0 if kind == "zero" else 0.1)
        if kind == "constant with noise":
            layer.weight.data *= 1 + 0.01 * torch.randn_like(layer.weight)
        if kind == "Xavier":
            nn.init.xavier_normal_(layer.weight)
    return model


symmetry = {}
for kind in ("zero", "constant", "constant with noise", "Xavier"):
    torch.manual_seed(0)
    model = start(shallow(), kind)
    train(model, 200, 0.1)
    values = torch.linalg.svdvals(model[0].weight.detach())
    directions = int((values > 0.1 * values[0]).sum()) if values[0] else 0
    symmetry[kind] = directions, accuracy(model)
    print(f"{kind:20} {directions:2} directions, "
          f"accuracy {symmetry[kind][1]:.0%}")

# %% [markdown]
# From zero no weight moves: the hidden activations are 0, so the last weights get nothing, and they are 0, so nothing
# passes below. From a constant all units stay equal: one direction. A little noise breaks the symmetry, and slowly.
#
# ## 3. Scale, and how exactly
#
# ReLU networks whose weights are He's times a factor. With 2, 8 and 20 layers: for which factors do they learn in 200
# steps?


# %%
def deep(depth, factor, width=64):
    layers, fan_in = [], 64
    for _ in range(depth):
        linear = nn.Linear(fan_in, width)
        nn.init.normal_(linear.weight, std=factor * math.sqrt(2 / fan_in))
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
        fan_in = width
    return nn.Sequential(*layers, nn.Linear(width, 10))


factors = [0.5, 0.7, 1.0, 1.4, 2.0]
learned = {}
for depth in (2, 8, 20):
    learned[depth] = []
    for factor in factors:
        torch.manual_seed(0)
        model = deep(depth, factor)
        train(model, 200, 0.05)
        learned[depth].append(accuracy(model))
    shown = " ".join(f"{share:4.0%}" for share in learned[depth])
    print(f"{depth:2} layers: {shown}")
plot(
    {f"{depth} layers": values for depth, values in learned.items()},
    "factor on He's weights",
    "accuracy",
    "Accuracy for five factors on He's weights. With two layers all learn. "
    "With twenty only factors near one do.",
    factors,
)

# %% [markdown]
# The formula of He contains no depth. Depth decides what a mistake costs: a factor $f$ in each layer is a factor $f^L$
# for the network.
#
# ## 4. The first loss
#
# A rare class: is the digit a 7 with a heavy stroke? We make one up that is true for few of the images. The bias of the
# output starts at 0, or at the log odds $\ln\frac{p}{1-p}$.

# %%
rare = ((train_labels == 7) & (train_inputs.mean(1) > 0.02)).float()
share = rare.mean()
print(f"{share:.1%} of the training images")
entropy = -(share * share.log() + (1 - share) * (1 - share).log()).item()
first_losses = {}
for name, bias in (("bias 0", 0.0), ("log odds", (share / (1 - share)).log())):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 1))
    model[2].weight.data *= 0.1
    nn.init.constant_(model[2].bias, float(bias))
    updates, first_losses[name] = torch.optim.SGD(model.parameters(), 0.05), []
    for _ in range(60):
        loss = nn.functional.binary_cross_entropy_with_logits(
            model(train_inputs)[:, 0], rare
        )
        updates.zero_grad()
        loss.backward()
        updates.step()
        first_losses[name].append(loss.item())
    print(f"{name}: first loss {first_losses[name][0]:.3f}")
print(f"entropy of the class: {entropy:.3f}, ln 2 = {math.log(2):.3f}")
plot(
    first_losses,
    "step",
    "training loss (nats)",
    "Loss over 60 steps. From bias 0 it starts near 0.69 and falls. From "
    "the log odds it starts near the entropy, where the other one arrives "
    "many steps later.",
)

# %% [markdown]
# **In Keras** the bias has an initializer of its own:
#
# ```python
# import math
#
# import keras
#
# share = 0.02
# log_odds = keras.initializers.Constant(math.log(share / (1 - share)))
# output = keras.layers.Dense(1, bias_initializer=log_odds)
# output.build((None, 32))
# assert abs(keras.ops.sigmoid(output.bias)[0] - share) < 1e-6
# ```
#
# ## Exercises
#
# ### 1. A linear model from zero
#
# Train `nn.Linear(64, 10)` from zero weights. Does it learn? Why is the symmetry no trouble here?

# %% tags=["solution"] jupyter={"source_hidden": true}
# There are no hidden units that could be equal. Each output has its own
# target, so each row gets a gradient of its own.
torch.manual_seed(0)
linear = nn.Linear(64, 10)
nn.init.zeros_(linear.weight)
nn.init.zeros_(linear.bias)
train(linear, 200, 0.1)
linear_accuracy = accuracy(linear)
print(f"accuracy {linear_accuracy:.0%}")

# %% [markdown]
# ### 2. Orthogonal weights
#
# Multiply twenty random orthogonal 64 × 64 matrices, and twenty Gaussian ones of variance 1/64. Compare the singular
# values of the two products.

# %% tags=["solution"] jupyter={"source_hidden": true}
torch.manual_seed(0)
products = {"orthogonal": torch.eye(64), "Gaussian": torch.eye(64)}
for _ in range(20):
    step = nn.init.orthogonal_(torch.empty(64, 64))
    products["orthogonal"] = step @ products["orthogonal"]
    products["Gaussian"] = torch.randn(64, 64) / 8 @ products["Gaussian"]
spread = {}
for name, product in products.items():
    values = torch.linalg.svdvals(product)
    spread[name] = (values.median() / values[0]).item()
    print(f"{name}: median over largest {spread[name]:.1e}")

# %% [markdown]
# ### 3. Let the data find the scale
#
# Take the network of 20 layers at a factor of 0.5. Send one batch through it, layer by layer, and divide each weight by
# the standard deviation of what the layer puts out. Does it learn in 300 steps?

# %% tags=["solution"] jupyter={"source_hidden": true}
# This is LSUV, without its orthogonal start.
torch.manual_seed(0)
model = deep(20, 0.5)
with torch.no_grad():
    h = train_inputs[:256]
    for layer in model[:-1]:
        if isinstance(layer, nn.Linear):
            layer.weight /= layer(h).std()
        h = layer(h)
train(model, 300, 0.05)
rescued = accuracy(model)
print(f"accuracy {rescued:.0%} after 300 steps")

# %% [markdown]
# ## What you have shown
#
# A start must make units different, must hit a scale, the more exactly the deeper the network, and should say what is
# known already. Sources: Glorot & Bengio (2010); He et al. (2015); Mishkin & Matas (2016); Lin et al. (2017), section
# 4.1.
