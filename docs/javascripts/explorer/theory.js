/** Mean-field theory of the infinitely wide network, as snippets/laboratory/mean_field.py has it; types.js cites. */
import { alive, deviation, factor, FUNCTIONS } from "./engine.js"
import { BATCH } from "./settings.js"

/** Points and weights for means over a density. */
function rule(density) {
  // Midpoints in t of xi = 0.001 sinh(t): dense around 0, where a steep function of a wide Gaussian has its step.
  const nodes = Array.from({ length: 392 }, (_, i) => {
    const t = 0.05 * (i - 195.5), xi = Math.sinh(t) / 1000
    return [xi, density(xi) * Math.cosh(t)]
  })
  const total = nodes.reduce((sum, [, weight]) => sum + weight, 0)
  return nodes.map(([xi, weight]) => [xi, weight / total])
}

const GAUSSIAN = rule((xi) => Math.exp(-0.5 * xi * xi))
// A normalized column is uniform on a sphere of the entries that sum to 0.
const NORMALIZED = rule((xi) => Math.max(0, 1 - (xi * xi) / (BATCH - 1)) ** ((BATCH - 4) / 2))

/** Means of phi, its slope, their squares and their products with xi and He_2(xi). */
function means(phi, variance, nodes) {
  const mean = { variance, h: 0, hh: 0, hx: 0, hx2: 0, s: 0, ss: 0, sx: 0, ssxx: 0 }
  for (const [x, weight] of nodes) {
    const z = Math.sqrt(variance) * x, h = phi.value(z), s = phi.slope(z, h)
    mean.h += weight * h
    mean.hh += weight * h * h
    mean.hx += weight * h * x
    mean.hx2 += (weight * h * (x * x - 1)) / Math.SQRT2
    mean.s += weight * s
    mean.ss += weight * s * s
    mean.sx += weight * s * x
    mean.ssxx += weight * (s * x) ** 2
  }
  return mean
}

/**
 * @param {import("./types.js").Settings} settings
 * @param {import("./types.js").Pass} measured
 * @returns {import("./types.js").Theory}
 */
export function predict({ batch_norm, bias, branch_scale, skip, ...settings }, measured) {
  const { depth, width } = settings
  const weight = width * deviation(settings, width, width) ** 2
  const shift = bias === "pytorch" ? 1 / (3 * width) : bias ** 2
  const branch = skip ? branch_scale : 1
  // Of h: mean, mean square, variance over the batch.
  let mean = 0, square = 1, spread = 1
  let e = {}
  const forward = [], chis = []
  while (forward.length < depth) {
    let variance = weight * square + shift, chi = weight
    if (batch_norm) {
      chi /= weight * spread + 1e-5
      variance = chi * spread
    }
    if (!(Math.abs(variance - e.variance) <= 1e-13 * variance)) {
      e = means(FUNCTIONS[settings.activation], variance, batch_norm ? NORMALIZED : GAUSSIAN)
    }
    if (batch_norm) {
      // The variance varies from unit to unit; the gradient loses its mean, if it has not yet, and its part along z.
      const lost = e.ss + variance * e.ssxx - (skip ? 0 : e.s ** 2 + e.sx ** 2)
      chi *= (1 + (2 * variance) / (BATCH - 3)) * (1 - lost / (e.ss || 1) / (BATCH - 1))
    }
    chis.push(branch ** 2 * chi * e.ss + (skip ? 1 : 0))

    // Examples of a normalized batch, and their squares, have a correlation of -1 / (BATCH - 1).
    const own = ((e.hh - e.h ** 2) * (BATCH - 1) + e.hx ** 2 + e.hx2 ** 2) / BATCH
    square = (skip ? square + 2 * branch * mean * e.h : 0) + branch ** 2 * e.hh
    mean = (skip ? mean : 0) + branch * e.h
    spread = (skip ? spread : 0) + branch ** 2 * own
    forward.push(Math.sqrt(square))
  }
  const backward = [1]
  while (backward.length < depth) backward.push(backward.at(-1) * Math.sqrt(chis[depth - backward.length]))
  const backwards = measured.gradient.rms.toReversed()
  return {
    factor: {
      forward: factor(forward, alive(measured.activation.rms)),
      backward: factor(backward, alive(backwards)),
    },
    forward,
    backward: backward.reverse(),
  }
}
