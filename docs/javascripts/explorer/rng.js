/**
 * Random numbers that are a pure function of seed, stream, layer and index: the same in JavaScript as in NumPy.
 * Everything drawn has variance 1. The twin of this file is snippets/laboratory/threefry.py.
 */

/** What the numbers are for; numbers of different streams are independent. */
export const STREAM = { weight: 0, bias: 1, input: 2, gradient: 3, batch: 4 }

/** Keras draws beyond 2 standard deviations again and makes up for the variance that is lost. */
const TRUNCATED_STD = 0.87962566103423978

const WORDS = new Uint32Array(2)

/**
 * Threefry-2x32 with 20 rounds; the two words of the answer are in the array that is returned, until the next call.
 * Salmon, Moraes, Dror & Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
 */
export function threefry(key0, key1, counter0, counter1) {
  const key2 = key0 ^ key1 ^ 0x1bd11bda
  let x = (counter0 + key0) | 0
  let y = (counter1 + key1) | 0
  let a = key1, b = key2, c = key0
  for (let i = 1; ; i += 2) {
    x = (x + y) | 0; y = ((y << 13) | (y >>> 19)) ^ x
    x = (x + y) | 0; y = ((y << 15) | (y >>> 17)) ^ x
    x = (x + y) | 0; y = ((y << 26) | (y >>> 6)) ^ x
    x = (x + y) | 0; y = ((y << 6) | (y >>> 26)) ^ x
    x = (x + a) | 0; y = (y + b + i) | 0
    if (i === 5) break
    x = (x + y) | 0; y = ((y << 17) | (y >>> 15)) ^ x
    x = (x + y) | 0; y = ((y << 29) | (y >>> 3)) ^ x
    x = (x + y) | 0; y = ((y << 16) | (y >>> 16)) ^ x
    x = (x + y) | 0; y = ((y << 24) | (y >>> 8)) ^ x
    x = (x + b) | 0; y = (y + c + i + 1) | 0
    const first = a
    a = c; c = b; b = first
  }
  WORDS[0] = x
  WORDS[1] = y
  return WORDS
}

/** `count` words of 32 bits: two of each block. */
export function words(seed, stream, layer, count) {
  const drawn = new Uint32Array(count + (count & 1))
  for (let i = 0; i < drawn.length; i += 2) {
    threefry(seed, stream, i >> 1, layer)
    drawn[i] = WORDS[0]
    drawn[i + 1] = WORDS[1]
  }
  return drawn.subarray(0, count)
}

/** Uniform numbers, as Float64Array. */
export function uniform(seed, stream, layer, count) {
  const drawn = words(seed, stream, layer, count)
  const values = new Float64Array(count)
  for (let i = 0; i < count; i++) values[i] = Math.sqrt(3) * ((drawn[i] + 0.5) / 2 ** 31 - 1)
  return values
}

/** Standard normal numbers by the method of Box and Muller, as Float64Array. */
export function normal(seed, stream, layer, count) {
  const drawn = new Float64Array(count + (count & 1))
  for (let i = 0; i < drawn.length; i += 2) boxMuller(seed, stream, i >> 1, layer, drawn, i)
  return drawn.subarray(0, count)
}

function boxMuller(seed, stream, counter, layer, target, at) {
  threefry(seed, stream, counter, layer)
  const radius = Math.sqrt(-2 * Math.log((WORDS[0] + 0.5) / 2 ** 32))
  const angle = ((2 * Math.PI) / 2 ** 32) * WORDS[1]
  target[at] = radius * Math.cos(angle)
  target[at + 1] = radius * Math.sin(angle)
}

function truncated(seed, stream, layer, count) {
  const drawn = normal(seed, stream, layer, count)
  const again = new Float64Array(2)
  for (let i = 0; i < count; i++) {
    for (let attempt = 1; Math.abs(drawn[i]) > 2; attempt++) {
      boxMuller(seed, stream, i >> 1, layer + (attempt << 16), again, 0)
      drawn[i] = again[i & 1]
    }
    drawn[i] /= TRUNCATED_STD
  }
  return drawn
}

/**
 * Rows or columns, whichever are fewer, are orthogonal and all of one length: Gram-Schmidt of a Gaussian matrix, which
 * is its QR decomposition with a positive diagonal of R, as in nn.init.orthogonal_.
 */
function orthogonal(seed, stream, layer, rows, columns) {
  const [few, n] = rows > columns ? [columns, rows] : [rows, columns]
  const q = new Float64Array((few + 3) * n) // three rows of zeros, so that the rest can be taken four at a time
  q.set(normal(seed, stream, layer, few * n))
  for (let row = 0; row < few * n; row += n) {
    let square = 0
    for (let k = 0; k < n; k++) square += q[row + k] ** 2
    const scale = Math.sqrt(n / square)
    for (let k = 0; k < n; k++) q[row + k] *= scale
    for (let r0 = row + n; r0 < few * n; r0 += 4 * n) {
      const r1 = r0 + n, r2 = r1 + n, r3 = r2 + n
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0
      for (let k = 0; k < n; k++) {
        const x = q[row + k]
        s0 += x * q[r0 + k]; s1 += x * q[r1 + k]; s2 += x * q[r2 + k]; s3 += x * q[r3 + k]
      }
      s0 /= n; s1 /= n; s2 /= n; s3 /= n
      for (let k = 0; k < n; k++) {
        const x = q[row + k]
        q[r0 + k] -= s0 * x; q[r1 + k] -= s1 * x; q[r2 + k] -= s2 * x; q[r3 + k] -= s3 * x
      }
    }
  }
  return rows > columns ? transposed(q, few, n) : q.subarray(0, few * n)
}

/** A matrix of `rows` x `columns`, row by row, turned. */
export function transposed(matrix, rows, columns, target = new matrix.constructor(rows * columns)) {
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) target[j * rows + i] = matrix[i * columns + j]
  return target
}

/** The weights of a layer in units of their standard deviation, fan_out x fan_in, as Float64Array. */
export function weights(distribution, seed, layer, fanOut, fanIn) {
  if (distribution === "orthogonal") return orthogonal(seed, STREAM.weight, layer, fanOut, fanIn)
  return { normal, uniform, truncated }[distribution](seed, STREAM.weight, layer, fanOut * fanIn)
}
