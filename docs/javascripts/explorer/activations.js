/** The activation functions as PyTorch defines them: value(z), slope(z, value(z)), and the largest |slope|. */

const LEAK = 0.01
const SELU_SCALE = 1.0507009873554804934
const SELU_ALPHA = SELU_SCALE * 1.6732632423543772848

// Comparisons are written so that NaN falls to the side that it falls to in PyTorch.
export const FUNCTIONS = {
  identity: { value: (z) => z, slope: () => 1, steepest: 1 },
  sigmoid: { value: (z) => 1 / (1 + Math.exp(-z)), slope: (z, h) => h * (1 - h), steepest: 0.25 },
  tanh: { value: Math.tanh, slope: (z, h) => 1 - h * h, steepest: 1 },
  relu: { value: (z) => (z <= 0 ? 0 : z), slope: (z) => (z <= 0 ? 0 : 1), steepest: 1 },
  leaky_relu: { value: (z) => (z > 0 ? z : LEAK * z), slope: (z) => (z > 0 ? 1 : LEAK), steepest: 1 },
  gelu: {
    value: (z) => z * normalBelow(z),
    slope: (z) => normalBelow(z) + (z * Math.exp(-0.5 * z * z)) / Math.sqrt(2 * Math.PI),
    steepest: 1.1289,
  },
  selu: {
    value: (z) => (z > 0 ? SELU_SCALE * z : SELU_ALPHA * Math.expm1(z)),
    slope: (z) => (z > 0 ? SELU_SCALE : SELU_ALPHA * Math.exp(z)),
    steepest: SELU_ALPHA,
  },
}

/** Probability of a standard normal variable below z, to 1e-15: the series that has no term of the other sign. */
function normalBelow(z) {
  if (z > 8.5) return 1
  if (z < -8.5) return 0
  let term = (z * Math.exp(-0.5 * z * z)) / Math.sqrt(2 * Math.PI)
  let sum = term
  for (let odd = 3; Math.abs(term) > 1e-17 * Math.abs(sum); odd += 2) sum += term *= (z * z) / odd
  return 0.5 + sum
}
