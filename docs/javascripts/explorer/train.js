/** Plain SGD on the digits, batch 64: the network of types.js between 64 pixels and 10 logits, a linear readout. */
import { backward, delta, forward, makeLayer, product } from "./engine.js"
import { STREAM, transposed, words } from "./rng.js"

const PIXELS = 64
const CLASSES = 10
const ROWS = 64
const TEST = 360

/** The images as snippets/laboratory/digits.py has them, in standard units over all training pixels together. */
export async function loadDigits() {
  const answer = await fetch(new URL("../../downloads/explorer/digits.json", import.meta.url))
  if (!answer.ok) throw new Error(`the digits did not come: ${answer.status}`)
  return readDigits(await answer.json())
}

/** `levels` holds a letter for each pixel, "a" to "q" for 0 to 16; the last 360 images are the test set. */
export function readDigits({ levels, labels }) {
  const pixels = Float64Array.from(levels, (letter) => letter.charCodeAt(0) - 97)
  const known = pixels.subarray(0, pixels.length - TEST * PIXELS)
  const mean = known.reduce((sum, pixel) => sum + pixel, 0) / known.length
  const std = Math.sqrt(known.reduce((sum, pixel) => sum + (pixel - mean) ** 2, 0) / known.length)
  return { images: Float32Array.from(pixels, (pixel) => (pixel - mean) / std), labels: Array.from(labels, Number) }
}

/**
 * A generator, so that it can be run in slices: gives {step, loss} after each step and undefined in between; returns
 * the losses, each of a batch before the step, and the accuracy on the test images.
 * @param {import("./types.js").Settings} settings complete, as `normalise` returns them
 * @param {number} steps
 * @param {{images: Float32Array, labels: number[]}} digits
 */
export function* train(settings, steps, { images, labels }) {
  const { depth, width, seed, learning_rate } = settings
  const array = settings.precision === "float64" ? Float64Array : Float32Array
  const layers = []
  for (let index = 1; index <= depth; index++) {
    layers.push(parameters(makeLayer(settings, index, index > 1 ? width : PIXELS, width)))
    yield
  }
  // The readout is layer 0, so that it is the same at every depth.
  const linear = { ...settings, activation: "identity", batch_norm: false, skip: false }
  layers.push(parameters(makeLayer(linear, 0, width, CLASSES)))
  const scratch = new array(Math.max(width, PIXELS) * width)

  function* through(h, rows) {
    const states = []
    for (const layer of layers) {
      states.push(forward(layer, h, rows))
      h = states.at(-1).out
      yield
    }
    return states
  }

  const known = labels.length - TEST
  const losses = []
  for (let step = 0; step < steps; step++) {
    const x = new array(ROWS * PIXELS)
    const chosen = Array.from(words(seed, STREAM.batch, step, ROWS), (word) => Math.floor((word / 2 ** 32) * known))
    chosen.forEach((image, i) => x.set(images.subarray(image * PIXELS, (image + 1) * PIXELS), i * PIXELS))
    const states = yield* through(x, ROWS)
    let { loss, g } = crossEntropy(states.at(-1).out, chosen.map((image) => labels[image]))
    losses.push(loss)
    for (let index = depth; index >= 0; index--) {
      const layer = layers[index]
      const d = delta(layer, states[index], g, ROWS)
      if (index) g = backward(layer, d, g, ROWS, scratch)
      descend(layer, d, states[index].h, learning_rate)
      yield
    }
    yield { step, loss }
  }

  const states = yield* through(array.from(images.subarray(known * PIXELS)), TEST)
  const logits = states.at(-1).out
  let right = 0
  for (let i = 0; i < TEST; i++) right += largest(logits.subarray(i * CLASSES, (i + 1) * CLASSES)) === labels[known + i]
  return { losses, accuracy: right / TEST }
}

/** The layer with its weights themselves in place of units: what training moves. */
function parameters(layer) {
  const biases = layer.biases ?? new layer.unit.constructor(layer.fanOut)
  return { ...layer, unit: layer.unit.map((value) => layer.scale * value), scale: 1, biases }
}

const largest = (row) => row.reduce((best, value, i) => (value > row[best] ? i : best), 0)

/** Mean cross-entropy in nats and its gradient in the logits. */
function crossEntropy(logits, labels) {
  const g = new logits.constructor(logits.length)
  let loss = 0
  labels.forEach((label, i) => {
    const row = logits.subarray(i * CLASSES, (i + 1) * CLASSES)
    const most = row[largest(row)]
    const total = row.reduce((sum, value) => sum + Math.exp(value - most), 0)
    loss += (Math.log(total) + most - row[label]) / labels.length
    row.forEach((value, j) => (g[i * CLASSES + j] = (Math.exp(value - most) / total - (j === label)) / labels.length))
  })
  return { loss, g }
}

/** One step against the gradient of weights and biases. */
function descend({ unit, biases, fanIn, fanOut }, d, h, rate) {
  const gradient = new unit.constructor(unit.length), biasGradient = new Float64Array(fanOut)
  product(transposed(d, ROWS, fanOut), transposed(h, ROWS, fanIn), gradient, fanOut, fanIn, ROWS, 1)
  for (let i = 0; i < d.length; i++) biasGradient[i % fanOut] += d[i]
  for (let i = 0; i < unit.length; i++) unit[i] -= rate * gradient[i]
  for (let i = 0; i < fanOut; i++) biases[i] -= rate * biasGradient[i]
}
