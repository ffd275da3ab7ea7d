/** Answers the messages of types.js: the newest pass first, trainings in slices. */
import { pass } from "./engine.js"
import { normalize } from "./settings.js"
import { predict } from "./theory.js"

/** Milliseconds of training until a pass or a cancel gets its turn. */
const SLICE = 15
const trainings = new Map()
let newest = null
let digits

// A message to itself comes after all that wait: only the newest pass of these is run.
const { port1, port2 } = new MessageChannel()
let scheduled = false
function schedule() {
  if (!scheduled) port2.postMessage(null)
  scheduled = true
}

onmessage = ({ data }) => {
  const { id, task } = data
  if (task === "pass") newest = data
  else if (task === "train") answer(id, () => begin(data))
  else if (task === "cancel") cancel(id)
  else answer(id, () => { throw new RangeError(`there is no task ${JSON.stringify(task)}`) })
  schedule()
}

port1.onmessage = () => {
  scheduled = false
  if (newest) {
    const { id, settings } = newest
    newest = null
    answer(id, () => {
      const complete = normalize(settings), result = pass(complete)
      postMessage({ id, kind: "pass", result: { ...result, theory: predict(complete, result) } })
    })
  }
  const [next] = trainings
  if (next) answer(next[0], () => proceed(...next))
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
  const complete = normalize(settings)
  if (!(Number.isInteger(steps) && steps > 0)) {
    throw new RangeError(`steps must be a positive whole number; got ${steps}`)
  }
  const ticket = {}
  trainings.set(id, ticket)
  const { loadDigits, train } = await import("./train.js")
  const data = await (digits ??= loadDigits()).catch((error) => {
    // Another training may try again.
    digits = undefined
    throw error
  })
  if (trainings.get(id) !== ticket) return
  ticket.run = train(complete, steps, data)
  schedule()
}

function proceed(id, ticket) {
  // Several take turns.
  trainings.delete(id)
  trainings.set(id, ticket)
  for (const end = performance.now() + SLICE; ticket.run && performance.now() < end; ) {
    const { done, value } = ticket.run.next()
    if (done) {
      trainings.delete(id)
      postMessage({ id, kind: "trained", ...value })
      break
    }
    if (value) postMessage({ id, kind: "progress", ...value })
  }
  if ([...trainings.values()].some(({ run }) => run)) schedule()
}

function cancel(id) {
  if (newest?.id === id) newest = null
  else if (!trainings.delete(id)) return
  postMessage({ id, kind: "canceled" })
}
