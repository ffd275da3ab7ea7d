# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab: He initialization by hand
#
# You build a plain ReLU network that does not train, look inside it, find the number that is wrong, and set it right
# in three lines. Every output below was made by the code above it when this page was built.
#
# The lab needs `torch`, `scikit-learn`, `matplotlib` and Jupyter, no GPU and no download. It runs for some seconds.

# %% [markdown]
# ## 1. A network and its data
#
# The data are 1,797 images of handwritten digits, 8 × 8 pixels each. All pixels together are brought to mean 0 and
# standard deviation 1, so the mean square of the inputs, E[x²], is 1. The split is stratified: whoever learns nothing
# scores 10 %.

# %%
import io
import math

import matplotlib
import torch
from IPython.display import display
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

torch.set_num_threads(1)  # networks this small gain nothing from more

matplotlib.rcParams.update({"font.size": 12, "svg.hashsalt": "lab"})
matplotlib.rcParams["figure.facecolor"] = "#fbfaf7"
matplotlib.rcParams["axes.facecolor"] = "#fbfaf7"
colors = ["#1b49a2", "#d23a26", "#006e50"]  # told apart by color-blind readers
matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=colors)

pixels, labels = map(torch.from_numpy, load_digits(return_X_y=True))
train_rows, test_rows = train_test_split(
    range(len(labels)), test_size=360, stratify=labels, random_state=0
)
train_pixels = pixels[train_rows]
mean, deviation = train_pixels.mean(), train_pixels.std()
inputs = ((pixels - mean) / deviation).float()
train_inputs, train_labels = inputs[train_rows], labels[train_rows]
test_inputs, test_labels = inputs[test_rows], labels[test_rows]

print(f"{len(train_inputs)} images to train with")
print(f"E[x²] = {train_inputs.square().mean():.2f}")

# %% [markdown]
# The network is a chain: a linear layer, a ReLU, a linear layer, a ReLU, and so on. No skip connection, no
# normalization. `depth` counts the linear layers.


# %%
def plain_network(depth, width=128, activation=nn.ReLU):
    """`depth` linear layers from 64 pixels to 10 classes."""
    widths = [64] + [width] * (depth - 1)
    layers = []
    for fan_in, fan_out in zip(widths[:-1], widths[1:]):
        layers += [nn.Linear(fan_in, fan_out), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def train(model, steps=100, learning_rate=0.1):
    """Plain SGD on batches of 64; returns the loss of every step."""
    sgd = torch.optim.SGD(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        batch = torch.randint(len(train_inputs), (64,))
        logits = model(train_inputs[batch])
        loss = nn.functional.cross_entropy(logits, train_labels[batch])
        sgd.zero_grad()
        loss.backward()
        # No single step may ruin a deep network.
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        sgd.step()
        losses.append(loss.item())
    return losses


def accuracy(model):
    """Share of the test images that get the right class."""
    with torch.no_grad():
        correct = model(test_inputs).argmax(dim=1) == test_labels
    return correct.float().mean().item()


# %% [markdown]
# ## 2. The default does not train
#
# Three layers, ten, thirty: the same code, the same number of steps.

# %%
default_accuracy, default_losses = {}, {}
for depth in (3, 10, 30):
    torch.manual_seed(0)
    model = plain_network(depth)
    default_losses[depth] = train(model)
    default_accuracy[depth] = accuracy(model)
    loss = sum(default_losses[depth][-10:]) / 10
    share = default_accuracy[depth]
    print(f"{depth:2} layers: loss {loss:.2f}, accuracy {share:.0%}")

# %% [markdown]
# From ten layers on the loss stays at ln 10 = 2.303. That is the loss of a network which gives each of the ten classes
# the probability 1/10, whatever the image.
#
# ## 3. Look inside
#
# Send the training images through an untrained network and write down two numbers after each ReLU:
#
# - **E[h²]**, the mean square of the activations h, over all units and all images;
# - the **variance over images**: how much a unit differs from image to image, averaged over the units. This part
#   carries what the network knows about its input.


# %%
def look_inside(model, inputs=train_inputs):
    """E[h²] and variance over images: of the input, then after each ReLU."""
    mean_square, over_images = [], []
    h = inputs
    with torch.no_grad():
        for layer in [nn.Identity(), *model]:
            h = layer(h)
            if not isinstance(layer, (nn.Linear, nn.Conv2d)):
                mean_square.append(h.square().mean().item())
                over_images.append(h.var(dim=0).mean().item())
    return mean_square, over_images


def show(figure, alt):
    """Display a figure, with a text for those who cannot see it."""
    file = io.StringIO()
    nothing = dict.fromkeys(["Creator", "Date", "Format", "Type"])
    figure.savefig(file, format="svg", metadata=nothing)
    width, height = (round(96 * side) for side in figure.get_size_inches())
    about = {"alt": alt, "width": width, "height": height}
    display(
        {"image/svg+xml": file.getvalue(), "text/plain": alt},
        metadata={"image/svg+xml": about},
        raw=True,
    )


torch.manual_seed(0)
mean_square, over_images = look_inside(plain_network(20))

figure = Figure(figsize=(4.6, 3.2), layout="constrained")
axes = figure.subplots()
axes.semilogy(mean_square, "o-", markersize=4, label="E[h²]")
axes.semilogy(over_images, "s-", markersize=4, label="variance over images")
axes.semilogy([6.0**-l for l in range(20)], "k--", label="1/6 per layer")
axes.set(xlabel="layer", title="PyTorch's default", xticks=range(0, 20, 3))
axes.legend(frameon=False)
show(
    figure,
    "Logarithmic plot over 19 layers. The variance over images falls along "
    "the dashed line of one sixth per layer, by some fifteen powers of ten. "
    "The mean square falls with it for three layers, then stays level.",
)

# %% [markdown]
# The variance over images loses a factor of six in every layer. After 19 layers all images look the same to the
# network. What is left of E[h²] are the biases, which know nothing of the image.
#
# Where does the six come from? `nn.Linear` draws its weights uniformly from $(-b,b)$ with $b=1/\sqrt n$, where $n$ is
# `fan_in`, the number of inputs of the layer. Such a distribution has the variance $b^2/3$, so $\operatorname{Var}[W]=1/(3n)$.
#
# - A preactivation $z$ is a sum of $n$ products of a weight and an input. The weights are independent, with mean 0,
#   so E[z²] = n · Var[W] · E[h²].
# - z is symmetric around 0, and ReLU sets its negative half to 0, so the next E[h²] is half of E[z²].
#
# Together: **each layer multiplies E[h²] by n · Var[W] / 2.** With the default that is 1/6.

# %%
layer = nn.Linear(128, 128)
variance = layer.weight.var().item()
print(f"Var[W] = {variance:.5f}, 1/(3n) = {1 / (3 * 128):.5f}")
print(f"n Var[W] / 2 = {128 * variance / 2:.3f}, 1/6 = {1 / 6:.3f}")

# %% [markdown]
# ## 4. Three lines
#
# The factor is 1 when $\operatorname{Var}[W]=2/n$. That is He initialization: a normal distribution with the standard
# deviation $\sqrt{2/n}$, and biases at 0.
#
# **In Keras** that is one word, and biases start at 0 anyway:
#
# ```python
# import keras
#
# layer = keras.layers.Dense(128, "relu", kernel_initializer="he_normal")
# layer.build((None, 64))
# assert abs(float(keras.ops.std(layer.kernel)) - (2 / 64) ** 0.5) < 0.01
# ```


# %%
def he_initialize(model):
    for layer in model:
        if isinstance(layer, nn.Linear):
            std = math.sqrt(2 / layer.in_features)
            nn.init.normal_(layer.weight, mean=0.0, std=std)
            nn.init.zeros_(layer.bias)
    return model


torch.manual_seed(0)
model = he_initialize(plain_network(20))
he_mean_square, he_over_images = look_inside(model)

figure = Figure(figsize=(4.6, 3.2), layout="constrained")
axes = figure.subplots()
axes.semilogy(he_mean_square, "o-", markersize=4, label="E[h²]")
axes.semilogy(he_over_images, "s-", markersize=4, label="variance over images")
axes.semilogy(over_images, "ks:", markersize=3, label="the same, default")
axes.set(xlabel="layer", title="He", xticks=range(0, 20, 3), ylim=(1e-8, 1e2))
axes.legend(frameon=False)
show(
    figure,
    "Logarithmic plot over 19 layers. With He initialization the mean square "
    "stays near one in all layers. The variance over images sinks slowly, by "
    "about one power of ten. By default it leaves the plot at layer ten.",
)

# %% [markdown]
# E[h²] now stays near 1. It wanders, because 128 units are a sample: the wider the layers, the straighter the line.
#
# The variance over images still sinks, slowly. Two different images become more alike with every ReLU layer, even when
# their lengths are kept. He initialization does not promise otherwise.
#
# ## 5. Train 10, 20 and 30 layers

# %%
he_accuracy, he_losses = {}, {}
for depth in (10, 20, 30):
    torch.manual_seed(0)
    model = he_initialize(plain_network(depth))
    he_losses[depth] = train(model)
    he_accuracy[depth] = accuracy(model)
    loss = sum(he_losses[depth][-10:]) / 10
    share = he_accuracy[depth]
    print(f"{depth} layers: loss {loss:.2f}, accuracy {share:.0%}")


def smooth(losses, window=10):
    """Mean of the last `window` losses at every step."""
    return torch.tensor(losses).unfold(0, window, 1).mean(dim=1)


figure = Figure(figsize=(4.6, 3.2), layout="constrained")
axes = figure.subplots()
for depth, losses in he_losses.items():
    curve = smooth(losses)
    (line,) = axes.plot(curve)
    axes.text(93, curve[-1], f"He, {depth}", color=line.get_color(), va="center")
axes.plot(smooth(default_losses[30]), "k:")
axes.text(93, 2.3, "default, 30", va="center")
axes.set(xlabel="step", ylabel="training loss (nats)")
axes.set(xlim=(0, 130), ylim=(0, 2.6))
show(
    figure,
    "Training loss over 100 steps. With He initialization it falls for 10, "
    "20 and 30 layers, more slowly the deeper the network. By default it "
    "stays at 2.3 for 30 layers.",
)

# %% [markdown]
# Nothing but the scale of the initial weights has changed. Depth still costs something: 30 layers learn more slowly
# than 10. That is what skip connections and normalization are for.
#
# ## Exercises
#
# Try each one before you unfold its solution. `look_inside` is your measuring instrument.
#
# ### 1. A leaky ReLU
#
# `nn.LeakyReLU(0.5)` keeps half of a negative preactivation. Which standard deviation keeps E[h²] now? Derive it, then
# measure the mean factor per layer in a network of 20 layers.

# %% tags=["solution"] jupyter={"source_hidden": true}
# The negative half is not lost: halved, it keeps a quarter of its square.
# So E[h²] = (1 + 0.5²)/2 · E[z²], and the factor is 1 for
# Var[W] = 2 / ((1 + 0.5²) n).
torch.manual_seed(1)
leaky = plain_network(20, activation=lambda: nn.LeakyReLU(0.5))
for layer in leaky:
    if isinstance(layer, nn.Linear):
        std = math.sqrt(2 / (1 + 0.5**2) / layer.in_features)
        nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)

leaky_mean_square, _ = look_inside(leaky)
leaky_factor = (leaky_mean_square[-1] / leaky_mean_square[0]) ** (1 / 19)
print(f"factor per layer: {leaky_factor:.3f}")
print(f"with the standard deviation for ReLU: {1 + 0.5**2}")

# %% [markdown]
# ### 2. The uniform variant
#
# Some people prefer weights with a hard limit. Draw from U(−b, b) instead of the normal distribution. Which b gives
# the variance 2/n? Check with n = 300.

# %% tags=["solution"] jupyter={"source_hidden": true}
# U(−b, b) has the variance b²/3. Set b²/3 = 2/n.
n = 300
bound = math.sqrt(6 / n)
torch.manual_seed(2)
uniform_weights = torch.empty(1000, n).uniform_(-bound, bound)
uniform_ratio = uniform_weights.var().item() / (2 / n)
print(f"b = √(6/n) = {bound:.4f}")
print(f"measured variance over 2/n: {uniform_ratio:.3f}")

# %% [markdown]
# ### 3. Ten percent too wide
#
# Somebody multiplies every He standard deviation by 1.1. By how much does E[h²] grow through 30 ReLU layers? Predict
# it, then measure it: initialize a network with He, multiply its weights by 1.1, and compare the two. Does the width
# matter?

# %% tags=["solution"] jupyter={"source_hidden": true}
# The variance, not the standard deviation, enters the factor: 1.1² per
# layer. Without biases relu(1.1 z) = 1.1 relu(z) all the way up, so this
# holds for each image exactly, whatever the width.
predicted = 1.1 ** (2 * 30)
torch.manual_seed(3)
model = he_initialize(plain_network(31))
before = look_inside(model)[0][-1]
with torch.no_grad():
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.weight *= 1.1
measured = look_inside(model)[0][-1] / before
print(f"predicted {predicted:.1f}, measured {measured:.1f}")

# %% [markdown]
# ### 4. A convolution
#
# `nn.Conv2d(64, 64, 3)` has weights of the shape (64, 64, 3, 3). How many inputs does one of its outputs sum?
# Initialize ten such layers with a ReLU after each, and check that E[h²] neither dies nor explodes. Use `padding=1`
# and `padding_mode="circular"`: zeros at the border would take inputs away.

# %% tags=["solution"] jupyter={"source_hidden": true}
# Each output sums 3 · 3 pixels in each of 64 channels: fan_in = 576.
torch.manual_seed(4)
layers = []
for _ in range(10):
    conv = nn.Conv2d(64, 64, 3, padding=1, padding_mode="circular")
    conv_fan_in = conv.weight[0].numel()
    nn.init.normal_(conv.weight, std=math.sqrt(2 / conv_fan_in))
    nn.init.zeros_(conv.bias)
    layers += [conv, nn.ReLU()]

noise = torch.randn(16, 64, 8, 8)
conv_mean_square, _ = look_inside(nn.Sequential(*layers), noise)
print(f"fan_in {conv_fan_in}, E[h²] after each layer:")
print(" ".join(f"{value:.2f}" for value in conv_mean_square[1:6]))
print(" ".join(f"{value:.2f}" for value in conv_mean_square[6:]))

# %% [markdown]
# ## What you have shown
#
# One number decides: $\tfrac12n\operatorname{Var}[W]$. Below 1 the signal vanishes with depth, above 1 it explodes, and the default of
# `nn.Linear` makes it 1/6. In your own code use `nn.init.kaiming_normal_(weight, nonlinearity="relu")`, which does the
# same as the three lines, and set the biases to 0.
#
# Source: He, Zhang, Ren & Sun (2015), “Delving Deep into Rectifiers”, section 2.2.
