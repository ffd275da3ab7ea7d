/** "Train 100 steps": the loss curves of one setting or of two, side by side. The worker trains both in turns. */
import { drawLines, linear } from "./chart.js"
import { control, difference } from "./controls.js"
import { number } from "./words.js"

const STEPS = 100
const GUESSING = Math.log(10)

export const markup = `${control("learning_rate")}
  <button name="train">Train ${STEPS} steps</button>
  <button name="cancel" disabled>Cancel</button>
  <progress value="0" aria-label="Training"></progress>
  <svg class="losses" role="img" aria-label="Loss by step" hidden></svg>
  <p class="trained"></p>`

export class Training {
  runs = []

  /** @param {HTMLElement} place holds the markup  @param {Worker} worker  @param {(words: string) => void} say */
  constructor(place, worker, say) {
    Object.assign(this, { place, worker, say })
  }

  /** @param {import("./types.js").Settings[]} settings one or two  @param {() => number} nextId */
  start(settings, nextId) {
    this.runs = settings.map((one) => ({ id: nextId(), settings: one, losses: [], state: "training" }))
    for (const { id, settings } of this.runs) this.worker.postMessage({ id, task: "train", settings, steps: STEPS })
    this.draw()
  }

  cancel() {
    for (const { id } of this.running()) this.worker.postMessage({ id, task: "cancel" })
  }

  running() {
    return this.runs.filter(({ state }) => state === "training")
  }

  /** Takes a message of the worker, if it is about one of these runs. */
  receive({ id, kind, step, loss, accuracy, message }) {
    const run = this.runs.find((one) => one.id === id)
    if (!run) return false
    if (kind === "progress") run.losses[step] = loss
    else run.state = kind === "trained" ? `${number(100 * accuracy)} % of the test digits right` : (message ?? kind)
    this.draw()
    if (!this.running().length) this.say(this.place.querySelector(".trained").textContent)
    return true
  }

  draw() {
    const [train, cancel, progress, svg, words] = this.place.querySelectorAll("button, progress, svg, p")
    const { runs } = this
    train.disabled = this.running().length > 0
    cancel.disabled = !train.disabled
    if (!runs.length) return
    progress.value = runs.reduce((sum, { losses }) => sum + losses.length, 0) / (runs.length * STEPS)
    svg.removeAttribute("hidden")
    const curves = runs.map(({ losses }, i) => ({ values: losses, color: "--c0", kind: i ? "pinned" : "solid" }))
    drawLines(svg, {
      title: "loss on the digits, in nats",
      xLabel: "step",
      axis: linear(0, 4, 4),
      over: "> 4",
      lines: [{ values: Array(STEPS).fill(GUESSING), kind: "theory" }, ...curves],
    })
    const told = runs.map(({ settings, state }, i) =>
      runs[1] ? `${i ? "Dashed" : "Solid"}, ${difference(settings, runs[1 - i].settings)}: ${state}. ` : `${state}. `)
    words.textContent = `${told.join("")}Dotted: guessing.`
  }
}
