/** Gradient growth per layer by batch size, as snippets/batch_normalization/experiment_gradient_growth.py has it. */
import { normal } from "../explorer/rng.js"
import { digits } from "./play.js"

const WIDTH = 96, DEPTH = 14

export const controls = [
  { name: "batch", label: "Batch size", min: 2, max: 7, step: 0.25, value: 5, of: (power) => Math.round(2 ** power), say: String },
  { name: "activation", label: "Activation", options: ["ReLU", "linear"], value: "ReLU" },
]

/** Mean square of dL/dz, layer 1 first: dense layer, batch normalization (batch statistics), activation. */
export function growth(batch, activation, seed = 0) {
  const relu = activation === "ReLU"
  let h = normal(seed, 2, 0, batch * WIDTH)
  const layers = []
  for (let layer = 1; layer <= DEPTH; layer++) {
    const weight = normal(seed, 0, layer, WIDTH * WIDTH)
    const z = new Float64Array(batch * WIDTH), spread = new Float64Array(WIDTH)
    for (let k = 0; k < batch; k++) {
      for (let i = 0; i < WIDTH; i++) {
        let sum = 0
        for (let j = 0; j < WIDTH; j++) sum += weight[i * WIDTH + j] * h[k * WIDTH + j]
        z[k * WIDTH + i] = sum / Math.sqrt(WIDTH)
      }
    }
    for (let i = 0; i < WIDTH; i++) {
      let mean = 0, square = 0
      for (let k = 0; k < batch; k++) mean += z[k * WIDTH + i] / batch
      for (let k = 0; k < batch; k++) square += (z[k * WIDTH + i] - mean) ** 2 / batch
      spread[i] = Math.sqrt(square + 1e-12)
      for (let k = 0; k < batch; k++) z[k * WIDTH + i] = (z[k * WIDTH + i] - mean) / spread[i]
    }
    layers.push({ weight, z, spread })
    h = relu ? z.map((one) => Math.max(one, 0)) : z
  }
  let g = normal(seed, 3, 0, batch * WIDTH)
  const squares = []
  for (const { weight, z, spread } of layers.toReversed()) {
    const d = g.map((one, i) => (relu && z[i] <= 0 ? 0 : one))
    let total = 0
    for (let i = 0; i < WIDTH; i++) {
      let mean = 0, along = 0
      for (let k = 0; k < batch; k++) mean += d[k * WIDTH + i] / batch
      for (let k = 0; k < batch; k++) along += (d[k * WIDTH + i] * z[k * WIDTH + i]) / batch
      for (let k = 0; k < batch; k++) {
        const at = k * WIDTH + i
        d[at] = (d[at] - mean - z[at] * along) / spread[i]
        total += d[at] ** 2
      }
    }
    squares.unshift(total / d.length)
    g = new Float64Array(batch * WIDTH)
    for (let k = 0; k < batch; k++) {
      for (let i = 0; i < WIDTH; i++) {
        const one = d[k * WIDTH + i] / Math.sqrt(WIDTH)
        for (let j = 0; j < WIDTH; j++) g[k * WIDTH + j] += one * weight[i * WIDTH + j]
      }
    }
  }
  return squares
}

/** Geometric mean per layer; two layers at each end are left out, where the signals settle. */
export const factor = (squares) => (squares[1] / squares[DEPTH - 3]) ** (1 / (DEPTH - 4))

export function show({ batch, activation }) {
  const squares = growth(batch, activation), each = factor(squares)
  const rate = activation === "linear" ? (batch > 3 ? (batch - 2) / (batch - 3) : Infinity) : Math.PI / (Math.PI - 1)
  const what = activation === "linear" ? "(B − 2)/(B − 3)" : "π/(π − 1), the limit of large batches"
  return {
    axes: [{ label: "layer", low: 1, high: DEPTH, ticks: [1, 4, 7, 10, 14] }, { label: "mean squared gradient, that of the last layer = 1", low: 1e-1, high: 1e6, log: true }],
    lines: [
      { points: squares.map((_, i) => [i + 1, rate ** (DEPTH - 1 - i)]), color: "--c5", dashed: true },
      { points: squares.map((one, i) => [i + 1, one / squares.at(-1)]), color: "--c1", name: "squared gradient" },
    ],
    words: `Batches of ${batch}: the squared gradient grows by a factor of <strong>${digits(each)}</strong> per layer on its way
      down, and by ${digits(squares[0] / squares.at(-1))} from layer ${DEPTH} to the first. Theory (dashed): ${what} = ${digits(rate)}. Measured on one
      network of ${WIDTH} units at its initialization.`,
  }
}
