/* The copy of the site for a disk. A browser opens its pages by file:, but reads no module, no data and no worker from
   there. So this script holds them all as text, and gives the browser each as an address that is the text itself: what
   is a blob for a page is of another origin for its worker. `docs/hooks/publish/offline.py` writes the files into it. */
{
  const files = {} // by their path in the site
  const root = new URL(".", document.currentScript.src)
  const made = new Map()

  const asAddress = (name, text) =>
    `data:text/${name.endsWith(".js") ? "javascript" : "plain"};charset=utf-8,${encodeURIComponent(text)}`

  const path = (url) => {
    const { href } = new URL(url, document.baseURI)
    return href.startsWith(root.href) ? href.slice(root.href.length) : ""
  }

  /** Where the browser has the file at `url`: the address as it is, if this script does not hold it. */
  const address = (url) => {
    const name = path(url)
    if (!(name in files)) return url
    if (!made.has(name)) made.set(name, asAddress(name, name.endsWith(".js") ? linked(name) : files[name]))
    return made.get(name)
  }

  /** A script whose imports have the addresses that they have here. */
  const linked = (name) => {
    const here = new URL(name, root).href
    const other = (from) => JSON.stringify(address(new URL(from, here)))
    return files[name]
      .replace(/\bfrom "(\.[^"]+)"/g, (_, from) => `from ${other(from)}`)
      .replace(/\bimport\("(\.[^"]+)"\)/g, (_, from) => `import(${other(from)})`)
      .replace(/\bimport\((`\.[^`]+`)\)/g, (_, from) => `import(offline(new URL(${from}, ${JSON.stringify(here)})))`)
      .replaceAll("import.meta.url", JSON.stringify(here))
  }

  const fetchFrom = globalThis.fetch
  globalThis.fetch = (url, ...more) => fetchFrom(address(url), ...more)

  const { open } = XMLHttpRequest.prototype
  XMLHttpRequest.prototype.open = function (method, url, ...more) {
    open.call(this, method, address(url), ...more)
  }

  /** A worker knows nothing of this script: the addresses of the data come with it. */
  const withData = (name) => {
    const data = Object.keys(files).filter((other) => !other.endsWith(".js")).map((other) => new URL(other, root).href)
    const known = JSON.stringify(Object.fromEntries(data.map((one) => [one, address(one)])))
    return asAddress(name, `{ const { fetch } = globalThis, known = ${known}
      globalThis.fetch = (url, ...more) => fetch(known[url] ?? url, ...more) }\n${linked(name)}`)
  }
  globalThis.Worker = class extends Worker {
    constructor(url, options) {
      super(path(url) in files ? withData(path(url)) : url, options)
    }
  }

  // Links that scripts make lead to folders too.
  addEventListener("click", ({ target }) => {
    const link = target.closest?.("a[href]")
    if (link && path(link.href) && link.pathname.endsWith("/")) link.pathname += "index.html"
  }, { capture: true })

  globalThis.offline = address
  const begin = "javascripts/explorer/loader.js"
  if (begin in files) addEventListener("DOMContentLoaded", () => import(address(new URL(begin, root))))
}
