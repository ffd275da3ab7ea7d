/** What a pass shows, in words. */

/** Three digits; powers of ten as 10^-5, for `typeset` to lift. */
export function number(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : "Inf"
  const size = Math.abs(value)
  if (!size || (size >= 1e-3 && size < 1e4)) return String(Number(value.toPrecision(3)))
  const [digits, power] = value.toExponential(1).split("e")
  return `${digits} × 10^${power.replace("-", "−").replace("+", "")}`
}

export const typeset = (text) => text.replace(/\^(−?\d+)/g, "<sup>$1</sup>")
export const spoken = (text) => text.replace("10^", "10 to the ")

export const degrees = (cosine) => (Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI

const change = (factor) => (factor > 1.005 ? "grow" : factor < 0.995 ? "shrink" : "stay")

function perLayer(who, way, factor, theory) {
  if (factor === null) return ""
  const predicted = theory ? ` (mean field: ${number(theory)})` : ""
  const verb = change(factor)
  return verb === "stay"
    ? `${who} keep their size${way}: a factor of ${number(factor)} per layer${predicted}.`
    : `${who} ${verb} by a factor of ${number(factor)} per layer${way}${predicted}.`
}

/** Where a signal ends: `ended` layers, `rms` by layer, from `first` on "up" or "down". */
function end(who, rms, { overflow, zero }, way) {
  const from = (layer) => (layer === (way === "up" ? 1 : rms.length) ? "in every layer" : `from layer ${layer} ${way}`)
  if (zero) return `${who} are exactly 0 in float32 ${from(zero)}.`
  if (!overflow) return ""
  const nan = way === "up" ? rms.findIndex(Number.isNaN) + 1 : rms.findLastIndex(Number.isNaN) + 1
  const more = nan && nan !== overflow ? `, NaN ${from(nan)}` : ""
  return `${who} are ${nan === overflow ? "NaN" : "Inf"} in float32 ${from(overflow)}${more}.`
}

function headline(rms, ends, forward, backward) {
  if (ends.overflow_forward) return "The signal overflows."
  if (ends.zero_forward) return "The signal dies."
  if (ends.overflow_backward) return "The gradient overflows."
  if (ends.zero_backward) return "The gradient is gone before it arrives."
  if (backward < 1e-2) return "The gradient vanishes."
  if (backward > 1e2) return "The gradient explodes."
  if (forward < 1e-2) return "The signal fades."
  if (forward > 1e2) return "The signal explodes."
  if (Math.max(forward, backward, 1 / forward, 1 / backward) < 5) return "Signal and gradient keep their size."
  return "Signal and gradient change their size."
}

/** @param {import("./types.js").Pass} pass */
export function verdict({ activation, gradient, weight_gradient, cosine, dead, factor, theory, first }) {
  const layers = activation.rms.length
  const rms = activation.rms, back = gradient.rms, weights = weight_gradient.rms
  const angle = degrees(cosine[layers - 1])
  const largest = Math.max(...weights), smallest = Math.min(...weights)
  const killed = Math.max(...dead)
  return [
    headline(rms, first, rms[layers - 1] / rms[0], back[0] / back[layers - 1]),
    perLayer("Gradients", " on the way back", factor.backward, theory?.factor.backward),
    end("Gradients", back, { overflow: first.overflow_backward, zero: first.zero_backward }, "down"),
    perLayer("Activations", "", factor.forward, theory?.factor.forward),
    end("Activations", rms, { overflow: first.overflow_forward, zero: first.zero_forward }, "up"),
    !(smallest > 0 && largest < Infinity) || layers < 2
      ? ""
      : largest < 5 * smallest
        ? `Weight gradients are about the same in all layers, near ${number(Math.sqrt(largest * smallest))}.`
        : `The first layer’s weight gradient is ${number(weights[0] / weights[layers - 1])} times the last one’s.`,
    Number.isNaN(angle) ? "" : `Two inputs 60° apart leave ${number(angle)}° apart.`,
    killed > 0.01 ? `In one layer ${number(100 * killed)} % of the units are dead.` : "",
  ]
}
