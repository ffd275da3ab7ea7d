/** Plain SGD on the digits: 64 pixels, the layers of types.js, 10 logits. Twin: snippets/laboratory/explorer.py. */
import { arrayOf, backward, delta, draw, forward, makeLayer, product } from "./engine.js"
import { STREAM, transposed, words } from "./rng.js"

const PIXELS = 64
const CLASSES = 10
const ROWS = 64
const TEST = 360

/** The images of snippets/laboratory/digits.py; the last are those of the test set. */
export async function loadDigits() {
  const answer = await fetch(new URL("../../downloads/explorer/digits.json", import.meta.url))
  if (!answer.ok) throw new Error(`the digits did not come: ${answer.status}`)
  const { levels, labels } = await answer.json()
  // The letter a is 0.
  const pixels = Float64Array.from(levels, (letter) => letter.charCodeAt(0) - 97)
  const known = pixels.subarray(0, -TEST * PIXELS)
  const mean = known.reduce((sum, pixel) => sum + pixel) / known.length
  const std = Math.sqrt(known.reduce((sum, pixel) => sum + (pixel - mean) ** 2, 0) / known.length)
  return { images: Float32Array.from(pixels, (pixel) => (pixel - mean) / std), labels: Array.from(labels, Number) }
}

/**
 * Gives {step, loss} after each step, undefined in between so that a slice can end there; returns {losses, accuracy}.
 * @param {import("./types.js").Settings} settings complete
 */
export function* train(settings, steps, { images, labels }) {
  const { depth, width, seed, learning_rate } = settings
  const array = arrayOf(settings)
  const known = labels.length - TEST
  const scratch = new array(Math.max(width, PIXELS) * width)
  const layers = []

  function add(own, index, fanIn, fanOut) {
    const layer = makeLayer(own, index, fanIn, fanOut, draw(own, index, fanIn, fanOut))
    const unit = layer.unit.map((value) => layer.scale * value)
    layers.push({ ...layer, unit, scale: 1, biases: layer.biases ?? new array(fanOut) })
  }

  function* through(chosen) {
    let h = new array(chosen.length * PIXELS)
    chosen.forEach((image, i) => h.set(images.subarray(image * PIXELS, (image + 1) * PIXELS), i * PIXELS))
    const states = []
    for (const layer of layers) {
      states.push(forward(layer, h, chosen.length))
      h = states.at(-1).out
      yield
    }
    return states
  }

  for (let index = 1; index <= depth; index++) {
    add(settings, index, index > 1 ? width : PIXELS, width)
    yield
  }
  // The readout is layer 0: the same at every depth.
  add({ ...settings, activation: "identity", batch_norm: false, skip: false }, 0, width, CLASSES)

  const losses = []
  for (let step = 0; step < steps; step++) {
    const chosen = Array.from(words(seed, STREAM.batch, step, ROWS), (word) => Math.floor((word / 2 ** 32) * known))
    const states = yield* through(chosen)
    let { loss, g } = crossEntropy(states.at(-1).out, chosen.map((image) => labels[image]))
    for (let index = depth; index >= 0; index--) {
      const layer = layers[index]
      const d = delta(layer, states[index], g, ROWS)
      if (index) g = backward(layer, d, g, ROWS, scratch)
      descend(layer, d, states[index].h, learning_rate)
      yield
    }
    losses.push(loss)
    yield { step, loss }
  }

  const test = labels.map((_, image) => image).slice(known)
  const logits = (yield* through(test)).at(-1).out
  const right = test.filter((image, i) => largest(rowOf(logits, i)) === labels[image])
  return { losses, accuracy: right.length / TEST }
}

const rowOf = (logits, i) => logits.subarray(i * CLASSES, (i + 1) * CLASSES)
const largest = (row) => row.reduce((best, value, i) => (value > row[best] ? i : best), 0)

/** Mean in nats, and its gradient in the logits. */
function crossEntropy(logits, labels) {
  const g = logits.slice()
  let loss = 0
  labels.forEach((label, i) => {
    const row = rowOf(g, i), most = row[largest(row)]
    const total = row.reduce((sum, value) => sum + Math.exp(value - most), 0)
    loss += (Math.log(total) + most - row[label]) / ROWS
    row.forEach((value, j) => (row[j] = (Math.exp(value - most) / total - (j === label)) / ROWS))
  })
  return { loss, g }
}

function descend({ unit, biases, fanIn, fanOut }, d, h, rate) {
  const gradient = unit.slice()
  product(transposed(d, ROWS, fanOut), transposed(h, ROWS, fanIn), gradient, fanOut, fanIn, ROWS)
  for (let i = 0; i < unit.length; i++) unit[i] -= rate * gradient[i]
  for (let j = 0; j < fanOut; j++) {
    let sum = 0
    for (let i = j; i < d.length; i += fanOut) sum += d[i]
    biases[j] -= rate * sum
  }
}
