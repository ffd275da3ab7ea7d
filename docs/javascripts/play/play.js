/**
 * An interaction of a chapter's own idea: `<div data-play="cliff">text with the numbers</div>`. The text is there
 * without JavaScript; with it, controls, a chart and the words for what it shows take its place.
 *
 * A module exports `controls` and `show(values)`, which computes and returns {axes, lines, words}.
 * A line is {points: [[x, y]...], color, name?, at?, dashed?, dots?, bars?}; its name stands
 * above it, at the fraction `at` of its length. An axis is {label, low, high, log?, ticks?}.
 */
import { sheet } from "../explorer/sheet.js"

const WIDE = 560, NARROW = 340, H = 280, LEFT = 56, RIGHT = 14, TOP = 30, BOTTOM = 46
const EDGE = 6 // how far a line is seen beyond the axes
const LETTER = 6.4 // the width of one, about
const QUIET = 400

/** As a person writes a number: three digits, powers of ten where it is very large or small. */
export function digits(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : "Inf"
  const size = Math.abs(value)
  if (!size || (size >= 1e-3 && size < 1e5)) return String(Number(value.toPrecision(3))).replace("-", "−")
  const [head, power] = value.toExponential(1).split("e")
  return `${head}\u00a0×\u00a010<sup>${power.replace("+", "").replace("-", "−")}</sup>`.replace(/^-/, "−")
}

const round = (value) => value.toFixed(1)

function scale({ low, high, log }, from, to) {
  const of = log ? Math.log10 : Number
  return (value) => {
    const at = (of(Math.max(value, log ? 1e-300 : -1e300)) - of(low)) / (of(high) - of(low))
    return from + (to - from) * Math.max(-1, Math.min(2, at))
  }
}

function ticks({ low, high, log, ticks }) {
  if (ticks) return ticks.map((one) => [one, String(one).replace("-", "−")])
  const [from, to] = log ? [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))] : [low, high]
  const step = log ? Math.ceil((to - from) / 6) || 1 : (to - from) / 5
  return Array.from({ length: Math.floor((to - from) / step + 1e-9) + 1 }, (_, i) => from + i * step).map((at) =>
    log
      ? [10 ** at, at ? `10<tspan dy="-5" font-size="11">${String(at).replace("-", "−")}</tspan>` : "1"]
      : [at, String(Number(at.toPrecision(6))).replace("-", "−")])
}

/** The chart as SVG, `W` units wide. */
export function drawn({ axes: [across, up], lines }, W = WIDE) {
  const x = scale(across, LEFT, W - RIGHT), y = scale(up, H - BOTTOM, TOP)
  const [left, top] = [LEFT - EDGE, TOP - EDGE], [width, height] = [W - RIGHT - LEFT + 2 * EDGE, H - BOTTOM - TOP + 2 * EDGE]
  const seen = ([a, b]) => a >= left && a <= left + width && b >= top && b <= top + height
  let inside = "", names = "", curves = ""
  for (const [at, words] of ticks(up)) {
    inside += `<path class="grid" d="M${LEFT} ${round(y(at))}H${W - RIGHT}"/>`
    inside += `<text x="${LEFT - 6}" y="${round(y(at) + 4)}" text-anchor="end">${words}</text>`
  }
  for (const [at, words] of ticks(across)) {
    inside += `<text x="${round(x(at))}" y="${H - BOTTOM + 18}" text-anchor="middle">${words}</text>`
  }
  inside += `<text x="${(LEFT + W - RIGHT) / 2}" y="${H - 6}" text-anchor="middle">${across.label}</text>`
  inside += `<text x="0" y="13">${up.label}</text>`
  for (const { points, color, name, at = 0.62, dashed, dots, bars } of lines) {
    const places = points.filter(([, value]) => !Number.isNaN(value)).map(([a, b]) => [x(a), y(b)])
    if (!places.length) continue
    const path = bars
      ? places.map(([a, b]) => `M${round(a)} ${H - BOTTOM}V${round(b)}`).join("")
      : dots ? places.map((place) => `M${place.map(round).join(" ")}h0`).join("") : `M${places.map((place) => place.map(round).join(" ")).join("L")}`
    const group = (inner) => `<g class="${dashed ? "dashed" : "solid"}" style="color:var(${color})">${inner}</g>`
    curves += group(`<path class="${bars ? "bars" : dots ? "dots" : "line"}" d="${path}"/>`)
    const there = places.filter(seen)
    if (!name || !there.length) continue
    const long = name.length * LETTER
    const begin = Math.min(there[Math.floor(there.length * at)][0] + (dots ? 8 : 0), W - RIGHT - long)
    const below = there.filter(([a]) => a >= begin - 4 && a <= begin + long + 4).map(([, b]) => b)
    const base = dots ? there[0][1] + 4 : Math.max(Math.min(...below) - 7, TOP + 10)
    names += group(`<text x="${round(begin)}" y="${round(base)}">${name}</text>`)
  }
  // What leaves the axes is not seen beside them.
  const box = `x="${left}" y="${top}" width="${width}" height="${height}" viewBox="${left} ${top} ${width} ${height}"`
  return `${inside}<svg ${box}>${curves}</svg>${names}`
}

function control({ name, label, min, max, step = 1, value, options }) {
  if (options) {
    const all = options.map((one) => `<option${one === value ? " selected" : ""}>${one}</option>`).join("")
    return `<label>${label} <select name="${name}">${all}</select></label>`
  }
  return `<label>${label} <span aria-hidden="true"></span>
    <input type="range" name="${name}" min="${min}" max="${max}" step="${step}" value="${value}"></label>`
}

/** The values as `show` takes them: a slider may move on a scale of its own. */
export const values = (controls, moved = {}) =>
  Object.fromEntries(controls.map(({ name, value, of = (one) => one }) => [name, of(moved[name] ?? value)]))

/** @param {HTMLElement} place  @param {{controls: object[], show: (values: object) => object}} play */
export async function begin(place, { controls, show }) {
  // On a phone the letters keep their size.
  const wide = place.clientWidth < 30 * parseFloat(getComputedStyle(place).fontSize) ? NARROW : WIDE
  const body = document.createElement("div")
  body.className = "explorer play"
  body.setAttribute("role", "group")
  body.setAttribute("aria-label", "Try it")
  body.innerHTML = `<div class="controls">${controls.map(control).join("")}</div>
    <svg class="chart" viewBox="0 0 ${wide} ${H}" role="img" aria-label="Chart of what is said below"></svg>
    <p class="verdict"></p><p class="status" role="status"></p>`
  const [words, status] = body.querySelectorAll("p")
  const svg = body.querySelector("svg")
  let quiet, frame
  const draw = () => {
    frame = null
    const moved = {}
    for (const { name, options, say = String, of = (one) => one } of controls) {
      const input = body.querySelector(`[name="${name}"]`)
      moved[name] = options ? input.value : Number(input.value)
      if (options) continue
      const said = say(of(moved[name]))
      input.setAttribute("aria-valuetext", said)
      input.previousElementSibling.textContent = said
    }
    const shown = show(values(controls, moved))
    svg.innerHTML = drawn(shown, wide)
    words.innerHTML = shown.words
    clearTimeout(quiet)
    quiet = setTimeout(() => (status.textContent = words.textContent), QUIET)
  }
  body.oninput = () => (frame ??= requestAnimationFrame(draw))
  draw()
  await sheet
  place.replaceChildren(body)
}
