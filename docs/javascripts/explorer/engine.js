/** One forward and one backward pass through the network of types.js, as the PyTorch of snippets/laboratory/explorer.py. */
import { FUNCTIONS } from "./activations.js"
import { normal, STREAM, transposed, uniform, weights } from "./rng.js"
import { BATCH, BINS, SATURATED } from "./settings.js"
import { predict, throughLayers } from "./theory.js"

export const EPSILON = 1e-5
const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127

/** The standard deviation that each scheme gives to the weights. */
const DEVIATION = {
  lecun: (fanIn) => Math.sqrt(1 / fanIn),
  xavier: (fanIn, fanOut) => Math.sqrt(2 / (fanIn + fanOut)),
  he: (fanIn) => Math.sqrt(2 / fanIn),
  pytorch: (fanIn) => Math.sqrt(1 / (3 * fanIn)),
  small: () => 0.01,
  unit: () => 1,
}

export const deviation = ({ scheme, gain }, fanIn, fanOut) => gain * DEVIATION[scheme](fanIn, fanOut)

/**
 * out = scale * a b' for matrices a of m x k, b of n x k; m >= 2, n >= 4. Sums are float64. Blocks of 2 x 4 share what
 * they load; the last ones overlap those before.
 */
export function product(a, b, out, m, n, k, scale) {
  if (out instanceof Float32Array && vanishing(a)) return vanishingProduct(a, b, out, m, n, k, scale)
  for (let row = 0; row < m; row += 2) {
    const i = Math.min(row, m - 2)
    const a0 = i * k, a1 = a0 + k
    for (let column = 0; column < n; column += 4) {
      const j = Math.min(column, n - 4)
      const b0 = j * k, b1 = b0 + k, b2 = b1 + k, b3 = b2 + k
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0
      for (let l = 0; l < k; l++) {
        const x = a[a0 + l], y = a[a1 + l]
        const p = b[b0 + l], q = b[b1 + l], r = b[b2 + l], s = b[b3 + l]
        s00 += x * p; s01 += x * q; s02 += x * r; s03 += x * s
        s10 += y * p; s11 += y * q; s12 += y * r; s13 += y * s
      }
      const o = i * n + j, u = o + n
      out[o] = scale * s00; out[o + 1] = scale * s01; out[o + 2] = scale * s02; out[o + 3] = scale * s03
      out[u] = scale * s10; out[u + 1] = scale * s11; out[u + 2] = scale * s12; out[u + 3] = scale * s13
    }
  }
}

const vanishing = (values) => {
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]) < 2 ** -110)) return false
  return true
}

/** The same with every partial sum in float32: where these vanish, float32 hardware has 0 and float64 sums have not. */
function vanishingProduct(a, b, out, m, n, k, scale) {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let l = 0; l < k; l++) sum = Math.fround(sum + scale * a[i * k + l] * b[j * k + l])
      out[i * n + j] = sum
    }
  }
}

/** A layer of the network of `settings`: weights in units of `scale`, which are those of `draw` (by default, drawn). */
export function makeLayer(settings, index, fanIn, fanOut, unit) {
  const { distribution, seed, bias, precision } = settings
  const array = precision === "float64" ? Float64Array : Float32Array
  let biases = null
  if (bias) {
    const [draw, std] = bias === "pytorch" ? [uniform, 1 / Math.sqrt(3 * fanIn)] : [normal, bias]
    biases = array.from(draw(seed, STREAM.bias, index, fanOut), (value) => std * value)
  }
  return {
    fanIn,
    fanOut,
    unit: unit ?? array.from(weights(distribution, seed, index, fanOut, fanIn)),
    scale: deviation(settings, fanIn, fanOut),
    biases,
    norm: settings.batch_norm,
    phi: FUNCTIONS[settings.activation],
    // What a skip connection adds to must have its shape.
    branch: settings.skip && fanIn === fanOut ? settings.branch_scale : null,
  }
}

/** Takes h, rows x fanIn, through a layer; `watch` sees the preactivations before batch normalization. */
export function forward(layer, h, rows, watch) {
  const { fanOut, biases, phi, branch } = layer
  const array = h.constructor
  const z = new array(rows * fanOut)
  product(h, layer.unit, z, rows, fanOut, layer.fanIn, layer.scale)
  if (biases) for (let i = 0; i < z.length; i++) z[i] += biases[i % fanOut]
  watch?.(z)
  const inverse = layer.norm ? normalizeBatch(z, rows, fanOut) : null
  const out = new array(z.length), slope = new array(z.length)
  for (let i = 0; i < z.length; i++) {
    out[i] = phi.value(z[i])
    slope[i] = phi.slope(z[i], out[i])
  }
  if (branch !== null) for (let i = 0; i < z.length; i++) out[i] = h[i] + branch * out[i]
  return { h, z, inverse, slope, out }
}

/** z in standard units of each column; returns 1 over the standard deviations. */
function normalizeBatch(z, rows, columns) {
  const inverse = new Float64Array(columns)
  for (let j = 0; j < columns; j++) {
    let mean = 0, variance = 0
    for (let i = j; i < z.length; i += columns) mean += z[i] / rows
    for (let i = j; i < z.length; i += columns) variance += (z[i] - mean) ** 2 / rows
    inverse[j] = 1 / Math.sqrt(variance + EPSILON)
    for (let i = j; i < z.length; i += columns) z[i] = (z[i] - mean) * inverse[j]
  }
  return inverse
}

/** dL/dz, before batch normalization, from the gradient g of what a layer gave out. */
export function delta(layer, { z, inverse, slope }, g, rows) {
  const d = new g.constructor(g.length)
  for (let i = 0; i < g.length; i++) d[i] = (layer.branch ?? 1) * g[i] * slope[i]
  if (!inverse) return d
  const columns = layer.fanOut
  for (let j = 0; j < columns; j++) {
    let mean = 0, along = 0
    for (let i = j; i < d.length; i += columns) {
      mean += d[i] / rows
      along += (d[i] * z[i]) / rows
    }
    for (let i = j; i < d.length; i += columns) d[i] = inverse[j] * (d[i] - mean - z[i] * along)
  }
  return d
}

/** dL/dh of what went into a layer; `scratch` has room for its weights. */
export function backward(layer, d, g, rows, scratch) {
  const { fanIn, fanOut } = layer
  const out = new d.constructor(rows * fanIn)
  product(d, transposed(layer.unit, fanOut, fanIn, scratch), out, rows, fanIn, fanOut, layer.scale)
  if (layer.branch !== null) for (let i = 0; i < out.length; i++) out[i] += g[i]
  return out
}

/** |d'h|^2 = sum over b, c of (d_b . d_c)(h_b . h_c): the weight gradient's length without the weight gradient. */
function weightGradientRms(d, h, rows, fanOut, fanIn) {
  const dd = new Float64Array(rows * rows), hh = new Float64Array(rows * rows)
  product(d, d, dd, rows, rows, fanOut, 1)
  product(h, h, hh, rows, rows, fanIn, 1)
  const square = dd.reduce((sum, value, i) => sum + value * hh[i], 0)
  const rms = Math.sqrt(Math.max(square, 0) / (fanOut * fanIn)) // rounding may leave a sum of 0 just under it
  return d instanceof Float32Array ? toFloat32(rms) : rms
}

const toFloat32 = (value) => (value > LARGEST_FLOAT32 ? Infinity : Math.fround(value))

function moments(values) {
  let sum = 0, square = 0, around = 0
  for (let i = 0; i < values.length; i++) {
    sum += values[i]
    square += values[i] * values[i]
  }
  const mean = sum / values.length
  for (let i = 0; i < values.length; i++) around += (values[i] - mean) ** 2
  return { rms: Math.sqrt(square / values.length), mean, std: Math.sqrt(around / values.length) }
}

function histogram(values, range) {
  const counts = new Array(BINS).fill(0)
  if (!Number.isFinite(range)) return counts
  for (let i = 0; i < values.length; i++) {
    const bin = Math.floor((values[i] / range + 1) * (BINS / 2))
    counts[bin < 0 ? 0 : bin < BINS ? bin : BINS - 1] += 1 / values.length
  }
  return counts
}

function cosine(h, columns) {
  let along = 0, first = 0, second = 0
  for (let i = 0; i < columns; i++) {
    along += h[i] * h[columns + i]
    first += h[i] * h[i]
    second += h[columns + i] ** 2
  }
  return along / Math.sqrt(first * second)
}

function health(slope, columns, steepest) {
  const alive = new Uint8Array(columns)
  let saturated = 0
  for (let i = 0; i < slope.length; i++) {
    if (slope[i] !== 0) alive[i % columns] = 1
    if (Math.abs(slope[i]) < SATURATED * steepest) saturated++
  }
  return { saturated: saturated / slope.length, dead: alive.filter((one) => !one).length / columns }
}

/** The inputs, unit normal; the second has a cosine of about 0.5 with the first. */
function inputs({ seed, width, precision }) {
  const x = normal(seed, STREAM.input, 0, BATCH * width)
  for (let i = 0; i < width; i++) x[width + i] = 0.5 * x[i] + Math.sqrt(0.75) * x[width + i]
  return precision === "float64" ? x : Float32Array.from(x)
}

// Drawing takes longer than a pass: the weights last drawn are kept, whatever the gain or the activation.
const kept = { of: "", units: [] }

function keptUnit(settings, index) {
  const { distribution, seed, width, precision } = settings
  const of = [distribution, seed, width, precision].join()
  if (kept.of !== of) Object.assign(kept, { of, units: [] })
  return kept.units[index]
}

/**
 * @param {import("./types.js").Settings} settings complete, as `normalise` returns them
 * @returns {import("./types.js").Pass}
 */
export function pass(settings) {
  const { depth, width } = settings
  const layers = []
  for (let index = 1; index <= depth; index++) {
    const layer = makeLayer(settings, index, width, width, keptUnit(settings, index))
    kept.units[index] = layer.unit
    layers.push(layer)
  }
  const { steepest } = layers[0].phi
  const bounded = !settings.skip && ["sigmoid", "tanh"].includes(settings.activation)

  const result = {
    activation: { rms: [], mean: [], std: [], histogram: { range: [], counts: [] } },
    preactivation: { std: [] },
    gradient: { rms: new Array(depth) },
    weight_gradient: { rms: new Array(depth) },
    cosine: [],
    saturated: [],
    dead: [],
    first: { overflow_forward: null, zero_forward: null, overflow_backward: null, zero_backward: null },
  }
  const note = (direction, values, rms, layer) => {
    if (rms === 0) result.first[`zero_${direction}`] ??= layer
    if (!Number.isFinite(rms) && !values.every(Number.isFinite)) result.first[`overflow_${direction}`] ??= layer
  }

  const states = []
  let h = inputs(settings)
  for (const layer of layers) {
    const state = forward(layer, h, BATCH, (z) => result.preactivation.std.push(moments(z).std))
    states.push(state)
    h = state.out
    const { rms, mean, std } = moments(h)
    const range = bounded || rms === 0 ? 1 : 4 * rms
    const { saturated, dead } = health(state.slope, width, steepest)
    result.activation.rms.push(rms)
    result.activation.mean.push(mean)
    result.activation.std.push(std)
    result.activation.histogram.range.push(range)
    result.activation.histogram.counts.push(histogram(h, range))
    result.cosine.push(cosine(h, width))
    result.saturated.push(saturated)
    result.dead.push(dead)
    note("forward", h, rms, states.length)
  }

  let g = h.constructor.from(normal(settings.seed, STREAM.gradient, 0, BATCH * width))
  const scratch = new h.constructor(width * width)
  for (let index = depth; index > 0; index--) {
    const { rms } = moments(g)
    const layer = layers[index - 1], state = states[index - 1]
    const d = delta(layer, state, g, BATCH)
    result.gradient.rms[index - 1] = rms
    result.weight_gradient.rms[index - 1] = weightGradientRms(d, state.h, BATCH, width, width)
    note("backward", g, rms, index)
    if (index > 1) g = backward(layer, d, g, BATCH, scratch)
  }
  const forwards = throughLayers(result.activation.rms)
  const backwards = throughLayers(result.gradient.rms.toReversed())
  result.factor = { forward: forwards.factor, backward: backwards.factor }
  result.theory = predict(settings, deviation(settings, width, width), forwards.layers, backwards.layers)
  return result
}
