/** The worker of the explorer: answers the messages of types.js. */
import { normalise } from "./settings.js"

onmessage = ({ data: { id, task, settings } }) => {
  if (task === "cancel") return
  try {
    normalise(settings)
    throw new Error(`the task ${JSON.stringify(task)} is not known`)
  } catch ({ message }) {
    postMessage({ id, kind: "error", message })
  }
}
