/** One recurrent unit at its cliff, as snippets/exploding_gradients/experiment_cliff.py has it: nothing is drawn. */
import { digits } from "./play.js"

const TIME = 50, TARGET = 0.7, RATE = 0.1, STEPS = 300, W0 = 5.25
const NONE = 100

export const controls = [
  { name: "b", label: "Start at b", min: -3.6, max: -2.6, step: 0.005, value: -3.275, say: (one) => one.toFixed(3).replace("-", "−") },
  {
    name: "limit", label: "Limit of the norm", min: -20, max: 20, value: -3, of: (power) => (power > 19 ? Infinity : Number((10 ** (power / 10)).toPrecision(2))),
    say: (one) => (one < NONE ? String(one) : "none"),
  },
]

const sigmoid = (x) => 0.5 * (1 + Math.tanh(0.5 * x))

/** Loss and its derivatives by w and b, carried forward through time. */
export function slope(w, b) {
  let x = 0, byW = 0, byB = 0
  for (let t = 0; t < TIME; t++) {
    const value = sigmoid(x), local = w * value * (1 - value)
    ;[x, byW, byB] = [w * value + b, value + local * byW, 1 + local * byB]
  }
  const value = sigmoid(x), outer = 2 * (value - TARGET) * value * (1 - value)
  return { loss: (value - TARGET) ** 2, gradient: [outer * byW, outer * byB] }
}

/** Points (w, b) and losses of 300 steps, and the longest step. */
export function descend(b, limit) {
  let point = [W0, b], longest = 0
  const losses = [], path = []
  for (let step = 0; step <= STEPS; step++) {
    const { loss, gradient } = slope(...point)
    losses.push(loss)
    path.push(point)
    if (step === STEPS) break
    const norm = Math.hypot(...gradient)
    const factor = RATE * (norm > limit ? limit / norm : 1)
    longest = Math.max(longest, factor * norm)
    point = point.map((one, i) => one - factor * gradient[i])
  }
  return { path, losses, longest }
}

const plane = { w: [4.4, 6.2], b: [-3.8, -2.2] }

let wall
/** For every w the b at which the loss falls below the half of what it is where the unit stays low. */
function cliff() {
  const found = []
  for (let w = plane.w[0]; w <= plane.w[1]; w += 0.04) {
    let low = plane.b[0], high = plane.b[1]
    if (slope(w, low).loss < 0.245) continue
    for (let i = 0; i < 20; i++) {
      const middle = (low + high) / 2
      if (slope(w, middle).loss > 0.245) low = middle
      else high = middle
    }
    found.push([w, low])
  }
  return found
}

export function show({ b, limit }) {
  const plain = descend(b, Infinity), clipped = descend(b, limit)
  wall ??= cliff()
  const lines = [
    { points: wall, color: "--c5", dashed: true, name: "the cliff", at: 0.75 },
    { points: plain.path, color: "--c1", name: "not clipped", at: 0.9 },
  ]
  if (limit < NONE) lines.push({ points: clipped.path, color: "--c0", name: "clipped", at: 0.6 })
  lines.push({ points: [[W0, b]], color: "--c5", dots: true, name: "start", at: 0 })
  return {
    axes: [
      { label: "w", low: plane.w[0], high: plane.w[1], ticks: [4.5, 5, 5.5, 6] },
      { label: "b", low: plane.b[0], high: plane.b[1], ticks: [-3.5, -3, -2.5] },
    ],
    lines,
    words: `From w = 5.25, b = ${b.toFixed(3).replace("-", "−")}: without a limit the longest of 300 steps is
      <strong>${digits(plain.longest)}</strong> long and the loss ends at ${digits(plain.losses.at(-1))}. ${limit < NONE
        ? `With the norm clipped at ${limit} no step is longer than ${digits(clipped.longest)}, and the loss ends at
          <strong>${digits(clipped.losses.at(-1))}</strong>.`
        : "There is no limit."} The learning rate is 0.1.`,
  }
}
