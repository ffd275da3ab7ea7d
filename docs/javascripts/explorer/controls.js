/** The controls: their names, what a slider's position means, how a value is said. Settings as link and as code. */
import { ACTIVATIONS, DEFAULTS, DISTRIBUTIONS, normalize, PRESETS, RANGES, SCHEMES } from "./settings.js"

const named = (names, spoken = {}) => Object.fromEntries(names.map((name) => [name, spoken[name] ?? name]))

/** A slider has steps of `step`, or `decade` steps to a factor of 10. */
export const CONTROLS = {
  activation: {
    label: "Activation",
    options: named(ACTIVATIONS, { relu: "ReLU", leaky_relu: "leaky ReLU", gelu: "GELU", selu: "SELU" }),
  },
  preset: { label: "Preset", options: { "": "your own", ...named(Object.keys(PRESETS)) } },
  depth: { label: "Depth", say: (value) => `${value} layer${value > 1 ? "s" : ""}` },
  width: { label: "Width", step: 4, say: (value) => `${value} units` },
  scheme: {
    label: "Scheme",
    options: named(SCHEMES, {
      lecun: "LeCun", xavier: "Xavier", he: "He", pytorch: "PyTorch’s default", small: "σ = 0.01", unit: "σ = 1",
    }),
  },
  gain: { label: "Gain", decade: 40, say: (value) => `× ${value}` },
  distribution: { label: "Distribution", options: named(DISTRIBUTIONS) },
  bias: {
    label: "Bias",
    step: 0.05,
    say: (value) => (value === "pytorch" ? "PyTorch’s" : value ? `σ = ${value}` : "none"),
  },
  batch_norm: { label: "Batch normalization" },
  skip: { label: "Skip connections" },
  branch_scale: { label: "Branch scale", step: 0.05, say: (value) => `× ${value}` },
  seed: { label: "Seed" },
  learning_rate: { label: "Learning rate", decade: 12, say: String },
}

/** The control as HTML; its name is that of the setting. */
export function control(name) {
  const { label, options, say, step = 1, decade } = CONTROLS[name]
  const choices = Object.entries(options ?? {}).map(([value, text]) => `<option value="${value}">${text}</option>`)
  if (options) return `<label>${label} <select name="${name}">${choices.join("")}</select></label>`
  if (!RANGES[name]) return `<label class="check"><input type="checkbox" name="${name}"> ${label}</label>`
  let [min, max] = RANGES[name]
  if (!say) return `<label>${label} <input type="number" name="${name}" min="${min}" max="${max}"></label>`
  if (decade) [min, max] = [min, max].map((end) => Math.round(decade * Math.log10(end)))
  const range = `type="range" min="${min}" max="${max}" step="${step}"`
  return `<label>${label} <span aria-hidden="true"></span><input ${range} name="${name}"></label>`
}

/** What the reader's move of a control changes. */
export function moved({ name, type, value, checked }) {
  const { decade } = CONTROLS[name]
  if (name === "preset") return PRESETS[value]
  return { [name]: type === "checkbox" ? checked : decade ? (10 ** (value / decade)).toPrecision(3) : value }
}

/** Lets a control show the settings, which may lie between two of its steps. */
export function show(input, settings) {
  const { name, type } = input
  const value = settings[name]
  const { say, decade } = CONTROLS[name]
  if (type === "checkbox") input.checked = value
  else if (name === "preset") input.value = preset(settings)
  else if (name === "bias") input.value = value === "pytorch" ? 0 : value
  else input.value = decade ? Math.round(decade * Math.log10(value)) : value
  if (type === "range") {
    input.setAttribute("aria-valuetext", say(value))
    input.previousElementSibling.textContent = say(value)
  }
  if (name === "branch_scale") input.disabled = !settings.skip
}

const differ = (settings, others) => Object.keys(settings).filter((name) => settings[name] !== others[name])
const preset = (settings) => Object.keys(PRESETS).find((name) => !differ(PRESETS[name], settings).length) ?? ""
const said = (name, value) => {
  const { label, options, say = String } = CONTROLS[name]
  const what = label.toLowerCase()
  return options?.[value] ?? (typeof value === "boolean" ? `${value ? "with" : "no"} ${what}` : `${what} ${say(value)}`)
}

/** How `settings` differ from others, in words; a preset goes by its name. */
export function difference(settings, others) {
  const one = preset(settings)
  const names = differ(settings, others).filter((name) => name !== "precision")
  const rest = one ? names.filter((name) => !(name in PRESETS[one])) : names
  const words = rest.map((name) => said(name, settings[name]))
  return [...(rest.length < names.length ? [one] : []), ...words].join(", ") || "the same"
}

/** Settings as a link has them: what is not a default, and behind a slash what the pinned ones have otherwise. */
export function write(settings, pinned) {
  const query = (one, names) => new URLSearchParams(names.map((name) => [name, one[name]]))
  const own = query(settings, differ(settings, { ...DEFAULTS, depth: null }))
  return pinned ? `${own}/${query(pinned, differ(pinned, settings))}` : String(own)
}

/** @throws {RangeError} as `normalize` does */
export function read(text) {
  const [own, other] = text.split("/").map((query) => Object.fromEntries(new URLSearchParams(query)))
  const settings = normalize(own)
  return { settings, pinned: other && normalize({ ...settings, ...other }) }
}

const python = (value) => (value === true ? "True" : value === false ? "False" : JSON.stringify(value))

/** The program that the page offers for "pytorch" or "keras", with these settings in it. */
export async function code(framework, settings) {
  const answer = await fetch(new URL(`../../downloads/diagnostics/first_pass_${framework}.py`, import.meta.url))
  if (!answer.ok) throw new Error(answer.status)
  const program = await answer.text()
  return program.replace(/^( {4}"(\w+)": )[^,]+/gm, (entry, start, name) =>
    name in settings ? start + python(settings[name]) : entry)
}
