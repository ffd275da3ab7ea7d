/** Two drawings, as SVG: lines, and how values spread over the layers. Colors come from the style sheet. */

const LEFT = 50, RIGHT = 10, TOP = 26, BOTTOM = 40, BAND = 16
const round = (value) => value.toFixed(1)
const text = (x, y, words, anchor) => `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${words}</text>`
const power = (exponent) =>
  exponent ? `10<tspan dy="-5" font-size="11">${String(exponent).replace("-", "−")}</tspan>` : "1"

/** A logarithmic axis that ends at every third decade, so that it does not dance. */
export function decades(values) {
  const sizes = values.filter((value) => value > 0 && value < Infinity).map(Math.log10)
  const low = sizes.length ? 3 * Math.floor(Math.min(...sizes) / 3) : -3
  const high = Math.max(sizes.length ? 3 * Math.ceil(Math.max(...sizes) / 3) : 0, low + 3)
  const step = [1, 3, 6, 12, 24].find((one) => (high - low) / one <= 6)
  const ticks = []
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push([at, power(at)])
  return { low, high, ticks, of: Math.log10 }
}

export function linear(low, high, steps, unit = "") {
  const at = Array.from({ length: steps + 1 }, (_, i) => low + ((high - low) * i) / steps)
  return { low, high, ticks: at.map((value) => [value, value + unit]), of: Number }
}

/** Title, axes and grid, and the places on them; `floor` and `ceiling` name bands for what lies beyond the axis. */
function frame({ width, height }, title, xLabel, count, axis, floor, ceiling) {
  const top = TOP + (ceiling ? BAND : 0), bottom = height - BOTTOM - (floor ? BAND : 0), right = width - RIGHT
  const x = (i) => LEFT + 6 + ((right - LEFT - 12) * i) / Math.max(count - 1, 1)
  const y = (value) => bottom - ((bottom - top) * (value - axis.low)) / (axis.high - axis.low)
  const step = [1, 2, 5, 10, 20].find((one) => count / one <= width / 60)
  let inside = text(0, 13, title, "start") + text((LEFT + right) / 2, height - 4, xLabel, "middle")
  for (const [at, words] of axis.ticks) {
    inside += `<path class="grid" d="M${LEFT} ${round(y(at))}H${round(right)}"/>`
    inside += text(LEFT - 6, y(at) + 4, words, "end")
  }
  if (ceiling) inside += text(LEFT - 6, TOP + 8, ceiling, "end")
  if (floor) inside += text(LEFT - 6, height - BOTTOM + 2, floor, "end")
  for (let i = 0; i < count; i++) if (!i || (i + 1) % step === 0) inside += text(x(i), height - 22, i + 1, "middle")
  return { inside, x, y, highest: TOP + 4, lowest: height - BOTTOM - 4 }
}

/**
 * Values above the axis, or NaN, are marked on its ceiling, called `over`; those below, as 0 on a logarithmic axis, on
 * its floor.
 * @param {SVGElement} svg
 * @param {{title: string, xLabel?: string, axis: object, over: string, lines: {values: number[], color?: string,
 *   kind: "solid"|"pinned"|"theory"}[]}} drawing
 */
export function drawLines(svg, { title, xLabel = "layer", axis, over, lines }) {
  const isOver = (value) => !(axis.of(value) <= axis.high)
  const isUnder = (value) => axis.of(value) < axis.low
  const measured = lines.filter(({ kind }) => kind !== "theory").flatMap(({ values }) => values)
  const count = Math.max(...lines.map(({ values }) => values.length), 1)
  const floor = measured.some(isUnder) && "0", ceiling = measured.some(isOver) && over
  const size = svg.getBoundingClientRect()
  const { inside, x, y, highest, lowest } = frame(size, title, xLabel, count, axis, floor, ceiling)
  const drawn = lines.map(({ values, color, kind }) => {
    let line = "", dots = "", marks = "", joined = false
    values.forEach((value, i) => {
      const beyond = isOver(value) ? [highest, -6] : isUnder(value) ? [lowest, 6] : null
      if (beyond) marks += `M${round(x(i) - 3)} ${beyond[0] - beyond[1] / 2}h6l-3 ${beyond[1]}z`
      else {
        const place = `${round(x(i))} ${round(y(axis.of(value)))}`
        line += (joined ? "L" : "M") + place
        dots += `M${place}h0`
      }
      joined = !beyond
    })
    const extra = kind === "theory" ? "" : `<path class="dots" d="${dots}"/><path class="marks" d="${marks}"/>`
    return `<g class="${kind}" style="color:var(${color})"><path class="line" d="${line}"/>${extra}</g>`
  })
  svg.innerHTML = inside + drawn.join("")
}

const SHADES = 6
const REACH = 3 // on the axis of all panels: what the largest input is, about

/**
 * A column for each layer, all on one scale, so that a signal that shrinks is seen to shrink; the darker a cell, the
 * more activations lie in it. What lies beyond the axis is marked at its end. One panel for each histogram.
 */
export function drawHistograms(svg, histograms) {
  const { width, height } = svg.getBoundingClientRect()
  svg.innerHTML = histograms.map(({ range, counts }, panel) => {
    const reach = range.every((one) => one === 1) ? 1 : REACH
    const which = histograms.length < 2 ? "" : [", solid", ", dashed"][panel]
    const size = { width, height: height / histograms.length }
    const { inside, x, y } = frame(size, `activations${which}`, "layer", counts.length, linear(-reach, reach, 2))
    const half = Math.min(((x(1) - x(0)) / 2) * 0.9, 12)
    const cells = Array(SHADES).fill("")
    let beyond = ""
    counts.forEach((bins, i) => {
      const [left, right] = [round(x(i) - half), round(x(i) + half)]
      const edge = (bin) => range[i] * ((2 * bin) / bins.length - 1)
      const outside = [-1, 1].filter((side) => bins.some((fraction, bin) => fraction && side * edge(bin + 0.5) > reach))
      for (const side of range[i] < Infinity ? outside : [-1, 1]) {
        beyond += `M${round(x(i) - 3)} ${round(y(side * reach) + 3 * side)}h6l-3 ${-6 * side}z`
      }
      bins.forEach((fraction, bin) => {
        const [from, to] = [Math.max(edge(bin), -reach), Math.min(edge(bin + 1), reach)]
        if (!fraction || !(from < to)) return
        // What is too low to be seen is drawn as a line.
        const middle = y((from + to) / 2), thick = Math.max(y(from) - y(to), 1.5)
        const shade = Math.min(Math.ceil(SHADES * Math.sqrt(4 * fraction)), SHADES) - 1
        cells[shade] += `M${left} ${round(middle - thick / 2)}H${right}v${round(thick)}H${left}z`
      })
    })
    const paths = cells.map((d, i) => `<path class="cells" fill-opacity="${(i + 2) / (SHADES + 1)}" d="${d}"/>`)
    const marks = `<path class="cells beyond" d="${beyond}"/>`
    return `<g transform="translate(0 ${panel * size.height})">${inside}${paths.join("")}${marks}</g>`
  }).join("")
}
