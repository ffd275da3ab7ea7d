/** What a pass shows, in words. */

/** Three digits; powers of ten as 10^−5, for `typeset` to lift. */
export function number(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : "Inf"
  const size = Math.abs(value)
  const [digits, power] = value.toExponential(1).split("e")
  const plain = !size || (size >= 1e-3 && size < 1e4)
  const words = plain ? String(Number(value.toPrecision(3))) : `${digits} × 10^${power.replace("+", "")}`
  return words.replaceAll("-", "−")
}

/** A number stays on one line. */
export const typeset = (text) =>
  text.replaceAll(" × 10^", "\u00a0×\u00a010^").replaceAll(" %", "\u00a0%").replace(/\^(−?\d+)/g, "<sup>$1</sup>")
export const spoken = (text) => text.replaceAll("^", " to the ")

export const degrees = (cosine) => (Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI

/** One signal on its way "up" or "down" the layers: factor per layer, and where it ends. */
function travel(who, rms, way, factor, theory, overflow, zero) {
  const verb = factor > 1.005 ? "grow" : factor < 0.995 ? "shrink" : "keep their size"
  const predicted = theory ? ` (theory: ${number(theory)})` : ""
  const pace = factor ? `${who} ${verb} on the way ${way}: a factor of ${number(factor)} per layer${predicted}. ` : ""
  const from = (layer) => (layer === (way === "up" ? 1 : rms.length) ? "in every layer" : `from layer ${layer} ${way}`)
  if (zero) return `${pace}${pace ? "They" : who} are exactly 0 in float32 ${from(zero)}. `
  if (!overflow) return pace
  const nan = (way === "up" ? rms.findIndex(Number.isNaN) : rms.findLastIndex(Number.isNaN)) + 1
  const later = nan && nan !== overflow ? `, NaN ${from(nan)}` : ""
  return `${pace}${pace ? "They" : who} are ${nan === overflow ? "NaN" : "Inf"} in float32 ${from(overflow)}${later}. `
}

function headline(first, forward, backward) {
  const cases = [
    [first.overflow_forward, "The signal overflows."],
    [first.zero_forward, "The signal dies."],
    [first.overflow_backward, "The gradient overflows."],
    [first.zero_backward, "The gradient does not arrive."],
    [backward < 1e-2, "The gradient vanishes."],
    [backward > 1e2, "The gradient explodes."],
    [forward < 1e-2, "The signal fades."],
    [forward > 1e2, "The signal explodes."],
    [Math.max(forward, backward, 1 / forward, 1 / backward) < 5, "Signal and gradient keep their size."],
  ]
  return cases.find(([holds]) => holds)?.[1] ?? "Signal and gradient change their size."
}

/**
 * @param {import("./types.js").Pass} pass
 * @returns {string[]} headline and the rest
 */
export function verdict({ activation, gradient, weight_gradient, cosine, dead, factor, theory, first }) {
  const rms = activation.rms, back = gradient.rms, weights = weight_gradient.rms
  const top = rms.length - 1
  const angle = degrees(cosine[top])
  const largest = Math.max(...weights), smallest = Math.min(...weights)
  const killed = Math.max(...dead)
  const { overflow_forward, zero_forward, overflow_backward, zero_backward } = first
  const down = [factor.backward, theory.factor.backward, overflow_backward, zero_backward]
  const up = [factor.forward, theory.factor.forward, overflow_forward, zero_forward]
  let rest = travel("Gradients", back, "down", ...down) + travel("Activations", rms, "up", ...up)
  if (top && smallest > 0 && largest < Infinity) {
    rest += largest < 5 * smallest
      ? `Weight gradients are about the same in all layers, near ${number(Math.sqrt(largest * smallest))}. `
      : `The first layer’s weight gradient is ${number(weights[0] / weights[top])} times the last one’s. `
  }
  if (!Number.isNaN(angle)) rest += `Two inputs 60° apart leave ${number(angle)}° apart. `
  if (killed > 0.01) rest += `In one layer ${number(100 * killed)} % of the units are dead.`
  return [headline(first, rms[top] / rms[0], back[0] / back[top]), rest]
}
