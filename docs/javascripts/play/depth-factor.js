/** He against Xavier by depth, as snippets/he_initialization/experiment_signal_per_layer.py has it. */
import { normal } from "../explorer/rng.js"
import { digits } from "./play.js"

const WIDTH = 128, INPUTS = 4, MOST = 50, NETWORKS = 2

export const controls = [
  { name: "depth", label: "Depth", min: 2, max: MOST, value: 30, say: (one) => `${one} layers` },
  { name: "gain", label: "Variance", min: 10, max: 40, value: 20, of: (one) => one / 10, say: (one) => `${one} / n` },
]

/** Mean square of the activations of ReLU networks with variance 2/n after each layer, the geometric mean. */
export function signal(networks = NETWORKS) {
  const logs = new Float64Array(MOST)
  for (let seed = 0; seed < networks; seed++) {
    let h = normal(seed, 2, 0, INPUTS * WIDTH)
    for (let layer = 1; layer <= MOST; layer++) {
      const weight = normal(seed, 0, layer, WIDTH * WIDTH), next = new Float64Array(INPUTS * WIDTH)
      let square = 0
      for (let k = 0; k < INPUTS; k++) {
        for (let i = 0; i < WIDTH; i++) {
          let sum = 0
          for (let j = 0; j < WIDTH; j++) sum += weight[i * WIDTH + j] * h[k * WIDTH + j]
          next[k * WIDTH + i] = Math.max(sum * Math.sqrt(2 / WIDTH), 0)
          square += next[k * WIDTH + i] ** 2
        }
      }
      logs[layer - 1] += Math.log(square / (INPUTS * WIDTH)) / networks
      h = next
    }
  }
  return Array.from(logs, Math.exp)
}

let known

export function show({ depth, gain }) {
  known ??= signal()
  // ReLU lets a factor pass: each layer multiplies the mean square by gain / 2 more.
  const of = (variance) => known.slice(0, depth).map((one, i) => [i + 1, one * (variance / 2) ** (i + 1)])
  const [yours, he, xavier] = [gain, 2, 1].map(of)
  return {
    axes: [{ label: "layer", low: 1, high: MOST, ticks: [1, 10, 20, 30, 40, 50] }, { label: "mean square of the signal", low: 1e-15, high: 1e15, log: true }],
    lines: [
      { points: he, color: "--c0", name: "He, 2/n" },
      { points: xavier, color: "--c1", name: "Xavier, 1/n" },
      { points: yours, color: "--c2", dashed: true },
    ],
    words: `After ${depth} ReLU layers of ${WIDTH} units the mean square of the signal is <strong>${digits(he.at(-1)[1])}</strong> with
      He, <strong>${digits(xavier.at(-1)[1])}</strong> with Xavier, and ${digits(yours.at(-1)[1])} with your variance of ${gain}/n (dashed):
      in theory a factor of ${digits(gain / 2)} per layer. Two networks this narrow
      stray from it by a few percent per layer.`,
  }
}
