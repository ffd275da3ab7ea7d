# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab: Xavier initialization, both directions
#
# You measure what a layer does to a signal and to a gradient, find the two conditions that Glorot and Bengio found,
# meet them as far as they can be met, and see where their assumptions end.
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
# ## 2. One layer, forward and back
#
# A linear layer with $n$ inputs and $m$ outputs, weights of variance $v$. Send random numbers through it, and others
# back through its transpose.


# %%
def factors(n, m, v):
    """Mean square after over before: forward, and on the way back."""
    weight = torch.randn(m, n) * math.sqrt(v)
    signal, gradient = torch.randn(n, 2000), torch.randn(m, 2000)
    forward = (weight @ signal).square().mean() / signal.square().mean()
    back = (weight.T @ gradient).square().mean() / gradient.square().mean()
    return forward.item(), back.item()


torch.manual_seed(0)
for n, m in ((400, 400), (600, 200), (200, 600)):
    forward, back = factors(n, m, v=1 / 400)
    print(f"{n} to {m}: forward {forward:.2f}, back {back:.2f}")

# %% [markdown]
# Forward the factor is $n v$, on the way back $m v$. To keep the signal takes $v=1/n$, to keep the gradient $v=1/m$.
# **Xavier** takes
#
# $$
# v=\frac{2}{n+m},
# $$
#
# which keeps both where $n=m$. Elsewhere one direction gains what the other loses.

# %%
torch.manual_seed(0)
shared = {}
for n, m in ((400, 400), (600, 200), (200, 600)):
    shared[n, m] = factors(n, m, v=2 / (n + m))
    forward, back = shared[n, m]
    print(f"{n} to {m}: forward {forward:.2f}, back {back:.2f}")
    print(f"    their sum is {forward + back:.2f}")

# %% [markdown]
# ## 3. A deep network
#
# Twenty tanh layers of 128 units on the digits. Three scales: a third of Xavier's variance, which was usual before,
# Xavier's, and nine times as much.


# %%
def tanh_network(depth, v, width=128, activation=nn.Tanh):
    """`depth` hidden layers of variance v / width, no biases."""
    layers, fan_in = [], 64
    for _ in range(depth):
        linear = nn.Linear(fan_in, width)
        nn.init.normal_(linear.weight, std=math.sqrt(v / fan_in))
        nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
        fan_in = width
    last = nn.Linear(width, 10)
    nn.init.xavier_normal_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


def signal(model):
    """Root of the mean square behind each activation."""
    h, sizes = train_inputs, []
    with torch.no_grad():
        for layer in model:
            h = layer(h)
            if not isinstance(layer, nn.Linear):
                sizes.append(h.square().mean().sqrt().item())
    return sizes


sizes = {}
for v in (1 / 3, 1, 9):
    torch.manual_seed(0)
    sizes[v] = signal(tanh_network(20, v))
plot(
    {"a third": sizes[1 / 3], "Xavier": sizes[1], "nine times": sizes[9]},
    "layer",
    "root mean square",
    "Size of the activations over twenty layers on a logarithmic axis. At a "
    "third of the variance they fall by four powers of ten, under Xavier "
    "slowly, at nine times they stay near one.",
    log=True,
)

# %% [markdown]
# At a third each layer keeps $1/\sqrt3$. At nine times the signal stands at the walls of tanh, where its slope is
# nearly 0 for many units. Under Xavier it fades slowly: tanh lies a little below the identity, so its mean square goes
# as $1/(2l)$.
#
# Which of the three learns?

# %%
accuracies = {}
for v in (1 / 3, 1, 9):
    torch.manual_seed(0)
    model = tanh_network(20, v)
    train(model, 150, 0.05)
    accuracies[v] = accuracy(model)
    print(f"{v:.2f} times Xavier's variance: accuracy {accuracies[v]:.0%}")

# %% [markdown]
# **In Keras** every dense layer starts so: `kernel_initializer="glorot_uniform"` is the default, and biases start at 0.
# PyTorch's default is another, with a third of $1/n$ and random biases. To get the same in both, say it:
#
# ```python
# import keras
#
# layer = keras.layers.Dense(128, "tanh", kernel_initializer="glorot_uniform")
# layer.build((None, 64))
# bound = (6 / (64 + 128)) ** 0.5
# assert abs(keras.ops.max(layer.kernel)) <= bound
# ```
#
# ## Exercises
#
# ### 1. The bound
#
# `nn.init.xavier_uniform_` draws from $(-b,b)$. Which $b$ gives the variance $2/(n+m)$? Check with a layer of 300
# inputs and 100 outputs.

# %% tags=["solution"] jupyter={"source_hidden": true}
# b²/3 = 2/(n + m), so b = √(6/(n + m)).
torch.manual_seed(0)
weight = nn.init.xavier_uniform_(torch.empty(100, 300))
bound = math.sqrt(6 / 400)
print(f"b = {bound:.4f}, largest weight {weight.abs().max():.4f}")
bound_ratio = weight.var().item() / (2 / 400)
print(f"variance over 2/(n + m): {bound_ratio:.3f}")

# %% [markdown]
# ### 2. The sigmoid
#
# Train five hidden layers with `nn.Sigmoid` under Xavier, 200 steps, and the same with tanh. Which assumption does the
# sigmoid break?

# %% tags=["solution"] jupyter={"source_hidden": true}
# Two: its slope at 0 is 1/4, and its mean is 1/2.
five = {}
for activation in (nn.Sigmoid, nn.Tanh):
    torch.manual_seed(0)
    model = tanh_network(5, 1, activation=activation)
    train(model, 200, 0.1)
    five[activation] = accuracy(model)
    print(f"{activation.__name__}: accuracy {five[activation]:.0%}")

# %% [markdown]
# ### 3. After the first step
#
# Xavier is a promise about step 0. Train five tanh layers for 100 steps with the learning rates 0.1 and 3, and look at
# `signal` before and after.

# %% tags=["solution"] jupyter={"source_hidden": true}
after = {}
for rate in (0.1, 3.0):
    torch.manual_seed(0)
    model = tanh_network(5, 1)
    before = signal(model)[-1]
    train(model, 100, rate)
    after[rate] = signal(model)[-1], accuracy(model)
    print(f"rate {rate}: last layer {before:.2f} before, {after[rate][0]:.2f}"
          f" after; accuracy {after[rate][1]:.0%}")
print("At 1 every unit stands at a wall of tanh.")

# %% [markdown]
# ## What you have shown
#
# A layer has two factors, $n\operatorname{Var}[W]$ and $m\operatorname{Var}[W]$, and one number to meet both. Xavier is
# the compromise, for activations with slope 1 and mean 0 at the origin, at step 0. Source: Glorot & Bengio (2010),
# “Understanding the difficulty of training deep feedforward neural networks”, section 4.2.
