/** Attention with and without 1/sqrt(d), as snippets/activation_functions/experiment_attention_scale.py has it. */
import { normal } from "../explorer/rng.js"
import { digits } from "./play.js"

const KEYS = 32, DRAWS = 1000

export const controls = [
  { name: "d", label: "Width of the head", min: 2, max: 10, value: 6, of: (power) => 2 ** power, say: (d) => `d = ${d}` },
  { name: "scale", label: "Logits", options: ["q·k", "q·k / √d"], value: "q·k" },
  { name: "temperature", label: "Temperature", min: -10, max: 10, value: 0, of: (power) => Number((10 ** (power / 10)).toPrecision(2)), say: String },
]

let drawnKeys
/** For a given query the logits are independent and normal, with the query's norm as standard deviation. */
const draws = () => (drawnKeys ??= [normal(0, 2, 0, DRAWS * KEYS), normal(0, 3, 0, DRAWS)])

/** Probabilities of every draw, the largest first. */
export function softmaxes(d, factor) {
  const [keys, queries] = draws()
  return Array.from(queries, (query, n) => {
    // Wilson and Hilferty (1931): the cube root of a chi-squared variable is nearly normal.
    const norm = Math.sqrt(d * (1 - 2 / (9 * d) + query * Math.sqrt(2 / (9 * d))) ** 3)
    const logits = keys.slice(n * KEYS, (n + 1) * KEYS).map((one) => factor * norm * one)
    const largest = Math.max(...logits)
    const powers = logits.map((one) => Math.exp(one - largest))
    const sum = powers.reduce((all, one) => all + one, 0)
    return powers.map((one) => one / sum).sort().reverse()
  })
}

/** Frobenius norm of diag(p) - p p^T. */
export function stiffness(p) {
  const square = p.reduce((sum, one) => sum + one * one, 0)
  return Math.sqrt(p.reduce((sum, one) => sum + one * one * (1 - 2 * one), 0) + square ** 2)
}

export const median = (all) => [...all].sort((a, b) => a - b)[all.length >> 1]

export function show({ d, scale, temperature }) {
  const all = softmaxes(d, (scale === "q·k" ? 1 : 1 / Math.sqrt(d)) / temperature)
  const norm = median(all.map(stiffness))
  const typical = Array.from({ length: KEYS }, (_, i) => median(all.map((p) => p[i])))
  return {
    axes: [{ label: "key, by its weight", low: 0, high: KEYS + 1, ticks: [1, 8, 16, 24, 32] }, { label: "weight", low: 0, high: 1 }],
    lines: [{ points: typical.map((one, i) => [i + 1, one]), color: "--c0", bars: true }],
    words: `Logits ${scale}${temperature === 1 ? "" : ` divided by ${temperature}`} at d = ${d}: the largest of 32 weights is
      <strong>${digits(typical[0])}</strong> and the norm of the Jacobian, by which the gradient comes back,
      <strong>${digits(norm)}</strong>; medians of ${DRAWS} draws. Equal weights would be
      1/32 = 0.0313.`,
  }
}
