# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab: Make it explode, then hold it
#
# You blow up a network in three ways, tell them apart by their traces, and hold each by what fits it: the scale, the
# learning rate, clipping.
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
# ## 2. By the scale
#
# ReLU layers whose weights are `scale` times He's. He's scale keeps the mean square, so the signal grows by `scale` in
# each layer.


# %%
def network(depth, scale=1.0, width=64):
    layers, fan_in = [], 64
    for _ in range(depth):
        linear = nn.Linear(fan_in, width)
        nn.init.normal_(linear.weight, std=scale * math.sqrt(2 / fan_in))
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
        fan_in = width
    last = nn.Linear(width, 10)
    nn.init.normal_(last.weight, std=1 / math.sqrt(width))
    return nn.Sequential(*layers, last)


def first_inf(scale, kind, depth=140):
    """The first hidden layer whose output holds an Inf, as a number."""
    torch.manual_seed(0)
    h = train_inputs[:64].to(kind)
    for layer, linear in enumerate(network(depth, scale)[:-1:2], start=1):
        h = torch.relu(h @ linear.weight.detach().to(kind).T)
        if h.isinf().any():
            return layer
    return None


overflow = {}
for kind in (torch.float16, torch.bfloat16, torch.float32):
    overflow[kind] = first_inf(2, kind), first_inf(1, kind)
    print(f"{kind}: twice He {overflow[kind][0]}, He {overflow[kind][1]}")

# %% [markdown]
# float16 ends at $65{,}504\approx2^{16}$, and the signal doubles in each layer. bfloat16 has the exponent of float32,
# so it ends where float32 does.
#
# ## 3. By the learning rate
#
# At He's scale the start is healthy. Train at three learning rates and write down the norm of the gradient.


# %%
def train(model, steps=100, learning_rate=0.1, limit=None):
    """SGD; returns losses and gradient norms, the latter before clipping."""
    updates = torch.optim.SGD(model.parameters(), lr=learning_rate)
    losses, norms = [], []
    for _ in range(steps):
        batch = torch.randint(len(train_inputs), (64,))
        loss = nn.functional.cross_entropy(
            model(train_inputs[batch]), train_labels[batch]
        )
        updates.zero_grad()
        loss.backward()
        bound = math.inf if limit is None else limit
        norm = nn.utils.clip_grad_norm_(model.parameters(), bound)
        if not norm.isfinite():
            losses += [math.nan] * (steps - len(losses))
            break
        updates.step()
        losses.append(loss.item())
        norms.append(norm.item())
    return losses, norms


def accuracy(model):
    """Share of the test images that get the right class."""
    with torch.no_grad():
        correct = model(test_inputs).argmax(dim=1) == test_labels
    return correct.float().mean().item()


results, norms_by_rate = {}, {}
for rate in (0.01, 0.1, 1.0):
    torch.manual_seed(0)
    model = network(10)
    losses, norms_by_rate[rate] = train(model, learning_rate=rate)
    results[rate] = accuracy(model)
    print(f"rate {rate}: largest norm {max(norms_by_rate[rate]):.1f}, "
          f"accuracy {results[rate]:.0%}")
plot(
    {f"rate {rate}": norms for rate, norms in norms_by_rate.items()},
    "step",
    "norm of the gradient",
    "Norm of the gradient over the steps on a logarithmic axis, for three "
    "learning rates. At 0.01 it stays of order one. At 1 it leaves that "
    "range within the first steps.",
    log=True,
)

# %% [markdown]
# The trace of a scale that is too large is there **before the first step**. The trace of a learning rate that is too
# large comes **after** some. That tells the two apart.
#
# ## 4. Hold it by its norm
#
# The same network at the learning rate 0.3, with and without clipping to the norm 1. Clipping by the global norm
# changes the length of a gradient, never its direction.

# %%
clipped = {}
for limit in (None, 1.0):
    torch.manual_seed(0)
    model = network(10)
    _, norms = train(model, 150, 0.3, limit)
    clipped[limit] = accuracy(model)
    acted = sum(norm > 1 for norm in norms)
    print(f"limit {limit}: norm above 1 in {acted} of {len(norms)} steps, "
          f"accuracy {clipped[limit]:.0%}")

# %% [markdown]
# How often did it act? If it acts in every step, it is a learning rate by another name.
#
# **In Keras** clipping is an argument of the optimizer, and the names differ: `clipnorm` clips each array by itself and
# so turns the direction; `global_clipnorm` does what `clip_grad_norm_` does.
#
# ```python
# import keras
#
# turns = keras.optimizers.SGD(0.1, clipnorm=1.0)
# keeps_direction = keras.optimizers.SGD(0.1, global_clipnorm=1.0)
# ```
#
# ## Exercises
#
# ### 1. By value
#
# Take the gradient of a fresh network and clip it by value to a hundredth of its largest entry. What is the cosine
# between before and after?

# %% tags=["solution"] jupyter={"source_hidden": true}
torch.manual_seed(0)
model = network(10)
loss = nn.functional.cross_entropy(model(train_inputs), train_labels)
parts = torch.autograd.grad(loss, list(model.parameters()))
gradient = torch.cat([part.flatten() for part in parts])
limit = gradient.abs().max() / 100
by_value = gradient.clamp(-limit, limit)
cosine = nn.functional.cosine_similarity(gradient, by_value, dim=0).item()
print(f"cosine {cosine:.2f}, an angle of {math.degrees(math.acos(cosine)):.0f}°")

# %% [markdown]
# ### 2. Through time
#
# Multiply a gradient 100 times by the same random matrix, scaled to the spectral radii 0.9, 1 and 1.1. How does its
# norm change? Then put a tanh with its slope into each step.

# %% tags=["solution"] jupyter={"source_hidden": true}
torch.manual_seed(0)
matrix = torch.randn(64, 64, dtype=torch.float64)
matrix /= torch.linalg.eigvals(matrix).abs().max()
through_time = {}
for radius in (0.9, 1.0, 1.1):
    state = torch.randn(64, dtype=torch.float64)
    linear, tanh = torch.ones(64, dtype=torch.float64), torch.eye(64).double()
    for _ in range(100):
        linear = radius * matrix.T @ linear
        state = torch.tanh(radius * matrix @ state)
        tanh = (1 - state**2)[:, None] * (radius * matrix) @ tanh
    through_time[radius] = linear.norm().item() / 8, tanh.norm().item() / 8
    print(f"radius {radius}: linear {through_time[radius][0]:.1e}, "
          f"tanh {through_time[radius][1]:.1e}")

# %% [markdown]
# ### 3. Residual blocks
#
# A block adds a branch to its input: two He layers of 64 units with a ReLU between them. What happens to the mean
# square over 30 blocks? Scale the branches so that it stays.

# %% tags=["solution"] jupyter={"source_hidden": true}
# A branch brings twice the mean square of its input, so a block triples
# it. Over √30 each: (1 + 2/30)^30, which stays below e².
residual = {}
for name, factor in (("as it is", 1.0), ("over √30", 30**-0.5), ("zero", 0.0)):
    torch.manual_seed(0)
    h = torch.randn(256, 64)
    start = h.square().mean()
    for _ in range(30):
        first, second = torch.randn(2, 64, 64) * math.sqrt(2 / 64)
        h = h + factor * torch.relu(h @ first) @ second
    residual[name] = (h.square().mean() / start).item()
    print(f"{name}: the mean square grows by {residual[name]:.3g}")

# %% [markdown]
# ## What you have shown
#
# Three explosions, three traces: a scale shows before the first step, a learning rate after some, a residual stream at
# the output. Clipping by the global norm bounds a step and keeps its direction; it does not mend a scale. Sources:
# Pascanu, Mikolov & Bengio (2013); De & Smith (2020).
