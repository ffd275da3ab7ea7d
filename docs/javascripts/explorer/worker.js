/** The worker of the explorer: answers the messages of types.js. The newest pass wins; trainings run in between. */
import { pass } from "./engine.js"
import { normalise } from "./settings.js"

const SLICE = 15 // milliseconds of training before a pass or a cancel gets its turn

let waiting = null
const trainings = new Map()
let digits

// A message to itself comes after those that wait already, so that only the newest pass of these is run.
const { port1, port2 } = new MessageChannel()
let scheduled = false
function schedule() {
  if (!scheduled) port2.postMessage(null)
  scheduled = true
}

onmessage = ({ data }) => {
  if (data.task === "pass") waiting = data
  else if (data.task === "train") answer(data.id, () => begin(data))
  else if (data.task === "cancel") cancel(data.id)
  else answer(data.id, () => { throw new RangeError(`there is no task ${JSON.stringify(data.task)}`) })
  schedule()
}

port1.onmessage = () => {
  scheduled = false
  if (waiting) {
    const { id, settings } = waiting
    waiting = null
    answer(id, () => postMessage({ id, kind: "pass", result: pass(normalise(settings)) }))
  }
  const [next] = trainings
  if (next) answer(next[0], () => proceed(...next))
  if (waiting || trainings.size) schedule()
}

/** An error is an answer too. */
async function answer(id, work) {
  try {
    await work()
  } catch ({ message }) {
    trainings.delete(id)
    postMessage({ id, kind: "error", message })
  }
}

async function begin({ id, settings, steps }) {
  trainings.set(id, null)
  const complete = normalise(settings)
  if (!(Number.isInteger(steps) && steps > 0)) throw new RangeError(`steps must be a positive whole number; got ${steps}`)
  const { loadDigits, train } = await import("./train.js")
  digits ??= loadDigits()
  const data = await digits.catch((error) => {
    digits = undefined // another training may try again
    throw error
  })
  if (!trainings.has(id)) return
  trainings.set(id, train(complete, steps, data))
  schedule()
}

function proceed(id, training) {
  // Several take turns.
  trainings.delete(id)
  trainings.set(id, training)
  for (const end = performance.now() + SLICE; training && performance.now() < end; ) {
    const { done, value } = training.next()
    if (done) {
      trainings.delete(id)
      return postMessage({ id, kind: "trained", ...value })
    }
    if (value) postMessage({ id, kind: "progress", ...value })
  }
}

function cancel(id) {
  if (waiting?.id === id) waiting = null
  else if (!trainings.delete(id)) return
  postMessage({ id, kind: "cancelled" })
}
