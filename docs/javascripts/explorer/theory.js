/**
 * What mean-field theory expects of an infinitely wide network, as snippets/laboratory/mean_field.py.
 * Poole et al. (2016) and Schoenholz et al. (2017) for the plain network, Yang & Schoenholz (2017) for skip connections,
 * Yang et al. (2019) for batch normalization, here to first order in 1 / BATCH.
 */
import { FUNCTIONS } from "./activations.js"
import { BATCH } from "./settings.js"

/** Points and weights for means over a density, which need not be normalized. */
function rule(density) {
  // Midpoints in t of xi = 0.001 sinh(t): dense around 0, where a steep function of a wide Gaussian has its step.
  const nodes = Array.from({ length: 392 }, (_, i) => {
    const t = 0.05 * (i - 195.5), xi = 1e-3 * Math.sinh(t)
    return [xi, density(xi) * Math.cosh(t)]
  })
  const total = nodes.reduce((sum, [, weight]) => sum + weight, 0)
  return nodes.map(([xi, weight]) => [xi, weight / total])
}

const GAUSSIAN = rule((xi) => Math.exp(-0.5 * xi * xi))
/** One entry of a normalized column: the column is uniform on a sphere of the entries that sum to 0. */
const NORMALIZED = rule((xi) => Math.max(0, 1 - (xi * xi) / (BATCH - 1)) ** ((BATCH - 4) / 2))

/** Means over xi, with phi and its slope at sqrt(variance) xi. */
function means(phi, variance, nodes) {
  const std = Math.sqrt(variance)
  const mean = { variance, phi: 0, phi2: 0, phiXi: 0, phiXi2: 0, slope: 0, slope2: 0, slopeXi: 0, slope2Xi2: 0 }
  for (const [xi, weight] of nodes) {
    const h = phi.value(std * xi), slope = phi.slope(std * xi, h)
    mean.phi += weight * h
    mean.phi2 += weight * h * h
    mean.phiXi += weight * h * xi
    mean.phiXi2 += (weight * h * (xi * xi - 1)) / Math.SQRT2
    mean.slope += weight * slope
    mean.slope2 += weight * slope * slope
    mean.slopeXi += weight * slope * xi
    mean.slope2Xi2 += weight * (slope * xi) ** 2
  }
  return mean
}

/** Factor per layer, and over how many layers: those from the first on that are finite and not 0. */
export function throughLayers(rms) {
  const end = rms.findIndex((value) => !(value > 0 && value < Infinity))
  const layers = end < 0 ? rms.length : end
  return { layers, factor: factor(rms, layers) }
}

const factor = (rms, layers) => (layers < 2 ? null : (rms[layers - 1] / rms[0]) ** (1 / (layers - 1)))

/**
 * @param {import("./types.js").Settings} settings
 * @param {number} deviation standard deviation of the weights
 * @param {number} forwards layers over which the factor is taken, from the first
 * @param {number} backwards the same from the last
 * @returns {import("./types.js").Theory}
 */
export function predict(settings, deviation, forwards, backwards) {
  const { depth, width, bias, batch_norm, skip } = settings
  const phi = FUNCTIONS[settings.activation]
  const weight = width * deviation ** 2
  const shift = bias === "pytorch" ? 1 / (3 * width) : bias ** 2
  const nodes = batch_norm ? NORMALIZED : GAUSSIAN
  const branch = skip ? settings.branch_scale : 1
  // Of h: mean, mean square, and variance over the batch.
  let mean = 0, square = 1, spread = 1
  let e = {}
  const forward = [], chis = []
  for (let layer = 0; layer < depth; layer++) {
    let variance = weight * square + shift, chi = weight
    if (batch_norm) {
      chi /= weight * spread + 1e-5
      variance = chi * spread
    }
    if (!(Math.abs(variance - e.variance) <= 1e-13 * variance)) e = means(phi, variance, nodes)
    if (batch_norm) chi *= normalizedAway(e, skip)
    chis.push(branch ** 2 * chi * e.slope2 + (skip ? 1 : 0))

    // Two examples of a normalized batch have a correlation of -1 / (BATCH - 1), and so have their squares.
    const added = ((e.phi2 - e.phi ** 2) * (BATCH - 1) + e.phiXi ** 2 + e.phiXi2 ** 2) / BATCH
    square = (skip ? square + 2 * branch * mean * e.phi : 0) + branch ** 2 * e.phi2
    mean = (skip ? mean : 0) + branch * e.phi
    spread = (skip ? spread : 0) + branch ** 2 * added
    forward.push(Math.sqrt(square))
  }
  const backward = [1]
  while (backward.length < depth) backward.push(backward.at(-1) * Math.sqrt(chis[depth - backward.length]))
  const factors = { forward: factor(forward, forwards), backward: factor(backward, backwards) }
  return { forward, backward: backward.reverse(), factor: factors }
}

/**
 * What is left of a gradient's square once its parts along the mean and along z are gone, for a variance that varies
 * from unit to unit. A gradient that came through a normalization has no mean over the batch already.
 */
function normalizedAway(e, skip) {
  const already = skip ? 0 : e.slope ** 2 + e.slopeXi ** 2
  const gone = e.slope2 ? (e.slope2 + e.variance * e.slope2Xi2 - already) / e.slope2 : 0
  return (1 + (2 * e.variance) / (BATCH - 3)) * (1 - gone / BATCH)
}
