/** Forward and backward through the network of types.js. Its twin in PyTorch: snippets/laboratory/explorer.py. */
import { normal, STREAM, transposed, uniform, weights } from "./rng.js"
import { BATCH, BINS, SATURATED } from "./settings.js"

const LEAK = 0.01
const SELU = 1.0507009873554805
const SELU_BELOW = SELU * 1.6732632423543772

// Where a comparison with NaN falls is where it falls in PyTorch.
export const FUNCTIONS = {
  identity: { value: (z) => z, slope: () => 1, steepest: 1 },
  sigmoid: { value: (z) => 1 / (1 + Math.exp(-z)), slope: (z, h) => h * (1 - h), steepest: 0.25 },
  tanh: { value: Math.tanh, slope: (z, h) => 1 - h * h, steepest: 1 },
  relu: { value: (z) => (z <= 0 ? 0 : z), slope: (z) => (z <= 0 ? 0 : 1), steepest: 1 },
  leaky_relu: { value: (z) => (z > 0 ? z : LEAK * z), slope: (z) => (z > 0 ? 1 : LEAK), steepest: 1 },
  gelu: { value: (z) => z * below(z), slope: (z) => below(z) + z * density(z), steepest: 1.1289 },
  selu: {
    value: (z) => (z > 0 ? SELU * z : SELU_BELOW * Math.expm1(z)),
    slope: (z) => (z > 0 ? SELU : SELU_BELOW * Math.exp(z)),
    steepest: SELU_BELOW,
  },
}

const density = (z) => Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)

/** Probability of a standard normal variable under z, to 1e-15, by a series whose terms have one sign. */
function below(z) {
  if (Math.abs(z) > 8.5) return z > 0 ? 1 : 0
  let term = z * density(z), sum = term
  for (let odd = 3; Math.abs(term) > 1e-17 * Math.abs(sum); odd += 2) sum += term *= (z * z) / odd
  return 0.5 + sum
}

const DEVIATIONS = {
  lecun: (fanIn) => 1 / fanIn,
  xavier: (fanIn, fanOut) => 2 / (fanIn + fanOut),
  he: (fanIn) => 2 / fanIn,
  pytorch: (fanIn) => 1 / (3 * fanIn),
  small: () => 1e-4,
  unit: () => 1,
}

/** Standard deviation of the weights. */
export const deviation = ({ scheme, gain }, fanIn, fanOut) => gain * Math.sqrt(DEVIATIONS[scheme](fanIn, fanOut))

export const arrayOf = ({ precision }) => (precision === "float64" ? Float64Array : Float32Array)

/** out = scale * a b', a of m x k, b of n x k, m > 1, n > 3; blocks of 2 x 4, of which the last overlap. */
export function product(a, b, out, m, n, k, scale = 1) {
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

function vanishing(values) {
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]) < 2 ** -110)) return false
  return true
}

/** Every partial sum in float32: hardware has 0 where a sum in float64 still has something. */
function vanishingProduct(a, b, out, m, n, k, scale) {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let l = 0; l < k; l++) sum = Math.fround(sum + scale * a[i * k + l] * b[j * k + l])
      out[i * n + j] = sum
    }
  }
}

/** Weights in units of their standard deviation. */
export const draw = (settings, index, fanIn, fanOut) =>
  new (arrayOf(settings))(weights(settings.distribution, settings.seed, index, fanOut, fanIn))

/** A layer with the weights scale * unit. */
export function makeLayer(settings, index, fanIn, fanOut, unit) {
  const { bias, seed } = settings
  const [numbers, std] = bias === "pytorch" ? [uniform, 1 / Math.sqrt(3 * fanIn)] : [normal, bias]
  return {
    fanIn,
    fanOut,
    unit,
    scale: deviation(settings, fanIn, fanOut),
    biases: bias ? arrayOf(settings).from(numbers(seed, STREAM.bias, index, fanOut), (value) => std * value) : null,
    norm: settings.batch_norm,
    phi: FUNCTIONS[settings.activation],
    // What a skip connection adds to must have its shape.
    branch: settings.skip && fanIn === fanOut ? settings.branch_scale : null,
  }
}

/** Takes h, rows x fanIn, through a layer; `spread` is that of the preactivations before batch normalization. */
export function forward({ fanIn, fanOut, unit, scale, biases, norm, phi, branch }, h, rows) {
  const z = new h.constructor(rows * fanOut), out = z.slice(), slope = z.slice()
  product(h, unit, z, rows, fanOut, fanIn, scale)
  if (biases) for (let i = 0; i < z.length; i++) z[i] += biases[i % fanOut]
  const spread = moments(z).std
  const inverse = norm && normalizeBatch(z, rows, fanOut)
  for (let i = 0; i < z.length; i++) {
    out[i] = phi.value(z[i])
    slope[i] = phi.slope(z[i], out[i])
  }
  if (branch !== null) for (let i = 0; i < z.length; i++) out[i] = h[i] + branch * out[i]
  return { h, z, spread, inverse, slope, out }
}

/** Standardizes each column of z; returns 1 over their standard deviations. */
function normalizeBatch(z, rows, columns) {
  const inverse = new Float64Array(columns)
  for (let j = 0; j < columns; j++) {
    let mean = 0, variance = 0
    for (let i = j; i < z.length; i += columns) mean += z[i] / rows
    for (let i = j; i < z.length; i += columns) variance += (z[i] - mean) ** 2 / rows
    inverse[j] = 1 / Math.sqrt(variance + 1e-5)
    for (let i = j; i < z.length; i += columns) z[i] = (z[i] - mean) * inverse[j]
  }
  return inverse
}

/** dL/dz, before batch normalization, from the gradient g of what the layer gave out. */
export function delta({ fanOut, branch }, { z, inverse, slope }, g, rows) {
  const d = g.map((value, i) => (branch ?? 1) * value * slope[i])
  for (let j = 0; inverse && j < fanOut; j++) {
    let mean = 0, along = 0
    for (let i = j; i < d.length; i += fanOut) {
      mean += d[i] / rows
      along += (d[i] * z[i]) / rows
    }
    for (let i = j; i < d.length; i += fanOut) d[i] = inverse[j] * (d[i] - mean - z[i] * along)
  }
  return d
}

/** dL/dh of what went into the layer; `scratch` has room for its weights. */
export function backward({ fanIn, fanOut, unit, scale, branch }, d, g, rows, scratch) {
  const out = new d.constructor(rows * fanIn)
  product(d, transposed(unit, fanOut, fanIn, scratch), out, rows, fanIn, fanOut, scale)
  if (branch !== null) for (let i = 0; i < out.length; i++) out[i] += g[i]
  return out
}

/** |d'h|^2 = sum over b, c of (d_b . d_c)(h_b . h_c): the size of the weight gradient without the weight gradient. */
function weightGradientRms(d, h, width) {
  const dd = new Float64Array(BATCH ** 2), hh = dd.slice()
  product(d, d, dd, BATCH, BATCH, width)
  product(h, h, hh, BATCH, BATCH, width)
  // As an entry: as large and as small as those can be.
  return new d.constructor([Math.sqrt(Math.max(dot(dd, hh), 0)) / width])[0]
}

function moments(values) {
  const n = values.length
  let sum = 0, square = 0, around = 0
  for (let i = 0; i < n; i++) {
    sum += values[i]
    square += values[i] * values[i]
  }
  for (let i = 0; i < n; i++) around += (values[i] - sum / n) ** 2
  return { rms: Math.sqrt(square / n), mean: sum / n, std: Math.sqrt(around / n) }
}

function histogram(values, range) {
  const counts = new Array(BINS).fill(0)
  for (let i = 0; range < Infinity && i < values.length; i++) {
    const bin = Math.floor((values[i] / range + 1) * (BINS / 2))
    counts[Math.max(0, Math.min(BINS - 1, bin))] += 1 / values.length
  }
  return counts
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0)
const firstTwo = (h, columns) => [h.subarray(0, columns), h.subarray(columns, 2 * columns)]

function cosine(h, columns) {
  const [a, b] = firstTwo(h, columns)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

/** Unit normal, but for the second: at 60 degrees to the first, and as long. */
function inputs({ precision, seed, width }) {
  const x = normal(seed, STREAM.input, 0, BATCH * width)
  const [a, b] = firstTwo(x, width)
  const along = dot(a, b) / dot(a, a)
  b.forEach((value, i) => (b[i] -= along * a[i]))
  const scale = Math.sqrt((0.75 * dot(a, a)) / dot(b, b))
  b.forEach((value, i) => (b[i] = 0.5 * a[i] + scale * value))
  return new (arrayOf({ precision }))(x)
}

function health(slope, columns, steepest) {
  const dead = new Uint8Array(columns).fill(1)
  let saturated = 0
  for (let i = 0; i < slope.length; i++) {
    if (slope[i] !== 0) dead[i % columns] = 0
    if (Math.abs(slope[i]) < SATURATED * steepest) saturated++
  }
  return { saturated: saturated / slope.length, dead: dead.reduce((sum, one) => sum + one) / columns }
}

/** Over how many layers, from the first, a list is finite and not 0. */
export function alive(rms) {
  const end = rms.findIndex((value) => !(value > 0 && value < Infinity))
  return end < 0 ? rms.length : end
}

/** Geometric mean per layer. */
export const factor = (rms, layers) => (layers < 2 ? null : (rms[layers - 1] / rms[0]) ** (1 / (layers - 1)))

// Drawing takes longer than a pass: the last weights are kept, whatever the gain and the activation.
let kept = {}

/** @param {import("./types.js").Settings} settings complete  @returns {import("./types.js").Pass} but for `theory` */
export function pass(settings) {
  const { activation, depth, distribution, precision, seed, skip, width } = settings
  const of = [distribution, precision, seed, width].join()
  if (kept.of !== of) kept = { of, units: [] }

  const array = arrayOf(settings)
  const bounded = !skip && ["sigmoid", "tanh"].includes(activation)
  const layers = []
  let h = inputs(settings)
  for (let index = 1; index <= depth; index++) {
    const unit = (kept.units[index] ??= draw(settings, index, width, width))
    const layer = makeLayer(settings, index, width, width, unit)
    const state = forward(layer, h, BATCH)
    h = state.out
    const own = moments(h)
    const range = bounded || !own.rms ? 1 : 4 * own.rms
    layers.push({
      ...own,
      ...health(state.slope, width, layer.phi.steepest),
      layer,
      state,
      spread: state.spread,
      range,
      counts: histogram(h, range),
      cosine: cosine(h, width),
    })
  }

  let g = array.from(normal(seed, STREAM.gradient, 0, BATCH * width))
  const scratch = new array(width * width)
  for (const one of layers.toReversed()) {
    const d = delta(one.layer, one.state, g, BATCH)
    one.gradient = moments(g).rms
    one.weightGradient = weightGradientRms(d, one.state.h, width)
    if (one !== layers[0]) g = backward(one.layer, d, g, BATCH, scratch)
  }

  const all = (name) => layers.map((one) => one[name])
  const rms = all("rms"), gradient = all("gradient"), backwards = gradient.toReversed()
  const overflows = (value) => !Number.isFinite(value), vanishes = (value) => value === 0
  return {
    activation: { rms, mean: all("mean"), std: all("std"), histogram: { range: all("range"), counts: all("counts") } },
    preactivation: { std: all("spread") },
    gradient: { rms: gradient },
    weight_gradient: { rms: all("weightGradient") },
    cosine: all("cosine"),
    saturated: all("saturated"),
    dead: all("dead"),
    factor: { forward: factor(rms, alive(rms)), backward: factor(backwards, alive(backwards)) },
    first: {
      overflow_forward: rms.findIndex(overflows) + 1 || null,
      overflow_backward: gradient.findLastIndex(overflows) + 1 || null,
      zero_forward: rms.findIndex(vanishes) + 1 || null,
      zero_backward: gradient.findLastIndex(vanishes) + 1 || null,
    },
  }
}
