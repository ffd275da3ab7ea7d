/** Equal units stay equal, as snippets/weight_initialization/experiment_symmetry.py claims; here on XOR, to be seen. */
import { normal } from "../explorer/rng.js"
import { digits } from "./play.js"

const UNITS = 4, STEPS = 600, RATE = 0.5
const INPUTS = [[-1, -1], [-1, 1], [1, -1], [1, 1]], TARGETS = [0, 1, 1, 0]

export const controls = [
  {
    name: "noise", label: "Noise on equal weights", min: -9, max: 0, value: -9,
    of: (power) => (power < -8 ? 0 : 10 ** (power / 2)), say: (one) => (one ? `σ = ${Number(one.toPrecision(2))}` : "none"),
  },
]

/** The first weight of each hidden unit by step, the losses, and the largest difference between two units at the end. */
export function train(noise, seed = 0) {
  const draw = normal(seed, 0, 1, UNITS * 4)
  const units = Array.from({ length: UNITS }, (_, i) => [0.5, 0.3, 0.1, 0.5].map((one, j) => one + noise * draw[4 * i + j]))
  let out = 0
  const paths = units.map(() => []), losses = []
  for (let step = 0; step <= STEPS; step++) {
    units.forEach(([first], i) => paths[i].push(first))
    const slopes = units.map(() => [0, 0, 0, 0])
    let loss = 0, bySum = 0
    INPUTS.forEach(([x, y], n) => {
      const h = units.map(([a, b, c]) => Math.tanh(a * x + b * y + c))
      const p = 1 / (1 + Math.exp(-h.reduce((sum, one, i) => sum + one * units[i][3], out)))
      loss -= Math.log(TARGETS[n] ? p : 1 - p) / 4
      const error = (p - TARGETS[n]) / 4
      bySum += error
      h.forEach((one, i) => {
        const inner = error * units[i][3] * (1 - one * one)
        ;[inner * x, inner * y, inner, error * one].forEach((slope, j) => (slopes[i][j] += slope))
      })
    })
    losses.push(loss)
    units.forEach((unit, i) => unit.forEach((_, j) => (unit[j] -= RATE * slopes[i][j])))
    out -= RATE * bySum
  }
  const apart = Math.max(...units.flatMap((unit) => unit.map((one, j) => Math.abs(one - units[0][j]))))
  return { paths, losses, apart }
}

export function show({ noise }) {
  const { paths, losses, apart } = train(noise)
  const all = paths.flat()
  const reach = Math.ceil(Math.max(...all.map(Math.abs), 1))
  return {
    axes: [{ label: "step", low: 0, high: STEPS }, { label: "weight", low: -reach, high: reach }],
    lines: paths.map((path, i) => ({
      points: path.map((one, step) => [step, one]), color: `--c${i}`, name: i ? "" : "one weight of each unit",
    })),
    words: `${noise ? `With noise of ${digits(noise)} the` : "The"} four hidden units ${apart ? `are ${digits(apart)} apart after` : "are still exactly equal after"}
      ${STEPS} steps; the loss on XOR is <strong>${digits(losses.at(-1))}</strong>. Guessing gives ln 2 = 0.693, and one unit alone
      cannot do XOR.`,
  }
}
