/**
 * In front of Material's search: the reader's words become the site's words, and what holds all of them comes first.
 *
 * Names that mean the same (Glorot and Xavier), spelling (normalisation), symbols (sqrt(2/n)) and a slip of a finger
 * are settled here, against the words that the index has. `partials/search-later.html` passes the messages.
 */

/** What else a reader may say; the site's own words come last in each row. */
const SAME = [
  ["glorot", "xavier"],
  ["kaiming", "he"],
  ["mup", "μp", "µp", "maximal update"],
  ["bn", "batchnorm", "batch norm", "batch normalization"],
  ["layernorm", "layer norm", "layer normalization"],
  ["rnn", "rnns", "recurrent"],
  ["lr", "learning rate"],
  ["init", "initialization"],
  ["std", "standard deviation"],
  ["dying", "dead"],
  ["explosion", "explode", "explodes", "exploding"],
  ["vanish", "vanishes", "vanishing"],
  ["transformers", "transformer"],
  ["torch", "pytorch"],
  ["swish", "silu"],
  ["val", "validation"],
  ["cheatsheet", "cheat sheet"],
  ["normalise", "normalize"],
  ["activation function", "activation"],
  ["vs", "versus", "against", ""],
  ["initialize", "initialise", "initializing", "initialising", "initialization"],
  ["goes down", "go down", "going down", "decreases", "decrease", "decreasing"],
]
const EMPTY = new Set(("a all an and any are as at be but by can do does for from get has have how i if in into is it its " +
  "me my no not of on or should so than that the their them then there these they this to use using was what when " +
  "where which while who why will with you your").split(" "))
const MOST = 8 // ways to say one query
const TITLE = 1.5

const bare = (html) => html.replace(/<[^>]*>/g, "")

/** Formulas as `docs/hooks/show/search.py` writes them. */
export const typed = (text) =>
  text.replace(/(^|\s)[∂d]([a-z])\/[∂d]([a-z])(?=\s|$)/g, "$1$2/$3")
    .replace(/(?:sqrt|√)\s*\(?\s*((?:[\w./\s]|\([^()]*\))+?)\s*\)?(?=\s|$)/g, (_, inside) =>
    "sqrt" + inside.replace(/\s*\/\s*/g, "over").replace(/\s+|\W/g, ""))
    .replace(/(^|\s)(\w+)\/(\w+)(?=\s|$)/g, "$1$2over$3 $2/$3")

/** Every word of the index, with the number of times it occurs. */
export function vocabulary({ config, docs }) {
  const count = new Map()
  const separator = new RegExp(config.separator)
  for (const { title, text, also = "" } of docs) {
    for (const word of bare(`${title} ${also} ${text}`).toLowerCase().split(separator)) {
      if (word) count.set(word, (count.get(word) ?? 0) + 1)
    }
  }
  return count
}

/** Whether a slip of a finger, one letter more, less, other or exchanged (two in a long word), makes `a` of `b`. */
function slips(a, b, most) {
  if (Math.abs(a.length - b.length) > most) return Infinity
  let before, last = [], row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    ;[before, last, row] = [last, row, [i]]
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (a[i - 1] !== b[j - 1]))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1)
    }
  }
  return row[b.length]
}

function nearest(word, words) {
  const most = word.length < 4 ? 0 : word.length < 8 ? 1 : 2
  let best = null, least = most + 0.5, often = 0
  for (const [other, count] of words) {
    if (other[0] !== word[0] || other.length < 4) continue
    const far = slips(word, other, most)
    if (far < least || (far === least && count > often)) [best, least, often] = [other, far, count]
  }
  return best
}

const spelled = (word) => [
  word,
  word.replace(/is(e|ed|es|er|ers|ing|ation|ations)$/, "iz$1"),
  word.replace(/iz(e|ed|es|er|ers|ing|ation|ations)$/, "is$1"),
  word.replace(/our/, "or"),
  word.replace(/_+$/, ""),
  word.replace(/_/g, ""),
]

/** The ways in which the site may say a query, each a list of words that it has. */
export function ways(query, words) {
  const sorted = [...words.keys()].sort()
  const begins = (word) => {
    let low = 0, high = sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (sorted[middle] < word) low = middle + 1
      else high = middle
    }
    return sorted[low]?.startsWith(word)
  }
  let said = [` ${typed(query.toLowerCase()).replace(/[^\p{L}\p{N}_./√-]+|\.(?!\d)/gu, " ")} `.replace(/\s+/g, " ")]
  for (const row of SAME) {
    said = said.flatMap((text) => {
      const name = row.toSorted((a, b) => b.length - a.length).find((one) => one && text.includes(` ${one} `))
      if (!name) return [text]
      return row.at(-1) ? [...new Set([text, text.replace(` ${name} `, ` ${row.at(-1)} `)])] : [text.replace(` ${name} `, " ")]
    })
  }
  const lists = said.slice(0, MOST).map((text) => {
    const all = text.split(/[\s-]+/).filter(Boolean)
    const telling = all.filter((word) => !EMPTY.has(word))
    return (telling.length ? telling : all).map((word, i, { length }) => {
      const forms = [...new Set(spelled(word))].filter(Boolean)
      return forms.find((form) => words.has(form))
        ?? forms.find((form) => (form.length > 2 || i === length - 1) && begins(form)) ?? nearest(word, words) ?? word
    })
  })
  return [...new Map(lists.map((list) => [list.join(" "), list])).values()]
}

/** As Material's worker reads it: the word itself, and words that begin with it. */
export const asked = (list) =>
  list.map((word) => (word.length > 2 ? `${word}^4 ${word}` : `${word}^4`)).join(" ")

/** The results of all ways as one: what holds more of the words is first, and a title that is the query before all. */
export function joined(results) {
  const best = new Map()
  for (const { list, items } of results) {
    for (const item of items.flat()) {
      const held = list.filter((word) => item.terms[word]).length / list.length
      const title = bare(item.title).toLowerCase().split(/[\s\-(),?:.]+/).filter((word) => word && !EMPTY.has(word))
      const named = title.filter((word) => list.some((one) => word.startsWith(one))).length / Math.max(title.length, 1)
      const page = !item.location.includes("#")
      const score = item.score * held ** 3 * (1 + TITLE * named * held ** 2)
      const old = best.get(item.location)
      if (!old || old.score < score || (page && !old.score)) best.set(item.location, { ...item, score })
    }
  }
  const pages = new Map()
  for (const item of [...best.values()].sort((a, b) => b.score - a.score)) {
    const page = item.location.split("#")[0]
    pages.set(page, [...(pages.get(page) ?? []), item])
  }
  return [...pages.values()]
}

/** Stands between the page and Material's worker, which speak in messages {type, data}. */
export class Asker {
  /** @param {Worker} worker @param {(message: object) => void} answer */
  constructor(worker, answer) {
    this.worker = worker
    this.answer = answer
    this.waiting = null
    worker.onmessage = ({ data }) => this.receive(data)
  }

  ask({ type, data }) {
    if (type === 0 && data?.docs) this.words = vocabulary(data)
    if (type !== 2 || !this.words || !data.trim()) return this.worker.postMessage({ type, data })
    this.next = ways(data, this.words)
    if (!this.waiting) this.begin()
  }

  /** The newest query alone is answered. */
  begin() {
    const lists = this.next
    this.next = null
    this.waiting = { lists, results: [] }
    for (const list of lists) this.worker.postMessage({ type: 2, data: asked(list) })
  }

  receive(message) {
    if (message.type !== 3 || !this.waiting) return this.answer(message)
    const { lists, results } = this.waiting
    results.push({ list: lists[results.length], items: message.data.items })
    if (results.length < lists.length) return
    this.waiting = null
    if (this.next) return this.begin()
    this.answer({ type: 3, data: { ...message.data, items: joined(results) } })
  }
}
