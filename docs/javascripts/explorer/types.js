/**
 * What the explorer computes, and what passes between page and worker. For readers and editors: no page loads it.
 *
 * The network: h_0 = x holds BATCH inputs of `width` entries, and every layer l = 1..depth computes
 *
 *   z_l = W_l h_{l-1} + b_l,   then batch normalization of z_l (batch statistics, eps 1e-5, no scale and shift),
 *   h_l = phi(z_l),            or with skip connections h_l = h_{l-1} + branch_scale * phi(z_l).
 *
 * L = sum(G * h_depth) with G standard normal, so the gradient enters at the top with a root mean square of 1.
 *
 * @typedef {object} Settings plain JSON, the state of the URL
 * @property {number} depth
 * @property {number} width
 * @property {string} activation one of ACTIVATIONS
 * @property {string} scheme one of SCHEMES: the standard deviation of the weights
 * @property {number} gain multiplies the scheme's standard deviation
 * @property {string} distribution one of DISTRIBUTIONS: its shape
 * @property {number|"pytorch"} bias standard deviation of normal biases, or U(+-1/sqrt(fan_in)) as nn.Linear has them
 * @property {boolean} batch_norm
 * @property {boolean} skip
 * @property {number} branch_scale
 * @property {number} seed the same seed draws the same network
 * @property {number} learning_rate of "train", plain SGD
 * @property {"float32"|"float64"} precision not a control
 *
 * @typedef {object} Pass one entry per layer, layer 1 first; Infinity and NaN are content
 * @property {{rms: number[], mean: number[], std: number[], histogram: Histogram}} activation of h_l
 * @property {{std: number[]}} preactivation of W_l h_{l-1} + b_l, before batch normalization
 * @property {{rms: number[]}} gradient dL/dh_l
 * @property {{rms: number[]}} weight_gradient dL/dW_l
 * @property {number[]} cosine between h_l of the first two inputs, which is 0.5 at h_0; NaN where one vanishes
 * @property {number[]} saturated fraction of entries with |phi'(z)| under SATURATED times the largest slope
 * @property {number[]} dead fraction of units with phi'(z) = 0 for every input
 * @property {{forward: number|null, backward: number|null}} factor geometric mean per layer of the root mean squares
 *   of h_l and, on the way back, of dL/dh_l, over the layers where they are finite and not 0; null for fewer than 2
 * @property {Theory} theory mean field, in the same units
 * @property {{overflow_forward: number|null, overflow_backward: number|null, zero_forward: number|null,
 *   zero_backward: number|null}} first layer met, forward from layer 1 or backward from the last, with an entry of h_l
 *   (dL/dh_l) that is Infinity or NaN, or with nothing but zeros
 *
 * @typedef {object} Histogram
 * @property {number[]} range per layer: the bins divide -range..range evenly; values beyond fall into the outermost
 * @property {number[][]} counts per layer, fractions of all entries; zero is the middle of the middle bin
 *
 * @typedef {object} Theory for infinite width: the distribution of the weights plays no part
 *   Poole et al. (2016) and Schoenholz et al. (2017) for the plain network, Yang & Schoenholz (2017) for skip
 *   connections, Yang et al. (2019) for batch normalization, here for every activation to first order in 1 / BATCH.
 *   At finite width the gradient of skip connections with ReLU or GELU exceeds it by an excess of order 1 / width.
 * @property {number[]} forward root mean square of h_l; NaN or Infinity where float64 overflows
 * @property {number[]} backward root mean square of dL/dh_l
 * @property {{forward: number|null, backward: number|null}} factor over the same layers as the measured one
 *
 * To the worker: {id, task: "pass", settings} | {id, task: "train", settings, steps} | {task: "cancel", id}.
 * From the worker: {id, kind: "pass", result: Pass} | {id, kind: "progress", step, loss} |
 * {id, kind: "trained", losses: number[], accuracy: number} | {id, kind: "canceled"} | {id, kind: "error", message}.
 * The newest pass wins: one that waits behind it is dropped without an answer. Each training runs to its end or to its
 * cancel; several take turns, and passes run in between.
 */
export {}
