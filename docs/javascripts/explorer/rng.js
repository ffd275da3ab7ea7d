/** Numbers of variance 1, each a function of seed, stream, layer, index. Twin: snippets/laboratory/threefry.py. */

export const STREAM = { weight: 0, bias: 1, input: 2, gradient: 3, batch: 4 }

const WORDS = new Uint32Array(2)

/** Threefry-2x32, 20 rounds; the answer is in the array that is returned, until the next call. */
export function threefry(key0, key1, counter0, counter1) {
  let x = (counter0 + key0) | 0, y = (counter1 + key1) | 0
  let a = key1, b = key0 ^ key1 ^ 0x1bd11bda, c = key0
  for (let i = 1; i < 6; i++) {
    if (i & 1) {
      x = (x + y) | 0; y = ((y << 13) | (y >>> 19)) ^ x
      x = (x + y) | 0; y = ((y << 15) | (y >>> 17)) ^ x
      x = (x + y) | 0; y = ((y << 26) | (y >>> 6)) ^ x
      x = (x + y) | 0; y = ((y << 6) | (y >>> 26)) ^ x
    } else {
      x = (x + y) | 0; y = ((y << 17) | (y >>> 15)) ^ x
      x = (x + y) | 0; y = ((y << 29) | (y >>> 3)) ^ x
      x = (x + y) | 0; y = ((y << 16) | (y >>> 16)) ^ x
      x = (x + y) | 0; y = ((y << 24) | (y >>> 8)) ^ x
    }
    x = (x + a) | 0; y = (y + b + i) | 0
    const first = a
    a = b; b = c; c = first
  }
  WORDS[0] = x
  WORDS[1] = y
  return WORDS
}

/** `count` words of 32 bits. */
export function words(seed, stream, layer, count) {
  const drawn = new Uint32Array(count + (count & 1))
  for (let i = 0; i < count; i += 2) [drawn[i], drawn[i + 1]] = threefry(seed, stream, i >> 1, layer)
  return drawn.subarray(0, count)
}

export const uniform = (seed, stream, layer, count) =>
  new Float64Array(words(seed, stream, layer, count)).map((word) => Math.sqrt(3) * ((word + 0.5) / 2 ** 31 - 1))

/** By the method of Box and Muller. */
export function normal(seed, stream, layer, count) {
  const drawn = new Float64Array(count + (count & 1))
  for (let i = 0; i < count; i += 2) pair(seed, stream, i >> 1, layer, drawn, i)
  return drawn.subarray(0, count)
}

function pair(seed, stream, counter, layer, target, at) {
  threefry(seed, stream, counter, layer)
  const radius = Math.sqrt(-2 * Math.log((WORDS[0] + 0.5) / 2 ** 32)), angle = (WORDS[1] * Math.PI) / 2 ** 31
  target[at] = radius * Math.cos(angle)
  target[at + 1] = radius * Math.sin(angle)
}

/** Draws again what is beyond 2 standard deviations, as Keras, and makes up for the variance that is lost. */
function truncated(seed, stream, layer, count) {
  const again = new Float64Array(2)
  return normal(seed, stream, layer, count).map((value, i) => {
    for (let attempt = 1; Math.abs(value) > 2; attempt++) {
      pair(seed, stream, i >> 1, layer + (attempt << 16), again, 0)
      value = again[i & 1]
    }
    return value / 0.87962566103423978
  })
}

/** Gram-Schmidt of a Gaussian matrix, which is its QR with a positive diagonal of R, as in nn.init.orthogonal_. */
function orthogonal(seed, stream, layer, rows, columns) {
  const few = Math.min(rows, columns), n = Math.max(rows, columns)
  // Three rows of zeros follow, so that the rest can be taken four at a time.
  const q = new Float64Array((few + 3) * n)
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
        const x = q[row + k] / n
        s0 += x * q[r0 + k]; s1 += x * q[r1 + k]; s2 += x * q[r2 + k]; s3 += x * q[r3 + k]
      }
      for (let k = 0; k < n; k++) {
        const x = q[row + k]
        q[r0 + k] -= s0 * x; q[r1 + k] -= s1 * x; q[r2 + k] -= s2 * x; q[r3 + k] -= s3 * x
      }
    }
  }
  return rows > columns ? transposed(q, few, n) : q.subarray(0, few * n)
}

export function transposed(matrix, rows, columns, target = new matrix.constructor(rows * columns)) {
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) target[j * rows + i] = matrix[i * columns + j]
  return target
}

/** The weights of a layer, fanOut x fanIn. */
export const weights = (distribution, seed, layer, fanOut, fanIn) =>
  distribution === "orthogonal"
    ? orthogonal(seed, STREAM.weight, layer, fanOut, fanIn)
    : { normal, uniform, truncated }[distribution](seed, STREAM.weight, layer, fanOut * fanIn)
