# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab: What batch normalization takes over
#
# You write the layer, see that it makes the scale of the weights harmless and turns it into a learning rate, and fall
# into its traps: the running statistics, the small batch, the deep plain network.
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

# %% [markdown]
# ## 2. The layer
#
# For each feature, over the batch:
#
# $$
# \hat z=\frac{z-\mu}{\sqrt{\sigma^2+\varepsilon}},\qquad y=\gamma\hat z+\beta .
# $$


# %%
def normalize(z, epsilon=1e-5):
    """Each column with mean 0 and variance 1 over the batch."""
    variance = z.var(dim=0, correction=0)
    return (z - z.mean(dim=0)) / (variance + epsilon).sqrt()


torch.manual_seed(0)
z = 3 + 5 * torch.randn(32, 4)
theirs = nn.BatchNorm1d(4)(z).detach()
difference = (normalize(z) - theirs).abs().max().item()
print(f"largest difference from nn.BatchNorm1d: {difference:.0e}")

# %% [markdown]
# `correction=0`: the variance is divided by the number of examples, not by one less.
#
# ## 3. The scale of the weights
#
# Five ReLU layers, with and without it, their initial weights multiplied by 1/8, 1 and 8.


# %%
def network(depth, scale=1.0, norm=True, width=64, bias=False):
    layers, fan_in = [], 64
    for _ in range(depth):
        linear = nn.Linear(fan_in, width, bias=bias)
        nn.init.normal_(linear.weight, std=scale * math.sqrt(2 / fan_in))
        layers += [linear, nn.BatchNorm1d(width)] if norm else [linear]
        layers.append(nn.ReLU())
        fan_in = width
    return nn.Sequential(*layers, nn.Linear(width, 10))


def train(model, steps=100, learning_rate=0.1, size=64):
    """Plain SGD; returns the loss of every step."""
    updates, losses = torch.optim.SGD(model.parameters(), learning_rate), []
    model.train()
    for _ in range(steps):
        batch = torch.randint(len(train_inputs), (size,))
        loss = nn.functional.cross_entropy(
            model(train_inputs[batch]), train_labels[batch]
        )
        updates.zero_grad()
        loss.backward()
        updates.step()
        losses.append(loss.item())
    return losses


def accuracy(model, running=True):
    """On the test images; `running` says by which statistics."""
    model.train(not running)
    momenta = [m for m in model if isinstance(m, nn.BatchNorm1d)]
    with torch.no_grad():
        for layer in momenta:
            layer.momentum, layer.kept = 0.0, layer.momentum
        correct = model(test_inputs).argmax(dim=1) == test_labels
        for layer in momenta:
            layer.momentum = layer.kept
    return correct.float().mean().item()


scales = {}
for norm in (True, False):
    for scale in (1 / 8, 1, 8):
        torch.manual_seed(0)
        model = network(5, scale, norm)
        train(model)
        scales[norm, scale] = accuracy(model, running=False)
    shown = ", ".join(f"{scales[norm, scale]:.0%}" for scale in (1 / 8, 1, 8))
    print(f"{'with' if norm else 'without'}: {shown}")

# %% [markdown]
# The normalization divides by whatever scale it finds. So is the scale gone? Compare two networks with the same draws,
# one with ten times the weights before its normalizations, at the same rate, and at a hundred times the rate for those
# weights.


# %%
def losses_with(scale, rate_of_weights, steps=100):
    torch.manual_seed(0)
    model = network(3, scale).double()
    model[-1].weight.data.mul_(0.1)
    weights = [layer.weight for layer in model[:-1:3]]
    others = [p for p in model.parameters()
              if not any(p is w for w in weights)]
    updates = torch.optim.SGD(
        [{"params": weights, "lr": rate_of_weights}, {"params": others}], 0.1
    )
    losses = []
    for _ in range(steps):
        batch = torch.randint(len(train_inputs), (64,))
        loss = nn.functional.cross_entropy(
            model(train_inputs[batch].double()), train_labels[batch]
        )
        updates.zero_grad()
        loss.backward()
        updates.step()
        losses.append(loss.item())
    return losses


compared = {
    "He, rate 0.1": losses_with(1, 0.1),
    "10 He, rate 0.1": losses_with(10, 0.1),
    "10 He, rate 10": losses_with(10, 10.0),
}
plot(
    compared,
    "step",
    "training loss (nats)",
    "Three losses over 100 steps. He at rate 0.1 and ten times He at rate "
    "10 lie on each other. Ten times He at rate 0.1 falls more slowly.",
)
pairs = zip(compared["He, rate 0.1"], compared["10 He, rate 10"], strict=True)
same = max(abs(a - b) for a, b in pairs)
print(f"largest difference of the two that agree: {same:.0e}")

# %% [markdown]
# The scale has become a **learning rate**: ten times the weights are a hundredth of the rate. What is left of the
# difference is ε, which is not scaled along.
#
# ## 4. Training and test
#
# At test time the layer uses running averages. PyTorch gives each new batch the weight 0.1, Keras 0.01. Train 30 steps
# and evaluate by both.

# %%
lag = {}
for momentum in (0.1, 0.01):
    torch.manual_seed(0)
    model = network(3)
    for layer in model:
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = momentum
    train(model, 30)
    lag[momentum] = accuracy(model, running=False), accuracy(model)
    print(f"weight {momentum}: by the batch {lag[momentum][0]:.0%}, "
          f"by running averages {lag[momentum][1]:.0%}")

# %% [markdown]
# Nothing was overfitted. **In Keras** this is the default, and the word momentum means the opposite: `momentum=0.99` is
# the weight of the old. For the layer of PyTorch say
#
# ```python
# import keras
#
# layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
# layer.build((None, 4))
# assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
# ```
#
# ## Exercises
#
# ### 1. Batches of two
#
# What is left of a feature in a batch of two? Train with batches of 2 and of 64, each for 200 steps, and compare.

# %% tags=["solution"] jupyter={"source_hidden": true}
pair = normalize(torch.tensor([[0.3, 100.0], [0.9, -5.0]]), epsilon=0)
print(pair)  # only which of the two is larger
batch_sizes = {}
for size in (2, 64):
    torch.manual_seed(0)
    model = network(5)
    train(model, 200, 0.05, size)
    batch_sizes[size] = accuracy(model, running=False)
    print(f"batches of {size}: accuracy {batch_sizes[size]:.0%}")

# %% [markdown]
# ### 2. Gradients grow
#
# Measure the norm of the gradient of each weight in a network of 20 layers with batch normalization, before training.
# Does it keep the size of the gradient?

# %% tags=["solution"] jupyter={"source_hidden": true}
torch.manual_seed(0)
model = network(20, width=128)
loss = nn.functional.cross_entropy(model(train_inputs), train_labels)
weights = [layer.weight for layer in model if isinstance(layer, nn.Linear)]
norms = [g.norm().item() for g in torch.autograd.grad(loss, weights)]
growth = (norms[1] / norms[18]) ** (1 / 17)
print(f"per layer, towards the input: {growth:.3f}")
print(f"√(π/(π − 1)) = {math.sqrt(math.pi / (math.pi - 1)):.3f}")

# %% [markdown]
# ### 3. Fold it away
#
# At test time a linear layer and the normalization behind it are one linear layer. Compute it from the running
# statistics and check on the test images.

# %% tags=["solution"] jupyter={"source_hidden": true}
torch.manual_seed(0)
model = network(1)
train(model, 50)
model.eval()
linear, norm = model[0], model[1]
with torch.no_grad():
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded = nn.Linear(64, 64)
    folded.weight.copy_(factor[:, None] * linear.weight)
    folded.bias.copy_(norm.bias - factor * norm.running_mean)
    fold_error = (folded(test_inputs) - model[:2](test_inputs)).abs().max()
print(f"largest difference {fold_error:.0e}")

# %% [markdown]
# ## What you have shown
#
# Batch normalization takes the scale of the weights before it out of the function and puts it into the learning rate.
# It fixes the signal, not the gradient, and it makes training and test two things. Sources: Ioffe & Szegedy (2015); van
# Laarhoven (2017); Yang et al. (2019).
