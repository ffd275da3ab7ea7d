/**
 * What can be set in the explorer. The network, the results and the messages are described in types.js.
 *
 * @typedef {import("./types.js").Settings} Settings
 */

export const ACTIVATIONS = ["identity", "sigmoid", "tanh", "relu", "leaky_relu", "gelu", "selu"]
export const SCHEMES = ["lecun", "xavier", "he", "pytorch", "small", "unit"]
export const DISTRIBUTIONS = ["normal", "uniform", "truncated", "orthogonal"]
export const BATCH = 32
export const BINS = 41
export const SATURATED = 0.05

/** Smallest and largest value of each number. */
export const RANGES = {
  depth: [1, 100],
  width: [4, 256],
  gain: [0.01, 10],
  bias: [0, 2],
  branch_scale: [0, 2],
  seed: [0, 2 ** 32 - 1],
  learning_rate: [1e-5, 10],
}

/** @type {Settings} */
export const DEFAULTS = {
  depth: 30,
  width: 64,
  activation: "relu",
  scheme: "xavier",
  gain: 1,
  distribution: "normal",
  bias: 0,
  batch_norm: false,
  skip: false,
  branch_scale: 1,
  seed: 0,
  learning_rate: 0.02,
  precision: "float32",
}

/** Settings to lay over others; "PyTorch" and "Keras" are the exact defaults of nn.Linear and Dense. */
export const PRESETS = {
  "LeCun": { scheme: "lecun", gain: 1, distribution: "normal", bias: 0 },
  "Xavier": { scheme: "xavier", gain: 1, distribution: "normal", bias: 0 },
  "He": { scheme: "he", gain: 1, distribution: "normal", bias: 0 },
  "PyTorch": { scheme: "pytorch", gain: 1, distribution: "uniform", bias: "pytorch" },
  "Keras": { scheme: "xavier", gain: 1, distribution: "uniform", bias: 0 },
  "orthogonal": { scheme: "lecun", gain: 1, distribution: "orthogonal", bias: 0 },
  "N(0, 0.01²)": { scheme: "small", gain: 1, distribution: "normal", bias: 0 },
  "N(0, 1)": { scheme: "unit", gain: 1, distribution: "normal", bias: 0 },
}

const CHOICES = {
  activation: ACTIVATIONS,
  scheme: SCHEMES,
  distribution: DISTRIBUTIONS,
  precision: ["float32", "float64"],
  batch_norm: [false, true],
  skip: [false, true],
}
const WHOLE = ["depth", "width", "seed"]

/**
 * Complete settings, of the right types; strings, as a URL or an attribute holds them, are read.
 * @param {object} settings any part of Settings; the rest is as in DEFAULTS
 * @returns {Settings}
 * @throws {RangeError} naming the setting and the value
 */
export function normalize(settings) {
  const complete = {}
  for (const name in DEFAULTS) complete[name] = read(name, settings[name] ?? DEFAULTS[name])
  const unknown = Object.keys(settings).find((name) => !(name in DEFAULTS))
  if (unknown !== undefined) throw new RangeError(`there is no setting ${JSON.stringify(unknown)}`)
  return complete
}

function read(name, value) {
  const got = `; got ${JSON.stringify(value)}`
  if (CHOICES[name]) {
    const choice = CHOICES[name].find((one) => String(one) === String(value))
    if (choice === undefined) throw new RangeError(`${name} must be one of ${CHOICES[name].join(", ")}${got}`)
    return choice
  }
  if (name === "bias" && value === "pytorch") return value
  const [least, most] = RANGES[name]
  const number = typeof value === "string" && value.trim() ? Number(value) : value
  const whole = WHOLE.includes(name)
  if (typeof number !== "number" || !(number >= least && number <= most) || (whole && !Number.isInteger(number))) {
    throw new RangeError(`${name} must be a ${whole ? "whole " : ""}number from ${least} to ${most}${got}`)
  }
  return number
}
