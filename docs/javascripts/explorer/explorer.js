/** <init-explorer>: settings to move, and what a real forward and backward pass through that network shows. */
import { decades, drawHistograms, drawLines, linear } from "./chart.js"
import { code, control, CONTROLS, difference, moved, read, show, write } from "./controls.js"
import { DEFAULTS, normalize } from "./settings.js"
import { sheet } from "./sheet.js"
import { markup as trainingMarkup, Training } from "./training.js"
import { degrees, number, spoken, typeset, verdict } from "./words.js"

const here = (path) => new URL(path, import.meta.url).href
const QUIET = 400 // milliseconds without a move, before the verdict is read out and the address changes
const LINES = [
  ["Activations", "--c0", (pass) => pass.activation.rms, (theory) => theory.forward],
  ["Gradients", "--c1", (pass) => pass.gradient.rms, (theory) => theory.backward],
  ["Weight gradients", "--c3", (pass) => pass.weight_gradient.rms, () => null],
]
const VIEWS = ["By layer", "Histograms", "Angle"]
const ACTIONS = [["pin", ""], ["link", "Copy link"], ["pytorch", "Copy as PyTorch"], ["keras", "Copy as Keras"]]
const COLUMNS = ["Layer", "Activations", "Mean", "Gradients", "Weight gradients", "Angle", "Saturated", "Dead"]

const button = (name, label) => `<button name="${name}">${label}</button>`
const choice = (input, label, more = "") => `<label class="check"${more}><input ${input}> ${label}</label>`
const group = (name, label, inside) => `<div class="${name}" role="group" aria-label="${label}">${inside}</div>`

function markup(names, full) {
  const trains = names.includes("learning_rate")
  const views = VIEWS.map((label, i) =>
    choice(`type="radio" name="view" value="${label}"${i ? "" : " checked"}`, label))
  const lines = LINES.map(([label, color], i) =>
    choice(`type="checkbox" name="line" value="${i}" checked`, label, ` style="--line:var(${color})"`))
  return `${group("controls", "Settings", names.filter((name) => name !== "learning_rate").map(control).join(""))}
    <div class="result">
      <div class="seen">
        ${group("views", "View", views.join(""))}
        <svg class="chart" role="img" aria-label="Chart of the numbers below"></svg>
        ${group("lines", "Lines", `${lines.join("")}<span>dotted: theory</span>`)}
        <p class="pinned"></p>
      </div>
      <p class="verdict"></p>
      <p class="status" role="status"></p>
      ${trains ? `<div class="training">${trainingMarkup}</div>` : ""}
      <details class="numbers">
        <summary>All numbers</summary><div tabindex="0" role="region" aria-label="Numbers by layer"></div>
      </details>
      <p class="ways">
        ${full ? ACTIONS.map(([name, label]) => button(name, label)).join("") : "<a>All controls</a>"}
        <span class="told" role="status"></span>
      </p>
      <textarea aria-label="To copy" readonly hidden></textarea>
    </div>`
}

class InitExplorer extends HTMLElement {
  asked = new Map()
  count = 0

  connectedCallback() {
    const names = this.getAttribute("controls")
    this.full = names === null
    this.body = document.createElement("div")
    this.body.className = "explorer"
    this.body.innerHTML = markup(names?.split(" ") ?? Object.keys(CONTROLS), this.full)
    this.worker = new Worker(here("worker.js"), { type: "module" })
    this.worker.onmessage = ({ data }) => this.training?.receive(data) || this.receive(data)
    this.worker.onerror = () => this.fail()
    const place = this.find(".training")
    if (place) this.training = new Training(place, this.worker, (words) => this.say(words))
    this.sized = new ResizeObserver(() => this.draw())
    this.listen()
    this.open()
  }

  disconnectedCallback() {
    this.worker.terminate()
    this.sized.disconnect()
  }

  /** The figure is there again. */
  fail() {
    this.disconnectedCallback()
    this.body.remove()
    this.classList.remove("live")
  }

  find(selector) {
    return this.body.querySelector(selector)
  }

  /** Only for screen readers. */
  say(words) {
    this.find(".status").textContent = words
  }

  tell(words) {
    this.find(".told").textContent = words
  }

  listen() {
    this.body.oninput = ({ target }) =>
      CONTROLS[target.name] ? this.set({ ...this.settings, ...moved(target) }) : this.draw()
    this.body.onclick = ({ target }) => {
      if (target.localName !== "button") return
      if (target.name === "pin") this.pin()
      else if (target.name === "train") this.train()
      else if (target.name === "cancel") this.training.cancel()
      else this.copy(target)
    }
    this.find("details").ontoggle = () => this.draw()
    if (this.full) addEventListener("hashchange", () => this.open())
  }

  /** The settings of the address or else of the attributes. */
  open() {
    const names = this.getAttributeNames().filter((name) => name in DEFAULTS)
    const own = new URLSearchParams(names.map((name) => [name, this.getAttribute(name)]))
    const against = this.getAttribute("against")
    const attributes = own + (against === null ? "" : `/${against}`)
    const hash = location.hash.slice(1)
    let state, message
    try {
      state = read(this.full && /[=/]/.test(hash) ? hash : attributes)
    } catch (error) {
      state = read(attributes)
      message = `The address cannot be read: ${error.message}.`
    }
    const start = (pinned) => {
      this.pinned = pinned
      this.set(state.settings, message)
    }
    if (state.pinned) this.ask(state.pinned, start)
    else start()
  }

  ask(settings, use) {
    const id = ++this.count
    this.asked.set(id, (result) => use({ settings, result }))
    this.worker.postMessage({ id, task: "pass", settings })
  }

  receive({ id, result, message }) {
    const use = this.asked.get(id)
    for (const old of this.asked.keys()) if (old <= id) this.asked.delete(old)
    if (message) this.find(".verdict").textContent = message
    else use?.(result)
  }

  set(settings, message = "") {
    try {
      this.settings = normalize(settings)
    } catch (error) {
      return this.tell(`${error.message}.`) // a number that is being typed
    }
    this.tell(message)
    for (const input of this.body.querySelectorAll("input, select")) {
      if (CONTROLS[input.name]) show(input, this.settings)
    }
    this.ask(this.settings, (now) => {
      this.now = now
      this.live ??= sheet.then(() => this.goLive())
      this.draw()
      clearTimeout(this.settling)
      this.settling = setTimeout(() => this.settle(), QUIET)
    })
  }

  goLive() {
    this.append(this.body)
    this.classList.add("live")
    for (const svg of this.body.querySelectorAll("svg")) this.sized.observe(svg)
  }

  settle() {
    this.say(this.words)
    const state = `#${write(this.settings, this.pinned?.settings)}`
    if (this.full) history.replaceState(null, "", state)
    else this.find("a").href = here(`../../toolbox/explorer/${state}`)
  }

  draw() {
    if (!this.now) return
    const { settings, result } = this.now
    const other = this.pinned?.settings
    this.drawChart(this.find("[name=view]:checked").value)
    this.find("p.pinned").textContent =
      other ? `Solid: ${difference(settings, other)}. Dashed: ${difference(other, settings)}.` : ""
    const [headline, rest] = verdict(result)
    this.words = spoken(`${headline} ${rest}`)
    this.find(".verdict").innerHTML = typeset(`<strong>${headline}</strong> ${rest}`)
    if (this.full) this.find("[name=pin]").textContent = other ? "Unpin" : "Pin, to compare"
    if (this.find("details").open) this.tabulate(result)
    this.training?.draw()
  }

  drawChart(view) {
    const svg = this.find(".chart")
    const passes = [this.now, this.pinned].filter(Boolean).map(({ result }) => result)
    const kinds = ["solid", "pinned"]
    this.find(".lines").hidden = view !== "By layer"
    if (view === "Histograms") return drawHistograms(svg, passes.map(({ activation }) => activation.histogram))
    if (view === "Angle") {
      const lines = passes.map(({ cosine }, i) => ({ values: cosine.map(degrees), color: "--c0", kind: kinds[i] }))
      const wide = lines.some(({ values }) => values.some((value) => value > 90))
      const axis = linear(0, wide ? 180 : 90, 3, "°")
      return drawLines(svg, { title: "angle between two inputs, 60° before layer 1", axis, over: "NaN", lines })
    }
    const shown = LINES.filter((_, i) => this.find(`[name=line][value="${i}"]`).checked).reverse()
    const lines = passes.flatMap((pass, i) =>
      shown.map(([, color, of]) => ({ values: of(pass), color, kind: kinds[i] })))
    const axis = decades(lines.flatMap(({ values }) => values))
    const predicted = shown.map(([, , , of]) => of(passes[0].theory)).filter(Boolean)
    lines.unshift(...predicted.map((values) => ({ values, kind: "theory" })))
    drawLines(svg, { title: "root mean square", axis, over: "Inf", lines })
  }

  tabulate({ activation, gradient, weight_gradient, cosine, saturated, dead }) {
    const percent = (value) => `${number(100 * value)} %`
    const sizes = [activation.rms, activation.mean, gradient.rms, weight_gradient.rms]
    const row = (cells, tag) => `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`
    const rows = cosine.map((one, i) => {
      const rest = [`${number(degrees(one))}°`, percent(saturated[i]), percent(dead[i])]
      return row([i + 1, ...sizes.map((all) => number(all[i])), ...rest], "td")
    })
    this.find("details div").innerHTML = `<table>${row(COLUMNS, "th")}${typeset(rows.join(""))}</table>`
  }

  pin() {
    this.pinned = this.pinned ? null : this.now
    this.draw()
    this.settle()
  }

  train() {
    const { learning_rate } = this.settings
    const settings = [this.settings, this.pinned?.settings].filter(Boolean).map((one) => ({ ...one, learning_rate }))
    this.training.start(settings, () => ++this.count)
  }

  /** Copies the link or, as code for a framework, the settings. */
  async copy({ name, textContent: label }) {
    this.settle()
    const area = this.find("textarea")
    area.hidden = true
    try {
      area.value = name === "link" ? location.href : await code(name, this.settings)
      await navigator.clipboard.writeText(area.value)
      this.tell(`${label}: done.`)
    } catch ({ message }) {
      area.hidden = false
      area.select()
      this.tell(`${label}: ${message}. Copy it from the field above.`)
    }
  }
}

customElements.define("init-explorer", InitExplorer)
