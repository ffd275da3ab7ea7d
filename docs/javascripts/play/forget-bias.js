/** The gradient of an LSTM through 50 steps, as snippets/vanishing_gradients/experiment_lstm_forget_bias.py has it. */
import { normal, uniform } from "../explorer/rng.js"
import { digits } from "./play.js"

const STEPS = 50, UNITS = 64, INPUTS = 16, EXAMPLES = 2, NETWORKS = 2
const WIDE = UNITS + INPUTS
const sigmoid = (x) => 1 / (1 + Math.exp(-x))

export const controls = [
  { name: "bias", label: "Forget bias", min: -1, max: 4, step: 0.25, value: 0, say: (one) => one.toFixed(2) },
]

/**
 * Root mean square of dL/dx_t relative to the last step, t = T, T - 1, ..., 1; the geometric mean of the
 * networks. Without a bias the gate has PyTorch's. */
export function gradients(bias, networks = NETWORKS) {
  const logs = new Float64Array(STEPS)
  for (let seed = 0; seed < networks; seed++) {
    const bound = Math.sqrt(1 / (3 * UNITS)) // times a law of variance 1: U(-1/sqrt(n), 1/sqrt(n))
    const weights = uniform(seed, 0, 1, 4 * UNITS * WIDE).map((one) => one * bound)
    const biases = uniform(seed, 1, 1, 4 * UNITS).map((one) => one * bound * Math.SQRT2)
    if (bias !== null) biases.fill(bias, UNITS, 2 * UNITS)
    for (const [i, size] of sizes(weights, biases, seed).entries()) logs[i] += Math.log(size) / networks
  }
  return [...logs].map((log) => Math.exp(log - logs[0]))
}

function sizes(weights, biases, seed) {
  const squares = new Float64Array(STEPS)
  for (let example = 0; example < EXAMPLES; example++) {
    const inputs = normal(seed, 2, example, STEPS * INPUTS)
    const steps = []
    let h = new Float64Array(UNITS), c = new Float64Array(UNITS)
    for (let t = 0; t < STEPS; t++) {
      const together = new Float64Array(WIDE)
      together.set(inputs.subarray(t * INPUTS, (t + 1) * INPUTS))
      together.set(h, INPUTS)
      const gates = biases.slice()
      for (let row = 0, at = 0; row < 4 * UNITS; row++) {
        let sum = 0
        for (let j = 0; j < WIDE; j++) sum += weights[at++] * together[j]
        gates[row] += sum
      }
      const before = c
      c = new Float64Array(UNITS)
      h = new Float64Array(UNITS)
      for (let j = 0; j < UNITS; j++) {
        const i = (gates[j] = sigmoid(gates[j])), f = (gates[UNITS + j] = sigmoid(gates[UNITS + j]))
        const g = (gates[2 * UNITS + j] = Math.tanh(gates[2 * UNITS + j]))
        const o = (gates[3 * UNITS + j] = sigmoid(gates[3 * UNITS + j]))
        c[j] = f * before[j] + i * g
        h[j] = o * Math.tanh(c[j])
      }
      steps.push({ gates, before, c })
    }
    let dh = normal(seed, 3, example, UNITS), dc = new Float64Array(UNITS)
    for (let t = STEPS - 1; t >= 0; t--) {
      const { gates, before, c } = steps[t]
      const back = new Float64Array(4 * UNITS)
      for (let j = 0; j < UNITS; j++) {
        const [i, f, g, o] = [0, 1, 2, 3].map((gate) => gates[gate * UNITS + j])
        const tanh = Math.tanh(c[j])
        const inner = dc[j] + dh[j] * o * (1 - tanh * tanh)
        back[j] = inner * g * i * (1 - i)
        back[UNITS + j] = inner * before[j] * f * (1 - f)
        back[2 * UNITS + j] = inner * i * (1 - g * g)
        back[3 * UNITS + j] = dh[j] * tanh * o * (1 - o)
        dc[j] = inner * f
      }
      const down = new Float64Array(WIDE)
      for (let row = 0, at = 0; row < 4 * UNITS; row++) for (let j = 0; j < WIDE; j++) down[j] += back[row] * weights[at++]
      for (let j = 0; j < INPUTS; j++) squares[STEPS - 1 - t] += down[j] ** 2
      dh = down.slice(INPUTS)
    }
  }
  return squares.map(Math.sqrt)
}

export function show({ bias }) {
  const found = gradients(bias), gate = sigmoid(bias)
  return {
    axes: [
      { label: "time steps back from the end", low: 0, high: STEPS },
      { label: "gradient, that of the last step = 1", low: 1e-14, high: 100, log: true },
    ],
    lines: [
      { points: found.map((_, i) => [i, gate ** i]), color: "--c5", dashed: true },
      { points: found.map((one, i) => [i, one]), color: "--c0", name: "gradient of the inputs" },
    ],
    words: `With a forget bias of ${bias.toFixed(2)} the gate stands at ${digits(gate)}. Over 49 steps back the gradient of
      the inputs becomes <strong>${digits(found.at(-1))}</strong> times what it was; the cell alone (dashed) would keep
      ${digits(gate ** (STEPS - 1))}. Measured on two LSTMs of 64 units before training.`,
  }
}
