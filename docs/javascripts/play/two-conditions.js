/** Xavier's two conditions in one layer, as snippets/xavier_initialization/experiment_rectangular_layers.py has it. */
import { normal, uniform } from "../explorer/rng.js"
import { digits } from "./play.js"

const SIGNALS = 16
const RULES = {
  "1/fan_in": (fanIn) => 1 / fanIn,
  "1/fan_out": (_, fanOut) => 1 / fanOut,
  "Xavier": (fanIn, fanOut) => 2 / (fanIn + fanOut),
}
const width = { min: 4, max: 9, of: (power) => 2 ** power, say: String }

export const controls = [
  { name: "fanIn", label: "fan_in", value: 8, ...width },
  { name: "fanOut", label: "fan_out", value: 6, ...width },
  { name: "rule", label: "Variance", options: Object.keys(RULES), value: "Xavier" },
]

/** Mean square of Wx over that of x, and of W'g over that of g, for one drawn layer. */
export function factors(fanIn, fanOut, rule, seed = 0) {
  const deviation = Math.sqrt(RULES[rule](fanIn, fanOut))
  const weight = uniform(seed, 0, 1, fanIn * fanOut)
  const through = (signals, from, to, at) => {
    let out = 0, into = 0
    for (let k = 0; k < SIGNALS; k++) {
      const x = signals.subarray(k * from, (k + 1) * from)
      for (const one of x) into += one * one
      for (let i = 0; i < to; i++) {
        let sum = 0
        for (let j = 0; j < from; j++) sum += weight[at(i, j)] * x[j]
        out += (deviation * sum) ** 2
      }
    }
    return out / to / (into / from)
  }
  return {
    forward: through(normal(seed, 2, 0, SIGNALS * fanIn), fanIn, fanOut, (i, j) => i * fanIn + j),
    backward: through(normal(seed, 3, 0, SIGNALS * fanOut), fanOut, fanIn, (i, j) => j * fanIn + i),
  }
}

export function show({ fanIn, fanOut, rule }) {
  const { forward, backward } = factors(fanIn, fanOut, rule)
  const variance = RULES[rule](fanIn, fanOut), here = fanIn / fanOut
  const ratios = Array.from({ length: 61 }, (_, i) => 2 ** ((i - 30) / 6))
  const at = (ratio) => [RULES[rule](ratio, 1) * ratio, RULES[rule](ratio, 1)]
  return {
    axes: [
      { label: "fan_in / fan_out", low: 1 / 32, high: 32, log: true, ticks: [0.1, 1, 10] },
      { label: "factor on the mean square", low: 1 / 32, high: 32, log: true, ticks: [0.1, 1, 10] },
    ],
    lines: [
      { points: [[1 / 32, 1], [32, 1]], color: "--c5", dashed: true },
      { points: ratios.map((ratio) => [ratio, at(ratio)[0]]), color: "--c0", name: "forward", at: 0.8 },
      { points: ratios.map((ratio) => [ratio, at(ratio)[1]]), color: "--c1", name: "backward", at: 0.05 },
      { points: [[here, forward]], color: "--c0", dots: true },
      { points: [[here, backward]], color: "--c1", dots: true },
    ],
    words: `From ${fanIn} to ${fanOut} units with ${rule}, variance ${digits(variance)}: the layer multiplies the mean square of
      the signal by <strong>${digits(forward)}</strong> (theory ${digits(fanIn * variance)}) and that of the gradient by
      <strong>${digits(backward)}</strong> (theory ${digits(fanOut * variance)}). Both are 1 only where the widths are equal.`,
  }
}
